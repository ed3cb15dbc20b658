"""Figures of runs: data, model and residuals.

What is drawn is in `labnis.ui.drawn_data`. The data decide the kind
of figure: a curve over one set-point, a map over two, a map over set-point and frequency for traces.
"""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray
from matplotlib import rc_params_from_file
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from labnis.errors import RequestError
from labnis.experiment.run import Run, device_of, stored_run
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
from labnis.ui.trace_panels import draw_traces, fitted_traces

__all__ = [
    "DATA",
    "annotate",
    "draw_data",
    "draw_runs",
    "figure_of",
    "styled",
]

Real = NDArray[np.float64]

DATA = "#3b6ea5"
BACK = "#6aa84f"

STYLE = Path(__file__).with_name("labnis.mplstyle")
# A curve whose smallest values (this percentile) are less than this part of its largest is also drawn logarithmically.
_LOW, _SMALL = 10, 0.01
# Characters of a line of warnings.
_WIDTH = 95


def draw_runs(paths: Sequence[Path], file: Path, style: Path | None = None) -> None:
    """Draw each run of `paths` into one panel of `file` (format by its ending); simulated data are marked.

    RequestError for a `style` that is no style file of matplotlib.
    """
    with styled(style):
        _figure_of(paths).savefig(file)


def figure_of(paths: Sequence[Path]) -> Figure:
    """A figure with one panel for each run of `paths`."""
    with styled():
        return _figure_of(paths)


@contextmanager
def styled(style: Path | None = None) -> Iterator[None]:
    """The style of labnis's figures, with that of a lab on top; RequestError if it cannot be used."""
    try:
        used = [rc_params_from_file(one, use_default_template=False) for one in [STYLE, *([style] if style else [])]]
    except OSError as error:
        raise RequestError(f"--style {style}: cannot be read: {error.strerror or error}") from error
    with mpl.rc_context():
        for one in used:
            mpl.rcParams.update(one)
        yield


def _figure_of(paths: Sequence[Path]) -> Figure:
    runs = [stored_run(path) for path in paths]
    panels = max(len(quantities(list(run.curves.values()))) for run in runs)
    models = [predictions(run) for run in runs]
    heights = [_heights(run, model) for run, model in zip(runs, models, strict=True)]
    size = (max(4.8, 2.6 * panels) * len(paths), max(map(sum, heights)))
    figure = Figure(figsize=size, layout="constrained")
    places = figure.subfigures(1, len(paths), squeeze=False)[0]
    for part, run, model, ratios in zip(places, runs, models, heights, strict=True):
        upper, *lower = part.subfigures(len(ratios), 1, height_ratios=ratios, squeeze=False)[:, 0]
        draw_data(upper, run.data, model, of_fits(run, "left_out"), of_fits(run, "residuals"))
        if name := fitted_traces(run.data, model):
            draw_traces(lower[0], run.data, name, model[name])
        if run.curves:
            draw_fit_curves(lower[-1], list(run.curves.values()))
        part.suptitle(_header(run.metadata, run), fontsize="small")
        annotate(upper.axes[0], run)
    return figure


def _heights(run: Run, model: Mapping[str, Any]) -> list[float]:
    """Of the parts of a run's figure (inch): data, traces with their fit, and what the fits say along a set-point."""
    further = len(_logarithmic(run.data, str(run.data.attrs["signal"]), model))
    traces, curves = bool(fitted_traces(run.data, model)), bool(run.curves)
    return [4.2 + 1.2 * further, *([2.6] if traces else []), *([2.4] if curves else [])]


