"""Commands that ask the ledger what was valid when, what depends on what, and mark calibrations."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from labnis.cli.calibrations import record_of, shown_estimate
from labnis.cli.options import STATION, DataOption, JsonOption, SimulatedOption, StationOption
from labnis.errors import RequestError
from labnis.ledger import Calibration, Ledger, Validity, valid_at, validities
from labnis.ledger.of_station import ledger_of
from labnis.station import load_station
from labnis.ui.output import cells, encodable, print_table, say, say_json

__all__ = ["ledger"]

ledger = typer.Typer(
    help="What was valid when, what depends on what; revoke calibrations, and note something on them.",
    no_args_is_help=True,
    add_completion=False,
)

DeviceOption = Annotated[str | None, typer.Option("--device", help="Only this device.")]
CooldownOption = Annotated[str | None, typer.Option("--cooldown", help="Only this cooldown.")]
Number = Annotated[int, typer.Argument(help="Number of the calibration.")]


@dataclass(frozen=True)
class _Asked:
    """A ledger, and the validities of what was asked for."""

    ledger: Ledger
    found: list[Validity]


def _asked(
    station: Path, data: Path | None, device: str | None, cooldown: str | None, *, simulated: bool, quantity: str | None
) -> _Asked:
    config = load_station(station)
    opened = ledger_of(config, data)
    every = validities(
        opened.calibrations(simulated=simulated), opened.cooldowns(), config.valid_for, datetime.now(UTC)
    )
    known = sorted({one.calibration.quantity for one in every})
    if quantity is not None and quantity not in known:
        kind = "simulated runs" if simulated else "real runs (--simulated for the others)"
        there = ", ".join(known) or "none"
        raise RequestError(f"no calibration of {quantity!r} of {kind} in the ledger {opened.url}; there are {there}")
    wanted = {"device": device, "cooldown": cooldown, "quantity": quantity}
    found = [
        one
        for one in every
        if all(value is None or getattr(one.calibration, name) == value for name, value in wanted.items())
    ]
    return _Asked(opened, found)


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
    asked = _asked(station, data, device, cooldown, simulated=simulated, quantity=quantity)
    if as_json:
        say_json([_record(one) for one in asked.found])
        return
    notes = asked.ledger.notes()
    columns = ("number", "measured", encodable("value ± σ"), "E_n", "run", "until")
    for place, group in _by_place(asked.found):
        rows = [
            (c.number, _local(c.measured), shown_estimate(c), _error(one), c.run_id, _until(one))
            for one, c in ((one, one.calibration) for one in group)
        ]
        _print(place, columns, rows)
    for one in asked.found:
        for note in notes.get(one.calibration.number, []):
            say(f"note on {one.calibration.number}, {_local(note.written)}: {note.text}")


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
    moment = _moment(time)
    asked = _asked(station, data, device, cooldown, simulated=simulated, quantity=None)
    found = valid_at(asked.found, moment)
    if as_json:
        say_json([_record(one) for one in found])
        return
    if not found:
        say(f"nothing was valid at {_local(moment)}", err=True)
        return
    columns = ("number", "quantity", encodable("value ± σ"), "measured", "run", "until")
    for place, group in _by_place(found):
        rows = [
            (c.number, c.quantity, shown_estimate(c), _local(c.measured), c.run_id, _until(one))
            for one, c in ((one, one.calibration) for one in group)
        ]
        _print(place, columns, rows)


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
    named = {c.run_id for c in every if run in (c.run_id, c.run_path)} or {
        c.run_id for c in every if c.run_id.startswith(run)
    }
    if len(named) != 1:
        candidates = ", ".join(sorted(named)) or "none"
        raise RequestError(
            f"{run!r} names no run with calibrations in the ledger {opened.url}; candidates: {candidates}"
        )
    (run_id,) = named
    found, wanted = list[Calibration](), named
    while wanted:
        needed = {tuple(pair) for c in every if c.run_id in wanted and c.used for pair in json.loads(c.used)}
        new = [c for c in every if (c.analysis, c.run_id) in needed and c not in found]
        found += new
        wanted = {c.run_id for c in new}
    _show(found, as_json=as_json, nothing=f"the fits of run {run_id} needed no other")


@ledger.command("used-by")
def used_by(
    number: Number, station: StationOption = STATION, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Show what depends on a calibration.

    These are the calibrations whose fits needed its fit, and those that needed these in turn.
    """
    opened = ledger_of(load_station(station), data)
    found = _dependants(opened.calibrations(), [opened.calibration(number)])
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

    They were never valid then, and are no priors. What depends on it is told; it stays as it is until it is refitted
    or revoked, too.
    """
    opened = ledger_of(load_station(station), data)
    found = opened.revoke(number, why)
    dependent = _dependants(opened.calibrations(), found)
    if as_json:
        say_json({"revoked": [record_of(c) for c in found], "dependent": [record_of(c) for c in dependent]})
        return
    say(f"revoked: {', '.join(f'{c.quantity} ({c.number})' for c in found)}")
    if dependent:
        say("their fits needed it:")
        _show(dependent, as_json=False, nothing="")


@ledger.command("note")
def note(
    number: Number,
    text: Annotated[str, typer.Argument(help="The note.")],
    station: StationOption = STATION,
    data: DataOption = None,
) -> None:
    """Write a note on a calibration.

    `history` shows it.
    """
    ledger_of(load_station(station), data).add_note(number, text)
    say(f"noted on {number}")


def _dependants(every: Sequence[Calibration], of: Sequence[Calibration]) -> list[Calibration]:
    """Those of `every` calibration whose fits needed one of these, or one that did."""
    found, needed = list[Calibration](), {(c.analysis, c.run_id) for c in of}
    while needed:
        new = [c for c in every if c.used and c not in found and needed & {tuple(pair) for pair in json.loads(c.used)}]
        found += new
        needed = {(c.analysis, c.run_id) for c in new}
    return found


def _show(found: Sequence[Calibration], *, as_json: bool, nothing: str) -> None:
    if as_json:
        say_json([record_of(c) for c in found])
        return
    if not found:
        say(nothing)
        return
    columns = ("number", "quantity", encodable("value ± σ"), "measured", "run")
    for place, group in groupby(found, key=lambda c: (c.device, c.cooldown)):
        rows = [(c.number, _marked(c), shown_estimate(c), _local(c.measured), c.run_id) for c in group]
        _print(place, columns, rows)


def _by_place(found: Sequence[Validity]) -> list[tuple[tuple[str, str], list[Validity]]]:
    """Device and cooldown → validities in them, by the time of measurement."""

    def place(one: Validity) -> tuple[str, str]:
        return one.calibration.device, one.calibration.cooldown

    return [(where, list(group)) for where, group in groupby(sorted(found, key=place), key=place)]


def _print(place: tuple[str, str], columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table below device and cooldown; numbers are not folded."""
    say(", ".join(filter(None, place)))
    table = Table(box=None, padding=(0, 1, 0, 0))
    for heading in columns:
        table.add_column(heading, no_wrap=heading not in ("quantity", "measured", "until"), overflow="fold")
    for row in rows:
        table.add_row(*cells(list(row)))
    print_table(table)


def _marked(calibration: Calibration) -> str:
    return f"{calibration.quantity}{' (revoked)' if calibration.revoked is not None else ''}"


def _error(one: Validity) -> str:
    return "" if math.isnan(one.error) else f"{one.error:.2g}{' !' if one.error > 1 else ''}"


def _record(one: Validity) -> dict[str, Any]:
    rest = {name: value for name, value in asdict(one).items() if name != "calibration"}
    return record_of(one.calibration) | rest


def _until(one: Validity) -> str:
    if one.until is None:
        return "now"
    if one.until == one.calibration.measured:
        return f"never: {one.ended_by}"
    return f"{_local(one.until)}, {one.ended_by}"


def _local(time: datetime) -> str:
    return time.astimezone().strftime("%Y-%m-%d %H:%M")


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise RequestError(f"{text!r} is no date or time; write it as 2026-11-03 or 2026-11-03T12:00") from None
