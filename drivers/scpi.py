"""Checks of every driver: commands are accepted, settings read back, numbers are measurements.

`CheckedInstrument` is a mix-in in front of a QCoDeS instrument class::

    class Keithley2450(CheckedInstrument, qcodes.instrument_drivers.Keithley.Keithley2450): ...

No write is ever repeated. A query that changes nothing may be, up to three times in all (`again`). After an answer
that was late, lost or garbled, the line is cleared until `*IDN?` is answered with the instrument's identity. Only then
the next query is sent, so that no answer is taken for that to another query.
"""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import pyvisa
from pyvisa.constants import StatusCode
from pyvisa.resources import TCPIPSocket
from qcodes.instrument import VisaInstrument

from drivers.errors import CommunicationError, OverloadError, ReadingError, RejectedCommandError, SettingError

__all__ = ["OVERFLOW", "CheckedInstrument", "measured"]

#: Readings from here on are SCPI's markers for over-range (±9.9e37), not-a-number (9.91e37) and the like.
OVERFLOW = 9.8e37
MOST_ERRORS = 50
# A socket counts as empty after SILENCE (ms) without a byte; clearing it fails after LONGEST (s).
SILENCE, LONGEST = 100, 2.0
# Number of unexpected answers, and of timeouts, after which clearing a line fails.
MOST_STRAY, MOST_SILENT = 6, 2
RETRIES = 2
# Number of answers that may be missing from a snapshot.
MOST_UNANSWERED = 1

Answer = TypeVar("Answer")


