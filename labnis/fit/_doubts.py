"""Texts of a result about its residuals: what was left out, structure and what it looks like, uneven noise."""

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from labnis.fit._residuals import (
    OUTLIER,
    are_few,
    explained,
    local_variances,
    run_length,
    side_by_side,
    uneven,
    unlike_noise,
)
from labnis.fit.arrays import Bool, Real
from labnis.fit.estimate import number_text
from labnis.fit.junction._island import ANDREEV, KAPITZA
from labnis.fit.models import Model, Suspect
from labnis.fit.parameters import Parameter, conditioned, prior_rows
from labnis.fit.result import FitResult

__all__ = [
    "AS_WELL",
    "CONTRADICTED",
    "HELD",
    "UNEVEN",
    "contradicted_prior",
    "doubts_from_residuals",
    "or_held",
    "suspected",
    "texts_of_left_out",
]

#: How the warning of a cause other than heat begins.
AS_WELL = "at one temperature the curve is described as well"
#: How the warning of a contradicted prior begins.
CONTRADICTED = "the data contradict what was"
#: How the warning of a wrong value that is held begins.
HELD = "it looks like the value at which a parameter is held, of"
#: How the warning of noise that is larger somewhere begins.
UNEVEN = "the noise is not the same everywhere"

# Glitches are fewer than so many side by side; of more than _LISTED the result names the first.
_RUN, _LISTED = 3, 6
# A suspect explains at least this part of the structure, and lowers χ² by this much.
_EXPLAINS, _SURE = 0.3, 16.0
# Uneven noise has at least this correlation with its kind, and makes a σ too small by this factor.
_ALIKE, _TOO_SMALL = 0.2, 1.3
# What moves no result by this many of its standard uncertainties causes no warning.
_NEGLIGIBLE = 0.3
# A prior is contradicted beyond so many standard deviations, along directions of which the data determine this part.
_CONTRADICTS, _DETERMINED = 5.0, 1e-4
# What moves by less than this many standard deviations of what was known of it is not named.
_MOVED = 2.0
# What no other run has measured, but the fit assumes where nothing is given.
_ASSUMED = {"dephasing_rate", KAPITZA, *ANDREEV}
# A value that is 0 to this part of the σ of its prior is at a bound.
_AT_ZERO = 1e-6


def doubts_from_residuals(
    result: FitResult, model: Model, parameters: Sequence[Parameter], prior: FitResult | None
) -> tuple[str, ...]:
    """Warnings from the residuals: structure and what it looks like, and noise that is not the same everywhere.

    What it looks like may be a wrong value of one of the `parameters` that is held. It may show in how far the
    parameters are from their `prior`.
    """
    counts, free = model.mask, result.sigma > 0
    slopes, found = model.jacobian(result.values)[:, free], [*_unlike_noise(result, model)]
    alike = bool(found) and result.chi2 > result.degrees_of_freedom
    uneven_noise = () if alike else _uneven_noise(result, model, slopes[counts])
    if uneven_noise:  # which explains away what is significant for the same noise everywhere
        return (*found, *uneven_noise)
    suspects = [*model.suspects(result.values), *_held(result, model, parameters)]
    return (*found, *suspected(result, model, suspects, prior=prior))


def _unlike_noise(result: FitResult, model: Model) -> tuple[str, ...]:
    """A warning where neighbours among the residuals that count are alike, or alternate."""
    order = side_by_side(result.residuals, model.rows(), model.mask)
    return unlike_noise(result.chi2, result.degrees_of_freedom, result.residuals[order][model.mask[order]])


def _held(result: FitResult, model: Model, parameters: Sequence[Parameter]) -> list[Suspect]:
    """Wrong values of the parameters that are held."""
    slopes = model.jacobian(result.values)
    return [
        Suspect(
            f"{HELD} {p.name}, {p.start:.6g} {p.unit}, which is {{:.3g}} {p.unit} off: fit it, or give it with its σ",
            slopes[:, [at]],
        )
        for at, p in enumerate(parameters)
        if p.fixed
    ]


