"""Start values of the fit of a current: from the curve itself, and from what is known of the device."""

from collections.abc import Mapping
from itertools import product
from operator import itemgetter

import numpy as np
from scipy.ndimage import median_filter

from labnis.fit.arrays import Real, evenly_spread
from labnis.fit.junction._array import JunctionArray
from labnis.fit.junction._curve_data import is_gap_amid, is_proportional, refuse_without_gap, refuse_without_rise
from labnis.physics import NISJunction

__all__ = ["curve_start", "repeated_median_slope"]

# Where half of the normal current flows farther out than this part of the sweep, the sweep does not reach the
# resistance; a gap is seen if its edge is within this part.
_REACHED, _SEEN = 0.95, 0.95
# Edges of the gap as parts of the sweep, electron temperatures (K) and Dynes parameter that are tried; and points used.
_EDGES, _TEMPERATURES, _DYNES, _FEW = np.linspace(0.5, 1.3, 41), np.geomspace(0.02, 0.6, 15), 1e-4, 151
# A gap (V) at most this small, where the sweep is this many times as wide, is noise. A leak of more than this part of
# the slope at the end is larger than the conductance of a junction, which no fit allows.
_LEAST, _WIDE, _LEAKS = 2e-5, 50.0, 2 / 3
# A sweep in one direction that begins within this part of its end begins at 0 V; one whose centre is this part of its
# width away from there, and has the gap there, has another 0 V.
_BEGINS, _ASIDE = 0.05, 0.25
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
    # An offset of the voltage that is no small part of the sweep shows in the middle of the curve.
    centre = (v[0] + v[-1]) / 2
    shift = centre if abs(centre) > _ASIDE * (v[-1] - v[0]) and is_gap_amid(v, i) else 0.0
    away, flows, offset = _without_offset(v - shift, calm)
    offsets = {"voltage_offset": -side * shift, "current_offset": side * offset}
    for leak in (0.0, _leak(away, flows)):
        subgap = np.abs(away[np.abs(flows - leak * away) < 0.5 * (slope - leak) * np.abs(away)])
        reached, most = float(subgap.max(initial=0.0)), float(np.abs(away).max())
        if leak < _LEAKS * slope and min(_LEAST, most / _WIDE) < reached <= _REACHED * most:
            # √(V² − Δ²) is half of V at V = 1.155 Δ, and each junction gets half of the voltage.
            return {"gap": reached / 2 / 1.155, "normal_resistance": 1 / (slope - leak) / 2, **offsets, **known}
    proportional = is_proportional(away, flows, slope)
    narrow = {} if proportional and "gap" not in known else _narrow_start(away, flows, known)
    if not narrow:
        refuse_without_gap(voltage / array.voltage, slope * array.voltage / array.current, proportional=proportional)
    return {**offsets, **narrow}


def _without_offset(voltage: Real, current: Real) -> tuple[Real, Real, float]:
    """Voltages (V) from 0, currents (A) there without the offset, and that offset; rising voltages, shape (n,).

    The current without it is odd: where there are both signs, half of the difference, to which offsets of the voltage
    hardly matter.
    """
    both = np.abs(voltage) <= -voltage[0]
    if both.sum() > 1:
        mirrored = np.interp(-voltage, voltage, current)
        offset = float(np.median((current + mirrored)[both])) / 2
        return voltage, np.where(both, (current - mirrored) / 2, current - offset), offset
    if voltage[0] > _BEGINS * voltage[-1]:
        return voltage, current, 0.0
    offset = float(np.median(current[:3]))
    return voltage - float(np.median(voltage[:3])), current - offset, offset


def _leak(voltage: Real, current: Real) -> float:
    """Conductance (S) near 0 V."""
    nearest = np.argsort(np.abs(voltage))[1 : max(voltage.size // 20, 6)]
    return float(np.median(current[nearest] / voltage[nearest]))


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
    part = (voltage - voltage.min()) / np.ptp(voltage)
    _, which, count = np.unique(np.rint(1000 * part), return_inverse=True, return_counts=True)
    return np.bincount(which, voltage) / count, np.bincount(which, current) / count


def repeated_median_slope(x: Real, y: Real) -> float:
    """Slope by repeated medians (Siegel 1982): up to half of the points may be outliers."""
    # scipy.stats has it, but takes longer to import than a whole fit lasts.
    others = ~np.eye(x.size, dtype=bool)
    slopes = np.subtract.outer(y, y)[others] / np.subtract.outer(x, x)[others]
    return float(np.median(np.median(slopes.reshape(x.size, -1), axis=1)))
