"""Budgets of systematic uncertainty: how much each named source changes each result of a fit.

With residuals r, their Jacobian J in units of the noise and the covariance C of a fit, an error η changes the
parameters by

    ∂x/∂η = C·(−Jᵀ·∂r/∂η + Λ·∂p/∂η),

where Λ is the inverse covariance of the priors and ∂p/∂η the change of the priors' values: one step of Gauss and
Newton. The sign is kept from step to step, so that what a source does to the prior and to the data may cancel. The
priors themselves have the covariance of the noise alone: with the budget in it, the sources would count twice.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from labnis.accuracy import Budget, Source
from labnis.fit._doubts import AS_WELL, CONTRADICTED, HELD, contradicted_prior, or_held
from labnis.fit._residuals import noise_between_neighbours, side_by_side, unlike_noise
from labnis.fit.arrays import Real
from labnis.fit.parameters import Parameter, conditioned, prior_rows
from labnis.fit.result import FitError, FitResult
from labnis.fit.solver import Model

__all__ = ["Evaluated", "changed_size", "weight_and_covariance", "with_budget"]

# Step in which the change of the residuals is computed, in standard uncertainties: small enough for a straight line.
_STEP = 1e-3
# A parameter that moves by so many standard uncertainties takes a source over.
_FAR = 1e2
# A change of the data shows if more than this part of it is no change of a parameter.
_SHOWS = 1e-3
# A source is in contradiction with the data beyond this many of its standard uncertainties.
_CONTRADICTS = 2.5


class Evaluated(NamedTuple):
    """The model of a fit at some data, without the fit itself.

    Attributes
    ----------
    model
        Data and expectation, with the fit's mask.
    names
        Parameters of the model, in the order of its vectors.
    whole
        From the parameters of the model to all values of the fit, derived ones included, in the fit's order.
    prior
        The prior of the fit; None if it has none.

    """

    model: Model
    names: tuple[str, ...]
    whole: Callable[[Real], Real]
    prior: FitResult | None = None


def with_budget(
    fit: FitResult,
    measured: Evaluated,
    expected: Evaluated,
    changed: Mapping[Source, tuple[Evaluated, Evaluated]],
    priors: Sequence[FitResult] = (),
    assumed: Mapping[Source, Mapping[str, float]] | None = None,
    *,
    absent: tuple[str, ...] = (),
) -> FitResult:
    """Return the fit with its budget.

    Parameters
    ----------
    fit
        A fit.
    measured, expected
        Its model at the data, and at expected values in place of these, so that an error of a gain scales no noise.
    changed
        Source → the model at the expected values with an additional error of `changed_size`, and of minus that.
    priors
        Fits from which the prior is made; their budgets are carried on.
    assumed
        Source that the prior contains itself → changes of the prior's values by one standard uncertainty. Its part is
        in the covariance of the fit already.
    absent
        What is not in the budget, as nobody stated it.

    """
    assumed = assumed or {}
    names = measured.names
    x = np.array([fit[name].value for name in names])
    counts = measured.model.mask
    rest = measured.model.residuals(x)[counts] / fit.noise
    slopes = measured.model.jacobian(x)[counts] / fit.noise
    weight, covariance = weight_and_covariance(fit, measured, slopes)
    budgets = [prior.budget for prior in priors if prior.budget is not None]
    # A name is one error, however it was stated before; the latest statement counts.
    known = {one.uid: one for one in (*(s for budget in budgets for s in budget.sources), *assumed, *changed)}
    passed_on = _passed_on(priors, names, known) | {
        source.uid: np.array([change.get(name, 0.0) for name in names]) for source, change in assumed.items()
    }
    pairs = {source.uid: pair for source, pair in changed.items()}
    sources = tuple(known.values())
    columns, changes, added = [], np.zeros((rest.size, len(sources))), np.zeros((x.size, len(sources)))
    sigma = np.sqrt(np.diag(covariance))
    for at, source in enumerate(sources):
        more, less = pairs.get(source.uid, (expected, expected))
        before = passed_on.get(source.uid, np.zeros(x.size))

        def change(step: Real, more: Evaluated = more, less: Evaluated = less) -> Real:
            """Change of the residuals by one standard uncertainty, and by a step of the parameters."""
            ahead, back = more.model.residuals(x + _STEP * step), less.model.residuals(x - _STEP * step)
            return np.asarray((ahead - back)[counts] / fit.noise / (2 * _STEP))

        if source.uid in pairs:
            changes[:, at] = change(np.zeros(x.size))
        step = covariance @ (weight @ before - slopes.T @ changes[:, at])
        far = np.where(np.abs(step) > _FAR * sigma, step, 0.0)
        if source.uid in pairs and far.any():
            # Slopes that are not exact leave a part of what one parameter takes over to the others.
            step = far + covariance @ (weight @ (before - far) - slopes.T @ change(far))
        added[:, at] = step - before
        columns.append((more.whole(x + _STEP * step) - less.whole(x - _STEP * step)) / (2 * _STEP))
    table = np.array(columns).T.reshape(len(fit.names), len(sources))
    for source, column in zip(sources, table.T, strict=True):
        if not np.isfinite(column).all():
            raise FitError(f"{fit.model}: the effect of {source.label} on the results cannot be computed")
    earlier = (statement for before in budgets for statement in before.absent)
    budget = Budget(sources, table, tuple(dict.fromkeys((*earlier, *absent))))
    errors = _errors_wanted(changes, rest, slopes, covariance)
    order = side_by_side(fit.residuals, measured.model.rows(), counts)
    told = (*_structure(fit, errors, order[counts[order]]), *_contradictions(sources, errors, or_held(fit)))
    return replace(fit, budget=budget, warnings=_without_explained_contradiction(told, fit, measured, added))


def changed_size(source: Source) -> float:
    """The additional error (in the unit of the source) for `with_budget`."""
    return _STEP * source.standard


def weight_and_covariance(fit: FitResult, evaluated: Evaluated, slopes: Real) -> tuple[Real, Real]:
    """Inverse covariance of the prior, and covariance of the fit by these `slopes`, both (p, p).

    The slopes are in units of the noise. Both are 0 where a parameter is held. The covariance is computed again, as it
    must belong to exactly these slopes: an offset of 10⁵ σ is taken over by a parameter only if both cancel.
    """
    known = [Parameter(n, fit[n].unit, fit[n].value, 1.0, fixed=n not in fit.free) for n in evaluated.names]
    held, prior = conditioned(known, evaluated.prior)
    free = [p.name for p in held if not p.fixed]
    at = [evaluated.names.index(name) for name in free]
    matrix, _ = prior_rows(free, prior)
    rows = np.vstack([slopes[:, at], matrix])
    scale = 1 / np.maximum(np.linalg.norm(rows, axis=0), np.finfo(float).tiny)
    triangle = np.linalg.qr(rows * scale, mode="r")
    root = np.linalg.pinv(triangle) * scale[:, None]
    weight, covariance = np.zeros((2, len(evaluated.names), len(evaluated.names)))
    weight[np.ix_(at, at)] = matrix.T @ matrix
    covariance[np.ix_(at, at)] = root @ root.T
    return weight, covariance


def _passed_on(priors: Iterable[FitResult], names: Sequence[str], known: Mapping[str, Source]) -> dict[str, Real]:
    """Name of a source → change of the prior's values by one standard uncertainty as `known`, by parameter."""
    found: dict[str, Real] = {}
    for prior in priors:
        if prior.budget is None:
            continue
        for source, column in zip(prior.budget.sources, prior.budget.columns.T, strict=True):
            larger = known[source.uid].standard / source.standard if source.standard else 1.0
            change = dict(zip(prior.names, larger * column, strict=True))
            own = np.array([change.get(name, 0.0) for name in names])
            found[source.uid] = found.get(source.uid, 0.0) + own
    return found


