"""Rows as an xarray Dataset: on their grid, or as a plain table. The same for rows in memory and in files."""

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from labnis.storage._columns import POINT, Axis, Column, RunLayout

if TYPE_CHECKING:
    import xarray

__all__ = ["dataset_of"]


def dataset_of(columns: Mapping[str, NDArray[Any]], layout: RunLayout) -> "xarray.Dataset":
    """Arrange rows as `open_run` does.

    Parameters
    ----------
    columns
        Column → its values, shape (rows, *axes), in the order in which they were measured. Columns of the layout that
        are not here are left out. Without a grid, `point` may be missing.
    layout
        Declares columns, grid and axes.

    Returns
    -------
    Dataset
        On a grid: a dimension for each of its set-points, with the planned values as coordinates. A point that was not
        measured is NaN, in columns of integers -1; of a point that was measured twice the last row counts. Without a
        grid: the dimension `point`, with the set-points as coordinates along it. Axes of traces are further dimensions.
        Each variable has the attributes `units` and `long_name`, the Dataset `signal` and `rows`. It may share memory
        with `columns`.

    """
    import xarray  # noqa: PLC0415  # imports pandas; only those who want a Dataset need it

    points = np.asarray(columns[POINT]) if POINT in columns else np.arange(len(next(iter(columns.values()), ())))
    dims = tuple(layout.grid) or (POINT,)
    complete = len(points) == layout.points and np.array_equal(points, np.arange(len(points)))
    variables: dict[str, xarray.Variable] = {}
    along: dict[str, xarray.Variable] = {}
    for column in layout.columns:
        if column.name in columns and column.name not in (POINT, *layout.grid):
            values = np.asarray(columns[column.name])
            if layout.points is not None:
                if not complete:
                    values = _on_all_points(values, points, layout.points, column.missing)
                values = values.reshape(*layout.shape, *values.shape[1:])
            part = along if column.name in layout.setpoints else variables
            part[column.name] = xarray.Variable((*dims, *column.axes), values, _described(column))
    if not layout.grid:
        along[POINT] = xarray.Variable(POINT, points, _described(layout.column(POINT)))
    fixed = _coordinates(layout)
    coordinates: Mapping[Any, Any] = {**fixed.variables, **along} if along else fixed
    return xarray.Dataset(variables, coordinates, {"signal": layout.signal, "rows": len(points)})


def _on_all_points(values: NDArray[Any], points: NDArray[Any], total: int, missing: complex) -> NDArray[Any]:
    everything = np.full((total, *values.shape[1:]), missing, values.dtype)
    everything[points] = values  # of equal points, NumPy keeps the last
    return everything


@lru_cache(maxsize=8)
def _coordinates(layout: RunLayout) -> "xarray.Coordinates":
    """Coordinates of grid and axes, made once for each layout, because making their indexes takes most of the time."""
    import xarray  # noqa: PLC0415  # as above

    described = {name: (name, values, _described(layout.column(name))) for name, values in layout.grid.items()}
    described |= {name: (name, np.asarray(axis.values), _described(axis)) for name, axis in layout.axes.items()}
    return xarray.Dataset(coords=described).coords


def _described(what: Column | Axis) -> dict[str, str]:
    return {"units": what.unit, "long_name": what.long_name}
