"""The upper limit of an electron temperature without bias that a curve does not determine.

What the curve knows is the heat between electrons and phonons, T⁵/h, or between phonons and bath, T⁴/g: a power of the
temperature, of which the posterior is a normal distribution cut off at 0. Through the Andreev current the slopes depend
on the temperature, too, so that σ is taken at the limit, and not at the temperature that fits best.
"""

import numpy as np
from scipy.special import ndtr, ndtri

from labnis.fit._bounds import statements_of_bounds
from labnis.fit.estimate import CONFIDENCE
from labnis.fit.junction._island import KAPITZA, LOWER_BOUNDS
from labnis.fit.models import Model
from labnis.fit.parameters import Given, prior_rows
from labnis.fit.result import FitResult

__all__ = ["temperature_limit"]

_NAME = "electron_temperature"
# A power of the temperature is known if it is so many standard deviations from 0. The T⁵ of a cold island is that far
# from 0 by chance, and the temperature then many of its own σ from the true one.
_SIGNIFICANT = 4.0
# Steps at most towards a limit that is that of its own σ, and the relative change that ends them.
_STEPS, _ACCURACY = 12, 0.02


def temperature_limit(fit: FitResult, model: Model, prior: FitResult | None) -> dict[str, float]:
    """The limit (95 %, K) of the electron temperature of a `fit` to the data of its `model`; empty if it is determined.

    `prior` is what was known before.
    """
    value, sigma = fit[_NAME].value, fit[_NAME].sigma
    power = 4 if KAPITZA in fit.names else 5
    if sigma == 0 or power * sigma < value / _SIGNIFICANT:
        return {}
    limit = _limit(value, power * sigma / value, power)
    statements = statements_of_bounds(fit, model, prior, LOWER_BOUNDS)
    for _ in range(_STEPS):
        sigma = _sigma_at(limit, fit, model, prior, statements)
        before, limit = limit, _limit(value, power * (limit / value) ** (power - 1) * sigma / value, power)
        if abs(limit - before) <= _ACCURACY * limit:
            break
    return {_NAME: limit}


def _limit(value: float, relative: float, power: int) -> float:
    """That of a power of the temperature with the `relative` standard uncertainty."""
    quantile = -float(ndtri((1 - CONFIDENCE) * ndtr(1 / relative)))
    return float(value * (1 + quantile * relative) ** (1 / power))


def _sigma_at(temperature: float, fit: FitResult, model: Model, prior: FitResult | None, statements: Given) -> float:
    """Standard uncertainty of the temperature (K), with the slopes at another one, and the other values of the fit."""
    free = [name for name in fit.names if name in fit.free]
    at = [fit.names.index(name) for name in free]
    x = np.where(np.array(fit.names) == _NAME, temperature, fit.values)
    slopes = model.jacobian(x)[model.mask][:, at] / fit.noise
    known = [np.array([name == stated for name in free]) / sigma for stated, (_, sigma) in statements.items()]
    rows = np.vstack([slopes, prior_rows(free, prior)[0], *known])
    scale = 1 / np.maximum(np.linalg.norm(rows, axis=0), np.finfo(float).tiny)
    root = np.linalg.pinv(np.linalg.qr(rows * scale, mode="r"))
    return float(np.linalg.norm(root[free.index(_NAME)]) * scale[free.index(_NAME)])
