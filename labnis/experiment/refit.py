"""Refit of a stored run, from its file alone."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from uncertainties import nominal_value  # type: ignore[import-untyped]

from labnis.errors import RequestError
from labnis.experiment.analysis import (
    Analysis,
    FitContext,
    analyse,
    analyses_of_run,
    declared_needs,
    needs_of,
    published,
)
from labnis.experiment.run import Run, stored_run
from labnis.fit import Estimate, FitResult

__all__ = ["refit"]


def refit(
    path: Path | str,
    *,
    fixed: Mapping[str, float | Estimate] | None = None,
    priors: Mapping[str, FitResult] | None = None,
) -> Run:
    """Fit the run at `path` again; nothing is written, and no ledger is used.

    Parameters
    ----------
    path
        The run's file.
    fixed
        Parameters that are held at a value (in their unit), such as {"dynes": 1e-4}; of an estimate or a number of
        `uncertainties` the value without σ.
    priors
        Analysis → fit, in place of the priors in the file and of the fit made here.

    Returns
    -------
    Run
        The run with the new fits; `labnis.open_run(path)` has the original ones.

    Raises
    ------
    RunFileError
        The file cannot be read.
    RequestError
        None of its analyses can be loaded; no fit has a parameter of `fixed`, or one does not hold it; or no analysis
        needs a fit in `priors`.

    """
    stored = stored_run(Path(path))
    metadata = stored.metadata
    analyses = analyses_of_run(metadata)
    if not analyses:
        named = ", ".join(metadata["analyses"]) or "none"
        raise RequestError(
            f"{path}: no analysis of this run can be loaded (it names {named}). Import the module of a lab's own "
            "analysis first, or open a session with the station file that lists its package (labnis.packages)."
        )
    held = {name: _number(name, value) for name, value in (fixed or {}).items()}
    given = dict(priors or {})
    _check_priors(given, analyses)
    context = FitContext.from_json(metadata["context"]["fit"])
    recorded = metadata["context"]["priors"]
    known = {name: FitResult.from_record(recorded[name]) for name in needs_of(analyses) if name in recorded} | given
    # Each analysis gets its own parameters only; they are known from its stored fit.
    own = {
        a.name: {n: value for n, value in held.items() if a.name not in stored.fits or n in stored.fits[a.name].names}
        for a in analyses
    }
    fits, problems = analyse(analyses, stored.data, context, known, own)
    _check_held(held, analyses, {**stored.fits, **fits}, problems)
    for name, fit in fits.items():
        _require_held(own[name], fit)
    return replace(stored, fits=fits, problems=problems, results=published(analyses, fits), notes=())


def _number(name: str, value: Any) -> float:
    """The value at which the parameter `name` is held."""
    try:
        return float(value.value if isinstance(value, Estimate) else nominal_value(value))
    except (TypeError, ValueError) as error:
        raise RequestError(f"fixed: {name} cannot be held at {value!r}; a number is needed") from error


def _check_priors(priors: Mapping[str, Any], analyses: Sequence[Analysis]) -> None:
    """Refuse priors that no analysis needs, or that are no fits."""
    needed = {need for analysis in analyses for need in declared_needs(analysis)}
    for name, prior in priors.items():
        if name not in needed:
            raise RequestError(f"priors: no analysis needs {name!r}; they need {', '.join(sorted(needed)) or 'none'}")
        if not isinstance(prior, FitResult):
            raise RequestError(f"priors: {name} is {prior!r}; a FitResult is needed, such as run.fit")


def _check_held(
    held: Mapping[str, float], analyses: Sequence[Analysis], fits: Mapping[str, FitResult], problems: Mapping[str, str]
) -> None:
    """Refuse held parameters that no analysis declares and no fit has."""
    known = {name for analysis in analyses for name in analysis.results} | {
        n for fit in fits.values() for n in fit.names
    }
    if unknown := held.keys() - known:
        failed = "".join(f"; no fit ({name}): {problem}" for name, problem in problems.items())
        raise RequestError(
            f"fixed: {', '.join(sorted(unknown))} cannot be held; parameters of this run's fits are "
            f"{', '.join(sorted(known))}{failed}"
        )


def _require_held(held: Mapping[str, float], fit: FitResult) -> None:
    """Refuse a fit that has not held what it should: its numbers would not be what they are taken for."""
    for name, value in held.items():
        if name in fit.names and not math.isclose(fit[name].value, value, rel_tol=1e-9, abs_tol=0.0):
            raise RequestError(
                f"fixed: the fit {fit.model} does not hold {name} at {value:g} but gives {fit[name]}: its analysis has "
                "to take what `context.fixed` holds"
            )
