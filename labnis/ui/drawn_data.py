"""What figures show of a run: its data in suitable units, and what the analyses say of them; nothing is drawn here.

The model is what the analysis predicts (`predict`); nothing is computed a second time.
"""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import xarray
from numpy.typing import NDArray

from labnis.errors import LabnisWarning
from labnis.experiment.analysis import Analysis, analyses_of_run, can
from labnis.experiment.run import Run
from labnis.fit import FitResult, scaled_unit

__all__ = [
    "FitOfData",
    "Scaled",
    "abscissa",
    "abscissa_of_curves",
    "axes_of",
    "fit_of_data",
    "fit_of_run",
    "in_the_plane",
    "is_curve",
    "line_of_fit",
    "map_values",
    "predicted",
    "quantities",
]

Real = NDArray[np.float64]

# Dimensions along which the same set-points come again.
_AGAIN = ("direction", "repeat", "point")
# A curve of fewer points has its fit drawn at more of them; one of still fewer is no curve.
_FEW, _FEWEST, _MANY = 200, 3, 400


@dataclass(frozen=True)
class Scaled:
    """Values in a unit with a suitable prefix: those in the original unit are so many times `scale`."""

    values: Real
    label: str
    scale: float

    @classmethod
    def of(cls, column: xarray.DataArray) -> Self:
        """The values of a column, and its name with the unit."""
        return cls.together([column])[0]

    @classmethod
    def together(cls, columns: Sequence[xarray.DataArray]) -> list[Self]:
        """Of several columns in one axis, in the unit of the one with the largest values."""
        every = [np.asarray(column.values, dtype=np.float64) for column in columns]
        largest = max(float(np.abs(values[np.isfinite(values)]).max(initial=0.0)) for values in every)
        scale, unit = scaled_unit(largest, str(columns[0].attrs.get("units", "")))
        words = str(columns[0].attrs.get("long_name", columns[0].name))
        label = f"{words} ({unit})" if unit not in ("", "1") else words
        return [cls(values / scale, label, scale) for values in every]


@dataclass(frozen=True)
class FitOfData:
    """What fits say of the columns of their data: column → values in its shape.

    Attributes
    ----------
    model
        Expected values.
    left_out
        Which readings a fit leaves out as glitches.
    residuals
        Measured less expected, in units of σ; of complex values both parts.
    offsets
        What the meter adds.
    line
        Data at more points along the abscissa of a curve, where it has few, and what is expected there; None otherwise.

    """

    model: Mapping[str, Any] = field(default_factory=dict)
    left_out: Mapping[str, Any] = field(default_factory=dict)
    residuals: Mapping[str, Any] = field(default_factory=dict)
    offsets: Mapping[str, Any] = field(default_factory=dict)
    line: tuple[xarray.Dataset, Mapping[str, Any]] | None = None


def fit_of_run(run: Run) -> FitOfData:
    """What the fits of `run` say of its data."""
    return fit_of_data(analyses_of_run(run.metadata), run.fits, run.data)


def fit_of_data(analyses: Sequence[Analysis], fits: Mapping[str, FitResult], data: xarray.Dataset) -> FitOfData:
    """What the `fits` of `analyses` say of `data`; of a column that several predict, the first."""
    model, left_out, residuals, offsets = (
        _said(analyses, fits, data, method) for method in ("predict", "left_out", "residuals", "offsets")
    )
    found, fine = FitOfData(model, left_out, residuals, offsets), _finely(data)
    if fine is None or data.attrs["signal"] not in found.model:
        return found
    return replace(found, line=(fine, _said(analyses, fits, fine, "predict")))


def _finely(data: xarray.Dataset) -> xarray.Dataset | None:
    """Data at more points along the abscissa of the signal; None where it is no curve of a few points."""
    signal = data[str(data.attrs["signal"])]
    if not is_curve(data, str(signal.name)) or axes_of(data):
        return None
    along = abscissa(data, str(signal.name))
    x = np.asarray(along.values, dtype=np.float64).ravel()
    known = np.flatnonzero(np.isfinite(x))
    known = known[np.argsort(x[known], kind="stable")]
    if not _FEWEST <= np.unique(x[known]).size < _FEW:
        return None
    fine = np.union1d(x[known], np.linspace(x[known[0]], x[known[-1]], _MANY))
    columns = {
        str(name): ("point", np.interp(fine, x[known], column.values.ravel()[known]), column.attrs)
        for name, column in data.variables.items()
        if column.dims == signal.dims and column.dtype.kind == "f"
    }
    columns[str(along.name)] = ("point", fine, along.attrs)
    return xarray.Dataset(columns, attrs=data.attrs)


def _said(
    analyses: Iterable[Analysis], fits: Mapping[str, FitResult], data: xarray.Dataset, method: str
) -> dict[str, Any]:
    """Column → what a `method` of the `analyses` says of it by their `fits`; the first analysis comes first."""
    found: dict[str, Any] = {}
    for analysis in analyses:
        fit = fits.get(analysis.name)
        if fit is not None and can(analysis, method):
            found = {**_asked(analysis, method, fit, data), **found}
    return found


def predicted(analysis: Analysis, fit: FitResult, data: xarray.Dataset) -> dict[str, NDArray[Any]]:
    """Column → values that `fit` predicts for it; empty, with a LabnisWarning, if `analysis` fails to predict."""
    return _asked(analysis, "predict", fit, data) if can(analysis, "predict") else {}


