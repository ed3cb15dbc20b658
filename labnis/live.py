"""Fitting while measuring, beside the measurement and never in its way."""

import threading
from collections.abc import Callable

from labnis.analysis import Columns
from labnis.fit import FitError, FitResult

__all__ = ["LiveFit"]


class LiveFit:
    """Fits the newest data whenever the last fit is done; updates that come meanwhile are dropped.

    Parameters
    ----------
    fit
        Function of (columns, earlier fit or None). Runs in a thread of its own. What it raises stops neither the
        measurement nor later fits; it is kept in `problem`.
    on_update
        Called, in that thread, with every new fit.

    """

    def __init__(
        self, fit: Callable[[Columns, FitResult | None], FitResult], on_update: Callable[[FitResult], None]
    ) -> None:
        self._fit = fit
        self._on_update = on_update
        self._source: Callable[[], Columns] | None = None
        self._wake = threading.Condition()
        self._stopped = False
        self.latest: FitResult | None = None
        self.problem = ""
        self._thread = threading.Thread(target=self._work, name="labnis-live-fit", daemon=True)
        self._thread.start()

    def offer(self, columns: Callable[[], Columns]) -> None:
        """Say that there are new data; `columns` is called when the fit is ready for them."""
        with self._wake:
            self._source = columns
            self._wake.notify()

    def stop(self) -> None:
        """Finish the fit under way, drop what is waiting, end the thread."""
        with self._wake:
            self._stopped = True
            self._source = None
            self._wake.notify()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._stopped or self._source is not None)
                source, self._source = self._source, None
            if source is None:
                return
            self._update(source())

    def _update(self, columns: Columns) -> None:
        try:
            self.latest = self._fit(columns, self.latest)
        except FitError as error:  # too few data yet, or a shape that the next points will settle
            self.problem = str(error)
            return
        except Exception as error:  # noqa: BLE001  # a failing live fit must not stop a run; it is reported at its end
            self.problem = f"{type(error).__name__}: {error}"
            return
        self.problem = ""
        self._on_update(self.latest)
