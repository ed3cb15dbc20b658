"""What the residuals of a fit tell: glitches among them, structure, and noise that is not the same everywhere.

A glitch is far from the fit while its neighbours are not. Where neighbours are far off together, the model is wrong or
the noise is large there, and everything counts: what is left out on a resonance moves it, and what remains looks well
described.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from labnis.fit.arrays import Bool, Real

__all__ = [
    "OUTLIER",
    "are_few",
    "explained",
    "glitches",
    "local_variances",
    "noise_between_neighbours",
    "outliers",
    "robust_scale",
    "run_length",
    "side_by_side",
    "sticking_out",
    "told_alike",
    "uneven",
    "unlike_noise",
]

# How the warning of structure in the residuals begins.
_ALIKE = "neighbouring residuals are alike"

Places = NDArray[np.intp]

#: Data beyond this many standard deviations are outliers (about one of 10⁸ random data is).
OUTLIER = 6.0
# Glitches are at most so many data, or this part of them.
_FEW_GLITCHES, _PART_OF_GLITCHES = 3, 0.01
# Data that are so many standard deviations off count as neighbours of an outlier if they are as near as _NEAR; with
# _COMPANY of them it is no glitch.
_NEIGHBOUR, _NEAR, _COMPANY = 3.0, 3, 2
# A datum sticks out that is so many times as far from its neighbours as they are from theirs.
_ALONE, _FEWEST = 4.0, 5
# A σ that is too small is certain beyond so many standard deviations.
_SURE = 6.0
# By so much less do neighbours differ in another order; by chance, two estimates of the noise hardly do.
_MORE_ALIKE = 0.8
# What the parameters take over but for this part does not show.
_SHOWS = 1e-2
# Glitches fall at random: they are as close together as these with at most this probability.
_RARE = 1e-3


def are_few(count: int, size: int) -> bool:
    """Whether `count` of `size` data may be glitches; more are a reason to doubt the model."""
    return count <= max(_FEW_GLITCHES, _PART_OF_GLITCHES * size)


def robust_scale(residuals: Real) -> float:
    """Standard deviation of Gaussian residuals from the median of |residual|, robust to outliers."""
    return max(1.4826 * float(np.median(np.abs(residuals))), np.finfo(float).tiny)


def noise_between_neighbours(residuals: Real, mask: Bool) -> float:
    """Standard deviation of `residuals` from the differences of neighbours that both count in the `mask`."""
    steps = np.diff(residuals)[mask[1:] & mask[:-1]]
    return max(float(np.sqrt((steps @ steps) / max(steps.size, 1) / 2)), np.finfo(float).tiny)


def side_by_side(residuals: Real, rows: Places, mask: Bool) -> Places:
    """Numbers of the data in the order in which neighbours are alike: as they were measured, or by `rows`.

    Few biases that are swept again and again, or visited in another order, are neighbours by voltage only: as they were
    measured, what a model leaves between two of them would be taken for noise.
    """
    measured, sorted_ = np.arange(residuals.size), rows.ravel()
    noise = [noise_between_neighbours(residuals[order], mask[order]) for order in (measured, sorted_)]
    return sorted_ if noise[1] < _MORE_ALIKE * noise[0] else measured


def outliers(residuals: Real, rows: Places, mask: Bool) -> Bool:
    """Which `residuals`, shape (n,), are far off, also if they are among those that are not in the `mask` already.

    Of the data at one place in several `rows` only the farther half: they have a background in common, which these
    pull to where the others look wrong.
    """
    size = np.abs(residuals[rows]) / robust_scale(residuals)
    largest = np.where(mask[rows], size, 0.0).max(axis=0)
    found = np.zeros(residuals.shape, bool)
    found[rows] = (size > OUTLIER) & (~mask[rows] | (size > largest / 2))
    return found


def glitches(residuals: Real, rows: Places) -> Bool:
    """Which `residuals`, shape (n,), are glitches; `rows` (traces, points) are their numbers, neighbours side by side.

    Outliers with company are none: other data that are far off nearby in the same row, and in the rows beside it if
    there are several. Nor are outliers of which at least three are closer together than chance allows.
    """
    size = np.abs(residuals[rows]) / robust_scale(residuals)
    alone = (size > OUTLIER) & ~_in_company(size > _NEIGHBOUR)
    alone[:, _clustered(np.asarray(alone.any(axis=0)))] = False
    found = np.zeros(residuals.shape, bool)
    found[rows] = alone
    return found


def sticking_out(residuals: Real, rows: Places, far: float) -> Bool:
    """Which `residuals`, shape (n,), are `far` from their neighbours in the row, in median deviations, and alone.

    Unlike `outliers` they show beside any residuals that are wide, also where the model is not fitted yet. Of the data
    at one place in several `rows` only the farther half, as of `outliers`.
    """
    found = np.zeros(residuals.shape, bool)
    if rows.shape[1] < _FEWEST:
        return found
    padded = np.pad(residuals[rows], ((0, 0), (2, 2)), mode="reflect")
    neighbours = np.stack([padded[:, :-4], padded[:, 1:-3], padded[:, 3:-1], padded[:, 4:]])
    away = np.abs(residuals[rows] - np.median(neighbours, axis=0))
    beside = np.pad(away, ((0, 0), (1, 1)), mode="reflect")
    alone = away > _ALONE * np.maximum(beside[:, :-2], beside[:, 2:])
    found[rows] = alone & (away > far * np.median(away)) & (away > away.max(axis=0) / 2)
    return found


def _in_company(off: Bool) -> Bool:
    """Where enough neighbours are `off`, in the row and, if there are several rows, in those beside it."""
    padded = np.pad(off.astype(np.intp), ((1, 1), (_NEAR, _NEAR)))
    nearby = np.lib.stride_tricks.sliding_window_view(padded, 2 * _NEAR + 1, axis=1).sum(axis=-1)
    beside = nearby[1:-1] - off
    if off.shape[0] == 1:
        return np.asarray(beside >= _COMPANY)
    return np.asarray((beside >= _COMPANY) & (nearby[:-2] + nearby[2:] >= _COMPANY))


def _clustered(columns: Bool) -> Bool:
    """Which of the points in `columns` (points,) are among three or more that are too close together for chance."""
    places, cluster = np.flatnonzero(columns), np.zeros(columns.shape, bool)
    for first in range(places.size - 2):
        last = np.arange(first + 2, places.size)
        count, part = last - first + 1, (places[last] - places[first] + 1) / columns.size
        # At least the probability that so many of them fall into such a part of the points; as a logarithm, since of
        # many points the binomial is no floating-point number.
        binomial = gammaln(places.size + 1) - gammaln(count + 1) - gammaln(places.size - count + 1)
        rare = np.flatnonzero(binomial + np.log(count) + (count - 1) * np.log(part) < np.log(_RARE))
        if rare.size:
            cluster[places[first : last[rare[-1]] + 1]] = True
    return cluster


def run_length(mask: Bool, rows: Places) -> int:
    """Largest number of data side by side that are False in the `mask`."""
    edges = np.flatnonzero(np.diff(np.pad(mask[rows], ((0, 0), (0, 1)), constant_values=True), prepend=True, axis=1))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def unlike_noise(chi2: float, degrees_of_freedom: int, residuals: Real) -> tuple[str, ...]:
    """A warning where neighbours among the `residuals` that count, shape (n,), are alike, or alternate."""
    excess = chi2 / degrees_of_freedom
    # χ²/ν of random residuals scatters by 1/√ν, and by more where the noise is large at a part of them only, but then
    # the products of neighbours have either sign.
    squares = (residuals / max(float(np.abs(residuals).max()), np.finfo(float).tiny)) ** 2
    part = max(1.0, residuals.size * float((squares**2).sum()) / (3 * max(float(squares.sum()), 1e-300) ** 2))
    scatter = 5 * np.sqrt(part / degrees_of_freedom)
    products = residuals[1:] * residuals[:-1]
    ordered = abs(products.sum()) > 5 * np.linalg.norm(products) and abs(excess - 1) > 5 / np.sqrt(degrees_of_freedom)
    if abs(excess - 1) <= scatter and not ordered:
        return ()
    if excess < 1:
        return (
            f"neighbouring residuals alternate (χ²/ν = {excess:.3g}): are these two sweeps that differ, the points "
            "of one between those of the other? Fit each alone",
        )
    return (
        f"{_ALIKE} (χ²/ν = {excess:.3g}): the model is incomplete, and the true "
        "uncertainties are larger; look at the residuals",
    )


def told_alike(warnings: Sequence[str]) -> list[str]:
    """Those of the `warnings` of a fit that tell structure in its residuals."""
    return [text for text in warnings if text.startswith(_ALIKE)]


class Explained(NamedTuple):
    """What columns explain of residuals: part of the structure, decrease of χ², their amplitudes, and change (n,)."""

    part: float
    decrease: float
    amplitudes: Real
    change: Real


def explained(rest: Real, slopes: Real, columns: Real, variances: Real, noise: float) -> Explained:
    """What `columns` (n, k) explain of the residuals `rest` (n,) beyond what they explain of random ones.

    `slopes` (n, p) are those by the parameters, which follow. `noise` is that between neighbours, and `variances` (n,)
    are those at each datum, as the noise may not be the same everywhere.
    """
    basis, _ = np.linalg.qr(slopes / np.maximum(np.linalg.norm(slopes, axis=0), np.finfo(float).tiny))
    unit = np.maximum(np.linalg.norm(columns, axis=0), np.finfo(float).tiny)
    own = columns / unit
    own = own - basis @ (basis.T @ own)
    direction, size, turned = np.linalg.svd(own, full_matrices=False)
    shows = size > _SHOWS
    direction, size, turned = direction[:, shows], size[shows], turned[shows]
    seen = direction.T @ rest
    amplitudes = turned.T @ (seen / size)
    there = max(float(np.einsum("ij,i->", direction**2, variances)) / max(size.size, 1), noise**2)
    less = float(seen @ seen) - size.size * there
    structure = float(rest @ rest) - rest.size * noise**2
    part = less / structure if structure > 0 else 0.0
    amplitudes = amplitudes / unit
    return Explained(part, less / there, amplitudes, columns @ amplitudes)


def uneven(squares: Real, influence: Real, variance: Real, noise: float) -> float:
    """Largest factor by which the σ of a parameter is too small as the noise is not the same everywhere; 1 if it is.

    `squares` (n,) are the local variances of the data, `influence` (n, p) the change of each parameter by a datum,
    `variance` (p,) those of the parameters by a `noise` that is the same everywhere (White 1980).
    """
    weight = influence**2
    total = np.maximum(weight.sum(axis=0), np.finfo(float).tiny)
    ratio = squares @ weight / total / noise**2
    # A local variance from two differences has twice the variance of χ² with one degree of freedom, at most.
    scatter = np.sqrt(2 * (weight**2).sum(axis=0)) / total
    larger = 1 + np.where(ratio > 1 + _SURE * scatter, ratio - 1, 0.0) * total * noise**2 / variance
    return float(np.sqrt(larger.max(initial=1.0)))


def local_variances(residuals: Real, rows: Places, mask: Bool) -> Real:
    """Variance at each of the `residuals` (n,), from the differences to its neighbours in the row that count."""
    there, values = mask[rows], residuals[rows]
    steps = np.where(there[:, 1:] & there[:, :-1], np.diff(values, axis=1) ** 2 / 2, np.nan)
    padded = np.pad(steps, ((0, 0), (1, 1)), constant_values=np.nan)
    both = np.stack([padded[:, :-1], padded[:, 1:]])
    known = np.isfinite(both)
    found = np.zeros(residuals.shape)
    found[rows] = np.where(known, both, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return found
