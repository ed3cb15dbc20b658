"""Figures of runs: data, model and residuals.

What is drawn is in `labnis.ui.drawn_data`. The data decide the kind
of figure: a curve over one set-point, a map over two, a map over set-point and frequency for traces.
"""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from labnis.experiment.run import Run, stored_run
from labnis.fit import Estimate, number_text
from labnis.ui.drawn_data import (
    Scaled,
    abscissa,
    axes_of,
    in_the_plane,
    map_values,
    of_fits,
    predictions,
    quantities,
)
from labnis.ui.fit_curves import FIT, draw_fit_curves

__all__ = [
    "DATA",
    "annotate",
    "draw_data",
    "draw_runs",
    "figure_of",
]

Real = NDArray[np.float64]

DATA = "#3b6ea5"
BACK = "#6aa84f"

# Characters of a line of warnings.
_WIDTH = 95


def draw_runs(paths: Sequence[Path], file: Path) -> None:
    """Draw each run of `paths` into one panel of `file` (format by its ending); simulated data are marked."""
    figure_of(paths).savefig(file, dpi=150)


def figure_of(paths: Sequence[Path]) -> Figure:
    """A figure with one panel for each run of `paths`."""
    runs = [stored_run(path) for path in paths]
    panels = max(len(quantities(list(run.curves.values()))) for run in runs)
    size = (max(4.8, 2.6 * panels) * len(paths), 6.6 if panels else 4.2)
    figure = Figure(figsize=size, layout="constrained")
    for part, run in zip(figure.subfigures(1, len(paths), squeeze=False)[0], runs, strict=True):
        metadata, curves = run.metadata, list(run.curves.values())
        upper, *lower = part.subfigures(2, 1, height_ratios=(3, 2)) if curves else [part]
        draw_data(upper, run.data, predictions(run), of_fits(run, "left_out"), of_fits(run, "residuals"))
        for place in lower:
            draw_fit_curves(place, curves)
        mark = "SIMULATED  " if metadata["simulated"] else ""
        part.suptitle(f"{run.procedure}  {run.run_id}\n{mark}{metadata['start']:%Y-%m-%d %H:%M}", fontsize=8)
        annotate(upper.axes[0], run)
    return figure


def draw_data(
    target: Figure | SubFigure,
    data: xarray.Dataset,
    model: Mapping[str, Any],
    left_out: Mapping[str, Any] | None = None,
    residuals: Mapping[str, Any] | None = None,
) -> None:
    """Draw the signal of `data` with its `model` (column → values), and residuals below a curve; isotherms together.

    Readings that the fit leaves out (column → which of them) are marked. Without `residuals` (column → in units of σ)
    they are in units of their own scatter.
    """
    name = str(data.attrs["signal"])
    signal = data[name]
    without = np.broadcast_to(np.asarray((left_out or {}).get(name, False)), signal.shape)
    setpoints = [str(dim) for dim in signal.dims if dim not in axes_of(data)]
    traces = [str(dim) for dim in signal.dims if dim in axes_of(data)]
    if traces:
        _draw_map(target.subplots(), data, name, traces[-1], without)
    elif setpoints == ["stage", "bias"]:
        _draw_isotherms(target, data, name, model)
    elif len([dim for dim in setpoints if dim not in ("direction", "repeat", "point")]) > 1:
        _draw_map(target.subplots(), data, name, setpoints[-1], without)
    else:
        # What is left out of traces is part of each value that is made of one.
        partly = any(np.ndim(where) > signal.ndim for where in (left_out or {}).values())
        _draw_curve(target, data, name, model, without, (residuals or {}).get(name), partly=partly)


def _draw_curve(
    target: Figure | SubFigure,
    data: xarray.Dataset,
    name: str,
    model: Mapping[str, Any],
    left_out: NDArray[np.bool_],
    residuals: Real | None,
    *,
    partly: bool,
) -> None:
    x, y = Scaled.of(abscissa(data, name)), Scaled.of(data[name])
    fitted = name in model
    axes = target.subplots(2, 1, sharex=True, height_ratios=(3, 1)) if fitted else [target.subplots()]
    back = _way_back(data, name)
    points: dict[str, Any] = {"marker": ".", "ms": 3, "color": DATA, "ls": ""}
    rings: dict[str, Any] = {"marker": "o", "ms": 4, "mew": 0.6, "fillstyle": "none", "color": BACK, "ls": ""}
    for way, style, label in ((~back, points, "measured"), (back, rings, "measured, reverse")):
        if way.any():
            axes[0].plot(x.values[way], y.values[way], label=label, **style)
    if left_out.any():
        label = f"{'partly ' if partly else ''}left out of the fit"
        axes[0].plot(x.values[left_out], y.values[left_out], "x", ms=6, color=FIT, label=label)
    if fitted:
        _draw_model(axes, data, name, np.asarray(model[name], dtype=np.float64), x, y, residuals)
    axes[0].set_ylabel(y.label)
    axes[-1].set_xlabel(x.label)
    if fitted or back.any():
        axes[0].legend(frameon=False, loc="upper left", fontsize=7)
    _draw_conductance(axes[0], data, x, model)


def _way_back(data: xarray.Dataset, name: str) -> NDArray[np.bool_]:
    if "direction" not in data[name].dims:
        return np.zeros(data[name].shape, dtype=bool)
    return np.asarray((data["direction"] < 0).broadcast_like(data[name]).transpose(*data[name].dims).values)


