"""A normal-metal island between two NIS junctions: which electron temperature each bias gives.

Tunnelling takes heat out of the island's electrons, phonons, Andreev current and leakage bring it in; the electron
temperature is where these cancel (Rajauria et al., arXiv:0810.3980, eqs. 4–6, with the signs that energy conservation
asks for).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labnis.physics._checks import broadcast, finite, positive, positive_scalar
from labnis.physics._heat_balance import Conditions, Electrons, HeatBalance, NoOperatingPointError
from labnis.physics._self_injection import response, solve
from labnis.physics.andreev import AndreevChannel
from labnis.physics.junction import NISJunction
from labnis.physics.superconductor import WARMEST, InjectedSuperconductor, critical_temperature

__all__ = ["NoOperatingPointError", "OperatingPoint", "SINISCooler"]

Real = NDArray[np.float64]


@dataclass(frozen=True)
class OperatingPoint:
    """Steady state of a cooler; all arrays have the broadcast shape of bias and bath.

    Powers are in watt and of the whole device. In the steady state cooling_power + electron_phonon_power =
    andreev_power + leakage_power.

    Attributes
    ----------
    device_voltage, bath_temperature
        Voltage across both junctions (V) and temperature (K) of bath and superconductors.
    electron_temperature, phonon_temperature
        Of the island (K).
    quasiparticle_current, andreev_current, leakage_current
        The parts of `current` (A); with the sign of the voltage.
    cooling_power
        Heat that tunnelling takes out of the electrons through both junctions, 2P; positive when it cools.
    electron_phonon_power
        Heat from the island's electrons to its phonons, and on to the bath; negative when the electrons are the colder.
    andreev_power
        Work of the Andreev current, I_A·V_device, all of it dissipated in the island; positive heats.
    leakage_power
        V_device²/R_leak, dissipated in the island; positive heats.
    andreev_in_range
        False where there is an Andreev channel beyond its range, eV ≤ 0.8 Δ: its heat and current depend on its
        broadening there.
    gap
        Δ (eV) of the superconductors: the junction's, or what injection leaves of it.
    chemical_potential
        µ* (eV) of the superconductors' quasiparticles; 0 without injection.

    """

    device_voltage: Real
    bath_temperature: Real
    electron_temperature: Real
    phonon_temperature: Real
    quasiparticle_current: Real
    andreev_current: Real
    leakage_current: Real
    cooling_power: Real
    electron_phonon_power: Real
    andreev_power: Real
    leakage_power: Real
    andreev_in_range: NDArray[np.bool_]
    gap: Real
    chemical_potential: Real

    @property
    def current(self) -> Real:
        """Total current through the device (A)."""
        return self.quasiparticle_current + self.andreev_current + self.leakage_current

    @property
    def imbalance(self) -> Real:
        """Net heat out of the electrons (W) that the solution leaves; see `SINISCooler` for its bound."""
        return self.cooling_power + self.electron_phonon_power - self.andreev_power - self.leakage_power


class VoltageSlopes(NamedTuple):
    """dT_e/dV (K/V), dΔ/dV (eV per V) and dI/dV (S), V being the voltage of the whole device."""

    temperature: Real
    gap: Real
    current: Real


@dataclass(frozen=True)
class SINISCooler:
    """Two equal junctions in series that cool the normal-metal island between them.

    Electrons: 2P(V, T_e, T_S) + ΣU(T_e⁵ − T_ph⁵) − I_A·V_device − V_device²/R_leak = 0 with V = V_device/2;
    phonons: ΣU(T_e⁵ − T_ph⁵) = KA(T_ph⁴ − T_bath⁴). The superconductors are at the temperature of the bath, T_S =
    T_bath, as in the paper's model.

    Attributes
    ----------
    junction
        Each of the two junctions; its resistance is that of ONE.
    volume
        U of the island (m³), positive.
    electron_phonon
        Σ (W m⁻³ K⁻⁵), positive: 2e9 for copper.
    kapitza
        KA from the island's phonons to the bath (W/K⁴), positive; None for ideal phonons, T_ph = T_bath.
    andreev
        Andreev channel of each junction; None without.
    leakage_resistance
        Ohmic resistance in parallel to the device (ohm), positive; None without.
    superconductor
        What each of the two junctions injects into, one such volume for each; junction.gap, which must be equal to its
        Δ₀, is then the gap without any quasiparticles. None for a gap of junction.gap under all conditions.

    Notes
    -----
    Where the balance rises with T_e the solution is unique: every term does, but for an Andreev current that grows with
    T_e (below some 10 mK, and thermally activated near the gap), which the others outweigh at the temperatures of the
    solution. The residual is below 1e-9 of the largest term of the balance, down to the smallest bias, or, where that
    is less, within the rounding of the cooling power, 2e-15 (Δ² + e²V²)/e²R_T. This counts for γ = 0 in the cold, where
    tunnelling carries next to nothing, and for phonons that carry some 1e-5 of what they do in published coolers. A
    point takes 4 to 5 evaluations of the balance from 0.3 K to 5 mK, 5 kB of memory while it is solved, and three to
    seven times as many evaluations with a `superconductor`.

    With a `superconductor` gap, quasiparticles and T_e are solved together: the current |I| of one junction, without
    its Andreev and leakage parts, is injected, the gap that is left enters all terms and the current, and its excess
    quasiparticles carry heat back (µ* of `NISJunction.cooling_power`). Near eV = Δ less gap draws more current, which
    leaves less gap: several states may exist there, and the gap jumps. Returned is the one with the largest gap, which
    is the one that is reached when |V| is raised from zero; when it is lowered again, a real device would jump back
    later. `temperature_slope`, `gap_slope` and `conductance` are exact derivatives along these states.

    The Andreev terms depend on γ above 0.8 Δ, where cooling is strongest (see `AndreevChannel`); the solver does not
    warn, since every useful curve passes there, but marks these points in `andreev_in_range`.

    Raises
    ------
    ValueError
        Naming the argument, for values that are not finite or out of range, such as a bath above T_c = Δ/(1.764 k) or,
        with a `superconductor`, 0.9999 of it.
    NoOperatingPointError
        Naming bias and bath, where kT_e would have to exceed Δ, or where no gap supports the current that is injected.

    """

    junction: NISJunction
    volume: float
    electron_phonon: float
    kapitza: float | None
    andreev: AndreevChannel | None = None
    leakage_resistance: float | None = None
    superconductor: InjectedSuperconductor | None = None

    def __post_init__(self) -> None:
        positive_scalar("volume", self.volume)
        positive_scalar("electron_phonon", self.electron_phonon)
        if self.kapitza is not None:
            positive_scalar("kapitza", self.kapitza)
        if self.leakage_resistance is not None:
            positive_scalar("leakage_resistance", self.leakage_resistance)
        if self.superconductor is not None and self.superconductor.zero_temperature_gap != self.junction.gap:
            raise ValueError(
                f"superconductor.zero_temperature_gap is {self.superconductor.zero_temperature_gap}; it must equal "
                f"junction.gap, {self.junction.gap}, which is then the gap without quasiparticles"
            )

    def operating_point(
        self,
        device_voltage: ArrayLike,
        bath_temperature: ArrayLike,
        *,
        start: ArrayLike | None = None,
        gap: ArrayLike | None = None,
        near: ArrayLike | None = None,
    ) -> OperatingPoint:
        """Steady state at `device_voltage` (V) and `bath_temperature` (K), broadcast against each other.

        Parameters
        ----------
        device_voltage
            Voltage across both junctions.
        bath_temperature
            Temperature of bath and superconductors, positive.
        start
            Electron temperature (K) from which to search; the bath's by default. Every start gives the same result.
        gap
            Gap (eV) in place of the junction's, as where it follows the bath; not with a `superconductor`.
        near
            Gap (eV) from which to search with a `superconductor`, together with `start`. The solution takes a quarter
            of the time if both are close to it; where more than one state may exist, the search begins anew.

        """
        if gap is not None and self.superconductor is not None:
            raise ValueError(
                "gap is given, and the cooler has a superconductor, whose gap follows from it; leave it out"
            )
        bath = finite("bath_temperature", bath_temperature)
        critical = critical_temperature(self.junction.gap)
        if self.superconductor is not None:
            critical = critical * WARMEST
        _within("bath_temperature", bath, critical, "the critical temperature that belongs to the gap")
        bias, bath, guess, own, close = broadcast(
            device_voltage=finite("device_voltage", device_voltage),
            bath_temperature=bath,
            start=bath if start is None else finite("start", start),
            gap=positive("gap", self.junction.gap if gap is None else gap),
            near=positive("near", self.junction.gap if near is None else near),
        )
        _within("start", guess, self._balance.limit, "that at which kT = Δ")
        voltage, baths, guesses = (values.ravel() for values in (bias / 2, bath, guess))
        if self.superconductor is None:
            zero = np.zeros_like(voltage)
            at, potential = Conditions(voltage, baths, own.ravel(), zero), zero
            electrons = self._balance.solve(at, guesses)
        else:
            known = None if near is None else close.ravel()
            electrons, at, potential = solve(self._balance, self.superconductor, voltage, baths, guesses, known)
        return self._point(at, electrons, potential, bias.shape)

    def temperature_slope(self, point: OperatingPoint) -> Real:
        """dT_e/dV_device (K/V) along the steady states, from differentiating their equations at `point`."""
        return self.voltage_slopes(point).temperature

    def gap_slope(self, point: OperatingPoint) -> Real:
        """dΔ/dV_device (in eV per V) along the steady states; 0 without `superconductor`, and at zero bias."""
        return self.voltage_slopes(point).gap

    def conductance(self, point: OperatingPoint) -> Real:
        """dI/dV_device (S) along the steady states.

        Half of ∂I/∂V, plus ∂I/∂T_e · dT_e/dV_device, plus ∂I/∂Δ · dΔ/dV_device, plus the leak.
        """
        return self.voltage_slopes(point).current

    def injection_response(self, point: OperatingPoint) -> tuple[Real, Real]:
        """Change of the gap (in eV per A) and of the heat carried back from both superconductors (in W per A).

        By the current that each junction injects, at constant electron temperature.
        """
        if self.superconductor is None:
            raise ValueError("superconductor is None; without one the current injects into nothing")
        values = (point.device_voltage / 2, point.bath_temperature, point.gap, point.chemical_potential)
        voltage, bath, gap, potential = (array.ravel() for array in values)
        at = Conditions(voltage, bath, gap, np.zeros_like(gap))
        found = response(self.superconductor, at, potential, self.junction.resistance)
        return found[0].reshape(point.gap.shape), found[1].reshape(point.gap.shape)

    @property
    def _balance(self) -> HeatBalance:
        leakage = 0.0 if self.leakage_resistance is None else 1 / self.leakage_resistance
        coupling = self.electron_phonon * self.volume
        return HeatBalance(self.junction, coupling, self.kapitza, self.andreev, leakage)

    def voltage_slopes(self, point: OperatingPoint) -> VoltageSlopes:
        """All three at once, along the steady states: dT_e/dV (K/V), dΔ/dV (eV per V) and dI/dV (S).

        Of the balance B(V, T, Δ, h) = 0, h being the heat of the excess quasiparticles, and of Δ(q) and h(q) with the
        injected current q = |I(V, T, Δ)|.
        """
        shape, balance = point.device_voltage.shape, self._balance
        v, bath, t, gap = (
            values.ravel()
            for values in (point.device_voltage / 2, point.bath_temperature, point.electron_temperature, point.gap)
        )
        at, unit = Conditions(v, bath, gap, np.zeros_like(v)), balance.unit_junction
        reduced = v / gap, t / gap
        by_voltage = unit.current_derivative("voltage", *reduced) / self.junction.resistance
        by_temperature = unit.current_derivative("temperature", *reduced) / self.junction.resistance
        andreev = balance.andreev_current(at, t)
        scale = 2 * gap / self.junction.resistance
        cooling_by_voltage = scale * unit.cooling_power_derivative("voltage", *reduced, bath / gap)
        leakage = balance.leakage_conductance
        balance_by_voltage = cooling_by_voltage - 2 * andreev.current - 2 * v * andreev.by_voltage - 8 * v * leakage
        balance_by_temperature = balance.slope(at, t)
        by_gap = andreev_by_gap = gap_slope = heating = np.zeros_like(v)
        if self.superconductor is not None:
            sign, potential = np.sign(v), point.chemical_potential.ravel()
            by_gap = unit.current_derivative("gap", *reduced) / self.junction.resistance
            andreev_by_gap = balance.andreev_by_gap(at, t)
            cooling_by_gap = scale * unit.cooling_power_derivative("gap", *reduced, bath / gap)
            responses = response(self.superconductor, at, potential, self.junction.resistance)
            # Injection does not depend on the direction of the bias: at zero, the slope across it is 0.
            gap_by_current, heat_by_current = np.where(sign == 0, 0, responses)
            balance_by_current = (cooling_by_gap - 2 * v * andreev_by_gap) * gap_by_current - heat_by_current
            feedback = by_gap * gap_by_current - by_temperature * balance_by_current / balance_by_temperature
            injection = sign * (by_voltage - by_temperature * balance_by_voltage / balance_by_temperature)
            injection = injection / (1 - sign * feedback)
            gap_slope, heating = gap_by_current * injection, balance_by_current * injection
        slope = -(balance_by_voltage + heating) / balance_by_temperature
        current = by_voltage + andreev.by_voltage + (by_temperature + andreev.by_temperature) * slope
        current = (current + (by_gap + andreev_by_gap) * gap_slope) / 2 + leakage
        return VoltageSlopes((slope / 2).reshape(shape), (gap_slope / 2).reshape(shape), current.reshape(shape))

    def _point(self, at: Conditions, electrons: Electrons, potential: Real, shape: tuple[int, ...]) -> OperatingPoint:
        balance, bias, t = self._balance, 2 * at.voltage, electrons.temperature
        andreev = balance.andreev_current(at, t).current
        powers = balance.powers(at, electrons, andreev)
        in_range = np.ones(t.shape, bool)
        if self.andreev is not None:
            in_range = self.andreev.in_range(at.voltage / at.gap, t / at.gap, balance.unit_junction)
        values = OperatingPoint(
            device_voltage=bias,
            bath_temperature=at.bath,
            electron_temperature=t,
            phonon_temperature=at.bath + powers.phonon_rise,
            quasiparticle_current=balance.quasiparticle_current(at, t),
            andreev_current=andreev,
            leakage_current=bias * balance.leakage_conductance,
            cooling_power=powers.cooling,
            electron_phonon_power=powers.to_phonons,
            andreev_power=powers.andreev,
            leakage_power=powers.leakage,
            andreev_in_range=in_range,
            gap=at.gap,
            chemical_potential=potential,
        )
        return OperatingPoint(**{name: array.reshape(shape) for name, array in vars(values).items()})


def _within(name: str, values: Real, limit: float, meaning: str) -> None:
    """Raise ValueError unless all `values` (K) are positive and below `limit`."""
    wrong = ~((values > 0) & (values < limit))
    if wrong.any():
        raise ValueError(
            f"{name} contains {values[wrong].flat[0]}; it must be above 0 and below {limit:.4g} K, {meaning}"
        )
