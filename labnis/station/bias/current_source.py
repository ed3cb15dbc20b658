"""A bias source that an earlier user has left as a current source: its current is ramped to zero.

Its voltage level says nothing then: it may read 0 V while a current flows through the device.
"""

import logging
from collections.abc import Callable
from typing import cast

from drivers.errors import InstrumentError
from drivers.protection import CurrentSourcing
from drivers.roles import BiasSource, Clock
from labnis.station.bias.level import Level
from labnis.station.bias.ramp import RateLimiter, largest_step
from labnis.station.bias.ramp_executor import RampExecutor
from labnis.station.role_check import missing_members
from labnis.station.sections import Limits

__all__ = ["end_current_source", "is_live_current_source"]

logger = logging.getLogger(__name__)


class _Current:
    """The current of a source as an `Adjustable`."""

    def __init__(self, source: CurrentSourcing) -> None:
        self.set_level, self.level = source.set_current, source.current_level


def is_live_current_source(source: BiasSource, name: str) -> bool:
    """Whether `source`, called `name` in messages, sources current with its output on."""
    if missing_members(source, CurrentSourcing):
        return False
    return _sources_current(cast(CurrentSourcing, source), name) and source.output_enabled()


def end_current_source(
    source: BiasSource, name: str, limits: Limits, clock: Clock, permit: Callable[[], None]
) -> float | None:
    """Ramp the current of `source` to zero and verify it by reading back, if it sources current with its output on.

    The ramp takes as long as one of the bias from its largest value, or less.

    Parameters
    ----------
    source
        The bias source; without the methods of `CurrentSourcing` nothing is done.
    name
        Name and address of the source, for messages.
    limits
        Of the station.
    clock
        Time of the ramp.
    permit
        Called before each write; raises where nothing may be written any more.

    Returns
    -------
    float or None
        The current found (A); None if it sources voltage, or its output is off.

    Raises
    ------
    InstrumentError
        Its output or current cannot be read, or its current is not zero.

    """
    if not is_live_current_source(source, name):
        return None
    level = Level(
        _Current(cast(CurrentSourcing, source)), name, unit="A", tolerance=1e-3 * limits.compliance, permit=permit
    )
    found = level.read_back_twice()
    logger.warning("%s sources current, %g A, with its output on: ramping it to 0", name, found)
    rate = max(abs(found), limits.compliance) * limits.ramp_rate / limits.maximum_bias
    RampExecutor(level, RateLimiter(largest_step(rate), rate, clock)).to_zero(found)
    level.require(0.0, "after the ramp of the current to zero")
    return found


def _sources_current(source: CurrentSourcing, name: str) -> bool:
    """Whether it sources current; a source that does not say so in three attempts is taken for a voltage source."""
    for _ in range(3):
        try:
            return source.sources_current()
        except InstrumentError as error:
            logger.warning("%s does not say what it sources: %s", name, error)
    # Better than to leave the output on: nearly always it sources voltage, which is then ramped to zero.
    return False
