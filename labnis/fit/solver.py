"""Least squares with correlated Gaussian priors, used by every fit.

The noise level is estimated from the residuals. χ² is counted in units of the noise estimated from differences of
neighbouring residuals: χ²/ν is 1 within its scatter for random residuals, and larger where the model leaves structure.
Outliers are left out, and the result says how many.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self, TypeVar

import numpy as np
from scipy.optimize import least_squares

from labnis.fit.arrays import Bool, Complex, Real
from labnis.fit.estimate import Estimate
from labnis.fit.parameters import Parameter, conditioned, prior_rows, restarted
from labnis.fit.result import FitError, FitResult

__all__ = [
    "CurveModel",
    "Model",
    "TraceModel",
    "are_few",
    "as_real",
    "noise_between_neighbours",
    "solve",
    "unlike_noise",
    "without_outliers",
]

# Data beyond this many standard deviations are outliers (about one of 10⁸ random data is).
_OUTLIER, _OUTLIER_ROUNDS, _MOST_OUTLIERS = 6.0, 10, 0.1
# Glitches are at most so many data, or this part of them, and fewer than _RUN side by side.
_FEW_GLITCHES, _PART_OF_GLITCHES, _RUN = 3, 0.01, 3
_NOISE_ROUNDS, _NOISE_TOLERANCE = 5, 1e-2


@dataclass(frozen=True)
class Model(ABC):
    """Data and the expectation for them as a function of the parameter vector.

    Attributes
    ----------
    mask
        Which data count, one-dimensional, in the order of measurement.

    """

    mask: Bool = field(kw_only=True)

    def with_mask(self, mask: Bool) -> Self:
        """Return the same model with another mask."""
        return replace(self, mask=mask)

    @abstractmethod
    def residuals(self, x: Real) -> Real:
        """Data minus expectation, of equal standard deviation but not divided by it; also where the mask is False."""

    @abstractmethod
    def jacobian(self, x: Real) -> Real:
        """∂(residuals)/∂x, shape (data, parameters)."""


class CurveModel(Model):
    """A model of one reading at each voltage."""

    @abstractmethod
    def with_readings(self, voltage: Real, measured: Real) -> Self:
        """Return the same model of other readings at voltages (V) that differ a little, both (n,)."""


AnyModel = TypeVar("AnyModel", bound=Model)


@dataclass(frozen=True)
class TraceModel(Model):
    """A model of complex data `s11` with named parameters; residuals are all real parts, then all imaginary parts."""

    s11: Complex
    names: tuple[str, ...]

    @property
    def counts(self) -> Bool:
        """Which complex data count, shape of `s11`."""
        return self.mask[: self.s11.size].reshape(self.s11.shape)

    def with_mask(self, mask: Bool) -> Self:
        """Return the same model with another mask; a complex datum counts if both of its parts do."""
        return super().with_mask(np.tile(mask.reshape(2, -1).all(axis=0), 2))

    def values(self, x: Real) -> dict[str, float]:
        """Parameter → value."""
        return dict(zip(self.names, map(float, x), strict=True))


def as_real(values: Complex) -> Real:
    """All real parts, then all imaginary parts, one-dimensional."""
    return np.concatenate([values.real.ravel(), values.imag.ravel()])


def solve(
    parameters: Sequence[Parameter],
    model: Model,
    name: str,
    assumed: Mapping[str, str],
    *,
    absorbed: int = 0,
    prior: FitResult | None = None,
    inputs: Mapping[str, float] | None = None,
) -> FitResult:
    """Minimise Σ residuals² / noise² + χ² of the prior, leaving outliers out.

    Parameters
    ----------
    parameters
        The parameters of the model; those that are fixed, or known exactly by the prior, keep their value.
    model
        Data and expectation.
    name, assumed, inputs
        Name, assumptions and inputs of the model, for the result.
    absorbed
        Number of linear parameters that the model eliminates itself (they reduce the degrees of freedom).
    prior
        Earlier fit whose parameters of the same names enter with their covariance.

    Raises
    ------
    FitError
        With too few data, or if the solver does not converge.

    """
    held, prior = conditioned(parameters, prior)
    result = _solve(held, model, name, absorbed, prior)
    for _ in range(_OUTLIER_ROUNDS):
        narrowed = _narrowed(model, result.residuals)
        if narrowed is None:
            break
        model = narrowed
        result = _solve(restarted(held, result.values), model, name, absorbed, prior)
    fixed = {p.name: f"{p.start:.8g} {p.unit}, held fixed".replace(" 1,", ",") for p in held if p.fixed}
    left_out, glitches = _left_out(result.mask)
    doubts = (*(() if glitches else left_out), *unlike_noise(result.chi2, result.degrees_of_freedom))
    return replace(
        result,
        assumed=dict(assumed) | fixed,
        inputs=inputs or {},
        warnings=(*result.warnings, *doubts),
        notes=(*result.notes, *(left_out if glitches else ())),
    )


def without_outliers(model: AnyModel, x: Real) -> AnyModel:
    """Return `model` with a mask that leaves out what lies far off at the parameters `x`, as `solve` does."""
    for _ in range(_OUTLIER_ROUNDS):
        narrowed = _narrowed(model, model.residuals(x))
        if narrowed is None:
            break
        model = narrowed
    return model


def _narrowed(model: AnyModel, residuals: Real) -> AnyModel | None:
    """The model without the outliers among its `residuals`; None where its mask is right already."""
    mask = np.abs(residuals) <= _OUTLIER * _robust_scale(residuals)
    # Where many data are far off, the model is wrong rather than the data.
    narrowed = model.with_mask(mask)
    return None if (narrowed.mask == model.mask).all() or mask.mean() < 1 - _MOST_OUTLIERS else narrowed


def _solve(
    parameters: Sequence[Parameter], model: Model, name: str, absorbed: int, prior: FitResult | None
) -> FitResult:
    free = np.array([not p.fixed for p in parameters])
    moved = [p for p in parameters if not p.fixed]
    scale = np.array([p.scale for p in moved])
    lower, upper = np.array([p.lower for p in moved]), np.array([p.upper for p in moved])
    full = np.array([p.start for p in parameters])
    x = np.clip(full[free], lower, upper)
    matrix, target = prior_rows([p.name for p in moved], prior)
    data = int(model.mask.sum())
    freedom = data - absorbed - len(moved) + len(target)
    if freedom < 1:
        raise FitError(f"{data} data cannot determine {len(moved) + absorbed} parameters; measure more points")
    if not moved:
        raise FitError("every parameter is held fixed: there is nothing to fit")
    count = model.mask.astype(np.float64)

    def everything(x: Real) -> Real:
        values = full.copy()
        values[free] = x
        return values

    def residuals(x: Real) -> Real:
        return model.residuals(everything(x)) * count

    def jacobian(x: Real) -> Real:
        slopes = model.jacobian(everything(x))
        slopes[~model.mask] = 0
        return slopes if free.all() else slopes[:, free]

    # Both with the prior, in units of the noise, as functions of u = x/scale.
    def rows(u: Real) -> Real:
        return np.concatenate([residuals(u * scale) / noise, matrix @ (u * scale) - target])

    def slopes_of_rows(u: Real) -> Real:
        slopes = np.vstack([jacobian(u * scale), noise * matrix])
        slopes *= scale / noise  # in place: these are the largest arrays of a fit
        return slopes

    noise = _noise(residuals(x), freedom)
    # The weight of a prior depends on the noise, which is known only after a fit.
    for _ in range(_NOISE_ROUNDS if target.size else 1):
        x, before = _minimised(rows, slopes_of_rows, x / scale, lower / scale, upper / scale) * scale, noise
        noise = _noise(residuals(x), freedom)
        if abs(noise / before - 1) < _NOISE_TOLERANCE:
            break
    covariance = np.zeros((full.size, full.size))
    covariance[np.ix_(free, free)] = _covariance(np.vstack([jacobian(x) / noise, matrix]) * scale, scale, moved)
    values = everything(x)
    rest = model.residuals(values)
    # In the differences only what was absorbed at each of the neighbours is missing from the noise.
    between = noise_between_neighbours(rest, model.mask) * np.sqrt(1 + absorbed / freedom)
    return FitResult(
        name,
        tuple(p.name for p in parameters),
        tuple(p.unit for p in parameters),
        values,
        covariance,
        freedom * (noise / between) ** 2,
        freedom,
        noise,
        warnings=_at_bounds(x, moved, physical=False),
        notes=_at_bounds(x, moved, physical=True),
        residuals=rest,
        mask=model.mask,
    )


def _noise(residuals: Real, freedom: int) -> float:
    return max(float(np.sqrt(residuals @ residuals / freedom)), np.finfo(float).tiny)


def _robust_scale(residuals: Real) -> float:
    """Standard deviation of Gaussian residuals from the median of |residual|, robust to outliers."""
    return max(1.4826 * float(np.median(np.abs(residuals))), np.finfo(float).tiny)


def noise_between_neighbours(residuals: Real, mask: Bool) -> float:
    """Standard deviation of `residuals` from the differences of neighbours that both count in the `mask`."""
    steps = np.diff(residuals)[mask[1:] & mask[:-1]]
    return max(float(np.sqrt((steps @ steps) / max(steps.size, 1) / 2)), np.finfo(float).tiny)


def _minimised(
    residuals: Callable[[Real], Real], jacobian: Callable[[Real], Real], start: Real, lower: Real, upper: Real
) -> Real:
    outcome = least_squares(
        residuals,
        # scipy needs a start strictly inside the bounds.
        np.clip(start, lower + 1e-12, upper - 1e-12),
        jac=jacobian,
        bounds=(lower, upper),
        x_scale="jac",
        xtol=1e-10,
        ftol=1e-10,
        gtol=1e-10,
        max_nfev=200,
    )
    if outcome.status == 0:
        raise FitError("the fit did not converge within 200 evaluations; look at the data, or give a better start")
    return np.asarray(outcome.x)


def _covariance(rows: Real, scale: Real, parameters: Sequence[Parameter]) -> Real:
    """(JᵀJ)⁻¹ in the units of the parameters; FitError names a parameter that the data do not determine."""
    # The triangular factor has the singular values of all the rows, and is small.
    _, singular, directions = np.linalg.svd(np.linalg.qr(rows, mode="r"))
    if singular[-1] <= 1e-12 * singular[0]:
        blind = parameters[int(np.argmax(np.abs(directions[-1])))].name
        raise FitError(f"the data do not determine {blind}; measure over a wider range or fix it by a prior")
    root = (directions.T / singular) * scale[:, None]
    return np.asarray(root @ root.T)


def _at_bounds(x: Real, parameters: Sequence[Parameter], *, physical: bool) -> tuple[str, ...]:
    """Parameters at a bound, in words: `physical`, where they are absent or do not show, or at any other bound."""
    return tuple(
        f"{p.name} is at a limit of its range, {Estimate(bound, 0.0, p.unit)}: its uncertainty is one-sided"
        for p, value in zip(parameters, x, strict=True)
        for bound in (p.lower, p.upper)
        if abs(value - bound) <= 1e-9 * p.scale and physical == (bound == p.lower and (bound == 0 or p.may_vanish))
    )


def are_few(count: int, size: int) -> bool:
    """Whether `count` of `size` data may be glitches; more are a reason to doubt the model."""
    return count <= max(_FEW_GLITCHES, _PART_OF_GLITCHES * size)


def _left_out(mask: Bool) -> tuple[tuple[str, ...], bool]:
    """How many data were left out, in words, and whether these are glitches: few, and no three side by side."""
    count = int((~mask).sum())
    if count == 0:
        return (), True
    text = f"{count} of {mask.size} data lie more than {_OUTLIER:g}σ off and were left out"
    if not are_few(count, mask.size):
        return (f"{text}: too many for glitches, so the model may be wrong; look at the residuals",), False
    edges = np.flatnonzero(np.diff(mask, prepend=True, append=True))
    longest = int((edges[1::2] - edges[::2]).max())
    if longest >= _RUN:
        return (f"{text}, {longest} of them side by side, which glitches are not; look at the residuals",), False
    return (text,), True


def unlike_noise(chi2: float, degrees_of_freedom: int) -> tuple[str, ...]:
    """A warning where neighbouring residuals are alike, or alternate."""
    excess = chi2 / degrees_of_freedom
    # χ²/ν of random residuals scatters by 1/√ν.
    scatter = 5 / np.sqrt(degrees_of_freedom)
    if abs(excess - 1) <= scatter:
        return ()
    if excess < 1:
        return (
            f"neighbouring residuals alternate (χ²/ν = {excess:.3g}): are these two sweeps that differ, the points "
            "of one between those of the other? Fit each alone",
        )
    return (
        f"neighbouring residuals are alike (χ²/ν = {excess:.3g}): the model is incomplete, and the true "
        "uncertainties are larger; look at the residuals",
    )
