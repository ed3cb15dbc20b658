"""How fast a bias may move: steps, and the time that has to lie between them."""

import math
from collections.abc import Iterator

from drivers.roles import Clock
from labnis.station.config import Limits

__all__ = ["Pace", "ramp_points"]

WINDOW = 0.1
"""Time (s) over which the mean rate never exceeds the limit."""

PACE = 0.8
"""Mean rate of a ramp per allowed rate: what the clocks of PC and instrument may differ by is left over."""

SHARE_OF_STEP = 0.199
"""Largest step per (rate × window). A window may open just before one step and close just after another, so it holds
PACE·rate·WINDOW plus one whole step: with this share that sum stays within rate·WINDOW."""


def ramp_points(start: float, target: float, largest_step: float) -> Iterator[float]:
    """Points of an even ramp after `start`, in steps of at most `largest_step`; the last is exactly `target`.

    Where `start` is `target` the only point is `target`.
    """
    steps = max(1, math.ceil(abs(target - start) / largest_step))
    for index in range(1, steps):
        yield start + (target - start) * index / steps
    yield target


class Pace:
    """Keeps the time between writes that the limits ask for.

    Parameters
    ----------
    limits
        Step (V) and rate (V/s) of the bias.
    clock
        The experiment's clock.

    Attributes
    ----------
    largest_step
        Largest step (V) that respects both `maximum_step` and the rate over every window.

    Notes
    -----
    The deadline counts from the return of the last write, so two writes never reach the instrument closer together
    than their step allows, however late the first was: a delay is never caught up.

    """

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self.largest_step = min(limits.maximum_step, SHARE_OF_STEP * limits.ramp_rate * WINDOW)
        self._rate = PACE * limits.ramp_rate
        self._clock = clock
        # What was written before this object existed is unknown: take it for a full step, made just now.
        self._deadline = clock.time() + self.time_of(self.largest_step)

    def wait(self) -> None:
        """Wait until the next write is allowed."""
        while (remaining := self._deadline - self._clock.time()) > 0:
            self._clock.sleep(remaining)

    def stepped(self, step: float) -> None:
        """Note that a step of `step` (V) was written just now."""
        self._deadline = self._clock.time() + self.time_of(step)

    def time_of(self, way: float) -> float:
        """Time (s) that `way` (V) takes."""
        return abs(way) / self._rate
