"""Frequencies that are not evenly spaced, as those of a sweep in segments: what each of them represents of the band."""

import numpy as np
from numpy.typing import NDArray

from labnis.fit.arrays import Real

__all__ = ["band_median", "densest_part", "represented", "steps_alike"]

# Steps that differ by less than this part are equal.
_EVEN = 1e-6
# Steps within this factor of each other belong together: instruments round frequencies, and points may be missing.
_ALIKE = 1.5


def represented(frequency: Real) -> Real:
    """Part of the band (Hz) that each of the rising frequencies (n,) stands for, up to the middle of its neighbours."""
    steps = np.pad(np.diff(frequency), 1, mode="edge")
    return np.asarray((steps[:-1] + steps[1:]) / 2)


def band_median(values: Real, frequency: Real) -> float:
    """Median of `values`, shape (…, n), over the band of the rising frequencies (n,), and not over their number.

    Most points of a sweep in segments are near the resonance, most of the band is not. NaN is left out.
    """
    part = represented(frequency)
    if np.ptp(part) <= _EVEN * part.max():
        return float(np.nanmedian(values))
    flat, weight = values.ravel(), np.broadcast_to(part, values.shape).ravel()
    order = np.argsort(flat)
    order = order[np.isfinite(flat[order])]
    # The middle of what each value stands for: with equal weights this is the usual median.
    position = np.cumsum(weight[order]) - weight[order] / 2
    return float(np.interp(weight[order].sum() / 2, position, flat[order]))


def densest_part(frequency: Real) -> tuple[float, float]:
    """Ends (Hz) of the part of the rising frequencies (n,) with the smallest steps; those of the band if it is even."""
    steps = np.diff(frequency)
    dense = np.flatnonzero(steps <= _ALIKE * steps.min())
    return float(frequency[dense[0]]), float(frequency[dense[-1] + 1])


def steps_alike(steps: Real) -> list[NDArray[np.intp]]:
    """Numbers of those of the `steps` (n,) that are alike, as those of a segment; the finest first, without repeats."""
    order = np.argsort(steps, kind="stable")
    order = order[steps[order] > _EVEN * steps.max()]
    groups = []
    while order.size:
        count = int(np.searchsorted(steps[order], _ALIKE * steps[order[0]], side="right"))
        groups.append(order[:count])
        order = order[count:]
    return groups
