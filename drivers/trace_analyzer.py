"""Common parts of analyzers, Keysight's and others: traces as blocks, long measurements, confirmed settings."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from qcodes.parameters import Parameter
from qcodes.validators import Numbers

from drivers.answers import marker, register
from drivers.errors import CommunicationError, OverloadError, ReadingError
from drivers.line import RETRIES
from drivers.unchanged_opening import UnchangedOpening

__all__ = ["TraceAnalyzer", "check_count", "check_range", "limits_of"]

TIMEOUT_MARGIN = 5.0  # s, beside 10 % of a measurement's duration
EDGE = 2.0  # Hz, largest deviation of the ends of the band: center and half the span by 1 Hz each
AGAIN = "Repeat the measurement; if it happens again, check for a second program on the instrument."


def check_range(name: str, value: float, low: float, high: float, unit: str) -> None:
    """Raise ValueError unless `low` ≤ `value` ≤ `high`; not-a-number is out of range."""
    if not low <= value <= high:
        raise ValueError(f"{name} is {value!r} {unit}; allowed are {low:.12g} to {high:.12g} {unit}")


def limits_of(parameter: Parameter[Any, Any]) -> tuple[float, float]:
    """Lowest and highest value of a number that QCoDeS's driver allows, from the installed options."""
    allowed = parameter.vals
    if not isinstance(allowed, Numbers):
        raise TypeError(f"{parameter.full_name} is not a number with limits")
    return allowed.min_value, allowed.max_value


