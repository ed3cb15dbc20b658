"""The bias line between device and lock-in: what a wrong resistance of it, and a wrong gain, do to a conductance."""

from dataclasses import dataclass

import numpy as np

from labnis.fit.arrays import Real

__all__ = ["GAIN", "LINE", "Line"]

#: The parameter for a resistance of the line that differs from the stated one, true minus stated (ohm).
LINE = "series_resistance_error"
#: The parameter for a relative error of the lock-in's conductance: what it reads too much.
GAIN = "conductance_gain_error"


@dataclass(frozen=True)
class Line:
    """A line of `resistance` (ohm), truly larger by `error` (ohm), whose lock-in reads too much by the part `gain`.

    The lock-in reads the conductance g of device and line together; 1/g less the stated resistance is taken for that
    of the device.
    """

    resistance: float
    error: float
    gain: float

    def reading(self, conductance: Real) -> Real:
        """What is taken for the device's `conductance` (S)."""
        whole = (1 + self.gain) * conductance / (1 + (self.resistance + self.error) * conductance)
        return np.asarray(whole / (1 - self.resistance * whole))

    def device(self, reading: Real) -> Real:
        """Inverse of `reading`."""
        whole = reading / (1 + self.resistance * reading) / (1 + self.gain)
        return np.asarray(whole / (1 - (self.resistance + self.error) * whole))

    def slopes(self, conductance: Real) -> tuple[Real, Real, Real]:
        """Slopes of the reading by the conductance, by the error and by the gain."""
        share = 1 / (1 + (self.resistance + self.error) * conductance)
        by_whole = 1 / (1 - self.resistance * (1 + self.gain) * conductance * share) ** 2
        by_conductance = by_whole * (1 + self.gain) * share**2
        return by_conductance, -by_conductance * conductance**2, by_whole * conductance * share
