"""Upper limit of a parameter that a curve does not determine, by the profile of χ²."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import brentq

from labnis.fit.arrays import Real
from labnis.fit.parameters import Parameter, prior_rows
from labnis.fit.result import FitResult
from labnis.fit.solver import Model

__all__ = ["upper_limit"]

# χ² above its minimum at a one-sided limit of 95 %.
_RISE = 1.645**2
# Steps of Gauss and Newton in which all other parameters follow, and the relative accuracy of the limit.
_STEPS, _ACCURACY = 3, 1e-2


def upper_limit(
    result: FitResult, parameters: Sequence[Parameter], model: Model, prior: FitResult | None, name: str
) -> float:
    """The value (95 %) of the parameter `name` above that of the `result`, up to its bound, at which χ² has risen.

    All other parameters follow. σ tells no such limit where the curve is flat below and steep above.

    Parameters
    ----------
    result, parameters, model, prior
        A fit, its parameters, its model at the data, and its prior.
    name
        The parameter, which is positive.

    """
    at = result.names.index(name)
    lower, upper = (np.array([getattr(p, side) for p in parameters]) for side in ("lower", "upper"))
    others = np.array([i for i, sigma in enumerate(result.sigma) if sigma > 0 and i != at])
    matrix, target = prior_rows(result.names, prior)

    def rows(x: Real) -> Real:
        return np.concatenate([model.residuals(x)[model.mask] / result.noise, matrix @ x - target])

    def rise(logarithm: float) -> float:
        x = result.values.copy()
        x[at] = np.exp(logarithm)
        lowest = np.inf
        for _ in range(_STEPS):
            distance = rows(x)
            if not np.isfinite(distance).all():
                break
            lowest = min(lowest, float(distance @ distance))
            slopes = np.vstack([model.jacobian(x)[model.mask] / result.noise, matrix])[:, others]
            scale = np.maximum(np.linalg.norm(slopes, axis=0), np.finfo(float).tiny)
            step, *_ = np.linalg.lstsq(slopes / scale, distance, rcond=1e-12)
            x[others] = np.clip(x[others] - step / scale, lower[others], upper[others])
        return min(lowest - best, 1e6) - _RISE

    start = rows(result.values)
    best = float(start @ start)
    low, high = np.log(result.values[at]), np.log(upper[at])
    return float(np.exp(brentq(rise, low, high, xtol=_ACCURACY))) if rise(high) > 0 else float(upper[at])
