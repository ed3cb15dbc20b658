"""Fits of this lab."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import xarray


class LineResistance:
    """Resistance of device and line together, from a straight line through the outer biases."""

    name = "line_resistance"
    results: ClassVar[dict[str, str]] = {"line_resistance": "ohm"}

    def fit(self, data: xarray.Dataset, context: Any, priors: Any, start: Any) -> dict[str, tuple[float, float]]:
        """Slope of the current over bias, beyond half of the largest bias; σ from the scatter of the gates."""
        outer = data.where(abs(data["bias"]) > 0.5 * float(abs(data["bias"]).max()), drop=True)
        sides = [outer.where(sign * outer["bias"] > 0, drop=True)["current"] for sign in (1, -1)]
        fitted = [side.polyfit("bias", 1)["polyfit_coefficients"].sel(degree=1) for side in sides]
        slopes = np.concatenate([slope.values.ravel() for slope in fitted])
        slopes = slopes[np.isfinite(slopes)]
        return {"line_resistance": (1 / slopes.mean(), slopes.std() / slopes.mean() ** 2 / np.sqrt(slopes.size))}

    def predict(self, fit: Any, data: xarray.Dataset) -> Mapping[str, Any]:
        """The straight line at the data's points: what figures and residuals show."""
        line = data["bias"] / fit["line_resistance"].value
        return {"current": line.broadcast_like(data["current"]).transpose(*data["current"].dims).values}
