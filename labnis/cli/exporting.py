"""The command that writes a run for another program, or a cooldown as a folder."""

from pathlib import Path
from typing import Annotated

import typer

from labnis.cli.calibrations import record_of
from labnis.cli.options import STATION, DataOption, StationOption, path_of
from labnis.errors import RequestError
from labnis.exchange.crates import write_crate
from labnis.exchange.exporting import FORMATS
from labnis.exchange.exporting import export as written_as
from labnis.experiment.run import Run, device_of, of_device, stored_run
from labnis.ledger.of_station import doubts_by_fit, ledger_of
from labnis.station import load_station
from labnis.storage import find_run, list_runs, read_metadata, unreadable_runs
from labnis.ui.output import doubts_in_words, say

__all__ = ["export"]

_CRATE = "ro-crate"


def export(
    run: Annotated[str, typer.Argument(metavar="RUN|COOLDOWN", help="Path or id of a run; of ro-crate a cooldown.")],
    to: Annotated[str, typer.Option("--to", metavar="FORMAT", help=f"{', '.join((*FORMATS, _CRATE))}.")],
    out: Annotated[
        Path, typer.Option("--out", parser=path_of, metavar="PATH", help="File; of touchstone and ro-crate a folder.")
    ],
    station: StationOption = STATION,
    data: DataOption = None,
) -> None:
    """Write a run as a file of another program, or a cooldown with its runs and calibrations as a folder."""
    config = load_station(station)
    folder = data or config.data
    if to == "nexus" and out.resolve().is_relative_to(folder.resolve()):
        raise RequestError(f"--out {out}: a copy of a run in the data folder {folder} would be another run of its id")

    def doubts_of(one: Run) -> dict[str, list[str]]:
        doubts = doubts_by_fit(station, data, one.path, one.warnings)
        for text in doubts_in_words(doubts):
            say(f"labnis: {one.path.name} is in doubt: {text}", err=True)
        return doubts

    if to != _CRATE:
        path = find_run(folder, run)
        say("\n".join(map(str, written_as(path, to, out, doubts_of(stored_run(path))))))
        return
    listed = list_runs(folder)
    runs = of_device([one.path for one in listed if one.cooldown == run], run, config.device.name)
    if not runs:
        raise RequestError(f"no run of a cooldown {run!r} in {folder}")
    if damaged := unreadable_runs(listed, folder, run):
        what = "; ".join(f"{one.path}: {one.reason}" for one in damaged)
        raise RequestError(
            f"the folder would lack files that cannot be read: {what}. Repair (`labnis recover`) or move them."
        )
    known = [read_metadata(path) for path in runs]
    devices, copied = {device_of(one) for one in known}, {one["run_id"] for one in known}
    found = [one for one in ledger_of(config, data).calibrations(cooldown=run) if one.device in devices]
    if absent := sorted({one.run_id for one in found} - copied):
        say(
            f"labnis: of {len(absent)} runs the ledger has calibrations, and {folder} no file: {', '.join(absent)}",
            err=True,
        )
    doubted = [one.doubted(doubts_of(one)) for one in map(stored_run, runs)]
    write_crate(run, doubted, [record_of(one) for one in found], out)
    say(f"{out}: {len(runs)} runs, {len(found)} calibrations")
