"""The locks of an open station: those that it holds, and those of a run in whose place it acts."""

import contextlib
from collections.abc import Collection

from labnis.station.lock import HeldLock, hold

__all__ = ["HeldLocks"]


class HeldLocks:
    """Locks that are held until `stack` is closed.

    Parameters
    ----------
    stack
        Releases them.
    of_run
        Process whose locks do not count: a guardian acts while its own run holds them.

    """

    def __init__(self, stack: contextlib.ExitStack, of_run: int | None) -> None:
        self._stack = stack
        self._of_run = of_run
        self._needed: set[str] = set()
        self._held: dict[str, HeldLock] = {}

    def hold(self, names: Collection[str]) -> None:
        """Hold the locks called `names`, too.

        Raises
        ------
        BusyError
            Another process holds one of them.

        """
        self._needed |= {*names}
        self._held |= self._stack.enter_context(hold({*names} - self._held.keys(), of_run=self._of_run))

    def keep(self) -> None:
        """Hold what the run has released since; called before each write.

        Raises
        ------
        BusyError
            Another process holds it by now, so that nothing may be written.

        """
        if released := self._needed - self._held.keys():
            self.hold(released)

    def lost(self) -> str:
        """What happened to a lock that no longer keeps others away; empty if all do."""
        return next((problem for lock in self._held.values() if (problem := lock.problem())), "")
