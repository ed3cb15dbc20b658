"""Style of all reproduced figures."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from labnis.ui.figures import DATA
from labnis.ui.fit_curves import FIT

__all__ = ["COLD", "DATA", "FIT", "HOT", "WARM", "label_curve", "mark_simulated", "panels"]

# Curves of three or four temperatures, from the coldest on.
COLD, WARM, HOT = DATA, "#3a8f5c", FIT
_TITLE, _TEXT, _MARK = 9, 8, "#8c2f8f"


def panels(title: str, *names: str, width: float = 4.4, height: float = 3.4) -> tuple[Figure, list[Axes]]:
    """A figure of named panels side by side (each of this size in inches) under a title that names the source."""
    figure = Figure(figsize=(width * len(names), height), layout="constrained", dpi=100)
    figure.suptitle(title, fontsize=_TITLE + 1)
    axes = [figure.add_subplot(1, len(names), i + 1) for i in range(len(names))]
    for axis, name in zip(axes, names, strict=True):
        axis.set_title(name, fontsize=_TITLE)
        axis.tick_params(labelsize=_TEXT)
        axis.grid(visible=True, lw=0.3, alpha=0.5)
    return figure, axes


def label_curve(
    axis: Axes,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    text: str,
    colour: str,
    *,
    at: float,
    offset: Sequence[float] = (0, 3),
) -> None:
    """Write `text` at the point of the curve whose x is closest to `at`, moved by `offset` (points)."""
    nearest = int(np.argmin(np.abs(x - at)))
    axis.annotate(
        text, (float(x[nearest]), float(y[nearest])), xytext=(offset[0], offset[1]), textcoords="offset points",
        color=colour, fontsize=_TEXT, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.8},
    )  # fmt: skip


def mark_simulated(axis: Axes) -> None:
    """Say that the points in this panel are no measurement."""
    axis.text(1.0, 1.01, "SIMULATED", transform=axis.transAxes, ha="right", va="bottom", color=_MARK, fontsize=7)
