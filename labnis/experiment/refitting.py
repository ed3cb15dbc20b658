"""Many runs fitted again, each from its file and, where they are among them, with the new fits of those it needs."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from labnis.errors import LabnisError
from labnis.experiment.analysis import adjustable, analyses_of_run
from labnis.experiment.curves import record_of
from labnis.experiment.refit import refit_by
from labnis.experiment.run import stored_run
from labnis.experiment.stored_fits import newest_records
from labnis.fit import Estimate, FitResult
from labnis.station import load_station
from labnis.storage import (
    RunFileError,
    RunNotFoundError,
    add_fits,
    find_run,
    newest_versions,
    read_fits,
    read_metadata,
)

__all__ = ["Asked", "Refitted", "commit", "kept_priors", "local_processes", "refit_all"]

_DIGEST = "refitted_from"
# How often a run is fitted again whose process was killed.
_TRIES = 2


@dataclass(frozen=True)
class Asked:
    """How runs are fitted again.

    Attributes
    ----------
    fixed, given
        As `fixed` and `priors` of `refit`; None for what each run has held and known.
    stated
        Of line and device, as in `refit`.
    analysis
        The only one; None for all.
    code_version
        Version and commit of this code, which the new fits keep.
    station
        Station file whose packages the analyses may be in; None for those that are installed.
    again
        Also where data, priors and code are those of the newest fit.

    """

    code_version: str
    fixed: Mapping[str, float] | None = None
    given: Mapping[str, tuple[float, float]] | None = None
    analysis: str | None = None
    station: Path | None = None
    again: bool = True
    stated: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Refitted:
    """One run, fitted again.

    Attributes
    ----------
    path, run_id, procedure
        The run.
    before, after
        Result → estimate, of its newest fits and of the new ones; `after` is empty where they are the same.
    fits
        The new fits by the analysis's name.
    newest
        Fits that those which need one of this run take: the new ones, or those that are made from the same.
    records
        Their records for the file, with curves.
    problems
        Why there is none, by the analysis's name; or "" → why nothing of the run could be fitted.
    doubtful, doubtful_before
        Results whose fit has warnings, of the new fits (or the newest, where they are the same) and of the newest ones
        before.

    """

    path: Path
    run_id: str
    procedure: str
    before: Mapping[str, Estimate] = field(default_factory=dict)
    after: Mapping[str, Estimate] = field(default_factory=dict)
    fits: Mapping[str, FitResult] = field(default_factory=dict)
    newest: Mapping[str, FitResult] = field(default_factory=dict)
    records: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    doubtful: frozenset[str] = frozenset()
    doubtful_before: frozenset[str] = frozenset()

    @property
    def unchanged(self) -> bool:
        """Whether its newest fits were made from the same data, priors and code."""
        return not self.fits and not self.problems


def refit_all(
    paths: Sequence[Path],
    asked: Asked,
    executor: Executor,
    told: Callable[[Refitted], None] = lambda one: None,
    renewed: Callable[[], Executor] | None = None,
    *,
    chosen: Mapping[Path, Mapping[str, FitResult]] = MappingProxyType({}),
    doubts: Mapping[Path, Mapping[str, Sequence[str]]] = MappingProxyType({}),
) -> list[Refitted]:
    """Fit the runs at `paths` again; nothing is written.

    A run begins when those among them whose fits it has used have ended: their new fits are its priors, where they
    succeeded.

    Parameters
    ----------
    paths
        Files of runs.
    asked
        How.
    executor
        Where: processes of this machine (`local_processes`), or a cluster.
    told
        Called with each one as it ends.
    renewed
        Makes another executor in place of one that broke, as processes do of which one was killed; runs that were lost
        with it are fitted again, twice at most. Without, they have failed.
    chosen
        Run → analysis → fit that is its prior, in place of the one that it used, or of a new one.
    doubts
        Run → analysis → warnings that its new fit has besides its own.

    Returns
    -------
    list
        In the order of `paths`.

    """
    # Not all of the metadata: those of a run take a megabyte.
    known = {path: _named(read_metadata(path)) for path in dict.fromkeys(paths)}
    by_id = {metadata["run_id"]: path for path, metadata in known.items()}
    needed = {
        path: {used["fit"]: by_id[used["run_id"]] for used in metadata["calibrations"] if used["run_id"] in by_id}
        for path, metadata in known.items()
    }
    found: dict[Path, Refitted] = {}
    running: dict[Future[Refitted], Path] = {}
    waiting, broken = list(known), False
    tries: Counter[Path] = Counter()
    while waiting or running:
        if broken and not running and renewed is not None:
            executor, broken = renewed(), False
        # What waits for itself, as no honest run does, is fitted with the priors of its file.
        ready = [path for path in waiting if set(needed[path].values()) <= found.keys()] or waiting * (not running)
        for path in () if broken else ready:
            made = {name: found[at].newest.get(name) for name, at in needed[path].items() if at in found}
            priors = {name: fit for name, fit in made.items() if fit is not None}
            known_of = priors | dict(chosen.get(path, {})), dict(doubts.get(path, {}))
            running[_submitted(executor, path, asked, *known_of)] = path
            waiting.remove(path)
        done = next(as_completed(running))
        path = running.pop(done)
        killed = not done.cancelled() and isinstance(done.exception(), BrokenExecutor)
        if killed and renewed is not None and tries[path] < _TRIES:
            tries[path] += 1
            waiting, broken = [*waiting, path], True
            continue
        ended = _result_of(done, path, known[path])
        told(ended)
        found[path] = replace(ended, records={})  # of a thousand runs they would fill the memory
    return [found[path] for path in known]


def _named(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {name: metadata[name] for name in ("run_id", "procedure", "calibrations")}


def _submitted(
    executor: Executor,
    path: Path,
    asked: Asked,
    priors: Mapping[str, FitResult],
    doubts: Mapping[str, Sequence[str]],
) -> "Future[Refitted]":
    """The fit of one run; one that has failed already where the executor broke."""
    try:
        return executor.submit(_refitted, path, asked, priors, doubts)
    except BrokenExecutor as error:
        failed: Future[Refitted] = Future()
        failed.set_exception(error)
        return failed


def kept_priors(paths: Sequence[Path], data: Path) -> list[str]:
    """Sentences on runs that are fitted with what they know of another one, not among `paths`, with a newer fit by now.

    Runs that are not found in the folder `data` say nothing.
    """
    known = [_named(read_metadata(path)) for path in paths]
    ids = {metadata["run_id"] for metadata in known}
    newest: dict[str, Mapping[str, str]] = {}
    told = []
    for metadata in known:
        for used in metadata["calibrations"]:
            run_id, fit = used["run_id"], used["fit"]
            if run_id in ids:
                continue
            if run_id not in newest:
                newest[run_id] = _newest_versions(run_id, data)
            version = newest[run_id].get(fit, fit)
            if version != used.get("version", fit):
                told.append(
                    f"{metadata['run_id']}: its prior is the {fit} fit of run {run_id} as it was then; that run has "
                    f"{version} by now, which is the prior if both runs are named"
                )
    return told


def _newest_versions(run_id: str, data: Path) -> Mapping[str, str]:
    try:
        return newest_versions(read_fits(find_run(data, run_id)))
    except (RunFileError, RunNotFoundError):
        return {}


def _result_of(done: Future[Refitted], path: Path, metadata: Mapping[str, Any]) -> Refitted:
    """What a worker has found; the death of one is a problem of its run."""
    try:
        return done.result()
    except Exception as error:  # noqa: BLE001  # a lab's analysis, or the cluster; the other runs go on
        return _failed(path, metadata, error)


def _failed(path: Path, metadata: Mapping[str, Any], error: Exception) -> Refitted:
    why = f"{type(error).__name__}: {error}"
    return Refitted(path, metadata["run_id"], metadata["procedure"], problems={"": why})


def _refitted(
    path: Path, asked: Asked, priors: Mapping[str, FitResult], doubts: Mapping[str, Sequence[str]]
) -> Refitted:
    """Of one run, in a worker."""
    if asked.station is not None:
        load_station(asked.station)  # makes the lab's own packages importable
    stored = stored_run(path)
    metadata = stored.metadata
    run = Refitted(path, stored.run_id, stored.procedure, dict(stored.results))
    names = {name for analysis in analyses_of_run(metadata) for name in adjustable(analysis)}
    fixed, given = (_those_of(names, known) for known in (asked.fixed, asked.given))
    told = {name: list(texts) for name, texts in doubts.items()}
    digest = _digest(metadata, [fixed, given, dict(asked.stated), asked.analysis, asked.code_version, told], priors)
    newest = newest_records(path)
    if not asked.again and newest and all(record.get(_DIGEST) == digest for record in newest.values()):
        return replace(run, newest=stored.fits, doubtful=stored.doubtful)
    known = {**priors, **(given or {})} if priors or given is not None else None
    try:
        found = refit_by(
            asked.code_version, path, fixed=fixed, priors=known, only=asked.analysis, stated=asked.stated, doubts=doubts
        )
    except LabnisError as error:
        return replace(run, problems={"": str(error)})
    analyses = {analysis.name: analysis for analysis in analyses_of_run(metadata)}
    more = {"code_version": asked.code_version, _DIGEST: digest}
    records = {name: record_of(analyses[name], fit, found.data, None) | more for name, fit in found.fits.items()}
    # Residuals are as long as the data, and in no record.
    fits = {name: replace(fit, residuals=np.zeros(0), mask=np.zeros(0, bool)) for name, fit in found.fits.items()}
    return Refitted(
        path, run.run_id, run.procedure, run.before, dict(found.results), fits, fits, records, dict(found.problems),
        found.doubtful, stored.doubtful,
    )  # fmt: skip


def _those_of(names: Set[str], known: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What is known of parameters of one run; None, which is what it knew itself, where there is nothing."""
    found = {name: value for name, value in (known or {}).items() if name in names}
    return found or None


def _digest(metadata: Mapping[str, Any], asked: Sequence[Any], priors: Mapping[str, FitResult]) -> str:
    """Of everything that a new fit depends on besides the data, which never change."""
    fits = {name: fit.as_json() for name, fit in sorted(priors.items())}
    known = [asked, metadata["context"], metadata["run_id"], fits]
    return hashlib.sha256(json.dumps(known, sort_keys=True, default=str).encode()).hexdigest()


def commit(one: Refitted) -> dict[str, str]:
    """Write the new fits of a run beside its others; name → name in the file. Errors as `labnis.storage.add_fits`."""
    return add_fits(one.path, one.records)


@contextmanager
def local_processes(number: int | None = None) -> Iterator[Executor]:
    """Processes on this machine, as many as it has cores.

    Each computes with one thread: several of them on the same cores would wait for each other.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # Spawned, not forked: this process may have threads.
    with ProcessPoolExecutor(number or os.cpu_count(), mp_context=get_context("spawn")) as pool:
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)