class CheckedInstrument(VisaInstrument):
    """A VISA instrument whose failures are errors of `drivers.errors`."""

    on_message: Callable[[float], None] = staticmethod(lambda longest: None)
    """Called before each message with the longest time (s) that it may take."""

    _last_command = "nothing yet"
    _identity = ""
    _in_step = True
    _in_snapshot = False

    def __init__(self, name: str, address: str, **kwargs: Any) -> None:
        self._unanswered: list[CommunicationError] = []
        self._visa_name = address
        super().__init__(name, address, **kwargs)

    @property
    def described(self) -> str:
        """Name and address, for messages."""
        return f"{self.name} ({self._visa_name})"

    def connect_message(self, idn_param: str = "IDN", begin_time: float | None = None) -> None:
        """Log the connection, which QCoDeS would print on standard output."""
        self.log.info("Connected to %s: %s", self.described, self.parameters[idn_param].get())
        self._identity = self.ask("*IDN?").strip()

    def device_clear(self) -> None:
        """Discard pending answers. A socket is read empty, because it cannot be cleared otherwise.

        Raises
        ------
        pyvisa.Error, OSError
            If the bus fails.

        """
        handle = self.visa_handle
        if not isinstance(handle, TCPIPSocket):
            super().device_clear()
            return
        # Not PyVISA-py's clear(), which never returns if the socket was closed. An empty socket times out.
        before, handle.timeout = handle.timeout, SILENCE
        deadline = time.monotonic() + LONGEST
        try:
            with suppress(pyvisa.VisaIOError), handle.ignore_warning(StatusCode.success_max_count_read):
                while time.monotonic() < deadline:
                    handle.visalib.read(handle.session, handle.chunk_size)
        finally:
            handle.timeout = before

    def _announce(self, more: float = 0.0) -> None:
        self.on_message(self.visa_handle.timeout / 1e3 + more)

    def lost_step(self) -> None:
        """Note that an answer was late, lost or not that to its query."""
        self._in_step = not self._identity  # without an identity to compare with, the line cannot be checked

    def regain_step(self) -> None:
        """Clear the line, so that the next answer is that to the next query.

        Raises
        ------
        CommunicationError
            If the instrument no longer answers `*IDN?` with its identity.

        """
        silent, said = 0, ""
        for _ in range(MOST_STRAY):
            if self._in_step or silent == MOST_SILENT:
                break
            self._announce(LONGEST)
            try:
                self.device_clear()
                said = self.ask_raw("*IDN?").strip()
                self._in_step = said == self._identity
            except pyvisa.VisaIOError:
                silent += 1
            except UnicodeDecodeError as error:
                said = repr(error.object[:80])
            except OSError as error:  # the connection is lost
                said = str(error)
                break
        if not self._in_step:
            raise CommunicationError(
                self.described,
                f"does not answer *IDN? as {self._identity[:80]!r} any more (last: {said[:80] or 'silence'!r}).",
                "Check cable and power, and that no other program drives the instrument.",
            )

    def again(self, question: Callable[[], Answer]) -> Answer:
        """Call `question`, a query that changes nothing, again if there is no usable answer.

        Raises
        ------
        CommunicationError
            If there is none the third time, or the connection is lost.

        """
        for _ in range(RETRIES):
            try:
                return question()
            except CommunicationError as error:
                self.lost_step()
                self.regain_step()
                self.log.warning("repeating a query: %s", error)
        return question()

    # QCoDeS's write() and ask() append to an exception's arguments, which spoils the message, so both are replaced.

    def write(self, cmd: str) -> None:
        """Send a command once.

        Raises
        ------
        CommunicationError
            If the bus fails.

        """
        self._last_command = cmd
        self._announce()
        try:
            self.write_raw(cmd)
        except (pyvisa.Error, OSError) as error:  # PyVISA-py does not convert a socket's errors
            raise CommunicationError(
                self.described,
                f"the command {cmd!r} could not be sent: {error}.",
                "It may have been executed or not: check cable and power, then read the state back.",
            ) from error

    def ask(self, cmd: str) -> str:
        """Send a query and return its answer.

        Raises
        ------
        CommunicationError
            If the bus fails or there is no answer within the timeout.

        """
        if len(self._unanswered) > MOST_UNANSWERED:
            raise self._unanswered[-1]
        try:
            return self._answered(cmd)
        except CommunicationError as error:
            if self._in_snapshot:
                self._unanswered.append(error)
            raise

    def _answered(self, cmd: str) -> str:
        self.regain_step()
        self._last_command = cmd
        self._announce()
        try:
            return self.ask_raw(cmd)
        except (pyvisa.Error, OSError, UnicodeDecodeError) as error:
            self.lost_step()
            raise CommunicationError(
                self.described,
                f"no usable answer to {cmd!r}: {str(error).rstrip('.')}.",
                "Check cable and power, and that no other program drives the instrument.",
            ) from error

    def snapshot_base(
        self, update: bool | None = False, params_to_skip_update: Sequence[str] | None = None
    ) -> dict[Any, Any]:
        """As QCoDeS's, which omits unreadable parameters; but a silent instrument is not queried for all.

        Raises
        ------
        CommunicationError
            If more than one answer is missing: dozens of timeouts would take minutes.

        """
        self._in_snapshot = True
        try:
            found = super().snapshot_base(update, params_to_skip_update)
            if len(self._unanswered) > MOST_UNANSWERED:
                raise self._unanswered[-1]
        finally:
            self._in_snapshot, self._unanswered = False, []
        return dict(found)

    def unexpected(self, answer: str, query: str, expected: str) -> CommunicationError:
        """The error of an `answer` that does not belong to `query`; the line is cleared before the next query."""
        self.lost_step()
        return CommunicationError(
            self.described,
            f"answered {answer[:80]!r} to {query!r}; {expected} expected.",
            "An answer may have been late or lost: clear the instrument and repeat the run.",
        )

    def ask_numbers(self, cmd: str, count: int) -> list[float]:
        """Query exactly `count` comma-separated numbers; markers and NaN are returned unchanged.

        Raises
        ------
        CommunicationError
            If the answer is anything else.

        """
        answer = self.ask(cmd)
        try:
            numbers = [float(part) for part in answer.split(",")]
        except ValueError:
            numbers = []
        if len(numbers) != count:
            raise self.unexpected(answer, cmd, f"{count} number(s)")
        return numbers

    def ask_number(self, cmd: str) -> float:
        """Query one number; see `ask_numbers`."""
        return self.ask_numbers(cmd, 1)[0]

    def ask_integer(self, cmd: str) -> int:
        """Query a register, a whole number of at most 16 bits; see `ask_numbers`."""
        number = self.ask_number(cmd)
        if not (number.is_integer() and 0 <= number < 1 << 16):
            raise self.unexpected(f"{number:g}", cmd, "a whole number from 0 to 65535")
        return int(number)

    def measured(self, value: float, quantity: str) -> float:
        """Return `value` if it is a measurement; see the function `measured`."""
        return measured(value, quantity, self.described)

    def apply(self, command: str, value: Any, *, tolerance: float = 0.0) -> float:
        """Write `command value` once and read the setting back.

        Parameters
        ----------
        command
            Header of the command.
        value
            A number or a bool.
        tolerance
            Largest absolute difference that counts as equal.

        Returns
        -------
        float
            The setting as read back.

        Raises
        ------
        SettingError
            If the instrument reads back another value.

        """
        self.write(f"{command} {_text(value)}")
        found = self.ask_number(f"{command}?")
        if not abs(found - value) <= tolerance:
            raise self.refused(f"{command}?", f"{found:g}", f"{float(value):g}")
        return found

    def refused(self, query: str, found: str, requested: str) -> SettingError:
        """The error of a setting that reads back differently, with an entry of the instrument's error queue."""
        entry = self.next_error()
        reported = f"; the instrument reports {entry}" if entry else ""
        return SettingError(
            self.described,
            f"{query} reads {found} where {requested} was requested{reported}.",
            "Nothing was switched on. Check the value against the instrument's limits and its other settings.",
        )

    def next_error(self) -> str | None:
        """Remove the oldest entry from the instrument's error queue and return it; None if there is none."""
        entry = self.ask(":SYST:ERR?").strip()
        number = entry.partition(",")[0]
        try:
            return entry if int(number) != 0 else None
        except ValueError:
            raise self.unexpected(entry, ":SYST:ERR?", "a number and a text") from None

    def check_errors(self) -> None:
        """Empty the error queue.

        Raises
        ------
        OverloadError
            If an entry reports an overload.
        RejectedCommandError
            If there are other entries; the message has them and the last command.

        """
        last_command = self._last_command
        entries = "; ".join(self._drain())
        if "overload" in entries.lower():
            raise OverloadError(self.described, f"reports {entries}.", "Reduce the power at its input.")
        if entries:
            raise RejectedCommandError(
                self.described,
                f"reports {entries} (last command {last_command!r}).",
                "The command was not executed: compare it with the instrument's manual and limits.",
            )

    def discard_errors(self) -> None:
        """Move older entries of the error queue into the log."""
        for entry in self._drain():
            self.log.warning("%s had an older entry in its error queue: %s", self.described, entry)

    def _drain(self) -> list[str]:
        entries: list[str] = []
        while len(entries) < MOST_ERRORS and (entry := self.next_error()) is not None:
            entries.append(entry)
        return entries


def measured(value: float, quantity: str, described: str) -> float:
    """Return `value`, the reading of a `quantity` by the instrument `described`, if it is a measurement.

    Raises
    ------
    OverloadError
        For an over-range marker.
    ReadingError
        For NaN or infinity.

    """
    if not math.isfinite(value):
        raise ReadingError(described, f"{quantity} reads {value}, which is not a number.")
    if abs(value) >= OVERFLOW:
        raise OverloadError(described, f"{quantity} is over-range (marker {value:g}).", "Choose a higher range.")
    return value


def _text(value: Any) -> str:
    """Parameter text: ON/OFF for bools, 10 significant digits for numbers."""
    if isinstance(value, bool):
        return "ON" if value else "OFF"
    return str(value) if isinstance(value, int) else f"{float(value):.10g}"
