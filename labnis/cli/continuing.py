"""Commands for runs that broke off: `recover` and `resume`."""

from pathlib import Path
from typing import Annotated

import typer
from pymeasure.experiment import Procedure

from labnis.cli.measuring import measure
from labnis.cli.options import (
    STATION,
    DataOption,
    DryRunOption,
    JsonOption,
    RecordOption,
    SeedOption,
    StationOption,
    TwinOption,
    UntilOption,
    YesOption,
)
from labnis.cli.preparing import Options
from labnis.errors import RequestError
from labnis.precision import parsed_goals
from labnis.requests import find_procedure
from labnis.station import load_station
from labnis.storage import find_run, list_runs, read_metadata
from labnis.storage import recover as recover_run

__all__ = ["recover", "resume"]

UNFINISHED = ("interrupted", "aborted", "failed")


def recover(
    file: Annotated[Path, typer.Argument(help="File of a run, whole or damaged.")],
    gone: Annotated[bool, typer.Option("--gone", help="Nobody writes this run any more, wherever that was.")] = False,
) -> None:
    """Make a run that broke off readable and complete, from its journal; a healthy one is left alone."""
    report = recover_run(file, writer_is_gone=gone)
    for sentence in report.done or ("The file is healthy; nothing was changed.",):
        typer.echo(sentence)
    typer.echo(f"{report.rows} rows, {report.status}{f': {report.reason}' if report.reason else ''}")
    if report.lost:
        typer.echo(f"lost: {report.lost}")


def resume(  # noqa: PLR0913, PLR0917  # one parameter per option
    run: Annotated[str | None, typer.Argument(help="By path or id; without it, the newest unfinished one.")] = None,
    station: StationOption = STATION,
    dry_run: DryRunOption = False,
    seed: SeedOption = None,
    twin: TwinOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
    yes: YesOption = False,
    record_visa: RecordOption = False,
    until: UntilOption = None,
) -> None:
    """Go on with a run that broke off: same file, its last point measured again and compared."""
    folder = data or load_station(station).data
    path = find_run(folder, run) if run else _newest_unfinished(folder)
    procedure = _as_before(path)
    options = Options(station, dry_run, seed, twin, data, yes, record_visa, parsed_goals(until or ()))
    measure([procedure], options, as_json=as_json, resume=path)


def _newest_unfinished(folder: Path) -> Path:
    unfinished = [summary.path for summary in list_runs(folder) if summary.status in UNFINISHED]
    if not unfinished:
        raise RequestError(f"no unfinished run in {folder}; name one to resume")
    return unfinished[-1]


def _as_before(path: Path) -> Procedure:
    """The procedure of the run at `path` with the parameters it had."""
    metadata = read_metadata(path)
    procedure: Procedure = find_procedure(metadata["procedure_class"] or metadata["procedure"])()
    procedure.set_parameters(metadata["parameters"])
    return procedure
