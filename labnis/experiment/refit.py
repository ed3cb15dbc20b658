"""Refit of a stored run, from its file alone."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from labnis.errors import RequestError
from labnis.experiment.analysis import FitContext, analyse, analyses_of_run, published
from labnis.experiment.run import Run, stored_run
from labnis.fit import FitResult

__all__ = ["refit"]


def refit(
    path: Path | str, *, fixed: Mapping[str, float] | None = None, priors: Mapping[str, FitResult] | None = None
) -> Run:
    """Fit the run at `path` again; nothing is written, and no ledger is used.

    Parameters
    ----------
    path
        The run's file.
    fixed
        Parameters that are held at a value (in their unit), such as {"dynes": 1e-4}.
    priors
        Analysis → fit, in place of the priors in the file.

    Returns
    -------
    Run
        The run with the new fits; `labnis.open_run(path)` has the original ones.

    Raises
    ------
    RunFileError
        The file cannot be read.
    RequestError
        None of its analyses can be loaded, or none of its fits has a parameter of `fixed`.

    """
    stored = stored_run(Path(path))
    metadata = stored.metadata
    analyses = analyses_of_run(metadata)
    if not analyses:
        named = ", ".join(metadata["analyses"]) or "none"
        raise RequestError(f"{path}: no analysis of this run can be loaded here (it names {named})")
    held = dict(fixed or {})
    _check_held(held, stored)
    context = FitContext.from_json(metadata["context"]["fit"])
    recorded = {name: FitResult.from_record(record) for name, record in metadata["context"]["priors"].items()}
    fits: dict[str, FitResult] = {}
    problems: dict[str, str] = {}
    for analysis in analyses:
        # Each analysis gets its own parameters only.
        before = stored.fits.get(analysis.name)
        own = {name: value for name, value in held.items() if before is None or name in before.names}
        found, problem = analyse([analysis], stored.data, replace(context, fixed=own), {**recorded, **(priors or {})})
        fits |= found
        problems |= problem
    return replace(stored, fits=fits, problems=problems, results=published(analyses, fits), notes=())


def _check_held(held: Mapping[str, float], stored: Run) -> None:
    """Refuse parameters that no fit of the run has."""
    known = {name for fit in stored.fits.values() for name in fit.names}
    unknown = held.keys() - known
    if known and unknown:
        raise RequestError(
            f"{stored.path}: {', '.join(sorted(unknown))} cannot be held; parameters of its fits are "
            f"{', '.join(sorted(known))}"
        )
