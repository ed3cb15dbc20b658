"""What is drawn of a run, as numbers and texts: curves with fit and residuals, traces, and maps.

The model is what the analyses predict. It is computed once for each new fit, whatever the number of open pages.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray
from numpy.typing import NDArray

from labnis.fit import Estimate, scaled_unit
from labnis.ui.drawn_data import (
    FitOfData,
    Scaled,
    abscissa,
    abscissa_of_curves,
    axes_of,
    in_the_plane,
    line_of_fit,
    map_values,
    quantities,
)

__all__ = ["Image", "Panel", "Series", "curve_panels", "estimate_panel", "panels_of"]

Real = NDArray[np.float64]
Kind = Literal["measured", "reverse", "left out", "fit", "band", "estimates", "truth", "one of several"]

MOST_POINTS = 2000
"""Of one curve."""

MOST_PIXELS = 200
"""Of a map, along each side."""


@dataclass(frozen=True)
class Series:
    """One curve: x and y, shape (n,); of a band, which needs them, its edges, too."""

    kind: Kind
    label: str
    x: Real
    y: Real
    low: Real | None = None
    high: Real | None = None


@dataclass(frozen=True)
class Panel:
    """Curves over one axis; `logarithmic` says whether y is, and `square` that x and y have one scale."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    logarithmic: bool = False
    square: bool = False


@dataclass(frozen=True)
class Image:
    """A map: values, shape (y, x), between the ends of x and y; `centred`: zero is in the middle of its colours."""

    title: str
    x_label: str
    y_label: str
    label: str
    values: Real
    x: tuple[float, float]
    y: tuple[float, float]
    centred: bool


def panels_of(data: xarray.Dataset, fit: FitOfData) -> tuple[Panel | Image, ...]:
    """What is drawn of `data`, with what the `fit` says of it."""
    name = str(data.attrs["signal"])
    if not data.attrs["rows"] or name not in data:
        return ()
    traces = [str(key) for key, column in data.data_vars.items() if axes_of(data) & {*map(str, column.dims)}]
    found: list[Panel | Image] = []
    for column in dict.fromkeys([name, *(["conductance"] if "conductance" in data else []), *traces]):
        along = [str(dim) for dim in data[column].dims]
        if column in traces:
            found += _trace_panels(data, column, fit.model)
        elif along[0] != "stage" and len([dim for dim in along if dim not in ("direction", "repeat", "point")]) > 1:
            found.append(_image(data, column, along[-1]))
        elif np.isfinite(data[column].values).any():
            found += _curves(data, column, fit)
    return tuple(found)


def _curves(data: xarray.Dataset, name: str, fit: FitOfData) -> Iterator[Panel]:
    """A column against its abscissa with fit; its residuals; and the magnitude of a current below the gap."""
    x, y = Scaled.of(abscissa(data, name)), Scaled.of(data[name])
    series = [*_measured(data, name, x, y, fit.left_out.get(name))]
    if name in fit.model:
        line, expected = line_of_fit(data, name, fit)
        series.append(_line("fit", "fit", line / x.scale, expected / y.scale))
    title = str(data[name].attrs.get("long_name", name))
    if name == "conductance":  # below the gap it is far smaller, and of either sign
        yield Panel(title, x.label, _size_label(y), tuple(_magnitude(one, 0.0) for one in series), logarithmic=True)
    else:
        yield Panel(title, x.label, y.label, tuple(series))
    if name in fit.model:
        known = name in fit.residuals
        rest = fit.residuals[name] if known else _in_scatter(data[name].values - np.asarray(fit.model[name]))
        label = f"residual / {'σ' if known else 'scatter'}"
        yield Panel(f"{title}: residuals", x.label, label, (_points("measured", "residual", x.values, rest),))
    if name == "current":
        offset = float(np.nanmedian(fit.offsets.get(name, 0.0))) / y.scale
        inside = tuple(_magnitude(one, offset) for one in series)
        yield Panel("log |I|", x.label, _size_label(y, " − offset" if offset else ""), inside, logarithmic=True)


def _size_label(y: Scaled, less: str = "") -> str:
    words, _, unit = y.label.partition(" (")
    return f"|{words}{less}|{f' ({unit}' if unit else ''}"


