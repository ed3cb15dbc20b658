"""The phase-coherent Andreev current of an NIS junction with diffusive electrodes.

Below the gap two electrons can enter the superconductor as a Cooper pair. Disorder sends them back to the barrier many
times, and as long as electron and hole stay coherent the amplitudes add: the conductance is of the order R_diff/R_T²,
R_diff being the resistance of the stretch of wire over which they do (Rajauria et al., arXiv:0810.3980, after Hekking
& Nazarov, PRB 49, 6847, and Volkov, Zaitsev & Klapwijk, Physica C 210, 21).
"""

import warnings
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.constants import e, hbar

from labnis.physics._andreev_integral import Spectrum, integrate, integrate_parts
from labnis.physics._checks import broadcast, finite, non_negative, positive, positive_scalar
from labnis.physics.junction import BOLTZMANN_EV, NISJunction

__all__ = ["AndreevChannel", "AndreevCurrent", "AndreevSlopes", "ModelRangeWarning", "wire_resistance_per_length"]

Real = NDArray[np.float64]

# Above this fraction of the gap the result depends on the broadening.
_RANGE = 0.8


class ModelRangeWarning(UserWarning):
    """A model was evaluated where its own assumptions no longer hold; the result is returned all the same."""


def wire_resistance_per_length(diffusion_constant: float, density_of_states: float, area: float) -> float:
    """Resistance per length R' = 1/(e² N_F D A) of a normal wire (ohm/m).

    Parameters
    ----------
    diffusion_constant
        D (m²/s).
    density_of_states
        N_F at the Fermi level, both spins (1/(J m³)): 1.56e47 for copper, 2.15e47 for aluminium.
    area
        Cross-section of the wire (m²).

    Raises
    ------
    ValueError
        Naming the argument, where it is not finite and positive.

    """
    positive_scalar("diffusion_constant", diffusion_constant)
    positive_scalar("density_of_states", density_of_states)
    positive_scalar("area", area)
    return float(1 / (e**2 * density_of_states * diffusion_constant * area))


class AndreevCurrent(NamedTuple):
    """I_A (A) and its derivatives: ∂I_A/∂V (S) and ∂I_A/∂T (A/K)."""

    current: Real
    by_voltage: Real
    by_temperature: Real


class AndreevSlopes(NamedTuple):
    """How I_A changes with the device; `at` is I_A itself, which needs the same integral.

    `by_normal` and `by_superconductor` (A per ohm/m) are the currents of M·R'_N and of M·R'_S, which are proportional
    to them; `by_gap` is ∂I_A/∂Δ (A per eV), and `by_length` L_φ·∂I_A/∂L_φ (A).
    """

    by_normal: Real
    by_superconductor: Real
    by_gap: Real
    by_length: Real
    at: AndreevCurrent


