"""Common parts of Keysight's two analyzers: traces as binary blocks, long measurements, choices."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import pyvisa
from numpy.typing import NDArray
from qcodes.parameters import Parameter
from qcodes.validators import Numbers

from drivers.errors import CommunicationError, OverloadError, ReadingError, SettingError
from drivers.scpi import OVERFLOW, CheckedInstrument

__all__ = ["KeysightAnalyzer", "check_count", "check_range", "limits_of"]

TIMEOUT_MARGIN = 5.0  # s, beside 10 % of a measurement's duration
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


class KeysightAnalyzer(CheckedInstrument):
    """A Keysight analyzer that sends traces; a mix-in in front of a QCoDeS class.

    It fills the common part of `drivers.roles.Acquisition`. A subclass stores the settings that a trace needs
    in `prepare` (`note_settings`), names in `BEGIN` the command that starts the sweeps and in `END` the one that ends
    them, and adds `fetch` and `start` (not here: QCoDeS's network analyzers have a
    parameter of that name, the lowest frequency).
    Every method raises RuntimeError before `prepare`, and CommunicationError if the instrument does not answer.
    """

    BEGIN: ClassVar[str]
    END: ClassVar[str]

    def __init__(self, name: str, address: str, **options: Any) -> None:
        super().__init__(name, address, **options)
        self._prepared: dict[str, str] = {}
        self._axis = np.empty(0)
        self._duration = float("nan")
        self._complete = False

    def note_settings(self, band: str, queries: tuple[str, ...], duration: float) -> None:
        """Store the axis of the band below the header `band`, the duration (s), and the answers to `queries`."""
        start, stop = (self.known_number(f"{band}FREQ:{end}?") for end in ("STAR", "STOP"))
        self._axis = np.linspace(start, stop, int(self.known_number(f"{band}SWE:POIN?")))
        self._duration = duration
        self._prepared = dict(zip(queries, self.ask_each(queries), strict=True))

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
        self._complete = False
        self.again(lambda: self.ask_integer("*ESR?"))  # the end of earlier sweeps must not count
        self.write(f"{self.BEGIN};*OPC")

    def finished(self) -> bool:
        """Whether the sweeps are complete.

        The query clears the event status: if its answer is lost, `*OPC` asks for it again. `*OPC?` would block until
        the end of the sweeps.
        """
        if not self._complete:
            try:
                self._complete = bool(self.ask_integer("*ESR?") & 1)
            except CommunicationError as error:
                self.lost_step()
                self.log.warning("querying the end of the sweeps again: %s", error)
                self.regain_step()
                self.write("*OPC")
        return self._complete

    def abort(self) -> None:
        """End the sweeps; without effect if none are running."""
        self.write(self.END)

    def require_preparation(self) -> None:
        """Raise RuntimeError before `prepare`."""
        if not self._prepared:
            raise RuntimeError(f"{self.described}: call prepare() first")

    @contextmanager
    def waiting(self, duration: float = 0.0) -> Iterator[None]:
        """Extend the timeout within this block by `duration` (s).

        After a failure the line is cleared: a late answer must not be taken for the next query's.
        """
        handle = self.visa_handle
        before = handle.timeout
        handle.timeout = max(before, 1e3 * (1.1 * duration + TIMEOUT_MARGIN))
        self.on_message(handle.timeout / 1e3)
        try:
            yield
        except (CommunicationError, ReadingError):
            self.lost_step()
            raise
        finally:
            handle.timeout = before

    def choose(self, command: str, value: str) -> None:
        """Write a choice in its short form and read it back.

        Raises
        ------
        SettingError
            If the instrument has another one.

        """
        self.write(f"{command} {value}")
        found = self.ask(f"{command}?").strip().lstrip("+").upper()
        # Answers come in short form (NOIS), in some firmware in long form (NOISE).
        if found == value or (len(value) >= 3 and value.isalpha() and found.startswith(value)):
            return
        raise self.refused(f"{command}?", found, value)

    def known_number(self, query: str) -> float:
        """Query a finite number: markers and NaN raise, as in `measured`."""
        return self.measured(self.ask_number(query), query)

    def ask_each(self, queries: tuple[str, ...]) -> tuple[str, ...]:
        """Send several short queries in one message; each header begins with a colon.

        Raises
        ------
        CommunicationError
            If there are more or fewer answers than queries.

        """
        message = ";".join(queries)
        answer = self.ask(message).strip()
        answers = tuple(answer.split(";"))
        if len(answers) != len(queries):
            raise self.unexpected(answer, message, f"{len(queries)} answers")
        return answers

    def confirm_unchanged(self, settings: dict[str, str]) -> None:
        """Compare settings, answers by query, with those stored by `prepare`.

        Raises
        ------
        SettingError
            If one has changed since, at the front panel or by a reset.

        """
        for (query, noted), found in zip(settings.items(), self.ask_each(tuple(settings)), strict=True):
            if found != noted:
                raise SettingError(
                    self.described,
                    f"{query} reads {found} after the measurement; it was prepared with {noted}.",
                    "The instrument was changed or reset: prepare the measurement again.",
                )

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
        with self.waiting():
            payload = self._read_block(query, count, expected)
        values = np.frombuffer(payload, dtype=dtype).astype(np.float64)
        if np.any(np.isnan(values)):
            raise ReadingError(self.described, f"{query!r} has values that are not numbers.", AGAIN)
        if not np.all(np.abs(values) < OVERFLOW):
            raise OverloadError(
                self.described, f"{query!r} has over-range markers (9.9e37).", "Reduce the power at its input."
            )
        return values

    def _read_block(self, query: str, count: int, expected: int) -> bytes:
        """Content of the block that answers `query`, exactly `expected` bytes."""
        handle = self.visa_handle
        try:
            header = handle.read_bytes(2)
        except (pyvisa.Error, OSError) as error:
            raise CommunicationError(
                self.described, f"no answer to {query!r}: {error}.", "Check cable, power and trigger source."
            ) from error
        if header[:1] != b"#" or not b"1" <= header[1:] <= b"9":
            raise ReadingError(self.described, f"{query!r} begins with {header!r}, which starts no block.", AGAIN)
        try:
            length = handle.read_bytes(int(header[1:]))
            if not length.isdigit() or int(length) != expected:
                raise ReadingError(
                    self.described,
                    f"{query!r} announces {length.decode('latin-1')} bytes; {count} numbers take {expected}.",
                    AGAIN,
                )
            message = handle.read_bytes(expected + 1)
        except (pyvisa.Error, OSError) as error:
            raise ReadingError(
                self.described, f"{query!r} ended before its {expected} bytes were complete: {error}.", AGAIN
            ) from error
        if message[-1:] != b"\n":
            raise ReadingError(self.described, f"{query!r} continues after the announced {expected} bytes.", AGAIN)
        return bytes(message[:-1])