def suspected(
    result: FitResult,
    model: Model,
    suspects: Sequence[Suspect],
    *,
    known: Real | None = None,
    prior: FitResult | None = None,
) -> tuple[str, ...]:
    """The likeliest of the `suspects`, if it is plausible, and explains structure or moves a result.

    `known` are further columns that may explain the residuals, shape (data, k). What parameters are off their `prior`
    counts as residuals, too.
    """
    counts, free = model.mask, result.sigma > 0
    if not suspects:
        return ()
    slopes, between = model.jacobian(result.values)[:, free][counts], _between(result)
    alike = bool(_unlike_noise(result, model))
    rest, variances = result.residuals[counts], local_variances(result.residuals, model.rows(), counts)[counts]
    covariance, sigma = result.covariance[np.ix_(free, free)], result.sigma[free]
    others = slopes if known is None else np.hstack([slopes, known[counts]])
    rows, expected = prior_rows(result.names, prior)
    rest = np.append(rest, result.noise * (expected - rows @ result.values))
    variances = np.append(variances, np.full(len(rows), result.noise**2))
    others = _above(others, -result.noise * rows[:, free])
    slopes = others[:, : slopes.shape[1]]
    found = []
    for text, columns, (smallest, largest), positive in suspects:
        by = explained(rest, others, _above(columns[counts], rows[:, :0]), variances, between)
        size = float(np.sqrt(np.mean(by.amplitudes**2)))
        if positive and by.amplitudes[0] < 0:
            continue
        moved = np.abs(covariance @ (slopes.T @ by.change)) / result.noise**2 / sigma
        matters = by.part > _EXPLAINS if alike else moved.max() > _NEGLIGIBLE
        if matters and by.decrease > _SURE + 2 * columns.shape[1] and smallest <= size <= largest:
            found.append((by.decrease / columns.shape[1], text.format(size)))
    return tuple(text for _, text in sorted(found)[-1:])


def _above(columns: Real, rows: Real) -> Real:
    """The `columns` above the `rows`, which have 0 in further columns."""
    return np.vstack([columns, np.pad(rows, ((0, 0), (0, columns.shape[1] - rows.shape[1])))])


def contradicted_prior(
    result: FitResult, prior: FitResult | None, systematic: Real | None = None, given: Collection[str] = ()
) -> tuple[str, ...]:
    """A warning where the data contradict the `prior` of the fit, in which some values were `given`.

    What the fit adds to the prior's values scatters by the prior's covariance less that of the result. In addition
    it changes by the columns of `systematic`, shape (values of the prior, sources); where these are not known yet, by
    the systematic uncertainty of the prior, in proportion to the part that the data determine.
    """
    if prior is None:
        return ()
    moved = result.select(prior.names)
    # A limit does not say where below it a value is, and a bound of 0 is none of the data.
    unknown = (np.abs(moved.values) <= _AT_ZERO * prior.sigma) | np.isin(prior.names, [*prior.limits])
    if unknown.all():
        return ()
    if unknown.any():
        moved, prior = _beside(moved, unknown), _given(prior, moved.values, unknown)
        systematic = None if systematic is None else systematic[~unknown]
    names = list(prior.names)
    unit = np.linalg.inv(np.linalg.cholesky(prior.correlation)) / prior.sigma
    part, directions = np.linalg.eigh(np.eye(len(names)) - unit @ moved.covariance @ unit.T)
    variance = part.copy()
    if systematic is not None:
        variance += ((directions.T @ unit @ systematic) ** 2).sum(axis=1)
    elif prior.budget is not None:
        variance += part**2 * ((directions.T @ unit @ prior.budget.columns) ** 2).sum(axis=1)
    known = part > _DETERMINED
    pulls = np.where(known, directions.T @ (unit @ (moved.values - prior.values)), 0.0)
    pulls /= np.sqrt(np.where(known, variance, 1.0))
    if np.abs(pulls).max() < _CONTRADICTS:
        return ()
    assumed = _ASSUMED.difference(given)
    before = "assumed" if assumed.issuperset(names) else "known before"
    told = f"{CONTRADICTED} {before}, by {np.abs(pulls).max():.2g}σ"
    share = 1 - moved.sigma**2 / prior.sigma**2  # of each parameter that the data determine
    away = np.abs(moved.values - prior.values) / prior.sigma
    if away.max() < _MOVED:
        told += f", although no value moves by {_MOVED:g}σ of what was {before}"
        return (f"{told}: the model may be incomplete; look at the residuals",)
    at = int(np.argmax(np.where(away < _MOVED, 0.0, away / np.sqrt(np.maximum(share, _DETERMINED)))))
    change = number_text(float(moved.values[at] - prior.values[at]), prior.units[at])
    told += f", most of all {names[at]}: {prior[names[at]]} was"
    if names[at] in assumed:
        return (f"{told} assumed, and these data move it by {change}; the model may be incomplete, or give it with σ",)
    return (
        f"{told} known or assumed, and these data move it by {change}; is it the same device, in the same state, and "
        "is what is given right?",
    )


