"""What an open station declares to its oversight, and to the watchdog: that this process is alive."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

from drivers.scpi import CheckedInstrument
from drivers.web_line import WebInstrument
from labnis.errors import RequestError
from labnis.station.config import GUARDIAN_ACTS_WITHIN
from labnis.station.connecting import longest_answer
from labnis.station.oversight import Oversight
from labnis.station.watchdog import StationWatchdog

__all__ = ["Declarations"]


class Declarations:
    """Declares how long calls take, and feeds the watchdog meanwhile; fills `Oversight` for what moves.

    Parameters
    ----------
    oversight
        Is told.

    Attributes
    ----------
    patience
        Of the oversight.
    watchdog
        Of the station; None if it has none, or it is not open yet.

    """

    def __init__(self, oversight: Oversight) -> None:
        self.patience = oversight.patience
        self.watchdog: StationWatchdog | None = None
        self._on_reconnected: Callable[[str], None] = lambda said: None
        self._oversight = oversight
        self._unannounced = self._blocked_until = 0.0

    def count(self, instrument: Any) -> None:
        """Take into account how long an answer of `instrument` may take."""
        if isinstance(instrument, CheckedInstrument | WebInstrument):
            instrument.on_message = self._awaits_answer
            if isinstance(instrument, CheckedInstrument):
                instrument.on_reconnected = self._reconnected
        else:
            self._unannounced = max(self._unannounced, longest_answer(instrument) - self.patience)

    def watch_connections(self, report: Callable[[str], None]) -> None:
        """Call `report` with a sentence whenever the broken connection of an instrument was opened again."""
        self._on_reconnected = report

    def _reconnected(self, said: str) -> None:
        self._on_reconnected(said)

    def alive(self, seconds: float) -> None:
        """Declare that the next call takes at most `seconds` (s), beside an answer of an instrument.

        An answer takes a few milliseconds, or the VISA timeout of its instrument where it is lost. That may pass
        without a sign of life, so only what is longer than the patience of the oversight is declared.
        """
        left = self._blocked_until - time.monotonic()
        self._oversight.alive(max(seconds + self._unannounced, left))

    def _awaits_answer(self, longest: float) -> None:
        """Declare that an answer is lost after `longest` (s)."""
        self.alive(max(0.0, longest - self.patience))

    def sleeps(self, seconds: float) -> None:
        """As `alive`, while no message of an instrument is under way: the watchdog is fed."""
        self.alive(seconds)
        if self.watchdog is not None:
            self.watchdog.feed()

    @contextlib.contextmanager
    def blocking(self, seconds: float) -> Iterator[None]:
        """Declare that the calls in the context take up to `seconds` (s).

        Raises
        ------
        RequestError
            The watchdog would act within that time.

        """
        if self.watchdog is not None and not seconds <= self.watchdog.timeout - GUARDIAN_ACTS_WITHIN:
            raise RequestError(
                f"blocking({seconds:g}): the watchdog switches the output off after labnis.limits.watchdog.timeout, "
                f"{self.watchdog.timeout:g} s; allowed are {self.watchdog.timeout - GUARDIAN_ACTS_WITHIN:g} s"
            )
        outer = self._blocked_until
        self._blocked_until = max(outer, time.monotonic() + seconds)
        self.alive(0.0)
        try:
            yield
        finally:
            self._blocked_until = outer
            self.alive(0.0)

    def permit(self) -> None:
        """Raise TakenOverError if the guardian of this run has taken over."""
        self._oversight.permit()
        self.sleeps(0.0)

    def watchdog_problem(self) -> str:
        """Why the watchdog may not be fed any more; empty if it is, or if there is none."""
        return "" if self.watchdog is None else self.watchdog.problem

    def note(self, role: str, moves: bool) -> None:
        """Say that `role` is moved from now on, or that it is at its end."""
        self._oversight.note(role, moves)

    def failed(self, error: Exception) -> None:
        """Say that `error` kept something that was moved from its end."""
        self._oversight.failed(error)