def _header(metadata: Mapping[str, Any], run: Run) -> str:
    """Procedure, run, device, cooldown and date."""
    where = ", ".join(filter(None, [device_of(metadata), metadata["cooldown"]]))
    mark = "SIMULATED  " if metadata["simulated"] else ""
    return f"{run.procedure}  {run.run_id}  {where}\n{mark}{metadata['start']:%Y-%m-%d %H:%M}"


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
    logarithmic = _logarithmic(data, name, model)
    ratios = [3.0, *(1.5 for _ in logarithmic), *([1.0] if fitted else [])]
    axes = target.subplots(len(ratios), 1, sharex=True, height_ratios=ratios, squeeze=False)[:, 0]
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
        axes[0].legend(frameon=False, loc="upper left", fontsize="x-small")
    for axis, column in zip(axes[1:], logarithmic, strict=False):
        _draw_size(axis, data, column, x, model.get(column))


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
    axes[-1].plot(x.values.ravel(), residuals.ravel(), ".", ms=2, color=DATA)
    axes[-1].axhline(0, color=FIT, lw=0.8)
    axes[-1].set_ylabel(f"residual / {unit}", fontsize="small")


def _logarithmic(data: xarray.Dataset, name: str, model: Mapping[str, Any]) -> list[str]:
    """Columns whose size is also drawn on a logarithmic scale: the physics of a curve with a gap is far below its ends.

    They are the signal, where its `model` is far smaller in a part of it than at the ends, and the conductance.
    """
    if axes_of(data) & {*map(str, data[name].dims)} or len([d for d in data[name].dims if data.sizes[d] > 1]) != 1:
        return []
    expected = np.abs(np.asarray(model.get(name, 0.0), dtype=np.float64))
    wide = name in model and np.nanpercentile(expected, _LOW) < _SMALL * np.nanmax(expected, initial=0.0)
    lockin = "conductance" in data and bool(np.isfinite(data["conductance"].values).any())
    return list(dict.fromkeys([*([name] if wide else []), *(["conductance"] if lockin else [])]))


def _draw_size(axis: Axes, data: xarray.Dataset, name: str, x: Scaled, model: Any) -> None:
    """The size of a column on a logarithmic scale, with the fit if there is one."""
    y = Scaled.of(data[name])
    order = np.argsort(x.values, axis=None)
    axis.semilogy(x.values.ravel(), np.abs(y.values).ravel(), ".", ms=2, color=DATA)
    if model is not None:
        fit = np.asarray(model) * np.nanmax(np.abs(y.values)) / np.nanmax(np.abs(data[name].values))
        axis.semilogy(x.values.ravel()[order], np.abs(fit).ravel()[order], color=FIT, lw=0.8)
    axis.set_ylabel(f"|{y.label.replace(' (', '| (')}", fontsize="small")
    axis.tick_params(labelsize="x-small")


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
        axis.set_ylabel(f"|{y.label.replace(' (', '| (')}", fontsize="small")
    axes[-1].set_xlabel(x.label)
    axes[0].legend(frameon=False, loc="lower right", fontsize="xx-small")


def _draw_map(axis: Axes, data: xarray.Dataset, name: str, fast: str, left_out: NDArray[np.bool_]) -> None:
    """The signal over its innermost set-point and the dimension `fast`; further dimensions at their first value."""
    column, slow, shown = in_the_plane(data, data[name], fast)
    if shown:
        axis.set_title(f"only at {', '.join(shown)}", loc="right", fontsize="xx-small")
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
        axis.legend(frameon=False, loc="upper left", fontsize="x-small")


def annotate(axis: Axes, run: Run) -> None:
    """Results above the data, with both parts of σ; those in doubt are marked, and the warnings follow."""
    shown = {name: estimate for name, estimate in run.results.items() if "." not in name}
    lines = [f"{name.replace('_', ' ')}{' ?' * (name in run.doubtful)} {_told(one)}" for name, one in shown.items()]
    warned = [*dict.fromkeys(text for name in shown for text in run.fit_of(name).warnings)]
    more = f" (and {len(warned) - 1} more, see labnis show)" if len(warned) > 1 else ""
    lines += textwrap.wrap(f"? {warned[0]}{more}", _WIDTH) if warned else []
    axis.set_title("\n".join(lines), loc="left", fontsize="xx-small", color=FIT)


def _told(estimate: Estimate) -> str:
    if estimate.limit is not None or estimate.systematic is None or not estimate.sigma:
        return f"{'= ' if estimate.limit is None else ''}{estimate}"
    noise, systematic = (number_text(part, estimate.unit) for part in (estimate.statistical, estimate.systematic))
    return f"= {estimate} (noise {noise}, systematic {systematic})"
