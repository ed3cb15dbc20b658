"""Choice of the next bias, where a run makes one result precise rather than measures a whole curve.

Every candidate of the procedure's grid may be measured any number of times, or never. The choice assumes the model:
biases where the model might be wrong are not measured unless they carry information on the wanted result.
"""

from collections.abc import Callable, Sequence

import numpy as np
import xarray
from numpy.typing import NDArray

from labnis.experiment.goals import PrecisionGoal
from labnis.fit import FitResult, Sensitivity, most_informative

__all__ = ["InformedOrder"]

Real = NDArray[np.float64]


class InformedOrder:
    """The next bias, given the rows so far.

    Parameters
    ----------
    grid
        Biases (V) that may be measured.
    goals
        Goals; the one farthest from its σ decides.
    sensitivity
        Function of (data, fit, biases).
    data
        Function without arguments: all data so far; None before the first row.
    latest
        Function without arguments: the newest fit, or None.

    """

    def __init__(
        self,
        grid: Real,
        goals: Sequence[PrecisionGoal],
        *,
        sensitivity: Callable[[xarray.Dataset, FitResult, Real], Sensitivity],
        data: Callable[[], xarray.Dataset | None],
        latest: Callable[[], FitResult | None],
    ) -> None:
        self._grid = grid
        self._goals = goals
        self._sensitivity = sensitivity
        self._data = data
        self._latest = latest

    def __call__(self, number: int) -> float:
        """Bias (V) of the point `number`, counted from 0."""
        fit, data = self._latest(), self._data()
        measured = data["bias"].values if data is not None else np.empty(0)
        if data is not None and (again := measured[data["point"].values == number]).size:
            return float(again[-1])  # a resumed run repeats the last point
        # A fit in doubt, as from too few points, does not know where the information is, and reaches no goal.
        if fit is None or data is None or fit.warnings:
            return float(self._grid[self._spread(number)])
        nearest = np.abs(np.subtract.outer(measured, self._grid)).argmin(axis=1)
        visits = np.bincount(nearest, minlength=self._grid.size).astype(np.float64)
        wanted = max(self._goals, key=lambda goal: goal.distance(fit)).result
        return float(self._grid[most_informative(self._sensitivity(data, fit, self._grid), visits, fit, wanted)])

    def _spread(self, number: int) -> int:
        """Without a fit that is sure: both ends of the grid, then its middle, its quarters, and so on."""
        # From the third point on the van der Corput sequence: the binary digits in reverse, behind the point.
        fraction = float(number) if number < 2 else int(f"{number - 1:b}"[::-1], 2) / 2 ** (number - 1).bit_length()
        return round(fraction * (self._grid.size - 1))
