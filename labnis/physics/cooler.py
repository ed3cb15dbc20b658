"""A normal-metal island between two NIS junctions: which electron temperature each bias gives.

Tunnelling takes heat out of the island's electrons, phonons, Andreev current and leakage bring it in; the electron
temperature is where these cancel (Rajauria et al., arXiv:0810.3980, eqs. 4–6, with the signs that energy conservation
asks for).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.constants import e, k

from labnis.physics._checks import finite, positive_scalar
from labnis.physics._tunnelling_heat import tunnelling_heat
from labnis.physics.andreev import AndreevChannel
from labnis.physics.junction import NISJunction

__all__ = ["NoOperatingPointError", "OperatingPoint", "SINISCooler"]

Real = NDArray[np.float64]

# Δ(0)/kT_c of BCS: the superconductor, at the bath's temperature, must be one.
_GAP_OVER_CRITICAL = 1.763877
# The iteration stops at this fraction of the largest term.
_TOLERANCE = 1e-10
_ITERATIONS = 200
# No step lowers the temperature by more than this factor.
_STRETCH = 4.0


class NoOperatingPointError(ValueError):
    """No electron temperature within the model's range balances the heat."""


@dataclass(frozen=True)
class OperatingPoint:
    """Steady state of a cooler; all arrays have the broadcast shape of bias and bath.

    Powers are in watt and of the whole device. In the steady state cooling_power + electron_phonon_power =
    andreev_power + leakage_power and electron_phonon_power = kapitza_power.

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
        Heat from the island's electrons to its phonons; negative when the electrons are the colder.
    kapitza_power
        Heat from the island's phonons to the bath.
    andreev_power
        Work of the Andreev current, I_A·V_device, all of it dissipated in the island; positive heats.
    leakage_power
        V_device²/R_leak, dissipated in the island; positive heats.
    andreev_in_range
        False where there is an Andreev channel beyond its range, eV ≤ 0.8 Δ: heat and current of it depend on γ there.

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
    kapitza_power: Real
    andreev_power: Real
    leakage_power: Real
    andreev_in_range: NDArray[np.bool_]

    @property
    def current(self) -> Real:
        """Total current through the device (A)."""
        return self.quasiparticle_current + self.andreev_current + self.leakage_current

    @property
    def imbalance(self) -> Real:
        """Net heat out of the electrons (W) that the solution leaves; see `SINISCooler` for its bound."""
        return self.cooling_power + self.electron_phonon_power - self.andreev_power - self.leakage_power


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

    Notes
    -----
    Where the balance rises with T_e the solution is unique: every term does, but for an Andreev current that grows with
    T_e (below some 10 mK, and thermally activated near the gap), which the others outweigh at the temperatures of the
    solution. The residual is below 1e-9 of the largest term of the balance or, where that is less (close to zero
    bias), within rounding: 2e-15 (Δ² + e²V²)/e²R_T of the cooling power, and what a change of T_e by 1e-15 of itself
    makes. The cost per point does not depend on the temperature.

    The Andreev terms depend on γ above 0.8 Δ, where cooling is strongest (see `AndreevChannel`); the solver does not
    warn, since every useful curve passes there, but marks these points in `andreev_in_range`.

    Raises
    ------
    ValueError
        Naming the argument, for values that are not finite or out of range, such as a bath above T_c = Δ/(1.764 k).
    NoOperatingPointError
        Naming bias and bath, where kT_e would have to exceed Δ.

    """

    junction: NISJunction
    volume: float
    electron_phonon: float
    kapitza: float | None
    andreev: AndreevChannel | None = None
    leakage_resistance: float | None = None

    def __post_init__(self) -> None:
        positive_scalar("volume", self.volume)
        positive_scalar("electron_phonon", self.electron_phonon)
        if self.kapitza is not None:
            positive_scalar("kapitza", self.kapitza)
        if self.leakage_resistance is not None:
            positive_scalar("leakage_resistance", self.leakage_resistance)
        if self.andreev is not None and self.junction.dynes == 0:
            raise ValueError("junction.dynes is 0; it must be positive with an Andreev channel, which diverges without")

    def operating_point(
        self, device_voltage: ArrayLike, bath_temperature: ArrayLike, *, start: ArrayLike | None = None
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

        """
        bath = finite("bath_temperature", bath_temperature)
        critical = self.junction.gap * e / k / _GAP_OVER_CRITICAL
        _within("bath_temperature", bath, critical, "the critical temperature that belongs to the gap")
        bias, bath = np.broadcast_arrays(finite("device_voltage", device_voltage), bath)
        guess = bath if start is None else np.broadcast_to(finite("start", start), bias.shape)
        _within("start", guess, self._limit, "that at which kT = Δ")
        electrons = self._solve(bias.ravel(), bath.ravel(), guess.ravel()).reshape(bias.shape)
        return self._point(bias, bath, electrons)

    def temperature_slope(self, point: OperatingPoint) -> Real:
        """dT_e/dV_device (K/V) along the steady states, from differentiating the heat balance at `point`."""
        v, bath, t = point.device_voltage / 2, point.bath_temperature, point.electron_temperature
        _, by_temperature, _ = self._balance(v, bath, self._returned(bath), t)
        by_voltage = self.junction.cooling_power_derivative("voltage", v, t, bath)
        # ∂(I_A·V_device)/∂V_device = I_A + V·∂I_A/∂V with V the voltage across one junction.
        andreev, andreev_by_voltage, _ = self._andreev(v, t)
        leakage = 2 * point.device_voltage * self._leakage_conductance
        return np.asarray((leakage + andreev + v * andreev_by_voltage - by_voltage) / by_temperature)

    def conductance(self, point: OperatingPoint) -> Real:
        """dI/dV_device (S) along the steady states: half of ∂I/∂V, plus ∂I/∂T_e · dT_e/dV_device, plus the leak."""
        v, t = point.device_voltage / 2, point.electron_temperature
        _, andreev_by_voltage, andreev_by_temperature = self._andreev(v, t)
        by_voltage = self.junction.conductance(v, t) + andreev_by_voltage
        by_temperature = self.junction.current_derivative("temperature", v, t) + andreev_by_temperature
        return by_voltage / 2 + by_temperature * self.temperature_slope(point) + self._leakage_conductance

    @property
    def _limit(self) -> float:
        """Electron temperature (K) with kT = Δ, beyond which nothing here describes the device."""
        return float(self.junction.gap * e / k)

    @property
    def _power_scale(self) -> float:
        """Δ²/(e²R_T) in watt."""
        return self.junction.gap**2 / self.junction.resistance

    @property
    def _coupling(self) -> float:
        """ΣU (W/K⁵)."""
        return self.electron_phonon * self.volume

    @property
    def _leakage_conductance(self) -> float:
        return 0.0 if self.leakage_resistance is None else 1 / self.leakage_resistance

    def _andreev(self, v: Real, t: Real) -> tuple[Real, Real, Real]:
        """(I_A, ∂I_A/∂V, ∂I_A/∂T) of one junction, 0 without a channel."""
        if self.andreev is None:
            return np.zeros_like(v), np.zeros_like(v), np.zeros_like(v)
        return self.andreev.linearised(v, t, self.junction)

    def _phonon_temperature(self, electrons: Real, bath: Real) -> Real:
        """T_ph, by Newton from above on a convex rising function: monotone from the first step."""
        if self.kapitza is None:
            return np.array(bath)
        warm = self._coupling * electrons**5 + self.kapitza * bath**4
        phonons = np.maximum(electrons, bath)
        for _ in range(_ITERATIONS):
            cube = phonons**3
            excess = cube * phonons * (self._coupling * phonons + self.kapitza) - warm
            step = excess / (cube * (5 * self._coupling * phonons + 4 * self.kapitza))
            phonons = phonons - step
            if (np.abs(step) <= 4 * np.finfo(float).eps * phonons).all():
                break
        return np.clip(phonons, np.minimum(electrons, bath), np.maximum(electrons, bath))

    def _flow_to_phonons(self, electrons: Real, phonons: Real, bath: Real) -> Real:
        """ΣU(T_e⁵ − T_ph⁵) = KA(T_ph⁴ − T_bath⁴) (W), from the side whose difference loses fewer digits."""
        flow = self._coupling * (electrons**5 - phonons**5)
        if self.kapitza is None:
            return flow
        tight = 5 * self._coupling * phonons > 4 * self.kapitza
        return np.where(tight, self.kapitza * (phonons**4 - bath**4), flow)

    def _cooling(self, v: Real, t: Real) -> tuple[Real, Real]:
        """Heat (W) out of the electrons through both junctions and ∂/∂T_e (W/K), but for `_returned`."""
        heat, slope = tunnelling_heat(v / self.junction.gap, t / self._limit, self.junction.dynes)
        scale = 2 * self._power_scale
        return scale * heat, scale * slope / self._limit

    def _returned(self, bath: Real) -> Real:
        """What the cooling power owes to the superconductors' temperature (W); one value per point, for all T_e."""
        return self._cooling(np.zeros_like(bath), bath)[0]

    def _balance(self, v: Real, bath: Real, returned: Real, t: Real) -> tuple[Real, Real, Real]:
        """Net heat (W) out of electrons at `t`, its slope ∂/∂T_e (W/K), and its largest term (W)."""
        heat, slope = self._cooling(v, t)
        cooling = heat - returned
        phonons = self._phonon_temperature(t, bath)
        to_phonons = self._flow_to_phonons(t, phonons, bath)
        phonon_slope = 5 * self._coupling * t**4
        if self.kapitza is not None:
            # Phonons follow a small warming of the electrons; only what they lag behind drives the heat flow.
            stiff = 4 * self.kapitza * phonons**3
            phonon_slope = phonon_slope * stiff / (stiff + 5 * self._coupling * phonons**4)
        slope = slope + phonon_slope
        leakage = (2 * v) ** 2 * self._leakage_conductance
        andreev, _, andreev_slope = self._andreev(v, t)
        heating = 2 * v * andreev
        slope = slope - 2 * v * andreev_slope
        largest = np.maximum(np.maximum(np.abs(cooling), np.abs(to_phonons)), np.maximum(heating, leakage))
        return cooling + to_phonons - heating - leakage, slope, largest

    def _solve(self, bias: Real, bath: Real, start: Real) -> Real:
        """Electron temperatures of one-dimensional arrays, by Newton's method kept inside a shrinking bracket."""
        solution = np.array(start)
        low, high = np.zeros_like(solution), np.full_like(solution, np.inf)
        previous = np.full_like(solution, np.inf)
        returned = self._returned(bath)
        active = np.arange(solution.size)
        for _ in range(_ITERATIONS):
            if not active.size:
                return solution
            t = solution[active]
            excess, slope, largest = self._balance(bias[active] / 2, bath[active], returned[active], t)
            self._refuse_where((t >= self._limit) & (excess < 0), bias[active], bath[active], -excess)
            cold = excess < 0
            low[active] = np.where(cold, t, low[active])
            high[active] = np.where(cold, high[active], t)
            below, above = low[active], high[active]
            with np.errstate(divide="ignore", invalid="ignore"):
                newton = t - excess / slope
                halved = np.sqrt(below * above)
            # Where the slope misleads (at the coldest, Andreev heating may grow with T_e), only the direction is known.
            proposal = np.where(slope > 0, newton, np.where(cold, np.inf, 0.0))
            # From far below, Newton overshoots what grows like T_e⁵: go where phonons alone would take up the heat.
            leap = (t**5 + np.abs(excess) / self._coupling) ** 0.2
            proposal = np.where(cold & (proposal > 1.5 * t), np.clip(leap, 1.5 * t, proposal), proposal)
            proposal = np.clip(proposal, t / _STRETCH, self._limit)
            # Where Newton leaves the bracket or gains less than half, halve the bracket instead (once there is one).
            poor = ~((proposal > below) & (proposal < above)) | (np.abs(excess) > previous[active] / 2)
            proposal = np.where(poor & (below > 0) & np.isfinite(above), halved, proposal)
            previous[active] = np.where(poor, np.inf, np.abs(excess))
            # Within its rounding the balance cannot be improved, except by one last step towards the middle of it.
            last = np.where(slope > 0, np.clip(newton, t / _STRETCH, self._limit), t)
            rounded = np.abs(excess) <= self._rounding(bias[active] / 2) + 4 * np.finfo(float).eps * np.abs(slope) * t
            rounded |= high[active] - low[active] <= 4 * np.finfo(float).eps * t
            exact = np.abs(excess) <= _TOLERANCE * largest
            solution[active] = np.where(exact, t, np.where(rounded, last, proposal))
            active = active[~(exact | rounded)]
        raise NoOperatingPointError(_message(bias[active], bath[active], f"no convergence within {_ITERATIONS} steps"))

    def _rounding(self, v: Real) -> Real:
        """Largest rounding error (W) of the cooling power."""
        return 8 * np.finfo(float).eps * self._power_scale * (1 + (v / self.junction.gap) ** 2)

    def _refuse_where(self, lost: NDArray[np.bool_], bias: Real, bath: Real, heating: Real) -> None:
        if lost.any():
            reason = f"electrons at {self._limit:.3g} K (kT = Δ) are still heated by {heating[lost][0]:.2g} W"
            raise NoOperatingPointError(_message(bias[lost], bath[lost], reason))

    def _point(self, bias: Real, bath: Real, electrons: Real) -> OperatingPoint:
        v = bias / 2
        phonons = self._phonon_temperature(electrons, bath)
        andreev, _, _ = self._andreev(v, electrons)
        in_range = np.ones(v.shape, bool)
        if self.andreev is not None:
            in_range = self.andreev.in_range(v, electrons, self.junction)
        to_phonons = self._flow_to_phonons(electrons, phonons, bath)
        return OperatingPoint(
            device_voltage=bias,
            bath_temperature=bath,
            electron_temperature=electrons,
            phonon_temperature=phonons,
            quasiparticle_current=self.junction.current(v, electrons),
            andreev_current=andreev,
            leakage_current=bias * self._leakage_conductance,
            cooling_power=self._cooling(v, electrons)[0] - self._returned(bath),
            electron_phonon_power=to_phonons,
            kapitza_power=to_phonons if self.kapitza is None else self.kapitza * (phonons**4 - bath**4),
            andreev_power=andreev * bias,
            leakage_power=bias**2 * self._leakage_conductance,
            andreev_in_range=in_range,
        )


def _within(name: str, values: Real, limit: float, meaning: str) -> None:
    """Raise ValueError unless all `values` (K) are positive and below `limit`."""
    wrong = ~((values > 0) & (values < limit))
    if wrong.any():
        raise ValueError(
            f"{name} contains {values[wrong].flat[0]}; it must be above 0 and below {limit:.4g} K, {meaning}"
        )


def _message(bias: Real, bath: Real, reason: str) -> str:
    others = f" (and {bias.size - 1} more points)" if bias.size > 1 else ""
    return f"no steady state at device_voltage = {bias[0]:g} V, bath_temperature = {bath[0]:g} K{others}: {reason}"