def _asked(analysis: Analysis, method: str, fit: FitResult, data: xarray.Dataset) -> dict[str, NDArray[Any]]:
    """What a `method` of `analysis` returns by column; empty, with a LabnisWarning, if it fails."""
    try:
        found: Mapping[str, Any] = getattr(analysis, method)(fit, data)
        return {name: _like_column(name, np.asarray(values), data) for name, values in found.items()}
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a lab's own code; the data are drawn in any case
        problem = f"{type(error).__name__}: {error}"
        warnings.warn(f"analysis {analysis.name}: {method} fails, its fit is not drawn: {problem}", LabnisWarning, 3)
        return {}


def _like_column(name: str, values: NDArray[Any], data: xarray.Dataset) -> NDArray[Any]:
    if name not in data:
        raise ValueError(f"{name!r} is no column of the data ({', '.join(map(str, data.data_vars))})")
    shape = data[name].shape
    if values.shape != shape or values.dtype.kind not in "biufc":
        raise ValueError(f"{name} must be numbers of the shape {shape}, not {values.dtype} of {values.shape}")
    if np.iscomplexobj(values) and not np.iscomplexobj(data[name]):
        raise ValueError(f"{name} is a column of real numbers, and {values.dtype} are none")
    return values


def axes_of(data: xarray.Dataset) -> set[str]:
    """Dimensions of traces: those that some measured columns lack."""
    scalars = [set(column.dims) for column in data.data_vars.values()]
    common = set.intersection(*scalars) if scalars else set()
    return {str(dim) for dim in data.dims} - {str(dim) for dim in common}


def is_curve(data: xarray.Dataset, name: str) -> bool:
    """Whether the column `name` has a value at each value of one set-point, perhaps several times."""
    dims = [str(dim) for dim in data[name].dims if data.sizes[dim] > 1]
    several = len([dim for dim in dims if dim not in _AGAIN]) > 1
    return bool(dims) and not several and "stage" not in dims and not axes_of(data) & {*dims}


def abscissa(data: xarray.Dataset, name: str) -> xarray.DataArray:
    """Abscissa of a curve: the device voltage of a bias sweep, else the innermost set-point."""
    if "device_voltage" in data and data["device_voltage"].dims == data[name].dims:
        return data["device_voltage"]
    swept = [c for c in data.coords.values() if set(c.dims) <= set(data[name].dims) and c.name != "point"]
    if swept:
        along: xarray.DataArray = swept[-1].broadcast_like(data[name])
        return along
    others = [column for key, column in data.data_vars.items() if key not in (name, "time", "time_utc", "quality")]
    return others[0] if others and others[0].dims == data[name].dims else data["point"]


def line_of_fit(data: xarray.Dataset, name: str, fit: FitOfData) -> tuple[Real, Real]:
    """Abscissa and model of the column `name` in the order of the abscissa: the line of the fit."""
    along = abscissa(data, name)
    x, model = along.values, fit.model[name]
    if fit.line is not None and name in fit.line[1]:
        x, model = fit.line[0][str(along.name)].values, fit.line[1][name]
    x, model = np.ravel(x), np.asarray(np.ravel(model), dtype=np.float64)
    order = np.argsort(x)
    return x[order], model[order]


def in_the_plane(column: xarray.DataArray, fast: str) -> tuple[xarray.DataArray, str, list[str]]:
    """The `column` over two rising dimensions, the slow one of these, and which others are held, in words."""
    outer = [dim for dim in column.dims if dim != fast]
    shown = []
    while len(outer) > 1:
        first = outer.pop(0)
        size, column = column.sizes[first], column.isel({first: 0})
        if size > 1:
            shown.append(f"{first} = {column[first].item():g} {column[first].attrs.get('units', '')}".rstrip())
    slow = str(outer[0])
    if slow == "point" and "bias" in column.coords:
        # Points chosen one by one.
        column = column.dropna("point", how="all").groupby("bias").mean()
        slow = "bias"
    for dim in (slow, fast):
        index = column.get_index(dim)
        if not index.is_unique or not (index.is_monotonic_increasing or index.is_monotonic_decreasing):
            column = column.groupby(dim).mean()  # sorted by value; equal ones are averaged
    return column, slow, shown


def map_values(column: xarray.DataArray, fast: str) -> tuple[Real, str, bool]:
    """Values of a map (slow, fast), its label, and whether they lie on both sides of zero."""
    values = column.transpose(..., fast).values
    if np.iscomplexobj(values):
        reference = next((row for row in values if np.isfinite(row).all()), values[0])
        label = f"|{column.attrs.get('long_name', column.name)}|, change (dB)"
        return 20 * np.log10(np.abs(values / reference)), label, True
    scaled = Scaled.of(column.transpose(..., fast))
    return scaled.values, scaled.label, bool((values < 0).any() and (values > 0).any())


def quantities(curves: Sequence[xarray.Dataset]) -> list[str]:
    """Names of the curves, without those of their σ and of the truth."""
    return list(dict.fromkeys(str(name) for one in curves for name in one.data_vars if f"{name}_sigma" in one))


def abscissa_of_curves(curves: xarray.Dataset) -> str:
    """The coordinate of curves that has all of their dimensions."""
    return max(map(str, curves.coords), key=lambda name: curves[name].ndim)