def _measured(data: xarray.Dataset, name: str, x: Scaled, y: Scaled, left_out: Any) -> Iterator[Series]:
    """The readings, by the temperature of the stage or the direction, and those that the fit leaves out."""
    column = data[name]
    if column.dims[:1] == ("stage",):
        for number, kelvin in enumerate(data["stage"].values):
            label = f"{kelvin * 1e3:.4g} mK" if kelvin else "base temperature"
            yield _points("one of several", label, x.values[number], y.values[number])
        return
    back = np.zeros(column.shape, dtype=bool)
    if "direction" in column.dims:
        back = np.asarray((data["direction"] < 0).broadcast_like(column).transpose(*column.dims).values)
    yield _points("measured", "measured", x.values[~back], y.values[~back])
    if back.any():
        yield _points("reverse", "measured, reverse", x.values[back], y.values[back])
    if left_out is not None and np.any(left_out):
        without = np.broadcast_to(np.asarray(left_out), column.shape)
        yield _points("left out", "left out of the fit", x.values[without], y.values[without])


def _trace_panels(data: xarray.Dataset, name: str, model: Mapping[str, Any]) -> Iterator[Panel | Image]:
    """Traces as a map, and the last one with its fit; a complex one also in the complex plane."""
    axis = next(str(dim) for dim in reversed(data[name].dims) if str(dim) in axes_of(data))
    yield _image(data, name, axis)
    column = data[name].transpose(..., axis)
    rows = column.values.reshape(-1, column.sizes[axis])
    whole = np.flatnonzero(np.isfinite(rows).all(axis=1))
    if not whole.size:
        return
    latest = _latest(data, column, whole)
    fits = np.asarray(model[name]).reshape(rows.shape) if name in model else None
    x = Scaled.of(data[axis])
    pairs = [("measured", "measured", rows[latest])] + ([("fit", "fit", fits[latest])] if fits is not None else [])
    title = f"{column.attrs.get('long_name', name)}, last trace"
    if np.iscomplexobj(rows):
        decibel = [_drawn(k, label, x.values, 20 * np.log10(np.abs(v))) for k, label, v in pairs]
        yield Panel(title, x.label, f"|{name}| (dB)", tuple(decibel))
        circle = [_drawn(kind, label, v.real, v.imag) for kind, label, v in pairs]
        yield Panel(f"{title}, circle", "real part", "imaginary part", tuple(circle), square=True)
        return
    y = Scaled.of(column)
    yield Panel(title, x.label, y.label, tuple(_drawn(k, label, x.values, v / y.scale) for k, label, v in pairs))


def _latest(data: xarray.Dataset, column: xarray.DataArray, whole: NDArray[np.intp]) -> int:
    """Of the `whole` traces that which was measured last."""
    if "time" not in data:
        return int(whole[-1])
    times = data["time"].values.ravel()
    return int(whole[np.nanargmax(times[whole])]) if np.isfinite(times[whole]).any() else int(whole[-1])


def _image(data: xarray.Dataset, name: str, fast: str) -> Image:
    """A column over its innermost set-point and `fast`, on a regular grid; further dimensions at their first value."""
    column, slow, shown = in_the_plane(data[name], fast)
    values, label, centred = map_values(column, fast)
    x, y = Scaled.of(column[slow]), Scaled.of(column[fast])
    xs, ys = _evenly(x.values), _evenly(y.values)
    picked = values[np.ix_(_nearest(x.values, xs), _nearest(y.values, ys))].T
    title = ", ".join([str(data[name].attrs.get("long_name", name)), *shown])
    return Image(title, x.label, y.label, label, picked, _ends(xs), _ends(ys), centred)


def estimate_panel(name: str, rows: Sequence[int], estimates: Sequence[Estimate]) -> Panel:
    """How a result of the live fits tightens: its value with the band of ± σ against the rows."""
    known = [(row, one) for row, one in zip(rows, estimates, strict=True) if math.isfinite(one.value)]
    last = known[-1][1] if known else Estimate(1.0, 0.0, "")
    scale, unit = scaled_unit(abs(last.value), last.unit)
    x = np.array([row for row, _ in known], dtype=np.float64)
    y, sigma = (
        np.array(v, dtype=np.float64) / scale for v in ([e.value for _, e in known], [e.sigma for _, e in known])
    )
    band = Series("estimates", "live fit ± σ", x, y, y - sigma, y + sigma)
    title = name.replace("_", " ")
    return Panel(f"{title} ({unit})" if unit else title, "rows", "", (band,))


