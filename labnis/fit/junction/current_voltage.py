"""Gap, normal-state resistance and electron temperature of a SINIS pair from its current–voltage curve."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import median_filter
from scipy.stats import siegelslopes

from labnis.fit.arrays import curve, real_columns
from labnis.fit.information import Sensitivity
from labnis.fit.junction._curve_data import curve_warnings, refuse_clipped
from labnis.fit.junction._excitation import phases
from labnis.fit.junction._pair import (
    ASSUMED,
    PairModel,
    check_resistance,
    device_share,
    device_waveform,
    pair_parameters,
    thermal_reach,
)
from labnis.fit.parameters import Parameter, hold, restarted
from labnis.fit.result import FitError, FitResult
from labnis.fit.solver import solve

__all__ = ["current_voltage_model", "current_voltage_sensitivity", "fit_current_voltage"]

Real = NDArray[np.float64]

MODEL = "SINIS I–V"
# Phases that average a cycle: few are exact up to the seventh power of the excitation, which is enough within kT/e.
_FEW, _MANY = phases(4), phases(12)
# A change of weights and excitation by this fraction moves a result by as much of its σ.
_ROUNDS, _SETTLED = 4, 1e-3


def fit_current_voltage(
    device_voltage: ArrayLike,
    current: ArrayLike,
    *,
    series_resistance: float = 0.0,
    excitation: float = 0.0,
    fixed: Mapping[str, float] | None = None,
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
    excitation
        Lock-in excitation on the bias line while the current was read (V rms): the reading is its mean over a cycle.
    fixed
        Parameters that are held at a value, by name.
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
    check_resistance(series_resistance)
    refuse_clipped(voltage, measured)
    parameters = hold(_parameters(voltage, measured, start), fixed)
    # How much of a change of the line reaches the device depends on the curve, which the first rounds find.
    x = np.array([p.start for p in parameters])
    share, waveform = _line(x, voltage, excitation, series_resistance)
    for _ in range(_ROUNDS):
        solution = solve(parameters, _Sweep(voltage, measured, share, waveform, mask=np.ones(voltage.shape, bool)))
        x, before = solution.values, (share, waveform)
        share, waveform = _line(x, voltage, excitation, series_resistance)
        if _settled(share, before[0], 1.0) and _settled(waveform, before[1], excitation):
            break
        parameters = restarted(parameters, x)
    result = solution.as_result(
        MODEL, ASSUMED, series_resistance=float(series_resistance), excitation=float(excitation)
    )
    counted = solution.mask
    suspect = curve_warnings(voltage[counted], solution.residuals[counted], result["normal_resistance"].value)
    return replace(result, warnings=(*result.warnings, *suspect))


def current_voltage_model(fit: FitResult, device_voltage: ArrayLike) -> Real:
    """Current (A) expected by an I–V fit at each measured `device_voltage` (V), shape (n,)."""
    (voltage,) = real_columns(device_voltage=device_voltage)
    excitation, resistance = (fit.inputs.get(name, 0.0) for name in ("excitation", "series_resistance"))
    share, waveform = _line(fit.values, voltage, excitation, resistance)
    return _Sweep(voltage, voltage, share, waveform, mask=np.ones(voltage.shape, bool)).model(fit.values)


def current_voltage_sensitivity(
    fit: FitResult, device_voltage: ArrayLike, *, series_resistance: float = 0.0
) -> Sensitivity:
    """Sensitivity of one current reading at each of `device_voltage` (V), shape (n,), to the parameters of an I–V fit.

    The smearing by a lock-in's excitation is left out: it hardly changes which biases are informative.
    """
    (voltage,) = real_columns(device_voltage=device_voltage)
    share, none = _line(fit.values, voltage, 0.0, series_resistance)
    sweep = _Sweep(voltage, voltage, share, none, mask=np.ones(voltage.shape, bool))
    free = np.diag(fit.covariance) > 0
    slopes = sweep.jacobian(fit.values)[:, None, free] / fit.noise
    names = tuple(name for name, is_free in zip(fit.names, free, strict=True) if is_free)
    return Sensitivity(names, slopes.astype(complex), np.zeros(slopes.shape[:2], complex), np.zeros((len(names),) * 2))


def _line(x: Real, voltage: Real, excitation: float, series_resistance: float) -> tuple[Real, Real]:
    """Share of a small change of the line that reaches the device (n,), and the device's excitation (n, phases; V)."""
    share = device_share(x, voltage, series_resistance)
    if excitation == 0:
        return share, np.zeros((voltage.size, 1))
    amplitude = np.sqrt(2) * excitation
    line = amplitude * (_FEW if amplitude < thermal_reach(x) else _MANY)
    return share, device_waveform(x, voltage, line, series_resistance)


def _settled(now: Real, before: Real, unit: float) -> bool:
    return now.shape == before.shape and bool(np.abs(now - before).max() <= _SETTLED * unit)


class _Sweep(PairModel):
    """The mean current; a residual scatters (1 + G·R_s) times as much as the current alone."""

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


def _guess(voltage: Real, current: Real) -> dict[str, float]:
    """Resistance from the slope of the outermost points, gap from where half the normal current flows."""
    # A sweep that is under way, or one-sided, has its gap edge on the side of its largest voltage.
    side = 1.0 if voltage.max() >= -voltage.min() else -1.0
    v, i = _binned(side * voltage, side * current)
    edge = max(5, v.size // 20)
    # Medians, here and below, are robust to outliers.
    slope = float(siegelslopes(i[-edge:], v[-edge:]).slope)
    if not slope > 0:
        raise FitError("the current does not rise with the voltage at the end of the sweep: is the device connected?")
    calm = median_filter(i, size=3, mode="mirror")
    subgap = np.abs(v[np.abs(calm) < 0.5 * slope * np.abs(v)])
    if not subgap.size or subgap.max() > 0.95 * np.abs(v).max():
        raise FitError(f"no superconducting gap within |V| ≤ {np.abs(v).max():.3g} V; widen the sweep")
    # √(V² − Δ²) is half of V at V = 1.155 Δ, and each junction gets half of the voltage.
    return {"gap": float(subgap.max()) / 2 / 1.155, "normal_resistance": float(1 / slope / 2)}
