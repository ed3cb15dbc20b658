"""Least squares with correlated Gaussian priors, used by every fit.

The noise level is estimated from the residuals. χ² is counted in units of the noise estimated from differences of
neighbouring residuals: χ²/ν is 1 within its scatter for random residuals, and larger where the model leaves structure.
Glitches are left out, and the result says which.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from labnis.fit._doubts import contradicted_prior, doubts_from_residuals, texts_of_left_out
from labnis.fit._minimum import minimum
from labnis.fit._residuals import (
    OUTLIER,
    are_few,
    glitches,
    noise_between_neighbours,
    outliers,
    robust_scale,
    side_by_side,
    sticking_out,
)
from labnis.fit.arrays import Bool, Real
from labnis.fit.estimate import Estimate
from labnis.fit.given import known_before, text_of_held
from labnis.fit.models import CurveModel, Model, TraceModel, as_real
from labnis.fit.parameters import Given, Parameter, conditioned, prior_rows, restarted
from labnis.fit.result import FitError, FitResult

__all__ = ["CurveModel", "Model", "TraceModel", "as_real", "solve", "without_outliers"]

AnyModel = TypeVar("AnyModel", bound=Model)

# Where more than this part of the data is far off, the model is wrong.
_OUTLIER_ROUNDS, _MOST_OUTLIERS = 10, 0.1
_NOISE_ROUNDS, _NOISE_TOLERANCE = 5, 1e-2
_ACCURACY = 1e-10
# Data so many median deviations from their neighbours may lead a fit astray.
_STICKS_OUT = 100.0
# Relative change of χ² that ends a search for glitches.
_ROUGHLY = 1e-3


def solve(  # noqa: PLR0913  # each of them is known by another caller
    parameters: Sequence[Parameter],
    model: Model,
    name: str,
    assumed: Mapping[str, str],
    *,
    absorbed: int = 0,
    prior: FitResult | None = None,
    given: Given | None = None,
    inputs: Mapping[str, float] | None = None,
    accuracy: float = _ACCURACY,
    noise: float | None = None,
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
    given
        Parameter → value and standard uncertainty, known besides the prior.
    accuracy
        Relative change of χ² or of the parameters that ends the search.
    noise
        Of the residuals, if the start values are those of an earlier fit: with it the prior has its weight at once.

    Raises
    ------
    FitError
        With too few data, or if the solver does not converge.

    """
    known = known_before(parameters, prior, given)
    held, prior = conditioned(parameters, known.prior)

    def fitted(model: Model) -> tuple[FitResult, Model]:
        result = _solve(held, model, name, absorbed, prior, accuracy, noise)
        values = result.values

        def residuals(model: Model) -> Real:
            nonlocal values
            rough = _solve(restarted(held, values), model, name, absorbed, prior, accuracy, roughly=True)
            values = rough.values
            return rough.residuals

        before, model = model.mask, _without_glitches(model, result.residuals, residuals)
        if (model.mask != before).any():
            result = _solve(restarted(held, values), model, name, absorbed, prior, accuracy)
        return result, model

    result, model = _best(fitted, _attempts(model, held))
    fixed = {p.name: text_of_held(p.start, p.unit) for p in held if p.fixed}
    left_out, isolated = texts_of_left_out(model)
    doubts = (
        *(() if isolated else left_out),
        *doubts_from_residuals(result, model, held, prior),
        *contradicted_prior(result, prior, given=known.assumed.keys()),
    )
    return replace(
        result,
        assumed=_told(assumed, fixed, known.assumed),
        inputs=inputs or {},
        warnings=(*result.warnings, *known.warnings, *doubts),
        notes=(*result.notes, *(left_out if isolated else ())),
    )


def _attempts(model: Model, parameters: Sequence[Parameter]) -> list[Model]:
    """The model; and, where some data stick out at the start, without these, which may lead the fit astray."""
    start = np.array([np.clip(p.start, p.lower, p.upper) for p in parameters])
    far = sticking_out(model.residuals_at_start(start), model.rows(), _STICKS_OUT) & model.mask
    return [model, model.with_mask(model.mask & ~far)] if far.any() and are_few(int(far.sum()), far.size) else [model]


def _best(fitted: Callable[[Model], tuple[FitResult, Model]], models: Sequence[Model]) -> tuple[FitResult, Model]:
    """The fit with the smallest sum of squares, in which an outlier counts as 6σ; FitError where there is none."""
    found, failures = [], []
    for model in models:
        try:
            found.append(fitted(model))
        except FitError as error:
            failures.append(error)
    if not found:
        raise failures[0]
    far = OUTLIER * min(robust_scale(result.residuals) for result, _ in found)
    return min(found, key=lambda one: float((np.minimum(np.abs(one[0].residuals), far) ** 2).sum()))


