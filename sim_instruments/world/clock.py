"""Time of the simulated fridge: simulated for a dry run, real for a twin that other programs share.

An instrument that acts without a message, such as a source that ramps, schedules actions with `later`; as time
passes, due actions are executed in order.
"""

import heapq
import itertools
import math
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable

__all__ = ["RealClock", "SharedClock", "SimulatedClock"]


class _Agenda:
    """Scheduled actions, in order of their times (s)."""

    def __init__(self) -> None:
        self._actions: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()

    def add(self, due: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._actions, (due, next(self._number), action))

    def first(self) -> float:
        """When the first is due; infinite if there is none."""
        return self._actions[0][0] if self._actions else math.inf

    def carry_out_first(self) -> None:
        heapq.heappop(self._actions)[2]()


class _AgendaClock(ABC):
    """A clock whose actions are executed by the thread that sleeps."""

    def __init__(self) -> None:
        self._agenda = _Agenda()

    @abstractmethod
    def time(self) -> float:
        """Now (s)."""

    @abstractmethod
    def _wait_until(self, due: float) -> None:
        """Let the time pass until `due` (s)."""

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds`, and execute the actions that become due."""
        if not seconds >= 0:
            raise ValueError(f"cannot sleep for {seconds} s; a non-negative time is needed")
        until = self.time() + seconds
        while (due := self._agenda.first()) <= until:
            self._wait_until(due)
            self._agenda.carry_out_first()
        self._wait_until(until)

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Execute `action` after `seconds`, or with the first sleep thereafter."""
        self._agenda.add(self.time() + seconds, action)


class SimulatedClock(_AgendaClock):
    """Time that passes only while a caller sleeps, so that an hour of settling takes no real time."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0

    def time(self) -> float:
        """Simulated time since the fridge was switched on (s)."""
        return self._now

    def _wait_until(self, due: float) -> None:
        self._now = due


class RealClock(_AgendaClock):
    """The machine's monotonic clock. Actions that are due between two sleeps are executed late."""

    def time(self) -> float:
        """Monotonic time (s)."""
        return time.monotonic()

    def _wait_until(self, due: float) -> None:
        time.sleep(max(0.0, due - time.monotonic()))


class SharedClock:
    """Real time for instruments that work at once in several threads: a thread that sleeps releases the World.

    Parameters
    ----------
    turn
        Lock around the World. Every caller of `sleep` and `later` holds it.
    speed
        Time of the instruments per real time; above 1 they need less real time for their work. Actions of
        `later` still take real time, because it is used to check the rates of ramps.

    """

    def __init__(self, turn: threading.Lock, speed: float = 1.0) -> None:
        if not speed > 0:
            raise ValueError(f"speed is {speed!r}; a positive number is needed")
        self._turn = turn
        self._speed = speed
        self._stopped = threading.Event()
        self._agenda = _Agenda()
        self._agenda_changed = threading.Event()
        threading.Thread(target=self._carry_out, name="scheduled actions of the instruments", daemon=True).start()

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

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Execute `action` after `seconds` of real time, in a separate thread that holds the turn meanwhile."""
        self._agenda.add(time.monotonic() + seconds, action)
        self._agenda_changed.set()

    def _carry_out(self) -> None:
        while not self._stopped.is_set():
            self._agenda_changed.clear()
            with self._turn:
                while self._agenda.first() <= time.monotonic():
                    self._agenda.carry_out_first()
                remaining = self._agenda.first() - time.monotonic()
            self._agenda_changed.wait(min(max(0.0, remaining), threading.TIMEOUT_MAX))

    def stop(self) -> None:
        """End all waiting, now and later."""
        self._stopped.set()
        self._agenda_changed.set()