def check_count(name: str, value: int, low: int, high: int) -> None:
    """Raise ValueError unless `value` is a whole number from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
        raise ValueError(f"{name} is {value!r}; allowed are whole numbers from {low} to {high}")


class TraceAnalyzer(UnchangedOpening):
    """An analyzer that sends traces; a mix-in in front of a QCoDeS class.

    It fills the common part of `drivers.roles.Acquisition`. A subclass makes its settings in `prepare`, between
    `begin_preparation` and `end_preparation`, names in `BEGIN` the command that starts the sweeps and in `END` the one
    that ends them, and adds `fetch` and `start` (not here: QCoDeS's network analyzers have a parameter of that name,
    the lowest frequency).
    Every method raises RuntimeError before `prepare`, and CommunicationError if the instrument does not answer.
    """

    BEGIN: ClassVar[str]
    END: ClassVar[str]

    def __init__(self, name: str, address: str, **options: Any) -> None:
        super().__init__(name, address, **options)
        self._prepared = False
        self._axis = np.empty(0)
        self._duration = float("nan")
        self._complete, self._unusable = False, 0

    def begin_preparation(self) -> None:
        """First part of `prepare`: forget the settings before, and older entries of the error queue."""
        self._prepared, self._confirmed = False, {}
        self.discard_errors()

    def end_preparation(self, band: str, *, center: float, span: float, points: int, duration: float) -> None:
        """Last part of `prepare`: verify the band below the header `band`, and all settings once more.

        Axis and duration (s) are from settings that were confirmed, and from nothing that is read later.

        Raises
        ------
        SettingError
            If the band is another, or a setting has changed.
        RejectedCommandError
            If the error queue has an entry.

        """
        start = self.require(f"{band}FREQ:STAR?", center - span / 2, tolerance=EDGE)
        stop = self.require(f"{band}FREQ:STOP?", center + span / 2, tolerance=EDGE)
        self.confirm_preparation(np.linspace(start, stop, points), duration)

    def confirm_preparation(self, axis: NDArray[np.float64], duration: float) -> None:
        """Verify all settings once more; `axis` (Hz) and `duration` (s) are those of the sweep that they make.

        Raises
        ------
        SettingError
            If a setting has changed.
        RejectedCommandError
            If the error queue has an entry.

        """
        self.check_errors()
        self.require_unchanged("at the end of its preparation")
        self._axis = axis
        self._duration = duration
        self._prepared = True

    def duration(self) -> float:
        """Time (s) of one acquisition: sweep time × averages."""
        self.require_preparation()
        return self._duration

    def frequencies(self) -> NDArray[np.float64]:
        """Frequency axis (Hz), shape (points,), from the band as the instrument reads it back."""
        self.require_preparation()
        return self._axis.copy()

    def begin(self) -> None:
        """Body of `start`: begin the sweeps and return at once; they are never triggered twice."""
        self.require_preparation()
        self._complete, self._unusable = False, 0
        self.again(lambda: self.ask_register("*ESR?"))  # the end of earlier sweeps must not count
        self.write(f"{self.BEGIN};*OPC")

    def finished(self) -> bool:
        """Whether the sweeps are complete.

        The query clears the event status: if its answer is lost, `*OPC` asks for it again. `*OPC?` would block until
        the end of the sweeps.
        """
        if not self._complete:
            try:
                self.distinguish(lambda answer: register(answer) is not None)
                self._complete = bool(self.ask_register("*ESR?") & 1)
            except CommunicationError as error:
                self._unusable += 1
                if self._unusable > RETRIES:
                    raise
                self.lost_step()
                self.log.warning("querying the end of the sweeps again: %s", error)
                self.regain_step()
                self.write("*OPC")
            else:
                self._unusable = 0
        return self._complete

    def abort(self) -> None:
        """End the sweeps; without effect if none are running."""
        self.write(self.END)

    def require_preparation(self) -> None:
        """Raise RuntimeError before `prepare`."""
        if not self._prepared:
            raise RuntimeError(f"{self.described}: call prepare() first")

    # --- blocks ------------------------------------------------------------------------------------------------------

    def ask_block(self, query: str, count: int, dtype: str) -> NDArray[np.float64]:
        """Query one IEEE 488.2 definite-length block of exactly `count` finite numbers.

        Parameters
        ----------
        query
            Query.
        count
            Numbers expected.
        dtype
            NumPy type of a number in the block, such as `<f8`.

        Returns
        -------
        NDArray
            Shape (count,).

        Raises
        ------
        OverloadError
            If a number is an over-range marker.
        ReadingError
            If the block has another length or a number is not finite: the whole trace is invalid.
        CommunicationError
            If the bus fails before the first byte.

        """
        expected = count * np.dtype(dtype).itemsize
        self.regain_step()
        self.write(query)
        with self.waiting(TIMEOUT_MARGIN):
            payload = self._read_block(query, count, expected)
        with np.errstate(invalid="ignore"):  # some bytes are a signalling not-a-number
            values = np.frombuffer(payload, dtype=dtype).astype(np.float64)
        if np.any(np.isnan(values)):
            raise self.no_trace(query, "has values that are not numbers")
        meaning = marker(values[np.argmax(np.abs(values))])
        if meaning is not None:
            raise OverloadError(
                self.described, f"{query!r} has values that are {meaning}.", "Reduce the power at its input."
            )
        return values

    def _read_block(self, query: str, count: int, expected: int) -> bytes:
        """Content of the block that answers `query`, exactly `expected` bytes."""
        header = self.receive(query, 2)
        if header[:1] != b"#" or not b"1" <= header[1:] <= b"9":
            raise self.no_trace(query, f"begins with {header!r}, which starts no block")
        try:
            length = self.receive(query, int(header[1:]))
            if not length.isdigit() or int(length) != expected:
                raise self.no_trace(
                    query, f"announces {length.decode('latin-1')!r} bytes; {count} numbers take {expected}"
                )
            message = self.receive(query, expected + 1)
        except CommunicationError as error:
            problem = f"ended before its {expected} bytes were complete ({error.problem.rstrip('.')})"
            raise self.no_trace(query, problem) from error
        if message[-1:] != b"\n":
            raise self.no_trace(query, f"continues after the announced {expected} bytes")
        return message[:-1]

    def no_trace(self, query: str, problem: str) -> ReadingError:
        """The error of a trace that is invalid as a whole; the line is cleared before the next query."""
        self.lost_step()
        return ReadingError(self.described, f"{query!r} {problem}.", AGAIN)
