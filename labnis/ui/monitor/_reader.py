"""Reads what the pages show, once for all of them: run files and ledger, both opened for reading only."""

import math
import time
import warnings
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from labnis.errors import LabnisError, LabnisWarning
from labnis.experiment.analysis import analyses_of_run
from labnis.experiment.run import Run, device_of, stored_run
from labnis.fit import Estimate, FitError, FitResult
from labnis.fit.unstated import missing_in_sigma
from labnis.ledger import Calibration, Ledger, LedgerError
from labnis.ledger.of_station import doubts_in
from labnis.storage import ESTIMATE, FollowedFolder, FollowedRun, RunFileError, RunState, RunSummary, StorageError
from labnis.ui.drawn_data import fit_of_data
from labnis.ui.monitor._panels import Image, Panel, curve_panels, panels_of
from labnis.ui.monitor._snapshot import RUNNING, LiveEstimate, RunView, Snapshot

__all__ = ["Reader"]

RECENT = 4
"""Runs that have ended and are shown beside those that run."""

EVENTS = 20
"""Events of a run that are shown, the newest."""

ROWS_FOR_PACE = 200
"""Of so many rows, the newest, the median time is that of the next ones."""

LEDGER_AGE = 30.0
"""Time (s) after which the ledger is asked again although no run has ended."""


class Reader:
    """Reads runs and results; what did not change is not read again.

    It writes nothing, and opens files without locks: the processes that measure do not notice it.

    Parameters
    ----------
    data
        Folder of all runs.
    open_ledger
        Opens the ledger for reading; LabnisErrors and LedgerErrors of it are told on the pages.

    """

    def __init__(self, data: Path, open_ledger: Callable[[], Ledger]) -> None:
        self._folder = FollowedFolder(data)
        self._open_ledger = open_ledger
        self._ledger: Ledger | None = None
        self._asked: tuple[float, object] = (-math.inf, None)
        self._calibrations: tuple[Calibration, ...] = ()
        self._ledger_problem = ""
        self._followed: dict[Path, _Viewed] = {}

    def read(self, wanted: Collection[str] = ()) -> Snapshot:
        """What is known now; of the runs with an id in `wanted` also what is drawn."""
        begun, problems = time.monotonic(), []
        runs: list[RunSummary] = []
        try:
            runs = self._folder.runs()
        except StorageError as error:
            problems.append(str(error))
        known = [run for run in runs if run.start is not None]
        ended = [run for run in known if run.status != RUNNING]
        shown = [run for run in known if run.status == RUNNING or run.run_id in wanted or run in ended[-RECENT:]]
        self._followed = {run.path: self._followed.get(run.path) or _Viewed(run.path) for run in shown}
        self._ask_ledger([run.run_id for run in ended])
        problems += [self._ledger_problem] if self._ledger_problem else []
        views = []
        for run in reversed(shown):
            entries = tuple(one for one in self._calibrations if one.run_id == run.run_id)
            try:
                views.append(self._followed[run.path].view(entries, drawn=run.run_id in wanted))
            except RunFileError as error:
                problems.append(str(error))
            except Exception as error:  # noqa: BLE001  # one file, perhaps of a lab's own analysis, ends no page
                problems.append(f"{run.path}: cannot be shown: {type(error).__name__}: {error}")
        problems += [f"{run.path}: {run.reason}" for run in runs if run.start is None]
        took = time.monotonic() - begun
        return Snapshot(datetime.now(UTC), tuple(views), tuple(runs), self._calibrations, tuple(problems), took)

    def _ask_ledger(self, ended: list[str]) -> None:
        now = time.monotonic()
        if now - self._asked[0] < LEDGER_AGE and self._asked[1] == ended:
            return
        # Results are entered just after the end of a run: the ledger is asked once more soon.
        self._asked = (now if self._asked[1] == ended else -math.inf, ended)
        try:
            self._ledger = self._ledger or self._open_ledger()
            self._calibrations, self._ledger_problem = tuple(self._ledger.calibrations()), ""
        except (LedgerError, LabnisError) as error:
            self._ledger_problem = f"the results in the ledger are not known: {error}"