def _draw_model(
    axes: Any, data: xarray.Dataset, name: str, model: Real, x: Scaled, y: Scaled, residuals: Real | None
) -> None:
    """The model in the order of the abscissa, and residuals in units of σ, or of their own scatter if it is unknown."""
    measured = np.asarray(data[name].values, dtype=np.float64)
    scale = np.nanmedian(np.abs(measured[measured != 0] / y.values[measured != 0])) if measured.any() else 1.0
    order = np.argsort(x.values, axis=None)
    axes[0].plot(x.values.ravel()[order], model.ravel()[order] / scale, color=FIT, lw=1, label="fit")
    unit = "scatter" if residuals is None else "σ"
    if residuals is None:
        rest = measured - model
        scatter = 1.4826 * np.nanmedian(np.abs(rest - np.nanmedian(rest)))
        residuals = rest / scatter if scatter > 0 else np.full_like(rest, np.nan)
    axes[1].plot(x.values.ravel(), residuals.ravel(), ".", ms=2, color=DATA)
    axes[1].axhline(0, color=FIT, lw=0.8)
    axes[1].set_ylabel(f"residual / {unit}", fontsize=8)


def _draw_conductance(axis: Axes, data: xarray.Dataset, x: Scaled, model: Mapping[str, Any]) -> None:
    """The lock-in's dI/dV of an I–V sweep, with the fit if there is one, on a logarithmic scale."""
    if "conductance" not in data or not np.isfinite(data["conductance"].values).any():
        return
    y = Scaled.of(data["conductance"])
    inset = axis.inset_axes((0.6, 0.13, 0.38, 0.34))
    order = np.argsort(x.values, axis=None)
    inset.semilogy(x.values.ravel()[order], np.where(y.values > 0, y.values, np.nan).ravel()[order], color=DATA, lw=0.8)
    if "conductance" in model:
        fit = np.asarray(model["conductance"]) * np.nanmax(y.values) / np.nanmax(data["conductance"].values)
        inset.semilogy(x.values.ravel()[order], fit.ravel()[order], color=FIT, lw=0.8)
    inset.set_title(f"dI/dV ({y.label.rpartition('(')[2]}", fontsize=7, pad=2)
    inset.tick_params(labelsize=6)


def _draw_isotherms(target: Figure | SubFigure, data: xarray.Dataset, name: str, model: Mapping[str, Any]) -> None:
    """The magnitude of the signal at each temperature of the stage with the model, and the lock-in's dI/dV below."""
    measured = [name, *(["conductance"] if np.isfinite(data.get("conductance", np.nan)).any() else [])]
    x, axes = Scaled.of(abscissa(data, name)), target.subplots(len(measured), 1, sharex=True, squeeze=False)[:, 0]
    for axis, column in zip(axes, measured, strict=True):
        y, expected = Scaled.of(data[column]), model.get(column)
        for number, kelvin in enumerate(data["stage"].values):
            color, label = f"C{number}", f"{kelvin * 1e3:.4g} mK" if kelvin else "base temperature"
            axis.semilogy(x.values[number], np.abs(y.values[number]), ".", ms=3, color=color, label=label)
            if expected is not None:
                curve = Scaled.of(data[column].copy(data=expected)).values[number]
                axis.semilogy(x.values[number], np.abs(curve), color=color, lw=0.8)
        axis.set_ylabel(f"|{y.label.replace(' (', '| (')}", fontsize=8)
    axes[-1].set_xlabel(x.label)
    axes[0].legend(frameon=False, loc="lower right", fontsize=6)


def _draw_map(axis: Axes, data: xarray.Dataset, name: str, fast: str, left_out: NDArray[np.bool_]) -> None:
    """The signal over its innermost set-point and the dimension `fast`; further dimensions at their first value."""
    column, slow, shown = in_the_plane(data, data[name], fast)
    if shown:
        axis.set_title(f"only at {', '.join(shown)}", loc="right", fontsize=6)
    values, label, center = map_values(column, fast)
    x, y = Scaled.of(column[slow]), Scaled.of(column[fast])
    limit = float(np.nanpercentile(np.abs(values), 99.5)) if np.isfinite(values).any() else 1.0
    colors: dict[str, Any] = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit} if center else {"cmap": "viridis"}
    mesh = axis.pcolormesh(x.values, y.values, values.T, shading="nearest", rasterized=True, **colors)
    axis.figure.colorbar(mesh, ax=axis, label=label)
    axis.set(xlabel=x.label, ylabel=y.label)
    if left_out.any():
        marks, _, _ = in_the_plane(data, data[name].copy(data=left_out.astype(np.float64)), fast)
        at, beside = np.nonzero(marks.transpose(..., fast).values > 0)
        axis.plot(x.values[at], y.values[beside], "x", ms=4, color="black", label="left out of the fit")
        axis.legend(frameon=False, loc="upper left", fontsize=7)


def annotate(axis: Axes, run: Run) -> None:
    """Results above the data, with both parts of σ; those in doubt are marked, and the warnings follow."""
    shown = {name: estimate for name, estimate in run.results.items() if "." not in name}
    lines = [f"{name.replace('_', ' ')}{' ?' * (name in run.doubtful)} {_told(one)}" for name, one in shown.items()]
    warned = [*dict.fromkeys(text for name in shown for text in run.fit_of(name).warnings)]
    more = f" (and {len(warned) - 1} more, see labnis show)" if len(warned) > 1 else ""
    lines += textwrap.wrap(f"? {warned[0]}{more}", _WIDTH) if warned else []
    axis.set_title("\n".join(lines), loc="left", fontsize=6, color=FIT)


def _told(estimate: Estimate) -> str:
    if estimate.limit is not None or estimate.systematic is None or not estimate.sigma:
        return f"{'= ' if estimate.limit is None else ''}{estimate}"
    noise, systematic = (number_text(part, estimate.unit) for part in (estimate.statistical, estimate.systematic))
    return f"= {estimate} (noise {noise}, systematic {systematic})"
