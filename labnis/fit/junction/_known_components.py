"""An island whose components an earlier fit of the same curve has found: they are confirmed, not searched for again.

What was held and given has to be the same: with other knowledge a search may find others. The curve may have more
points than it had, as in a live fit. So the fit of these components, from the earlier values, has to show that it lacks
none: its residuals are noise, and no other component shows in them. Otherwise all of them are searched for again.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from labnis.fit._residuals import told_alike
from labnis.fit.arrays import Real
from labnis.fit.junction._component_fit import as_trial, completed, described, solved
from labnis.fit.junction._current_and_conductance import KAPITZA_LIMIT
from labnis.fit.junction._heated_pair import HeatedPair, Readings
from labnis.fit.junction._island import COMPONENTS, KAPITZA
from labnis.fit.junction._island_trial import LIMIT_ACCURACY, MATTERS, Score, Trial, without_small_kapitza
from labnis.fit.result import FitError, FitResult

__all__ = ["with_known_components"]

_TOLD = "its components are those of an earlier fit of this curve, which shows no others"


def with_known_components(
    earlier: FitResult,
    readings: Readings,
    fixed: Mapping[str, float],
    name: str,
    assumed: Mapping[str, str],
    conductance: Real | None,
) -> FitResult | None:
    """Fit the components of an `earlier` fit of a pair; None where they have to be searched for.

    The other arguments are those of `with_components`. The search would find the same values within a small part of σ.
    """
    limit, values = earlier.inputs.get(KAPITZA_LIMIT, 0.0), earlier.by_name
    try:
        if limit:
            bounded = replace(readings, kapitza_limit=limit)
            result, model = solved(values, bounded, fixed, name, assumed, conductance, earlier)
            if _bounds_alike(result, model, limit):
                return _confirmed(*described(result, as_trial(result, model), limit, matters=True), fixed)
            values = without_small_kapitza(result.by_name)
        result, model = solved(values, readings, fixed, name, assumed, conductance, earlier)
        return _confirmed(*completed(result, model, readings, fixed, name, assumed, conductance), fixed)
    except FitError:
        return None


def _bounds_alike(result: FitResult, model: HeatedPair, limit: float) -> bool:
    """Whether a fit without a Kapitza resistance would find the `limit` (K⁴/W) up to which this one has it."""
    x = without_small_kapitza(result.by_name) | {KAPITZA: 0.0}
    rest = model.residuals(np.array([x[name] for name in model.names])) * result.mask[: model.mask.size]
    values = {name: x[name] for name in as_trial(result, model).values if name != KAPITZA}
    again, growth = Trial(model, values, model.apart_from_line(rest)).kapitza_limit(result.noise, limit)
    return growth > MATTERS and abs(again / limit - 1) < LIMIT_ACCURACY


def _confirmed(result: FitResult, scores: Mapping[str, Score], fixed: Mapping[str, float]) -> FitResult | None:
    """The `result`, with a statement on its components; None if the curve shows others, by their `scores`."""
    shows = any(one.shows for name, one in scores.items() if name in COMPONENTS and name not in fixed)
    if shows or told_alike(result.warnings):
        return None
    return replace(result, assumed={**result.assumed, "island": _TOLD})
