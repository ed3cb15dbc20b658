"""Panels with what fits say along a set-point, such as the electron temperature against the bias."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from labnis.fit import scaled_unit
from labnis.ui.drawn_data import Scaled, abscissa_of_curves, quantities

__all__ = ["FIT", "draw_fit_curves"]

Real = NDArray[np.float64]

FIT = "#c8553d"

# More labels of curves than these have a part of the panel for themselves.
_FEW_LABELS, _FOR_LABELS = 2, 0.35


def draw_fit_curves(target: Figure | SubFigure, curves: Sequence[xarray.Dataset]) -> None:
    """What the fits say along a set-point, one panel for each quantity; in a dry run with the truth.

    The curves of the first fit are lines with their σ, and those of others points with error bars.
    """
    names, told = quantities(curves), set[str]()
    for axis, name in zip(target.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        there = [one for one in curves if name in one]
        scale, unit = scaled_unit(max(_largest(one[name]) for one in there), str(there[0][name].attrs["units"]))
        x = Scaled.of(there[0][abscissa_of_curves(there[0])])
        for one in there:
            _draw_curve_of(axis, one, name, scale, points=one is not curves[0])
        if there[0] is curves[0] and len(there) > 1:  # points beyond the curves are known less and less
            axis.set(xlim=_span(axis.lines, 0), ylim=_span(axis.lines, 1))
        # The true one, as in `Analysis.curves`; above, it is as the voltmeter reads it.
        axis.set_xlabel(x.label.replace("device_voltage", "V, no offset").replace("_", " "))
        axis.set_ylabel(f"{name.replace('_', ' ')} ({unit})" if unit else name, fontsize="small")
        axis.tick_params(labelsize="x-small")
        handles, labels = axis.get_legend_handles_labels()
        new = {label: handle for handle, label in zip(handles, labels, strict=True) if label not in told}
        if len(new) > _FEW_LABELS:
            low, high = axis.get_ylim()
            axis.set_ylim(low, high + _FOR_LABELS * (high - low))
            axis.legend(new.values(), new.keys(), loc="upper center", ncols=2)
        elif len(there[0].dims) == 1 or new:
            axis.legend(new.values(), new.keys())
        told |= {*labels} - {"truth"} if len(there[0].dims) > 1 else set()


def _draw_curve_of(axis: Axes, curves: xarray.Dataset, name: str, scale: float, *, points: bool) -> None:
    """One quantity of one fit, in units of `scale`: a curve, or one for each temperature of the stage."""
    x = np.atleast_2d(Scaled.of(curves[abscissa_of_curves(curves)]).values)
    y, sigma = (np.atleast_2d(curves[column].values) / scale for column in (name, f"{name}_sigma"))
    drawn = f"{name}_truth" in curves and not (points and _is_told(axis))
    truth = np.atleast_2d(curves[f"{name}_truth"].values) / scale if drawn else None
    baths = curves["fridge_temperature"].values if "fridge_temperature" in curves else None
    for number in range(len(y)):
        color = FIT if baths is None else f"C{number}"
        label = "fit ± σ" if baths is None else f"{baths[number] * 1e3:.3g} mK"
        # Points on both sides of zero bias lie on one curve.
        at = np.abs(x[number]) if points and baths is not None else x[number]
        if points:
            there = np.isfinite(y[number])
            told = "each bias ± noise" if number == len(y) - 1 else None
            bars: dict[str, Any] = {"fmt": ".", "ms": 3, "lw": 0.7, "color": color, "label": told}
            axis.errorbar(at[there], y[number][there], sigma[number][there], **bars)
        else:
            axis.fill_between(at, y[number] - sigma[number], y[number] + sigma[number], color=color, alpha=0.3, lw=0)
            axis.plot(at, y[number], color=color, label=label)
        if truth is not None:
            last, order = ("truth" if number == len(y) - 1 else None), np.argsort(at)
            axis.plot(at[order], truth[number][order], "k--", label=last, zorder=3)


def _is_told(axis: Axes) -> bool:
    """Whether the truth is drawn already."""
    return any(line.get_label() == "truth" for line in axis.lines)


def _span(lines: Sequence[Any], of: int) -> tuple[float, float]:
    """Range of the first curve's abscissa (0), or of all curves (1), with a margin."""
    values = np.concatenate([line.get_data()[of] for line in lines if line.get_linestyle() == "-"])
    margin = 0.04 * float(np.ptp(values))
    return float(values.min()) - margin, float(values.max()) + margin


def _largest(column: xarray.DataArray) -> float:
    values = np.asarray(column.values, dtype=np.float64)
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
