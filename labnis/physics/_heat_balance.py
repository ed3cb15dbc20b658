"""The heat balance of a cooler's island at given gap and quasiparticles, and the electron temperature that solves it.

All arrays are one-dimensional and of one length, one entry per point; powers are in watt and of both junctions. The gap
may differ from point to point: in units of it every junction is the same, which is how the scale invariance of
`NISJunction` is used here.
"""

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from labnis.physics._tunnelling_heat import heat_near_equilibrium, tunnelling_heat
from labnis.physics.andreev import AndreevChannel, AndreevCurrent
from labnis.physics.junction import BOLTZMANN_EV, NISJunction

__all__ = ["Conditions", "HeatBalance", "NoOperatingPointError"]

Real = NDArray[np.float64]

# The iteration stops at this fraction of the largest term; rounding may make up another, larger one.
_TOLERANCE, _ROUNDED = 1e-10, 5e-10
_ITERATIONS = 200
# Where T_e is as close to the bath's temperature, relative to it, their difference is what is solved for.
_CLOSE = 1e-5
_POLISHING = 6
# No step lowers the temperature by more than this factor.
_STRETCH = 4.0


class NoOperatingPointError(ValueError):
    """No electron temperature within the model's range balances the heat, or no gap supports the current."""

    @classmethod
    def at(cls, voltage: Real, bath: Real, reason: str) -> Self:
        """The error that names the first of some points, given by the voltage across one junction."""
        others = f" (and {voltage.size - 1} more points)" if voltage.size > 1 else ""
        return cls(
            f"no steady state at device_voltage = {2 * voltage[0]:g} V, bath_temperature = {bath[0]:g} K{others}: "
            f"{reason}"
        )


class Conditions(NamedTuple):
    """What the electrons cannot change: voltage across one junction (V), T of bath and superconductors (K), gap (eV).

    `excess` is the heat (W) that quasiparticles beyond equilibrium carry into the island, through both junctions.
    """

    voltage: Real
    bath: Real
    gap: Real
    excess: Real

    def at(self, points: NDArray[np.intp] | NDArray[np.bool_]) -> "Conditions":
        """The conditions of some points."""
        return Conditions(*(values[points] for values in self))


class Electrons(NamedTuple):
    """Temperature (K), and by how much it is above that of the bath, which may be less than rounding of the former."""

    temperature: Real
    rise: Real


class Powers(NamedTuple):
    """The terms of the balance (W), those of cooling and to the phonons positive when they cool; T_ph − T_bath (K)."""

    cooling: Real
    to_phonons: Real
    andreev: Real
    leakage: Real
    phonon_rise: Real

    @property
    def net(self) -> Real:
        """Heat out of the electrons; 0 in the steady state."""
        return self.cooling + self.to_phonons - self.andreev - self.leakage

    @property
    def largest(self) -> Real:
        """The largest term."""
        return np.maximum(
            np.maximum(np.abs(self.cooling), np.abs(self.to_phonons)), np.maximum(self.andreev, self.leakage)
        )


class _Balance(NamedTuple):
    """The powers at some electron temperature, and the slope ∂/∂T_e (W/K) of the net heat out of the electrons.

    `outflow` (W), with its own slope, is that part of the balance which grows with T_e from near zero: ΣU T_e⁵, and
    what tunnelling takes out beyond what it does at T_e = 0. The rest is inflow.
    """

    powers: Powers
    slope: Real
    outflow: Real
    outflow_slope: Real

    def logarithmic_step(self, t: Real) -> tuple[Real, Real]:
        """|ln(outflow/inflow)| at `t`, and the temperature (K) at which Newton's method expects it to vanish.

        Powers of T_e and Boltzmann factors are straight, or nearly so, over decades of ln T_e.
        """
        inflow = self.outflow - self.powers.net
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            logarithm = -np.log1p(-self.powers.net / self.outflow)
            steepness = self.outflow_slope / self.outflow - (self.outflow_slope - self.slope) / inflow
            # Where the slope misleads (at the coldest, Andreev heating may grow with T_e), only the direction is known.
            step = np.where(steepness > 0, -logarithm / (t * steepness), np.copysign(np.inf, -logarithm))
            return np.abs(logarithm), t * np.exp(step)


