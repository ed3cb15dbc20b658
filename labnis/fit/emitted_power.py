"""Gain and noise temperature of the amplifier chain from the noise spectra that a biased junction emits.

At every bias the chain's output is its own noise plus G times the Lorentzian that the resonator emits. The noise,
one unknown number per frequency bin, does not depend on the bias and is eliminated like the background of the
reflection; what the bias changes is G times a power that the damping rates and the junction parameters predict
(Hyyppä et al., APL 114, 192603, eqs. 1–7, at all biases rather than in the high-bias limit of eqs. 8 and 9).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.constants import h, k
from scipy.ndimage import median_filter

from labnis.fit._derived import with_quantity
from labnis.fit._emission_data import EmissionData, refuse_impossible, spectra_warnings
from labnis.fit._least_squares import Parameter, Solution, solve
from labnis.fit._resonator_model import JUNCTION_NAMES, RATE_NAMES, Tunnelling, tunnelling, tunnelling_slopes
from labnis.fit.result import FitError, FitResult
from labnis.physics import thermal_photon_number

__all__ = ["EmissionData", "fit_emitted_power"]

Real = NDArray[np.float64]

MODEL = "emitted spectra at all biases"

# In dB; where the emitted power is a third of itself uncertain, it may as well be noise.
LARGEST_GAIN_SIGMA = 10 / np.log(10) / 3

# All biases count, but some have to be where gap and temperature no longer matter.
_FEWEST_HIGH = 3


def fit_emitted_power(data: EmissionData, *, prior: FitResult, start: FitResult | None = None) -> FitResult:
    """Fit the gain of the chain and derive its noise temperature.

    Parameters
    ----------
    data
        Spectra at four biases or more, some of them well beyond the gap.
    prior
        A reflection fit of the same device; its rates and junction parameters enter with their covariance.
    start
        An earlier fit of the same kind to start from; not a prior.

    Returns
    -------
    FitResult
        gain (dB), noise_temperature (K, mean over the band), and the parameters of the prior, updated. It warns of a
        chain that is compressed or drifts, of repeated spectra, and of too few high biases.

    Raises
    ------
    FitError
        With fewer than four usable spectra, a band without the resonance, biases that end below the gap, quantities
        in other units, clipped spectra, no emission beyond the noise, or no convergence.

    """
    usable = data.finite()
    known = prior.select((*RATE_NAMES, *JUNCTION_NAMES))
    refuse_impossible(usable, known)
    emitted = _emission(known.by_name, usable)
    gain = _gain_guess(usable, emitted) if start is None else 10 ** (start["gain"].value / 10)
    parameters = [Parameter("gain", "dB", 10 * np.log10(gain), 1.0), *_known_parameters(known)]
    if start is not None:
        parameters = [replace(p, start=start[p.name].value) for p in parameters]
    # A radiometer scatters in proportion to what it sees; the weights come from the model, never from the noisy data.
    expected = np.median(usable.spectrum, axis=0) + gain * (emitted - np.median(emitted, axis=0))
    counts = np.ones(usable.spectrum.shape, bool)
    spectra = _Spectra(usable, tuple(p.name for p in parameters), expected, counts)
    solution = solve(parameters, spectra, absorbed=usable.frequency.size, prior=known)
    result = _result(parameters, solution)
    if not result["gain"].sigma < LARGEST_GAIN_SIGMA:
        raise FitError(
            f"the emitted spectra do not rise above their noise (gain {result['gain'].value:.3g} ± "
            f"{result['gain'].sigma:.3g} dB): is the resonance in the band, and is the bias beyond the gap?"
        )
    values = result.by_name
    fitted = 10 ** (values["gain"] / 10) * _emission(values, usable)
    suspect = spectra_warnings(
        usable, fitted, gap=values["gap"], gain_sigma=result["gain"].sigma, fewest_high=_FEWEST_HIGH
    )
    result = replace(result, warnings=(*result.warnings, *suspect))
    return _with_noise_temperature(result, spectra.keeping(solution.kept))


@dataclass(frozen=True)
class _Spectra:
    """The spectra with the chain's own noise eliminated, as functions of the parameters `names`.

    `expected` (n, m) is the power density whose radiometer noise weights the data.
    """

    data: EmissionData
    names: tuple[str, ...]
    expected: Real
    counts: NDArray[np.bool_]

    @property
    def kept(self) -> NDArray[np.bool_]:
        return self.counts.ravel()

    def keeping(self, kept: NDArray[np.bool_]) -> "_Spectra":
        return replace(self, counts=kept.reshape(self.counts.shape))

    def residuals(self, x: Real) -> Real:
        gain, values = self._values(x)
        return np.asarray(self._without_background(self.data.spectrum - gain * _emission(values, self.data))).ravel()

    def jacobian(self, x: Real) -> Real:
        slopes = self._slopes(x)
        slopes -= self._mean(slopes)
        slopes /= self.expected[..., None]
        return slopes.reshape(-1, x.size)

    def background(self, x: Real) -> Real:
        """The chain's own noise (W/Hz) in each bin."""
        gain, values = self._values(x)
        return self._mean(self.data.spectrum - gain * _emission(values, self.data))

    def background_slopes(self, x: Real) -> Real:
        """∂(background)/∂x, shape (frequencies, parameters)."""
        return self._mean(self._slopes(x))

    def _slopes(self, x: Real) -> Real:
        """∂(data less emission)/∂x, shape (n, m, p)."""
        gain, values = self._values(x)
        return -gain * _Lines.of(values, self.data).slopes(values, self.data, self.names)

    def _mean(self, density: Real) -> Real:
        """Over the biases, for each frequency and whatever axes follow."""
        return np.asarray(np.einsum("ij,ij...->j...", self._share, density))

    @cached_property
    def _share(self) -> Real:
        """Part that each spectrum has in the mean of each bin; in a bin where nothing counts nothing is known."""
        weight = self.counts * self.expected**-2
        return np.asarray(weight / np.where(self.counts.any(axis=0), weight.sum(axis=0), 1.0))

    def _without_background(self, density: Real) -> Real:
        return np.asarray((density - self._mean(density)) / self.expected)

    def _values(self, x: Real) -> tuple[float, dict[str, float]]:
        """Gain as a ratio, and all parameters by name."""
        values = dict(zip(self.names, map(float, x), strict=True))
        return 10 ** (values["gain"] / 10), values


