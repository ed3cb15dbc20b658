"""What the shipped analyses have in common: the budget of a fit, from the model at data that err a little."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import xarray
from numpy.typing import NDArray

from labnis.accuracy import Source
from labnis.fit.context import FitContext
from labnis.fit.effects import changed_by, unstated_ranges
from labnis.fit.estimate import number_text
from labnis.fit.junction._line import GAIN, LINE
from labnis.fit.parameters import Given
from labnis.fit.propagation import Evaluated, changed_size, with_budget
from labnis.fit.result import FitResult

__all__ = ["BudgetedAnalysis", "Predictions", "Priors", "with_given_told", "with_line_as_fitted"]

# A σ is larger than another one by this factor.
_LARGER = 1.1

Priors = Mapping[str, FitResult]
Predictions = dict[str, NDArray[Any]]


class BudgetedAnalysis:
    """Common parts of the shipped analyses.

    Attributes
    ----------
    name
        Name of the fit in the run's file.
    results
        Parameters of the fit that are results: name → unit.
    parameters
        Parameters of the fit that may be held or given: name → unit.
    needs
        Names of the analyses whose fits are the priors.
    secondary
        Whether the results are published as `name.result` and never used as a prior.
    of_device
        Results that no cooldown changes: where one has changed, it may be another device.

    """

    name: ClassVar[str]
    results: ClassVar[Mapping[str, str]]
    parameters: ClassVar[Mapping[str, str]]
    needs: ClassVar[tuple[str, ...]] = ()
    secondary: ClassVar[bool] = False
    of_device: ClassVar[tuple[str, ...]] = ()

    def evaluated(
        self, fit: FitResult, data: xarray.Dataset, context: FitContext, priors: Priors, like: Evaluated | None = None
    ) -> Evaluated:
        """Return the model of a `fit` at `data`: those it was made of, or others `like` them that differ a little."""
        raise NotImplementedError

    def without_noise(self, fit: FitResult, data: xarray.Dataset, measured: Evaluated) -> xarray.Dataset:
        """Return `data` in which expected values replace measured ones: an error of a gain must not scale noise.

        `measured` is the model of the `fit` at the data.
        """
        predicted = self.predict(fit, data)
        return data.assign({name: (data[name].dims, values) for name, values in predicted.items()})

    def predict(self, fit: FitResult, data: xarray.Dataset) -> Predictions:
        """Return the expected values by column, in the shape of the columns of the data."""
        raise NotImplementedError

    def budgeted(self, fit: FitResult, data: xarray.Dataset, context: FitContext, priors: Priors) -> FitResult:
        """Return a `fit`, made here from `data`, with the budget of what is stated in the `context`."""
        measured = self.evaluated(fit, data, context, priors)
        quiet = self.without_noise(fit, data, measured)
        used = [] if measured.prior is None else [measured.prior]
        expected = self.evaluated(fit, quiet, context, priors, measured)
        assumptions, changed = self.assumptions(context), {}
        in_prior = {source.uid for source in assumptions}
        for source in (one for one in context.sources or () if one.uid not in in_prior):
            size, pair = changed_size(source), []
            for change in (size, -size):
                if (one := changed_by(source, change, quiet, context)) is None:
                    break
                pair.append(self.evaluated(fit, one, context, priors, measured))
            else:
                changed[source] = pair[0], pair[1]
        absent = (*context.unstated, *unstated_ranges(context.sources or (), data, context))
        found = with_budget(fit, measured, expected, changed, used, assumptions, absent=absent)
        return with_given_told(found, context.given)

    def assumptions(self, context: FitContext) -> Mapping[Source, Mapping[str, float]]:
        """Sources that the prior of the fit contains itself, and what one standard uncertainty changes in it."""
        return {}

    def truth(self, truth: Mapping[str, float]) -> dict[str, float]:
        """Select the true values of the results from those of a simulated fridge, as far as it states them."""
        return {name: truth[name] for name in self.results if name in truth}


def with_given_told(fit: FitResult, given: Given) -> FitResult:
    """The fit with notes on values that are `given` more precisely than it says in the end."""
    known = {name: sigma for name, (_, sigma) in given.items() if name in fit.free}
    notes = [
        f"{name} is given ± {number_text(sigma, fit[name].unit)} and was weighed against the noise of the data alone: "
        "what is stated of the instruments moves it by more; hold it, if the given value is to count"
        for name, sigma in known.items()
        if fit[name].sigma > _LARGER * sigma
    ]
    return replace(fit, notes=(*fit.notes, *notes))


def with_line_as_fitted(fit: FitResult) -> FitResult:
    """The fit with its budget; of the errors of series resistance and lock-in that it measures nothing stated is one.

    The first is true minus stated, the second what the lock-in reads too much.
    """
    if fit.budget is None:
        return fit
    columns = fit.budget.columns.copy()
    for name, acts_on, sign in ((LINE, "series_resistance", 1), (GAIN, "conductance.gain", -1)):
        for at, source in enumerate(fit.budget.sources):
            if name in fit.names and source.acts_on == acts_on:
                columns[fit.names.index(name), at] += sign * source.standard
    return replace(fit, budget=replace(fit.budget, columns=columns))
