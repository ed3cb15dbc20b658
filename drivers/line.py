"""The line to an instrument: every failure of it is a CommunicationError, and each answer belongs to its query.

No write is ever repeated. A query that changes nothing may be, up to three times in all (`again`). After an answer
that was late, lost or garbled, the line is cleared until `*IDN?` is answered with the instrument's identity. Only then
the next query is sent, so that no answer is taken for that to another query. A network connection that broke is opened
again on the way: `reconnections` counts that, and the call that failed has failed all the same.

PyVISA and PyVISA-py raise exceptions of many classes (VisaIOError, RPCError, struct.error …): all are translated.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import pyvisa
from pyvisa.constants import StatusCode
from pyvisa.resources import TCPIPInstrument, TCPIPSocket
from qcodes.instrument import VisaInstrument
from qcodes.utils import DelayedKeyboardInterrupt

from drivers.bounded_read import read_in_time
from drivers.errors import CommunicationError

__all__ = ["InstrumentLine"]

# A socket counts as empty after SILENCE (ms) without a byte; SHORT bytes are cleared at a time, for LONGEST (s).
SILENCE, LONGEST, SHORT = 100, 2.0, 64
# Number of unexpected answers, and of timeouts, after which clearing a line fails.
MOST_STRAY, MOST_SILENT = 6, 2
RETRIES = 2
# A raw socket does not say where a message ends; other interfaces do.
SOCKET_TERMINATOR = "\n"
# A broken network connection is opened again within RECONNECTED_WITHIN (s), each attempt taking CONNECTING (s) at most.
RECONNECTED_WITHIN, CONNECTING, PAUSE = 5.0, 2.0, 0.25
# An answer that is longer (bytes) has no end; that of a trace has the length that was asked for (`expecting`).
LONGEST_ANSWER = 1 << 16
# Number of answers that may be missing from a snapshot.
MOST_UNANSWERED = 1
CHECK_LINE = "Check that it is switched on and connected, and that no other program uses it."

Answer = TypeVar("Answer")


class IncompleteAnswerError(pyvisa.Error):  # told like failures of PyVISA
    """An answer without its end."""


class InstrumentLine(VisaInstrument):
    """A VISA instrument whose failures of communication are CommunicationErrors."""

    on_message: Callable[[float], None] = staticmethod(lambda longest: None)
    """Called before each message with the longest time (s) that it may take."""
    on_reconnected: Callable[[str], None] = staticmethod(lambda said: None)
    """Called with a sentence after a broken connection was opened again."""
    reconnections = 0
    """How often that has happened."""

    _last_command = "nothing yet"
    _last_answer = ""
    _identity = ""
    _in_step = True
    _in_snapshot = False
    _longest_answer = LONGEST_ANSWER

    def __init__(self, name: str, address: str, **kwargs: Any) -> None:
        self._unanswered: list[CommunicationError] = []
        self._visa_name = address
        if address.upper().endswith("::SOCKET") and self.default_terminator is None:
            self.default_terminator = SOCKET_TERMINATOR
        super().__init__(name, address, **kwargs)

    @property
    def described(self) -> str:
        """Name and address, for messages."""
        return f"{self.name} ({self._visa_name})"

    def connect_message(self, idn_param: str = "IDN", begin_time: float | None = None) -> None:
        """Read the identity, twice, and log it; QCoDeS would print it on standard output.

        Raises
        ------
        CommunicationError
            If there is no answer, or the second one is another.

        """
        said, again = self.ask("*IDN?").strip(), self.ask("*IDN?").strip()
        if said != again:
            raise self.unexpected(again, "*IDN?", f"{said[:80]!r}, as before,")
        self._identity = again
        self.log.info("Connected to %s: %s", self.described, again)

    # --- in step -----------------------------------------------------------------------------------------------------

    def device_clear(self) -> None:
        """Discard pending answers. A socket is read empty, because it cannot be cleared otherwise.

        Raises
        ------
        Exception
            Of PyVISA or its library, if the bus fails.

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
                    handle.visalib.read(handle.session, SHORT)  # bytes that come one by one have no end
        finally:
            handle.timeout = before

    def _announce(self, more: float = 0.0) -> None:
        """Call `on_message`, whose own exceptions are not those of the line."""
        longest = 0.0
        with suppress(Exception):  # the connection is lost: the message itself reports it
            longest = self.visa_handle.timeout / 1e3
        self.on_message(longest + more)

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
        said = self._cleared()
        if not self._in_step and self._reconnected():
            said = self._cleared()
            if self._in_step:
                self.reconnections += 1
                lost = f"{self.described}: its connection was lost, and is open again (number {self.reconnections})."
                self.log.warning(lost)
                self.on_reconnected(lost)
        if not self._in_step:
            raise CommunicationError(
                self.described,
                f"does not answer *IDN? as {self._identity[:80]!r} any more (last: {said[:80] or 'silence'!r}).",
                CHECK_LINE,
            )

    def _cleared(self) -> str:
        """Clear the line until `*IDN?` is answered with the identity; the last answer, if it is another."""
        silent, said = 0, ""
        for _ in range(MOST_STRAY):
            if self._in_step or silent == MOST_SILENT:
                break
            self._announce(LONGEST)
            try:
                self.device_clear()
                said = self._last_answer = self.ask_raw("*IDN?").strip()
                self._in_step = said == self._identity
            except (pyvisa.VisaIOError, IncompleteAnswerError):
                silent += 1
            except UnicodeDecodeError as error:
                said = repr(error.object[:80])
            except Exception as error:  # noqa: BLE001  # see the head of this module: the connection is lost
                said = _told(error)
                break
        return said

    def _reconnected(self) -> bool:
        """Open a network connection anew; whether that succeeded."""
        handle = self.visa_handle
        if not isinstance(handle, TCPIPSocket | TCPIPInstrument):
            return False
        timeout = self.timeout.cache.get(False)
        with suppress(Exception):  # it is lost
            handle.close()
        deadline = time.monotonic() + RECONNECTED_WITHIN
        while time.monotonic() < deadline:
            self.on_message(CONNECTING)
            try:
                handle.open(open_timeout=round(1e3 * CONNECTING))
                handle.timeout = 1e3 * timeout if timeout is not None else float("inf")
                handle.read_termination = handle.read_termination  # an attribute of the session, too
            except Exception:  # noqa: BLE001  # as above; the instrument may not be back yet
                time.sleep(PAUSE)
            else:
                return True
        return False

    def distinguish(self, passes: Callable[[str], bool]) -> None:
        """Make sure that the next answer is not mistaken: if the last one `passes` for it, `*IDN?` is queried.

        An instrument that is one answer behind gives the last one again, where only its form shows to which query it
        belongs.

        Raises
        ------
        CommunicationError
            If `*IDN?` is not answered with the instrument's identity.

        """
        if not (self._identity and passes(self._last_answer)):
            return
        answer = self.ask("*IDN?")
        if answer.strip() != self._identity:
            raise self.unexpected(answer, "*IDN?", f"{self._identity[:80]!r}")

    def unexpected(self, answer: str, query: str, expected: str) -> CommunicationError:
        """The error of an `answer` that does not belong to `query`; the line is cleared before the next query."""
        self.lost_step()
        return CommunicationError(
            self.described,
            f"answered {answer.strip()[:80]!r} to {query!r}; {expected} expected.",
            "An answer may have been late or lost: clear the instrument and repeat the run.",
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

    # --- messages ----------------------------------------------------------------------------------------------------
    # QCoDeS's write() and ask() append to an exception's arguments, which spoils the message, so both are replaced.

    def ask_raw(self, cmd: str) -> str:
        """Send a query and return its answer, which must be complete; as QCoDeS's, not interrupted by Ctrl-C.

        Raises
        ------
        IncompleteAnswerError
            If the answer does not end with the terminator, or has more than `LONGEST_ANSWER` bytes.

        """
        with DelayedKeyboardInterrupt(context={"instrument": self.name, "reason": "query"}):
            self.write_raw(cmd)
            answer = self._line()
            self.visa_log.debug("Response: %s", answer)
        return answer

    def _line(self) -> str:
        """One line of an answer, without its terminator; PyVISA's own has no bound and need not have one."""
        handle = self.visa_handle
        line = read_in_time(handle, self._longest_answer, line=True).decode("ascii")
        terminator = handle.read_termination or ""
        if len(line) >= self._longest_answer:
            raise IncompleteAnswerError(f"it has {self._longest_answer} bytes and no end")
        if not line.endswith(terminator):
            raise IncompleteAnswerError(f"{line[:80]!r} is not complete: the terminator {terminator!r} is missing")
        return line.removesuffix(terminator)

    def write(self, cmd: str) -> None:
        """Send a command once.

        Raises
        ------
        CommunicationError
            If the bus fails.

        """
        self.regain_step()
        self._last_command = cmd
        self._announce()
        try:
            self.write_raw(cmd)
        except Exception as error:
            self.lost_step()
            raise CommunicationError(
                self.described,
                f"the command {cmd!r} could not be sent: {_told(error)}.",
                "It may or may not have been executed: check that it is switched on and connected, then read it back.",
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
            self.regain_step()
            self._last_command = cmd
            self._announce()
            with self._translated(cmd):
                self._last_answer = self.ask_raw(cmd)
        except CommunicationError as error:
            if self._in_snapshot:
                self._unanswered.append(error)
            raise
        return self._last_answer

    def receive(self, query: str, count: int) -> bytes:
        """Receive exactly `count` bytes of the answer to `query`, which was sent before.

        Raises
        ------
        CommunicationError
            If the bus fails or they do not come within the timeout.

        """
        self._last_answer = ""
        self._announce()
        with self._translated(query):
            return read_in_time(self.visa_handle, count, line=False)

    def receive_line(self, query: str) -> str:
        """Receive one more line of the answer to `query`; as `receive`."""
        self._announce()
        with self._translated(query):
            return self._line()

    @contextmanager
    def expecting(self, size: int) -> Iterator[None]:
        """Within this block, take answers of less than `size` bytes, where that is more than of most queries."""
        self._longest_answer = max(LONGEST_ANSWER, size)
        try:
            yield
        finally:
            self._longest_answer = LONGEST_ANSWER

    @contextmanager
    def _translated(self, query: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.lost_step()
            raise CommunicationError(
                self.described, f"no usable answer to {query!r}: {_told(error)}.", CHECK_LINE
            ) from error

    @contextmanager
    def waiting(self, seconds: float) -> Iterator[None]:
        """Extend the timeout within this block to `seconds`, if it is shorter.

        Raises
        ------
        CommunicationError
            If the connection is lost.

        """
        try:
            before = self.visa_handle.timeout
            self.visa_handle.timeout = max(before, 1e3 * seconds)
        except Exception as error:
            raise CommunicationError(self.described, f"the connection is lost: {_told(error)}.", CHECK_LINE) from error
        try:
            yield
        finally:
            with suppress(Exception):  # the connection is lost: the next query reports it
                self.visa_handle.timeout = before

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


def _told(error: Exception) -> str:
    """What an exception says, without a full stop; with its class where that is not PyVISA's."""
    if isinstance(error, UnicodeDecodeError):
        return f"{error.object[:40]!r} is no text: another program may have chosen a binary format"
    said = str(error).rstrip(".")
    return said if isinstance(error, pyvisa.Error) and said else f"{type(error).__name__}: {said}".rstrip(": ")