@dataclass(frozen=True)
class _Lines:
    """The emitted Lorentzians at all biases: what is in S = ħω γ_tr flow/(δ² + γ_Σ²/4), and the S themselves (W/Hz).

    `total` is γ_Σ and `flow` Σ_k γ_k(N_k − N_tr), both (n,); `detuning` δ and `density` S are (n, m).
    """

    junctions: Tunnelling
    photons: float
    total: Real
    flow: Real
    detuning: Real
    density: Real

    @classmethod
    def of(cls, values: Mapping[str, float], data: EmissionData) -> "_Lines":
        junctions = tunnelling(values, data.device_voltage)
        rate, frequency = values["damping_junction"], values["ohmic_frequency"]
        photons = float(thermal_photon_number(frequency, data.fridge_temperature))
        total = values["damping_line"] + values["damping_excess"] + rate * junctions.damping
        # The baths of line and excess are equally warm, so that only the junctions give a net flow.
        flow = rate * (junctions.emission - photons * junctions.damping)
        detuning = 2 * np.pi * (data.frequency - frequency) - rate * junctions.shift[:, None]
        height = h * frequency * values["damping_line"] * flow
        density = height[:, None] / (detuning**2 + (total**2 / 4)[:, None])
        return cls(junctions, photons, total, flow, detuning, density)

    def slopes(self, values: Mapping[str, float], data: EmissionData, names: Sequence[str]) -> Real:
        """∂S/∂(parameter), shape (n, m, p), but for the tiny change of the baths' photon number with the frequency.

        By the gain (dB) it is the change of G·S at G = 1. Each parameter changes S through γ_Σ, δ and a factor alone.
        """
        rate, frequency, ones = values["damping_junction"], values["ohmic_frequency"], np.ones_like(self.total)
        # By how much each changes γ_Σ, δ and ln of the factor at each bias.
        changes = {
            name: (
                rate * slope.damping,
                -rate * slope.shift,
                rate * (slope.emission - self.photons * slope.damping) / self.flow,
            )
            for name, slope in tunnelling_slopes(values, data.device_voltage).items()
        }
        changes["damping_junction"] = (self.junctions.damping, -self.junctions.shift, ones / rate)
        changes["damping_excess"] = (ones, 0 * ones, 0 * ones)
        changes["damping_line"] = (ones, 0 * ones, ones / values["damping_line"])
        total, detuning, factor = changes["ohmic_frequency"]
        changes["ohmic_frequency"] = (total, detuning - 2 * np.pi, factor + 1 / frequency)
        changes["gain"] = (0 * ones, 0 * ones, ones * np.log(10) / 10)
        # ∂S by γ_Σ and by δ.
        steep = self.density / (self.detuning**2 + (self.total**2 / 4)[:, None])
        directions = np.stack([-self.total[:, None] / 2 * steep, -2 * self.detuning * steep, self.density], axis=-1)
        weights = np.array([changes[name] for name in names])
        return np.asarray(directions @ weights.transpose(2, 1, 0))


def _emission(values: Mapping[str, float], data: EmissionData) -> Real:
    """Emitted spectral density (W/Hz) into the line, shape (n, m), for unit gain."""
    return _Lines.of(values, data).density


def _gain_guess(data: EmissionData, emitted: Real) -> float:
    """Gain by linear regression of the bias-dependent part on the predicted one."""
    # A burst is not to choose the start.
    calm = median_filter(data.spectrum, size=3, mode="nearest")
    change = calm - calm.mean(axis=0)
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


def _with_noise_temperature(result: FitResult, spectra: _Spectra) -> FitResult:
    """Append T_noise = (noise per bin, averaged over the band) / (G k)."""
    known = spectra.counts.any(axis=0)
    per_kelvin = 10 ** (result["gain"].value / 10) * k
    temperature = float(spectra.background(result.values)[known].mean()) / per_kelvin
    gradient = spectra.background_slopes(result.values)[known].mean(axis=0) / per_kelvin
    gradient[result.names.index("gain")] -= np.log(10) / 10 * temperature
    # At fixed parameters the eliminated background has its own scatter, independent of that of the parameters.
    weight = (spectra.counts * spectra.expected**-2).sum(axis=0)[known]
    own = result.noise**2 * float((1 / weight).sum()) / weight.size**2 / per_kelvin**2
    return with_quantity(result, "noise_temperature", "K", temperature, gradient, own_variance=own)
