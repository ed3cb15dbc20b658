"""Points of a sweep that the source measures by itself, some at a time: its messages take no time between them.

Between two such parts nothing moves: there interlocks and requests to stop act, and if this computer dies, the source
goes on for the rest of a part only, until the guardian stops it.
"""

import logging
import math
from collections.abc import Callable, Sequence
from itertools import pairwise, takewhile
from typing import cast

import numpy as np

from drivers.acquiring import reconnections
from drivers.capabilities import BufferedSweep
from drivers.errors import CommunicationError, RejectedCommandError, SettingError
from drivers.roles import BiasSource, SourceReading
from labnis.station.bias.level import Level
from labnis.station.bias.ramp import SHARE_OF_RATE, RateLimiter
from labnis.station.bias.ramp_executor import await_end
from labnis.station.role_check import missing_members
from labnis.station.sections import Limits

__all__ = ["AT_ONCE", "FEWEST", "BufferedSweeps", "measures_by_itself", "points_at_once"]

logger = logging.getLogger(__name__)

AT_ONCE = 2.0
"""Longest time (s) of a part, but for what the instrument needs beyond delays and integration."""

FEWEST = 4
"""A part with fewer points would take longer than the same points step by step: loading it takes a dozen messages."""


def measures_by_itself(source: object, limits: Limits) -> bool:
    """Whether a source, or its class, can, and its compliance is not one that only this computer checks."""
    own_limit: float = getattr(source, "smallest_compliance", 0.0)
    return own_limit <= limits.compliance and not missing_members(source, BufferedSweep)


def points_at_once(
    source: type | BufferedSweep, limits: Limits, *, step: float, settling: float, integration: float
) -> tuple[int, float]:
    """How many points of a sweep a source that can, or its class, measures at once, and the delay (s) of each.

    Parameters
    ----------
    source
        The bias source, or its class.
    limits
        Of the station.
    step
        Largest step from point to point (V), one that the limits allow.
    settling, integration
        Time (s) from a new level to its reading, and of the reading.

    """
    delay = max(settling, step / (SHARE_OF_RATE * limits.ramp_rate))
    count = min(cast(BufferedSweep, source).longest_sweep, int(AT_ONCE / (delay + integration)))
    return (count if count >= FEWEST else 0), delay


class BufferedSweeps:
    """Measures the next points of a sweep by the source itself.

    Parameters
    ----------
    source
        The bias source.
    level
        Its level, in V behind the divider.
    limiter
        Largest step, and the time that a step takes.
    limits
        Of the station.
    agrees
        Whether a reading agrees with the bias (V) that was set.

    Attributes
    ----------
    refused
        Whether the source has refused a sweep, or measured hardly anything right: it is not asked again.

    """

    def __init__(
        self,
        source: BiasSource,
        level: Level,
        limiter: RateLimiter,
        limits: Limits,
        agrees: Callable[[SourceReading, float], bool],
    ) -> None:
        self._source = cast(BufferedSweep, source)
        self._able = measures_by_itself(source, limits)
        self._level = level
        self._limiter = limiter
        self._limits = limits
        self._agrees = agrees
        self.refused = False

    def measure(
        self, biases: Sequence[float], settling: float, integration: float
    ) -> list[tuple[SourceReading, float]]:
        """Readings at the first of the `biases` (V), each `settling` (s) after its level was set, and their times (s).

        Empty where the source does not do that (`measures_by_itself`), or for too few points; less than were measured
        where one was beyond its range, the source at its limit or at another level. Then the next point is to be
        measured step by step, and all others where hardly any reading was right.

        Raises
        ------
        InstrumentError
            The source fails, or does not hold the last level.

        """
        if self.refused or not self._able:
            return []
        way = (abs(after - before) for before, after in pairwise([self._level.known(), *biases]))
        steps = list(takewhile(lambda step: step <= self._limiter.step, way))
        if len(steps) < FEWEST:
            return []
        count, delay = points_at_once(
            self._source, self._limits, step=max(steps), settling=settling, integration=integration
        )
        part = biases[: min(count, len(steps))]
        if len(part) < FEWEST:
            return []
        self._limiter.wait()
        self._level.permit()
        self._level.value = None  # unknown until it is read back
        connected = reconnections(self._source)
        try:
            measured = self._measured(part, delay, integration)
        except CommunicationError as error:
            self._source.halt_sweep()
            self._go_on_step_by_step("readings of its sweep are lost", error)
            self.refused = reconnections(self._source) == connected  # a lost connection is open again
            return []
        # A source that does not measure its current is no such source, or its output is off.
        right = takewhile(lambda one: math.isfinite(one[0].current) and self._agrees(one[0], one[2]), measured)
        found = [(reading, moment) for reading, moment, _ in right]
        if len(found) < FEWEST and not self.refused:
            told = "%s: of %d readings of its sweep %d are right; going on step by step"
            logger.warning(told, self._level.name, len(part), len(found))
            self.refused = True
        return found

    def _measured(
        self, part: Sequence[float], delay: float, integration: float
    ) -> list[tuple[SourceReading, float, float]]:
        """Readings, their times (s) and the biases (V) that were set; empty where the source refuses the sweep."""
        clock = self._limiter.clock
        began = clock.time()
        try:
            self._source.start_sweep([bias * self._level.scale for bias in part], delay)
        except (SettingError, RejectedCommandError) as error:  # according to the protocol nothing moved
            self._go_on_step_by_step("it refuses to measure by itself", error)
            return []
        readings = self._run(part, began + len(part) * (delay + integration))
        moments = np.linspace(began, clock.time(), len(part) + 1)[1:].tolist()
        return list(zip(readings, moments, part, strict=False))

    def _go_on_step_by_step(self, why: str, error: Exception) -> None:
        self._level.read_back_twice()
        logger.warning("%s: %s; going on step by step: %s", self._level.name, why, error)
        self.refused = True

    def _run(self, part: Sequence[float], end: float) -> list[SourceReading]:
        """Wait until the sweep, which is planned to last until `end` (s), has ended, and fetch its readings."""
        clock = self._limiter.clock
        try:
            await_end(self._source.sweep_running, end - clock.time(), clock, self._level, part[-1])
        finally:
            self._source.halt_sweep()  # what is left loaded could be started again by hand
            self._limiter.stepped(self._limiter.step)
        self._level.require(part[-1], "after a sweep of its own")
        return self._source.fetch_sweep(len(part))
