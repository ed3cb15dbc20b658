"""Commands that ask the ledger what was valid when, what depends on what, and mark calibrations."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from labnis.cli.calibrations import record_of, shown_estimate, shown_mark
from labnis.cli.options import STATION, DataOption, JsonOption, SimulatedOption, StationOption, moment
from labnis.errors import RequestError
from labnis.fit import number_text
from labnis.ledger import Calibration, Ledger, Validity, dependants, grounds, valid_at, validities
from labnis.ledger.of_station import ledger_of
from labnis.station import StationConfig, load_station
from labnis.storage import read_metadata
from labnis.ui.output import cells, encodable, minute, print_table, say, say_json

__all__ = ["ledger", "shown_error"]

ledger = typer.Typer(
    help="What was valid when, what depends on what; revoke calibrations, and note something on them.",
    no_args_is_help=True,
    add_completion=False,
)

DeviceOption = Annotated[str | None, typer.Option("--device", help="Only this device.")]
CooldownOption = Annotated[str | None, typer.Option("--cooldown", help="Only this cooldown.")]
Number = Annotated[int, typer.Argument(help="Number of the calibration.")]


def _asked(config: StationConfig, opened: Ledger, *, simulated: bool, **wanted: str | None) -> list[Validity]:
    """Validities of the calibrations that are `wanted`: device, cooldown, quantity; None for any."""
    cooldowns = opened.cooldowns()
    for what, places in ("device", {c.device for c in cooldowns}), ("cooldown", {c.name for c in cooldowns}):
        if (name := wanted.get(what)) is not None and name not in places:
            there = ", ".join(sorted(places)) or "none"
            raise RequestError(f"--{what} {name!r}: no such {what} in the ledger {opened.url}; there are {there}")
    every = validities(opened.calibrations(simulated=simulated), cooldowns, config.valid_for, datetime.now(UTC))
    known = sorted({one.calibration.quantity for one in every})
    if (quantity := wanted.get("quantity")) is not None and quantity not in known:
        kind = "simulated runs" if simulated else "real runs (--simulated for the others)"
        there = ", ".join(known) or "none"
        raise RequestError(f"no calibration of {quantity!r} of {kind} in the ledger {opened.url}; there are {there}")
    return [
        one
        for one in every
        if all(value is None or getattr(one.calibration, name) == value for name, value in wanted.items())
    ]


@ledger.command("history")
def history(
    quantity: Annotated[str, typer.Argument(help="Name of a result, such as gain.")],
    station: StationOption = STATION,
    data: DataOption = None,
    device: DeviceOption = None,
    cooldown: CooldownOption = None,
    simulated: SimulatedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show all calibrations of a quantity, and how it changed.

    E_n is the difference over its expanded uncertainty (k = 2), in which what both have in common cancels; beyond 1
    the quantity has changed, or an assumption is wrong.
    """
    config = load_station(station)
    opened = ledger_of(config, data)
    found = _asked(config, opened, simulated=simulated, device=device, cooldown=cooldown, quantity=quantity)
    notes = opened.notes()
    if as_json:
        say_json(
            [
                _record(one) | {"notes": [asdict(text) for text in notes.get(one.calibration.number, [])]}
                for one in found
            ]
        )
        return
    _print(found, "number", "measured", "value ± σ", "E_n", "run", "until")
    for one in found:
        for note in notes.get(one.calibration.number, []):
            say(f"note on {one.calibration.number}, {minute(note.written)}: {note.text}")


