"""The minimum of a sum of squares within bounds."""

from collections.abc import Callable

import numpy as np
from scipy.optimize import least_squares, lsq_linear

from labnis.fit.arrays import Real
from labnis.fit.result import FitError

__all__ = ["minimum"]

Function = Callable[[Real], Real]

# Evaluations after which the search of scipy is given up, and those of the search along the bounds.
_INSIDE, _ALONG = 100, 900
# Damping, relative to the squared length of each column of the Jacobian, at first and at least; and its factor.
_DAMPING, _LEAST_DAMPING, _FACTOR = 1e-3, 1e-12, 10.0
# A step that gains more than this part of what a straight line promises is followed by a less damped one.
_GOOD = 0.5
# Of χ², that another step may still gain.
_LITTLE = 1e-2


def minimum(
    residuals: Function, jacobian: Function, start: Real, lower: Real, upper: Real, accuracy: float, changes: float
) -> Real:
    """The parameters with the smallest sum of the squares of `residuals`, shape (p,); those of a `start` that has it.

    scipy's search keeps off the bounds, and so comes ever more slowly along a narrow valley that ends at some, such as
    that of an island's heat, leak and Andreev current. One that goes along the bounds takes over from it.

    Parameters
    ----------
    residuals, jacobian
        From parameters (p,) to (n,) and (n, p).
    start, lower, upper
        Of the parameters, shape (p,).
    accuracy
        Relative change of the parameters that ends the search.
    changes
        Relative change of the sum that ends it.

    Raises
    ------
    FitError
        If neither search ends.

    """
    there = residuals(start)
    if np.isfinite(there).all():  # at the minimum already, as in a further round, no step is worth an evaluation
        _, promised = _step(_triangle(jacobian(start), there), lower - start, upper - start, 0.0)
        if promised <= changes * float(there @ there):
            return start
    outcome = least_squares(
        residuals,
        # scipy needs a start strictly inside the bounds.
        np.clip(start, lower + 1e-12, upper - 1e-12),
        jac=jacobian,
        bounds=(lower, upper),
        x_scale="jac",
        xtol=accuracy,
        ftol=changes,
        gtol=accuracy,
        max_nfev=_INSIDE,
    )
    x = np.asarray(outcome.x)
    triangle = _triangle(outcome.jac, outcome.fun)
    _, promised = _step(triangle, lower - x, upper - x, 0.0)
    # It also ends where its steps are small, and what is left may be far.
    if outcome.status != 0 and promised <= max(_LITTLE, changes * 2 * outcome.cost):
        return x
    return _along_bounds(residuals, jacobian, x, triangle, lower, upper, accuracy, changes)


def _along_bounds(
    residuals: Function,
    jacobian: Function,
    x: Real,
    triangle: Real,
    lower: Real,
    upper: Real,
    accuracy: float,
    changes: float,
) -> Real:
    """Steps of Levenberg and Marquardt, each the best one within the bounds (Stark and Parker's BVLS).

    `triangle` is that at the start `x`.
    """
    damping = _DAMPING
    for _ in range(_ALONG):
        step, promised = _step(triangle, lower - x, upper - x, damping)
        square = float(triangle[:, -1] @ triangle[:, -1])
        if promised <= changes * square or (np.abs(step) <= accuracy * np.abs(x)).all():
            return x
        there = residuals(np.clip(x + step, lower, upper))
        gained = square - float(there @ there)
        if not gained > 0:
            damping *= _FACTOR
            continue
        if gained > _GOOD * promised:
            damping = max(damping / _FACTOR, _LEAST_DAMPING)
        x = np.clip(x + step, lower, upper)
        triangle = _triangle(jacobian(x), there)
    raise FitError(
        f"the fit did not converge within {_INSIDE + _ALONG} evaluations; look at the data, or give a better start"
    )


def _triangle(slopes: Real, rest: Real) -> Real:
    """The triangular factor of the Jacobian with the residuals behind it: as good as all the rows, and small."""
    return np.asarray(np.linalg.qr(np.column_stack([slopes, rest]), mode="r"))


def _step(triangle: Real, lower: Real, upper: Real, damping: float) -> tuple[Real, float]:
    """The damped step between `lower` and `upper`, and by how much it lowers the sum if the residuals are linear."""
    slopes, rest = triangle[:, :-1], triangle[:, -1]
    size = np.maximum(np.linalg.norm(slopes, axis=0), np.finfo(float).tiny)
    rows = np.vstack([slopes / size, np.sqrt(damping) * np.eye(size.size)])
    target = np.append(-rest, np.zeros(size.size))
    step = lsq_linear(rows, target, bounds=(lower * size, upper * size), method="bvls").x / size
    after = slopes @ step + rest
    return step, float(rest @ rest - after @ after)
