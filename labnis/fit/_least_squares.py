"""Least squares with correlated Gaussian priors, the one solver under every estimator."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from labnis.fit.result import FitError, FitResult

__all__ = ["Parameter", "Solution", "solve"]

Real = NDArray[np.float64]


@dataclass(frozen=True)
class Parameter:
    """One fit parameter: where to start, the scale on which the model changes, and hard physical bounds."""

    name: str
    unit: str
    start: float
    scale: float
    lower: float = -np.inf
    upper: float = np.inf


@dataclass(frozen=True)
class Solution:
    """Best parameters, their covariance, χ² of the data, degrees of freedom and noise level of one datum."""

    values: Real
    covariance: Real
    chi2: float
    degrees_of_freedom: int
    noise: float
    warnings: tuple[str, ...]

    def as_result(self, model: str, parameters: Sequence[Parameter], assumed: Mapping[str, str]) -> FitResult:
        """The fit of `model` with these `parameters`, and what it took for granted."""
        return FitResult(
            model,
            tuple(p.name for p in parameters),
            tuple(p.unit for p in parameters),
            self.values,
            self.covariance,
            self.chi2,
            self.degrees_of_freedom,
            self.noise,
            assumed,
            self.warnings,
        )


def _prior_rows(parameters: Sequence[Parameter], prior: FitResult | None) -> tuple[Real, Real]:
    """Matrix A and vector b such that |A·θ − b|² is the prior's χ²."""
    if prior is None:
        return np.zeros((0, len(parameters))), np.zeros(0)
    names = [p.name for p in parameters]
    known = [name for name in prior.names if name in names]
    selected = prior.select(known)
    sigma = np.sqrt(np.diag(selected.covariance))
    correlation = selected.covariance / np.outer(sigma, sigma)
    whitener = np.linalg.inv(np.linalg.cholesky(correlation)) / sigma
    matrix = np.zeros((len(known), len(names)))
    matrix[:, [names.index(name) for name in known]] = whitener
    return matrix, whitener @ selected.values


def solve(
    parameters: Sequence[Parameter],
    residuals: Callable[[Real], Real],
    *,
    absorbed: int = 0,
    prior: FitResult | None = None,
    jacobian: Callable[[Real], Real] | None = None,
) -> Solution:
    """Minimise Σ residuals² / noise² + prior χ², with the noise level taken from the residuals themselves.

    Parameters
    ----------
    parameters
        What is fitted.
    residuals
        Function of the parameter vector; rows of equal standard deviation, not yet divided by it.
    absorbed
        Number of linear parameters that `residuals` has eliminated inside (they cost degrees of freedom).
    prior
        Earlier fit whose parameters of the same names enter with their covariance.
    jacobian
        Of `residuals`; forward differences on each parameter's scale where it is not given.

    Raises
    ------
    FitError
        With too few data, or if the solver does not converge.

    """
    scale = np.array([p.scale for p in parameters])
    lower = np.array([p.lower for p in parameters])
    upper = np.array([p.upper for p in parameters])
    x = np.clip([p.start for p in parameters], lower, upper)
    matrix, target = _prior_rows(parameters, prior)
    if target.size and not np.isfinite(target).all():
        raise FitError("the prior of this fit is not finite; repeat the fit it comes from")
    first = residuals(x)
    freedom = first.size - absorbed - len(parameters) + len(target)
    if freedom < 1:
        raise FitError(
            f"{first.size} data cannot determine {len(parameters) + absorbed} parameters; measure more points"
        )
    derivative = jacobian or _forward_differences(residuals, scale)
    noise = max(float(np.sqrt(first @ first / freedom)), np.finfo(float).tiny)
    # The prior is weighed against the noise, and the noise is known only after a fit: the third round changes nothing.
    for _ in range(3):
        outcome = _minimise(residuals, derivative, matrix, target, noise, x, scale, (lower, upper))
        x = outcome.x * scale
        data = residuals(x)
        noise = max(float(np.sqrt(data @ data / freedom)), np.finfo(float).tiny)
    rows = np.vstack([derivative(x) / noise, matrix])
    covariance = _covariance(rows * scale, scale, parameters)
    return Solution(x, covariance, float(data @ data) / noise**2, freedom, noise, _warnings(x, parameters))


def _minimise(
    residuals: Callable[[Real], Real],
    derivative: Callable[[Real], Real],
    matrix: Real,
    target: Real,
    noise: float,
    start: Real,
    scale: Real,
    bounds: tuple[Real, Real],
) -> "least_squares":
    lower, upper = bounds
    # scipy wants a start strictly inside the bounds.
    inside = np.clip(start / scale, lower / scale + 1e-12, upper / scale - 1e-12)
    outcome = least_squares(
        lambda u: np.concatenate([residuals(u * scale) / noise, matrix @ (u * scale) - target]),
        inside,
        jac=lambda u: np.vstack([derivative(u * scale) / noise, matrix]) * scale,
        bounds=(lower / scale, upper / scale),
        x_scale="jac",
        xtol=1e-10,
        ftol=1e-10,
        gtol=1e-10,
        max_nfev=200,
    )
    if outcome.status == 0:
        raise FitError("the fit did not converge within 200 evaluations; look at the data, or give a better start")
    return outcome


def _forward_differences(residuals: Callable[[Real], Real], scale: Real) -> Callable[[Real], Real]:
    def jacobian(x: Real) -> Real:
        centre = residuals(x)
        columns = [(residuals(x + step) - centre) / step[i] for i, step in enumerate(np.diag(1e-6 * scale))]
        return np.stack(columns, axis=-1)

    return jacobian


def _covariance(rows: Real, scale: Real, parameters: Sequence[Parameter]) -> Real:
    """(JᵀJ)⁻¹ in the parameters' own units; a direction that the data do not see is an error that names it."""
    _, singular, directions = np.linalg.svd(rows, full_matrices=False)
    if singular[-1] <= 1e-12 * singular[0]:
        blind = parameters[int(np.argmax(np.abs(directions[-1])))].name
        raise FitError(f"the data do not determine {blind}; measure over a wider range or fix it by a prior")
    root = (directions.T / singular) * scale[:, None]
    return np.asarray(root @ root.T)


def _warnings(x: Real, parameters: Sequence[Parameter]) -> tuple[str, ...]:
    return tuple(
        f"{p.name} is at its bound {bound:g} {p.unit}: its uncertainty is one-sided"
        for p, value in zip(parameters, x, strict=True)
        for bound in (p.lower, p.upper)
        if abs(value - bound) <= 1e-9 * p.scale
    )