@ledger.command("at")
def at(
    time: Annotated[str, typer.Argument(help="Date, or date and time, such as 2026-11-03T12:00 (local time).")],
    station: StationOption = STATION,
    data: DataOption = None,
    device: DeviceOption = None,
    cooldown: CooldownOption = None,
    simulated: SimulatedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show what was valid at a time."""
    asked, config = moment(time), load_station(station)
    every = _asked(config, ledger_of(config, data), simulated=simulated, device=device, cooldown=cooldown)
    found = valid_at(every, asked)
    if as_json:
        say_json([_record(one) for one in found])
        return
    if not found:
        say(f"nothing was valid at {minute(asked)}", err=True)
        return
    _print(found, "number", "quantity", "value ± σ", "noise", "systematic", "measured", "run", "until")


@ledger.command("uses")
def uses(
    run: Annotated[str, typer.Argument(help="Id of a run, or its file.")],
    station: StationOption = STATION,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the calibrations that the fits of a run needed.

    Also those that these needed in turn.
    """
    opened = ledger_of(load_station(station), data)
    every = opened.calibrations()
    if Path(run).is_file():
        run = read_metadata(Path(run))["run_id"]
    named = {c.run_id for c in every if run == c.run_id} or {c.run_id for c in every if c.run_id.startswith(run)}
    if len(named) != 1:
        candidates = ", ".join(sorted(named)) or "none"
        raise RequestError(
            f"{run!r} names no run with calibrations in the ledger {opened.url}; candidates: {candidates}"
        )
    (run_id,) = named
    found = grounds(every, [c for c in every if c.run_id in named])
    _show(found, as_json=as_json, nothing=f"the fits of run {run_id} needed no other")


@ledger.command("used-by")
def used_by(
    number: Number, station: StationOption = STATION, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Show what depends on a calibration.

    These are the calibrations whose fits needed its fit, and those that needed these in turn.
    """
    opened = ledger_of(load_station(station), data)
    found = dependants(opened.calibrations(), [opened.calibration(number)])
    _show(found, as_json=as_json, nothing=f"no fit needed that of calibration {number}")


@ledger.command("revoke")
def revoke(
    number: Number,
    why: Annotated[str, typer.Option("--why", help="What is wrong with it.")],
    station: StationOption = STATION,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Revoke a calibration, with all results of its fit.

    They were never valid then, and are no priors. What depends on it is told, and in doubt until it is fitted again
    with another one.
    """
    opened = ledger_of(load_station(station), data)
    found = opened.revoke(number, why)
    dependent = dependants(opened.calibrations(), found)
    if as_json:
        say_json({"revoked": [record_of(c) for c in found], "dependent": [record_of(c) for c in dependent]})
        return
    say(f"revoked: {', '.join(f'{c.quantity} ({c.number})' for c in found)}")
    if dependent:
        say("their fits needed it, and are in doubt now:")
        _show(dependent, as_json=False, nothing="")


@ledger.command("note")
def note(
    number: Number,
    text: Annotated[str, typer.Argument(help="The note.")],
    station: StationOption = STATION,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a note on a calibration.

    `history` shows it.
    """
    opened = ledger_of(load_station(station), data)
    opened.add_note(number, text)
    if as_json:
        notes = [asdict(one) for one in opened.notes()[number]]
        say_json(record_of(opened.calibration(number)) | {"notes": notes})
    else:
        say(f"noted on {number}")


def _show(found: Sequence[Calibration], *, as_json: bool, nothing: str) -> None:
    if as_json:
        say_json([record_of(c) for c in found])
        return
    if not found:
        say(nothing)
        return
    every = [Validity(c, None, "") for c in found]
    _print(every, "number", "quantity", "value ± σ", "measured", "run")


def shown_error(error: float) -> str:
    """E_n with a mark beyond 1; empty where there is none."""
    return "" if math.isnan(error) else f"{error:.2g}{' !' if error > 1 else ''}"


def _part(c: Calibration, *, systematic: bool) -> str:
    """One of the two parts of σ; empty where it is not stated, or of a limit."""
    if c.systematic is None or c.sigma is None:
        return ""
    estimate = shown_estimate(c)
    return number_text(c.systematic if systematic else estimate.statistical, c.unit)


def _until(one: Validity) -> str:
    if one.until is None:
        return "now"
    if one.until == one.calibration.measured:
        return f"never: {one.ended_by}"
    return f"{minute(one.until)}, {one.ended_by}"


_CELLS: dict[str, Callable[[Validity], object]] = {
    "number": lambda one: one.calibration.number,
    "quantity": lambda one: one.calibration.quantity + shown_mark(one.calibration),
    "noise": lambda one: _part(one.calibration, systematic=False),
    "systematic": lambda one: _part(one.calibration, systematic=True),
    "measured": lambda one: minute(one.calibration.measured),
    "value ± σ": lambda one: shown_estimate(one.calibration),
    "E_n": lambda one: shown_error(one.error),
    "run": lambda one: one.calibration.run_id,
    "until": _until,
}
"""Heading of a column → its cell."""


def _print(found: Sequence[Validity], *headings: str) -> None:
    """A table for each device and cooldown, with their names above it; numbers are not folded."""

    def place(one: Validity) -> tuple[str, str]:
        return one.calibration.device, one.calibration.cooldown

    for where, group in groupby(sorted(found, key=place), key=place):
        say(", ".join(filter(None, where)))
        table = Table(box=None, padding=(0, 1, 0, 0))
        for heading in headings:
            folded = heading in ("quantity", "measured", "until")
            table.add_column(encodable(heading), no_wrap=not folded, overflow="fold")
        for one in group:
            table.add_row(*cells([_CELLS[heading](one) for heading in headings]))
        print_table(table)


def _record(one: Validity) -> dict[str, Any]:
    rest = {name: value for name, value in asdict(one).items() if name != "calibration"}
    return record_of(one.calibration) | rest
