"""The clock at a real fridge."""

import time

__all__ = ["SystemClock"]


class SystemClock:
    """The machine's monotonic clock, independent of steps of the wall clock."""

    def time(self) -> float:
        """Monotonic time (s)."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep for `seconds`."""
        time.sleep(seconds)