class _Viewed:
    """One run, whose file is followed, and what is computed of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._run = FollowedRun(path)
        self._state: RunState | None = None
        self._entries: tuple[Calibration, ...] = ()
        self._view: RunView | None = None
        self._drawn = False

    def view(self, entries: tuple[Calibration, ...], *, drawn: bool) -> RunView:
        """The run as it is now, with what its `entries` in the ledger say against it."""
        state = self._run.read()
        known = state is self._state and entries == self._entries
        if self._view is None or not known or (drawn and not self._drawn):
            self._state, self._entries, self._drawn = state, entries, drawn
            self._view = self._viewed(state, drawn=drawn)
        return self._view

    def _viewed(self, state: RunState, *, drawn: bool) -> RunView:
        metadata = state.metadata
        ended = metadata["status"] != RUNNING
        run = stored_run(self._path) if ended else None
        if run is not None and self._entries:
            run = run.doubted(doubts_in(self._entries, self._path, run.warnings))
        estimates = tuple(map(_estimate, (event for event in state.events if event.kind == ESTIMATE)))
        final = run is not None and bool(run.results)
        results, doubtful, told = _results(run if final else None, estimates)
        if run is not None:
            # Those of the live fit are no results of a run that has ended without one.
            doubtful = doubtful if final else frozenset(results)
            told = (*(f"no fit ({name}): {problem}" for name, problem in run.problems.items()), *told)
        return RunView(
            run_id=metadata["run_id"],
            procedure=metadata["procedure"],
            device=device_of(metadata),
            cooldown=metadata["cooldown"],
            simulated=metadata["simulated"],
            start=metadata["start"],
            end=metadata["end"],
            status=metadata["status"],
            reason=metadata["reason"],
            rows=state.rows,
            planned=state.layout.points,
            remaining=math.nan if ended else _remaining(state),
            bias=math.nan if ended else _last(state, "bias"),
            fridge_temperature=math.nan if ended else _last(state, "fridge_temperature"),
            events=tuple(event for event in state.events if event.kind != ESTIMATE)[-EVENTS:],
            estimates=estimates,
            results=results,
            doubtful=doubtful,
            warnings=told,
            notes=tuple(text for fit in run.fits.values() for text in missing_in_sigma(fit)) if run is not None else (),
            final=final,
            panels=_panels(state, run) if drawn else (),
        )


def _estimate(event: Any) -> LiveEstimate:
    """A live fit; its file may be from elsewhere, so that anything of it may be missing."""
    results = {str(name): _value(record) for name, record in dict(event.details.get("results", {})).items()}
    warned = tuple(map(str, event.details.get("warnings", ())))
    return LiveEstimate(int(event.details.get("rows", 0)), event.time, results, warned)


def _value(record: Mapping[str, Any]) -> Estimate:
    value, sigma = (math.nan if record.get(key) is None else float(record[key]) for key in ("value", "sigma"))
    return Estimate(value, sigma, str(record.get("unit", "")), record.get("systematic"), record.get("limit"))


def _results(
    run: Run | None, estimates: tuple[LiveEstimate, ...]
) -> tuple[Mapping[str, Estimate], frozenset[str], tuple[str, ...]]:
    """Results, those in doubt, and why: of the fits in the file, or else of the newest live fit."""
    if run is not None:
        warned = [f"{name}: {text}" for name, fit in run.fits.items() for text in fit.warnings]
        return run.results, run.doubtful, tuple(warned)
    if not estimates:
        return {}, frozenset(), ()
    last = estimates[-1]
    return last.results, frozenset(last.results) if last.warnings else frozenset(), last.warnings


def _last(state: RunState, name: str) -> float:
    return float(state.last.get(name, math.nan))


def _remaining(state: RunState) -> float:
    """Time (s) of the planned rows that are missing, each of which takes the median time of those before."""
    planned, times = state.layout.points, state.columns.get("time_utc")
    if planned is None or times is None or len(times) < 2:
        return math.nan
    pace = float(np.median(np.diff(times[-ROWS_FOR_PACE:]))) / state.step
    return max(0, planned - state.rows) * pace


def _panels(state: RunState, run: Run | None) -> tuple[Panel | Image, ...]:
    """What is drawn of a run, with its fits, or else with its newest live fit."""
    if not state.rows:
        return ()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", LabnisWarning)  # a fit that cannot be drawn is told by `labnis show`
        data = state.data()
        fits = run.fits if run is not None and run.fits else _live_fits(state)
        analyses = _analyses(state) if fits else ()
        curves = [*curve_panels([*run.curves.values()])] if run is not None and run.curves else []
        return (*panels_of(data, fit_of_data(analyses, fits, data)), *curves)


def _analyses(state: RunState) -> tuple[Any, ...]:
    try:
        return analyses_of_run(state.metadata)
    except LabnisError:  # of a lab's own package that is not here
        return ()


def _live_fits(state: RunState) -> dict[str, FitResult]:
    """The newest live fit of the run, by its analysis; none where it cannot be used."""
    last = next((event for event in reversed(state.events) if event.kind == ESTIMATE), None)
    if last is None or "fit" not in last.details:
        return {}
    try:
        return {str(last.details["analysis"]): FitResult.from_record(last.details["fit"])}
    except (FitError, KeyError, TypeError):
        return {}
