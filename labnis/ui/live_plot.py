"""A window that shows the growing data of a run with their fit."""

import time

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from labnis.experiment.analysis import Analysis, analyses_of
from labnis.experiment.curves import curves_of
from labnis.experiment.events import Ended, Event, Fitted, RowRecorded, Started
from labnis.fit import FitResult
from labnis.ui.drawn_data import FitOfData, fit_of_data
from labnis.ui.figures import draw_data
from labnis.ui.fit_curves import draw_fit_curves

__all__ = ["LivePlot"]


class LivePlot:
    """Observer that draws into one matplotlib window per run; without a screen the figure stays in memory.

    Parameters
    ----------
    interval
        Shortest time (s) between two drawings.

    Attributes
    ----------
    figure
        Figure of the present run; None before the first.

    """

    needs_data = True

    def __init__(self, interval: float = 0.5) -> None:
        self._interval = interval
        self.figure: Figure | None = None
        self._analysis: Analysis | None = None
        self._fit: FitResult | None = None
        self._drawn = 0.0

    def __call__(self, event: Event) -> None:
        """Draw what `event` adds."""
        match event:
            case Started():
                plt.ion()
                self.figure = plt.figure(type(event.procedure).__name__, layout="constrained")
                self._analysis = next(iter(analyses_of(event.procedure)), None)
                self._fit = None
            case Fitted():
                self._fit = event.fit  # drawn with the next row, in the thread that opened the window
            case RowRecorded() if event.data is not None:
                self._draw(event)
            case Ended():
                self._show()

    def _draw(self, event: RowRecorded) -> None:
        now = time.monotonic()
        if self.figure is None or event.data is None or now - self._drawn < self._interval:
            return
        data = event.data()
        if data is None:
            return
        self.figure.clear()
        fit, curves = FitOfData(), None
        if self._analysis is not None and self._fit is not None:
            fit = fit_of_data([self._analysis], {self._analysis.name: self._fit}, data)
            curves = curves_of(self._analysis, self._fit, data)
        if curves is None:
            draw_data(self.figure, data, fit)
        else:
            upper, lower = self.figure.subfigures(2, 1, squeeze=False, height_ratios=(3, 2))[:, 0]
            draw_data(upper, data, fit)
            draw_fit_curves(lower, [curves])
        self._show()
        self._drawn = now

    def _show(self) -> None:
        if self.figure is not None:
            self.figure.canvas.draw_idle()
            self.figure.canvas.flush_events()
