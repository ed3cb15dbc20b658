"""What figures show of a run: its data in suitable units, and what the analyses say of them; nothing is drawn here.

The model is what the analysis predicts (`predict`); nothing is computed a second time.
"""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import xarray
from numpy.typing import NDArray

from labnis.errors import LabnisWarning
from labnis.experiment.analysis import Analysis, analyses_of_run, can
from labnis.experiment.run import Run
from labnis.fit import FitResult, scaled_unit

__all__ = [
    "Scaled",
    "abscissa",
    "abscissa_of_curves",
    "axes_of",
    "in_the_plane",
    "map_values",
    "of_fits",
    "predicted",
    "predictions",
    "quantities",
    "said_of",
]

Real = NDArray[np.float64]


@dataclass(frozen=True)
class Scaled:
    """Values in a unit with a suitable prefix."""

    values: Real
    label: str

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
        return [cls(values / scale, label) for values in every]


def predictions(run: Run) -> dict[str, Any]:
    """Column → values that the fits of `run` predict for it, shaped like the column; the primary analysis first."""
    return said_of(analyses_of_run(run.metadata), run.fits, run.data, "predict")


def of_fits(run: Run, method: str) -> dict[str, Any]:
    """Column → what a `method` of the analyses says of it by the fits of `run`, shaped like the column.

    Such as "left_out", which readings are glitches, and "residuals", in units of σ.
    """
    return said_of(analyses_of_run(run.metadata), run.fits, run.data, method)


def said_of(
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
    except Exception as error:  # noqa: BLE001  # a lab's own code; the data are drawn in any case
        problem = f"{type(error).__name__}: {error}"
        warnings.warn(f"analysis {analysis.name}: {method} fails, its fit is not drawn: {problem}", LabnisWarning, 3)
        return {}


def _like_column(name: str, values: NDArray[Any], data: xarray.Dataset) -> NDArray[Any]:
    if name not in data:
        raise ValueError(f"{name!r} is no column of the data ({', '.join(map(str, data.data_vars))})")
    shape = data[name].shape
    if values.shape != shape or values.dtype.kind not in "biufc":
        raise ValueError(f"{name} must be numbers of the shape {shape}, not {values.dtype} of {values.shape}")
    return values


def axes_of(data: xarray.Dataset) -> set[str]:
    """Dimensions of traces: those that some measured columns lack."""
    scalars = [set(column.dims) for column in data.data_vars.values()]
    common = set.intersection(*scalars) if scalars else set()
    return {str(dim) for dim in data.dims} - {str(dim) for dim in common}


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


def in_the_plane(data: xarray.Dataset, column: xarray.DataArray, fast: str) -> tuple[xarray.DataArray, str, list[str]]:
    """The `column` over two rising dimensions, the slow one of these, and which others are held, in words."""
    outer = [dim for dim in column.dims if dim != fast]
    shown = []
    while len(outer) > 1:
        first = outer.pop(0)
        column = column.isel({first: 0})
        if data.sizes[first] > 1:
            shown.append(f"{first} = {column[first].item():g} {column[first].attrs.get('units', '')}".rstrip())
    slow = str(outer[0])
    if slow == "point" and "bias" in data.coords:
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
