"""Fits as calibrations: what of them the ledger gets, and how a later run finds them again."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from labnis.experiment.analysis import ESTIMATORS
from labnis.fit import Estimate, FitResult
from labnis.ledger import Ledger, NewCalibration
from labnis.storage import RunWriter, find_run, read_fits

__all__ = ["EarlierFit", "calibrations", "latest_fit"]


@dataclass(frozen=True)
class EarlierFit:
    """A fit that another one builds on (None if it failed), and the run it comes from."""

    fit: FitResult | None
    run_path: Path
    run_id: str


def latest_fit(ledger: Ledger, data: Path, name: str, cooldown: str, *, simulated: bool) -> EarlierFit | None:
    """The newest fit of the estimator `name` in `cooldown`, with its whole covariance; None if there is none.

    Raises
    ------
    RunFileError, RunNotFoundError
        Where the ledger knows it and its run cannot be read.

    """
    source = next(e for e in ESTIMATORS.values() if e.name == name)
    latest = ledger.latest(source.results[0], cooldown, simulated)
    if latest is None:
        return None
    # A data folder may have been moved since; the run is known by its id.
    path = Path(latest.run_path) if Path(latest.run_path).is_file() else find_run(data, latest.run_id)
    return EarlierFit(FitResult.from_record(read_fits(path)[name]), path, latest.run_id)


def calibrations(
    fit: FitResult, results: Mapping[str, Estimate], writer: RunWriter, *, code_version: str, simulated: bool
) -> list[NewCalibration]:
    """An entry for every result, with its run, model and code."""
    assumed = "; ".join(f"{name}: {statement}" for name, statement in fit.assumed.items())
    return [
        NewCalibration(
            quantity=name,
            value=estimate.value,
            sigma=estimate.sigma,
            unit=estimate.unit,
            run_path=str(writer.path),
            run_id=writer.run_id,
            model=fit.model,
            code_version=code_version,
            simulated=simulated,
            assumed=assumed,
        )
        for name, estimate in results.items()
    ]