@dataclass(frozen=True)
class HeatBalance:
    """Heat that enters and leaves the island's electrons; the attributes are those of `SINISCooler`."""

    junction: NISJunction
    coupling: float
    kapitza: float | None
    andreev: AndreevChannel | None
    leakage_conductance: float

    @property
    def limit(self) -> float:
        """Electron temperature (K) with kT = Δ, beyond which nothing here describes the device."""
        return self.junction.gap / BOLTZMANN_EV

    @property
    def unit_junction(self) -> NISJunction:
        """The junction in units of its gap and resistance."""
        return NISJunction(1.0, 1.0, self.junction.dynes)

    def quasiparticle_current(self, at: Conditions, t: Real) -> Real:
        """Of one junction (A)."""
        return at.gap / self.junction.resistance * self.unit_junction.current(at.voltage / at.gap, t / at.gap)

    def andreev_current(self, at: Conditions, t: Real) -> AndreevCurrent:
        """Of one junction; 0 without a channel."""
        if self.andreev is None:
            return AndreevCurrent(*np.zeros((3, t.size)))
        return self.andreev.linearised(at.voltage, t, self.junction, gap=at.gap)

    def andreev_by_gap(self, at: Conditions, t: Real) -> Real:
        """∂I_A/∂Δ (A per eV) of one junction."""
        if self.andreev is None:
            return np.zeros_like(t)
        return self.andreev.slopes(at.voltage, t, self.junction, gap=at.gap).by_gap

    def phonon_rise(self, rise: Real, bath: Real) -> Real:
        """T_ph − T_bath, by Newton from above on a convex rising function: monotone from the first step."""
        if self.kapitza is None:
            return np.zeros_like(bath)
        warm = self.coupling * _power_rise(5, rise, bath)
        phonons = np.maximum(rise, 0)
        for _ in range(_ITERATIONS):
            excess = self.coupling * _power_rise(5, phonons, bath) + self.kapitza * _power_rise(4, phonons, bath) - warm
            cube = (bath + phonons) ** 3
            with np.errstate(divide="ignore", invalid="ignore"):
                step = excess / (cube * (5 * self.coupling * (bath + phonons) + 4 * self.kapitza))
            phonons = phonons - step
            if (np.abs(step) <= 4 * np.finfo(float).eps * np.abs(phonons)).all():
                break
        return np.clip(phonons, np.minimum(rise, 0), np.maximum(rise, 0))

    def powers(self, at: Conditions, electrons: Electrons, andreev: Real) -> Powers:
        """Every term of the balance; that of tunnelling without its rounding where that would show.

        `andreev` is the Andreev current (A).
        """
        cooling = self._tunnelling(at, electrons.temperature)[0] - self._returned(at)
        powers = self._powers(at, electrons.rise, cooling, andreev)
        delicate = self._is_delicate(at, electrons.rise, powers.largest)
        if delicate.any():
            here = at.at(delicate)
            cooling[delicate] = self._cooling_near_equilibrium(here, electrons.rise[delicate])
        return powers._replace(cooling=cooling)

    def _powers(self, at: Conditions, rise: Real, cooling: Real, andreev: Real) -> Powers:
        phonons = self.phonon_rise(rise, at.bath)
        if self.kapitza is None:
            to_phonons = self.coupling * _power_rise(5, rise, at.bath)
        else:
            # What the phonons pass on, as T_e and T_ph may differ by little.
            to_phonons = self.kapitza * _power_rise(4, phonons, at.bath)
        leakage = (2 * at.voltage) ** 2 * self.leakage_conductance
        return Powers(cooling, to_phonons, 2 * at.voltage * andreev, leakage, phonons)

    def _tunnelling(self, at: Conditions, t: Real) -> tuple[Real, Real]:
        """Heat out of the electrons and ∂/∂T_e (W/K), but for `_returned`."""
        heat, slope = tunnelling_heat(at.voltage / at.gap, BOLTZMANN_EV * t / at.gap, self.junction.dynes)
        scale = 2 * at.gap / self.junction.resistance
        return scale * at.gap * heat, scale * slope * BOLTZMANN_EV

    def _returned(self, at: Conditions) -> Real:
        """What the cooling power owes to the superconductors' quasiparticles; one value per point, for all T_e."""
        # Few gaps and baths are different.
        (gap, bath), which = np.unique(np.stack([at.gap, at.bath]), axis=1, return_inverse=True)
        different = Conditions(np.zeros_like(gap), bath, gap, np.zeros_like(gap))
        return self._tunnelling(different, bath)[0][which.ravel()] + at.excess

    def _cooling_near_equilibrium(self, at: Conditions, rise: Real) -> Real:
        reduced = (at.voltage / at.gap, BOLTZMANN_EV * at.bath / at.gap, BOLTZMANN_EV * rise / at.gap)
        heat = heat_near_equilibrium(*reduced, self.junction.dynes)
        return 2 * at.gap**2 / self.junction.resistance * heat - at.excess

    def _evaluate(self, at: Conditions, returned: Real, t: Real) -> "_Balance":
        heat, slope = self._tunnelling(at, t)
        andreev = self.andreev_current(at, t)
        powers = self._powers(at, t - at.bath, heat - returned, andreev.current)
        phonon_slope = 5 * self.coupling * t**4
        if self.kapitza is not None:
            # Phonons follow a small warming of the electrons; only what they lag behind drives the heat flow.
            phonons = at.bath + powers.phonon_rise
            stiff = 4 * self.kapitza * phonons**3
            phonon_slope = phonon_slope * stiff / (stiff + 5 * self.coupling * phonons**4)
        v = np.maximum(np.abs(at.voltage) / at.gap, 1)
        # At T_e = 0, and with γ = 0, tunnelling brings this much in.
        coldest = at.gap**2 / self.junction.resistance * (v * np.sqrt(v**2 - 1) - np.arccosh(v))
        carried = heat + coldest
        return _Balance(
            powers,
            slope=slope + phonon_slope - 2 * at.voltage * andreev.by_temperature,
            outflow=np.maximum(carried, 0) + self.coupling * t**5,
            outflow_slope=np.where(carried > 0, slope, 0) + 5 * self.coupling * t**4,
        )

    def slope(self, at: Conditions, t: Real) -> Real:
        """∂/∂T_e (W/K) of the balance."""
        # What is returned does not depend on T_e.
        return self._evaluate(at, np.zeros_like(t), t).slope

    def solve(self, at: Conditions, start: Real) -> Electrons:
        """Electron temperatures, and their rise free of rounding."""
        return self.polish(at, *self.roughly(at, start))

    def roughly(self, at: Conditions, start: Real) -> tuple[Real, NDArray[np.bool_]]:
        """Electron temperatures, and where rounding may show in their rise.

        By Newton's method on logarithmic scales, kept inside a shrinking bracket.
        """
        solution = np.array(start)
        low, high = np.zeros_like(solution), np.full_like(solution, np.inf)
        previous = np.full_like(solution, np.inf)
        delicate = np.zeros(solution.shape, bool)
        returned = self._returned(at)
        active = np.arange(solution.size)
        for _ in range(_ITERATIONS):
            if not active.size:
                return solution, delicate
            t, here = solution[active], at.at(active)
            balance = self._evaluate(here, returned[active], t)
            powers, slope, excess = balance.powers, balance.slope, balance.powers.net
            self._refuse_where((t >= self.limit) & (excess < 0), here, -excess)
            cold = excess < 0
            low[active] = np.where(cold, t, low[active])
            high[active] = np.where(cold, high[active], t)
            below, above = low[active], high[active]
            distance, proposal = balance.logarithmic_step(t)
            # From far below, tunnelling and Andreev current mislead: go where phonons alone would take up the heat.
            far = cold & (proposal > 1.5 * t)
            leap = (t**5 + np.abs(excess) / self.coupling) ** 0.2
            proposal = np.where(far, np.clip(leap, 1.5 * t, proposal), proposal)
            proposal = np.clip(proposal, t / _STRETCH, self.limit)
            # Where the step leaves the bracket or gains less than half, halve the bracket instead (once there is one).
            poor = ~((proposal > below) & (proposal < above)) | (distance > previous[active] / 2)
            with np.errstate(invalid="ignore"):
                halved = np.sqrt(below * above)
            proposal = np.where(poor & (below > 0) & np.isfinite(above), halved, proposal)
            previous[active] = np.where(poor | far, np.inf, distance)
            # Within its rounding the balance is improved by one last step towards the middle of it.
            with np.errstate(divide="ignore", invalid="ignore"):
                last = np.where(slope > 0, np.clip(t - excess / slope, t / _STRETCH, self.limit), t)
            rounding = self._rounding(here)
            done = np.abs(excess) <= rounding + 4 * np.finfo(float).eps * np.abs(slope) * t
            done |= above - below <= 4 * np.finfo(float).eps * t
            # The last step squares what is left; 1e3 bounds how much faster than linear any term changes with ln T.
            done |= (slope > 0) & (1e3 * excess**2 <= _TOLERANCE * powers.largest * slope * t)
            delicate[active] = self._is_delicate(here, t - here.bath, powers.largest)
            solution[active] = np.where(done, last, proposal)
            active = active[~done]
        reason = f"no convergence within {_ITERATIONS} steps"
        raise NoOperatingPointError.at(at.voltage[active], at.bath[active], reason)

    def polish(self, at: Conditions, t: Real, delicate: NDArray[np.bool_]) -> Electrons:
        """Where the largest term is as small as rounding, solve for T_e − T_bath with the heat that is free of it."""
        rise = t - at.bath
        active = np.flatnonzero(delicate)
        for _ in range(_POLISHING):
            if not active.size:
                break
            here, change = at.at(active), rise[active]
            warm = here.bath + change
            andreev = self.andreev_current(here, warm).current
            powers = self._powers(here, change, self._cooling_near_equilibrium(here, change), andreev)
            off = np.abs(powers.net) > _TOLERANCE * powers.largest
            if not off.any():
                break
            slope = self.slope(here, warm)
            with np.errstate(divide="ignore", invalid="ignore"):
                step = powers.net / slope
            improved = (slope > 0) & off
            rise[active] = np.where(improved & (step < warm / 2), change - step, change)
            active = active[improved]
        return Electrons(np.where(delicate, at.bath + rise, t), rise)

    def _rounding(self, at: Conditions) -> Real:
        """Largest rounding error (W) of the cooling power."""
        return 8 * np.finfo(float).eps * (at.gap**2 + at.voltage**2) / self.junction.resistance

    def _is_delicate(self, at: Conditions, rise: Real, largest: Real) -> NDArray[np.bool_]:
        """Whether rounding of the cooling power or of T_e would show in the balance."""
        return (self._rounding(at) > _ROUNDED * largest) | (np.abs(rise) < _CLOSE * at.bath)

    def _refuse_where(self, lost: NDArray[np.bool_], at: Conditions, heating: Real) -> None:
        if lost.any():
            reason = f"electrons at {self.limit:.3g} K (kT = Δ) are still heated by {heating[lost][0]:.2g} W"
            raise NoOperatingPointError.at(at.voltage[lost], at.bath[lost], reason)


def _power_rise(power: int, rise: Real, bath: Real) -> Real:
    """(T + r)^n − T^n for n = 4 or 5, without cancellation at small r."""
    if power == 4:
        return rise * (((rise + 4 * bath) * rise + 6 * bath**2) * rise + 4 * bath**3)
    return rise * ((((rise + 5 * bath) * rise + 10 * bath**2) * rise + 10 * bath**3) * rise + 5 * bath**4)
