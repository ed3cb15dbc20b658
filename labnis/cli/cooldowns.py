"""Commands for cooldowns: `start`, `end`, `list`."""

from typing import Annotated

import typer
from rich.table import Table

from labnis.cli.options import STATION, DataOption, JsonOption, StationOption
from labnis.errors import RequestError
from labnis.ledger import InvalidEntryError
from labnis.ledger.of_station import ledger_of, own_ledger_of
from labnis.station import load_station
from labnis.ui.output import cells, minute, print_table, say, say_json

__all__ = ["cooldown"]

cooldown = typer.Typer(
    help="Cooldowns of the station's device; every calibration belongs to one.",
    no_args_is_help=True,
    add_completion=False,
)


@cooldown.command("start")
def start(
    name: Annotated[str, typer.Argument(help="Name of the new cooldown; the previous one ends.")],
    note: Annotated[str, typer.Option("--note", help="Free comment.")] = "",
    station: StationOption = STATION,
    data: DataOption = None,
) -> None:
    """Start a cooldown of the station's device.

    Later calibrations belong to it.
    """
    try:
        started = own_ledger_of(load_station(station), data).start_cooldown(name, note=note)
    except InvalidEntryError as error:
        raise RequestError(str(error)) from error
    say(f"cooldown {started.name} started")


@cooldown.command("end")
def end(station: StationOption = STATION, data: DataOption = None) -> None:
    """End the current cooldown of the station's device."""
    own_ledger_of(load_station(station), data).end_cooldown()
    say("cooldown ended")


@cooldown.command("list")
def list_all(station: StationOption = STATION, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List the cooldowns of all devices in the ledger, the newest last."""
    found = ledger_of(load_station(station), data).cooldowns()
    if as_json:
        say_json(found)
        return
    table = Table("cooldown", "device", "started", "ended", "note")
    for c in found:
        ended = minute(c.ended) if c.ended else "current"
        times = (minute(c.started), ended) if c.started != c.ended else ("", "")  # never begun with this ledger
        table.add_row(*cells([c.name, c.device, *times, c.note]))
    print_table(table)
