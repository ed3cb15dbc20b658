"""Fits of this lab."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import xarray
from labnis.fit import FitError


class LineResistance:
    """Resistance of device and line together, from the currents at the outermost biases."""

    name = "line_resistance"
    results: ClassVar[dict[str, str]] = {"line_resistance": "ohm"}

    def fit(self, data: xarray.Dataset, context: Any, priors: Any, start: Any) -> dict[str, tuple[float, float]]:
        """Slope of the current over the last two biases on each side; σ from the scatter of the gates.

        Raises FitError before the first gate is measured completely: labnis fits during the run, too.
        """
        whole = data["current"].dropna("gate")
        if not whole.size:
            raise FitError("no gate is measured completely")
        ends = [whole.isel(bias=index) for index in ([0, 1], [-2, -1])]
        slopes = np.concatenate([np.diff(end, axis=-1).ravel() / np.diff(end["bias"]) for end in ends])
        return {"line_resistance": (1 / slopes.mean(), slopes.std() / slopes.mean() ** 2 / np.sqrt(slopes.size))}

    def predict(self, fit: Any, data: xarray.Dataset) -> Mapping[str, Any]:
        """The straight line at the data's points: what figures and residuals show."""
        line = data["bias"] / fit["line_resistance"].value
        return {"current": line.broadcast_like(data["current"]).transpose(*data["current"].dims).values}
