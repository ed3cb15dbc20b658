"""Gap, normal-state resistance and electron temperature of a SINIS pair from its current–voltage curve."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter
from scipy.stats import siegelslopes

from labnis.fit._curve_data import curve_warnings, refuse_impossible, usable_points
from labnis.fit._excitation import phases
from labnis.fit._least_squares import Parameter, solve
from labnis.fit._sinis_pair import (
    current_slopes,
    device_share,
    device_swing,
    junction_of,
    junction_voltage,
    thermal_reach,
)
from labnis.fit.result import FitError, FitResult

__all__ = ["fit_current_voltage"]

Real = NDArray[np.float64]

MODEL = "SINIS I–V"
# Phases that average a cycle: few are exact up to the seventh power of the excitation, which is enough within kT/e.
_FEW, _MANY = phases(4), phases(12)
# A change of weights and excitation by this fraction moves a result by as much of its σ.
_ROUNDS, _SETTLED = 4, 1e-3


def fit_current_voltage(
    device_voltage: Real,
    current: Real,
    *,
    series_resistance: float = 0.0,
    excitation: float = 0.0,
    start: FitResult | None = None,
) -> FitResult:
    """Fit I(V) of two identical junctions in series at one electron temperature.

    Parameters
    ----------
    device_voltage, current
        Voltage across the pair (V) and current (A), shape (n,); `device_voltage` has had I·`series_resistance`
        subtracted, and that current's noise with it. Points that are not finite are left out.
    series_resistance
        Of the bias line (ohm); it correlates the noise of the two.
    excitation
        Lock-in excitation on the bias line while the current was read (V rms): the reading is its mean over a cycle.
    start
        An earlier fit to start from; it saves time and does not act as a prior.

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
    voltage, measured = usable_points(device_voltage, current)
    parameters = _parameters(voltage, measured, start)
    # What of the line's changes reaches the device depends on the curve, which the first rounds find.
    x = np.array([p.start for p in parameters])
    share, swing = device_share(x, voltage, series_resistance), _swing(x, voltage, excitation, series_resistance)
    for _ in range(_ROUNDS):
        solution = solve(parameters, _Sweep(voltage, measured, share, swing, np.ones(voltage.shape, bool)))
        x, before = solution.values, (share, swing)
        share, swing = device_share(x, voltage, series_resistance), _swing(x, voltage, excitation, series_resistance)
        if _settled(share, before[0], 1.0) and _settled(swing, before[1], excitation):
            break
        parameters = [replace(p, start=float(value)) for p, value in zip(parameters, x, strict=True)]
    result = solution.as_result(
        MODEL,
        parameters,
        assumed={
            "junctions": "both junctions of the pair are identical",
            "electron_temperature": "the same at every bias",
        },
    )
    counted = solution.kept
    suspect = curve_warnings(voltage[counted], solution.residuals[counted], result["normal_resistance"].value)
    return replace(result, warnings=(*result.warnings, *suspect))


def _swing(x: Real, voltage: Real, excitation: float, series_resistance: float) -> Real:
    """What the excitation (V rms on the line) adds to the device's mean `voltage` along a cycle, shape (n, phases)."""
    if excitation == 0:
        return np.zeros((voltage.size, 1))
    amplitude = np.sqrt(2) * excitation
    line = amplitude * (_FEW if amplitude < thermal_reach(x) else _MANY)
    return device_swing(x, voltage, line, series_resistance)


def _settled(now: Real, before: Real, unit: float) -> bool:
    return now.shape == before.shape and bool(np.abs(now - before).max() <= _SETTLED * unit)


@dataclass(frozen=True)
class _Sweep:
    """Data, weights and excitation of one round of the fit.

    The device voltage carries −R_s times the current's noise, so a residual scatters (1 + G·R_s) times as much as the
    current alone: `weight` undoes that. `swing` (n, phases) is the excitation at the device (V).
    """

    voltage: Real
    current: Real
    weight: Real
    swing: Real
    kept: NDArray[np.bool_]

    def keeping(self, kept: NDArray[np.bool_]) -> "_Sweep":
        return replace(self, kept=kept)

    def _junction_voltage(self, x: Real) -> Real:
        return junction_voltage(x, self.voltage[:, None] + self.swing)

    def residuals(self, x: Real) -> Real:
        model = junction_of(x).current(self._junction_voltage(x), x[2]).mean(axis=-1) + x[5]
        return np.asarray((self.current - model) * self.weight)

    def jacobian(self, x: Real) -> Real:
        at = self._junction_voltage(x)
        slopes = [*current_slopes(x, at), np.ones_like(at)]
        return np.asarray(-np.stack(slopes, axis=-1).mean(axis=1) * self.weight[:, None])


def _parameters(voltage: Real, current: Real, start: FitResult | None) -> list[Parameter]:
    """Start values: the earlier fit's, or read off the curve."""
    guess = _guess(voltage, current) if start is None else start.by_name
    gap, resistance = float(guess["gap"]), float(guess["normal_resistance"])
    refuse_impossible(gap, resistance)
    return [
        Parameter("gap", "eV", gap, gap, 0.2 * gap, 5 * gap),
        Parameter("normal_resistance", "ohm", resistance, resistance, 0.05 * resistance, 20 * resistance),
        Parameter("electron_temperature", "K", float(guess["electron_temperature"]), 0.1, 1e-3, 5.0),
        Parameter("dynes", "1", float(guess["dynes"]), 1e-3, 0.0, 0.3),
        Parameter("voltage_offset", "V", float(guess["voltage_offset"]), 1e-5),
        Parameter("current_offset", "A", float(guess["current_offset"]), 1e-2 * gap / resistance),
    ]


def _binned(voltage: Real, current: Real) -> tuple[Real, Real]:
    """Means over at most 1001 bins of the voltage, in rising order: a bias may have been visited many times."""
    _, which, count = np.unique(np.rint(500 * voltage / np.abs(voltage).max()), return_inverse=True, return_counts=True)
    return np.bincount(which, voltage) / count, np.bincount(which, current) / count


def _guess(voltage: Real, current: Real) -> dict[str, float]:
    """Resistance from the slope of the outermost points, gap from where half the normal current flows."""
    # A sweep that is under way, or one-sided, has its gap edge where it reached farthest.
    side = 1.0 if voltage.max() >= -voltage.min() else -1.0
    v, i = _binned(side * voltage, side * current)
    edge = max(5, v.size // 20)
    # Medians, here and below, know nothing of a glitch.
    slope = float(siegelslopes(i[-edge:], v[-edge:]).slope)
    if not slope > 0:
        raise FitError("the current does not rise with the voltage at the end of the sweep: is the device connected?")
    calm = median_filter(i, size=3, mode="mirror")
    subgap = np.abs(v[np.abs(calm) < 0.5 * slope * np.abs(v)])
    if not subgap.size or subgap.max() > 0.95 * np.abs(v).max():
        raise FitError(f"no superconducting gap within |V| ≤ {np.abs(v).max():.3g} V; widen the sweep")
    # √(V² − Δ²) is half of V at V = 1.155 Δ, and the pair shares the voltage.
    gap = float(subgap.max()) / 2 / 1.155
    return {
        "gap": gap,
        "normal_resistance": float(1 / slope / 2),
        "electron_temperature": 0.15,
        "dynes": 1e-3,
        "voltage_offset": 0.0,
        "current_offset": 0.0,
    }
