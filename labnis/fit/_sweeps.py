"""Several sweeps in one array: where each of them is, and whether they agree."""

from collections.abc import Sequence
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincc

from labnis.fit.arrays import Real
from labnis.fit.estimate import number_text

__all__ = ["compared_sweeps", "sweeps_of"]

Points = NDArray[np.intp]

# A sweep turns where it goes back by this part of its range; fewer points than these are no sweep.
_BACK, _FEWEST = 0.25, 10
# Parts of the range in which sweeps are compared, and the probability with which equal ones differ as much.
_PARTS, _RARE = 10, 1e-7


def sweeps_of(abscissa: Real) -> list[Points]:
    """Numbers of the points of each sweep along the `abscissa` (n,), which is in the order of measurement.

    A sweep goes one way; in arrays without such order there is none.
    """
    span, turns = float(np.ptp(abscissa)), [0]
    lowest = highest = 0
    direction = 0.0
    for at, value in enumerate(abscissa):
        lowest, highest = (at if value < abscissa[lowest] else lowest), (at if value > abscissa[highest] else highest)
        if direction >= 0 and abscissa[highest] - value > _BACK * span:
            turns, direction, lowest = [*turns, highest], -1.0, at
        elif direction <= 0 and value - abscissa[lowest] > _BACK * span:
            turns, direction, highest = [*turns, lowest], 1.0, at
        if len(turns) > 1 and turns[-1] == turns[-2]:
            turns.pop()
    ends = [*turns[1:], abscissa.size - 1]
    parts = [np.arange(first + (first > 0), last + 1) for first, last in zip(turns, ends, strict=True)]
    # The way back from the end of one sweep to the begin of the next is a step.
    return [part for part in parts if part.size >= _FEWEST]


def compared_sweeps(sweeps: Sequence[Points], abscissa: Real, residuals: Real, unit: str) -> tuple[str, ...]:
    """A warning where `sweeps` differ in their `residuals` (n,), (n, 2) for complex data, of this `unit`."""
    if not 1 < len(sweeps) < _FEWEST:
        return ()
    rest = residuals.reshape(abscissa.size, -1)
    size, numbers, probability = 0.0, (1, 2), 1.0
    for (i, first), (j, second) in combinations(enumerate(sweeps, 1), 2):
        apart, chance = _difference(abscissa, rest, first, second)
        if chance < probability or (chance == probability and apart > size):
            size, numbers, probability = apart, (i, j), chance
    if probability > _RARE:
        return ()
    ways = [np.sign(abscissa[sweep[-1]] - abscissa[sweep[0]]) for sweep in (sweeps[n - 1] for n in numbers)]
    way = (
        "in opposite directions: the reading lags, or the device is hysteretic"
        if ways[0] != ways[1]
        else ("in the same direction: the device or an instrument has changed, or these are two devices")
    )
    return (
        f"the data are {len(sweeps)} sweeps, and no. {numbers[0]} and {numbers[1]} differ (by up to "
        f"{number_text(size, unit)}), {way}; wait longer at each point, or fit each sweep alone",
    )


def _difference(abscissa: Real, residuals: Real, first: Points, second: Points) -> tuple[float, float]:
    """Largest difference between two sweeps within a part of the range, and how probable it is by chance."""
    low, high = max(abscissa[first].min(), abscissa[second].min()), min(abscissa[first].max(), abscissa[second].max())
    edges = np.linspace(low, high, _PARTS + 1)
    largest, chi2, freedom = 0.0, 0.0, 0
    for left, right in pairwise(edges):
        there = [s[(abscissa[s] >= left) & (abscissa[s] <= right)] for s in (first, second)]
        if min(part.size for part in there) < 3:
            continue
        apart = residuals[there[0]].mean(axis=0) - residuals[there[1]].mean(axis=0)
        # Half of the squared steps: the residuals of both may have the same structure.
        variance = sum((np.diff(residuals[part], axis=0) ** 2).mean(axis=0) / 2 / part.size for part in there)
        chi2 += float((apart**2 / np.maximum(variance, np.finfo(float).tiny)).sum())
        freedom += apart.size
        largest = max(largest, float(np.abs(apart).max()))
    return largest, float(gammaincc(freedom / 2, chi2 / 2)) if freedom else 1.0
