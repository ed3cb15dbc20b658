"""Live fits of a run: shown to its observers, and as events in its file, for programs that only read that."""

from collections.abc import Callable
from typing import Any

import xarray

from labnis.experiment.analysis import published
from labnis.experiment.events import Fitted, Observers
from labnis.experiment.live_fit import MORE_ROWS, LiveFit
from labnis.experiment.run_plan import RunPlan
from labnis.fit import FitResult
from labnis.storage import ESTIMATE
from sim_instruments import Twin
from sim_instruments.world.clock import SimulatedClock

__all__ = ["live_fit_of"]


def live_fit_of(plan: RunPlan, observers: Observers, write: Callable[..., None], twin: Twin | None) -> LiveFit | None:
    """The live fit of a run; None where there is no analysis, or where nobody sees it.

    In real time others may watch the file. With a simulated clock nobody can, and fits would take most of the time.

    Parameters
    ----------
    plan, observers
        Of the run.
    write
        Called with kind, message and details of an event.
    twin
        The simulated fridge, if there is one.

    """
    simulated = twin is not None and isinstance(twin.clock, SimulatedClock)
    if not plan.analyses or (simulated and not (plan.goals or observers.need_fits)):
        return None
    estimates = _Estimates(plan, observers, write)
    # The result of a dry run must not depend on the speed of this machine.
    at_once = bool(plan.goals) and twin is not None
    return LiveFit(estimates.fit, estimates.publish, plan.goals, at_once=at_once, on_close=estimates.write_last)


class _Estimates:
    """Fits by the primary analysis, published and, each time there are 5 % more rows, written to the run's file."""

    def __init__(self, plan: RunPlan, observers: Observers, write: Callable[..., None]) -> None:
        self._plan = plan
        self._observers = observers
        self._write = write
        self._rows = 0
        self._written = 0.0
        self._unwritten: FitResult | None = None

    def fit(self, data: xarray.Dataset, start: FitResult | None) -> FitResult:
        fit = self._plan.fit_primary(data, start)
        self._rows = int(data.attrs["rows"])
        return fit

    def publish(self, fit: FitResult) -> None:
        analysis = self._plan.analyses[0]
        self._observers(Fitted(analysis.name, fit, published([analysis], {analysis.name: fit}), self._rows))
        self._unwritten = fit
        if self._rows >= MORE_ROWS * self._written:
            self.write_last()

    def write_last(self) -> None:
        """Write the newest fit, unless it is written."""
        fit, self._unwritten = self._unwritten, None
        if fit is None:
            return
        analysis = self._plan.analyses[0]
        results = published([analysis], {analysis.name: fit})
        details: dict[str, Any] = {
            "rows": self._rows,
            "analysis": analysis.name,
            "results": {name: one.as_record() for name, one in results.items()},
            "warnings": list(fit.warnings),
            # Without the budget, which is larger than all the rest: the results have both parts of σ.
            "fit": fit.as_record() | {"budget": None},
        }
        self._write(ESTIMATE, f"live fit of {self._rows} rows", **details)
        self._written = self._rows
