"""Budget of an analysis that can only fit: the fit is repeated with data, and with priors, that err a little."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import xarray

from labnis.accuracy import Budget, Source
from labnis.fit.arrays import Real
from labnis.fit.context import FitContext
from labnis.fit.effects import changed_by, unstated_ranges
from labnis.fit.result import FitResult

__all__ = ["budget_by_refits"]

Priors = Mapping[str, FitResult]


def budget_by_refits(
    fit: FitResult,
    refit: Callable[[xarray.Dataset, Priors], FitResult],
    data: xarray.Dataset,
    context: FitContext,
    priors: Priors,
) -> FitResult:
    """Return `fit` with its budget: the change of each value between −u/2 and +u/2 of each source.

    Parameters
    ----------
    fit
        The fit.
    refit
        Function of data and priors that repeats it.
    data, context, priors
        Those of the fit. The sources of the context change the data; those in the budgets of the priors, the priors.

    Raises
    ------
    FitError
        As `refit`.

    """
    own = {source.uid: source for source in context.sources or ()}
    budgets = [prior.budget for prior in priors.values() if prior.budget is not None]
    known = {source.uid: source for budget in budgets for source in budget.sources} | own
    columns = np.zeros((len(fit.names), len(known)))

    def values(source: Source, part: float) -> Real:
        """With an additional error of this part of the standard uncertainty."""
        changed = changed_by(source, part * source.standard, data, context) if source.uid in own else None
        moved = {name: _moved(prior, source, part) for name, prior in priors.items()}
        if changed is None and all(moved[name] is priors[name] for name in priors):
            return fit.values
        found = refit(data if changed is None else changed, moved)
        return np.array([found[name].value for name in fit.names])

    for at, source in enumerate(known.values()):
        columns[:, at] = values(source, 0.5) - values(source, -0.5)
    earlier = (statement for budget in budgets for statement in budget.absent)
    absent = (*earlier, *context.unstated, *unstated_ranges([*own.values()], data, context))
    # A fit is not told which of its own uncertainty a prior contains: all of these count beside it.
    sources = tuple(replace(s, acts_on="data") if s.acts_on == "prior" else s for s in known.values())
    return replace(fit, budget=Budget(sources, columns, tuple(dict.fromkeys(absent))))


def _moved(prior: FitResult, source: Source, part: float) -> FitResult:
    """The prior with this part of the change by a source, as now stated; the prior itself where there is none."""
    if prior.budget is None:
        return prior
    index = [at for at, one in enumerate(prior.budget.sources) if one.uid == source.uid and one.standard]
    if not index:
        return prior
    larger = source.standard / prior.budget.sources[index[0]].standard
    return replace(prior, values=prior.values + part * larger * prior.budget.columns[:, index[0]])
