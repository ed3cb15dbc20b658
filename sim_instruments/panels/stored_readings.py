"""Readings that a source-meter keeps, and what it computes of them."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

__all__ = ["STATISTICS", "Reading"]

Reading = dict[str, float]
STATISTICS: Mapping[str, Callable[[list[float]], Any]] = {
    "MEAN": np.mean,
    "SDEV": lambda one: np.std(one, ddof=min(1, len(one) - 1)),
    "MAX": np.max,
    "MIN": np.min,
    "PKPK": np.ptp,
}
"""Choice of the instrument → statistic of the readings."""
