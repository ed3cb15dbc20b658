"""Time of the simulated fridge: simulated for a dry run, real for a twin that other programs share."""

import threading
import time

__all__ = ["RealClock", "SharedClock", "SimulatedClock"]


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


class SharedClock:
    """Real time for instruments that work at once in several threads: whoever waits leaves the World to the others.

    Parameters
    ----------
    turn
        Lock around the World. Every caller of `sleep` holds it.
    speed
        Time of the instruments per real time; above 1 they need less real time for their work.

    """

    def __init__(self, turn: threading.Lock, speed: float = 1.0) -> None:
        if not speed > 0:
            raise ValueError(f"speed is {speed!r}; a positive number is needed")
        self._turn = turn
        self._speed = speed
        self._stopped = threading.Event()

    def time(self) -> float:
        """Monotonic time of the instruments (s)."""
        return time.monotonic() * self._speed

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of the instruments' time, or until `stop`."""
        deadline = self.time() + seconds
        self._turn.release()
        try:
            while (remaining := deadline - self.time()) > 0 and not self._stopped.wait(remaining / self._speed):
                pass
        finally:
            self._turn.acquire()

    def stop(self) -> None:
        """End all waiting, now and later."""
        self._stopped.set()
