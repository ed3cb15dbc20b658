"""Traces of a run with their fit: some of them, and what is left of all in units of its scatter."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from labnis.fit import number_text
from labnis.ui.drawn_data import FitOfData, Scaled

__all__ = ["draw_traces", "fitted_traces"]

_CHOSEN = (0.2, 0.5, 1.0)
_COLORS = ("#0072b2", "#d55e00", "#009e73")  # of colour-blind safe ones (Okabe and Ito)
# Of residuals, the largest that has a colour of its own.
_LARGEST = 5.0


def fitted_traces(data: xarray.Dataset, model: Mapping[str, Any]) -> str:
    """Name of the column with traces along `frequency` that the `model` predicts; empty without one."""
    names = [name for name in model if "frequency" in data[name].dims and data[name].ndim > 1]
    return names[0] if names else ""


def draw_traces(target: Figure | SubFigure, data: xarray.Dataset, name: str, fit: FitOfData) -> None:
    """Draw three traces of the column `name` with their fit, and all residuals.

    Complex traces are divided by the first one, so that cables drop out: they are loops then.
    """
    column = data[name].transpose(..., "frequency")
    outer = [str(dim) for dim in column.dims if dim != "frequency"]

    def in_rows(values: Any) -> xarray.DataArray:
        whole = data[name].copy(data=np.asarray(values)).transpose(..., "frequency")
        return whole.stack(row=outer, create_index=False).transpose("row", "frequency")

    flat, expected = in_rows(column), in_rows(fit.model[name])
    there = np.flatnonzero(np.isfinite(flat.values).all(axis=1) & np.isfinite(expected.values).all(axis=1))
    if not there.size:
        return
    bias = data["device_voltage"] if "device_voltage" in data else data[outer[-1]]
    voltage = bias.broadcast_like(column.isel(frequency=0)).stack(row=outer, create_index=False).values
    # Closer together at small biases, where they change most.
    chosen = there[np.unique([round(part * (there.size - 1)) for part in _CHOSEN])]
    left, right = target.subplots(1, 2)
    labels = {row: number_text(float(voltage[row]), str(bias.attrs.get("units", ""))) for row in chosen}
    if np.iscomplexobj(flat.values):
        _draw_loops(left, flat, expected, labels, number_text(float(voltage[there[0]]), "V"), there[0])
    else:
        _draw_spectra(left, flat, expected, labels)
    left.legend(loc="center" if np.iscomplexobj(flat.values) else "upper left", handletextpad=0.2)
    residuals = in_rows(fit.residuals[name]).values if name in fit.residuals else None
    _draw_residuals(right, flat, expected, residuals, Scaled.of(bias), voltage, there)


def _draw_loops(
    axis: Axes,
    traces: xarray.DataArray,
    expected: xarray.DataArray,
    labels: Mapping[int, str],
    at_first: str,
    first: int,
) -> None:
    reference = expected.values[first]
    for (row, label), color in zip(labels.items(), _COLORS, strict=False):
        measured, fit = traces.values[row] / reference, expected.values[row] / reference
        axis.plot(measured.real, measured.imag, ".", color=color, label=label)
        axis.plot(fit.real, fit.imag, color=color)
    words = str(traces.attrs.get("long_name", traces.name))
    axis.set_aspect("equal", adjustable="datalim")
    axis.set_xlabel(f"Re {words} / that at {at_first}")
    axis.set_ylabel("Im")


def _draw_spectra(axis: Axes, traces: xarray.DataArray, expected: xarray.DataArray, labels: Mapping[int, str]) -> None:
    x, y = Scaled.of(traces["frequency"]), Scaled.of(traces)
    for (row, label), color in zip(labels.items(), _COLORS, strict=False):
        axis.plot(x.values, y.values[row], ".", color=color, label=label)
        axis.plot(x.values, expected.values[row] / y.scale, color=color)
    axis.set_xlabel(x.label)
    axis.set_ylabel(y.label)


def _draw_residuals(
    axis: Axes,
    traces: xarray.DataArray,
    expected: xarray.DataArray,
    residuals: NDArray[Any] | None,
    bias: Scaled,
    voltage: NDArray[np.float64],
    there: NDArray[np.intp],
) -> None:
    """What is left, in units of σ, or of the scatter at each trace where there is none; of complex traces its size."""
    rest, unit = (None, "scatter") if residuals is None else (residuals[there], "σ")
    if rest is None:
        rest = traces.values[there] - expected.values[there]
        # The median of the size of a complex number of normally distributed parts is 1.1774 σ of each.
        of_sigma = 1.1774 if np.iscomplexobj(rest) else 0.6745
        rest = rest / (np.median(np.abs(rest), axis=1, keepdims=True) / of_sigma)
    order = np.argsort(voltage[there])
    x, y = voltage[there][order] / bias.scale, Scaled.of(traces["frequency"])
    if np.iscomplexobj(rest):
        colors: dict[str, Any] = {"cmap": "viridis", "vmin": 0, "vmax": _LARGEST}
        label = f"|residual| / {unit}"
    else:
        colors, label = {"cmap": "RdBu_r", "vmin": -_LARGEST, "vmax": _LARGEST}, f"residual / {unit}"
    values = np.abs(rest) if np.iscomplexobj(rest) else rest
    mesh = axis.pcolormesh(x, y.values, values[order].T, shading="nearest", rasterized=True, **colors)
    axis.figure.colorbar(mesh, ax=axis, label=label)
    axis.set_xlabel(bias.label)
    axis.set_ylabel(y.label)
