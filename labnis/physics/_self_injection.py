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

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Self

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

# Steps at most, and those after which they no longer rely on secants.
_ITERATIONS, _SECANTS = 200, 60
# The loss of gap counts as found where n and N differ by this fraction.
_TOLERANCE = 1e-12
# The same next to a known solution, the steps for it, and the part that the current leaves of the slope of the density
# where only one state is possible.
_CLOSE, _NEGLIGIBLE, _CONTINUED, _UNIQUE = 1e-10, 1e-13, 8, 0.5
# Densities below this count as zero.
_LEAST = 1e-250


class SelfConsistent(NamedTuple):
    """Electron temperature (K), and the conditions that belong to it, with µ* (eV)."""

    electrons: Electrons
    conditions: Conditions
    chemical_potential: Real


def solve(
    balance: HeatBalance,
    superconductor: InjectedSuperconductor,
    voltage: Real,
    bath: Real,
    start: Real,
    near: Real | None = None,
) -> SelfConsistent:
    """The steady states at `voltage` (V, one junction) and `bath` (K), one-dimensional and of one length.

    `near` are gaps (eV) close to the solution, as `start` are electron temperatures (K) close to it.
    """
    points = _Points.of(balance, superconductor, voltage, bath)
    if near is None:
        found = points.first(start)
    else:
        found, missed = points.continued(start, near)
        if missed.size:
            rest = _Points.of(balance, superconductor, voltage[missed], bath[missed])
            found.put(missed, rest.first(start[missed]))
    at = Conditions(voltage, bath, found.gap, found.excess)
    return SelfConsistent(balance.polish(at, found.temperature, found.delicate), at, found.potential)


class _States(NamedTuple):
    """What belongs to a loss of gap: gap (eV), excess heat (W), µ* (eV), and the densities in units of 4 N(0) Δ₀.

    `density` is that of the quasiparticles, with its slope by the loss, and `remaining` what the current keeps up.
    The electron `temperature` (K) is `delicate` where its rounding may show.
    """

    temperature: Real
    delicate: NDArray[np.bool_]
    gap: Real
    excess: Real
    potential: Real
    density: Real
    density_slope: Real
    remaining: Real

    def put(self, points: NDArray[np.intp], states: "_States") -> None:
        """Write the `states` of some points."""
        for all_values, values in zip(self, states, strict=True):
            all_values[points] = values


