"""Fitting while measuring, beside the measurement and never in its way."""

import threading
import time
from collections.abc import Callable

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from labnis.experiment.analysis import Columns
from labnis.fit import FitResult

__all__ = ["LiveFit"]


# Part of the time that fits may take. While one computes, the measurement may have to wait for the interpreter.
_SHARE = 0.04


class LiveFit:
    """Fits the newest data whenever the last fit is done; updates that come meanwhile are dropped.

    Fits take at most 4 % of the time, so that they never slow a measurement by more.

    Parameters
    ----------
    fit
        Function of (columns, earlier fit or None). Runs in a thread of its own. What it raises stops neither the
        measurement nor later fits.
    on_update
        Called, in that thread, with every new fit.
    at_once
        Fit what is offered before `offer` returns, as a simulated clock allows.

    Attributes
    ----------
    latest
        The newest fit; None before the first.
    problem
        What the last attempt raised; None if it succeeded. A FitError mostly means too few data yet.

    """

    def __init__(
        self,
        fit: Callable[[Columns, FitResult | None], FitResult],
        on_update: Callable[[FitResult], None],
        *,
        at_once: bool = False,
    ) -> None:
        self._fit = fit
        self._on_update = on_update
        self._at_once = at_once
        self._source: Callable[[], Columns] | None = None
        self._wake = threading.Condition()
        self._stopped = False
        self._left_alone = False
        self.latest: FitResult | None = None
        self.problem: Exception | None = None
        self._thread = threading.Thread(target=self._work, name="labnis-live-fit", daemon=True)
        self._thread.start()

    def offer(self, columns: Callable[[], Columns]) -> None:
        """Say that there are new data; `columns` is called when the fit is ready for them."""
        if self._at_once:
            self._update(columns)
            return
        with self._wake:
            self._source = columns
            self._wake.notify()

    def stop(self, patience: float = 10.0) -> None:
        """Drop what is waiting, finish the fit under way, end the thread.

        A fit that takes longer than `patience` (s) is left alone: what it finds is shown to nobody.
        """
        with self._wake:
            self._stopped = True
            self._source = None
            self._wake.notify()
        self._thread.join(patience)
        if self._thread.is_alive():
            self._left_alone = True
            self.problem = TimeoutError(f"still fitting {patience:g} s after the measurement was over")

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
                self._wake.wait_for(lambda: self._stopped, used * (1 / _SHARE - 1))

    def _update(self, source: Callable[[], Columns]) -> None:
        try:
            with threadpool_limits(1):  # the measurement needs a core, too; and these fits are quicker on one
                fit = self._fit(source(), self.latest)
            if self._left_alone:
                return
            self.latest = fit
            self._on_update(fit)
        except Exception as error:  # noqa: BLE001  # a failing live fit must not stop a run; it is reported at its end
            self.problem = error
        else:
            self.problem = None
