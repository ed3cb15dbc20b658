"""The command that shows what the uncertainty of each result is made of."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import typer
from rich.table import Table

from labnis.accuracy import Budget
from labnis.cli.options import STATION, DataOption, JsonOption, StationOption
from labnis.errors import RequestError
from labnis.experiment.run import Run, stored_run
from labnis.fit import Estimate, FitResult, number_text
from labnis.station import load_station
from labnis.storage import find_run
from labnis.ui.output import cells, encodable, print_table, say, say_json

__all__ = ["budget"]

# Contributions below this part of σ are shown as 0.
_SMALLEST = 1e-3


class _Budgeted(NamedTuple):
    """A fit with a budget: published name → parameter of the fit."""

    fit: FitResult
    budget: Budget
    names: Mapping[str, str]

    @property
    def estimates(self) -> dict[str, Estimate]:
        """Published name → estimate."""
        return {name: self.fit[parameter] for name, parameter in self.names.items()}

    @property
    def contributions(self) -> list[list[float]]:
        """For each source its contribution to each result, with its sign."""
        index = [self.fit.names.index(parameter) for parameter in self.names.values()]
        rows: list[list[float]] = self.budget.columns[index].T.tolist()
        return rows


def budget(
    run: Annotated[str, typer.Argument(help="Path, id or beginning of an id of the run.")],
    station: StationOption = STATION,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what one standard uncertainty of each source contributes to the results of a run."""
    found = _budgeted(stored_run(find_run(data or load_station(station).data, run)))
    if as_json:
        say_json({analysis: _record(one) for analysis, one in found.items()})
        return
    for analysis, one in found.items():
        say(f"{analysis}: change of each result by one standard uncertainty u of each source")
        print_table(_table(one))
        for text in one.budget.absent:
            say(f"not in the budget: {text}")


def _budgeted(run: Run) -> dict[str, _Budgeted]:
    """Analysis → its fit, of those that have a budget; RequestError if none has."""
    named = run.metadata["context"].get("results", {})
    found = {
        analysis: _Budgeted(
            fit, fit.budget, {shown: name for shown, (owner, name) in named.items() if owner == analysis}
        )
        for analysis, fit in run.fits.items()
        if fit.budget is not None
    }
    if not found:
        nobody = "neither labnis.uncertainty of its station file nor its analyses (budget_by_refit) stated any"
        why = nobody if run.fits else "it has no fit"
        raise RequestError(f"{run.path}: no budget of systematic uncertainty: {why}")
    return found


def _table(one: _Budgeted) -> Table:
    estimates = [*one.estimates.values()]
    table = Table("source", "u")
    for name, estimate in one.estimates.items():
        # σ and contributions are those of the likeliest value, from which the limit is made.
        limit = f" {estimate}" if estimate.limit is not None else ""
        table.add_column(encodable(name.replace("_", " ") + limit), justify="right")

    def row(label: str, standard: str, values: Sequence[float], sign: str = "") -> None:
        texts = [
            (sign if value > 0 else "") + number_text(value, estimate.unit)
            if abs(value) > _SMALLEST * estimate.sigma
            else "0"
            for value, estimate in zip(values, estimates, strict=True)
        ]
        table.add_row(*cells([label, standard, *texts]))

    row("noise", "", [estimate.statistical for estimate in estimates])
    for source, values in zip(one.budget.sources, one.contributions, strict=True):
        if any(abs(value) > _SMALLEST * estimate.sigma for value, estimate in zip(values, estimates, strict=True)):
            row(source.label, number_text(source.standard, source.unit), values, "+")
    row("systematic", "", [estimate.systematic or 0.0 for estimate in estimates])
    row(encodable("σ"), "", [estimate.sigma for estimate in estimates])
    return table


def _record(one: _Budgeted) -> dict[str, Any]:
    by_source = [dict(zip(one.names, values, strict=True)) for values in one.contributions]
    sources = (
        source.as_record() | {"contributions": c} for source, c in zip(one.budget.sources, by_source, strict=True)
    )
    return {
        "results": {name: estimate.as_record() for name, estimate in one.estimates.items()},
        "sources": list(sources),
        "absent": list(one.budget.absent),
    }
