"""The fit of the components that an island has, to all readings, and what it says of those that it has not."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from labnis.fit.arrays import Real
from labnis.fit.estimate import ONE_SIDED
from labnis.fit.junction._current_and_conductance import solve_readings
from labnis.fit.junction._gap_loss import LOSSES, changes_by_limit, text_of_limit
from labnis.fit.junction._heated_pair import HeatedPair, Readings
from labnis.fit.junction._island import COMPONENTS, HEAT, KAPITZA, components_of
from labnis.fit.junction._island_trial import MATTERS, Score, Trial, island_parameters, with_kapitza
from labnis.fit.junction._line import GAIN, LINE
from labnis.fit.parameters import Parameter
from labnis.fit.result import FitError, FitResult

__all__ = ["as_trial", "completed", "described", "of_island", "solved", "with_left_out", "without_kapitza"]

_OF_ISLAND = "at every bias that at which the island's heat balance closes"
# Degrees of freedom with which the noise, and with it σ, is known well enough.
_LEAST_FREEDOM = 10
# g in units of h of a Kapitza resistance that is none.
_NO_KAPITZA = 1e-2


def solved(
    values: Mapping[str, float],
    readings: Readings,
    fixed: Mapping[str, float],
    name: str,
    assumed: Mapping[str, str],
    conductance: Real | None,
    earlier: FitResult | None = None,
) -> tuple[FitResult, HeatedPair]:
    """The fit of pair and components among the `values`, from which it starts, to all readings; and its model.

    The values may be those of an `earlier` fit of the same readings. All of these may show that a Kapitza resistance is
    none: it is then left out.
    """
    components = [name for name in values if name in COMPONENTS]
    parameters = island_parameters(values, components, fixed)
    if components and (sigma := readings.resistance_sigma):
        parameters.append(Parameter(LINE, "ohm", 0.0, sigma))
    if conductance is not None:
        parameters.append(Parameter(GAIN, "1", fixed.get(GAIN, 0.0), 0.01, -0.9, fixed=GAIN in fixed))
    if earlier is not None:  # what is next to nothing in it is not started anew
        parameters = [replace(p, start=p.start if p.fixed else values.get(p.name, p.start)) for p in parameters]
    optional = KAPITZA in values and KAPITZA not in {**fixed, **readings.given} and not readings.kapitza_limit
    try:
        result, model = solve_readings(parameters, readings, name, assumed, conductance=conductance, earlier=earlier)
    except FitError:
        if not optional:
            raise
        none = True
    else:
        none = optional and result[KAPITZA].value <= _NO_KAPITZA * result[HEAT].value
    if none:
        return solved(without_kapitza(values), readings, fixed, name, assumed, conductance)
    return result, model


def completed(
    result: FitResult,
    model: HeatedPair,
    readings: Readings,
    fixed: Mapping[str, float],
    name: str,
    assumed: Mapping[str, str],
    conductance: Real | None,
) -> tuple[FitResult, dict[str, Score]]:
    """The `result` of `solved` with what is said of components that it has not, and what is known of each.

    A Kapitza resistance that the curve does not show takes part up to its limit where the results depend on it.
    """
    found = as_trial(result, model)
    if HEAT not in found.values or KAPITZA in found.values:
        return described(result, found)
    limit, growth = found.kapitza_limit(result.noise)
    matters = growth > MATTERS and KAPITZA not in {**fixed, **readings.given}
    if matters:
        bounded = replace(readings, kapitza_limit=limit)
        result, model = solved(with_kapitza(found.values, limit / 2), bounded, fixed, name, assumed, conductance)
        found = as_trial(result, model)
    return described(result, found, limit, matters=matters)


def described(
    result: FitResult, found: Trial, limit: float | None = None, *, matters: bool = False
) -> tuple[FitResult, dict[str, Score]]:
    """The `result`, whose trial is `found`, with what bounds what it has not, and what is known of each.

    `limit` (K⁴/W) is that of a Kapitza resistance that the curve does not show, on which the results may depend
    (`matters`); None where it shows, or nothing heats.
    """
    scores = found.scores(result.noise)
    result = with_left_out(result, found, scores)
    stated, warnings = dict(result.assumed), result.warnings
    if limit is not None:
        (factor,) = found.model.readings.array.factors([KAPITZA])
        stated[KAPITZA] = _text_of_kapitza(limit / factor, matters=matters)
    if components_of(result):
        stated["electron_temperature"] = _OF_ISLAND
        if (freedom := result.degrees_of_freedom) < _LEAST_FREEDOM:
            few = f"the fit of the island has {freedom} degrees of freedom, and its σ are not known well"
            warnings = (*warnings, f"{few}: take more points")
    return replace(result, assumed=stated, warnings=warnings), scores


def as_trial(result: FitResult, model: HeatedPair) -> Trial:
    """A fit to all points, whose `model` of the current this is, as a trial."""
    rest = (result.residuals * result.mask)[: model.voltage.shape[0]]
    return Trial(model, of_island(result), model.apart_from_line(rest))


def of_island(fit: FitResult) -> dict[str, float]:
    """Values of pair and components, without those of line and lock-in."""
    return {name: value for name, value in fit.by_name.items() if name not in (LINE, GAIN)}


def without_kapitza(values: Mapping[str, float]) -> dict[str, float]:
    """The `values` of all other parameters."""
    return {name: value for name, value in values.items() if name != KAPITZA}


def with_left_out(fit: FitResult, trial: Trial, scores: Mapping[str, Score]) -> FitResult:
    """The `fit` with what bounds the components and losses of gap that it does not have."""
    stated, changes = dict(fit.assumed), dict(fit.inputs)
    of_pair = trial.model.readings.array.factors([*scores])
    for (name, (estimate, sigma, _, moved)), factor in zip(scores.items(), of_pair, strict=True):
        limit = max(estimate, 0.0) + ONE_SIDED * sigma
        if name in LOSSES:
            stated[name] = text_of_limit(limit, *(limit * moved[:2]))
            changes |= changes_by_limit(name, limit, moved)
        else:
            stated[name] = _none_above(limit / factor, COMPONENTS[name])
    return replace(fit, assumed=stated, inputs=changes)


def _text_of_kapitza(limit: float, *, matters: bool) -> str:
    """What is said of a Kapitza resistance up to a `limit` (K⁴/W) that the curve does not show."""
    unit = COMPONENTS[KAPITZA]
    if not matters:
        return _none_above(limit, unit)
    return f"any up to {limit:.2g} {unit} (95 %): the curve does not show it, and the results depend on it"


def _none_above(limit: float, unit: str) -> str:
    below = "" if np.isnan(limit) else f"; below {limit:.2g} {unit} (95 %)"
    return f"none{below}".replace(" 1 (", " (")
