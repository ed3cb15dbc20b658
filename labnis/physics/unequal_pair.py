"""Two NIS junctions in series whose resistances differ: the same current flows through both, at different voltages.

With resistances R(1 + a) and R(1 − a), i(V) the current of a junction of the mean resistance R, and the same gap,
broadening and electron temperature on both sides, V = V₁ + V₂ and i(V₁)/(1 + a) = i(V₂)/(1 − a). The current does not
depend on the sign of a; deep in the gap it is 1/√(1 − a²) of that of equal junctions.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labnis.physics._checks import broadcast, finite, non_negative
from labnis.physics.junction import NISJunction

__all__ = ["UnequalPair"]

Real = NDArray[np.float64]

_STEPS = 200
# Relative change of the voltage, or relative difference of both currents, that ends the search.
_ACCURACY = 1e-11


@dataclass(frozen=True)
class UnequalPair:
    """Two junctions of unequal resistances.

    Attributes
    ----------
    junction
        With the mean of the two resistances.
    asymmetry
        (R₁ − R₂)/(R₁ + R₂), from 0 to less than 1.

    Raises
    ------
    ValueError
        For an asymmetry out of range.

    """

    junction: NISJunction
    asymmetry: float

    def __post_init__(self) -> None:
        if not 0 <= self.asymmetry < 1:
            raise ValueError(f"asymmetry is {self.asymmetry}; it must be from 0 to less than 1")

    def voltage(self, device_voltage: ArrayLike, temperature: ArrayLike) -> Real:
        """Voltage (V) across the junction of the larger resistance, at voltages across both (V) and temperatures (K).

        By Newton's method for the logarithm of the ratio of both currents, inside a shrinking bracket.
        """
        bias, t = broadcast(
            device_voltage=finite("device_voltage", device_voltage),
            temperature=non_negative("temperature", temperature),
        )
        whole, t = np.abs(bias).ravel(), t.ravel()
        low, high, v = np.zeros_like(whole), whole.copy(), whole / 2
        target = np.log((1 + self.asymmetry) / (1 - self.asymmetry))
        active = np.flatnonzero(whole > 0) if self.asymmetry > 0 else np.zeros(0, int)
        for _ in range(_STEPS):
            if not active.size:
                break
            here, other, kelvin = v[active], whole[active] - v[active], t[active]
            first, second = self.junction.current(here, kelvin), self.junction.current(other, kelvin)
            with np.errstate(divide="ignore", invalid="ignore"):
                excess = np.log(first / second) - target
                steep = self.junction.conductance(here, kelvin) / first
                steep = steep + self.junction.conductance(other, kelvin) / second
                proposal = here - excess / steep
            low[active] = np.where(excess < 0, here, low[active])
            high[active] = np.where(excess < 0, high[active], here)
            inside, equal = (proposal > low[active]) & (proposal < high[active]), np.abs(excess) <= _ACCURACY
            moved = np.where(equal, here, np.where(inside, proposal, (low[active] + high[active]) / 2))
            v[active] = moved
            active = active[np.abs(moved - here) > _ACCURACY * whole[active]]
        return np.asarray(np.sign(bias) * v.reshape(bias.shape))

    def current(self, device_voltage: ArrayLike, temperature: ArrayLike) -> Real:
        """Current (A) at voltages across both junctions (V) and electron temperatures (K)."""
        v = self.voltage(device_voltage, temperature)
        return np.asarray(self.junction.current(v, temperature) / (1 + self.asymmetry))

    def conductance(self, device_voltage: ArrayLike, temperature: ArrayLike) -> Real:
        """dI/dV (S) at constant temperature: that of both junctions in series."""
        v = self.voltage(device_voltage, temperature)
        larger = self.junction.conductance(v, temperature) / (1 + self.asymmetry)
        smaller = self.junction.conductance(np.asarray(device_voltage) - v, temperature) / (1 - self.asymmetry)
        return np.asarray(larger * smaller / (larger + smaller))
