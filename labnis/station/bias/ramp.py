"""Rate of a level: its steps, and the time between them."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from drivers.roles import Clock

if TYPE_CHECKING:  # sections imports this module
    from labnis.station.sections import Limits

__all__ = ["SHARE_OF_RATE", "RateLimiter", "allowed_step", "largest_step", "ramp_points"]

WINDOW = 0.1
"""Time (s) over which the mean rate of the bias never exceeds the limit."""

SHARE_OF_RATE = 0.8
"""Mean rate of a ramp per allowed rate; the rest allows for differences between the clocks of PC and instrument."""

SHARE_OF_STEP = 0.199
"""Largest step per (rate × window). A window may open just before one step and close just after another, so it holds
SHARE_OF_RATE·rate·WINDOW plus one whole step: with this share that sum stays within rate·WINDOW."""


def largest_step(rate: float, window: float = WINDOW) -> float:
    """Largest single step that keeps `rate` (units/s) over every `window` (s)."""
    return SHARE_OF_STEP * rate * window


def allowed_step(limits: "Limits") -> float:
    """Largest single step of the bias (V) within the `limits`."""
    return min(limits.maximum_step, largest_step(limits.ramp_rate))


def ramp_points(start: float, target: float, step: float) -> Iterator[float]:
    """Points of an even ramp after `start`, in steps of at most `step`; the last is exactly `target`.

    Where `start` is `target` the only point is `target`.
    """
    steps = max(1, math.ceil(abs(target - start) / step))
    for index in range(1, steps):
        yield start + (target - start) * index / steps
    yield target


class RateLimiter:
    """Keeps the time between writes that the limits require.

    Parameters
    ----------
    step
        Largest single step.
    rate
        Largest rate (units/s).
    clock
        The experiment's clock.

    Attributes
    ----------
    step
        Largest single step.
    clock
        What it waits by; another one of the same time may take its place.

    Notes
    -----
    The deadline counts from the return of the last write, so two writes never reach the instrument closer together
    than their step allows, however late the first was: a delay is never made up.

    """

    def __init__(self, step: float, rate: float, clock: Clock) -> None:
        self.step = step
        self._rate = SHARE_OF_RATE * rate
        self.clock = clock
        # What was written before this object existed is unknown: take it for a full step, made just now.
        self._deadline = clock.time() + self.time_of(step)

    def wait(self) -> None:
        """Wait until the next write is allowed."""
        while (remaining := self._deadline - self.clock.time()) > 0:
            self.clock.sleep(remaining)

    def stepped(self, step: float) -> None:
        """Note that a step of `step` was written just now."""
        self._deadline = self.clock.time() + self.time_of(step)

    def time_of(self, change: float) -> float:
        """Time (s) that `change` takes."""
        return abs(change) / self._rate
