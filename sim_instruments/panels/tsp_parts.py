"""Parts of a TSP instrument as scripts see them: attributes, functions and constants, and reading buffers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sim_instruments.panels.scpi_values import ScpiError
from sim_instruments.panels.tsp_values import Table, TspRuntimeError, Value, instant

__all__ = ["Attribute", "Part", "ReadingBuffer", "rejection"]

# Numbers and texts of the error summary of the series, as a public driver for the 2600A lists them (capitals may
# differ); those from 5000 on are of the source-measure units.
ERRORS = {
    -430: "Query Deadlocked",
    -420: "Query Unterminated",
    -363: "Input Buffer Over-run",
    -350: "Queue Overflow",
    -224: "Illegal Parameter Value",
    -222: "Parameter Data Out of Range",
    -221: "Settings Conflict",
    -104: "Data Type",
    1101: "Parameter Too Big",
    1102: "Parameter Too Small",
    1400: "Expected at least 1 parameters",
    1401: "Parameter 1 is invalid",
    1404: "Invalid byte order",
    1405: "Invalid ASCII precision",
    1406: "Invalid data format",
    4900: "Reading buffer index is invalid",
    5005: "Value too big for range",
    5007: "Operation would exceed safe operating area of the instrument",
    5008: "Operation not permitted while output is on",
    5059: "trigger.source.action enabled without configuration",
    5025: "Cannot set filter.count > 1 when measure.count > 1",
}


def rejection(code: int) -> ScpiError:
    """The error of a value that the instrument does not accept."""
    return ScpiError(code, ERRORS[code])


@dataclass(frozen=True)
class Attribute:
    """An element of a part that is read, and written unless `write` is None."""

    read: Callable[[], Value]
    write: Callable[[Value], None] | None = None


class Part:
    """A part of the instrument, such as `smua.source`: attributes, functions, constants and further parts."""

    def __init__(self, **members: Value) -> None:
        self.members: dict[Value, Value] = members

    def get(self, key: Value) -> Value:
        """The element, nil if there is none."""
        found = self.members.get(key)
        return found.read() if isinstance(found, Attribute) else found

    def set(self, key: Value, value: Value) -> None:
        """Write an attribute."""
        found = self.members.get(key)
        if not isinstance(found, Attribute) or found.write is None:
            raise TspRuntimeError(f"cannot modify `{key}'")
        found.write(value)


class ReadingBuffer(Part):
    """A reading buffer: `n`, `readings`, `appendmode`, `clear()`."""

    def __init__(self) -> None:
        self.readings: list[float] = []
        self.append = 0.0
        super().__init__(
            n=Attribute(lambda: float(len(self.readings))),
            capacity=Attribute(lambda: 1e5),
            readings=Attribute(lambda: Table({float(n): x for n, x in enumerate(self.readings, start=1)})),
            appendmode=Attribute(lambda: self.append, self._set_append),
            clear=instant(self.readings.clear),
        )

    def _set_append(self, value: Value) -> None:
        if value not in (0.0, 1.0):
            raise rejection(-224)
        self.append = float(value)

    def get(self, key: Value) -> Value:
        """The element, or the reading with this number."""
        return self.members["readings"].read().get(key) if isinstance(key, float) else super().get(key)

    def store(self, readings: Sequence[float]) -> None:
        """Add readings, in place of the earlier ones unless the buffer appends."""
        if not self.append:
            self.readings.clear()
        self.readings.extend(readings)
