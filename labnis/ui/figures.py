"""Figures of runs: data, model and residuals.

What is drawn is in `labnis.ui.drawn_data`. The data decide the kind
of figure: a curve over one set-point, a map over two, a map over set-point and frequency for traces.
"""

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray
from matplotlib import rc_params_from_file
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.font_manager import FontProperties
from numpy.typing import NDArray

from labnis.errors import RequestError
from labnis.experiment.run import Run, device_of
from labnis.fit import Estimate, number_text
from labnis.fit.unstated import NOISE_ALONE, missing_in_sigma
from labnis.ui.drawn_data import (
    FitOfData,
    Scaled,
    abscissa,
    axes_of,
    fit_of_run,
    in_the_plane,
    is_curve,
    line_of_fit,
    map_values,
    quantities,
)
from labnis.ui.fit_curves import FIT, draw_fit_curves
from labnis.ui.output import minute
from labnis.ui.trace_panels import draw_traces, fitted_traces

__all__ = [
    "DATA",
    "annotate",
    "draw_data",
    "draw_runs",
    "drawn_in_style",
    "figure_of",
    "styled",
]

Real = NDArray[np.float64]

DATA = "#3b6ea5"
BACK = "#6aa84f"

STYLE = Path(__file__).with_name("labnis.mplstyle")
# A curve whose smallest values (this percentile) are less than this part of its largest is also drawn logarithmically.
_LOW, _SMALL = 10, 0.01
# Width of a letter, in its height.
_NARROW = 0.58
# Inch: a column of a journal, in which letters of 6 points can be read.
_COLUMN = 3.4
# Of residuals, the largest that has a colour of its own.
_LARGEST = 5.0


def draw_runs(runs: Sequence[Run], file: Path, style: Path | None = None, column: str | None = None) -> None:
    """Draw each of `runs` into one panel of `file` (format by its ending); simulated data are marked.

    RequestError for a `style` that is no style file of matplotlib, and for a `column` that a run does not have.
    """
    with styled(style):
        drawn_in_style(style, lambda: _figure_of(runs, column).savefig(file))


def figure_of(runs: Sequence[Run], column: str | None = None) -> Figure:
    """A figure with one panel for each of `runs`: of its signal, or of the `column` (RequestError if it has none)."""
    with styled():
        return _figure_of(runs, column)


def drawn_in_style(style: Path | None, draw: Callable[[], object]) -> None:
    """Draw; RequestError for what goes wrong with the `style` of a lab, and not without it."""
    try:
        draw()
    except (OSError, RequestError):
        raise
    except Exception as error:
        if style is None:
            raise
        raise RequestError(f"--style {style}: nothing can be drawn with it: {type(error).__name__}: {error}") from error


