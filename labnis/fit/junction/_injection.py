"""Injected quasiparticles: the gap they leave, and the heat they carry back, in the slopes of a cooler's steady states.

Of the current I of each junction every electron leaves a quasiparticle, which flows out at a constant rate. The one
parameter, `injection` (1/A), is the part of the gap lost per current, in the limit of small currents: the density is
n/(4N(0)Δ₀) = injection·|I|/2; gap and heat are those of the µ* model (Owen & Scalapino, PRL 28, 1559). Recombination in
pairs, which would make the loss grow less than the current, is left out.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.constants import e
from scipy.special import kve

from labnis.fit.arrays import Real
from labnis.physics import InjectedSuperconductor, OperatingPoint, SINISCooler
from labnis.physics.junction import BOLTZMANN_EV

__all__ = [
    "INJECTION",
    "Slopes",
    "heat_back",
    "small_loss",
    "superconductor_of",
    "with_injection",
]

#: Name of the parameter (1/A).
INJECTION = "injection"


def superconductor_of(gap: float, injection: float) -> InjectedSuperconductor:
    """Superconductors with a gap (eV) without quasiparticles that lose the part `injection` (1/A) of it per current."""
    return InjectedSuperconductor(gap, 1 / (4 * gap), 1.0, 0.0, 2 / (e * injection))


def small_loss(gap: float | Real, temperature: float | Real) -> Real:
    """Part of the gap (eV) at a temperature (K) that is lost per injection and current (A), of a small density."""
    inverse = np.asarray(gap) / (BOLTZMANN_EV * np.asarray(temperature))
    return np.asarray(kve(0, inverse) / kve(1, inverse))


def heat_back(cooler: SINISCooler, point: OperatingPoint) -> Real:
    """Heat (W) that the injected quasiparticles carry back through both junctions."""
    if cooler.superconductor is None:
        return np.zeros_like(point.gap)
    # Another gap is another unit of energy.
    scale = point.gap / cooler.junction.gap
    at = (point.device_voltage / 2, point.electron_temperature, point.bath_temperature)
    return 2 * scale**2 * cooler.junction.cooling_power(*(x / scale for x in at)) - point.cooling_power


class Slopes(NamedTuple):
    """∂/∂(parameter) of the current, of the part of it that injects (A), of T_e (K), cooling power (W) and gap (eV)."""

    current: Real
    injecting: Real
    temperature: Real
    cooling_power: Real
    gap: Real

    def plus(self, other: "Slopes", factor: Real) -> "Slopes":
        """The sum with `factor` times the `other` ones."""
        return Slopes(*(mine + factor * yours for mine, yours in zip(self, other, strict=True)))


def with_injection(
    cooler: SINISCooler, point: OperatingPoint, held: Callable[[str], Slopes], by_heat: Slopes
) -> Callable[[str], Slopes]:
    """Slopes by a parameter along steady states `point` whose gap follows the current.

    `held` are those at constant gap and heat from the superconductors, and `by_heat` those by this heat (1/W).
    """
    by_gap, nothing = held("gap"), Slopes(*np.zeros((5, *point.gap.shape)))
    superconductor = cooler.superconductor
    if superconductor is None:
        current, t = np.abs(point.quasiparticle_current), BOLTZMANN_EV * point.bath_temperature / point.gap
        lost = small_loss(point.gap, point.bath_temperature)
        heat = 2 * point.gap**2 / cooler.junction.resistance * (lost + t)
        by_first = nothing.plus(by_gap, -point.gap * lost * current).plus(by_heat, heat * current)
        return lambda name: by_first if name == INJECTION else held(name)
    sign, current = np.sign(point.device_voltage), np.abs(point.quasiparticle_current)
    along = cooler.injection_response(point)
    zero_gap, heat, bath = cooler.junction.gap, heat_back(cooler, point), point.bath_temperature
    # At a constant density gap and heat depend little on the temperature: to first order in it.
    t = BOLTZMANN_EV * bath / zero_gap
    warmer = BOLTZMANN_EV / zero_gap * np.array([(zero_gap - point.gap) / 2, heat / (2 + t)])
    size = 2 / (e * superconductor.outflow)
    directly = {
        INJECTION: np.array(along) * current / size,
        "bath_temperature": warmer,
        "gap": (np.array([point.gap, 2 * heat]) - bath * warmer) / zero_gap,
        "normal_resistance": np.array([np.zeros_like(heat), -heat / cooler.junction.resistance]),
    }
    per_current = nothing.plus(by_gap, along[0]).plus(by_heat, along[1])

    def slopes(name: str) -> Slopes:
        found = nothing if name in ("gap", INJECTION) else held(name)
        if name in directly:
            found = found.plus(by_gap, directly[name][0]).plus(by_heat, directly[name][1])
        more = sign * found.injecting / (1 - sign * per_current.injecting)
        return found.plus(per_current, more)

    return slopes
