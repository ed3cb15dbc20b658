"""Commands that show runs, their events and calibrations."""

import json
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from labnis.cli.options import STATION, DataOption, JsonOption, StationOption
from labnis.errors import RequestError
from labnis.experiment.opening import ledger_of
from labnis.experiment.run import stored_fits
from labnis.fit import Estimate
from labnis.ledger import Calibration
from labnis.station import load_station
from labnis.storage import find_run, list_runs, read_events, read_metadata
from labnis.ui.figures import draw_runs
from labnis.ui.terminal import listed, shown

__all__ = ["calibrations", "log", "ls", "show"]

_SHOWN = (
    "status", "reason", "rows", "start", "end", "cooldown", "tags", "note", "git_commit", "git_dirty", "host",
)  # fmt: skip


def ls(
    station: StationOption = STATION,
    data: DataOption = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Only runs with this tag; may be given again.")] = None,
) -> None:
    """List the runs in the data folder."""
    folder = data or load_station(station).data
    table = Table(box=None, padding=(0, 1, 0, 0))  # seven columns in the 80 characters of a narrow terminal
    found = list_runs(folder, tags=tag or ())
    tagged = ("tags",) if any(summary.tags for summary in found) else ()
    for heading in ("run", "start", "procedure", "cooldown", "rows", "status", "simulated", *tagged):
        table.add_column(heading, no_wrap=heading not in ("cooldown", "status", "tags"), overflow="fold")
    for summary in found:
        start = summary.start.strftime("%Y-%m-%d %H:%M:%S") if summary.start else ""
        status = summary.status if summary.status != "unreadable" else f"unreadable: {summary.reason}"
        simulated = {True: "simulated", False: "", None: "?"}[summary.simulated]
        texts = [summary.run_id, start, summary.procedure, summary.cooldown, str(summary.rows), status, simulated]
        texts += [" ".join(summary.tags) for _ in tagged]
        table.add_row(*(escape(shown(text)) for text in texts))
    Console().print(table)


def show(
    runs: Annotated[list[str], typer.Argument(help="Path, id or beginning of an id of each run.")],
    station: StationOption = STATION,
    data: DataOption = None,
    figure: Annotated[Path | None, typer.Option("--figure", help="Draw the runs into this PNG, PDF or SVG.")] = None,
) -> None:
    """Show a run's metadata, conditions and fits."""
    folder = data or load_station(station).data
    paths = [find_run(folder, text) for text in runs]
    if figure is not None and figure.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise RequestError(f"--figure {figure}: the name must end with .png, .pdf or .svg")
    for path in paths:
        _show_run(path)
    if figure is not None:
        try:
            draw_runs(paths, figure)
        except OSError as error:
            raise RequestError(f"--figure {figure}: cannot be written: {error.strerror or error}") from error
        typer.echo(f"figure: {figure}")


def log(
    run: Annotated[str, typer.Argument(help="Path, id or beginning of an id of the run.")],
    station: StationOption = STATION,
    data: DataOption = None,
) -> None:
    """Show the events of a run: interlocks, faults, pauses, resumptions, warnings."""
    path = find_run(data or load_station(station).data, run)
    events = read_events(path)
    if not events:
        typer.echo("no events")
    for event in events:
        details = f"  {listed(dict(event.details))}" if event.details else ""
        times = f"  ({event.count} times until {event.last.astimezone():%Y-%m-%d %H:%M:%S})" if event.last else ""
        when = f"{event.time.astimezone():%Y-%m-%d %H:%M:%S}"
        typer.echo(shown(f"{when}  {event.kind}: {event.message}{details}{times}"))


def calibrations(
    station: StationOption = STATION,
    data: DataOption = None,
    cooldown: Annotated[str | None, typer.Option("--cooldown", help="Only this cooldown.")] = None,
    quantity: Annotated[str | None, typer.Option("--quantity", help="Only this quantity.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the calibrations in the ledger, each with its cooldown, run, model and code version."""
    found = ledger_of(load_station(station), data).calibrations(cooldown=cooldown, quantity=quantity)
    if as_json:
        typer.echo(json.dumps([asdict(c) for c in found], default=str))
        return
    for _, batch in groupby(found, key=lambda c: c.batch):
        _show_batch(list(batch))


def _show_run(path: Path) -> None:
    metadata = read_metadata(path)
    mark = "SIMULATED " if metadata["simulated"] else ""
    title = f"[bold]{mark}{escape(shown(metadata['procedure']))} {metadata['run_id']}[/]"
    Console().print(title, highlight=False)
    for key in _SHOWN:
        if metadata.get(key) not in (None, "", []):
            typer.echo(f"  {key}: {shown(metadata[key])}")
    typer.echo(f"  parameters: {shown(listed(metadata['parameters']))}")
    typer.echo(f"  wiring: {listed(metadata['wiring'])}")
    for event in read_events(path):
        if event.kind == "visa" and "record" in event.details:
            typer.echo(f"  VISA record: {event.details['record']}")
    fits, problems = stored_fits(path)
    for fit in fits.values():
        typer.echo(fit.report())
    for name, problem in problems.items():
        typer.echo(f"  no fit ({name}): {problem}")
    typer.echo(f"  file: {path}")


def _show_batch(batch: list[Calibration]) -> None:
    """The results of one command: cooldown, time and code once, then a row per quantity."""
    first = batch[0]
    when = first.created.astimezone().strftime("%Y-%m-%d %H:%M")
    mark = ", SIMULATED" if first.simulated else ""
    device = f"{escape(shown(first.device))}, " if first.device else ""
    title = f"{device}{escape(shown(first.cooldown))}, {when}, labnis {first.code_version}{mark}"
    table = Table("quantity", "value ± σ", "run", "model", title=title, title_justify="left")
    for c in batch:
        table.add_row(c.quantity.replace("_", " "), str(Estimate(c.value, c.sigma, c.unit)), c.run_id, c.model)
    Console().print(table)
