"""What lower bounds of parameters, and components that may be absent, do to the covariance of a fit.

Least squares alone would let a leak, or any other amplitude that cannot be negative, scatter to either side, and with
it all parameters that are correlated with it. The posterior is that normal distribution cut off at the bounds. Here
each bound becomes a normal statement, value ± σ, such that a fit with these as priors has the mean and the covariance
of what is left. The values of a fit stay the best ones, for the mean of what is left has each such amplitude, and what
depends on it, too large on devices that have none; their uncertainty is the root of the mean square of their errors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain, combinations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.special import log_ndtr

from labnis.fit.arrays import Real
from labnis.fit.models import Model
from labnis.fit.parameters import Given, prior_rows
from labnis.fit.result import FitResult

__all__ = ["equivalent_statements", "statements_of_bounds", "with_bounds"]

_ROUNDS, _ACCURACY = 200, 1e-6
# Relative rounding of a covariance.
_ROUNDING = 1e-12
# A bound that makes a variance smaller by less than this part says nothing.
_NEGLIGIBLE = 1e-4


def with_bounds(
    fit: FitResult,
    model: Model,
    prior: FitResult | None,
    bounds: Mapping[str, float],
    optional: Sequence[tuple[str, ...]] = (),
) -> FitResult:
    """The `fit` with the mean squares and products of the errors of its values as covariance.

    Parameters
    ----------
    fit, model, prior
        A fit, the model of its data, and what was known before.
    bounds
        Parameter → lower bound.
    optional
        Groups of parameters that are all at their bounds in a device that has nothing of them. Fits with and without
        each group are averaged, weighted by exp(−χ²/2 − number of parameters) (Akaike; Burnham and Anderson, Model
        Selection and Multimodel Inference, sect. 4.3).

    """
    mean, covariance = _linear(fit, model, prior)
    unit, free = _unit(fit), set(fit.free)
    lower = {
        fit.names.index(name): bound / unit[fit.names.index(name)] for name, bound in bounds.items() if name in free
    }
    groups = [[fit.names.index(name) for name in group if name in free] for group in optional]
    groups = [group for group in groups if group]
    some = chain.from_iterable(combinations(groups, count) for count in range(len(groups) + 1))
    criteria, squares = [], []
    for absent in (list(chain.from_iterable(chosen)) for chosen in some):
        criterion, m, c = _above(lower, absent, mean, covariance)
        offset = m - fit.values / unit
        criteria.append(criterion)
        squares.append(c + np.outer(offset, offset))
    weight = np.exp(-(np.array(criteria) - min(criteria)) / 2)
    return replace(fit, covariance=np.average(squares, axis=0, weights=weight) * np.outer(unit, unit))


def _above(lower: Mapping[int, float], absent: Sequence[int], mean: Real, covariance: Real) -> tuple[float, Real, Real]:
    """Criterion of Akaike, mean and covariance above the bounds, with some parameters held at theirs."""
    at = np.array([lower[i] for i in absent])
    gain = np.linalg.solve(covariance[np.ix_(absent, absent)], covariance[absent]).T
    off = mean[list(absent)] - at
    chi2 = float(off @ np.linalg.solve(covariance[np.ix_(absent, absent)], off))
    mean, covariance = mean - gain @ off, covariance - gain @ covariance[absent]
    rest = {i: bound for i, bound in lower.items() if i not in absent}
    if rest:
        index = list(rest)
        # Of parameters that do nearly the same, rounding may leave a variance below 0.
        size, direction = np.linalg.eigh(covariance[np.ix_(index, index)])
        size = np.maximum(size, _ROUNDING * max(size.max(), 1.0))
        covariance[np.ix_(index, index)] = direction * size @ direction.T
        root = (direction / np.sqrt(size)).T
        chi2 += float(nnls(root, root @ (mean[index] - np.array([*rest.values()])))[1]) ** 2
    for i, (value, sigma) in equivalent_statements(mean, covariance, rest).items():
        weight = covariance[:, i] / (covariance[i, i] + sigma**2)
        mean, covariance = mean + weight * (value - mean[i]), covariance - np.outer(weight, covariance[i])
    return chi2 - 2 * len(absent), mean, covariance


def statements_of_bounds(fit: FitResult, model: Model, prior: FitResult | None, bounds: Mapping[str, float]) -> Given:
    """What lower `bounds` of parameters of a `fit` say beside the data of its `model` and its `prior`.

    The model is taken as linear at the values of the fit, of which some may be at their bounds.
    """
    mean, covariance = _linear(fit, model, prior)
    free, unit = {name: fit.names.index(name) for name in bounds if name in fit.free}, _unit(fit)
    found = equivalent_statements(mean, covariance, {i: bounds[name] / unit[i] for name, i in free.items()})
    return {fit.names[i]: (value * float(unit[i]), sigma * float(unit[i])) for i, (value, sigma) in found.items()}


def _unit(fit: FitResult) -> Real:
    """σ of each parameter, and 1 where it is held."""
    return np.where(fit.sigma > 0, fit.sigma, 1.0)


def _linear(fit: FitResult, model: Model, prior: FitResult | None) -> tuple[Real, Real]:
    """Mean (p,) and covariance (p, p) without bounds, in units of σ of the fit."""
    free, unit = np.flatnonzero(fit.sigma > 0), _unit(fit)
    x, names = fit.values[free], [fit.names[i] for i in free]
    slopes = model.jacobian(fit.values)[model.mask][:, free] / fit.noise
    matrix, target = prior_rows(names, prior)
    rows = np.vstack([slopes, matrix]) * unit[free]
    rest = np.concatenate([model.residuals(fit.values)[model.mask] / fit.noise, matrix @ x - target])
    root = np.linalg.pinv(np.linalg.qr(rows, mode="r"))
    mean, covariance = fit.values / unit, np.zeros((unit.size, unit.size))
    covariance[np.ix_(free, free)] = root @ root.T
    return mean - covariance[:, free] @ (rows.T @ rest), covariance


def equivalent_statements(mean: Real, covariance: Real, bounds: Mapping[int, float]) -> dict[int, tuple[float, float]]:
    """Value and σ of the normal statement that stands for each of some lower `bounds`: index → bound.

    By expectation propagation (Minka 2001): each statement gives its parameter the mean and variance that the bound
    gives it beside the normal distribution, `mean` (p,) and `covariance` (p, p), and the other statements. For one
    bound this is exact.
    """
    index = np.array(list(bounds), dtype=np.intp)
    precision, shift = np.zeros((2, index.size))
    before = mean
    for _ in range(_ROUNDS):
        for k, i in enumerate(index):
            m, c = _with(mean, covariance, index, precision, shift)
            cavity = 1 / (1 / c[i, i] - precision[k])
            centre = cavity * (m[i] / c[i, i] - shift[k])
            spread = np.sqrt(cavity)
            z = (centre - bounds[int(i)]) / spread
            ratio = float(np.exp(-0.5 * z * z - 0.5 * np.log(2 * np.pi) - log_ndtr(z)))
            variance = cavity * (1 - ratio * (z + ratio))
            if not 0 < variance < cavity:  # far from the bound, or rounded: the statement stays as it is
                continue
            precision[k] = 1 / variance - 1 / cavity
            shift[k] = (centre + spread * ratio) / variance - centre / cavity
        m, c = _with(mean, covariance, index, precision, shift)
        if (np.abs(m - before)[index] <= _ACCURACY * np.sqrt(np.diag(c)[index])).all():
            break
        before = m
    told = precision * np.diag(covariance)[index] > _NEGLIGIBLE
    return {
        int(i): (float(s / p), float(p**-0.5))
        for i, p, s, tells in zip(index, precision, shift, told, strict=True)
        if tells
    }


def _with(mean: Real, covariance: Real, index: NDArray[np.intp], precision: Real, shift: Real) -> tuple[Real, Real]:
    """The normal distribution times exp(shift·x − precision·x²/2) of the parameters at `index`."""
    columns = covariance[:, index]
    inner = np.eye(index.size) + precision[:, None] * covariance[np.ix_(index, index)]
    gain = np.linalg.solve(inner.T, columns.T).T
    changed = covariance - gain @ (precision[:, None] * columns.T)
    return mean + gain @ (shift - precision * mean[index]), (changed + changed.T) / 2
