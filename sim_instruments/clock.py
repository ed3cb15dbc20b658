"""Time of the simulated fridge: simulated for a dry run, real for a twin that other programs share."""

import time

__all__ = ["RealClock", "SimulatedClock"]


class SimulatedClock:
    """Time that passes only when somebody waits for it, so that an hour of settling costs nothing."""

    def __init__(self) -> None:
        self._now = 0.0

    def time(self) -> float:
        """Simulated time since the fridge was switched on (s)."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Let `seconds` of simulated time pass at once."""
        if not seconds >= 0:
            raise ValueError(f"cannot sleep for {seconds} s; a non-negative time is needed")
        self._now += seconds


class RealClock:
    """The machine's monotonic clock."""

    def time(self) -> float:
        """Monotonic time (s)."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep for real."""
        time.sleep(seconds)
