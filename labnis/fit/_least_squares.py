"""Least squares with correlated Gaussian priors, the one solver under every estimator.

The noise level comes from the residuals themselves; χ² is counted in units of the noise that neighbouring residuals
show between them. Random residuals give χ²/ν = 1 within its scatter; structure, which makes neighbours alike, more.
A datum that lies far outside the others' scatter is left out, and the result says so.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag
from scipy.optimize import least_squares

from labnis.fit.result import FitError, FitResult

__all__ = ["Model", "Parameter", "Solution", "joined", "prior_rows", "solve"]

Real = NDArray[np.float64]

# A datum is an outlier beyond this many standard deviations: one of 10⁸ random ones is.
_OUTLIER, _OUTLIER_ROUNDS, _MOST_OUTLIERS = 6.0, 10, 0.1
_NOISE_ROUNDS, _NOISE_TOLERANCE = 5, 1e-2


@dataclass(frozen=True)
class Parameter:
    """One fit parameter: where to start, the scale on which the model changes, and hard physical bounds."""

    name: str
    unit: str
    start: float
    scale: float
    lower: float = -np.inf
    upper: float = np.inf


class Model(Protocol):
    """Data and what is expected of them, as a function of the parameter vector."""

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Which data count, one-dimensional; neighbours are neighbours in the measurement."""

    def residuals(self, x: Real) -> Real:
        """Data less expectation, of equal standard deviation but not divided by it; also of data that do not count."""

    def jacobian(self, x: Real) -> Real:
        """∂(residuals)/∂x, shape (data, parameters)."""

    def keeping(self, kept: NDArray[np.bool_]) -> Self:
        """The same with other data left out."""


@dataclass(frozen=True)
class Solution:
    """Best parameters, their covariance, χ² of the data, degrees of freedom, noise level of one datum, residuals.

    `kept` says which data counted.
    """

    values: Real
    covariance: Real
    chi2: float
    degrees_of_freedom: int
    noise: float
    residuals: Real
    kept: NDArray[np.bool_]
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
            self.residuals,
        )


def prior_rows(names: Sequence[str], prior: FitResult | None) -> tuple[Real, Real]:
    """Matrix A and vector b such that |A·θ − b|² is the prior's χ², θ being the parameters `names`."""
    if prior is None:
        return np.zeros((0, len(names))), np.zeros(0)
    known = [name for name in prior.names if name in names]
    selected = prior.select(known)
    sigma = np.sqrt(np.diag(selected.covariance))
    correlation = selected.covariance / np.outer(sigma, sigma)
    whitener = np.linalg.inv(np.linalg.cholesky(correlation)) / sigma
    matrix = np.zeros((len(known), len(names)))
    matrix[:, [names.index(name) for name in known]] = whitener
    return matrix, whitener @ selected.values


def joined(first: FitResult, second: FitResult) -> FitResult:
    """A prior of what two that know nothing of each other say."""
    return replace(
        first,
        names=first.names + second.names,
        units=first.units + second.units,
        values=np.concatenate([first.values, second.values]),
        covariance=block_diag(first.covariance, second.covariance),
    )


def solve(
    parameters: Sequence[Parameter], model: Model, *, absorbed: int = 0, prior: FitResult | None = None
) -> Solution:
    """Minimise Σ residuals² / noise² + prior χ², leaving outliers out.

    Parameters
    ----------
    parameters
        What is fitted.
    model
        Data and expectation.
    absorbed
        Number of linear parameters that the model has eliminated inside (they cost degrees of freedom).
    prior
        Earlier fit whose parameters of the same names enter with their covariance.

    Raises
    ------
    FitError
        With too few data, or if the solver does not converge.

    """
    solution = _solve(parameters, model, absorbed, prior)
    for _ in range(_OUTLIER_ROUNDS):
        kept = np.abs(solution.residuals) <= _OUTLIER * _robust_scale(solution.residuals)
        # Where many data are far off, not they are wrong but the model.
        if (kept == model.kept).all() or kept.mean() < 1 - _MOST_OUTLIERS:
            break
        model = model.keeping(kept)
        parameters = [replace(p, start=float(x)) for p, x in zip(parameters, solution.values, strict=True)]
        solution = _solve(parameters, model, absorbed, prior)
    return replace(solution, warnings=(*solution.warnings, *_data_warnings(solution, model)))


