"""Refit of a stored run, from its file alone."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from labnis.errors import RequestError
from labnis.experiment.analysis import (
    Analysis,
    FitContext,
    adjustable,
    analyse,
    analyses_of_run,
    declared_needs,
    needs_of,
    published,
)
from labnis.experiment.known_doubts import of_another_device
from labnis.experiment.known_values import KnownValues, known_values
from labnis.experiment.restated import restated, says_statements, with_statements_told
from labnis.experiment.run import Run, stored_run
from labnis.experiment.run_plan import code_version, is_one_code
from labnis.experiment.stored_fits import newest_records
from labnis.fit import Estimate, FitResult
from labnis.storage import collect_environment

__all__ = ["refit", "refit_by"]


def refit(
    path: Path | str,
    *,
    fixed: Mapping[str, float | Estimate] | None = None,
    priors: Mapping[str, FitResult | Estimate | tuple[float, float]] | None = None,
    only: str | None = None,
    stated: Mapping[str, Any] | None = None,
) -> Run:
    """Fit the run at `path` again; nothing is written, and no ledger is used.

    Where this code has made the newest fit of a current–voltage curve, the components of its island are those of that
    fit, if the curve shows no other (`assumed` says so); otherwise they are searched for.

    Parameters
    ----------
    path
        The run's file.
    fixed
        Parameters that are held at a value (in their unit), such as {"dynes": 1e-4}; of an estimate or a number of
        `uncertainties` the value without σ. In place of those that the run held; {} holds none.
    priors
        Analysis → fit, in place of the priors in the file and of the fit made here. And parameters that are known with
        a σ: name → pair (value, σ), estimate or number of `uncertainties`, in place of those of the run; {} uses none.
    only
        The analysis that is made again, with the newest fits in the file as its priors; None for all of them.
    stated
        Of line and device, in place of what was stated for the run: series_resistance (ohm), divider, junctions,
        resonator, island.volume, island.electron_phonon, island.kapitza (SI). The fits say it, and are in doubt where a
        prior was made without it.

    Returns
    -------
    Run
        The run with the new fits, and with the data as they are with what is `stated`; `labnis.open_run(path)` has the
        original ones.

    Raises
    ------
    RunFileError
        The file cannot be read.
    RequestError
        None of its analyses can be loaded, or there is none of the name `only`; no fit has a parameter of `fixed` or
        `priors`, or one does not hold it; no analysis needs a fit in `priors`; or what is `stated` cannot be.

    """
    code = code_version(collect_environment())
    return refit_by(code, path, fixed=fixed, priors=priors, only=only, stated=stated)


def refit_by(
    code: str,
    path: Path | str,
    *,
    fixed: Mapping[str, float | Estimate] | None = None,
    priors: Mapping[str, FitResult | Estimate | tuple[float, float]] | None = None,
    only: str | None = None,
    stated: Mapping[str, Any] | None = None,
    doubts: Mapping[str, Sequence[str]] | None = None,
) -> Run:
    """As `refit`, by this `code`, its version and commit: to look it up takes a good part of a fit.

    `doubts` are warnings that the data cannot show (analysis → warnings); None for those of the newest fits that
    another run contradicts them.
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
    made = _chosen(analyses, only)
    given = {name: fit for name, fit in (priors or {}).items() if isinstance(fit, FitResult)}
    values = known_values(fixed, {name: value for name, value in (priors or {}).items() if name not in given})
    _check_priors(given, analyses)
    data, context, told = restated(stored.data, FitContext.from_json(metadata["context"]["fit"]), stated or {})
    if fixed is not None:
        context = replace(context, fixed=values.fixed)
    if priors is not None and not (priors and len(given) == len(priors)):
        context = replace(context, given=values.given)
    recorded = metadata["context"]["priors"]
    known = {name: FitResult.from_record(recorded[name]) for name in needs_of(analyses) if name in recorded} | given
    known |= {name: stored.fits[name] for name in needs_of(made) if name not in known and name in stored.fits}
    if doubts is None:
        doubts = {name: of_another_device(fit) for name, fit in stored.fits.items()}
    fits, problems = analyse(made, data, context, known, {} if told else _starts(made, stored, code))
    every = {**known, **fits}
    needed = {a.name: {name: every[name] for name in declared_needs(a) if name in every} for a in made}
    fits = {name: with_statements_told(fit, told, needed[name]) for name, fit in fits.items()}
    fits = {name: replace(fit, warnings=(*fit.warnings, *doubts.get(name, ()))) for name, fit in fits.items()}
    _check_known(values, made, {**stored.fits, **fits}, problems)
    for fit in fits.values():
        _require_held(values.fixed, fit)
    found = replace(stored, fits=fits, problems=problems, results=published(made, fits), notes=())
    if told:
        found.__dict__["data"] = data  # in place of what the cached property reads from the file
    return found


def _starts(analyses: Sequence[Analysis], stored: Run, code: str) -> dict[str, FitResult]:
    """Newest fits, by this `code`, at which those of `analyses` start that are made for it."""
    made = [name for name, one in newest_records(stored.path).items() if is_one_code(code, str(one["code_version"]))]
    # Another class is other code, which has no version.
    own = {one.name: one for one in analyses if one.name in made and "restarts" in vars(type(one))}
    known = {name: fit for name, fit in stored.fits.items() if name in own and not says_statements(fit)}
    return {name: fit for name, fit in known.items() if getattr(own[name], "restarts")(fit)}  # noqa: B009  # optional


def _chosen(analyses: Sequence[Analysis], only: str | None) -> Sequence[Analysis]:
    """That of the name `only`, or all."""
    found = [analysis for analysis in analyses if only in (None, analysis.name)]
    if not found:
        names = ", ".join(analysis.name for analysis in analyses)
        raise RequestError(f"this run has no analysis {only!r}; it has {names}")
    return found


def _check_priors(priors: Mapping[str, FitResult], analyses: Sequence[Analysis]) -> None:
    """Refuse fits that no analysis needs."""
    needed = {need for analysis in analyses for need in declared_needs(analysis)}
    for name in priors:
        if name not in needed:
            raise RequestError(f"priors: no analysis needs {name!r}; they need {', '.join(sorted(needed)) or 'none'}")


def _check_known(
    values: KnownValues, analyses: Sequence[Analysis], fits: Mapping[str, FitResult], problems: Mapping[str, str]
) -> None:
    """Refuse known values of parameters that no analysis declares; of one that declares none, those of its fit."""
    known = {name for analysis in analyses for name in adjustable(analysis)}
    known |= {n for a in analyses if not hasattr(a, "parameters") and a.name in fits for n in fits[a.name].names}
    for key, found, verb in (("fixed", values.fixed, "held"), ("priors", values.given, "given")):
        if unknown := found.keys() - known:
            failed = "".join(f"; no fit ({name}): {problem}" for name, problem in problems.items())
            raise RequestError(
                f"{key}: {', '.join(sorted(unknown))} cannot be {verb}; parameters of this run's fits are "
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
