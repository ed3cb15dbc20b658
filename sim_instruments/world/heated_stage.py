"""The stage of the device with its heater.

A dilution refrigerator cools by a power that grows with T²: A·(T² − T0²) at the mixing chamber. With a power P the
square of the temperature relaxes exponentially towards T0² + P/A.
"""

import math
from dataclasses import dataclass

import numpy as np

from sim_instruments.world.truth import Fridge

__all__ = ["StageHeat"]


@dataclass(frozen=True)
class StageHeat:
    """The stage since the last change of its heater.

    Attributes
    ----------
    fridge
        Base temperature, cooling (W/K²) and time constant (s).
    since, square
        Time (s) of the change, and the square of the temperature (K²) then.
    power
        Of the heater (W), or the most that its control loop gives.
    target
        Temperature (K) at which a control loop holds the stage; None for a constant power. The loop is ideal: its
        largest power until the target is reached, then exactly what is needed.

    """

    fridge: Fridge
    since: float
    square: float
    power: float = 0.0
    target: float | None = None

    def temperature(self, time: float) -> float:
        """Temperature (K) at `time` (s)."""
        return float(np.sqrt(self._square(time)))

    def given(self, time: float) -> float:
        """Power (W) that the heater gives at `time` (s)."""
        if self.target is None:
            return self.power
        square, held = self._square(time), self._held(self.target)
        if math.isclose(square, held):
            return self.fridge.stage_cooling * (held - self._base)
        return self.power if square < held else 0.0

    def changed(self, time: float, power: float, target: float | None = None) -> "StageHeat":
        """The stage from `time` (s) on with another `power` (W) and `target` (K)."""
        if (power, target) == (self.power, self.target):
            return self
        return StageHeat(self.fridge, time, self._square(time), power, target)

    @property
    def _base(self) -> float:
        return self.fridge.mixing_chamber_temperature**2

    @property
    def _warmest(self) -> float:
        return self._base + self.power / self.fridge.stage_cooling

    def _held(self, target: float) -> float:
        """Square (K²) of the temperature at which a loop ends."""
        return min(max(target**2, self._base), self._warmest)

    def _square(self, time: float) -> float:
        if self.target is None:
            return self._relaxed(self._warmest, time)
        held = self._held(self.target)
        if self.square < held:
            return min(self._relaxed(self._warmest, time), held)
        return max(self._relaxed(self._base, time), held)

    def _relaxed(self, end: float, time: float) -> float:
        if self.square == end:
            return end
        return end + (self.square - end) * float(np.exp((self.since - time) / self.fridge.stage_time_constant))
