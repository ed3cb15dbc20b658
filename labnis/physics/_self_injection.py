"""The gap of a superconductor that suffers the current of its own junction: which of the possible states is reached.

The unknown is the loss of gap x = 1 − Δ/Δ₀, on the stable branch of the µ* model between equilibrium and the critical
point. At each x everything else is explicit, but for the electron temperature that balances the heat: the density n(x)
of quasiparticles, and the density N(x) that the current at this gap keeps up. The steady states are the zeros of
F = n − N; the one with the smallest x is that which a bias raised from zero reaches.

Because n is concave and N grows with x (less gap, more current), the tangent of n from a point below the first zero
meets N still below it: steps that can never pass it. They are accelerated by the secant of F, which from below cannot
pass a maximum of F either (F is concave there), within the distance over which the current changes its character, kT
or a quarter of |eV − Δ|. Once a point above is found, the bracket is shrunk by regula falsi.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.constants import e
from scipy.special import k0e, k1e

from labnis.physics._heat_balance import Conditions, Electrons, HeatBalance, NoOperatingPointError
from labnis.physics._stable_branch import branch_state, critical_point, on_branch
from labnis.physics.junction import BOLTZMANN_EV
from labnis.physics.superconductor import InjectedSuperconductor, bcs_gap, thermal_density

__all__ = ["SelfConsistent", "response", "solve"]

Real = NDArray[np.float64]

_ITERATIONS = 200
# The loss of gap counts as found where n and N differ by this fraction.
_TOLERANCE = 1e-12
# Densities below this count as zero.
_LEAST = 1e-250


class SelfConsistent(NamedTuple):
    """Electron temperature (K), and the conditions that belong to it, with µ* (eV)."""

    electrons: Electrons
    conditions: Conditions
    chemical_potential: Real


def solve(
    balance: HeatBalance, superconductor: InjectedSuperconductor, voltage: Real, bath: Real, start: Real
) -> SelfConsistent:
    """The steady states at `voltage` (V, one junction) and `bath` (K), one-dimensional and of one length."""
    zero_gap = superconductor.zero_temperature_gap
    t = BOLTZMANN_EV * bath / zero_gap
    thermal, end, largest = _branch(bath, zero_gap)
    # n is concave in x, so that its slope at x = 0 gives a lower bound of the loss in equilibrium.
    loss = 2 * k0e(1 / t) / k1e(1 / t) * np.maximum(thermal, _LEAST)
    below, f_below = np.zeros_like(loss), np.full_like(loss, -np.inf)
    above, f_above = np.full_like(loss, np.inf), np.full_like(loss, np.inf)
    electrons, rise, gap, excess, potential = np.array(start), *(np.empty_like(loss) for _ in range(4))
    was_low, active = np.ones(loss.shape, bool), np.arange(loss.size)
    for _ in range(_ITERATIONS):
        if not active.size:
            return SelfConsistent(Electrons(electrons, rise), Conditions(voltage, bath, gap, excess), potential)
        x = loss[active]
        state = on_branch(x, t[active])
        gap[active] = zero_gap * (1 - x)
        excess[active] = 2 * gap[active] ** 2 / balance.junction.resistance * state.excess_heat
        potential[active] = gap[active] + zero_gap * t[active] * state.c
        here = Conditions(voltage, bath, gap, excess).at(active)
        electrons[active], rise[active] = balance.solve(here, electrons[active])
        current = np.abs(balance.quasiparticle_current(here, electrons[active]))
        remaining = superconductor.reduced_density(current, thermal[active])
        f = state.density - remaining
        low = f < 0
        hopeless = low & (remaining > largest[active])
        if hopeless.any():
            reason = f"no gap supports the injected current of {current[hopeless][0]:.3g} A"
            raise NoOperatingPointError.at(here.voltage[hopeless], here.bath[hopeless], reason)
        a, b, f_a, f_b = below[active], above[active], f_below[active], f_above[active]
        with np.errstate(divide="ignore", invalid="ignore"):
            secant = (f - f_a) / (x - a)
            tangent = -f / state.density_slope
            reach = np.maximum(BOLTZMANN_EV * electrons[active] / 2, np.abs(np.abs(here.voltage) - here.gap) / 4)
            fast = np.where(secant > 0, -f / secant, np.inf)
        stride = np.minimum(x + np.clip(fast, tangent, tangent + reach / zero_gap), end[active])
        # Illinois: the value at an end that stays for a second time counts half.
        stuck = np.where(low == was_low[active], 2, 1)
        a, f_a, b, f_b = np.where(low, [x, f, b, f_b / stuck], [a, f_a / stuck, x, f])
        with np.errstate(invalid="ignore"):
            falsi = a - f_a * (b - a) / (f_b - f_a)
        below[active], above[active], f_below[active], f_above[active], was_low[active] = a, b, f_a, f_b, low
        loss[active] = np.where(np.isfinite(b), falsi, stride)
        done = (np.abs(f) <= _TOLERANCE * state.density) | (b - a <= 4 * np.finfo(float).eps * x)
        # The first point, a lower bound, is the zero but for rounding.
        done |= ~low & np.isneginf(f_a)
        active = active[~done]
    raise NoOperatingPointError.at(voltage[active], bath[active], f"no gap found within {_ITERATIONS} steps")


def _branch(bath: Real, zero_gap: float) -> tuple[Real, Real, Real]:
    """Thermal density, and loss of gap and density at the critical point, for each bath; equal ones only once."""
    temperatures, which = np.unique(bath, return_inverse=True)
    t = BOLTZMANN_EV * temperatures / zero_gap
    gap, density = critical_point(t, bcs_gap(temperatures, zero_gap) / zero_gap)
    return thermal_density(temperatures, zero_gap)[which], (1 - gap)[which], density[which]


def response(
    superconductor: InjectedSuperconductor, at: Conditions, potential: Real, resistance: float
) -> tuple[Real, Real]:
    """dΔ/dI (eV/A) and the change of the excess heat with the current of one junction (W/A), at a solution."""
    zero_gap = superconductor.zero_temperature_gap
    thermal = BOLTZMANN_EV * at.bath
    state = branch_state(at.gap / zero_gap, thermal / zero_gap, (potential - at.gap) / thermal)
    density = superconductor.density_scale * state.density
    rate = e * superconductor.volume * (2 * superconductor.recombination * density + superconductor.outflow)
    by_current = 1 / (state.density_slope * superconductor.density_scale * rate)
    return -zero_gap * by_current, 2 * at.gap**2 / resistance * state.excess_slope * by_current
