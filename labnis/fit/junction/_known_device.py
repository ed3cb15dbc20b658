"""Current of a SINIS device of known junctions as a function of its electron temperature, and the inverse."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.constants import e, k

from labnis.fit.arrays import Bool, Real
from labnis.fit.junction._array import PAIR, JunctionArray
from labnis.fit.result import FitError
from labnis.physics import AndreevChannel, NISJunction
from labnis.physics.andreev import AndreevCurrent

__all__ = ["COLDEST", "WARMEST", "KnownDevice", "electron_temperature"]

# Range of kT/Δ of the search; below it the current is that at T = 0.
COLDEST, WARMEST = 4e-4, 1.0
_STEPS = 100


@dataclass(frozen=True)
class KnownDevice:
    """Equal junctions, such as two in series, with their Andreev channels and a leak parallel to the device.

    `voltage` (n,) is that of one junction (V), 0 or more.
    """

    junction: NISJunction
    andreev: AndreevChannel | None
    leakage_conductance: float
    voltage: Real
    array: JunctionArray = PAIR

    def at(self, points: Bool) -> "KnownDevice":
        return replace(self, voltage=self.voltage[points])

    def current(self, temperature: Real) -> Real:
        """Current through the device (A) with electrons at `temperature` (n,)."""
        leakage = self.array.series * self.voltage * self.leakage_conductance
        each = self.junction.current(self.voltage, temperature) + self._andreev(temperature).current
        return np.asarray(self.array.parallel * each + leakage)

    def conductance(self, temperature: Real) -> Real:
        """∂I/∂V_device (S) at constant temperature."""
        junctions = self.junction.conductance(self.voltage, temperature) + self._andreev(temperature).by_voltage
        return np.asarray(junctions * self.array.parallel / self.array.series + self.leakage_conductance)

    def temperature_slope(self, temperature: Real) -> Real:
        """∂I/∂T_e (A/K)."""
        quasiparticles = self.junction.current_derivative("temperature", self.voltage, temperature)
        return np.asarray(self.array.parallel * (quasiparticles + self._andreev(temperature).by_temperature))

    def junction_slopes(self, temperature: Real) -> list[Real]:
        """∂I by gap (A/eV), resistance (A/ohm) and Dynes parameter (A)."""
        at = (self.voltage, temperature)
        by_gap, by_dynes = self.junction.current_derivative("gap", *at), self.junction.current_derivative("dynes", *at)
        by_resistance = self.junction.current_derivative("resistance", *at)
        if self.andreev is not None:
            slopes = self.andreev.slopes(*at, self.junction)
            by_gap = by_gap + slopes.by_gap
            by_resistance = by_resistance - 2 * self._andreev(temperature).current / self.junction.resistance
        return [self.array.parallel * slope for slope in (by_gap, by_resistance, by_dynes)]

    def _andreev(self, temperature: Real) -> AndreevCurrent:
        if self.andreev is None:
            zero = np.zeros_like(temperature)
            return AndreevCurrent(zero, zero, zero)
        return self.andreev.linearised(self.voltage, temperature, self.junction)


def electron_temperature(device: KnownDevice, current: Real) -> Real:
    """Temperatures (K) at which `device` carries `current` (A); kT/Δ is searched between COLDEST and WARMEST.

    Newton's method for ln I as a function of 1/T, a straight line deep in the gap, inside a shrinking bracket.
    """
    kelvin = device.junction.gap * e / k
    low, high = np.full_like(current, COLDEST * kelvin), np.full_like(current, WARMEST * kelvin)
    t = np.full_like(current, 0.05 * kelvin)
    for _ in range(_STEPS):
        value = device.current(t)
        low, high = np.where(value < current, t, low), np.where(value < current, high, t)
        with np.errstate(divide="ignore", invalid="ignore"):
            steepness = t**2 * device.temperature_slope(t) / value
            proposal = 1 / (1 / t - np.log(current / value) / steepness)
        inside = (proposal > low) & (proposal < high)
        moved = np.where(inside, proposal, np.sqrt(low * high))
        done = np.abs(moved - t) <= 1e-10 * t
        t = moved
        if done.all():
            return np.asarray(t)
    raise FitError(
        f"the inversion of the current did not converge at {device.array.series * device.voltage[~done][0]:.4g} V"
    )
