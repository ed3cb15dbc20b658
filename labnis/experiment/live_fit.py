"""Live fits during a run, in a separate thread."""

import threading
import time
from collections.abc import Callable, Sequence

import xarray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from labnis.experiment.goals import PrecisionGoal
from labnis.fit import FitError, FitResult

__all__ = ["MORE_ROWS", "LiveFit"]


# Fraction of the time for fits. While one computes, the measurement may wait for the interpreter lock: by some
# milliseconds a row, which is little where rows take long, so that these have more fits.
_SHARE, _LARGEST_SHARE = 0.04, 0.25
_PER_SECOND = 0.5
# Time (s) between two fits at most: the first one of an island that heats is a search of seconds, later ones are none.
_LONGEST_WAIT = 30.0
MORE_ROWS = 1.05
"""So many times as many rows as the last one has a live fit that is written, or made with a simulated clock."""


class LiveFit:
    """Fits the newest data whenever the previous fit is finished; updates in between are dropped.

    Fits take at most 4 % of the time where a row takes less than 80 ms, and up to 25 % from 0.5 s on, which bounds
    their effect on the measurement; the next one begins 30 s after the last in any case.

    Parameters
    ----------
    fit
        Function of (data, earlier fit or None). Runs in a separate thread. Its exceptions stop neither the
        measurement nor later fits.
    on_update
        Called, in that thread, with every new fit.
    goals
        Goals at which the run may end.
    on_close
        Called when no further fit comes.
    at_once
        Fit before the next row is measured, each time there are 5 % more of them; for a simulated clock.

    Attributes
    ----------
    latest
        The newest fit; None before the first.
    reached
        The goals, in words, once all of them are reached; empty before.

    """

    def __init__(
        self,
        fit: Callable[[xarray.Dataset, FitResult | None], FitResult],
        on_update: Callable[[FitResult], None],
        goals: Sequence[PrecisionGoal] = (),
        *,
        at_once: bool = False,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        self._fit = fit
        self._on_update = on_update
        self._goals = tuple(goals)
        self._at_once = at_once
        self._on_close = on_close
        self._rows, self._fit_at = 0, 1.0
        self._offered, self._per_row = time.monotonic(), 0.0
        self._source: Callable[[], xarray.Dataset | None] | None = None
        self._wake = threading.Condition()
        self._stopped = False
        self._abandoned = False
        self._problem: BaseException | None = None
        self.latest: FitResult | None = None
        self.reached = ""
        self._thread = threading.Thread(target=self._work, name="labnis-live-fit", daemon=True)
        self._thread.start()

    def offer(self, data: Callable[[], xarray.Dataset | None]) -> None:
        """Announce a new row; `data` is called when the fit is ready for it."""
        if self._at_once:
            self._rows += 1
            if self._rows >= self._fit_at:
                self._fit_at = MORE_ROWS * self._rows
                self._update(data)
            return
        now = time.monotonic()
        self._offered, self._per_row = now, now - self._offered
        with self._wake:
            self._source = data
            self._wake.notify()

    def close(self, patience: float = 10.0) -> None:
        """Drop waiting updates, finish the current fit, end the thread.

        A fit that takes longer than `patience` (s) is abandoned, and its result discarded.
        """
        with self._wake:
            self._stopped = True
            self._source = None
            self._wake.notify()
        self._thread.join(patience)
        if self._thread.is_alive():
            self._abandoned = True
            self._problem = TimeoutError(f"still fitting {patience:g} s after the end of the measurement")
        self._on_close()

    @property
    def failure(self) -> str:
        """Why the last live fit failed, unless it only lacked data."""
        if self._problem is None or isinstance(self._problem, FitError):
            return ""
        return f"{type(self._problem).__name__}: {self._problem}"

    def _work(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._stopped or self._source is not None)
                source, self._source = self._source, None
            if source is None:
                return
            begun = time.thread_time()
            self._update(source)
            used = time.thread_time() - begun
            with self._wake:
                self._wake.wait_for(lambda: self._stopped, min(used * (1 / self._share() - 1), _LONGEST_WAIT))

    def _share(self) -> float:
        """Fraction of the time for fits, by the time that the last row took."""
        return min(max(_PER_SECOND * self._per_row, _SHARE), _LARGEST_SHARE)

    def _update(self, source: Callable[[], xarray.Dataset | None]) -> None:
        try:
            if (data := source()) is None:
                return
            with threadpool_limits(1):  # leaves a core to the measurement; these fits are faster on one thread
                fit = self._fit(data, self.latest)
            if self._abandoned:
                return
            self.latest = fit
            if self._goals and all(goal.reached(fit) for goal in self._goals):
                self.reached = ", ".join(map(str, self._goals))
            self._on_update(fit)
        except BaseException as error:  # noqa: BLE001  # it must not stop a run; reported at its end
            self._problem = error
        else:
            self._problem = None
