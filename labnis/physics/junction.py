"""One normal-metal–insulator–superconductor tunnel junction.

Conventions of the whole package: SI units, energies in electronvolt (a gap of 215e-6 is 215 µeV), `voltage` is that
across ONE junction; a SINIS device biased at `device_voltage` has half of it on each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.constants import e, h, k

from labnis.physics._checks import below_infinity, broadcast, finite, non_negative, positive_scalar
from labnis.physics._quasiparticles import heat
from labnis.physics._smeared_current import smeared_current
from labnis.physics._smearing import bcs_root_derivatives, smear, smear_with_slopes
from labnis.physics._tunnelling_heat import tunnelling_heat, tunnelling_heat_slopes

__all__ = ["JunctionParameter", "NISJunction"]

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
JunctionParameter = Literal["voltage", "temperature", "gap", "dynes", "resistance"]

BOLTZMANN_EV: float = k / e


# Voltages among which the optimal bias is looked for first, and halvings of the interval between two of them.
_BIASES, _BISECTIONS = 73, 24
# Temperatures for which this is done at once: each takes 120 kB.
_TOGETHER = 256


def _conductance_derivatives(z: Complex, orders: Sequence[int]) -> list[Complex]:
    return bcs_root_derivatives(z, [order + 1 for order in orders])


@dataclass(frozen=True)
class NISJunction:
    """A junction with a Dynes-broadened BCS density of states.

    n_S(E) = `|Re[(E + iγΔ) / √((E + iγΔ)² − Δ²)]|` (Dynes et al., PRL 41, 1509).

    Attributes
    ----------
    gap
        Superconducting gap Δ (eV), positive.
    resistance
        Normal-state (tunnelling) resistance R_T (ohm), positive.
    dynes
        Dynes parameter γ: the gap edge is broadened by γΔ; 0 is the ideal BCS case.

    Notes
    -----
    All methods broadcast over their array arguments and return arrays of the broadcast shape. Currents are accurate to
    1e-13 of the normal-state current V/R_T at every voltage, for any Dynes parameter and temperatures up to 1 K on
    aluminium (kT < 0.4 Δ). Deep in the gap that bounds the relative accuracy: where the current is 1e-8 of normal,
    five digits are left.

    Raises
    ------
    ValueError
        Naming the argument, for values that are not finite or out of range.

    """

    gap: float
    resistance: float
    dynes: float = 0.0

    def __post_init__(self) -> None:
        positive_scalar("gap", self.gap)
        positive_scalar("resistance", self.resistance)
        positive_scalar("dynes", self.dynes, zero=True)

    def current(self, voltage: ArrayLike, temperature: ArrayLike) -> Real:
        """Quasiparticle current (A) at `voltage` (V) for electrons at `temperature` (K).

        I = (1/eR_T) ∫₀^∞ n_S(E) [f(E−eV) − f(E+eV)] dE (Rajauria et al., arXiv:0810.3980, eq. 3); it does not depend
        on the superconductor's temperature.
        """
        return self._scale * smeared_current(*self._reduced(voltage, temperature), self.dynes)

    def complex_response(self, voltage: ArrayLike, temperature: ArrayLike) -> Complex:
        """Smeared response s(v) in units of Δ/(eR_T).

        The real part is the current, the imaginary part minus its Kramers–Kronig partner up to a constant (Tucker &
        Feldman, RMP 57, 1055), from which the Lamb shift follows.
        """
        return smear(bcs_root_derivatives, *self._reduced(voltage, temperature), self.dynes)

    def complex_response_with_slopes(
        self, voltage: ArrayLike, temperature: ArrayLike
    ) -> tuple[Complex, Complex, Complex]:
        """`complex_response` s, ∂s/∂v and ∂s/∂t in units of Δ/(eR_T), v = eV/Δ and t = kT/Δ; ∂s/∂γ is i·∂s/∂v."""
        return smear_with_slopes(*self._reduced(voltage, temperature), self.dynes)

    def conductance(self, voltage: ArrayLike, temperature: ArrayLike) -> Real:
        """Differential conductance dI/dV (S); infinite at a sharp gap edge (γ = 0) at T = 0."""
        return self.current_derivative("voltage", voltage, temperature)

    def current_derivative(self, parameter: JunctionParameter, voltage: ArrayLike, temperature: ArrayLike) -> Real:
        """∂I/∂(parameter): in A per V, K, eV, 1 (Dynes) or ohm."""
        v, t = self._reduced(voltage, temperature)
        match parameter:
            case "voltage":
                return smear(_conductance_derivatives, v, t, self.dynes).real / self.resistance
            case "dynes":
                return -self._scale * smear(_conductance_derivatives, v, t, self.dynes).imag
            case "temperature":
                return smear_with_slopes(v, t, self.dynes)[2].real * BOLTZMANN_EV / self.resistance
            case "gap":
                # The real parts first: a slope is infinite at a sharp gap edge.
                s, s_v, s_t = (part.real for part in smear_with_slopes(v, t, self.dynes))
                return (s - v * s_v - t * s_t) / self.resistance
            case "resistance":
                return -self.current(voltage, temperature) / self.resistance
        raise ValueError(f"no derivative with respect to {parameter!r}")

    def cooling_power(
        self,
        voltage: ArrayLike,
        temperature: ArrayLike,
        superconductor_temperature: ArrayLike,
        *,
        chemical_potential: ArrayLike = 0.0,
    ) -> Real:
        """Heat (W) that tunnelling carries out of the normal metal, positive when it cools.

        P = (1/e²R_T) ∫ (E−eV) n_S(E) [f(E−eV, T_N) − f(E, T_S)] dE (Rajauria et al., eq. 4, one junction). Accurate to
        5e-15 [Δ² + (eV)²]/(e²R_T) for kT < Δ.

        Parameters
        ----------
        voltage, temperature, superconductor_temperature
            V across the junction (V), T_N and T_S (K).
        chemical_potential
            µ* (eV) of the superconductor's quasiparticles, which occupy its states with f(E) = 1/(e^{(E−µ*)/kT_S} + 1)
            for E ≥ Δ (Owen & Scalapino, PRL 28, 1559): 0 in equilibrium, −inf where there are none.

        Notes
        -----
        Electrons and holes of energy E carry heat into the normal metal alike, −(2/e²R_T) ∫ E n_S f dE, whatever the
        bias. What µ* ≠ 0 adds to that is taken with the BCS density of states, (2/e²R_T) ∫_Δ^∞ E² (f_µ* − f_0)
        dE/√(E²−Δ²): the quasiparticles which the µ* model counts are those above the gap, and the states that
        broadening leaves below it, full for µ* > E, would be no excess of them.

        """
        v, t, t_s, potential = self._superconductor(
            voltage, temperature, superconductor_temperature, chemical_potential
        )
        return np.asarray(self._reduced_cooling(v, t, t_s, potential) * self.gap**2 / self.resistance)

    def cooling_power_derivative(
        self,
        parameter: JunctionParameter,
        voltage: ArrayLike,
        temperature: ArrayLike,
        superconductor_temperature: ArrayLike,
        *,
        chemical_potential: ArrayLike = 0.0,
    ) -> Real:
        """∂P/∂(parameter), temperature meaning the normal metal's: in W per V, K, eV, 1 (Dynes) or ohm.

        That by the gap is at constant `chemical_potential`, and infinite for µ* = Δ at T_S = 0.
        """
        v, t, t_s, potential = self._superconductor(
            voltage, temperature, superconductor_temperature, chemical_potential
        )
        match parameter:
            case "voltage":
                return tunnelling_heat_slopes(v, t, self.dynes)[0] * self.gap / self.resistance
            case "temperature":
                return tunnelling_heat(v, t, self.dynes)[1] * self.gap * BOLTZMANN_EV / self.resistance
            case "resistance":
                return -self._reduced_cooling(v, t, t_s, potential) * self.gap**2 / self.resistance**2
            case "gap":
                zero = np.zeros_like(v)
                (power, by_t), (returned, returned_by_t) = (
                    tunnelling_heat(*at, self.dynes) for at in ((v, t), (zero, t_s))
                )
                by_v = tunnelling_heat_slopes(v, t, self.dynes)[0]
                # Δ²K(eV/Δ, kT/Δ) differentiated; that of the excess quasiparticles is known as it is.
                slope = 2 * (power - returned) - v * by_v - t * by_t + t_s * returned_by_t
                return (slope - _excess_heat(t_s, potential)[1]) * self.gap / self.resistance
            case "dynes":
                zero = np.zeros_like(v)
                slope, at_superconductor = (tunnelling_heat_slopes(*at, self.dynes)[1] for at in ((v, t), (zero, t_s)))
                return (slope - at_superconductor) * self.gap**2 / self.resistance
        raise ValueError(f"no derivative with respect to {parameter!r}")

    def cooling_power_slopes(
        self, voltage: ArrayLike, temperature: ArrayLike, superconductor_temperature: ArrayLike
    ) -> tuple[Real, Real, Real, Real]:
        """∂P/∂V (W/V), ∂P/∂T_N and ∂P/∂T_S (W/K), and ∂P/∂γ (W) without excess quasiparticles, computed together."""
        v, t, t_s, _ = self._superconductor(voltage, temperature, superconductor_temperature, 0.0)
        scale = self.gap / self.resistance
        by_v, by_dynes = tunnelling_heat_slopes(v, t, self.dynes)
        by_t = tunnelling_heat(v, t, self.dynes)[1]
        # Baths are few.
        baths, which = np.unique(t_s, return_inverse=True)
        zero = np.zeros_like(baths)
        returned_by_t = tunnelling_heat(zero, baths, self.dynes)[1][which].reshape(t_s.shape)
        returned_by_dynes = tunnelling_heat_slopes(zero, baths, self.dynes)[1][which].reshape(t_s.shape)
        return (
            scale * by_v,
            scale * BOLTZMANN_EV * by_t,
            -scale * BOLTZMANN_EV * returned_by_t,
            scale * self.gap * (by_dynes - returned_by_dynes),
        )

    def optimal_bias(self, temperature: ArrayLike) -> Real:
        """Voltage ≥ 0 (V) at which `cooling_power` is largest, whatever the superconductor's temperature.

        For kT ≪ Δ it is (Δ − 0.66 kT_N)/e (Anghel & Pekola, JLTP 123, 197). Where tunnelling cools at no voltage, 0 is
        the one at which it heats least. Accurate to 1e-6 of the gap.
        """
        t = _thermal(non_negative("temperature", temperature), self.gap)
        parts = np.split(t.ravel(), range(_TOGETHER, t.size, _TOGETHER))
        return np.concatenate([self._reduced_optimal_bias(part) for part in parts]).reshape(t.shape) * self.gap

    def _reduced_optimal_bias(self, t: Real) -> Real:
        # The maximum lies a few broadenings around the gap; far below them everything is exponentially small.
        width = t + self.dynes
        grid = np.clip(1 - width[..., None] * np.linspace(-3, 15, _BIASES), 0, None)
        grid[..., -1] = 0
        reduced = tunnelling_heat(grid, np.broadcast_to(t[..., None], grid.shape), self.dynes)[0]
        best = np.argmax(reduced, axis=-1)[..., None]
        high = np.take_along_axis(grid, np.maximum(best - 1, 0), -1)[..., 0]
        low = np.take_along_axis(grid, np.minimum(best + 1, _BIASES - 1), -1)[..., 0]
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            rises = tunnelling_heat_slopes(middle, t, self.dynes)[0] > 0
            low, high = np.where(rises, middle, low), np.where(rises, high, middle)
        return np.where(best[..., 0] == _BIASES - 1, 0.0, (low + high) / 2)

    def maximum_cooling_power(
        self,
        temperature: ArrayLike,
        superconductor_temperature: ArrayLike,
        *,
        chemical_potential: ArrayLike = 0.0,
    ) -> Real:
        """`cooling_power` (W) at the `optimal_bias`; not positive where tunnelling cools at no voltage.

        For kT ≪ Δ it is (Δ²/e²R_T)·[0.59 (kT_N/Δ)^{3/2} − √(2πkT_S/Δ)·e^{−Δ/kT_S}] (Anghel & Pekola).
        """
        bias = self.optimal_bias(temperature)
        return self.cooling_power(bias, temperature, superconductor_temperature, chemical_potential=chemical_potential)

    def _reduced_cooling(self, v: Real, t: Real, t_s: Real, potential: Real) -> Real:
        """Cooling power in Δ²/(e²R_T)."""
        returned = tunnelling_heat(np.zeros_like(v), t_s, self.dynes)[0]
        return tunnelling_heat(v, t, self.dynes)[0] - returned - _excess_heat(t_s, potential)[0]

    def tunnelling_rate(self, energy: ArrayLike, temperature: ArrayLike) -> Real:
        """Normalised rate F(E) (1/s) of forward tunnelling, both electrodes at `temperature` (K).

        `energy` (eV) is what the tunnelling electron gains from the bias and its environment.

        F(E) = (1/h) ∫ n_S(ε) [1 − f(ε)] f(ε − E) dε (Hyyppä et al., APL 114, 192603, eq. 3). Detailed balance ties it
        to the current: F(E) = e R_T I(E/e) / [h (1 − e^{−E/kT})].
        """
        gain, temp = broadcast(energy=finite("energy", energy), temperature=non_negative("temperature", temperature))
        thermal = BOLTZMANN_EV * temp
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            x = np.abs(gain / thermal)
            # Near zero the current is linear; the quotient below would lose digits to cancellation.
            linear = self.resistance * self.conductance(0.0, temp) * gain
            normalised_current = np.where(x < 1e-4, linear, self.resistance * self.current(gain, temp))
            # −expm1(−|x|) keeps both signs free of overflow and cancellation.
            rate = np.where(gain > 0, normalised_current, -normalised_current * np.exp(-x)) / -np.expm1(-x)
        rate = np.where(gain == 0, self.resistance * self.conductance(0.0, temp) * thermal, rate)
        rate = np.where(thermal == 0, np.maximum(normalised_current, 0), rate)
        return np.asarray(rate * e / h)

    @property
    def _scale(self) -> float:
        """Δ/(eR_T) in ampere."""
        return self.gap / self.resistance

    def _reduced(self, voltage: ArrayLike, temperature: ArrayLike) -> tuple[Real, Real]:
        """(eV/Δ, kT/Δ), broadcast against each other."""
        v, t = broadcast(voltage=finite("voltage", voltage), temperature=non_negative("temperature", temperature))
        return v / self.gap, _thermal(t, self.gap)

    def _superconductor(
        self, voltage: ArrayLike, temperature: ArrayLike, superconductor: ArrayLike, potential: ArrayLike
    ) -> tuple[Real, Real, Real, Real]:
        """(eV/Δ, kT_N/Δ, kT_S/Δ, µ*/Δ), broadcast against each other."""
        v, t, t_s, m = broadcast(
            voltage=finite("voltage", voltage),
            temperature=non_negative("temperature", temperature),
            superconductor_temperature=non_negative("superconductor_temperature", superconductor),
            chemical_potential=below_infinity("chemical_potential", potential),
        )
        return v / self.gap, _thermal(t, self.gap), _thermal(t_s, self.gap), m / self.gap


def _thermal(temperature: Real, gap: float) -> Real:
    """The temperature as kT/Δ, 0 below 1e-15, where the powers of the expansions overflow and nothing is smeared."""
    t = BOLTZMANN_EV * temperature / gap
    return np.where(t > 1e-15, t, 0.0)


def _excess_heat(t: Real, potential: Real) -> tuple[Real, Real]:
    """What quasiparticles with µ* return beyond those with µ* = 0, in Δ²/(e²R_T), and Δ·∂/∂Δ of it in Δ²."""
    if not potential.any():
        return np.zeros_like(t), np.zeros_like(t)
    (value, slope), (equilibrium, equilibrium_slope) = heat(t, potential), heat(t, np.zeros_like(t))
    return value - equilibrium, slope - equilibrium_slope
