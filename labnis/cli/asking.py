"""The command that lists what can be measured: `procedures`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from labnis.cli.options import STATION, JsonOption, StationOption
from labnis.experiment.parameter_list import DescribedProcedure, described
from labnis.experiment.request import find_procedure, procedure_names
from labnis.station import load_station
from labnis.ui.output import cells, print_table, say, say_json

__all__ = ["procedures"]


def procedures(
    names: Annotated[
        list[str] | None, typer.Argument(help="Only these: names, or dotted paths to a lab's own procedures.")
    ] = None,
    station: StationOption = STATION,
    as_json: JsonOption = False,
) -> None:
    """List the procedures and their parameters, with units, defaults and limits."""
    if station != STATION or Path(station).is_file():
        load_station(station)  # makes the lab's own packages importable
    found = [described(find_procedure(name)) for name in names or procedure_names()]
    if as_json:
        say_json(found)
        return
    for one in found:
        _show(one)


def _show(procedure: DescribedProcedure) -> None:
    say(f"{procedure.name}: {procedure.summary}")
    table = Table("parameter", "default", "allowed", "meaning")
    for one in procedure.parameters:
        table.add_row(*cells([one.name, one.default_text, one.allowed, one.meaning]))
    print_table(table)
    say("")