def _told(assumed: Mapping[str, str], *values: Mapping[str, str]) -> dict[str, str]:
    """The assumptions of a model, with what is said of the `values` of its parameters."""
    said = dict(assumed)
    for name, text in (item for texts in values for item in texts.items()):
        if text not in said.get(name, ""):
            said[name] = f"{said[name]}; {text}" if name in said else text
    return said


def without_outliers(model: AnyModel, x: Real) -> AnyModel:
    """Return `model` with a mask that leaves out the glitches at the parameters `x`, as `solve` does."""
    return _without_glitches(model, model.residuals(x), lambda model: model.residuals(x))


def _without_glitches(model: AnyModel, first: Real, residuals: Callable[[AnyModel], Real]) -> AnyModel:
    """The model without the glitches among its `first` residuals; `residuals` are those of a model with another mask.

    First all outliers are left out, so that they do not hide others, or pull the fit to where good data look wrong.
    Seen from there those in company are structure, and count.
    """
    rows, rest = model.rows(), first
    for _ in range(_OUTLIER_ROUNDS):
        narrowed = _narrowed(model, ~outliers(rest, rows, model.mask))
        if narrowed is None:
            break
        try:
            rest, model = residuals(narrowed), narrowed
        except FitError:  # what is left does not determine the parameters: it was no glitches
            break
    narrowed = _narrowed(model, ~glitches(rest, rows))
    return model if narrowed is None else narrowed


def _narrowed(model: AnyModel, mask: Bool) -> AnyModel | None:
    """The model with this `mask`; None where it has it already, or too little would be left."""
    narrowed = model.with_mask(mask)
    # Where many data are far off, the model is wrong rather than the data.
    return None if (narrowed.mask == model.mask).all() or mask.mean() < 1 - _MOST_OUTLIERS else narrowed


def _solve(
    parameters: Sequence[Parameter],
    model: Model,
    name: str,
    absorbed: int,
    prior: FitResult | None,
    accuracy: float,
    earlier: float | None = None,
    *,
    roughly: bool = False,
) -> FitResult:
    """The fit to the data in the model's mask; `roughly`, as far as χ² shows. `earlier` is the noise of one before."""
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

    # The weight of a prior depends on the noise, which is known only after a fit: what a start leaves in the residuals
    # would give it too much.
    rest = residuals(x)
    noise = _noise(rest, freedom) if earlier is None else earlier
    if target.size and earlier is None:
        order = side_by_side(rest, model.rows(), model.mask)
        noise = min(noise, noise_between_neighbours(rest[order], model.mask[order]))
    changes = _ROUGHLY if roughly else accuracy
    for _ in range(_NOISE_ROUNDS if target.size and not roughly else 1):
        found = minimum(rows, slopes_of_rows, x / scale, lower / scale, upper / scale, accuracy, changes)
        x, before = found * scale, noise
        noise = _noise(residuals(x), freedom)
        if abs(noise / before - 1) < _NOISE_TOLERANCE:
            break
    covariance = np.zeros((full.size, full.size))
    covariance[np.ix_(free, free)] = _covariance(np.vstack([jacobian(x) / noise, matrix]) * scale, scale, moved)
    values = everything(x)
    rest = model.residuals(values)
    # In the differences only what was absorbed at each of the neighbours is missing from the noise.
    order = side_by_side(rest, model.rows(), model.mask)
    between = noise_between_neighbours(rest[order], model.mask[order]) * np.sqrt(1 + absorbed / freedom)
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
    """Parameters at a bound, in one sentence: `physical`, where they are absent or do not show, or any other bound."""
    found = [
        (p.name, Estimate(bound, 0.0, p.unit))
        for p, value in zip(parameters, x, strict=True)
        for bound in (p.lower, p.upper)
        if abs(value - bound) <= 1e-9 * p.scale and physical == (bound == p.lower and (bound == 0 or p.may_vanish))
    ]
    if len(found) > 1:
        listed = ", ".join(f"{name} ({bound})" for name, bound in found)
        return (f"{listed} are at limits of their ranges: their uncertainties are one-sided",)
    return tuple(f"{name} is at a limit of its range, {bound}: its uncertainty is one-sided" for name, bound in found)
