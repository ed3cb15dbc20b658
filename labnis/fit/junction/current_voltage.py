"""Gap, normal-state resistance and electron temperature of a SINIS pair from its current–voltage curve."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from labnis.fit._doubts import CONTRADICTED
from labnis.fit._residuals import told_alike
from labnis.fit.arrays import (
    Bool,
    Real,
    check_numbers,
    curve,
    real_columns,
)
from labnis.fit.estimate import number_text
from labnis.fit.given import known_alike, refuse_unphysical, stated
from labnis.fit.information import Sensitivity
from labnis.fit.junction._array import PAIR, JunctionArray, Junctions
from labnis.fit.junction._components import with_components
from labnis.fit.junction._current_and_conductance import CurrentAndConductance, joint_model, model_of_readings
from labnis.fit.junction._curve_data import (
    LOCKIN_PHASE,
    check_units,
    fitted_without,
    missing_readings,
    refuse_clipped,
    refuse_shifted,
)
from labnis.fit.junction._curve_doubts import (
    curve_warnings,
    line_warnings,
    other_junctions,
    unusual_resistance,
)
from labnis.fit.junction._heated_pair import Readings, expected_current
from labnis.fit.junction._island import COMPONENTS, components_of
from labnis.fit.junction._known_components import with_known_components
from labnis.fit.junction._line import GAIN, LINE
from labnis.fit.junction._one_temperature import ISLAND, MODEL, Sweep, fit_pair
from labnis.fit.junction._other_causes import other_cause, wrong_held_values
from labnis.fit.junction._pair import ASSUMED
from labnis.fit.junction._rounding import Rounding
from labnis.fit.junction._unequal_pair import ASYMMETRY
from labnis.fit.parameters import Given, Parameter, hold
from labnis.fit.result import FitError, FitResult
from labnis.fit.solver import CurveModel, Model

__all__ = [
    "conductance_of",
    "current_voltage_model",
    "current_voltage_sensitivity",
    "fit_current_voltage",
    "model_of_both",
    "model_of_current",
]

# Fewer readings of the lock-in do not count.
_FEWEST_CONDUCTANCES = 10


def fit_current_voltage(  # noqa: PLR0913  # each of them is a fact about the measurement
    device_voltage: ArrayLike,
    current: ArrayLike,
    *,
    conductance: ArrayLike | None = None,
    series_resistance: float = 0.0,
    resistance_sigma: float = 0.0,
    excitation: float = 0.0,
    junctions: Junctions = 2,
    fixed: Mapping[str, float] | None = None,
    given: Given | None = None,
    start: FitResult | None = None,
) -> FitResult:
    """Fit I(V) of identical junctions, such as two in series, at one electron temperature or with an island that heats.

    Parameters
    ----------
    device_voltage, current
        Voltage across the device (V) and current (A), shape (n,); I·`series_resistance` has been subtracted from
        `device_voltage`, and with it the noise of that current. Points that are not finite are left out.
    conductance
        What a lock-in read at the same time: conductance of the device alone (S), shape (n,), NaN without a reading.
        Both are fitted together, with the gain of the lock-in as a parameter. It needs an `excitation`.
    series_resistance
        Of the bias line (ohm); it correlates the noise of voltage and current.
    resistance_sigma
        Its standard uncertainty (ohm), 0 if none is stated. Where the island heats, the curve itself determines the
        resistance better: `series_resistance_error` is then a parameter with this prior.
    excitation
        Lock-in excitation on the bias line while the current was read (V rms): the reading is its mean over a cycle.
    junctions
        1 (probe, thermometer, STM), 2 (a pair in series), or (series, parallel) of an array. Where the normal metal
        heats or cools, a single junction does so from one side.
    fixed
        Parameters that are held at a value, by name.
    given
        Parameters that are known with a standard uncertainty: name → (value, σ).
    start
        An earlier fit to start from; it saves time and is not a prior. Where the same is held and given, the components
        of its island are not searched for again if the curve shows no others, and `assumed` says so.

    Returns
    -------
    FitResult
        gap (eV), normal_resistance (ohm, one junction), electron_temperature (K), dynes, voltage_offset (V, at the
        device: the true voltage is `device_voltage` plus it), current_offset (A); with a conductance
        conductance_gain_error, which the lock-in reads too much. Where asymmetry is fixed or given, as 0 ± 0.3, it
        is a parameter: (R₁ − R₂)/(R₁ + R₂) of a pair at one temperature, normal_resistance the mean; the conductance
        is then left out.

    Raises
    ------
    FitError
        With complex data, fewer than 10 usable points, a clipped current, no gap inside the sweep, values that only a
        wrong unit explains, arrays of different shapes, or data that do not determine a parameter.

    """
    voltage, measured = curve("an I–V fit", device_voltage=device_voltage, current=current)
    check_numbers(series_resistance=series_resistance, resistance_sigma=resistance_sigma)
    refuse_clipped(voltage, measured)
    refuse_shifted(voltage, measured, gap_known="gap" in {**(fixed or {}), **(given or {})})
    check_units(voltage, measured)
    array = JunctionArray.of(junctions)
    refuse_unphysical(fixed, given)
    held, known = array.values_of_pair(fixed or {}), array.given_of_pair(given or {})
    readings = Readings(
        voltage * array.voltage,
        measured * array.current,
        float(series_resistance) * array.resistance,
        float(excitation) * array.voltage,
        float(resistance_sigma) * array.resistance,
        known,
        array,
    )
    if ASYMMETRY in {**held, **known} and array != PAIR:
        raise FitError(f"asymmetry is that of a pair, and the device has {array.statement}")
    missing = missing_readings(*_rows(device_voltage, current))
    read = _lockin_readings(device_voltage, current, conductance, float(excitation))
    read = None if read is None else read * array.conductance
    confirmed = None
    try:
        _check_island(held, known)
        before = None if start is None else array.of_pair(start, array.current)
        if start is not None and before is not None and components_of(before):
            if known_alike(start, fixed or {}, given or {}):
                confirmed = with_known_components(before, readings, held, MODEL, ASSUMED, read)
            before = None
        pair = fit_pair(readings, held, before) if confirmed is None else confirmed
    except FitError as error:
        raise FitError(missing or str(error)) from error
    unequal = ASYMMETRY in pair.names
    if unequal:
        result = _with_effect_told(pair, readings, held)
    else:
        result = confirmed or with_components(pair, readings, held, MODEL, ASSUMED, read)
    model = model_of_pair(result, readings).with_mask(result.mask[: voltage.size])
    rounding = Rounding.of(result, readings, model)
    rounded, result = rounding.counts(result), rounding.told(result, readings, model)
    # What is told of the curve is that of the current.
    of_current = replace(result, residuals=result.residuals[: voltage.size], mask=result.mask[: voltage.size])
    found, counted = array.of_device(result, datum=array.current), of_current.mask
    left = found.residuals[: voltage.size][counted]
    suspect = curve_warnings(voltage[counted], measured[counted], left)
    if "gap" not in {**held, **known}:
        suspect = (*other_junctions(array, found["gap"].value), *suspect)
    if "normal_resistance" not in {**held, **known}:
        suspect = (*unusual_resistance(found["normal_resistance"].value, array), *suspect)
    told = stated(array.factors, found, fixed or {}, given or {})
    doubts = _held_absent(of_current, held) or line_warnings(of_current, readings, model, rounded=rounded)
    if not unequal and (components_of(result) or told_alike(result.warnings) or doubts):
        doubts = other_cause(of_current, readings, held, pair if confirmed is None else None) or doubts
    # A cause that is named explains why the resistance of the line is not what was stated.
    kept = [text for text in found.warnings if not (doubts and text.startswith(CONTRADICTED) and LINE in text)]
    found = replace(found, warnings=(*kept, *suspect, *doubts))
    freed = partial(
        fit_current_voltage,
        device_voltage,
        current,
        conductance=conductance,
        series_resistance=series_resistance,
        resistance_sigma=resistance_sigma,
        excitation=excitation,
        junctions=junctions,
        given=given,
    )
    found = wrong_held_values(found, fixed or {}, lambda others: freed(fixed=others))
    return replace(found, assumed=told, notes=(*found.notes, *fitted_without(missing)))


def _lockin_readings(
    device_voltage: ArrayLike, current: ArrayLike, conductance: ArrayLike | None, excitation: float
) -> Real | None:
    """Conductance (S) at the points that have a voltage and a current; None if there is hardly any."""
    if conductance is None or not excitation:
        return None
    _, read = real_columns(advice=LOCKIN_PHASE, device_voltage=device_voltage, conductance=conductance)
    _, both = _rows(device_voltage, current)
    return read[both] if np.isfinite(read[both]).sum() >= _FEWEST_CONDUCTANCES else None


def _rows(device_voltage: ArrayLike, current: ArrayLike) -> tuple[Real, Bool]:
    """All voltages (V), and which points are finite."""
    voltage, measured = real_columns(device_voltage=device_voltage, current=current)
    return voltage, np.isfinite(voltage) & np.isfinite(measured)


def _with_effect_told(result: FitResult, readings: Readings, fixed: Mapping[str, float]) -> FitResult:
    """The fit of unequal junctions with a note of what equal ones would change."""
    known = {name: value for name, value in readings.given.items() if name != ASYMMETRY}
    held = {name: value for name, value in fixed.items() if name != ASYMMETRY}
    equal = fit_pair(replace(readings, given=known), held, None)
    names = ("gap", "normal_resistance", "electron_temperature")
    moved = ", ".join(
        f"{name} by {number_text(equal[name].value - result[name].value, result[name].unit)}" for name in names
    )
    return replace(
        result,
        notes=(*result.notes, f"equal junctions would change {moved}"),
        assumed={**result.assumed, "island": "it does not heat: unequal junctions are fitted with one temperature"},
    )


def _held_absent(result: FitResult, fixed: Mapping[str, float]) -> tuple[str, ...]:
    """A warning where residuals are alike, and components of an island are held not to be there."""
    absent = [name for name in COMPONENTS if fixed.get(name) == 0]
    if not absent or not told_alike(result.warnings):
        return ()
    return (f"{', '.join(absent)} held at 0: leave that out, to see whether the island heats",)


def _check_island(fixed: Mapping[str, float], given: Given) -> None:
    """Refuse known values of the island that are not physical, or cannot be used; the others are checked later."""
    island = [Parameter(name, unit, 0.0, 1.0, 0.0) for name, unit in ISLAND.items()]
    hold(
        island,
        {name: value for name, value in fixed.items() if name in ISLAND},
        {name: value for name, value in given.items() if name in ISLAND},
    )


def current_voltage_model(fit: FitResult, device_voltage: ArrayLike) -> Real:
    """Current (A) expected by an I–V fit at each measured `device_voltage` (V), shape (n,)."""
    if not _has_more_than_a_pair(fit):
        return Sweep.expected(fit, device_voltage)
    array = JunctionArray.of_fit(fit)
    of_pair = expected_current(array.of_pair(fit), array.voltage * real_columns(device_voltage=device_voltage)[0])
    return np.asarray(of_pair / array.current)


def model_of_current(
    fit: FitResult, device_voltage: Real, current: Real, series_resistance: float, array: JunctionArray = PAIR
) -> CurveModel:
    """Model of an I–V fit of readings: voltages (V), currents (A), shape (n,), and resistance of the line (ohm).

    The readings are those of the device, an `array`; fit and model are those of its pair.
    """
    return model_of_pair(fit, _readings_of_pair(fit, device_voltage, current, series_resistance, array))


def _readings_of_pair(
    fit: FitResult, device_voltage: Real, current: Real, series_resistance: float, array: JunctionArray
) -> Readings:
    """Those of a pair of the `array`, from readings of the device; `fit` is that of the pair."""
    resistance = series_resistance * array.resistance
    excitation = fit.inputs.get("excitation", 0.0)
    return Readings(device_voltage * array.voltage, current * array.current, resistance, excitation, array=array)


def model_of_pair(fit: FitResult, readings: Readings) -> CurveModel:
    """Model of a `fit` of a pair, of its `readings`."""
    if _has_more_than_a_pair(fit):
        return model_of_readings(fit, readings)
    r = readings
    extra = fit.names[Sweep.ordinary :]
    return Sweep.of(fit.values, r.voltage, r.current, r.excitation, r.series_resistance, r.array, extra)


def model_of_both(
    fit: FitResult,
    device_voltage: Real,
    current: Real,
    conductance: Real,
    series_resistance: float,
    array: JunctionArray = PAIR,
) -> CurrentAndConductance:
    """As `model_of_current`, of a fit of current and conductance (S), which may be NaN."""
    readings = _readings_of_pair(fit, device_voltage, current, series_resistance, array)
    return joint_model(fit, readings, conductance * array.conductance)


def conductance_of(fit: FitResult, device_voltage: Real) -> Real:
    """Conductance (S) that a fit of current and conductance expects at measured voltages (V), both (n,).

    The fit may be that of the device, or that of its pair.
    """
    of_pair = JunctionArray.behind(fit)
    if of_pair != PAIR:
        fit = of_pair.of_device(fit)
    array, current = JunctionArray.of_fit(fit), current_voltage_model(fit, device_voltage)
    pair, nothing = array.of_pair(fit), np.full_like(current, np.nan)
    model = model_of_both(pair, device_voltage, current, nothing, fit.inputs["series_resistance"], array)
    return np.asarray(model.expected_conductance(pair.values) / array.conductance)


def _has_more_than_a_pair(fit: FitResult) -> bool:
    """Whether an island, or a lock-in, has parameters in the fit."""
    return bool({GAIN, *COMPONENTS} & set(fit.names))


def current_voltage_sensitivity(fit: FitResult, device_voltage: Real, *, series_resistance: float = 0.0) -> Sensitivity:
    """Sensitivity of one current reading at each of `device_voltage` (V), shape (n,), to the parameters of an I–V fit.

    The smearing by a lock-in's excitation is left out: it hardly changes which biases are informative.
    """
    array = JunctionArray.of_fit(fit)
    pair, current = array.of_pair(fit), current_voltage_model(fit, device_voltage)
    model: Model = model_of_current(replace(pair, inputs={}), device_voltage, current, series_resistance, array)
    by_device = model.jacobian(pair.values) * array.factors(fit.names) / array.current
    slopes = by_device[:, None, fit.sigma > 0] / fit.noise
    no_background, no_prior = np.zeros(slopes.shape[:2], complex), np.zeros((len(fit.free),) * 2)
    return Sensitivity(fit.free, slopes.astype(complex), no_background, no_prior)
