"""The fit of one run: live estimates while it goes on, when it knows enough, and the fit at its end."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from pymeasure.experiment import Procedure

from drivers.wiring import Wiring
from labnis.experiment.analysis import Columns, Estimator
from labnis.experiment.goals import PrecisionGoal
from labnis.experiment.information_order import InformedOrder
from labnis.experiment.live_fit import LiveFit
from labnis.fit import FitError, FitResult, Sensitivity

__all__ = ["RunFit"]


class RunFit:
    """Fits of a growing run.

    Parameters
    ----------
    estimator
        Of the procedure.
    prior
        The fit that this one builds on, if any.
    wiring
        Between instruments and device.
    goals
        With which σ the run is satisfied.
    on_update
        Called with every new fit.
    at_once
        Fit every row before the next is measured, as a simulated clock allows, in place of beside the measurement.

    Attributes
    ----------
    reached
        The goals, in words, once all of them are reached; empty before.

    """

    def __init__(
        self,
        estimator: Estimator,
        prior: FitResult | None,
        wiring: Wiring,
        goals: Sequence[PrecisionGoal],
        *,
        on_update: Callable[[FitResult], None],
        at_once: bool,
    ) -> None:
        self._estimator = estimator
        self._prior = prior
        self._wiring = wiring
        self._goals = tuple(goals)
        self._on_update = on_update
        self._live = LiveFit(self._fit, self._updated, at_once=at_once)
        self.reached = ""

    def offer(self, columns: Callable[[], Columns]) -> None:
        """Say that there is a new row."""
        self._live.offer(columns)

    def stop(self) -> None:
        """End the live fits."""
        self._live.stop()

    def final(self, columns: Columns) -> tuple[FitResult | None, str]:
        """The fit of everything, from a fresh start, or why there is none."""
        if not columns:
            return None, ""
        try:
            return self._fit(columns, None), ""
        except FitError as error:
            return None, str(error)
        except Exception as error:  # noqa: BLE001  # the data are safe; a failing fit is reported, not fatal
            return None, f"{type(error).__name__}: {error}"

    @property
    def failure(self) -> str:
        """Why the last live fit failed, where that was no mere lack of data."""
        problem = self._live.problem
        if problem is None or isinstance(problem, FitError):
            return ""
        return f"{type(problem).__name__}: {problem}"

    def informed_order(self, procedure: Procedure, columns: Callable[[], Columns]) -> InformedOrder:
        """What chooses the biases of `procedure` by what they tell about the goals."""

        def sensitivity(data: Columns, fit: FitResult, biases: NDArray[np.float64]) -> Sensitivity:
            return self._estimator.sensitivity(data, self._wiring, self._prior, fit, biases)

        return InformedOrder(
            procedure.biases(),
            self._goals,
            sensitivity=sensitivity,
            columns=columns,
            latest=lambda: self._live.latest,
        )

    def _fit(self, columns: Columns, start: FitResult | None) -> FitResult:
        return self._estimator.fit(columns, self._wiring, self._prior, start)

    def _updated(self, fit: FitResult) -> None:
        if self._goals and all(goal.reached(fit) for goal in self._goals):
            self.reached = ", ".join(map(str, self._goals))
        self._on_update(fit)
