"""One normal-metal–insulator–superconductor tunnel junction.

Conventions of the whole package: SI units, energies in electronvolt (a gap of 215e-6 is 215 µeV), `voltage` is that
across ONE junction; a SINIS device biased at `device_voltage` has half of it on each.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.constants import e, h, k

from labnis.physics._checks import finite, non_negative, positive_scalar
from labnis.physics._smearing import (
    Derivative,
    bcs_root_derivative,
    heat_derivative,
    smear,
    smear_temperature_slope,
)

__all__ = ["JunctionParameter", "NISJunction"]

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
JunctionParameter = Literal["voltage", "temperature", "gap", "dynes", "resistance"]

BOLTZMANN_EV: float = k / e


# Voltages among which the optimal bias is looked for first, and halvings of the interval between two of them.
_BIASES, _BISECTIONS = 73, 24


def _conductance_derivative(z: Complex, order: int) -> Complex:
    return bcs_root_derivative(z, order + 1)


@dataclass(frozen=True)
class NISJunction:
    """A junction with a Dynes-broadened BCS density of states.

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

    def density_of_states(self, energy: ArrayLike) -> Real:
        """Density of states relative to the normal one at `energy` (eV) from the Fermi level.

        n_S(E) = |Re[(E + iγΔ) / √((E + iγΔ)² − Δ²)]| (Dynes et al., PRL 41, 1509). Infinite at |E| = Δ if γ = 0.
        """
        z = (finite("energy", energy) / self.gap) + 1j * self.dynes
        with np.errstate(divide="ignore", invalid="ignore"):
            states = np.abs((z / (np.sqrt(z - 1) * np.sqrt(z + 1))).real)
        return np.where(np.abs(z) == 1, np.inf, states) if self.dynes == 0 else states

    def current(self, voltage: ArrayLike, temperature: ArrayLike) -> Real:
        """Quasiparticle current (A) at `voltage` (V) for electrons at `temperature` (K).

        I = (1/eR_T) ∫₀^∞ n_S(E) [f(E−eV) − f(E+eV)] dE (Rajauria et al., arXiv:0810.3980, eq. 3); it does not depend
        on the superconductor's temperature.
        """
        return np.asarray(self._scale * self.complex_response(voltage, temperature).real)

    def complex_response(self, voltage: ArrayLike, temperature: ArrayLike) -> Complex:
        """Smeared response s(v) in units of Δ/(eR_T).

        The real part is the current, the imaginary part minus its Kramers–Kronig partner up to a constant (Tucker &
        Feldman, RMP 57, 1055), from which the Lamb shift follows.
        """
        return smear(bcs_root_derivative, *self._reduced(voltage, temperature), self.dynes)

    def conductance(self, voltage: ArrayLike, temperature: ArrayLike) -> Real:
        """Differential conductance dI/dV (S)."""
        return self.current_derivative("voltage", voltage, temperature)

    def current_derivative(self, parameter: JunctionParameter, voltage: ArrayLike, temperature: ArrayLike) -> Real:
        """∂I/∂(parameter): in A per V, K, eV, 1 (Dynes) or ohm."""
        v, t = self._reduced(voltage, temperature)
        match parameter:
            case "voltage":
                return smear(_conductance_derivative, v, t, self.dynes).real / self.resistance
            case "dynes":
                return -self._scale * smear(_conductance_derivative, v, t, self.dynes).imag
            case "temperature":
                slope = smear_temperature_slope(bcs_root_derivative, v, t, self.dynes).real
                return slope * BOLTZMANN_EV / self.resistance
            case "gap":
                s = smear(bcs_root_derivative, v, t, self.dynes).real
                s_v = smear(_conductance_derivative, v, t, self.dynes).real
                s_t = smear_temperature_slope(bcs_root_derivative, v, t, self.dynes).real
                return (s - v * s_v - t * s_t) / self.resistance
            case "resistance":
                return -self.current(voltage, temperature) / self.resistance
        raise ValueError(f"no derivative with respect to {parameter!r}")

    def cooling_power(self, voltage: ArrayLike, temperature: ArrayLike, superconductor_temperature: ArrayLike) -> Real:
        """Heat (W) that tunnelling carries out of the normal metal, positive when it cools.

        P = (1/e²R_T) ∫ (E−eV) n_S(E) [f(E−eV, T_N) − f(E, T_S)] dE (Rajauria et al., eq. 4, one junction).
        """
        v, t = self._reduced(voltage, temperature)
        v, t, t_s = np.broadcast_arrays(
            v, t, non_negative("superconductor_temperature", superconductor_temperature) * BOLTZMANN_EV / self.gap
        )
        returned = smear(heat_derivative(self.dynes), np.zeros_like(v), t_s, self.dynes).real
        return np.asarray((self._reduced_cooling(v, t) - returned) * self.gap**2 / self.resistance)

    def cooling_power_derivative(
        self,
        parameter: JunctionParameter,
        voltage: ArrayLike,
        temperature: ArrayLike,
        superconductor_temperature: ArrayLike,
    ) -> Real:
        """∂P/∂(parameter), temperature meaning the normal metal's: in W per V, K, eV, 1 (Dynes) or ohm."""
        v, t = self._reduced(voltage, temperature)
        v, t, t_s = np.broadcast_arrays(
            v, t, non_negative("superconductor_temperature", superconductor_temperature) * BOLTZMANN_EV / self.gap
        )
        zero = np.zeros_like(v)
        heat = heat_derivative(self.dynes)

        def part(derivative: Derivative, at: Real, warmth: Real) -> Real:
            return smear(derivative, at, warmth, self.dynes).real

        def slope(derivative: Derivative, at: Real, warmth: Real) -> Real:
            return smear_temperature_slope(derivative, at, warmth, self.dynes).real

        p_v = self._reduced_cooling_slope(v, t)
        p_t = slope(heat, v, t) - v * slope(bcs_root_derivative, v, t)
        match parameter:
            case "voltage":
                return p_v * self.gap / self.resistance
            case "temperature":
                return p_t * self.gap * BOLTZMANN_EV / self.resistance
            case "resistance":
                return -self.cooling_power(voltage, temperature, superconductor_temperature) / self.resistance
            case "gap":
                p = self.cooling_power(voltage, temperature, superconductor_temperature)
                p_s = -slope(heat, zero, t_s)
                return 2 * p / self.gap - (v * p_v + t * p_t + t_s * p_s) * self.gap / self.resistance
            case "dynes":
                # L depends on γ through z (a factor i) and explicitly (−iS).
                def heat_by_dynes(z: Complex, order: int) -> Complex:
                    return 1j * (heat(z, order + 1) - bcs_root_derivative(z, order))

                def root_by_dynes(z: Complex, order: int) -> Complex:
                    return 1j * bcs_root_derivative(z, order + 1)

                reduced = part(heat_by_dynes, v, t) - part(heat_by_dynes, zero, t_s) - v * part(root_by_dynes, v, t)
                return reduced * self.gap**2 / self.resistance
        raise ValueError(f"no derivative with respect to {parameter!r}")

    def optimal_bias(self, temperature: ArrayLike) -> Real:
        """Voltage ≥ 0 (V) at which `cooling_power` is largest, whatever the superconductor's temperature.

        For kT ≪ Δ it is (Δ − 0.66 kT_N)/e (Anghel & Pekola, JLTP 123, 197). Where tunnelling cools at no voltage, 0 is
        the one at which it heats least. Accurate to 1e-6 of the gap.
        """
        t = non_negative("temperature", temperature) * BOLTZMANN_EV / self.gap
        # The maximum lies a few broadenings around the gap; far below them everything is exponentially small.
        width = t + self.dynes
        grid = np.clip(1 - width[..., None] * np.linspace(-3, 15, _BIASES), 0, None)
        grid[..., -1] = 0
        reduced = self._reduced_cooling(grid, np.broadcast_to(t[..., None], grid.shape))
        best = np.argmax(reduced, axis=-1)[..., None]
        high = np.take_along_axis(grid, np.maximum(best - 1, 0), -1)[..., 0]
        low = np.take_along_axis(grid, np.minimum(best + 1, _BIASES - 1), -1)[..., 0]
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            rises = self._reduced_cooling_slope(middle, t) > 0
            low, high = np.where(rises, middle, low), np.where(rises, high, middle)
        return np.where(best[..., 0] == _BIASES - 1, 0.0, (low + high) / 2) * self.gap

    def maximum_cooling_power(self, temperature: ArrayLike, superconductor_temperature: ArrayLike) -> Real:
        """`cooling_power` (W) at the `optimal_bias`; not positive where tunnelling cools at no voltage.

        For kT ≪ Δ it is (Δ²/e²R_T)·[0.59 (kT_N/Δ)^{3/2} − √(2πkT_S/Δ)·e^{−Δ/kT_S}] (Anghel & Pekola).
        """
        return self.cooling_power(self.optimal_bias(temperature), temperature, superconductor_temperature)

    def _reduced_cooling(self, v: Real, t: Real) -> Real:
        """Cooling power in Δ²/(e²R_T), up to what does not depend on the voltage."""
        heat = smear(heat_derivative(self.dynes), v, t, self.dynes).real
        return heat - v * smear(bcs_root_derivative, v, t, self.dynes).real

    def _reduced_cooling_slope(self, v: Real, t: Real) -> Real:
        """∂/∂v of `_reduced_cooling`."""
        heat = heat_derivative(self.dynes)

        def heat_slope(z: Complex, order: int) -> Complex:
            return heat(z, order + 1)

        slope = smear(heat_slope, v, t, self.dynes).real - smear(bcs_root_derivative, v, t, self.dynes).real
        return slope - v * smear(_conductance_derivative, v, t, self.dynes).real

    def tunnelling_rate(self, energy: ArrayLike, temperature: ArrayLike) -> Real:
        """Normalised rate F(E) (1/s) of forward tunnelling, both electrodes at `temperature` (K).

        `energy` (eV) is what the tunnelling electron gains from the bias and its environment.

        F(E) = (1/h) ∫ n_S(ε) [1 − f(ε)] f(ε − E) dε (Hyyppä et al., APL 114, 192603, eq. 3). Detailed balance ties it
        to the current: F(E) = e R_T I(E/e) / [h (1 − e^{−E/kT})].
        """
        gain, temp = np.broadcast_arrays(finite("energy", energy), non_negative("temperature", temperature))
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
        v = finite("voltage", voltage) / self.gap
        t = non_negative("temperature", temperature) * BOLTZMANN_EV / self.gap
        v, t = np.broadcast_arrays(v, t)
        return v, t
