"""The command that writes a report of runs."""

from pathlib import Path
from typing import Annotated

import typer

from labnis.cli.options import STATION, DataOption, StationOption, folder_of, path_of
from labnis.errors import RequestError
from labnis.experiment.run import Run, stored_run
from labnis.ledger.of_station import doubts_by_fit
from labnis.station.explaining import UNITS
from labnis.storage import find_run, list_runs, unreadable_runs
from labnis.ui.output import say
from labnis.ui.report import browser, report_page, write_pdf

__all__ = ["report"]


def report(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...|COOLDOWN", help="Paths or ids of runs; or a cooldown.")],
    out: Annotated[
        Path, typer.Option("--out", parser=path_of, metavar="FILE", help="File of HTML, or of PDF with a browser.")
    ],
    title: Annotated[str, typer.Option("--title", metavar="TEXT", help="Heading of the page.")] = "",
    station: StationOption = STATION,
    data: DataOption = None,
) -> None:
    """Write what was measured, with figures, results, doubts and settings, into one file.

    It needs nothing else, and can be sent to a colleague. A PDF is printed by Chromium or Chrome, where there is one.
    """
    if out.suffix.lower() not in (".html", ".pdf"):
        raise RequestError(f"--out {out}: the name must end with .html or .pdf")
    if out.exists():
        raise RequestError(f"{out} exists; give another name")
    program = browser()
    if out.suffix.lower() == ".pdf" and not program:
        raise RequestError(f"--out {out}: a PDF needs Chromium or Chrome, and there is none here; write .html")
    found = _found(folder_of(station, data, runs), runs)
    found = [run.doubted(_doubts(run, station, data)) for run in found]
    page = report_page(found, title or f"Report of {', '.join(runs)}", UNITS)
    try:
        if out.suffix.lower() == ".pdf":
            write_pdf(page, out, program)
        else:
            out.write_text(page, encoding="utf-8")
    except OSError as error:
        raise RequestError(f"--out {out}: cannot be written: {error.strerror or error}") from error
    say(f"{out}: {len(found)} runs")


def _found(folder: Path, names: list[str]) -> list[Run]:
    """The runs, and those of the cooldowns, in the order of their measurement; each once."""
    listed = [] if all(path_of(name).is_file() for name in names) else list_runs(folder)
    paths: list[Path] = []
    for name in names:
        of_cooldown = [one.path for one in listed if one.cooldown == name]
        for one in unreadable_runs(listed, folder, name) if of_cooldown else []:
            say(f"labnis: {one.path.name} is left out: it cannot be read: {one.reason}", err=True)
        paths += of_cooldown or [find_run(folder, name)]
    runs = [stored_run(path) for path in dict.fromkeys(path.resolve() for path in paths)]
    return sorted(runs, key=lambda run: run.metadata["start"])


def _doubts(run: Run, station: Path, data: Path | None) -> dict[str, list[str]]:
    return doubts_by_fit(station, data, run.path, run.warnings)