def _solve(parameters: Sequence[Parameter], model: Model, absorbed: int, prior: FitResult | None) -> Solution:
    scale = np.array([p.scale for p in parameters])
    lower = np.array([p.lower for p in parameters])
    upper = np.array([p.upper for p in parameters])
    x = np.clip([p.start for p in parameters], lower, upper)
    matrix, target = prior_rows([p.name for p in parameters], prior)
    if target.size and not np.isfinite(target).all():
        raise FitError("the prior of this fit is not finite; repeat the fit it comes from")
    data = int(model.kept.sum())
    freedom = data - absorbed - len(parameters) + len(target)
    if freedom < 1:
        raise FitError(f"{data} data cannot determine {len(parameters) + absorbed} parameters; measure more points")
    count = model.kept.astype(np.float64)

    def residuals(x: Real) -> Real:
        return model.residuals(x) * count

    def jacobian(x: Real) -> Real:
        slopes = model.jacobian(x)
        slopes[~model.kept] = 0
        return slopes

    noise = _noise(residuals(x), freedom)
    # A prior is weighed against the noise, and the noise is known only after a fit.
    for _ in range(_NOISE_ROUNDS if target.size else 1):
        outcome = _minimise(residuals, jacobian, matrix, target, noise, x, scale, (lower, upper))
        x, before = outcome.x * scale, noise
        noise = _noise(residuals(x), freedom)
        if abs(noise / before - 1) < _NOISE_TOLERANCE:
            break
    rows = np.vstack([jacobian(x) / noise, matrix])
    covariance = _covariance(rows * scale, scale, parameters)
    rest = model.residuals(x)
    # Between neighbours only what was absorbed at each of them is missing from the noise.
    between = _noise_between_neighbours(rest, model.kept) * np.sqrt(1 + absorbed / freedom)
    chi2 = freedom * (noise / between) ** 2
    return Solution(x, covariance, chi2, freedom, noise, rest, model.kept, _bound_warnings(x, parameters))


def _noise(residuals: Real, freedom: int) -> float:
    return max(float(np.sqrt(residuals @ residuals / freedom)), np.finfo(float).tiny)


def _robust_scale(residuals: Real) -> float:
    """Standard deviation of Gaussian residuals, whatever a few others do: 1.4826 times the median of |residual|."""
    return max(1.4826 * float(np.median(np.abs(residuals))), np.finfo(float).tiny)


def _noise_between_neighbours(residuals: Real, kept: NDArray[np.bool_]) -> float:
    steps = np.diff(residuals)[kept[1:] & kept[:-1]]
    return max(float(np.sqrt((steps @ steps) / max(steps.size, 1) / 2)), np.finfo(float).tiny)


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

    def slopes(u: Real) -> Real:
        rows = np.vstack([derivative(u * scale), noise * matrix])
        rows *= scale / noise  # in place: these are the largest arrays of a fit
        return rows

    # scipy wants a start strictly inside the bounds.
    inside = np.clip(start / scale, lower / scale + 1e-12, upper / scale - 1e-12)
    outcome = least_squares(
        lambda u: np.concatenate([residuals(u * scale) / noise, matrix @ (u * scale) - target]),
        inside,
        jac=slopes,
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


def _covariance(rows: Real, scale: Real, parameters: Sequence[Parameter]) -> Real:
    """(JᵀJ)⁻¹ in the parameters' own units; a direction that the data do not see is an error that names it."""
    # The triangular factor has the singular values of all the rows, and is small.
    _, singular, directions = np.linalg.svd(np.linalg.qr(rows, mode="r"))
    if singular[-1] <= 1e-12 * singular[0]:
        blind = parameters[int(np.argmax(np.abs(directions[-1])))].name
        raise FitError(f"the data do not determine {blind}; measure over a wider range or fix it by a prior")
    root = (directions.T / singular) * scale[:, None]
    return np.asarray(root @ root.T)


def _bound_warnings(x: Real, parameters: Sequence[Parameter]) -> tuple[str, ...]:
    return tuple(
        f"{p.name} is at its bound {bound:g} {p.unit}: its uncertainty is one-sided"
        for p, value in zip(parameters, x, strict=True)
        for bound in (p.lower, p.upper)
        if abs(value - bound) <= 1e-9 * p.scale
    )


def _data_warnings(solution: Solution, model: Model) -> tuple[str, ...]:
    """What the data themselves give to think."""
    found = []
    left_out = int((~model.kept).sum())
    if left_out:
        found.append(f"{left_out} of {model.kept.size} data lie more than {_OUTLIER:g}σ off and were left out")
    excess = solution.chi2 / solution.degrees_of_freedom
    # χ²/ν of random residuals scatters by 1/√ν.
    if excess > 1 + 5 / np.sqrt(solution.degrees_of_freedom):
        found.append(
            f"neighbouring residuals are alike (χ²/ν = {excess:.3g}): the model leaves something out, and the true "
            "uncertainties are larger; look at the residuals"
        )
    return tuple(found)
