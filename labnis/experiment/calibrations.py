"""Fits as calibrations: what of them the ledger gets, and how a later run finds them again as priors."""

from dataclasses import dataclass
from pathlib import Path

from labnis.experiment.analysis import Analysis
from labnis.fit import FitResult
from labnis.ledger import Ledger, NewCalibration
from labnis.storage import find_run, read_fits

__all__ = ["Prior", "calibrations", "latest_prior"]


@dataclass(frozen=True)
class Prior:
    """A fit that another one builds on (None if it failed), and the run that it comes from."""

    fit: FitResult | None
    run_path: Path
    run_id: str


def latest_prior(ledger: Ledger, data: Path, analysis: str, cooldown: str, *, simulated: bool) -> Prior | None:
    """The newest fit of `analysis` in `cooldown`, with its whole covariance; None if there is none.

    Raises
    ------
    RunFileError, RunNotFoundError
        Where the ledger knows it and its run cannot be read.

    """
    latest = ledger.latest_of_analysis(analysis, cooldown, simulated)
    if latest is None:
        return None
    # A data folder may have been moved since; the run is known by its id.
    path = Path(latest.run_path) if Path(latest.run_path).is_file() else find_run(data, latest.run_id)
    return Prior(FitResult.from_record(read_fits(path)[analysis]), path, latest.run_id)


def calibrations(
    analysis: Analysis, fit: FitResult, *, path: Path, run_id: str, code_version: str, simulated: bool
) -> list[NewCalibration]:
    """An entry for every result of `analysis`, with its run, model and code."""
    assumed = "; ".join(f"{name}: {statement}" for name, statement in fit.assumed.items())
    return [
        NewCalibration(
            analysis=analysis.name,
            quantity=name,
            value=fit[name].value,
            sigma=fit[name].sigma,
            unit=fit[name].unit,
            run_path=str(path),
            run_id=run_id,
            model=fit.model,
            code_version=code_version,
            simulated=simulated,
            assumed=assumed,
        )
        for name in analysis.results
    ]
