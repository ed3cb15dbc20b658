"""Instruments that only are read, and whose connection may be opened again: a thermometer on the network for weeks.

After a gap of the network a socket stays dead, though the instrument answers to a new one. A query that changes nothing
is repeated on a new connection, once it has answered `*IDN?` with the identity of before. Writes are never repeated.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from pyvisa.resources import MessageBasedResource

from drivers.errors import CommunicationError
from drivers.scpi import CheckedInstrument

__all__ = ["ReopenedInstrument"]

ATTEMPTS, PAUSE = 2, 0.5
"""How often a connection is opened again, and the time (s) before each time but the first."""
OPEN_TIMEOUT = 2.0
"""Time (s) that an instrument has to accept a connection."""

Answer = TypeVar("Answer")


class ReopenedInstrument(CheckedInstrument):
    """A VISA instrument whose lost connection is opened again for a query that changes nothing."""

    def again(self, question: Callable[[], Answer]) -> Answer:
        """Call `question` again if there is no usable answer, at last on a new connection.

        Raises
        ------
        CommunicationError
            There is none either, or another instrument answers.

        """
        self._lost = False
        try:
            return super().again(question)
        except CommunicationError as error:
            if not self._lost:  # it answers, but not what is expected: another connection would not help
                raise
            failure = error
        self.log.warning("opening the connection again: %s", failure)
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(PAUSE)
            try:
                self._open_again()
                return question()
            except CommunicationError as error:
                failure = error
        raise failure

    def regain_step(self) -> None:
        """As `InstrumentLine`'s, and note where the instrument does not answer any more."""
        try:
            super().regain_step()
        except CommunicationError:
            self._lost = True
            raise

    def _open_again(self) -> None:
        """Close the connection and open it, as it was set; the next query checks the identity."""
        handle = self.visa_handle
        self._announce(OPEN_TIMEOUT)
        try:
            timeout, termination = self._line_settings
            handle.close()
            handle.open(open_timeout=round(1e3 * OPEN_TIMEOUT))
            handle.timeout, handle.read_termination = timeout, termination
        except Exception as error:
            raise CommunicationError(
                self.described,
                f"the connection is lost and cannot be opened again: {str(error).rstrip('.') or type(error).__name__}.",
                "Check that it is switched on and connected, and that no other program uses it.",
            ) from error
        self.lost_step()

    @property
    def _line_settings(self) -> tuple[float, str | None]:
        """Timeout (ms) and terminator of the connection; those of the last one that was open."""
        handle: MessageBasedResource = self.visa_handle
        try:
            self._known_settings = handle.timeout, handle.read_termination
        except Exception:  # noqa: BLE001  # the session is closed; PyVISA's libraries raise different errors
            self.log.debug("the connection of %s has no settings any more", self.described)
        return self._known_settings

    _lost = False
    _known_settings: tuple[float, str | None] = (5000.0, "\n")
