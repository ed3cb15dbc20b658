"""Damping rates and resonance frequency from reflection traces at many biases.

All traces share one unknown background (cables, amplifiers), one complex number per frequency. It is eliminated
exactly: for given parameters the best background is a weighted mean over the biases, so no reference trace is needed
and no shape of the background is assumed. The rates are identified because the bias moves and widens the resonance
while the background stays (Hyyppä et al., APL 114, 192603, divide by the zero-bias trace for that reason).

Reflection alone does not separate γ_tr from Re φ: Γ = −1 + (1 + φ)γ_tr/(γ_Σ − 2iδ) contains only the product
(1 + φ)γ_tr. Coupled-mode theory of a resonator with weak cross-talk (Fan, Suh & Joannopoulos, JOSA A 20, 569) gives
Re φ = 1 up to second order in the cross-talk. Re φ therefore enters as an assumption with an uncertainty, which is
stated in the result and propagated into γ_tr, γ_x and the gain.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from labnis.fit.arrays import Bool, Complex, Real
from labnis.fit.derived import with_derived
from labnis.fit.given import known_before, refuse_unphysical
from labnis.fit.information import Sensitivity, thinned
from labnis.fit.junction._array import JunctionArray
from labnis.fit.parameters import Given, Parameter, hold, joined, parameters_at, prior_rows, restarted
from labnis.fit.propagation import Evaluated
from labnis.fit.resonator._amplitudes import amplitude_warning
from labnis.fit.resonator._biases import gigahertz, refuse_far_biases, refuse_few, refuse_impossible_biases
from labnis.fit.resonator._drift import (
    NARROW,
    drift_terms,
    follows_each_trace,
    seen_drift,
    widened,
    with_drift_taken_out,
)
from labnis.fit.resonator._electrons import Island, with_island
from labnis.fit.resonator._ports import REFLECTION_ASSUMED
from labnis.fit.resonator._rates_start import rate_parameters
from labnis.fit.resonator._spacing import band_median, densest_part
from labnis.fit.resonator._traces import ReflectionData, Response, Traces
from labnis.fit.resonator._tunnelling import (
    RATE_NAMES,
    handed_on,
    junction_parameters,
    junctions_assumed,
    temperature_assumed,
    tunnelling,
    unequal_input,
    unequal_warning,
    zero_assumed,
)
from labnis.fit.result import FitError, FitResult, result_from_mapping
from labnis.fit.solver import solve, without_outliers

__all__ = [
    "FANO_REAL",
    "ReflectionData",
    "fit_reflection",
    "reflection_evaluated",
    "reflection_left_out",
    "reflection_model",
    "reflection_residuals",
    "reflection_sensitivity",
]

MODEL = "reflection at all biases"

# Assumed real part of the Fano factor and its standard uncertainty; see the module's docstring.
FANO_REAL = (1.0, 0.02)
_FANO_REASON = "reflection contains only (1 + φ)·γ_tr"
FANO_ASSUMED = f"{FANO_REAL[0]} ± {FANO_REAL[1]}; {_FANO_REASON}"
_FANO = result_from_mapping("prior", {"fano_real": FANO_REAL})
_ASSUMED = {"fano_real": FANO_ASSUMED, "port": REFLECTION_ASSUMED.format("damping_excess")}

# Of the logarithm of an amplitude, and of an angle in radian.
_DECIBEL, _DEGREE = 20 / np.log(10), 180 / np.pi

# The resonance is so many linewidths (at high bias), and by such a part of the band, inside of it.
_LINEWIDTHS, _PART = 0.25, 0.06
# A drift beyond so many times the largest smooth one is none.
_WILD = 3.0
# Biases and frequencies with which other units of the traces are tried.
_FEW = (15, 101)

_QUESTIONS = (
    "are there biases on both sides of the gap, is the resonance in the band, is the phase that of a network analyzer?"
)


def fit_reflection(
    data: ReflectionData,
    *,
    prior: FitResult | None = None,
    fixed: Mapping[str, float] | None = None,
    given: Given | None = None,
    start: FitResult | None = None,
) -> FitResult:
    """Fit γ_tr, γ_x, γ̄_T, the resonance frequency and the Fano factor to all traces at once.

    Parameters
    ----------
    data
        Traces at four biases or more, some of them beyond the gap.
    prior
        An I–V fit of the same device: its gap, temperature, Dynes parameter and voltage offset enter with their
        covariance. Without it they are fitted.
    fixed
        Parameters that are held at a value, by name.
    given
        Parameters that are known with a standard uncertainty: name → (value, σ).
    start
        An earlier fit of the same kind to start from; not a prior.

    Returns
    -------
    FitResult
        damping_line, damping_excess, damping_junction (1/s), ohmic_frequency (Hz, far above the gap), fano_real,
        fano_imag, the junction parameters, and resonance_frequency (Hz, at zero bias).

    Raises
    ------
    FitError
        With fewer than four usable traces, quantities in other units, no bias dependence beyond the noise, no
        convergence, or a rate that the traces do not determine.

    """
    refuse_unphysical(fixed, given)
    refuse_few(data, "traces")
    usable = data.finite()
    if prior is not None:
        refuse_impossible_biases(usable, prior["gap"].value, "the reflection changes little below 1")
    usable = usable.conjugate()
    junction = junction_parameters(prior or start, usable.device_voltage)
    refuse_far_biases(usable, junction[0].start)
    parameters = hold([*rate_parameters(usable, junction, start, fixed or {}), *junction], fixed, given)
    names = [p.name for p in parameters]
    stated = {"fano_real": _FANO_REASON} if "fano_real" in {**(fixed or {}), **(given or {})} else {}
    # What the I–V fit assumes these fits do, too.
    before = {} if prior is None else {**prior.assumed, "voltage_zero": zero_assumed(prior)}
    assumed = before | _ASSUMED | stated
    assumed |= temperature_assumed(prior) | junctions_assumed(usable.array)
    unequal = unequal_input(prior)

    def traces(fit: FitResult, island: Island | None, terms: int) -> Traces:
        return Traces.of(usable, names, terms, island).with_mask(fit.mask)

    def fitted(island: Island | None) -> FitResult:
        def solved(terms: int, before: FitResult | None) -> FitResult:
            model = Traces.of(usable, names, terms, island)
            absorbed = 2 * (usable.frequency.size + model.drift.shape[1])
            inputs, known = {**usable.array.inputs, **unequal}, _with_fano(prior, given)
            begun = parameters if before is None else restarted(parameters, before.values)
            return solve(begun, model, MODEL, assumed, absorbed=absorbed, prior=known, given=given, inputs=inputs)

        def wider(fit: FitResult) -> float:
            known = known_before(parameters, _with_fano(prior, given), given).prior
            return widened(fit, Evaluated(traces(fit, island, 0), fit.names, np.asarray, known), RATE_NAMES)

        return with_drift_taken_out(usable.device_voltage.size, solved, wider, parts=2)

    try:
        result = with_island(
            {p.name: p.start for p in parameters},
            lambda values: Island.of(values, usable.device_voltage, usable.array),
            fitted,
            lambda fit, island: traces(fit, island, drift_terms(fit)).residuals(fit.values),
        )
    except FitError as error:
        raise FitError(f"{error}: {_QUESTIONS}") from error
    few = usable.thinned(*_FEW)
    far = known_before(parameters, _FANO, given).warnings
    units = amplitude_warning(result, few.s11, lambda s11: _interpreted(replace(few, s11=s11), junction, prior))
    result = replace(result, warnings=(*far, *units, *unequal_warning(unequal), *result.warnings))
    _refuse_undetermined(result)
    known = {} if prior is None else prior.limits
    result = replace(result, limits={name: limit for name, limit in known.items() if name in result.names})
    result = replace(result, warnings=(*result.warnings, *_edge_warning(result, usable)))
    result = replace(result, notes=(*result.notes, *_density_note(result, usable)))
    result = _with_drift_told(result, Traces.of(usable, names, drift_terms(result)).with_mask(result.mask))
    return with_derived(result, "resonance_frequency", "Hz", partial(_zero_bias_resonance, array=usable.array))


def _interpreted(data: ReflectionData, junction: Sequence[Parameter], prior: FitResult | None) -> FitResult:
    """The fit of traces, in the convention of the model, as they are."""
    parameters = [*rate_parameters(data, junction, None, {}), *junction]
    traces = Traces.of(data, [p.name for p in parameters])
    return solve(parameters, traces, MODEL, {}, absorbed=2 * data.frequency.size, prior=_with_fano(prior, None))


def reflection_model(fit: FitResult, data: ReflectionData) -> Complex:
    """S11 that a reflection fit expects, shape (n, m), as a network analyzer measures it; NaN at unusable biases.

    The background, which the fit eliminates, is computed from `data` and the fitted parameters.
    """
    model = np.full(data.s11.shape, complex(np.nan, np.nan))
    if data.usable.any():
        traces, x = _without_outliers(fit, data)
        model[data.usable] = traces.model(x).conj()
    return model


def reflection_left_out(fit: FitResult, data: ReflectionData) -> Bool:
    """Which data a reflection fit leaves out as glitches, shape (n, m)."""
    found = np.zeros(data.s11.shape, bool)
    if data.usable.any():
        found[data.usable] = ~_without_outliers(fit, data)[0].counts
    return found


def reflection_residuals(fit: FitResult, data: ReflectionData) -> Complex:
    """Measured less expected S11, both parts in units of their σ, shape (n, m); NaN at unusable biases."""
    return np.asarray((data.s11 - reflection_model(fit, data)) / fit.noise)


def _without_outliers(fit: FitResult, data: ReflectionData) -> tuple[Traces, Real]:
    """The model of a fit at the usable biases of `data`, without the glitches, and its parameters."""
    values = {name: value for name, value in fit.by_name.items() if name != "resonance_frequency"}
    x = np.array([*values.values()])
    return without_outliers(Traces.of(data.finite().conjugate(), values, drift_terms(fit)), x), x


def reflection_evaluated(
    fit: FitResult,
    data: ReflectionData,
    *,
    prior: FitResult | None,
    given: Given | None = None,
    like: Evaluated | None = None,
) -> Evaluated:
    """Return the model of a reflection fit, made from `data`, at other data of the same biases and frequencies.

    `like` is that at the data of the fit, whose island serves here, too.
    """
    names = tuple(name for name in fit.names if name != "resonance_frequency")
    usable = data.finite().conjugate()
    match like:
        case Evaluated(model=Traces(island=island)):
            pass
        case _:
            island = Island.of(fit.by_name, usable.device_voltage, usable.array)
    model = Traces.of(usable, names, drift_terms(fit), island).with_mask(fit.mask)
    zero = Island.of(fit.by_name, -fit["voltage_offset"].value * np.ones(1), usable.array)

    def whole(x: Real) -> Real:
        values = dict(zip(names, x, strict=True))
        # A small step may lead below the 0 at which the Dynes parameter ends.
        return np.append(x, _zero_bias_resonance(values | {"dynes": max(values["dynes"], 0.0)}, data.array, zero))

    return Evaluated(model, names, whole, known_before(parameters_at(fit), _with_fano(prior, given), given).prior)


def reflection_sensitivity(
    fit: FitResult,
    data: ReflectionData,
    device_voltage: Real,
    *,
    prior: FitResult | None,
    given: Given | None = None,
) -> Sensitivity:
    """Sensitivity of one trace at each of `device_voltage` (V), shape (n,), to the parameters of a reflection fit."""
    names = tuple(name for name in fit.free if name != "resonance_frequency")
    values, frequency, repeats = fit.by_name, *thinned(data.frequency)
    nothing = np.zeros((device_voltage.size, frequency.size), complex)
    there = ReflectionData(device_voltage, frequency, nothing, junctions=data.junctions)
    response = Response.of(values, there)
    # Far from the resonance |Γ| = 1, and the measured amplitude is that of the background.
    scale = band_median(np.abs(data.s11), data.frequency) / fit.noise * np.sqrt(repeats)
    slopes = np.stack([*response.slopes(values, there, names)], axis=-1)
    matrix, _ = prior_rows(names, known_before(parameters_at(fit), _with_fano(prior, given), given).prior)
    return Sensitivity(names, scale * slopes, scale * response.gamma, matrix.T @ matrix)


def _with_fano(prior: FitResult | None, given: Given | None) -> FitResult | None:
    """The prior of the junction parameters, joined by the assumption about Re φ unless that is `given`."""
    handed = None if prior is None else handed_on(prior)
    if "fano_real" in (given or {}):
        return handed
    return _FANO if handed is None else joined(_FANO, handed)


def _zero_bias_resonance(values: Mapping[str, float], array: JunctionArray, island: Island | None = None) -> float:
    """Resonance frequency at zero bias (Hz), which is not where the voltage reads 0."""
    zero = np.array([-values["voltage_offset"]])
    shift = values["damping_junction"] * tunnelling(values, zero, array, island).shift[0]
    return float(values["ohmic_frequency"] + shift / (2 * np.pi))


def _edge_warning(result: FitResult, data: ReflectionData) -> tuple[str, ...]:
    """A warning where the traces have one side of the resonance only: it may be elsewhere."""
    values, frequency = result.by_name, result["ohmic_frequency"].value
    width = (values["damping_line"] + values["damping_excess"] + values["damping_junction"]) / (2 * np.pi)
    inside = float(min(frequency - data.frequency[0], data.frequency[-1] - frequency))
    if inside > max(_LINEWIDTHS * width, _PART * np.ptp(data.frequency)):
        return ()
    where = f"{1e-6 * inside:.3g} MHz from the edge of the band" if inside > 0 else "outside the band"
    return (
        f"the resonance is {where}, which has one side of it only: it may be a false one; centre the band on "
        f"{frequency:.6g} Hz, or look for it in a wider one",
    )


def _density_note(result: FitResult, data: ReflectionData) -> tuple[str, ...]:
    """A note where the traces have more points elsewhere than at the resonance."""
    frequency, (low, high) = result["ohmic_frequency"].value, densest_part(data.frequency)
    if low <= frequency <= high:
        return ()
    return (
        f"the resonance is outside the densest part of the frequencies, {gigahertz(low)} to {gigahertz(high)}: with "
        f"that part centred on {frequency:.6g} Hz σ would be smaller",
    )


def _with_drift_told(result: FitResult, traces: Traces) -> FitResult:
    """The result with a note of the drift that was taken out, or a warning where it is doubtful."""
    notes, warnings = [*result.notes], [*result.warnings]
    if not follows_each_trace(result):
        notes.append(NARROW)
    if drift_terms(result):
        logarithm, sigma = traces.drifts(result.values, result.noise)
        parts = (logarithm.real, _DECIBEL, "dB of amplitude", 1.0), (logarithm.imag, _DEGREE, "degrees of phase", 10.0)
        for part, unit, name, largest in parts:
            drift = seen_drift(traces.data.course, part, sigma)
            if drift is None:
                continue
            text = f"a drift by {drift.size * unit:.2g} {name} in the course of the traces was measured and taken out"
            if drift.smooth and drift.size * unit < largest:
                notes.append(text)
                continue
            kind = "so large" if drift.smooth else "not smooth"
            degrees = "; or was s11 made from a phase in degrees?" if drift.size * unit > _WILD * largest else ""
            warnings.append(
                f"{text}; it is {kind}, and the background may have changed its shape as well: look at the "
                f"connectors, and let the network analyzer settle{degrees}"
            )
    return replace(result, notes=tuple(notes), warnings=tuple(warnings))


def _refuse_undetermined(result: FitResult) -> None:
    """Raise FitError where the uncertainty of a rate exceeds its value."""
    for name in ("damping_line", "damping_junction"):
        rate = result[name]
        if not rate.sigma < rate.value:
            raise FitError(
                f"the traces do not determine {name} ({rate.value:.3g} ± {rate.sigma:.3g} 1/s): {_QUESTIONS}"
            )