@contextmanager
def styled(style: Path | None = None) -> Iterator[None]:
    """The style of labnis's figures, with that of a lab on top; RequestError if it cannot be used."""
    try:
        used = [rc_params_from_file(one, use_default_template=False) for one in [STYLE, *([style] if style else [])]]
    except OSError as error:
        raise RequestError(f"--style {style}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise RequestError(f"--style {style}: is no style file of matplotlib: {error}") from error
    with mpl.rc_context():
        for one in used:
            mpl.rcParams.update(one)
        yield


def _figure_of(runs: Sequence[Run], column: str | None) -> Figure:
    data = [_with_signal(run, column) for run in runs]
    panels = max(len(quantities(list(run.curves.values()))) for run in runs)
    fits = [fit_of_run(run) for run in runs]
    heights = [_heights(run, shown, fit) for run, shown, fit in zip(runs, data, fits, strict=True)]
    size = (max(_COLUMN, 1.7 * panels) * len(runs), max(map(sum, heights)))
    figure = Figure(figsize=size, layout="constrained")
    places = figure.subfigures(1, len(runs), squeeze=False)[0]
    for part, run, shown, fit, ratios in zip(places, runs, data, fits, heights, strict=True):
        upper, *lower = part.subfigures(len(ratios), 1, height_ratios=ratios, squeeze=False)[:, 0]
        draw_data(upper, shown, fit)
        if name := fitted_traces(shown, fit.model):
            draw_traces(lower[0], shown, name, fit)
        if run.curves:
            draw_fit_curves(lower[-1], list(run.curves.values()))
        part.suptitle(_header(run.metadata, run), fontsize="medium")
        annotate(upper, run, size[0] / len(runs))
    return figure


def _with_signal(run: Run, column: str | None) -> xarray.Dataset:
    """Data of the run, with the `column` as its signal if it is named."""
    if column is None:
        return run.data
    if column not in run.data:
        raise RequestError(f"run {run.run_id} has no column {column!r}; it has {', '.join(map(str, run.data))}")
    return run.data.assign_attrs(signal=column)


def _heights(run: Run, data: xarray.Dataset, fit: FitOfData) -> list[float]:
    """Of the parts of a run's figure (inch): data, traces with their fit, and what the fits say along a set-point."""
    name = str(data.attrs["signal"])
    further = 0.9 * len(_logarithmic(data, name, fit)) + 1.8 * (name in fit.model and _is_map(data, name))
    traces, curves = bool(fitted_traces(data, fit.model)), bool(run.curves)
    return [3.2 + further, *([1.9] if traces else []), *([1.8] if curves else [])]


def _header(metadata: Mapping[str, Any], run: Run) -> str:
    """Procedure, run, device, cooldown and local time, and how it ended if it is not done."""
    where = ", ".join(filter(None, [device_of(metadata), metadata["cooldown"]]))
    mark = "SIMULATED  " if metadata["simulated"] else ""
    ended = "" if run.status == "done" else f"  {run.status}, {run.rows} rows"
    return f"{run.procedure}  {run.run_id}  {where}\n{mark}{minute(metadata['start'])}{ended}"


def draw_data(target: Figure | SubFigure, data: xarray.Dataset, fit: FitOfData | None = None) -> None:
    """Draw the signal of `data` with its `fit`, and residuals below; isotherms together.

    Readings that the fit leaves out are marked. Residuals without a σ are in units of their own scatter.
    """
    fit, name = fit or FitOfData(), str(data.attrs["signal"])
    setpoints = [str(dim) for dim in data[name].dims]
    if setpoints == ["stage", "bias"]:
        _draw_isotherms(target, data, name, fit.model)
    elif _is_map(data, name) or _has_traces(data, name):
        _draw_maps(target, data, name, fit)
    else:
        _draw_curve(target, data, name, fit)


def _has_traces(data: xarray.Dataset, name: str) -> bool:
    return bool(axes_of(data) & {*map(str, data[name].dims)})


def _is_map(data: xarray.Dataset, name: str) -> bool:
    """Whether there is a value for each pair of set-points, or for each of more of them."""
    varied = [dim for dim in data[name].dims if dim not in ("direction", "repeat", "point", "stage")]
    return not _has_traces(data, name) and len(varied) > 1


def _draw_maps(target: Figure | SubFigure, data: xarray.Dataset, name: str, fit: FitOfData) -> None:
    """The signal over its innermost set-point and the next one, or over the frequency; and residuals of the former."""
    fast, signal = str(data[name].dims[-1]), data[name]
    if not _is_map(data, name) or name not in fit.model:
        axis = target.subplots()
        _draw_map(axis, signal, fast)
    else:
        axis, below = target.subplots(2, 1, sharex=True)
        _draw_map(axis, signal, fast)
        rest, unit = _residuals(signal, fit)
        words = {"units": "", "long_name": f"residual / {unit}"}
        _draw_map(below, signal.copy(data=rest).assign_attrs(words), fast, limit=_LARGEST)
    left_out = np.broadcast_to(np.asarray(fit.left_out.get(name, False)), signal.shape)
    if left_out.any():
        marks, slow, _ = in_the_plane(signal.copy(data=left_out.astype(np.float64)), fast)
        at, beside = np.nonzero(marks.transpose(..., fast).values > 0)
        x, y = Scaled.of(marks[slow]), Scaled.of(marks[fast])
        axis.plot(x.values[at], y.values[beside], "x", color="black", label="left out of the fit")
        axis.legend(loc="upper left")


def _draw_curve(target: Figure | SubFigure, data: xarray.Dataset, name: str, fit: FitOfData) -> None:
    along = abscissa(data, name)
    x, y = Scaled.of(along), Scaled.of(data[name])
    fitted = name in fit.model
    logarithmic = _logarithmic(data, name, fit)
    ratios = [3.0, *(1.5 for _ in logarithmic), *([1.0] if fitted else [])]
    axes = target.subplots(len(ratios), 1, sharex=True, height_ratios=ratios, squeeze=False)[:, 0]
    back = _way_back(data, name)
    for way, marker, color, label in ((~back, ".", DATA, "measured"), (back, "+", BACK, "measured, reverse")):
        if way.any():
            axes[0].plot(x.values[way], y.values[way], marker, color=color, label=label)
    left_out = np.broadcast_to(np.asarray(fit.left_out.get(name, False)), data[name].shape)
    if left_out.any():
        # What is left out of traces is part of each value that is made of one.
        partly = any(np.ndim(where) > data[name].ndim for where in fit.left_out.values())
        label = f"{'partly ' if partly else ''}left out of the fit"
        axes[0].plot(x.values[left_out], y.values[left_out], "x", ms=5, color=FIT, label=label)
    if fitted:
        line, expected = line_of_fit(data, name, fit)
        axes[0].plot(line / x.scale, expected / y.scale, color=FIT, label="fit")
        rest, unit = _residuals(data[name], fit)
        for way, marker, color in ((~back, ".", DATA), (back, "+", BACK)):
            axes[-1].plot(x.values[way], rest[way], marker, color=color)
        axes[-1].axhline(0, color=FIT)
        axes[-1].set_ylabel(f"residual / {unit}", fontsize="small")
    axes[0].set_ylabel(y.label)
    axes[-1].set_xlabel(x.label)
    if fitted or back.any():
        axes[0].legend(loc="upper left")
    for axis, column in zip(axes[1:], logarithmic, strict=False):
        _draw_size(axis, data, column, x, fit)


def _way_back(data: xarray.Dataset, name: str) -> NDArray[np.bool_]:
    if "direction" not in data[name].dims:
        return np.zeros(data[name].shape, dtype=bool)
    return np.asarray((data["direction"] < 0).broadcast_like(data[name]).transpose(*data[name].dims).values)


def _residuals(signal: xarray.DataArray, fit: FitOfData) -> tuple[Real, str]:
    """Residuals of the `signal`, and their unit: σ, or their own scatter where the analysis does not state it."""
    name = str(signal.name)
    if name in fit.residuals:
        return np.asarray(fit.residuals[name], dtype=np.float64), "σ"
    rest = np.asarray(signal.values, dtype=np.float64) - np.asarray(fit.model[name], dtype=np.float64)
    scatter = 1.4826 * np.nanmedian(np.abs(rest - np.nanmedian(rest)))
    return (rest / scatter if scatter > 0 else np.full_like(rest, np.nan)), "scatter"


def _logarithmic(data: xarray.Dataset, name: str, fit: FitOfData) -> list[str]:
    """Columns whose size is also drawn on a logarithmic scale: the physics of a curve with a gap is far below its ends.

    They are the signal, where its model is far smaller in a part of it than at the ends, and the conductance.
    """
    if not is_curve(data, name):
        return []
    expected = np.abs(np.asarray(fit.model.get(name, 0.0), dtype=np.float64) - fit.offsets.get(name, 0.0))
    wide = name in fit.model and np.nanpercentile(expected, _LOW) < _SMALL * np.nanmax(expected, initial=0.0)
    lockin = "conductance" in data and bool(np.isfinite(data["conductance"].values).any())
    return list(dict.fromkeys([*([name] if wide else []), *(["conductance"] if lockin else [])]))


def _draw_size(axis: Axes, data: xarray.Dataset, name: str, x: Scaled, fit: FitOfData) -> None:
    """The size of a column on a logarithmic scale, without what the meter adds, and with the fit if there is one."""
    y, offset = Scaled.of(data[name]), float(np.nanmedian(fit.offsets.get(name, 0.0)))
    size, back = np.abs(y.values - offset / y.scale), _way_back(data, name)
    for way, marker, color in ((~back, ".", DATA), (back, "+", BACK)):
        if way.any():
            axis.semilogy(x.values[way], size[way], marker, color=color)
    if name in fit.model:
        # The noise of the readings, not the depth of the model, is the lower end.
        smallest = float(np.nanmin(size[size > 0], initial=np.inf))
        line, expected = line_of_fit(data, name, fit)
        axis.semilogy(line / x.scale, np.abs(expected - offset) / y.scale, color=FIT)
        axis.set_ylim(bottom=smallest / 2 if np.isfinite(smallest) else None)
    axis.set_ylabel(_size_label(y, offset=bool(offset)), fontsize="small")


def _size_label(y: Scaled, *, offset: bool = False) -> str:
    """Such as |Current − offset| (nA)."""
    words, unit = y.label.partition(" (")[::2]
    return f"|{words}{' − offset' if offset else ''}|" + (f"\n({unit}" if unit else "")


def _draw_isotherms(target: Figure | SubFigure, data: xarray.Dataset, name: str, model: Mapping[str, Any]) -> None:
    """The magnitude of the signal at each temperature of the stage with the model, and the lock-in's dI/dV below."""
    measured = [name, *(["conductance"] if np.isfinite(data.get("conductance", np.nan)).any() else [])]
    x, axes = Scaled.of(abscissa(data, name)), target.subplots(len(measured), 1, sharex=True, squeeze=False)[:, 0]
    for axis, column in zip(axes, measured, strict=True):
        y, expected = Scaled.of(data[column]), model.get(column)
        for number, kelvin in enumerate(data["stage"].values):
            color, label = f"C{number}", f"{kelvin * 1e3:.4g} mK" if kelvin else "base temperature"
            axis.semilogy(x.values[number], np.abs(y.values[number]), ".", color=color, label=label)
            if expected is not None:
                axis.semilogy(x.values[number], np.abs(expected[number] / y.scale), color=color)
        axis.set_ylabel(_size_label(y))
    axes[-1].set_xlabel(x.label)
    axes[0].legend(loc="lower right")


def _draw_map(axis: Axes, signal: xarray.DataArray, fast: str, limit: float | None = None) -> None:
    """A column over its innermost set-point and `fast`; further dimensions at their first value.

    With a `limit` the colours go from its negative to it; otherwise those of both signs as far as 99.5 % of the values.
    """
    column, slow, shown = in_the_plane(signal, fast)
    if shown:
        axis.set_title(f"only at {', '.join(shown)}", loc="right", fontsize="x-small")
    values, label, center = map_values(column, fast)
    x, y = Scaled.of(column[slow]), Scaled.of(column[fast])
    size = np.abs(values[np.isfinite(values)])
    if limit is None:
        limit = float(np.percentile(size, 99.5)) if size.size else 1.0
    colors: dict[str, Any] = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit} if center else {"cmap": "viridis"}
    mesh = axis.pcolormesh(x.values, y.values, values.T, shading="nearest", rasterized=True, **colors)
    beyond = center and size.max(initial=0.0) > limit
    axis.figure.colorbar(mesh, ax=axis, label=label, extend="both" if beyond else "neither")
    axis.set(xlabel=x.label, ylabel=y.label)


