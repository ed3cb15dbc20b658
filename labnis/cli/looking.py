"""Commands that show runs and their events. They import no library that measures, fits or draws."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from labnis.cli.options import (
    STATION,
    DataOption,
    JsonOption,
    StationOption,
    StyleOption,
    check_figure,
    folder_of,
    path_of,
)
from labnis.errors import RequestError
from labnis.experiment.stored_fits import stored_fits
from labnis.station import load_station
from labnis.station.explaining import UNITS
from labnis.storage import ESTIMATE, RunSummary, find_run, list_runs, read_events, read_metadata
from labnis.ui.output import cells, doubts_in_words, listed, print_table, say, say_json, worded

__all__ = ["log", "ls", "show"]

_SHOWN = (
    "status", "reason", "rows", "start", "end", "cooldown", "tags", "note", "git_commit", "git_dirty", "host",
)  # fmt: skip


def ls(
    station: StationOption = STATION,
    data: DataOption = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Only runs with this tag; may be given again.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the runs in the data folder."""
    folder = data or load_station(station).data
    found = list_runs(folder, tags=tag or ())
    if as_json:
        say_json(found)
    elif found:
        print_table(_runs_table(found))
    else:
        tagged = f" with the tag {' and '.join(tag)}" if tag else ""
        say(f"no runs{tagged} in {folder}", err=True)


def _runs_table(found: list[RunSummary]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0))  # seven columns in the 80 characters of a narrow terminal
    tagged = ("tags",) if any(summary.tags for summary in found) else ()
    for heading in ("run", "start", "procedure", "cooldown", "rows", "status", "simulated", *tagged):
        table.add_column(heading, no_wrap=heading in ("run", "start", "rows", "simulated"), overflow="fold")
    for summary in found:
        start = f"{summary.start.astimezone():%Y-%m-%d %H:%M:%S}" if summary.start else ""
        status = summary.status if summary.status != "unreadable" else f"unreadable: {summary.reason}"
        simulated = {True: "simulated", False: "", None: "?"}[summary.simulated]
        texts = [summary.run_id, start, summary.procedure, summary.cooldown, str(summary.rows), status, simulated]
        table.add_row(*cells([*texts, *(" ".join(summary.tags) for _ in tagged)]))
    return table


def show(
    runs: Annotated[list[str], typer.Argument(help="Path, id or beginning of an id of each run.")],
    station: StationOption = STATION,
    data: DataOption = None,
    figure: Annotated[
        Path | None,
        typer.Option("--figure", parser=path_of, metavar="FILE", help="Draw the runs into this PNG, PDF or SVG."),
    ] = None,
    style: StyleOption = None,
    column: Annotated[
        str | None, typer.Option("--column", metavar="NAME", help="Column for --figure, in place of the signal.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the metadata, conditions and fits of runs."""
    folder = folder_of(station, data, runs)
    paths = [find_run(folder, text) for text in runs]
    if figure is not None:
        check_figure(figure)
    elif style is not None or column is not None:
        raise RequestError("--style and --column are of the figure: give --figure FILE, too")
    doubts = {path: _doubts(path, station, data) for path in paths}
    if as_json:
        say_json([_run_record(path) | {"doubts": doubts_in_words(doubts[path])} for path in paths])
    else:
        for path in paths:
            _show_run(path, doubts_in_words(doubts[path]))
    if figure is not None:
        _draw(doubts, figure, style, column)
        say(f"figure: {figure}", err=as_json)


def _draw(
    doubts: Mapping[Path, Mapping[str, Sequence[str]]], figure: Path, style: Path | None, column: str | None
) -> None:
    from labnis.experiment.run import stored_run  # noqa: PLC0415  # as below
    from labnis.ui.figures import draw_runs  # noqa: PLC0415  # matplotlib is imported only to draw

    try:
        draw_runs([stored_run(path).doubted(texts) for path, texts in doubts.items()], figure, style, column)
    except OSError as error:
        raise RequestError(f"--figure {figure}: cannot be written: {error.strerror or error}") from error


def log(
    run: Annotated[str, typer.Argument(help="Path, id or beginning of an id of the run.")],
    station: StationOption = STATION,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the events of a run: interlocks, faults, pauses, resumptions, warnings, also of fits; and why it failed.

    --json has the events alone, those of live fits, too.
    """
    path = find_run(folder_of(station, data, [run]), run)
    events = read_events(path)
    if as_json:
        say_json(events)
        return
    metadata = read_metadata(path)
    done = metadata["status"] == "done"
    fits = stored_fits(path)[0]
    doubts = doubts_in_words(_doubts(path, station, data))
    warnings = [f"warning ({name}): {text}" for name, fit in fits.items() for text in fit.warnings]
    warnings += [f"in doubt (?): {text}" for text in doubts]
    # Live fits are for programs that watch a run; the fits at its end are better.
    events = [event for event in events if event.kind != ESTIMATE]
    if not events:
        calm = "nothing happened: " if done and not warnings else ""
        quiet = ", no warning" if done and not warnings else ""
        say(f"{path}: {calm}no interlock, fault or pause{quiet}")
    for event in events:
        details = f"  {listed(dict(event.details))}" if event.details else ""
        times = f"  ({event.count} times until {event.last.astimezone():%Y-%m-%d %H:%M:%S})" if event.last else ""
        say(f"{event.time.astimezone():%Y-%m-%d %H:%M:%S}  {event.kind}: {event.message}{details}{times}")
    for text in warnings:
        say(text)
    for name, fit in fits.items():
        for text in fit.notes:
            say(f"note ({name}): {text}")
    if not done:
        say(f"status: {metadata['status']}{metadata['reason'] and ', '}{metadata['reason']}")
        if (beside := path.with_suffix(".log")).exists():
            say(f"what else was said during the run: {beside}")


def _run_record(path: Path) -> dict[str, Any]:
    """Metadata and fits of a run, for JSON."""
    fits, problems = stored_fits(path)
    records = {name: json.loads(fit.as_json()) for name, fit in fits.items()}
    return {"path": str(path), **read_metadata(path), "fits": records, "problems": problems}


def _doubts(path: Path, station: Path, data: Path | None) -> dict[str, list[str]]:
    """What the ledger says against the fits of a run since it was measured."""
    from labnis.ledger.of_station import doubts_by_fit  # noqa: PLC0415  # SQL is imported only to ask it

    known = {name: fit.warnings for name, fit in stored_fits(path)[0].items()}
    return doubts_by_fit(station, data, path, known) if known else {}


def _show_run(path: Path, doubts: Sequence[str]) -> None:
    metadata = read_metadata(path)
    mark = "SIMULATED " if metadata["simulated"] else ""
    say(f"{mark}{metadata['procedure']} {metadata['run_id']}")
    for key in _SHOWN:
        if metadata.get(key) not in (None, "", []):
            say(f"  {key}: {worded(metadata[key])}")
    say(f"  parameters: {listed(metadata['parameters'])}")
    say(f"  wiring: {listed(metadata['wiring'], UNITS)}")
    for event in read_events(path):
        if event.kind == "visa" and "record" in event.details:
            say(f"  VISA record: {event.details['record']}")
    fits, problems = stored_fits(path)
    for fit in fits.values():
        say(fit.report())
    for text in doubts:
        say(f"  in doubt (?): {text}")
    for name, problem in problems.items():
        say(f"  no fit ({name}): {problem}")
    say(f"  file: {path}")