class _Errors(NamedTuple):
    """Errors of the data (see `labnis.fit.effects`), and their σ, in standard uncertainties of their sources.

    `before` and `after` are the residuals with and without them, in units of the noise.
    """

    value: Real
    sigma: Real
    before: Real
    after: Real


def _errors_wanted(changes: Real, rest: Real, slopes: Real, covariance: Real) -> _Errors:
    """Estimate of all errors together, with their standard uncertainties as priors, while all parameters follow.

    With S = ∂r/∂η in units of the noise and P the part of the data that no parameter describes,
    η = (1 + SᵀPS)⁻¹ SᵀPr.
    """

    def apart(rows: Real) -> Real:
        return np.asarray(rows - slopes @ (covariance @ (slopes.T @ rows)))

    own = apart(changes)
    # What the parameters take over, such as an offset, does not show.
    shows = np.linalg.norm(own, axis=0) > _SHOWS * np.linalg.norm(changes, axis=0)
    value, sigma = np.zeros(shows.size), np.ones(shows.size)
    information = changes[:, shows].T @ own[:, shows]
    # Rounding of large changes that cancel can make it negative.
    size, direction = np.linalg.eigh((information + information.T) / 2)
    spread = direction / (1 + np.maximum(size, 0.0)) @ direction.T
    value[shows], sigma[shows] = spread @ (own[:, shows].T @ rest), np.sqrt(np.diag(spread))
    return _Errors(value, sigma, rest, rest - own @ value)


