"""The superconductor's gap: in equilibrium, at a given density of quasiparticles, and under steady injection.

Out of equilibrium the µ* model of Owen & Scalapino (PRL 28, 1559, "OS" below) holds: the quasiparticles have a
temperature but more (or fewer) of them exist than in equilibrium, so that they have a chemical potential µ* of their
own. Their density is made dimensionless as n/(4 N(0) Δ₀), with N(0) the normal density of states per spin and Δ₀ the
gap at zero temperature without quasiparticles. Energies are in eV.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.constants import e

from labnis.physics._checks import broadcast, non_negative, positive_scalar
from labnis.physics._quasiparticles import integrals
from labnis.physics._stable_branch import cold_state, critical_point, warm_state
from labnis.physics.junction import BOLTZMANN_EV

__all__ = [
    "ENERGY_CROSSING_DENSITY",
    "InjectedSuperconductor",
    "NonequilibriumState",
    "ZeroTemperatureGap",
    "bcs_gap",
    "critical_density",
    "critical_temperature",
    "gap_at_zero_temperature",
    "nonequilibrium_state",
    "thermal_density",
]

Real = NDArray[np.float64]

# kT_c/Δ₀ = e^γ/π, so Δ₀ = 1.763877 kT_c.
_REDUCED_CRITICAL_TEMPERATURE = float(np.exp(np.euler_gamma) / np.pi)

# Terms of the Matsubara sum of the gap equation, and Newton steps: the start is within 3 %, each step squares that.
_TERMS = 32
_GAP_STEPS = 5

# At T = 0 the state with quasiparticles has less energy than the normal metal with as many up to this n/(4N(0)Δ₀)
# (where Δ = Δ₀/2); between it and the critical density 1/(3√3) the superconductor is metastable.
ENERGY_CROSSING_DENSITY = float(1 / (4 * np.sqrt(2)))

# Densities this close to the critical one count as critical: they are rounded currents.
_ROUNDING = 1e-12
# Up to this fraction of T_c; there the thermal density is already 0.999 of the critical one.
WARMEST = 0.9999
# Below this kT/Δ₀ the state is that at T = 0, to rounding.
_COLDEST = 1e-12


def critical_temperature(zero_temperature_gap: float) -> float:
    """Critical temperature (K) of a weak-coupling superconductor, Δ₀ = (π/e^γ) kT_c = 1.763877 kT_c (BCS)."""
    positive_scalar("zero_temperature_gap", zero_temperature_gap)
    return zero_temperature_gap * _REDUCED_CRITICAL_TEMPERATURE / BOLTZMANN_EV


def bcs_gap(temperature: ArrayLike, zero_temperature_gap: float) -> Real:
    """Gap Δ(T) (eV) in equilibrium at `temperature` (K); 0 from the critical temperature on.

    The weak-coupling gap equation as a Matsubara sum, ln(T_c/T) = Σ_n [1/(n+½) − 1/√((n+½)² + (Δ/2πkT)²)], each term
    written without cancellation and the rest of the sum by its Euler–Maclaurin expansion.

    The relative accuracy is 1e-14, plus that of the argument: T_c/T is rounded by 2e-16, which near T_c changes the
    gap by 2e-16/(1 − T/T_c) of itself.

    Raises
    ------
    ValueError
        For a gap that is not positive, or temperatures negative or not finite.

    """
    critical = critical_temperature(zero_temperature_gap)
    temp = non_negative("temperature", temperature)
    gap = np.where(temp < critical, zero_temperature_gap, 0.0)
    # Below T_c/100 the thermal quasiparticles change the gap by e^{-176} of itself.
    warm = (temp > critical / 100) & (temp < critical)
    if warm.any():
        cold = temp[warm]
        ratio = (critical - cold) / cold
        b = np.tanh(1.74 * np.sqrt(ratio)) * (1 + ratio) / (2 * np.exp(np.euler_gamma))
        for _ in range(_GAP_STEPS):
            value, slope = _pair_sum(b)
            b = b * np.exp((np.log1p(ratio) - value) / slope)
        gap[warm] = 2 * np.pi * BOLTZMANN_EV * cold * b
    return gap


def _pair_sum(b: Real) -> tuple[Real, Real]:
    """W(b) = Σ_{n≥0} [1/m − 1/√(m² + b²)] with m = n + ½, and dW/d(ln b), the latter to 1e-8."""
    m = np.arange(_TERMS) + 0.5
    root = np.hypot(m, b[:, None])
    square = (b[:, None] / root) ** 2
    near, near_slope = (square / (m * (1 + m / root))).sum(axis=-1), (square / root).sum(axis=-1)
    # The rest from N on: its integral, ln[(1 + √(1 + b²/N²))/2], and the midpoint expansion with the derivatives at N.
    # Those of y = 1/√(m² + b²) obey y⁽ⁿ⁺¹⁾ = −y² [(2n+1) m y⁽ⁿ⁾ + n² y⁽ⁿ⁻¹⁾].
    x = b / _TERMS
    s = np.hypot(1, x)
    y = [1 / (s * _TERMS)]
    for n in range(5):
        y.append(-(y[0] ** 2) * ((2 * n + 1) * _TERMS * y[n] + n**2 * y[n - 1]))
    rest = [(-1) ** n * math.factorial(n) / _TERMS ** (n + 1) - y[n] for n in range(6)]
    far = np.log1p(x * (x / (1 + s)) / 2) + rest[1] / 24 - 7 * rest[3] / 5760 + 31 * rest[5] / 967680
    return near + far, near_slope + x / s * x / (1 + s) - x**2 / s**5 / (8 * _TERMS**2)


class ZeroTemperatureGap(NamedTuple):
    """Gap Δ₀ (eV) at T = 0, and its derivatives by gap and temperature (eV/K) of the state in equilibrium."""

    value: float
    by_gap: float
    by_temperature: float


def gap_at_zero_temperature(gap: float, temperature: float) -> ZeroTemperatureGap:
    """Δ₀ of a superconductor that has this `gap` (eV) in equilibrium at `temperature` (K).

    The gap equation of `bcs_gap` is explicit in T_c: ln(T_c/T) = W(Δ/2πkT), and Δ₀ = 1.763877 kT_c. The derivatives
    have an accuracy of 1e-8 of Δ₀/Δ and Δ₀/T.

    Raises
    ------
    ValueError
        For a gap that is not positive, or a temperature that is negative or not finite.

    """
    positive_scalar("gap", gap)
    temp = float(non_negative("temperature", temperature))
    if temp <= critical_temperature(gap) / 100:
        return ZeroTemperatureGap(gap, 1.0, 0.0)
    log_ratio, slope = (float(w[0]) for w in _pair_sum(np.array([gap / (2 * np.pi * BOLTZMANN_EV * temp)])))
    value = BOLTZMANN_EV * temp * math.exp(log_ratio) / _REDUCED_CRITICAL_TEMPERATURE
    return ZeroTemperatureGap(value, slope * value / gap, (1 - slope) * value / temp)


class NonequilibriumState(NamedTuple):
    """What a density of quasiparticles does to a superconductor.

    Attributes
    ----------
    gap
        Δ (eV).
    chemical_potential
        µ* (eV) of the quasiparticles, 0 in equilibrium; −inf where there are none at a finite temperature.
    gap_slope
        dΔ/d(density) (eV) at constant temperature; −inf, or beyond 1e6 Δ₀, at the critical density.

    """

    gap: Real
    chemical_potential: Real
    gap_slope: Real


def thermal_density(temperature: ArrayLike, zero_temperature_gap: float) -> Real:
    """Equilibrium density n_th in units of 4 N(0) Δ₀ at `temperature` (K): µ* = 0, and the gap is that of `bcs_gap`.

    From the critical temperature on it is that of the normal metal, kT ln 2/Δ₀. Relative accuracy 1e-13, where
    it is not below 1e-300.

    Raises
    ------
    ValueError
        As `bcs_gap`.

    """
    temp = non_negative("temperature", temperature)
    gap = (bcs_gap(temp, zero_temperature_gap) / zero_temperature_gap).ravel()
    t = (BOLTZMANN_EV * temp / zero_temperature_gap).ravel()
    density = np.where(gap > 0, 0, t * np.log(2))
    some = (gap > 0) & (t > 1e-3)  # colder than that it is below e^{-1000}
    a = gap[some] / t[some]
    density[some] = gap[some] * integrals(a, -a).b
    return density.reshape(temp.shape)


def critical_density(temperature: ArrayLike, zero_temperature_gap: float) -> Real:
    """Largest density, in units of 4 N(0) Δ₀, that a superconductor with quasiparticles at `temperature` (K) bears.

    It is where dn/dΔ = 0: 1/(3√3) at T = 0, with Δ = Δ₀/3 (OS), more when warmer. Relative accuracy 1e-12.

    Raises
    ------
    ValueError
        For temperatures from 0.9999 T_c on, where even the thermal density is critical, or negative ones.

    """
    return _branch_end(temperature, zero_temperature_gap).density


def nonequilibrium_state(
    density: ArrayLike, temperature: ArrayLike, zero_temperature_gap: float
) -> NonequilibriumState:
    """Gap and µ* (eV) with quasiparticles of a total `density` n, in units of 4 N(0) Δ₀, at `temperature` (K).

    f(E) = 1/(e^{(E−µ*)/kT} + 1), ln(Δ₀/Δ) = 2 ∫_Δ^∞ f dE/√(E²−Δ²), n = 4 N(0) ∫_Δ^∞ E f dE/√(E²−Δ²) (OS). At T = 0
    these have the closed solution Δ/Δ₀ = y², µ*/Δ₀ = (y + y³)/2, n/(4 N(0) Δ₀) = (y − y³)/2. Of the two states with
    one density the one with the larger gap is returned: it is stable against a fluctuation of the gap.

    The relative accuracy of the gap is 1e-12 up to 0.999 T_c, away from the critical density n_c; there rounding is
    amplified by 1/√(1 − n/n_c), leaving 1e-6 at n_c itself.

    Raises
    ------
    ValueError
        For a density above the critical one, naming the largest allowed; temperatures from 0.9999 T_c on; negative
        arguments; shapes that do not broadcast.

    """
    n, temp = broadcast(density=non_negative("density", density), temperature=non_negative("temperature", temperature))
    end = _branch_end(temp, zero_temperature_gap)
    _refuse_above("density", n, end.density, end.reduced_temperature * zero_temperature_gap)
    return _stable_state(n, end, zero_temperature_gap)


class _BranchEnd(NamedTuple):
    """Where the stable branch ends: kT, gap (both in Δ₀) and reduced density."""

    reduced_temperature: Real
    gap: Real
    density: Real


def _branch_end(temperature: ArrayLike, zero_temperature_gap: float) -> _BranchEnd:
    limit = WARMEST * critical_temperature(zero_temperature_gap)
    temp = non_negative("temperature", temperature)
    if (temp > limit).any():
        raise ValueError(
            f"temperature contains {temp[temp > limit].flat[0]}; it must be at most {limit} K, {WARMEST} of the "
            "critical temperature"
        )
    t = np.asarray(BOLTZMANN_EV * temp / zero_temperature_gap)
    t = np.where(t > _COLDEST, t, 0.0)
    gap, density = critical_point(t.ravel(), (bcs_gap(temp, zero_temperature_gap) / zero_temperature_gap).ravel())
    return _BranchEnd(t, gap.reshape(t.shape), density.reshape(t.shape))


def _refuse_above(name: str, values: Real, largest: Real, thermal_energy: Real) -> None:
    values, largest, thermal_energy = np.broadcast_arrays(values, largest, thermal_energy)
    above = values > largest * (1 + _ROUNDING)
    if above.any():
        raise ValueError(
            f"{name} contains {values[above][0]}; no superconducting solution exists above {largest[above][0]} "
            f"at {thermal_energy[above][0] / BOLTZMANN_EV} K"
        )


def _stable_state(density: Real, end: _BranchEnd, zero_temperature_gap: float) -> NonequilibriumState:
    arrays = np.broadcast_arrays(density, *end)
    n, t, critical_gap, largest = (x.ravel() for x in arrays)
    n = np.minimum(n, largest)
    reduced = np.empty((3, t.size))
    warm = t > 0
    reduced[:, ~warm] = cold_state(n[~warm])
    if warm.any():
        reduced[:, warm] = warm_state(n[warm], t[warm], critical_gap[warm], largest[warm])
    return NonequilibriumState(*(zero_temperature_gap * reduced.reshape(3, *arrays[0].shape)))


@dataclass(frozen=True)
class InjectedSuperconductor:
    """A superconductor into which a junction injects quasiparticles, in the steady state.

    Every electron of the current I is one quasiparticle in the volume next to the junction. They recombine in pairs
    and flow out to the leads or a trap:

        I/(e·volume) = R (n² − n_th²) + (n − n_th)/τ.

    Their temperature stays that of the superconductor; the µ* model gives the gap at the density n.

    Attributes
    ----------
    zero_temperature_gap
        Δ₀ (eV) without injection at T = 0, positive.
    density_of_states
        N(0), states per eV and m³ for ONE spin direction in the normal state, positive: energies are in eV here, and
        this is how the literature tabulates it. Aluminium: 1.72e28 (1.72e10 µm⁻³ eV⁻¹ in de Visser et al., PRL 106,
        167004); a value per joule and both spins, such as 2.15e47, is to be multiplied by e/2.
    volume
        Volume (m³) over which the quasiparticles spread, positive.
    recombination
        R (m³/s) in dn/dt = −R n²: both quasiparticles of a pair are counted, phonon trapping is included. For
        aluminium of the order of 1e-17 (Kaplan et al., PRB 14, 4854, with τ₀ = 0.44 µs).
    outflow
        1/τ (1/s), the rate at which one quasiparticle leaves the volume. Of R and 1/τ one may be 0.

    Notes
    -----
    All methods broadcast over `current` (A, 0 or more: pass |I| where the sign of the bias varies) and `temperature`
    (K, of the superconductor). Every injected electron counts as a quasiparticle, which holds for eV ≫ kT; those that
    tunnel back are neglected. Accuracies are those of `nonequilibrium_state`.

    Raises
    ------
    ValueError
        For a current above the critical one, naming the largest allowed; for temperatures from 0.9999 T_c on; for
        values that are not finite or out of range.

    """

    zero_temperature_gap: float
    density_of_states: float
    volume: float
    recombination: float
    outflow: float

    def __post_init__(self) -> None:
        positive_scalar("zero_temperature_gap", self.zero_temperature_gap)
        positive_scalar("density_of_states", self.density_of_states)
        positive_scalar("volume", self.volume)
        positive_scalar("recombination", self.recombination, zero=True)
        positive_scalar("outflow", self.outflow, zero=True)
        if self.recombination == 0 and self.outflow == 0:
            raise ValueError("outflow is 0 and so is recombination; one of them must be positive for a steady state")

    @property
    def density_scale(self) -> float:
        """4 N(0) Δ₀, the number of quasiparticles per m³ that the reduced densities are in units of."""
        return 4 * self.density_of_states * self.zero_temperature_gap

    def quasiparticle_density(self, current: ArrayLike, temperature: ArrayLike) -> Real:
        """Density n, the number of quasiparticles per m³; also defined beyond the critical current."""
        injected, temp = _checked(current, temperature)
        thermal = self._thermal_density(temp)
        return thermal + self._excess(injected, thermal)

    def reduced_density(self, current: Real, thermal: Real) -> Real:
        """The density that a `current` (A) keeps up, like the `thermal` one in units of 4 N(0) Δ₀."""
        return thermal + self._excess(current, self.density_scale * thermal) / self.density_scale

    def critical_current(self, temperature: ArrayLike) -> Real:
        """Largest injected current (A) with a superconducting solution."""
        largest = self.density_scale * critical_density(temperature, self.zero_temperature_gap)
        return self._balance(largest, self._thermal_density(temperature))

    def gap(self, current: ArrayLike, temperature: ArrayLike) -> Real:
        """Gap Δ (eV); `bcs_gap` without current, decreasing with it."""
        return self._state(current, temperature).gap

    def gap_derivative(self, current: ArrayLike, temperature: ArrayLike) -> Real:
        """dΔ/dI at constant temperature, in eV per A, negative.

        −inf at the critical current, and at zero current where neither outflow nor thermal quasiparticles take up the
        first ones.
        """
        density = self.quasiparticle_density(current, temperature)
        rate = e * self.volume * (2 * self.recombination * density + self.outflow)
        with np.errstate(divide="ignore"):
            return np.asarray(self._state(current, temperature).gap_slope / self.density_scale / rate)

    def chemical_potential(self, current: ArrayLike, temperature: ArrayLike) -> Real:
        """µ* (eV) of the quasiparticles, for `NISJunction.cooling_power`; 0 without current (but Δ₀ at T = 0).

        It rises with small currents, towards the gap, and falls with the gap at large ones.
        """
        return self._state(current, temperature).chemical_potential

    def _state(self, current: ArrayLike, temperature: ArrayLike) -> NonequilibriumState:
        injected, temp = _checked(current, temperature)
        end = _branch_end(temp, self.zero_temperature_gap)
        thermal = self._thermal_density(temp)
        limit = self._balance(self.density_scale * end.density, thermal)
        _refuse_above("current", injected, limit, end.reduced_temperature * self.zero_temperature_gap)
        density = (thermal + self._excess(injected, thermal)) / self.density_scale
        return _stable_state(density, end, self.zero_temperature_gap)

    def _thermal_density(self, temperature: ArrayLike) -> Real:
        return self.density_scale * thermal_density(temperature, self.zero_temperature_gap)

    def _balance(self, density: Real, thermal: Real) -> Real:
        """Injected current (A) that keeps up `density`."""
        rate = self.recombination * (density + thermal) + self.outflow
        return np.asarray(e * self.volume * (density - thermal) * rate)

    def _excess(self, current: Real, thermal: Real) -> Real:
        """The positive root n − n_th of R x² + (2 R n_th + 1/τ) x = I/(e·volume), without cancellation."""
        injection = current / (e * self.volume)
        linear = 2 * self.recombination * thermal + self.outflow
        root = linear + np.sqrt(linear**2 + 4 * self.recombination * injection)
        return np.where(injection > 0, 2 * injection / np.where(root > 0, root, 1), 0.0)


def _checked(current: ArrayLike, temperature: ArrayLike) -> tuple[Real, Real]:
    """Both as arrays which broadcast; they are not, because much depends on the temperature alone."""
    injected, temp = non_negative("current", current), non_negative("temperature", temperature)
    broadcast(current=injected, temperature=temp)
    return injected, temp
