"""The command that shows what the uncertainty of each result is made of."""

from typing import Annotated, Any

import typer
from rich.table import Table

from labnis.cli.options import STATION, DataOption, JsonOption, StationOption, folder_of
from labnis.errors import RequestError
from labnis.experiment.run import stored_run
from labnis.ledger.of_station import doubts_by_fit
from labnis.storage import find_run
from labnis.ui.budget_rows import Budgeted, budgeted
from labnis.ui.output import cells, encodable, print_table, say, say_json

__all__ = ["budget"]


def budget(
    run: Annotated[str, typer.Argument(help="Path, id or beginning of an id of the run.")],
    station: StationOption = STATION,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what one standard uncertainty of each source contributes to the results of a run."""
    stored = stored_run(find_run(folder_of(station, data, [run]), run))
    stored = stored.doubted(doubts_by_fit(station, data, stored.path, stored.warnings))
    found = budgeted(stored)
    if not found:
        nobody = "neither labnis.uncertainty of its station file nor its analyses (budget_by_refit) stated any"
        why = nobody if stored.fits else "it has no fit"
        raise RequestError(f"{stored.path}: no budget of systematic uncertainty: {why}")
    if as_json:
        say_json({analysis: _record(one) for analysis, one in found.items()})
        return
    for analysis, one in found.items():
        say(f"{analysis}: change of each result by one standard uncertainty u of each source")
        print_table(_table(one))
        for text in one.fit.warnings:
            say(f"?: {text}")
        for text in one.budget.absent:
            say(f"not in the budget: {text}")


def _table(one: Budgeted) -> Table:
    table = Table(*one.headings[:2])
    for heading in one.headings[2:]:
        table.add_column(encodable(heading), justify="right")
    for row in one.rows:
        table.add_row(*cells([encodable(row[0]), *row[1:]]))
    return table


def _record(one: Budgeted) -> dict[str, Any]:
    by_source = [dict(zip(one.names, values, strict=True)) for values in one.contributions]
    sources = (
        source.as_record() | {"contributions": c} for source, c in zip(one.budget.sources, by_source, strict=True)
    )
    return {
        "results": {name: estimate.as_record() for name, estimate in one.estimates.items()},
        "sources": list(sources),
        "absent": list(one.budget.absent),
        "warnings": list(one.fit.warnings),
    }
