"""Going on with runs that broke off: `resume`."""

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
from labnis.experiment.goals import parsed_goals
from labnis.experiment.request import find_procedure
from labnis.station import load_station
from labnis.storage import find_run, list_runs, read_metadata

__all__ = ["resume"]

UNFINISHED = ("interrupted", "aborted", "failed")


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
