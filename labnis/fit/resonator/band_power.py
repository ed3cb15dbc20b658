"""Gain and noise temperature of the amplifier chain from the power in one band that a biased junction emits.

Where there is no spectrum analyzer, a power meter behind a filter, or a lock-in behind a diode, reads one number at
each bias:

    P_i = G·[∫ S(f; V_i) df + (k·T + hf_r·n)·B],

with the integral over the band, S the emitted Lorentzian of `labnis.fit.resonator.emitted_power` at all biases (Hyyppä
et al., APL 114, 192603, eqs. 1–7), T the noise temperature of the chain, n the photons of the line beyond those of the
fridge's temperature, and B the bandwidth. The integral of a Lorentzian is an arctangent: tails that the band cuts off
are no approximation.

The power in a band does not tell the photons n, nor those of the excess losses, from the noise of the chain and the
emission of the junctions: they are parameters whose assumed σ is in that of the results. Nor does it tell a drift of
the chain from the emission.

The noise is in proportion to the power, with a factor that the residuals say: behind a chain, noise of the radiometer
and short fluctuations of the gain are, and the zero of a meter is far below.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy.constants import h, k
from scipy.ndimage import median_filter

from labnis.fit.arrays import Bool, Real
from labnis.fit.estimate import number_text
from labnis.fit.given import PHYSICAL, known_before, refuse_unphysical
from labnis.fit.information import Sensitivity
from labnis.fit.parameters import Given, Parameter, hold, parameters_at, prior_rows, restarted
from labnis.fit.propagation import Evaluated
from labnis.fit.resonator._band_data import BandPowerData, refuse_clipped, refuse_impossible_band
from labnis.fit.resonator._band_model import Powers
from labnis.fit.resonator._biases import gigahertz
from labnis.fit.resonator._electrons import Island, with_island
from labnis.fit.resonator._emission_data import few_high
from labnis.fit.resonator._emission_notes import GAINS, LARGEST_GAIN_SIGMA
from labnis.fit.resonator._emission_prior import PHOTONS_ASSUMED, known_of, parameters_of
from labnis.fit.resonator._lines import Lines
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
    "BandPowerData",
    "band_power_evaluated",
    "band_power_left_out",
    "band_power_model",
    "band_power_residuals",
    "band_power_sensitivity",
    "fit_band_power",
]

MODEL = "power in a band at all biases"

# Biases with which a gain is trustworthy: high ones, and all, from whose residuals the noise is estimated.
_FEWEST_HIGH, _ENOUGH = 3, 8
# What does not show moves the gain; its size for which a result says by how much (dB).
_UNSEEN = 0.01
# A part of the line beyond the band is told where it is larger than this.
_TAILS = 0.05

_ASSUMED = {
    "gain": "flat over the band, and the same at every bias: the power in a band does not tell a drift of the chain, "
    "or its compression, from emission",
    "noise": "in proportion to the power, as that of a radiometer",
    **PHOTONS_ASSUMED,
}


def fit_band_power(
    data: BandPowerData,
    *,
    prior: FitResult,
    fixed: Mapping[str, float] | None = None,
    given: Given | None = None,
    start: FitResult | None = None,
) -> FitResult:
    """Fit gain and noise temperature of the chain.

    Parameters
    ----------
    data
        Power at four biases or more, some of them inside the gap and some well beyond it.
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
        gain (dB), noise_temperature (K, the mean over the band, without the noise of the line's photons), line_photons
        and excess_photons (1, beyond those of the fridge's temperature, mostly as assumed), and the parameters of the
        prior, updated. It warns of residuals that are not random, of few biases, of a narrow band, and where a
        background seems to be subtracted.

    Raises
    ------
    FitError
        With fewer than four usable powers, a band without the resonance, biases that end below the gap, quantities in
        other units, a meter that clips, no emission beyond the noise, or no convergence.

    """
    refuse_unphysical(fixed, given)
    usable, known = data.finite(), known_of(prior)
    refuse_impossible_band(data, known)
    emitted = Lines.of(known.by_name, usable.ends).in_band()
    refuse_clipped(usable.band_power, emitted)
    gain, temperature = (
        _start(usable, emitted) if start is None else (start["gain"].value, start["noise_temperature"].value)
    )
    parameters = [
        Parameter("gain", "dB", gain, 1.0, *PHYSICAL["gain"]),
        Parameter("noise_temperature", "K", temperature, max(abs(temperature), 0.1)),
        *parameters_of(known),
    ]
    if start is not None:
        parameters = restarted(parameters, [start.by_name.get(p.name, p.start) for p in parameters])
    parameters = hold(parameters, fixed, given)
    at = np.array([p.start for p in parameters])
    band = f"flat from {gigahertz(usable.edges[0])} to {gigahertz(usable.edges[1])}, with nothing beyond; "
    assumed = {**prior.assumed} | _ASSUMED | {"voltage_zero": zero_assumed(prior)} | temperature_assumed(prior)
    assumed |= {"band": f"{band}noise_temperature is in inverse proportion to the width"} | junctions_assumed(
        usable.array
    )
    if not data.fridge_temperature:
        assumed["fridge_temperature"] = "0 K, as where it was not measured: photons are those beyond it"
    inputs = {"fridge_temperature": data.fridge_temperature, **usable.array.inputs, **unequal_input(prior)}
    names = tuple(p.name for p in parameters)

    def fitted(island: Island | None) -> FitResult:
        model = Powers.of(usable, names, at, island)
        return solve(parameters, model, MODEL, assumed, prior=known, given=given, inputs=inputs)

    result = with_island(
        {p.name: p.start for p in parameters},
        lambda values: Island.of(values, usable.device_voltage, usable.array),
        fitted,
        lambda fit, island: Powers.of(usable, names, at, island).with_mask(fit.mask).residuals(fit.values),
    )
    found = result["gain"]
    if not found.sigma < LARGEST_GAIN_SIGMA:
        raise FitError(
            f"the power in the band does not rise above its noise (gain {found.value:.3g} ± {found.sigma:.3g} dB): is "
            "the resonance in the band, and is the bias beyond the gap?"
        )
    doubts, notes = _doubts(result, usable)
    warnings = (*result.warnings, *unequal_warning(inputs, found.sigma), *doubts)
    said, more = _unseen(result, Powers.of(usable, names, at, None)) if found.sigma else ("", ())
    return replace(
        result,
        assumed={**result.assumed, "gain": f"{result.assumed['gain']}{said}"},
        warnings=warnings,
        notes=(*result.notes, *notes, *more),
        limits=prior.limits,
    )


def band_power_model(fit: FitResult, data: BandPowerData) -> Real:
    """Power (W) that a fit expects, shape (n,); NaN at unusable biases."""
    found = np.full(data.band_power.shape, np.nan)
    if data.usable.any():
        found[data.usable] = _fitted(fit, data.finite()).power(fit.values)
    return found


def band_power_left_out(fit: FitResult, data: BandPowerData) -> Bool:
    """Which powers a fit leaves out as glitches, shape (n,)."""
    found = np.zeros(data.band_power.shape, bool)
    if data.usable.any():
        found[data.usable] = ~_fitted(fit, data.finite()).mask
    return found


def band_power_residuals(fit: FitResult, data: BandPowerData) -> Real:
    """Measured less expected power in units of σ, shape (n,); NaN at unusable biases."""
    found = np.full(data.band_power.shape, np.nan)
    if data.usable.any():
        found[data.usable] = _fitted(fit, data.finite()).residuals(fit.values) / fit.noise
    return found


def band_power_evaluated(
    fit: FitResult,
    data: BandPowerData,
    *,
    prior: FitResult,
    given: Given | None = None,
    like: Evaluated | None = None,
) -> Evaluated:
    """Return the model of a fit, made from `data`, at other data of the same biases.

    `like` is that at the data of the fit, whose island serves here, too.
    """
    usable = data.finite()
    match like:
        case Evaluated(model=Powers(island=island)):
            pass
        case _:
            island = Island.of(fit.by_name, usable.device_voltage, usable.array)
    model = Powers.of(usable, fit.names, fit.values, island).with_mask(fit.mask)
    known = known_before(parameters_at(fit), known_of(prior), given).prior
    return Evaluated(model, fit.names, np.asarray, known)


def band_power_sensitivity(
    fit: FitResult, data: BandPowerData, device_voltage: Real, *, prior: FitResult, given: Given | None = None
) -> Sensitivity:
    """Sensitivity of one power at each of `device_voltage` (V), shape (n,), to the parameters of a fit."""
    there = replace(data, device_voltage=device_voltage, band_power=np.ones(device_voltage.shape), time=None)
    free = np.isin(fit.names, fit.free)
    slopes = -Powers.of(there, fit.names, fit.values, None).jacobian(fit.values)[:, free] / fit.noise
    matrix, _ = prior_rows(fit.free, known_before(parameters_at(fit), known_of(prior), given).prior)
    background = np.zeros((device_voltage.size, 1), complex)
    return Sensitivity(fit.free, slopes[:, None].astype(complex), background, matrix.T @ matrix)


def _fitted(fit: FitResult, usable: BandPowerData) -> Powers:
    """The model of a fit at usable data, without glitches."""
    return without_outliers(Powers.of(usable, fit.names, fit.values, None), fit.values)


def _start(data: BandPowerData, emitted: Real) -> tuple[float, float]:
    """Gain (dB) and noise temperature (K) by linear regression on the predicted emission (W), shape (n,)."""
    # Medians are robust to glitches; neighbours in emission are alike, whatever the order of measurement.
    order = np.argsort(emitted, kind="stable")
    power, line = median_filter(data.band_power[order], size=3, mode="nearest"), emitted[order]
    weight = 1 / power**2
    centred = line - np.average(line, weights=weight)
    gain = float((weight * centred * power).sum() / (weight * centred**2).sum())
    if not gain > 0:
        raise FitError(
            "the power in the band does not grow with the emission that the damping rates predict: is the resonance in "
            "the band, is the bias beyond the gap, and is band_power in W, not in dBm?"
        )
    noise = float(np.median(power - gain * line)) / gain
    return 10 * float(np.log10(gain)), noise / (k * data.bandwidth)


def _unseen(result: FitResult, model: Powers) -> tuple[str, tuple[str, ...]]:
    """By how much a small drift, and a small compression, would move the gain, in words; a note where that is much."""
    counts, free = result.mask, result.sigma > 0
    slopes = model.jacobian(result.values)[counts][:, free]
    by_datum = (slopes @ result.covariance[np.ix_(free, free)])[:, result.free.index("gain")] / result.noise**2
    moved = [_UNSEEN * abs(float(by_datum @ one[counts])) for one in model.unseen(result.values)]
    drift, falls = (number_text(one, "dB") for one in moved)
    said = (
        f"a drift by {_UNSEEN:g} dB from the first to the last reading would move it by {drift}, and a compression by "
        f"{_UNSEEN:g} dB at the largest emission by {falls}"
    )
    note = (
        f"of the gain: {said}, and neither shows; there is more emission in proportion to the chain's noise in a "
        "narrower band, and a drift averages out where the bias is swept up and down"
    )
    return f"; {said}", (note,) if max(moved) > result["gain"].sigma else ()


def _doubts(result: FitResult, data: BandPowerData) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Warnings and notes of a fit about its band, its biases, and what its results say of the data."""
    values, warnings, notes = result.by_name, [*few_high(data.ends, result["gap"].value, _FEWEST_HIGH)], []
    if data.device_voltage.size < _ENOUGH:
        warnings.append(
            f"σ rests on the scatter of {data.device_voltage.size} powers alone, and may be far off; measure "
            f"{_ENOUGH} biases or more"
        )
    lines = Lines.of(values, data.ends)
    widest = int(np.abs(data.device_voltage).argmax())
    width, part = float(lines.total[widest]) / (2 * np.pi), float(lines.part_in_band[widest])
    line = f"{number_text(width, 'Hz')} at the largest bias"
    if data.bandwidth < width:
        warnings.append(
            f"the band, {number_text(data.bandwidth, 'Hz')}, is narrower than the line, {line}: the rest is corrected "
            "for by its shape, and the gain depends on the filter's; measure in a wider band"
        )
    elif part < 1 - _TAILS:
        notes.append(
            f"{100 * (1 - part):.2g} % of the line, which is {line}, is beyond the band, and corrected for by its shape"
        )
    if not GAINS[0] < values["gain"] < GAINS[1]:
        warnings.append(
            f"a gain of {values['gain']:.4g} dB is unusual: is band_power in W, and not a voltage, and the bandwidth "
            "in Hz?"
        )
    quantum = h * values["ohmic_frequency"] / (2 * k)
    if values["noise_temperature"] < quantum and "noise_temperature" in result.free:
        warnings.append(
            f"noise_temperature is {result['noise_temperature']}, below that of half a photon, "
            f"{number_text(quantum, 'K')}: is a background or the noise of the chain subtracted from band_power, or "
            "the bandwidth smaller than stated?"
        )
    return tuple(warnings), tuple(notes)
