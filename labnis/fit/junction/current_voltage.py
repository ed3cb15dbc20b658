"""Gap, normal-state resistance and electron temperature of a SINIS pair from its current–voltage curve."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import median_filter

from labnis.fit._doubts import suspected
from labnis.fit._sweeps import compared_sweeps, sweeps_of
from labnis.fit.arrays import Bool, Real, check_numbers, curve, real_columns
from labnis.fit.information import Sensitivity
from labnis.fit.junction._components import with_components
from labnis.fit.junction._curve_data import (
    check_units,
    missing_readings,
    refuse_clipped,
    refuse_without_gap,
    refuse_without_rise,
)
from labnis.fit.junction._excitation import phases
from labnis.fit.junction._heated_pair import LINE, HeatedPair, Readings, expected_current
from labnis.fit.junction._island import COMPONENTS, components_of
from labnis.fit.junction._pair import ASSUMED, PairModel, pair_parameters
from labnis.fit.models import Suspect
from labnis.fit.parameters import Given, Parameter, hold, restarted
from labnis.fit.result import FitError, FitResult
from labnis.fit.solver import CurveModel, Model, solve

__all__ = ["current_voltage_model", "current_voltage_sensitivity", "fit_current_voltage", "model_of_current"]

MODEL = "SINIS I–V"
# Phases that average a cycle: few are exact up to the seventh power of the excitation, which is enough within kT/e.
_FEW, _MANY = phases(4), phases(12)
# A change of weights and excitation by this fraction moves a result by as much of its σ.
_ROUNDS, _SETTLED = 4, 1e-3
# The curve contradicts a stated resistance of the line beyond this many of its standard uncertainties.
_CONTRADICTS = 2.5
# What a drift and a wrong resistance of the line look like; it is hardly wrong by more than this part of a junction's.
_DRIFT = (
    "it looks like a drift of current or voltage in the course of the sweep: let the instruments settle, or sweep up "
    "and down"
)
_WRONG_LINE, _PLAUSIBLE = "it looks like a series resistance that is {:.3g} ohm off: measure it again", 0.1
# Resistances (ohm) of common tunnel junctions.
_USUAL_RESISTANCES = (50.0, 2e6)
# Half of the gaps of aluminium films (eV); no other superconductor of common junctions has one there.
_HALF_GAPS = (80e-6, 150e-6)
# Parameters of the island that may be known, and their units.
ISLAND = COMPONENTS | {"dephasing_rate": "1/s"}


def fit_current_voltage(
    device_voltage: ArrayLike,
    current: ArrayLike,
    *,
    series_resistance: float = 0.0,
    resistance_sigma: float = 0.0,
    excitation: float = 0.0,
    fixed: Mapping[str, float] | None = None,
    given: Given | None = None,
    start: FitResult | None = None,
) -> FitResult:
    """Fit I(V) of two identical junctions in series at one electron temperature.

    Parameters
    ----------
    device_voltage, current
        Voltage across the pair (V) and current (A), shape (n,); I·`series_resistance` has been subtracted from
        `device_voltage`, and with it the noise of that current. Points that are not finite are left out.
    series_resistance
        Of the bias line (ohm); it correlates the noise of voltage and current.
    resistance_sigma
        Its standard uncertainty (ohm), 0 if none is stated. Where the island heats, the curve itself determines the
        resistance better: `series_resistance_error` is then a parameter with this prior.
    excitation
        Lock-in excitation on the bias line while the current was read (V rms): the reading is its mean over a cycle.
    fixed
        Parameters that are held at a value, by name.
    given
        Parameters that are known with a standard uncertainty: name → (value, σ).
    start
        An earlier fit to start from; it saves time and is not a prior.

    Returns
    -------
    FitResult
        gap (eV), normal_resistance (ohm, one junction), electron_temperature (K), dynes, voltage_offset (V, at the
        device: the true voltage is `device_voltage` plus it), current_offset (A).

    Raises
    ------
    FitError
        With complex data, fewer than 10 usable points, a clipped current, no gap inside the sweep, values that only a
        wrong unit explains, arrays of different shapes, or data that do not determine a parameter.

    """
    voltage, measured = curve("an I–V fit", device_voltage=device_voltage, current=current)
    check_numbers(series_resistance=series_resistance, resistance_sigma=resistance_sigma)
    refuse_clipped(voltage, measured)
    check_units(voltage, measured)
    known = dict(given or {})
    readings = Readings(voltage, measured, float(series_resistance), float(excitation), float(resistance_sigma), known)
    of_pair = {name: value for name, value in (fixed or {}).items() if name not in ISLAND}
    missing = missing_readings(*_rows(device_voltage, current))
    try:
        _check_island(fixed or {}, known)
        pair = start if start is not None and components_of(start) else _fit_pair(readings, of_pair, start)
    except FitError as error:
        raise FitError(missing or str(error)) from error
    result = with_components(pair, readings, fixed or {}, MODEL, ASSUMED)
    counted = result.mask
    suspect = _curve_warnings(voltage[counted], measured[counted], result.residuals[counted], result.by_name)
    return replace(result, warnings=(*result.warnings, *suspect, *_line_warnings(result, readings)))


def _rows(device_voltage: ArrayLike, current: ArrayLike) -> tuple[Real, Bool]:
    """All voltages (V), and which points are finite."""
    voltage, measured = real_columns(device_voltage=device_voltage, current=current)
    return voltage, np.isfinite(voltage) & np.isfinite(measured)


def _check_island(fixed: Mapping[str, float], given: Given) -> None:
    """Refuse known values of the island that are not physical, or cannot be used; the others are checked later."""
    island = [Parameter(name, unit, 0.0, 1.0, 0.0) for name, unit in ISLAND.items()]
    hold(
        island,
        {name: value for name, value in fixed.items() if name in ISLAND},
        {name: value for name, value in given.items() if name in ISLAND},
    )


def _line_warnings(result: FitResult, readings: Readings) -> tuple[str, ...]:
    """A warning where the curve wants another resistance of the line than what is stated, or looks like a drift."""
    stated, sigma = readings.series_resistance, readings.resistance_sigma
    if LINE not in result.names:
        model = model_of_current(result, readings.voltage, readings.current, stated).with_mask(result.mask)
        change = model.by_voltage(result.values) * readings.current
        plausible = _CONTRADICTS * sigma, _PLAUSIBLE * result["normal_resistance"].value
        time = np.linspace(-0.5, 0.5, change.size)
        drifts = [model.signal(result.values), model.by_voltage(result.values), np.ones(change.size)]
        drift = Suspect(_DRIFT, np.stack([time * drift for drift in drifts], axis=-1))
        wrong = suspected(result, model, [Suspect(_WRONG_LINE, change[:, None], plausible)])
        return wrong or suspected(result, model, [drift], known=change[:, None])
    wanted = result[LINE]
    if abs(wanted.value) <= _CONTRADICTS * sigma:
        return ()
    return (
        f"the data want a series resistance of {stated + wanted.value:.5g} ± {wanted.sigma:.2g} ohm, and {stated:.5g} "
        f"± {sigma:.2g} ohm are stated; is the stated value wrong, or the model?",
    )


def _fit_pair(readings: Readings, fixed: Mapping[str, float], start: FitResult | None) -> FitResult:
    """Fit a pair whose electrons have one temperature at every bias."""
    voltage, measured = readings.voltage, readings.current
    excitation, series_resistance = readings.excitation, readings.series_resistance
    given = {name: value for name, value in readings.given.items() if name not in ISLAND}
    parameters = hold(_parameters(voltage, measured, start), fixed, given)
    inputs = {"series_resistance": series_resistance, "excitation": excitation}
    # How much of a change of the line reaches the device depends on the curve, which the first rounds find.
    x = np.array([p.start for p in parameters])
    sweep = _Sweep.of(x, voltage, measured, excitation, series_resistance)
    for _ in range(_ROUNDS):
        result, before = solve(parameters, sweep, MODEL, ASSUMED, given=given, inputs=inputs), sweep
        sweep = _Sweep.of(result.values, voltage, measured, excitation, series_resistance)
        if _settled(sweep.weight, before.weight, 1.0) and _settled(sweep.waveform, before.waveform, excitation):
            break
        parameters = restarted(parameters, result.values)
    return result


def current_voltage_model(fit: FitResult, device_voltage: ArrayLike) -> Real:
    """Current (A) expected by an I–V fit at each measured `device_voltage` (V), shape (n,)."""
    if components_of(fit):
        return expected_current(fit, device_voltage)
    return _Sweep.expected(fit, device_voltage)


def model_of_current(fit: FitResult, device_voltage: Real, current: Real, series_resistance: float) -> CurveModel:
    """Model of an I–V fit of readings: voltages (V), currents (A), shape (n,), and resistance of the line (ohm)."""
    excitation = fit.inputs.get("excitation", 0.0)
    if components_of(fit):
        return HeatedPair.of(Readings(device_voltage, current, series_resistance, excitation), fit.names, fit.values)
    return _Sweep.of(fit.values, device_voltage, current, excitation, series_resistance)


def current_voltage_sensitivity(fit: FitResult, device_voltage: Real, *, series_resistance: float = 0.0) -> Sensitivity:
    """Sensitivity of one current reading at each of `device_voltage` (V), shape (n,), to the parameters of an I–V fit.

    The smearing by a lock-in's excitation is left out: it hardly changes which biases are informative.
    """
    model: Model = _Sweep.of(fit.values, device_voltage, device_voltage, 0.0, series_resistance)
    if components_of(fit):
        readings = Readings(device_voltage, expected_current(fit, device_voltage), series_resistance)
        model = HeatedPair.of(readings, fit.names, fit.values)
    slopes = model.jacobian(fit.values)[:, None, fit.sigma > 0] / fit.noise
    no_background, no_prior = np.zeros(slopes.shape[:2], complex), np.zeros((len(fit.free),) * 2)
    return Sensitivity(fit.free, slopes.astype(complex), no_background, no_prior)


def _settled(now: Real, before: Real, unit: float) -> bool:
    return now.shape == before.shape and bool(np.abs(now - before).max() <= _SETTLED * unit)


class _Sweep(PairModel):
    """The mean current; a residual scatters (1 + G·R_s) times as much as the current alone."""

    scatter = 1

    @staticmethod
    def phases(amplitude: float) -> Real:
        return _FEW if amplitude < 1 else _MANY

    def reading(self, current: Real) -> Real:
        return np.asarray(current.mean(axis=-1))

    def model(self, x: Real) -> Real:
        return np.asarray(super().model(x) + x[5])

    def jacobian(self, x: Real) -> Real:
        return np.concatenate([super().jacobian(x), -self.weight[:, None]], axis=1)


def _parameters(voltage: Real, current: Real, start: FitResult | None) -> list[Parameter]:
    """Start values from an earlier fit, or from the curve."""
    guess = _guess(voltage, current) if start is None else start.by_name
    pair = pair_parameters(guess, "current in ampere")
    scale = 1e-2 * guess["gap"] / guess["normal_resistance"]
    return [*pair, Parameter("current_offset", "A", guess.get("current_offset", 0.0), scale)]


def _binned(voltage: Real, current: Real) -> tuple[Real, Real]:
    """Means over at most 1001 bins of the voltage, in rising order: a bias may have been visited many times."""
    _, which, count = np.unique(np.rint(500 * voltage / np.abs(voltage).max()), return_inverse=True, return_counts=True)
    return np.bincount(which, voltage) / count, np.bincount(which, current) / count


def _repeated_median_slope(x: Real, y: Real) -> float:
    """Slope by repeated medians (Siegel 1982): up to half of the points may be outliers."""
    # scipy.stats has it, but takes longer to import than a whole fit lasts.
    others = ~np.eye(x.size, dtype=bool)
    slopes = np.subtract.outer(y, y)[others] / np.subtract.outer(x, x)[others]
    return float(np.median(np.median(slopes.reshape(x.size, -1), axis=1)))


def _guess(voltage: Real, current: Real) -> dict[str, float]:
    """Resistance from the slope of the outermost points, gap from where half the normal current flows."""
    # A sweep that is under way, or one-sided, has its gap edge on the side of its largest voltage.
    side = 1.0 if voltage.max() >= -voltage.min() else -1.0
    v, i = _binned(side * voltage, side * current)
    edge = max(min(5, v.size // 5), v.size // 20)
    # Medians, here and below, are robust to outliers.
    slope = _repeated_median_slope(v[-edge:], i[-edge:])
    if not slope > 0:
        refuse_without_rise(voltage, current)
    calm = median_filter(i, size=3, mode="mirror")
    subgap = np.abs(v[np.abs(calm) < 0.5 * slope * np.abs(v)])
    if not subgap.size or subgap.max() > 0.95 * np.abs(v).max():
        refuse_without_gap(v, calm, slope)
    # √(V² − Δ²) is half of V at V = 1.155 Δ, and each junction gets half of the voltage.
    return {"gap": float(subgap.max()) / 2 / 1.155, "normal_resistance": float(1 / slope / 2)}


def _curve_warnings(voltage: Real, current: Real, residuals: Real, found_at: Mapping[str, float]) -> tuple[str, ...]:
    """Warnings from the points of a fit, in the order of measurement, and the values it found."""
    gap, resistance = found_at["gap"], found_at["normal_resistance"]
    found = []
    if not _USUAL_RESISTANCES[0] < resistance < _USUAL_RESISTANCES[1]:
        found.append(f"{resistance:.3g} ohm is unusual for a tunnel junction; is the current in ampere?")
    if _HALF_GAPS[0] < gap < _HALF_GAPS[1]:
        found.append(
            f"the gap would be {1e6 * gap:.4g} µeV, half of that of aluminium: is this one junction instead of a pair "
            "in series? Then gap, resistance and temperature are twice as large"
        )
    repeated = int(((np.diff(voltage) == 0) & (np.diff(current) == 0)).sum())
    if 2 * repeated > voltage.size:
        found.append(
            f"{repeated} of {voltage.size} points repeat the one before in voltage and current: they are copies, or "
            "the meter did not read again, and the true uncertainties are larger"
        )
    found += compared_sweeps(sweeps_of(voltage), voltage, residuals, "A")
    return tuple(found)
