"""Quantities derived from fitted parameters, with uncertainties propagated from theirs."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from labnis.fit.arrays import Real
from labnis.fit.result import FitResult

__all__ = ["with_derived", "with_quantity"]


def with_derived(
    result: FitResult,
    name: str,
    unit: str,
    function: Callable[[Mapping[str, float]], float],
    *,
    own_variance: float = 0.0,
) -> FitResult:
    """Append `function` of the parameters to `result`, with its covariance by linear propagation.

    Parameters
    ----------
    result
        A fit.
    name, unit
        Of the new quantity.
    function
        Of the parameters by name.
    own_variance
        Variance that the quantity has at fixed parameters (unit²).

    """

    def at(values: np.ndarray) -> float:
        return function(dict(zip(result.names, values, strict=True)))

    centre = at(result.values)
    # Steps go upwards only: a rate or a Dynes parameter of 0 cannot become smaller. Fixed parameters do not vary.
    sizes = 1e-2 * result.sigma
    steps = np.diag(sizes)
    gradient = np.array(
        [(at(result.values + step) - centre) / size if size else 0.0 for step, size in zip(steps, sizes, strict=True)]
    )
    return with_quantity(result, name, unit, centre, gradient, own_variance=own_variance)


def with_quantity(
    result: FitResult, name: str, unit: str, value: float, gradient: Real, *, own_variance: float
) -> FitResult:
    """Append a `value` with known `gradient` by the parameters, in their order; `own_variance` as in `with_derived`."""
    growth = np.vstack([np.eye(len(result.names)), gradient])
    covariance = growth @ result.covariance @ growth.T
    # With data that the model fits exactly, rounding can make it negative.
    covariance[-1, -1] = max(covariance[-1, -1], 0.0) + own_variance
    budget = result.budget
    return replace(
        result,
        budget=None if budget is None else replace(budget, columns=growth @ budget.columns),
        names=(*result.names, name),
        units=(*result.units, unit),
        values=np.append(result.values, value),
        covariance=covariance,
    )
