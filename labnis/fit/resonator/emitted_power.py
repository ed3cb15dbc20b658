"""Gain and noise temperature of the amplifier chain from the noise spectra that a biased junction emits.

At every bias the output of the chain is its own noise plus G times the Lorentzian that the resonator emits. The noise,
one unknown number per frequency bin, does not depend on the bias and is eliminated like the background of the
reflection. The bias-dependent part is G times a power predicted by the damping rates and the junction parameters
(Hyyppä et al., APL 114, 192603, eqs. 1–7, at all biases rather than in the high-bias limit of eqs. 8 and 9).

Photons that the line brings to the device beyond those of the fridge's temperature, n in each mode, are noise of power
hf·n away from the resonance, and the device absorbs (γ_x + γ_T)·n of them per second on it: a hole in the spectra whose
depth and width depend on the bias. They are a parameter, and do not count in the noise temperature of the chain. The
hole is that of a resonator that reflects with Γ and absorbs 1 − |Γ|². Excess losses that are warmer than the fridge
add a line whose shape depends on the bias in another way: their photons are a parameter as well.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy.constants import h, k
from scipy.ndimage import median_filter

from labnis.fit.arrays import Bool, Real
from labnis.fit.derived import with_quantity
from labnis.fit.given import PHYSICAL, known_before, refuse_unphysical
from labnis.fit.information import Sensitivity, thinned
from labnis.fit.parameters import Given, Parameter, hold, parameters_at, prior_rows, restarted
from labnis.fit.propagation import Evaluated
from labnis.fit.resonator._drift import (
    NARROW,
    drift_terms,
    follows_each_trace,
    seen_drift,
    widened,
    with_drift_taken_out,
)
from labnis.fit.resonator._electrons import Island, with_island
from labnis.fit.resonator._emission_data import EmissionData, refuse_impossible, spectra_warnings
from labnis.fit.resonator._emission_notes import (
    LARGEST_GAIN_SIGMA,
    photon_notes,
    spur_notes,
    too_cold,
    unusual_gain,
    wide_filter,
)
from labnis.fit.resonator._emission_prior import PHOTONS_ASSUMED, known_of, parameters_of
from labnis.fit.resonator._lines import LINE_PHOTONS, Lines, Spectra
from labnis.fit.resonator._tunnelling import (
    junctions_assumed,
    temperature_assumed,
    unequal_input,
    unequal_warning,
    zero_assumed,
)
from labnis.fit.result import FitError, FitResult
from labnis.fit.solver import solve, without_outliers

__all__ = [
    "EmissionData",
    "drift_factor",
    "emission_evaluated",
    "emission_left_out",
    "emission_model",
    "emission_residuals",
    "emission_sensitivity",
    "fit_emitted_power",
]

MODEL = "emitted spectra at all biases"

# All biases count, but some must be where gap and temperature no longer matter.
_FEWEST_HIGH = 3

_ASSUMED = {"gain": "flat over the resonance's width", **PHOTONS_ASSUMED}


def fit_emitted_power(
    data: EmissionData,
    *,
    prior: FitResult,
    fixed: Mapping[str, float] | None = None,
    given: Given | None = None,
    start: FitResult | None = None,
) -> FitResult:
    """Fit the gain of the chain and derive its noise temperature.

    Parameters
    ----------
    data
        Spectra at four biases or more, some of them well beyond the gap.
    prior
        A reflection fit of the same device; its rates and junction parameters enter with their covariance.
    fixed
        Parameters that are held at a value, by name.
    given
        Parameters that are known with a standard uncertainty: name → (value, σ).
    start
        An earlier fit of the same kind to start from; not a prior.

    Returns
    -------
    FitResult
        gain (dB), line_photons (1, in each mode of the line beyond the fridge's temperature; by its noise it may be
        negative), excess_photons (1, the same of the excess losses), noise_temperature (K, at the resonance, without
        the noise of the line's photons), and the parameters of the prior, updated. It warns of a chain that is
        compressed or drifts, of repeated spectra, and of too few high biases.

    Raises
    ------
    FitError
        With fewer than four usable spectra, a band without the resonance, biases that end below the gap, quantities
        in other units, clipped spectra, no emission beyond the noise, or no convergence.

    """
    refuse_unphysical(fixed, given)
    usable = data.finite()
    known = known_of(prior)
    refuse_impossible(data, known)
    emitted = Lines.of(known.by_name, usable).density
    gain = _gain_guess(usable, emitted) if start is None else 10 ** (start["gain"].value / 10)
    parameters = [Parameter("gain", "dB", 10 * np.log10(gain), 1.0, *PHYSICAL["gain"]), *parameters_of(known)]
    if start is not None:
        before = start.by_name  # of an earlier version it has no photons
        parameters = restarted(parameters, [before.get(p.name, p.start) for p in parameters])
    parameters = hold(parameters, fixed, given)
    names = tuple(p.name for p in parameters)
    assumed = {**prior.assumed} | _ASSUMED | {"voltage_zero": zero_assumed(prior)} | temperature_assumed(prior)
    assumed |= junctions_assumed(usable.array)
    inputs = {"fridge_temperature": data.fridge_temperature, **usable.array.inputs, **unequal_input(prior)}

    def spectra(terms: int, island: Island | None) -> Spectra:
        return Spectra.of(usable, names, gain, emitted, terms, island)

    def fitted(island: Island | None) -> FitResult:
        def solved(terms: int, before: FitResult | None) -> FitResult:
            model = spectra(terms, island)
            absorbed = usable.frequency.size + model.drift.shape[1]
            begun = parameters if before is None else restarted(parameters, before.values)
            return solve(begun, model, MODEL, assumed, absorbed=absorbed, prior=known, given=given, inputs=inputs)

        def wider(fit: FitResult) -> float:
            without = spectra(0, island).with_mask(fit.mask)
            whole_prior = known_before(parameters, known, given).prior
            return widened(fit, Evaluated(without, fit.names, np.asarray, whole_prior), ("gain",))

        return with_drift_taken_out(usable.device_voltage.size, solved, wider, parts=1)

    result = with_island(
        {p.name: p.start for p in parameters},
        lambda values: Island.of(values, usable.device_voltage, usable.array),
        fitted,
        lambda fit, island: spectra(drift_terms(fit), island).with_mask(fit.mask).residuals(fit.values),
    )
    found = result["gain"]
    if not found.sigma < LARGEST_GAIN_SIGMA:
        raise FitError(
            f"the emitted spectra do not rise above their noise (gain {found.value:.3g} ± {found.sigma:.3g} dB): is "
            "the resonance in the band, and is the bias beyond the gap?"
        )
    values = result.by_name
    suspect = spectra_warnings(
        usable,
        10 ** (values["gain"] / 10) * Lines.of(values, usable).density,
        gap=values["gap"],
        gain_sigma=found.sigma,
        fewest_high=_FEWEST_HIGH,
        taken_out=drift_terms(result) > 0,
    )
    suspect = (*unusual_gain(values["gain"]), *too_cold(result), *unequal_warning(inputs, found.sigma), *suspect)
    suspect = (*suspect, *wide_filter(usable, values))
    model = spectra(drift_terms(result), None).with_mask(result.mask)
    notes = (*result.notes, *_drift_notes(result, model), *spur_notes(usable, model), *photon_notes(result))
    result = replace(result, warnings=(*result.warnings, *suspect), notes=notes, limits=prior.limits)
    return _with_noise_temperature(result, model)


def emission_model(fit: FitResult, data: EmissionData) -> Real:
    """Power spectral density (W/Hz) that a gain fit expects, shape (n, m); NaN at unusable biases.

    The noise of the chain in each bin, which the fit eliminates, is computed from `data` and the fitted parameters.
    """
    usable, model = data.finite(), np.full(data.spectrum.shape, np.nan)
    if usable.device_voltage.size:
        spectra, x = _fitted(fit, usable)
        model[data.usable] = spectra.model(x)
    return model


def emission_left_out(fit: FitResult, data: EmissionData) -> Bool:
    """Which bins a gain fit leaves out as glitches, shape (n, m)."""
    found = np.zeros(data.spectrum.shape, bool)
    if data.usable.any():
        spectra, _ = _fitted(fit, data.finite())
        found[data.usable] = ~spectra.mask.reshape(-1, data.frequency.size)
    return found


def emission_residuals(fit: FitResult, data: EmissionData) -> tuple[Real, Real]:
    """Measured less expected power in units of σ: of each bin, shape (n, m), and of the band of each spectrum, (n,).

    NaN at unusable biases. Where each spectrum has a factor of its own, its level is no residual: what is left in the
    band is that of the line against the rest of the spectrum.
    """
    bins, bands = np.full(data.spectrum.shape, np.nan), np.full(data.spectrum.shape[:1], np.nan)
    if data.usable.any():
        spectra, x = _fitted(fit, data.finite())
        of_bins = spectra.residuals(x).reshape(spectra.expected.shape) / fit.noise
        # σ of a bin is proportional to the power in it.
        shares = spectra.expected * np.gradient(data.frequency)
        if spectra.drift.shape[1] >= len(shares) - 1:
            shares = shares - shares.mean(axis=-1, keepdims=True)
        bins[data.usable] = of_bins
        bands[data.usable] = (shares * of_bins).sum(axis=-1) / np.sqrt((shares**2).sum(axis=-1))
    return bins, bands


def drift_factor(fit: FitResult, data: EmissionData) -> tuple[Real, tuple[str, ...]]:
    """Factor of the gain at each usable bias of `data`, shape (n,), by a gain fit, and a note where a drift shows."""
    spectra, x = _fitted(fit, data.finite())
    notes = tuple(note for note in _drift_notes(fit, spectra) if note != NARROW)
    return np.asarray(np.exp(spectra.drifts(x, fit.noise)[0])), notes


def _fitted(fit: FitResult, usable: EmissionData) -> tuple[Spectra, Real]:
    """The model of a gain fit at `usable` data, without glitches, and its parameters."""
    values = {name: value for name, value in fit.by_name.items() if name != "noise_temperature"}
    x, gain = np.array([*values.values()]), 10 ** (values["gain"] / 10)
    spectra = Spectra.of(usable, [*values], gain, Lines.of(values, usable).density, drift_terms(fit))
    return without_outliers(spectra, x), x


def emission_evaluated(
    fit: FitResult,
    data: EmissionData,
    *,
    prior: FitResult,
    given: Given | None = None,
    like: Evaluated | None = None,
) -> Evaluated:
    """Return the model of a gain fit, made from `data`, at other data of the same biases and frequencies.

    `like` is that at the data of the fit, whose island serves here, too.
    """
    names = tuple(name for name in fit.names if name != "noise_temperature")
    values, usable = fit.by_name, data.finite()
    match like:
        case Evaluated(model=Spectra(island=island)):
            pass
        case _:
            island = Island.of(values, usable.device_voltage, usable.array)
    emitted, gain = Lines.of(values, usable, island).density, 10 ** (values["gain"] / 10)
    spectra = Spectra.of(usable, names, gain, emitted, drift_terms(fit), island).with_mask(fit.mask)

    def whole(x: Real) -> Real:
        # A small step may lead below the 0 at which the Dynes parameter ends.
        inside = np.where(np.array(names) == "dynes", np.maximum(x, 0.0), x)
        return np.append(x, _noise_temperature(spectra, inside))

    known = known_before(parameters_at(fit), known_of(prior), given).prior
    return Evaluated(spectra, names, whole, known)


def emission_sensitivity(
    fit: FitResult, data: EmissionData, device_voltage: Real, *, prior: FitResult, given: Given | None = None
) -> Sensitivity:
    """Sensitivity of one spectrum at each of `device_voltage` (V), shape (n,), to the parameters of a gain fit."""
    names = tuple(name for name in fit.free if name != "noise_temperature")
    values, frequency, repeats = fit.by_name, *thinned(data.frequency)
    nothing = np.zeros((device_voltage.size, frequency.size))
    there = EmissionData(device_voltage, frequency, nothing, data.fridge_temperature, junctions=data.junctions)
    lines = Lines.of(values, there)
    # Relative to the whole power density, to which the noise of a radiometer is proportional; the gain cancels.
    photons = h * values["ohmic_frequency"] * values.get(LINE_PHOTONS, 0.0)
    noise = fit.noise * (k * values["noise_temperature"] + photons + lines.density) / np.sqrt(repeats)
    matrix, _ = prior_rows(names, known_before(parameters_at(fit), known_of(prior), given).prior)
    whitened = lines.slopes(values, there, names) / noise[..., None]
    return Sensitivity(names, whitened.astype(complex), (1 / noise).astype(complex), matrix.T @ matrix)


def _drift_notes(result: FitResult, spectra: Spectra) -> tuple[str, ...]:
    """What the spectra say of a drift of the gain; the warnings say where it is doubtful."""
    narrow = () if follows_each_trace(result) else (NARROW,)
    drift = None
    if drift_terms(result):
        x = result.values[: len(spectra.names)]
        drift = seen_drift(spectra.data.course, *spectra.drifts(x, result.noise))
    if drift is None:
        return narrow
    size = f"{drift.size * 10 / np.log(10):.2g} dB"
    return (*narrow, f"a drift of the chain's gain by {size} in the course of the spectra was measured and taken out")


def _gain_guess(data: EmissionData, emitted: Real) -> float:
    """Gain by linear regression of the bias-dependent part on the predicted one."""
    # Medians are robust to outliers; neighbours in bias are alike, whatever the order of measurement.
    order = np.argsort(data.device_voltage, kind="stable")
    calm = median_filter(data.spectrum[order], size=3, mode="nearest")
    change = calm - calm.mean(axis=0)
    predicted = (emitted - emitted.mean(axis=0))[order]
    gain = float((change * predicted).sum() / (predicted**2).sum())
    if not gain > 0:
        raise FitError(
            "the measured power does not grow with the emission that the damping rates predict: is the analyzer's band "
            "around the resonance, is the bias beyond the gap, and is spectrum in W/Hz, not in dB?"
        )
    return gain


def _noise_temperature(spectra: Spectra, x: Real) -> float:
    """Noise temperature (K) of the chain at the resonance: noise per gain, without that of the photons of the line."""
    noise = spectra.at_line @ spectra.background(x)
    values = dict(zip(spectra.names, map(float, x), strict=True))
    photons = h * values["ohmic_frequency"] * values.get(LINE_PHOTONS, 0.0)
    return float((noise / 10 ** (values["gain"] / 10) - photons) / k)


def _with_noise_temperature(result: FitResult, spectra: Spectra) -> FitResult:
    """Append T_noise = (noise per bin at the resonance) / (G k) − hf·n/k of n photons in the line."""
    temperature, per_kelvin = _noise_temperature(spectra, result.values), 10 ** (result["gain"].value / 10) * k
    gradient = spectra.at_line @ spectra.background_slopes(result.values) / per_kelvin
    photons = h / k * result["ohmic_frequency"].value
    gradient[result.names.index("gain")] -= np.log(10) / 10 * (temperature + photons * result[LINE_PHOTONS].value)
    gradient[result.names.index(LINE_PHOTONS)] -= photons
    # At fixed parameters the eliminated background has a scatter of its own, independent of that of the parameters.
    weight = (spectra.counts * spectra.expected**-2).sum(axis=0)
    own = np.divide(spectra.at_line**2, weight, out=np.zeros_like(weight), where=weight > 0).sum()
    own_variance = result.noise**2 * float(own) / per_kelvin**2
    return with_quantity(result, "noise_temperature", "K", temperature, gradient, own_variance=own_variance)
