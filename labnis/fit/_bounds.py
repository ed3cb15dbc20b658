"""What lower bounds of parameters do to the covariance of a fit.

Least squares alone would let a leak, or any other amplitude that cannot be negative, scatter to either side, and with
it all parameters that are correlated with it. The posterior is that normal distribution cut off at the bounds. Here
each bound becomes a normal statement, value ± σ; with these as priors the covariance is that of what is left. The
values of a fit stay the best ones: the mean of what is left would have each such amplitude, and what depends on it,
too large on devices that have none.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from labnis.fit.arrays import Real
from labnis.fit.models import Model
from labnis.fit.parameters import Given, prior_rows
from labnis.fit.result import FitResult

__all__ = ["equivalent_statements", "statements_of_bounds", "with_bounds"]

_ROUNDS, _ACCURACY = 200, 1e-6
# A bound that makes a variance smaller by less than this part says nothing.
_NEGLIGIBLE = 1e-4


def with_bounds(fit: FitResult, model: Model, prior: FitResult | None, bounds: Mapping[str, float]) -> FitResult:
    """The `fit` with the covariance that its parameters have above lower `bounds`; see `statements_of_bounds`."""
    covariance = fit.covariance
    for name, (_, sigma) in statements_of_bounds(fit, model, prior, bounds).items():
        at = fit.names.index(name)
        column = covariance[:, at]
        covariance = covariance - np.outer(column, column) / (sigma**2 + column[at])
    return replace(fit, covariance=covariance)


def statements_of_bounds(fit: FitResult, model: Model, prior: FitResult | None, bounds: Mapping[str, float]) -> Given:
    """What lower `bounds` of parameters of a `fit` say beside the data of its `model` and its `prior`.

    The model is taken as linear at the values of the fit, of which some may be at their bounds.
    """
    free = np.flatnonzero(fit.sigma > 0)
    names, x, sigma = [fit.names[i] for i in free], fit.values[free], fit.sigma[free]
    slopes = model.jacobian(fit.values)[model.mask][:, free] / fit.noise
    matrix, target = prior_rows(names, prior)
    rows = np.vstack([slopes, matrix]) * sigma
    rest = np.concatenate([model.residuals(fit.values)[model.mask] / fit.noise, matrix @ x - target])
    root = np.linalg.pinv(np.linalg.qr(rows, mode="r"))
    covariance = root @ root.T
    mean = x / sigma - covariance @ (rows.T @ rest)
    at = {names.index(name): bound for name, bound in bounds.items() if name in names}
    found = equivalent_statements(mean, covariance, {i: bound / sigma[i] for i, bound in at.items()})
    return {names[i]: (value * sigma[i], spread * sigma[i]) for i, (value, spread) in found.items()}


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
        if (np.abs(m - before) <= _ACCURACY * np.sqrt(np.diag(c))).all():
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
