"""Start values of the fit of a current: from the curve itself, and from what is known of the device."""

from collections.abc import Mapping
from itertools import product
from operator import itemgetter

import numpy as np
from scipy.ndimage import median_filter

from labnis.fit.arrays import Real, evenly_spread
from labnis.fit.junction._array import JunctionArray
from labnis.fit.junction._curve_data import is_proportional, refuse_without_gap, refuse_without_rise
from labnis.physics import NISJunction

__all__ = ["curve_start", "repeated_median_slope"]

# Where half of the normal current flows farther out than this part of the sweep, the sweep does not reach the
# resistance; a gap is seen if its edge is within this part.
_REACHED, _SEEN = 0.95, 0.95
# Edges of the gap as parts of the sweep, electron temperatures (K) and Dynes parameter that are tried; and points used.
_EDGES, _TEMPERATURES, _DYNES, _FEW = np.linspace(0.5, 1.3, 41), np.geomspace(0.02, 0.6, 15), 1e-4, 151
# A gap that is seen leaves less than this part of what gaps beyond the sweep leave in the residuals.
_CLEAR = 0.75


def curve_start(voltage: Real, current: Real, known: Mapping[str, float], array: JunctionArray) -> dict[str, float]:
    """Start values for voltages (V) and currents (A) of a pair of the device, an `array`; those `known` are kept.

    FitError where the curve shows no gap that is not known.
    """
    if {"gap", "normal_resistance"} <= known.keys():
        return dict(known)
    # A sweep that is under way, or one-sided, has its gap edge on the side of its largest voltage.
    side = 1.0 if voltage.max() >= -voltage.min() else -1.0
    v, i = _binned(side * voltage, side * current)
    edge = max(min(5, v.size // 5), v.size // 20)
    # Medians, here and below, are robust to outliers.
    slope = repeated_median_slope(v[-edge:], i[-edge:])
    if not slope > 0:
        refuse_without_rise(voltage / array.voltage, current / array.current)
    calm = median_filter(i, size=3, mode="mirror")
    subgap = np.abs(v[np.abs(calm) < 0.5 * slope * np.abs(v)])
    if subgap.size and subgap.max() <= _REACHED * np.abs(v).max():
        # √(V² − Δ²) is half of V at V = 1.155 Δ, and each junction gets half of the voltage.
        return {"gap": float(subgap.max()) / 2 / 1.155, "normal_resistance": float(1 / slope / 2), **known}
    unseen = "gap" not in known and is_proportional(v, calm, slope)
    narrow = {} if unseen else _narrow_start(v, calm, known)
    if not narrow:
        refuse_without_gap(v / array.voltage, calm, slope * array.voltage)
    return narrow


def _narrow_start(voltage: Real, current: Real, known: Mapping[str, float]) -> dict[str, float]:
    """The best of some gaps and temperatures for a sweep that ends near its gap; empty if that is not seen."""
    few = evenly_spread(voltage.size, _FEW)
    voltage, current = voltage[few], current[few]
    most = float(np.abs(voltage).max())
    gaps = [known["gap"]] if "gap" in known else (_EDGES * most / 2).tolist()
    found = []
    for gap, temperature in product(gaps, _TEMPERATURES.tolist()):
        shape = NISJunction(gap, 1.0, _DYNES).current(voltage / 2, temperature)
        conductance = float(shape @ current) / float(shape @ shape)
        if conductance > 0:
            left = float(np.abs(current - conductance * shape).sum())
            found.append(
                (left, {"gap": gap, "normal_resistance": 1 / conductance, "electron_temperature": temperature})
            )
    inside, beyond = ([one for one in found if (2 * one[1]["gap"] < _SEEN * most) == seen] for seen in (True, False))
    best, other = (min(some, key=itemgetter(0), default=(np.inf, {})) for some in (inside, beyond))
    if "gap" in known:
        return {**min(best, other, key=itemgetter(0))[1], **known}
    return {**best[1], **known} if best[0] < _CLEAR * other[0] else {}


def _binned(voltage: Real, current: Real) -> tuple[Real, Real]:
    """Means over at most 1001 bins of the voltage, in rising order: a bias may have been visited many times."""
    _, which, count = np.unique(np.rint(500 * voltage / np.abs(voltage).max()), return_inverse=True, return_counts=True)
    return np.bincount(which, voltage) / count, np.bincount(which, current) / count


def repeated_median_slope(x: Real, y: Real) -> float:
    """Slope by repeated medians (Siegel 1982): up to half of the points may be outliers."""
    # scipy.stats has it, but takes longer to import than a whole fit lasts.
    others = ~np.eye(x.size, dtype=bool)
    slopes = np.subtract.outer(y, y)[others] / np.subtract.outer(x, x)[others]
    return float(np.median(np.median(slopes.reshape(x.size, -1), axis=1)))