def curve_panels(curves: Sequence[xarray.Dataset]) -> Iterator[Panel]:
    """What fits say along a set-point, such as the electron temperature, with σ, and the truth of a dry run."""
    for name in quantities(curves):
        one = next(curve for curve in curves if name in curve)
        x = Scaled.of(one[abscissa_of_curves(one)])
        finite = np.abs(one[name].values[np.isfinite(one[name].values)])
        scale, unit = scaled_unit(float(finite.max(initial=0.0)), str(one[name].attrs["units"]))
        series = tuple(_said(one, name, np.atleast_2d(x.values), scale))
        along = x.label.replace("device_voltage", "voltage, no offset").replace("_", " ")
        yield Panel(name.replace("_", " "), along, f"({unit})" if unit else "", series)


def _said(curves: xarray.Dataset, name: str, x: Real, scale: float) -> Iterator[Series]:
    values, sigma = (np.atleast_2d(curves[column].values) / scale for column in (name, f"{name}_sigma"))
    for one, y, s in zip(x, values, sigma, strict=True):
        order = _order(one, y)
        yield Series("band", "fit ± σ", one[order], y[order], (y - s)[order], (y + s)[order])
    if f"{name}_truth" in curves:
        for one, y in zip(x, np.atleast_2d(curves[f"{name}_truth"].values) / scale, strict=True):
            yield _line("truth", "truth", one, y)


def _in_scatter(rest: Real) -> Real:
    """Residuals in units of their own scatter, where the analysis does not state their σ."""
    scatter = 1.4826 * float(np.nanmedian(np.abs(rest - np.nanmedian(rest))))
    return rest / scatter if scatter > 0 else np.full_like(rest, np.nan)


def _drawn(kind: str, label: str, x: Real, y: Real) -> Series:
    return _line("fit", label, x, y, sort=False) if kind == "fit" else _points("measured", label, x, y)


def _points(kind: Kind, label: str, x: Any, y: Any) -> Series:
    """Readings, without those that are not known, and thinned out."""
    x, y = np.ravel(x), np.ravel(y)
    there = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    there = there[:: max(1, -(-there.size // MOST_POINTS))]
    return Series(kind, label, x[there], y[there])


def _line(kind: Kind, label: str, x: Any, y: Any, *, sort: bool = True) -> Series:
    x, y = np.ravel(x), np.ravel(y)
    order = _order(x, y) if sort else np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    return Series(kind, label, x[order], y[order])


def _order(x: Real, y: Real) -> NDArray[np.intp]:
    """Indices of known points by rising x, thinned out."""
    order = np.argsort(x, kind="stable")
    order = order[np.isfinite(x[order]) & np.isfinite(y[order])]
    return order[:: max(1, -(-order.size // MOST_POINTS))]


def _magnitude(one: Series, offset: float) -> Series:
    y = np.abs(one.y - offset)
    return Series(one.kind, one.label, one.x[y > 0], y[y > 0])


def _evenly(values: Real) -> Real:
    return np.linspace(float(values[0]), float(values[-1]), min(MOST_PIXELS, values.size))


def _nearest(values: Real, wanted: Real) -> NDArray[np.intp]:
    """Index of the element of the monotonic `values` that is nearest to each of `wanted`."""
    rising = values if values[-1] >= values[0] else values[::-1]
    at = np.clip(np.searchsorted(rising, wanted), 1, max(1, rising.size - 1)) if rising.size > 1 else np.zeros(1, int)
    if rising.size > 1:
        at = at - (wanted - rising[at - 1] < rising[at] - wanted)
    return np.asarray(at if values[-1] >= values[0] else values.size - 1 - at)


def _ends(values: Real) -> tuple[float, float]:
    """Outer edges of the first and the last pixel."""
    half = (values[-1] - values[0]) / max(1, values.size - 1) / 2 or 0.5
    return float(values[0] - half), float(values[-1] + half)
