"""The clock of a real run."""

import time
from collections.abc import Callable

__all__ = ["SystemClock"]

SLICE = 0.2
"""Longest time (s) that the clock sleeps without declaring that the process is alive."""


class SystemClock:
    """The machine's monotonic clock, independent of steps of the wall clock.

    Parameters
    ----------
    alive
        Called during a sleep, with the time (s) until the next call.

    """

    def __init__(self, alive: Callable[[float], None] = lambda seconds: None) -> None:
        self._alive = alive

    def time(self) -> float:
        """Monotonic time (s)."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep for `seconds`."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._alive(SLICE)
            time.sleep(min(left, SLICE))
        self._alive(0.0)