def or_held(result: FitResult) -> str:
    """What else than a stated value may be wrong, in words: the values that are held; empty without any."""
    held = [name for name, sigma in zip(result.names, result.sigma, strict=True) if sigma == 0]
    return f"the value at which {' or '.join(held)} is held, " if held else ""


def _between(result: FitResult) -> float:
    """The noise between neighbours."""
    return float(result.noise * np.sqrt(result.degrees_of_freedom / max(result.chi2, np.finfo(float).tiny)))


def _given(prior: FitResult, values: Real, held: Bool) -> FitResult:
    """The prior of the other parameters where those `held` have these `values`."""
    known = zip(prior.names, prior.units, values.tolist(), held.tolist(), strict=True)
    _, rest = conditioned([Parameter(name, unit, value, 1.0, fixed=fixed) for name, unit, value, fixed in known], prior)
    return prior if rest is None else rest


def _beside(result: FitResult, held: Bool) -> FitResult:
    """The result of the other parameters where those `held` do not move with them."""
    rest = result.select([name for name, fixed in zip(result.names, held, strict=True) if not fixed])
    by_held, own = result.covariance[np.ix_(~held, held)], result.covariance[np.ix_(held, held)]
    return replace(rest, covariance=rest.covariance - by_held @ np.linalg.pinv(own) @ by_held.T)


def _uneven_noise(result: FitResult, model: Model, slopes: Real) -> tuple[str, ...]:
    """A warning where noise that is not the same everywhere makes a σ too small; `slopes` of the data that count."""
    counts, free = model.mask, result.sigma > 0
    variances = local_variances(result.residuals, model.rows(), counts)[counts]
    covariance = result.covariance[np.ix_(free, free)]
    influence = slopes @ covariance / result.noise**2
    factor = uneven(variances, influence, np.diag(covariance), max(_between(result), result.noise))
    if factor < _TOO_SMALL:
        return ()
    shapes = model.noise_shapes(result.values)
    alike = {text: float(np.corrcoef(variances, shape[counts] ** 2)[0, 1]) for text, shape in shapes.items()}
    kind = max(alike, key=lambda text: alike[text], default="")
    like = f", as by {kind}" if alike.get(kind, 0.0) > _ALIKE else ""
    return (
        f"{UNEVEN}{like}: it is largest where the results depend on it most, and the true "
        f"uncertainties are up to {factor:.2g} times as large",
    )


def texts_of_left_out(model: Model) -> tuple[tuple[str, ...], bool]:
    """Which data were left out, in words, and whether these are glitches: few, and no three side by side."""
    size, found = model.mask.size, np.flatnonzero(~model.mask)
    if not found.size:
        return (), True
    places = [*dict.fromkeys(model.place(int(datum)) for datum in found)]
    more = f" and {len(places) - _LISTED} more" if len(places) > _LISTED else ""
    text = f"{found.size} of {size} data lie more than {OUTLIER:g}σ off and were left out"
    where = f"; at {', '.join(places[:_LISTED])}{more}"
    if not are_few(found.size, size):
        return (f"{text}: too many for glitches, so the model may be wrong; look at the residuals{where}",), False
    longest = run_length(model.mask, model.rows())
    if longest >= _RUN:
        told = f"{text}, {longest} of them side by side, which glitches are not; look at the residuals{where}"
        return (told,), False
    return (f"{text}{where}",), True
