"""Gain and noise temperature of the amplifier chain from the noise spectra that a biased junction emits.

At every bias the chain's output is its own noise plus G times the Lorentzian that the resonator emits. The noise,
one unknown number per frequency bin, does not depend on the bias and is eliminated like the background of the
reflection; what the bias changes is G times a power that the damping rates and the junction parameters predict
(Hyyppä et al., APL 114, 192603, eqs. 1–7, at all biases rather than in the high-bias limit of eqs. 8 and 9).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.constants import k

from labnis.fit._derived import with_derived
from labnis.fit._least_squares import Parameter, Solution, solve
from labnis.fit._resonator_model import JUNCTION_NAMES, RATE_NAMES, DeviceModel
from labnis.fit.result import FitError, FitResult
from labnis.physics import thermal_photon_number

__all__ = ["EmissionData", "fit_emitted_power"]

Real = NDArray[np.float64]

MODEL = "emitted spectra at all biases"

# In dB; where the emitted power is a third of itself uncertain, it may as well be noise.
LARGEST_GAIN_SIGMA = 10 / np.log(10) / 3


@dataclass(frozen=True)
class EmissionData:
    """Noise spectra at n biases and m frequencies.

    Attributes
    ----------
    device_voltage
        Voltage across the SINIS pair (V), shape (n,).
    frequency
        Frequencies (Hz), shape (m,).
    spectrum
        Power spectral density at the analyzer (W/Hz), shape (n, m).
    fridge_temperature
        Temperature of the stage (K) that sets the photon number of the line and the excess bath.

    """

    device_voltage: Real
    frequency: Real
    spectrum: Real
    fridge_temperature: float

    def __post_init__(self) -> None:
        expected = (self.device_voltage.size, self.frequency.size)
        if self.spectrum.shape != expected:
            raise FitError(f"spectrum has shape {self.spectrum.shape}; {expected} is needed (biases, frequencies)")
        if not self.fridge_temperature >= 0:
            raise FitError(f"fridge_temperature is {self.fridge_temperature} K; it must be 0 or more")

    def finite(self) -> "EmissionData":
        """Only the biases at which everything is finite."""
        usable = np.isfinite(self.spectrum).all(axis=1) & np.isfinite(self.device_voltage)
        return EmissionData(self.device_voltage[usable], self.frequency, self.spectrum[usable], self.fridge_temperature)


def fit_emitted_power(data: EmissionData, *, prior: FitResult) -> FitResult:
    """Fit the gain of the chain and derive its noise temperature.

    Parameters
    ----------
    data
        Spectra at four biases or more, some of them well beyond the gap.
    prior
        A reflection fit of the same device; its rates and junction parameters enter with their covariance.

    Returns
    -------
    FitResult
        gain (dB), noise_temperature (K, mean over the band), and the parameters of the prior, updated.

    Raises
    ------
    FitError
        With fewer than four usable spectra, no emission beyond the noise, or no convergence.

    """
    usable = data.finite()
    if usable.device_voltage.size < 4:
        raise FitError(f"{usable.device_voltage.size} usable spectra are too few; at least 4 biases are needed")
    known = prior.select((*RATE_NAMES, *JUNCTION_NAMES))
    emitted = _emission(dict(zip(known.names, known.values, strict=True)), usable)
    gain = _gain_guess(usable, emitted)
    parameters = [Parameter("gain", "dB", 10 * np.log10(gain), 1.0), *_known_parameters(known)]
    names = [p.name for p in parameters]
    # A radiometer scatters in proportion to what it sees; the weights come from the model, never from the noisy data.
    expected = usable.spectrum.mean(axis=0) + gain * (emitted - emitted.mean(axis=0))

    def residuals(x: Real) -> Real:
        values = dict(zip(names, x, strict=True))
        rest, _ = _unexplained(values, usable, expected)
        return np.asarray(rest / expected).ravel()

    solution = solve(parameters, residuals, absorbed=usable.frequency.size, prior=known)
    result = _result(parameters, solution)
    if not result["gain"].sigma < LARGEST_GAIN_SIGMA:
        raise FitError(
            f"the emitted spectra do not rise above their noise (gain {result['gain'].value:.3g} ± "
            f"{result['gain'].sigma:.3g} dB): is the resonance in the band, and is the bias beyond the gap?"
        )
    return _with_noise_temperature(result, usable, expected)


def _emission(values: Mapping[str, float], data: EmissionData) -> Real:
    """Emitted spectral density (W/Hz) into the line, shape (n, m), for unit gain."""
    device = DeviceModel(values, data.device_voltage)
    photons = float(thermal_photon_number(values["ohmic_frequency"], data.fridge_temperature))
    return np.asarray(
        device.resonator.emitted_spectrum(
            data.frequency, device.junction, device.junction_voltage[:, None], device.temperature, photons, photons
        )
    )


def _unexplained(values: Mapping[str, float], data: EmissionData, expected: Real) -> tuple[Real, Real]:
    """Residual spectra (W/Hz), and the chain's own noise per bin (W/Hz) that was eliminated."""
    rest = data.spectrum - 10 ** (values["gain"] / 10) * _emission(values, data)
    weight = expected**-2
    background = (weight * rest).sum(axis=0) / weight.sum(axis=0)
    return rest - background, background


def _gain_guess(data: EmissionData, emitted: Real) -> float:
    """Gain by linear regression of the bias-dependent part on the predicted one."""
    change = data.spectrum - data.spectrum.mean(axis=0)
    predicted = emitted - emitted.mean(axis=0)
    gain = float((change * predicted).sum() / (predicted**2).sum())
    if not gain > 0:
        raise FitError(
            "the measured power does not grow with the emission that the damping rates predict: "
            "is the analyzer's band around the resonance, and is the bias beyond the gap?"
        )
    return gain


def _known_parameters(known: FitResult) -> list[Parameter]:
    """Parameters of the prior, started at its values and scaled by its uncertainties."""
    sigma = np.sqrt(np.diag(known.covariance))
    positive = {"damping_line", "damping_excess", "damping_junction", "gap", "electron_temperature", "dynes"}
    smallest = {"gap": 1e-6, "electron_temperature": 1e-3, "damping_line": 1.0, "damping_junction": 1.0}
    return [
        Parameter(name, unit, float(value), float(s), smallest.get(name, 0.0) if name in positive else -np.inf)
        for name, unit, value, s in zip(known.names, known.units, known.values, sigma, strict=True)
    ]


def _result(parameters: list[Parameter], solution: Solution) -> FitResult:
    return solution.as_result(
        MODEL,
        parameters,
        assumed={
            "gain": "flat over the resonance's width",
            "bath photons": "line and excess losses are at the fridge's temperature",
            "electron_temperature": "the same at every bias",
        },
    )


def _with_noise_temperature(result: FitResult, data: EmissionData, expected: Real) -> FitResult:
    """Append T_noise = (noise per bin, averaged over the band) / (G k)."""

    def noise_temperature(values: Mapping[str, float]) -> float:
        _, background = _unexplained(values, data, expected)
        return float(background.mean() / (10 ** (values["gain"] / 10) * k))

    # At fixed parameters the eliminated background has its own scatter, independent of that of the parameters.
    own = result.noise**2 * float((1 / (expected**-2).sum(axis=0)).sum()) / data.frequency.size**2
    gain = 10 ** (result["gain"].value / 10)
    return with_derived(result, "noise_temperature", "K", noise_temperature, own_variance=own / (gain * k) ** 2)