@dataclass(frozen=True)
class AndreevChannel:
    """Phase-coherent Andreev current through one junction, wire-like electrodes, disorder in both metals.

    I_A = (M/eR_T²) ∫₀^Δ [R'_N Re λ_N(E) + R'_S ξ_S(E)] |F_S(E)|² [f(E−eV) − f(E+eV)] dE, with
    λ_N = (L_φ⁻² − 2iE/ħD_N)^{−½}, ξ_S = [ħD_S / 2√(Δ²−E²)]^½ and F_S² = Δ²/[Δ² − (E + iγΔ)²] (linearised Usadel
    equation with the Kuprianov–Lukichev boundary, the theory that Rajauria et al., sect. 3, use).

    Attributes
    ----------
    diffusion_constant
        D_N of the normal metal (m²/s), positive.
    coherence_length
        Phase-coherence length L_φ in the normal metal (m), positive.
    resistance_per_length
        R'_N of the normal electrode (ohm/m), 0 or more; see `wire_resistance_per_length`.
    scale
        M, by which the paper scales the theory to one junction (1.37 and 0.49 there), 0 or more.
    superconductor_resistance_per_length
        R'_S of the superconducting electrode in its normal state (ohm/m), 0 or more; 0 leaves its disorder out.
    superconductor_diffusion_constant
        D_S (m²/s), positive; None for that of the normal metal.
    broadening
        γ, positive: without it the integral diverges at the gap. It is not the Dynes parameter of the junction: next to
        the gap, where the theory does not hold, it says how large this current is, and nothing of the quasiparticles.

    Notes
    -----
    Gap and R_T are those of the junction passed to each method. All methods broadcast voltage against temperature;
    `voltage` (V) is that across ONE junction. The model holds for eV, kT < Δ. Above about 0.8 Δ the result depends on
    γ (as its logarithm through the normal electrode, as γ^{−¼} through the superconductor), and `current` and
    `conductance` say so with a `ModelRangeWarning`, once per call; `linearised` does not warn.

    Current and conductance are accurate to 1e-8 of themselves, and ∂I/∂T to 1e-8 of I/T, for eV ≤ 0.95 Δ,
    1e-6 ≤ γ ≤ 0.01, ħD/2L_φ² ≥ 1e-6 Δ and all temperatures of kT < 0.3 Δ, T = 0 included; up to eV = 2 Δ and from
    5 mK to 1e-7. The cost per point does not depend on the temperature.

    Raises
    ------
    ValueError
        Naming the argument, for values that are not finite or out of range.

    """

    diffusion_constant: float
    coherence_length: float
    resistance_per_length: float
    scale: float = 1.0
    superconductor_resistance_per_length: float = 0.0
    superconductor_diffusion_constant: float | None = None
    broadening: float = 1e-5

    def __post_init__(self) -> None:
        positive_scalar("diffusion_constant", self.diffusion_constant)
        positive_scalar("coherence_length", self.coherence_length)
        positive_scalar("resistance_per_length", self.resistance_per_length, zero=True)
        positive_scalar("scale", self.scale, zero=True)
        positive_scalar("superconductor_resistance_per_length", self.superconductor_resistance_per_length, zero=True)
        if self.superconductor_diffusion_constant is not None:
            positive_scalar("superconductor_diffusion_constant", self.superconductor_diffusion_constant)
        positive_scalar("broadening", self.broadening)

    @staticmethod
    def in_range(voltage: ArrayLike, temperature: ArrayLike, junction: NISJunction) -> NDArray[np.bool_]:
        """Whether eV and kT stay below 0.8 Δ, where the Andreev current does not depend on its broadening."""
        v, t = _reduced(voltage, temperature, junction.gap)
        return np.asarray(np.maximum(np.abs(v), t) <= _RANGE)

    @property
    def coherence_energy(self) -> float:
        """ħD_N/(2L_φ²) (eV), below which dephasing and not the energy limits the coherent stretch."""
        return float(hbar * self.diffusion_constant / (2 * self.coherence_length**2) / e)

    def current(self, voltage: ArrayLike, temperature: ArrayLike, junction: NISJunction) -> Real:
        """Andreev current (A) at `voltage` (V) for electrons at `temperature` (K); odd in the voltage."""
        self._warn_out_of_range(voltage, temperature, junction)
        return self.linearised(voltage, temperature, junction).current

    def conductance(self, voltage: ArrayLike, temperature: ArrayLike, junction: NISJunction) -> Real:
        """∂I_A/∂V (S); M·R_coh/R_T² at zero bias, R_coh being the resistance of both coherent stretches of wire."""
        self._warn_out_of_range(voltage, temperature, junction)
        return self.linearised(voltage, temperature, junction).by_voltage

    def linearised(
        self, voltage: ArrayLike, temperature: ArrayLike, junction: NISJunction, *, gap: ArrayLike | None = None
    ) -> AndreevCurrent:
        """Current and derivatives from one integration, without a warning: for solvers that state their own range.

        Parameters
        ----------
        voltage, temperature, junction
            As in `current`.
        gap
            Gap (eV) instead of the junction's, one for every voltage and temperature.

        """
        spectrum, v, t, delta = self._reduced(voltage, temperature, junction, gap)
        return self._scaled(junction, v, delta, integrate(spectrum, np.abs(v), t))

    def slopes(
        self, voltage: ArrayLike, temperature: ArrayLike, junction: NISJunction, *, gap: ArrayLike | None = None
    ) -> AndreevSlopes:
        """Slopes of the current (A per unit of the parameter); arguments as for `linearised`, and without a warning."""
        spectrum, v, t, delta = self._reduced(voltage, temperature, junction, gap)
        value, by_v, by_t = integrate(spectrum, np.abs(v), t)
        normal, superconductor, by_coherence = integrate_parts(spectrum, np.abs(v), t)
        in_normal, in_superconductor = spectrum.normal * normal, spectrum.superconductor * superconductor
        # With the gap ε falls like 1/Δ, the coherent resistance of S like 1/√Δ.
        by_gap = in_normal + in_superconductor / 2 - np.abs(v) * by_v - t * by_t - by_coherence
        signed = np.sign(v) * self.scale / junction.resistance**2
        in_ampere = signed * delta
        unscaled = np.sign(v) * delta / junction.resistance**2
        return AndreevSlopes(
            unscaled * self.coherence_length * normal,
            unscaled * self._length_in_superconductor(delta) * superconductor,
            signed * by_gap,
            # The coherent resistance of N is proportional to L_φ, and ε to 1/L_φ².
            in_ampere * (in_normal - 2 * by_coherence),
            self._scaled(junction, v, delta, (value, by_v, by_t)),
        )

    def _scaled(self, junction: NISJunction, v: Real, gap: Real, integrals: tuple[Real, Real, Real]) -> AndreevCurrent:
        """From the integral and its slopes at eV/Δ and Δ (eV)."""
        value, by_v, by_t = integrals
        scale = self.scale / junction.resistance**2
        signed = np.sign(v) * scale
        return AndreevCurrent(signed * gap * value, scale * by_v, signed * BOLTZMANN_EV * by_t)

    def _length_in_superconductor(self, gap: Real) -> Real:
        """√(ħD_S/2Δ) (m)."""
        diffusion = self.superconductor_diffusion_constant or self.diffusion_constant
        return np.asarray(np.sqrt(hbar * diffusion / (2 * gap * e)))

    def _reduced(
        self, voltage: ArrayLike, temperature: ArrayLike, junction: NISJunction, gap: ArrayLike | None
    ) -> tuple[Spectrum, Real, Real, Real]:
        """The spectrum, eV/Δ, kT/Δ and Δ (eV)."""
        v, t, delta = broadcast(
            voltage=finite("voltage", voltage),
            temperature=non_negative("temperature", temperature),
            gap=positive("gap", junction.gap if gap is None else gap),
        )
        spectrum = Spectrum(
            normal=self.resistance_per_length * self.coherence_length,
            superconductor=self.superconductor_resistance_per_length * self._length_in_superconductor(delta),
            coherence_energy=self.coherence_energy / delta,
            broadening=self.broadening,
        )
        return spectrum, *_reduced(v, t, delta), delta

    def _warn_out_of_range(self, voltage: ArrayLike, temperature: ArrayLike, junction: NISJunction) -> None:
        if not self.in_range(voltage, temperature, junction).all():
            warnings.warn(
                f"the Andreev current is computed above {_RANGE} of the gap, where it depends on its broadening",
                ModelRangeWarning,
                stacklevel=3,
            )


def _reduced(voltage: ArrayLike, temperature: ArrayLike, gap: float | Real) -> tuple[Real, Real]:
    """(eV/Δ, kT/Δ), broadcast against each other."""
    v, t = broadcast(voltage=finite("voltage", voltage), temperature=non_negative("temperature", temperature))
    return v / gap, t * BOLTZMANN_EV / gap
