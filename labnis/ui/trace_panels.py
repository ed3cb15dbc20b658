"""Traces of a run with their fit: some of them, and what is left of all in units of its scatter."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from labnis.fit import number_text
from labnis.ui.drawn_data import Scaled

__all__ = ["draw_traces", "fitted_traces"]

_COLORS = ("#0072b2", "#d55e00", "#009e73")  # of colour-blind safe ones (Okabe and Ito)
# Of residuals, the largest that has a colour of its own.
_LARGEST = 5.0


def fitted_traces(data: xarray.Dataset, model: Mapping[str, Any]) -> str:
    """Name of the column with traces along `frequency` that the `model` predicts; empty without one."""
    names = [name for name in model if "frequency" in data[name].dims and data[name].ndim > 1]
    return names[0] if names else ""


def draw_traces(target: Figure | SubFigure, data: xarray.Dataset, name: str, model: Any) -> None:
    """Draw three traces of the column `name` with the `model` (its shape), and all residuals.

    Complex traces are divided by the first one, so that cables drop out: they are loops then.
    """
    column = data[name].transpose(..., "frequency")
    outer = [str(dim) for dim in column.dims if dim != "frequency"]
    flat = column.stack(row=outer, create_index=False).transpose("row", "frequency")
    expected = column.copy(data=np.asarray(model)).stack(row=outer, create_index=False).transpose("row", "frequency")
    there = np.flatnonzero(np.isfinite(flat.values).all(axis=1) & np.isfinite(expected.values).all(axis=1))
    if not there.size:
        return
    bias = data["device_voltage"] if "device_voltage" in data else data[outer[-1]]
    voltage = bias.broadcast_like(column.isel(frequency=0)).stack(row=outer, create_index=False).values
    chosen = there[np.unique(np.linspace(0, there.size - 1, len(_COLORS)).round().astype(int))]
    left, right = target.subplots(1, 2)
    labels = {row: number_text(float(voltage[row]), str(bias.attrs.get("units", ""))) for row in chosen}
    if np.iscomplexobj(flat.values):
        _draw_loops(left, flat, expected, labels, there[0])
    else:
        _draw_spectra(left, flat, expected, labels)
    left.legend(frameon=False, fontsize="xx-small")
    _draw_residuals(right, flat, expected, Scaled.of(bias.copy(data=bias.values)), voltage, there)


def _draw_loops(
    axis: Axes, traces: xarray.DataArray, expected: xarray.DataArray, labels: Mapping[int, str], first: int
) -> None:
    reference = expected.values[first]
    for (row, label), color in zip(labels.items(), _COLORS, strict=False):
        measured, fit = traces.values[row] / reference, expected.values[row] / reference
        axis.plot(measured.real, measured.imag, ".", ms=2, color=color, label=label)
        axis.plot(fit.real, fit.imag, color=color, lw=0.8)
    words = str(traces.attrs.get("long_name", traces.name))
    axis.set_aspect("equal", adjustable="datalim")
    axis.set_xlabel(f"Re {words} / that at {labels[first]}", fontsize="small")
    axis.set_ylabel("Im", fontsize="small")


def _draw_spectra(axis: Axes, traces: xarray.DataArray, expected: xarray.DataArray, labels: Mapping[int, str]) -> None:
    x, y = Scaled.of(traces["frequency"]), Scaled.of(traces)
    factor = np.nanmax(np.abs(y.values)) / np.nanmax(np.abs(traces.values))
    for (row, label), color in zip(labels.items(), _COLORS, strict=False):
        axis.plot(x.values, y.values[row], ".", ms=2, color=color, label=label)
        axis.plot(x.values, expected.values[row] * factor, color=color, lw=0.8)
    axis.set_xlabel(x.label, fontsize="small")
    axis.set_ylabel(y.label, fontsize="small")


def _draw_residuals(
    axis: Axes,
    traces: xarray.DataArray,
    expected: xarray.DataArray,
    bias: Scaled,
    voltage: NDArray[np.float64],
    there: NDArray[np.intp],
) -> None:
    """What is left, in units of the scatter at each trace; of complex traces its size."""
    rest = traces.values[there] - expected.values[there]
    scatter = np.median(np.abs(rest), axis=1, keepdims=True)
    order = np.argsort(voltage[there])
    size = np.nanmax(np.abs(bias.values)) / max(float(np.nanmax(np.abs(voltage))), np.finfo(float).tiny)
    x, y = voltage[there][order] * size, Scaled.of(traces["frequency"])
    if np.iscomplexobj(rest):  # a Rayleigh distribution: the median is 1.1774 σ of each part
        values = np.abs(rest) / (scatter / 1.1774)
        colors: dict[str, Any] = {"cmap": "viridis", "vmin": 0, "vmax": _LARGEST}
    else:
        values = rest / (1.4826 * scatter)
        colors = {"cmap": "RdBu_r", "vmin": -_LARGEST, "vmax": _LARGEST}
    mesh = axis.pcolormesh(x, y.values, values[order].T, shading="nearest", rasterized=True, **colors)
    axis.figure.colorbar(mesh, ax=axis, label="residual / scatter")
    axis.set_xlabel(bias.label, fontsize="small")
    axis.set_ylabel(y.label, fontsize="small")
