"""Far above the gap: the closed forms from which the published calibration of an amplifier chain is made.

For eV ≫ Δ + ħω_r and kT the damping rate, the photon number and the emitted power of the junctions are polynomials in V
and 1/V, so that the slope of the measured power against the bias gives the gain without the electron temperature
(Hyyppä et al., APL 114, 192603, "H" below). `labnis.physics.Resonator` has the exact expressions at every bias; what is
left out here is of relative order (Δ/eV)³ and (ħω_r/eV)².
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.constants import e, k

from labnis.physics._checks import finite, positive, positive_scalar
from labnis.physics.resonator import Resonator

__all__ = [
    "PowerExpansion",
    "gain_from_slope",
    "high_bias_damping_rate",
    "high_bias_photon_number",
    "high_bias_power",
    "noise_temperature",
]

Real = NDArray[np.float64]


class PowerExpansion(NamedTuple):
    """Coefficients of P = slope·V + constant + inverse/V (H eq. 8), in W/V, W and W·V; V across one junction."""

    slope: float
    constant: float
    inverse: float

    def __call__(self, voltage: ArrayLike) -> Real:
        """Power (W) at `voltage` (V), positive."""
        v = positive("voltage", voltage)
        for name, value in self._asdict().items():
            finite(name, value)
        return np.asarray(self.slope * v + self.constant + self.inverse / v)


def high_bias_damping_rate(resonator: Resonator, gap: float, voltage: ArrayLike) -> Real:
    """Damping rate γ_T ≈ γ̄_T [1 + Δ²/(2(eV)²)] (1/s) at `voltage` (V) for a gap in eV (H eq. 4)."""
    positive_scalar("gap", gap)
    return np.asarray(resonator.damping_junction * (1 + (gap / positive("voltage", voltage)) ** 2 / 2))


def high_bias_photon_number(resonator: Resonator, gap: float, voltage: ArrayLike) -> Real:
    """Photon number N_T ≈ eV/(2ħω_r) − ½ − Δ²/(2ħω_r eV) of the junctions' bath (H eq. 5)."""
    positive_scalar("gap", gap)
    v, w = positive("voltage", voltage), resonator.photon_energy
    return np.asarray(v / (2 * w) - 0.5 - gap**2 / (2 * w * v))


def high_bias_power(
    resonator: Resonator, gap: float, line_photons: float = 0.0, excess_photons: float = 0.0
) -> PowerExpansion:
    """Expansion up to 1/V of the power (W) into the line, `Resonator.emitted_power`.

    From H eqs. 4 to 7, with Σ = γ̄_T + γ_tr + γ_x:
    P_tr ≈ (ħω_r γ_tr/Σ) { γ̄_T eV/(2ħω_r) − γ̄_T(½ + N_tr) + γ_x(N_x − N_tr) − γ̄_T (1 + γ̄_T/Σ) Δ²/(4ħω_r eV) }.
    """
    positive_scalar("gap", gap)
    positive_scalar("line_photons", line_photons, zero=True)
    positive_scalar("excess_photons", excess_photons, zero=True)
    r, w = resonator, resonator.photon_energy
    total = r.damping_junction + r.damping_line + r.damping_excess
    share = e * w * r.damping_line / total
    constant = r.damping_excess * (excess_photons - line_photons) - r.damping_junction * (0.5 + line_photons)
    inverse = -r.damping_junction * (1 + r.damping_junction / total) * gap**2 / (4 * w)
    return PowerExpansion(share * r.damping_junction / (2 * w), share * constant, share * inverse)


def gain_from_slope(slope: float, resonator: Resonator) -> float:
    """Power gain as a ratio (1), from the `slope` a₁ (W/V) of the measured power.

    G = 2a₁(γ̄_T + γ_tr + γ_x)/(e γ_tr γ̄_T) (H eq. 9).
    """
    positive_scalar("slope", slope)
    positive_scalar("damping_junction", resonator.damping_junction)
    return slope / high_bias_power(resonator, gap=1e-6).slope


def noise_temperature(power: float, gain: float, bandwidth: float, emitted: float = 0.0) -> float:
    """Noise temperature (K) of the chain, referred to the device: T = (P_out(0)/G − P_tr(0)) / (kΔf).

    Parameters
    ----------
    power
        Measured at zero bias (W).
    bandwidth
        In which it was measured (Hz).
    gain
        Power gain as a ratio.
    emitted
        What the device itself emits at zero bias (W), taken as 0 in H eq. 10.

    """
    for name, value in (("power", power), ("gain", gain), ("bandwidth", bandwidth)):
        positive_scalar(name, value)
    positive_scalar("emitted", emitted, zero=True)
    return float((power / gain - emitted) / (k * bandwidth))
