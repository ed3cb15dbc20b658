"""Estimates that tighten while the sweep goes on, and never hold it up."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray

from labnis.experiment.live_fit import LiveFit
from labnis.fit import FitError, FitResult
from labnis.fit.analyses import CurrentVoltage
from procedures import IVSweep
from tests.run.bench import Watcher, dry_session

PATIENCE = 120.0


def result(value: float) -> FitResult:
    return FitResult("m", ("a",), ("1",), np.array([value]), np.eye(1), 1.0, 1, 1.0)


class Patient(Watcher):
    """Holds the sweep at some rows until the live fit has been shown a number of times: `stops` is row → number."""

    def __init__(self, stops: Mapping[int, int]) -> None:
        super().__init__()
        self._stops = stops
        self._news = threading.Condition()

    def progressed(self, rows: int) -> None:
        super().progressed(rows)
        # The row was offered to the fit before it is shown here: the fit may be there already, and no other follow.
        wanted = self._stops.get(rows, 0)
        with self._news:
            assert self._news.wait_for(lambda: len(self.fits) >= wanted, PATIENCE), "no live fit"

    def estimated(self, fit: FitResult) -> None:
        with self._news:
            super().estimated(fit)
            self._news.notify()


def test_estimates_come_during_the_sweep_and_tighten(tmp_path: Path) -> None:
    sweep = IVSweep()
    sweep.points = 61
    watcher = Patient(stops={40: 1, 61: 2})
    with dry_session(tmp_path, watcher) as session:
        outcome = session.run(sweep)
    assert outcome.fit is not None
    assert not outcome.notes
    first, last, final = watcher.fits[0], watcher.fits[-1], outcome.fit
    for name in ("gap", "normal_resistance", "electron_temperature"):
        assert abs(last[name].value - final[name].value) < 3 * last[name].sigma
        assert final[name].statistical < first[name].sigma
    assert final["gap"].value == pytest.approx(215e-6, abs=4 * final["gap"].sigma)


def test_a_blocked_fit_does_not_hold_up_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, finished = threading.Event(), threading.Event()
    sizes: list[int] = []
    shipped = CurrentVoltage.fit

    def blocked(self: CurrentVoltage, data: xarray.Dataset, *others: Any) -> FitResult:
        sizes.append(int(data.attrs["rows"]))
        begun.set()
        if threading.current_thread() is not threading.main_thread():
            assert finished.wait(PATIENCE), "the rows waited for the fit"
        return shipped(self, data, *others)

    class Releasing(Watcher):
        def progressed(self, rows: int) -> None:
            super().progressed(rows)
            if rows == 20:  # on a busy machine the fit's thread might not get its turn before the sweep is over
                assert begun.wait(PATIENCE)
            if rows == 61:
                finished.set()

    monkeypatch.setattr(CurrentVoltage, "fit", blocked)
    sweep = IVSweep()
    sweep.points = 61
    watcher = Releasing()
    with dry_session(tmp_path, watcher) as session:
        outcome = session.run(sweep)
    assert outcome.status == "done"
    assert watcher.rows == 61
    # One live fit was blocked while all rows came; between it and the end there was time for at most one more.
    assert sizes[0] < 61
    assert sizes[-1] == 61
    assert len(sizes) <= 3


def test_updates_that_come_during_a_fit_are_dropped_for_the_newest() -> None:
    begun, go_on, done = threading.Event(), threading.Event(), threading.Event()
    seen: list[int] = []

    def fit(columns: Any, _earlier: FitResult | None) -> FitResult:
        seen.append(int(columns["a"][0]))
        begun.set()
        assert go_on.wait(PATIENCE)
        if seen[-1] == 9:
            done.set()
        return result(1.0)

    live = LiveFit(fit, lambda _: None)
    live.offer(lambda: {"a": np.array([0])})
    assert begun.wait(PATIENCE)
    for number in range(1, 10):
        live.offer(lambda number=number: {"a": np.array([number])})  # type: ignore[misc]
    go_on.set()
    assert done.wait(PATIENCE)
    live.close()
    assert seen == [0, 9]


@pytest.mark.parametrize("culprit", ["fit", "display", "data"])
def test_what_fails_once_is_tried_again_with_the_next_data(culprit: str) -> None:
    shown: list[FitResult] = []
    failed, succeeded = threading.Event(), threading.Event()

    def fails_once(where: str) -> None:
        if where == culprit and not failed.is_set():
            failed.set()
            raise FitError("too few data")

    def fit(_columns: Any, _earlier: FitResult | None) -> FitResult:
        fails_once("fit")
        return result(2.0)

    def show(fit: FitResult) -> None:
        fails_once("display")
        shown.append(fit)
        succeeded.set()

    def data() -> dict[str, Any]:
        fails_once("data")
        return {}

    live = LiveFit(fit, show)
    live.offer(data)
    assert failed.wait(PATIENCE)
    live.offer(data)
    assert succeeded.wait(PATIENCE)
    live.close()
    assert not live.failure
    assert [fit["a"].value for fit in shown] == [2.0]


def test_each_fit_starts_from_the_one_before() -> None:
    earlier: list[FitResult | None] = []
    shown = threading.Semaphore(0)

    def fit(_columns: Any, start: FitResult | None) -> FitResult:
        earlier.append(start)
        return result(float(len(earlier)))

    live = LiveFit(fit, lambda _: shown.release())
    for _ in range(2):
        live.offer(dict)
        assert shown.acquire(timeout=PATIENCE)
    live.close()
    assert earlier[0] is None
    assert earlier[1] is not None
    assert earlier[1]["a"].value == 1.0


def test_a_fit_that_never_ends_is_left_alone() -> None:
    begun, release = threading.Event(), threading.Event()
    shown: list[FitResult] = []

    def endless(_columns: Any, _earlier: FitResult | None) -> FitResult:
        begun.set()
        release.wait(PATIENCE)
        return result(3.0)

    live = LiveFit(endless, shown.append)
    live.offer(dict)
    assert begun.wait(PATIENCE)
    live.close(patience=0.01)
    assert live.failure.startswith("TimeoutError: still fitting")
    release.set()
    assert not shown