def annotate(target: Figure | SubFigure, run: Run, width: float = _COLUMN) -> None:
    """Results above the data, with both parts of σ; those in doubt are marked, and the reasons follow.

    So does what a note says is missing in σ. Lines are broken at the `width` (inch).
    """
    shown = {name: estimate for name, estimate in run.results.items() if "." not in name}
    lines = [f"{name.replace('_', ' ')}{' ?' * (name in run.doubtful)} {_told(one)}" for name, one in shown.items()]
    fits = [run.fit_of(name) for name in shown]
    warned = [*dict.fromkeys(text for fit in fits for text in fit.warnings)]
    more = f" (and {len(warned) - 1} more, see labnis show)" if len(warned) > 1 else ""
    lines += [f"? {warned[0]}{more}"] if warned else []
    lines += [f"no fit ({name}): {problem}" for name, problem in run.problems.items()]
    # That σ is noise alone stands beside it.
    lines += dict.fromkeys(text for fit in fits for text in missing_in_sigma(fit) if text != NOISE_ALONE)
    letters = int(width * 72 / (_NARROW * FontProperties(size="x-small").get_size_in_points()))
    folded = [part for line in lines for part in textwrap.wrap(line, letters, subsequent_indent="   ")]
    target.suptitle("\n".join(folded), x=0.02, ha="left", fontsize="x-small", color=FIT if warned else "#333333")


def _told(estimate: Estimate) -> str:
    if estimate.limit is not None or not estimate.sigma:
        return f"{'= ' if estimate.limit is None else ''}{estimate}"
    if estimate.systematic is None:
        return f"= {estimate} (noise alone)"
    noise, systematic = (number_text(part, estimate.unit) for part in (estimate.statistical, estimate.systematic))
    return f"= {estimate} (noise {noise}, syst. {systematic})"
