"""The command that fits a stored run again."""

from typing import Annotated

import typer

from labnis.cli.options import STATION, DataOption, FixOption, JsonOption, PriorOption, StationOption
from labnis.errors import DataQualityError
from labnis.experiment.analysis import adjustable, analyses_of_run
from labnis.experiment.known_values import known_from_texts
from labnis.experiment.refit import refit as fitted_again
from labnis.station import load_station
from labnis.storage import find_run, read_metadata
from labnis.ui.estimates import estimate_table
from labnis.ui.output import print_table, say, say_json

__all__ = ["refit"]


def refit(
    run: Annotated[str, typer.Argument(help="Path, id or beginning of an id of the run.")],
    station: StationOption = STATION,
    data: DataOption = None,
    fix: FixOption = None,
    prior: PriorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit a run again and print the results; nothing is written.

    Without --fix and --prior the parameters are those that the run held, or knew.
    """
    path = find_run(data or load_station(station).data, run)
    analyses = analyses_of_run(read_metadata(path))
    units = {name: unit for analysis in analyses for name, unit in adjustable(analysis).items()}
    known = known_from_texts(fix or (), prior or (), units)
    known.check(units)
    found = fitted_again(path, fixed=known.fixed if fix else None, priors=known.given if prior else None)
    if as_json:
        records = {name: fit.as_record() for name, fit in found.fits.items()}
        say_json({"path": str(path), "fits": records, "problems": found.problems})
    else:
        if found.results:
            title = f"Refit of {found.procedure} {found.run_id}"
            print_table(estimate_table(found.results, doubtful=found.doubtful, title=title))
        for name, fit in found.fits.items():
            for text in fit.warnings:
                say(f"warning ({name}): {text}")
            for parameter, text in fit.assumed.items():
                say(f"assumed ({name}): {parameter}: {text}")
    if found.problems:
        raise DataQualityError("; ".join(f"no fit ({name}): {text}" for name, text in found.problems.items()))
    if found.doubtful:
        raise DataQualityError(f"results are in doubt: {', '.join(sorted(found.doubtful))}; see the warnings")
