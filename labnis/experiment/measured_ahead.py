"""Whether a source will measure the points of a sweep by itself, and what that saves: known before it is opened."""

from dataclasses import dataclass

import numpy as np
from pymeasure.experiment import Procedure

from labnis.station import StationConfig
from labnis.station.bias.buffered_sweep import FEWEST, measures_by_itself, points_at_once
from labnis.station.bias.ramp import allowed_step
from labnis.station.connecting import instrument_class
from labnis.station.role_check import source_class

__all__ = ["MeasuredAhead", "measured_ahead"]

MESSAGES = 7e-3
"""Time (s) of the messages of a point that is measured step by step: about seven, of 1 ms each."""

LOADING = 0.04
"""Time (s) of loading a part of a sweep, of noticing its end and of fetching its readings."""


@dataclass(frozen=True)
class MeasuredAhead:
    """A sweep in parts that the source measures by itself.

    Attributes
    ----------
    points, seconds
        Of one part, and how long it takes (s).
    ramped
        Time (s) of the whole sweep that ramps from point to point do not take, because they are in the settling time.
    saved
        Time (s) of the whole sweep that is saved, with that of messages.

    """

    points: int
    seconds: float
    ramped: float
    saved: float


def measured_ahead(procedure: Procedure, config: StationConfig) -> MeasuredAhead | None:
    """How the source measures by itself; None where each point is measured by its own messages."""
    ahead = getattr(procedure, "measures_ahead", None)
    if ahead is None or not ahead(config.roles) or not config.source_reads_current or "voltage" in config.roles:
        return None
    limits = config.limits
    steps = np.abs(np.diff(procedure.biases_in_order()))
    steps = steps[steps <= allowed_step(limits)]
    source = source_class(instrument_class(config, config.bias.instrument), config.bias.channel)
    if steps.size < FEWEST or not measures_by_itself(source, limits):
        return None
    settling, integration = procedure.settling_time, procedure.integration_time
    points, delay = points_at_once(source, limits, step=float(steps.max()), settling=settling, integration=integration)
    if not points:
        return None
    parts = steps.size / (points + 1)  # a point that is measured step by step begins each of them
    by_itself = parts * points
    ramped = by_itself * float(steps.mean() / limits.ramp_rate - (delay - settling))
    saved = ramped + by_itself * MESSAGES - parts * LOADING
    return MeasuredAhead(points, points * (delay + integration), ramped, saved)
