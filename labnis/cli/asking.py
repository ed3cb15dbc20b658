"""The command that lists what can be measured: `procedures`."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from labnis.cli.options import STATION, JsonOption, StationOption
from labnis.experiment.lab_procedures import lab_procedures
from labnis.experiment.parameter_list import DescribedProcedure, described
from labnis.experiment.request import find_procedure, procedure_names
from labnis.station import StationConfig, load_station
from labnis.station.packages import syntax_errors
from labnis.ui.output import cells, print_table, say, say_json

__all__ = ["procedures"]


def procedures(
    names: Annotated[
        list[str] | None, typer.Argument(help="Only these: names, or dotted paths to a lab's own procedures.")
    ] = None,
    station: StationOption = STATION,
    as_json: JsonOption = False,
) -> None:
    """List the procedures and their parameters, with units, defaults and limits.

    Also those that the packages of the station file declare.
    """
    config = None
    lab: list[str] = []
    if station != STATION or Path(station).is_file():
        config = load_station(station)  # which makes the lab's own packages importable
        lab = [] if names else lab_procedures(config)
    found = [_described(name, config) for name in names or procedure_names()]
    found += _described_if_possible(lab)
    for error in syntax_errors(config.path.parent, config.packages) if config is not None and not names else ():
        say(f"labnis: {error}; its procedures are not listed", err=True)
    if as_json:
        say_json(found)
        return
    for one in found:
        _show(one)


def _described(name: str, station: StationConfig | None = None) -> DescribedProcedure:
    return replace(described(find_procedure(name, station)), name=name)


def _described_if_possible(names: list[str]) -> Iterator[DescribedProcedure]:
    """The lab's own procedures by dotted name; one that cannot be imported is told, and does not hide the others."""
    for name in names:
        try:
            yield _described(name)
        except Exception as error:  # noqa: BLE001  # a lab's own class may fail in any way
            say(f"labnis: {name} is not listed: {error}", err=True)


def _show(procedure: DescribedProcedure) -> None:
    say(f"{procedure.name}: {procedure.summary}")
    table = Table("parameter", "default", "allowed", "meaning")
    for one in procedure.parameters:
        table.add_row(*cells([one.name, one.default_text, one.allowed, one.meaning]))
    print_table(table)
    say("")