def _structure(fit: FitResult, errors: _Errors, order: NDArray[np.intp]) -> tuple[str, ...]:
    """Warnings of the fit; of residuals that are alike, and of their cause, only where no stated source is one.

    `order` are the numbers of the data that count, neighbours side by side.
    """
    told = unlike_noise(fit.chi2, fit.degrees_of_freedom, fit.residuals[order])
    # Those with and without the errors, in the same order.
    place = np.cumsum(fit.mask) - 1
    rests = [rest[place[order]] for rest in (errors.before, errors.after)]
    # χ² is in units of the noise between neighbours, which sources change, too.
    before, after = (
        float(rest @ rest) / noise_between_neighbours(rest, np.ones(rest.shape, bool)) ** 2 for rest in rests
    )
    left = unlike_noise(fit.chi2 * after / before, fit.degrees_of_freedom, rests[1])
    alike = {*told} & {*fit.warnings}
    explained = () if left else (HELD, AS_WELL) if alike else (HELD,)
    kept = (text for text in fit.warnings if text not in told and not text.startswith(explained))
    return (*kept, *(left if alike else ()))


def _without_explained_contradiction(
    told: tuple[str, ...], fit: FitResult, evaluated: Evaluated, added: Real
) -> tuple[str, ...]:
    """The warnings `told`; that of a contradicted prior only where the stated sources do not explain it.

    `added` is what one standard uncertainty of each source changes in the parameters beyond what it does to the prior.
    """
    known = [Parameter(n, fit[n].unit, fit[n].value, 1.0, fixed=n not in fit.free) for n in evaluated.names]
    _, prior = conditioned(known, evaluated.prior)
    if prior is None or contradicted_prior(fit, prior, added[[evaluated.names.index(name) for name in prior.names]]):
        return told
    return tuple(text for text in told if not text.startswith(CONTRADICTED))


def _of(size: float, source: Source) -> str:
    """A size in the unit of a source; of a ratio in per cent."""
    return f"{100 * size:.3g} %" if source.unit == "1" else f"{size:.3g} {source.unit}"


def _contradictions(sources: Sequence[Source], errors: _Errors, held: str) -> list[str]:
    """Warnings where the data want a larger error than a source may have: what they alone say of it; see `or_held`."""
    found = []
    for source, value, sigma in zip(sources, errors.value, errors.sigma, strict=True):
        if abs(value) > _CONTRADICTS:
            # Without what is stated, which pulls it to 0.
            share = 1 - sigma**2
            wanted, known = (_of(one * source.standard, source) for one in (value / share, sigma / np.sqrt(share)))
            found.append(
                f"the data want an error of {wanted} ± {known} of {source.label}, whose standard uncertainty is stated "
                f"as {_of(source.standard, source)}; is a stated value wrong, {held}or the model?"
            )
    return found
