"""Curves or single traces of several runs in one axis, and how far each is from what the fit of the first expects."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray
from matplotlib.figure import Figure
from scipy.ndimage import median_filter

from labnis.errors import RequestError
from labnis.experiment.analysis import analyses_of_run
from labnis.experiment.run import Run, device_of
from labnis.fit import FitResult
from labnis.ui.drawn_data import Scaled, abscissa, axes_of, fit_of_run, predicted
from labnis.ui.figures import drawn_in_style, styled
from labnis.ui.output import minute

__all__ = ["compared_figure", "draw_compared", "in_sigma"]

# Zeros of meters, which are no change of a device.
_ZEROS = ("voltage_offset", "current_offset")
_MARKERS = "os^Dv"
# Residual (σ) from which on a reading tells its own σ, and the number of such readings whose median is taken.
_TELLING, _NEIGHBOURS = 0.5, 9
_FREQUENCY = "frequency"


def draw_compared(runs: Sequence[Run], file: Path, style: Path | None = None) -> None:
    """Draw what `compared_figure` shows into a `file`, in the `style` of a lab."""
    with styled(style):
        drawn_in_style(style, lambda: compared_figure(runs).savefig(file))


def compared_figure(runs: Sequence[Run]) -> Figure:
    """Draw the curves of `runs` and, below, each less the fit of the first one, in σ of a reading.

    The fit has the zeros of the meters of the other run: they are no change of a device. Of single traces it is the
    size, in dB, and what is below, too.

    Raises
    ------
    RequestError
        The runs are of several procedures, or have several traces.

    """
    first, *others = runs
    name = str(first.data.attrs["signal"])
    if any(str(run.data.attrs["signal"]) != name for run in others):
        raise RequestError(f"--figure: runs of one procedure are drawn together; these are {_named(runs)}")
    traced = _FREQUENCY in first.data[name].dims
    for run in runs:
        if (traced and run.data[name].size != run.data.sizes[_FREQUENCY]) or (axes_of(run.data) and not traced):
            raise RequestError(
                f"--figure: curves with one value per set-point, or single traces, are drawn together; {run.run_id} "
                f"({run.procedure}) has several traces. Leave it out, or draw each run by `labnis show RUN --figure`."
            )
    figure = Figure(figsize=(3.4, 4.0), layout="constrained")
    figure.suptitle(f"{_named(runs)} of {', '.join(dict.fromkeys(_device(run) for run in runs))}", fontsize="medium")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    along = [run.data[_FREQUENCY] if traced else abscissa(run.data, name) for run in runs]
    values = [_decibels(run.data[name]) if traced else run.data[name] for run in runs]
    scaled = zip(runs, Scaled.together(along), Scaled.together(values), strict=True)
    for number, (run, x, y) in enumerate(scaled):
        style: dict[str, Any] = {
            "marker": _MARKERS[number % len(_MARKERS)],
            "ms": 2.5,
            "mew": 0.5,
            "ls": "",
            "fillstyle": "none",
        }
        doubt, mark = " ?" * bool(run.doubtful), ", SIMULATED" * run.metadata["simulated"]
        label = f"{run.run_id}{doubt}, {_device(run)}, {minute(run.metadata['start'])}{mark}"
        upper.plot(x.values.ravel(), y.values.ravel(), color=f"C{number}", label=label, **style)
        apart = _in_decibels(first, run, name) if traced else in_sigma(first, run, name)
        if apart is not None:
            lower.plot(x.values.ravel(), apart.ravel(), color=f"C{number}", **style)
        upper.set_ylabel(y.label)
        lower.set_xlabel(x.label)
    upper.legend()
    lower.axhline(0, color="black")
    if not traced:
        lower.set_title("σ of the noise; the zeros of the meters are each run's own", fontsize="x-small", pad=2)
    lower.set_ylabel(f"less the fit of {first.run_id} / {'dB' if traced else 'σ'}")
    return figure


def _decibels(trace: xarray.DataArray) -> xarray.DataArray:
    """Its size in dB: of an amplitude 20 log, of a power per hertz 10 log."""
    words, unit = str(trace.attrs.get("long_name", trace.name)), trace.attrs.get("units", "")
    factor, label = (20, f"|{words}| (dB)") if np.iscomplexobj(trace) else (10, f"{words} (dB, 0 is 1 {unit})")
    with np.errstate(divide="ignore", invalid="ignore"):
        size = factor * np.log10(np.abs(trace.values))
    return trace.copy(data=size).assign_attrs(units="", long_name=label)


def _in_decibels(first: Run, run: Run, name: str) -> Any:
    """Size of the trace of a `run`, less what the fit of the `first` expects of it, in dB; None without a fit."""
    for analysis in analyses_of_run(first.metadata):
        fit = first.fits.get(analysis.name)
        expected = predicted(analysis, fit, run.data).get(name) if fit is not None else None
        if expected is not None:
            return (_decibels(run.data[name]) - _decibels(run.data[name].copy(data=expected))).values
    return None


def in_sigma(first: Run, run: Run, name: str) -> Any:
    """Readings of a `run`, less what the fit of the `first` expects at its set-points, in σ; None without fits."""
    measured = np.asarray(run.data[name].values, dtype=np.float64)
    said = fit_of_run(run)
    own, residuals = said.model.get(name), said.residuals.get(name)
    for analysis in analyses_of_run(first.metadata):
        fit = first.fits.get(analysis.name)
        expected = predicted(analysis, _with_zeros_of(fit, run), run.data).get(name) if fit is not None else None
        if expected is None or own is None or residuals is None:
            continue
        return (measured - expected) / _sigma(measured - own, np.asarray(residuals))
    return None


def _sigma(apart: Any, residuals: Any) -> Any:
    """σ of each reading that is `apart` from its own fit by so many σ (`residuals`): the median of its neighbours.

    A reading that is nearly on its fit does not tell its σ.
    """
    telling = np.flatnonzero(np.abs(residuals.ravel()) > _TELLING)
    if not telling.size:
        return np.full(apart.shape, np.nan)
    each = np.abs(apart.ravel()[telling] / residuals.ravel()[telling])
    near = median_filter(each, size=_NEIGHBOURS, mode="nearest")
    return np.interp(np.arange(apart.size), telling, near).reshape(apart.shape)


def _with_zeros_of(fit: FitResult, run: Run) -> FitResult:
    known = {name: value for one in run.fits.values() for name, value in one.by_name.items() if name in _ZEROS}
    return replace(fit, values=np.array([known.get(name, fit[name].value) for name in fit.names]))


def _device(run: Run) -> str:
    return device_of(run.metadata) or "a device without a name"


def _named(runs: Sequence[Run]) -> str:
    return ", ".join(dict.fromkeys(run.procedure for run in runs))