@dataclass(frozen=True)
class _Points:
    """Voltages (V, one junction) and baths (K), with what belongs to the baths alone.

    That are kT/Δ₀, the thermal density, and loss of gap and density at the critical point.
    """

    balance: HeatBalance
    superconductor: InjectedSuperconductor
    voltage: Real
    bath: Real
    reduced: Real
    thermal: Real
    end: Real
    largest: Real

    @classmethod
    def of(cls, balance: HeatBalance, superconductor: InjectedSuperconductor, voltage: Real, bath: Real) -> Self:
        """Of these biases and baths."""
        zero_gap = superconductor.zero_temperature_gap
        reduced = BOLTZMANN_EV * bath / zero_gap
        return cls(balance, superconductor, voltage, bath, reduced, *_branch(bath, zero_gap))

    @property
    def _least(self) -> Real:
        # n is concave in x, so that its slope at x = 0 gives a lower bound of the loss in equilibrium.
        ratio = k0e(1 / self.reduced) / k1e(1 / self.reduced)
        return np.asarray(2 * ratio * np.maximum(self.thermal, _LEAST))

    def _empty(self) -> _States:
        temperature, *others = np.empty((7, self.voltage.size))
        return _States(temperature, np.zeros(temperature.shape, bool), *others)

    def _at(self, loss: Real, start: Real, which: NDArray[np.intp]) -> _States:
        """The states of some points, at a `loss` of gap, with electron temperatures (K) close to `start`."""
        zero_gap, t = self.superconductor.zero_temperature_gap, self.reduced[which]
        branch, gap = on_branch(loss, t), zero_gap * (1 - loss)
        excess = 2 * gap**2 / self.balance.junction.resistance * branch.excess_heat
        here = Conditions(self.voltage[which], self.bath[which], gap, excess)
        electrons, delicate = self.balance.roughly(here, start)
        current = np.abs(self.balance.quasiparticle_current(here, electrons))
        remaining = self.superconductor.reduced_density(current, self.thermal[which])
        potential = gap + zero_gap * t * branch.c
        return _States(electrons, delicate, gap, excess, potential, branch.density, branch.density_slope, remaining)

    def first(self, start: Real) -> _States:
        """The states with the least loss of gap, which a bias that is raised from zero reaches."""
        zero_gap, loss, found = self.superconductor.zero_temperature_gap, self._least, self._empty()
        found.temperature[:] = start
        below, f_below = np.zeros_like(loss), np.full_like(loss, -np.inf)
        above, f_above = np.full_like(loss, np.inf), np.full_like(loss, np.inf)
        was_low, active = np.ones(loss.shape, bool), np.arange(loss.size)
        for turn in range(_ITERATIONS):
            if not active.size:
                return found
            x, states = loss[active], self._at(loss[active], found.temperature[active], active)
            found.put(active, states)
            f = states.density - states.remaining
            low = f < 0
            self._refuse(active[low & (states.remaining > self.largest[active])], found)
            a, b, f_a, f_b = below[active], above[active], f_below[active], f_above[active]
            with np.errstate(divide="ignore", invalid="ignore"):
                secant = (f - f_a) / (x - a)
                tangent = -f / states.density_slope
                away = np.abs(np.abs(self.voltage[active]) - states.gap)
                reach = np.maximum(BOLTZMANN_EV * states.temperature / 2, away / 4)
                fast = np.where(secant > 0, -f / secant, np.inf)
            stride = np.minimum(x + np.clip(fast, tangent, tangent + reach / zero_gap), self.end[active])
            # Illinois: the value at an end that stays for a second time counts half.
            stuck = np.where(low == was_low[active], 2, 1)
            a, f_a, b, f_b = np.where(low, [x, f, b, f_b / stuck], [a, f_a / stuck, x, f])
            with np.errstate(invalid="ignore"):
                falsi = a - f_a * (b - a) / (f_b - f_a)
            below[active], above[active], f_below[active], f_above[active], was_low[active] = a, b, f_a, f_b, low
            # A secant through rounded values may stay at one end: from then on every second step halves the interval.
            within = (a + b) / 2 if turn > _SECANTS and turn % 2 else falsi
            loss[active] = np.where(np.isfinite(b), within, stride)
            done = (np.abs(f) <= _TOLERANCE * states.density) | (b - a <= 4 * np.finfo(float).eps * x)
            # The first point, a lower bound, is the zero but for rounding.
            done |= ~low & np.isneginf(f_a)
            active = active[~done]
        reason = f"no gap found within {_ITERATIONS} steps"
        raise NoOperatingPointError.at(self.voltage[active], self.bath[active], reason)

    def _refuse(self, hopeless: NDArray[np.intp], found: _States) -> None:
        if hopeless.size:
            at = Conditions(self.voltage, self.bath, found.gap, found.excess).at(hopeless)
            current = np.abs(self.balance.quasiparticle_current(at, found.temperature[hopeless]))
            reason = f"no gap supports the injected current of {current[0]:.3g} A"
            raise NoOperatingPointError.at(at.voltage, at.bath, reason)

    def continued(self, start: Real, near: Real) -> tuple[_States, NDArray[np.intp]]:
        """The states next to a gap (eV), by secants; and the points where none is found, or where others may be."""
        loss, found = 1 - near / self.superconductor.zero_temperature_gap, self._empty()
        least = self._least
        loss = np.clip(loss, least, self.end)
        last, active, missed = np.full((3, loss.size), np.nan), np.arange(loss.size), [np.arange(0)]
        found.temperature[:] = start
        for _ in range(_CONTINUED):
            x, states = loss[active], self._at(loss[active], found.temperature[active], active)
            found.put(active, states)
            f, (x_before, f_before, t_before) = states.density - states.remaining, last[:, active]
            last[:, active] = x, f, states.temperature
            with np.errstate(divide="ignore", invalid="ignore"):
                secant, warming = (f - f_before) / (x - x_before), (states.temperature - t_before) / (x - x_before)
            slope = np.where(np.isnan(x_before), states.density_slope, secant)
            done = np.abs(f) <= np.maximum(_CLOSE * states.density, _NEGLIGIBLE * states.density_slope)
            ahead = np.maximum(x - f / np.where(slope > 0, slope, np.inf), least[active])
            # What the lost gap does to the current must not be as strong as what the current does to the gap.
            lost = ~done & ~((slope > _UNIQUE * states.density_slope) & (ahead < self.end[active]))
            missed.append(active[lost])
            warmer = states.temperature + np.nan_to_num(warming * (ahead - x))
            loss[active] = ahead
            found.temperature[active] = np.where(
                done, states.temperature, np.clip(warmer, states.temperature / 2, 2 * states.temperature)
            )
            active = active[~(done | lost)]
            if not active.size:
                break
        return found, np.concatenate([*missed, active])


def _branch(bath: Real, zero_gap: float) -> tuple[Real, Real, Real]:
    """Thermal density, and loss of gap and density at the critical point, for each bath; equal ones only once."""
    temperatures, which = np.unique(bath, return_inverse=True)
    thermal, end, largest = np.array(_branches(tuple(temperatures.tolist()), zero_gap))
    return thermal[which], end[which], largest[which]


@lru_cache(maxsize=8)
def _branches(baths: tuple[float, ...], zero_gap: float) -> tuple[Real, Real, Real]:
    """Remembered: the states at one bath are wanted at many biases."""
    temperatures = np.array(baths)
    t = BOLTZMANN_EV * temperatures / zero_gap
    gap, density = critical_point(t, bcs_gap(temperatures, zero_gap) / zero_gap)
    return thermal_density(temperatures, zero_gap), 1 - gap, density


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
