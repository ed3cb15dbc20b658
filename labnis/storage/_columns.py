"""Layout of a run: its columns, its grid, and the check of a row. No files here."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labnis.storage.errors import LayoutError, RowError

__all__ = [
    "POINT", "Axis", "Column", "Dtype", "Row", "RunLayout", "check_points", "checked_row", "layout_from_plain",
    "layout_to_plain", "stacked",
]  # fmt: skip

Row = Mapping[str, float | complex | NDArray[Any]]
Dtype = type[float] | type[complex] | type[int]

_KINDS: Mapping[Dtype, str] = {float: "iuf", complex: "iufc", int: "iu"}
_STORED: Mapping[Dtype, np.dtype[Any]] = {float: np.dtype("f8"), complex: np.dtype("c16"), int: np.dtype("i8")}
_LARGEST = 2**63 - 1


def _check_texts(kind: str, name: str, unit: str, long_name: str) -> None:
    """HDF5 forbids "/" and ".", netCDF the rest; anything else, "Voltage (V)" too, is allowed in a name."""
    if not all(isinstance(text, str) for text in (name, unit, long_name)):
        raise LayoutError(f"{kind} {name!r}: unit is {unit!r} and long name is {long_name!r}; texts are needed")
    if not name or len(name) > 200 or "/" in name or name.startswith(".") or not name.isprintable():
        raise LayoutError(
            f"{kind} name {name!r} cannot be stored: 1 to 200 printable characters, no '/', no '.' in front"
        )


@dataclass(frozen=True)
class Column:
    """One recorded quantity.

    Attributes
    ----------
    name
        Its key in a row and its dataset in the file. NeXus reads `<name>_errors` as its 1σ.
    unit
        SI unit, "1" where there is none.
    long_name
        Label of a plot's axis.
    axes
        Names of the axes of one row's array; empty where a row holds one number.
    dtype
        float, complex or int.

    """

    name: str
    unit: str
    long_name: str
    axes: tuple[str, ...] = ()
    dtype: Dtype = float

    def __post_init__(self) -> None:
        _check_texts("column", self.name, self.unit, self.long_name)
        if self.dtype not in _STORED:
            raise LayoutError(f"column {self.name!r}: dtype is {self.dtype!r}; allowed are float, complex and int")
        if isinstance(self.axes, str) or len(set(self.axes)) != len(self.axes):
            raise LayoutError(f"column {self.name!r}: axes is {self.axes!r}; a tuple of different names is needed")

    @property
    def stored(self) -> np.dtype[Any]:
        """Type of its values in files and arrays: float64, complex128 or int64."""
        return _STORED[self.dtype]

    @property
    def missing(self) -> complex:
        """Value of a reading that was not measured: NaN, and -1 in columns of integers."""
        return -1 if self.dtype is int else complex(math.nan, math.nan) if self.dtype is complex else math.nan


@dataclass(frozen=True, eq=False)
class Axis:
    """A fixed axis of trace columns, such as frequency: `values` has shape (points,), in `unit`."""

    name: str
    unit: str
    long_name: str
    values: ArrayLike

    def __post_init__(self) -> None:
        _check_texts("axis", self.name, self.unit, self.long_name)
        object.__setattr__(self, "values", _line(f"axis {self.name!r}", self.values, np.dtype(np.float64), "iuf"))


def _line(what: str, values: ArrayLike, stored: np.dtype[Any], kinds: str) -> NDArray[Any]:
    array = np.asarray(values)
    if array.dtype.kind not in kinds or array.ndim != 1 or array.size == 0:
        numbers = "integers" if kinds == "iu" else "real numbers"
        raise LayoutError(
            f"{what}: values of type {array.dtype} and shape {array.shape}; "
            f"a non-empty one-dimensional array of {numbers} is needed"
        )
    return array.astype(stored)


POINT = "point"
"""The row dimension of every run."""

_POINT = Column(POINT, "1", "Point", dtype=int)


class RunLayout:
    """The columns of a run and their relations.

    Parameters
    ----------
    columns
        What a row holds, without `point`, which every run has.
    grid
        Set-point column → its planned values, from the outermost to the innermost loop. Values may occur twice.
        Without a grid a row's point is its number.
    setpoints
        Further columns of set-points, which are not on the grid.
    signal
        Column that a plot shows first; by default the first one that is not a set-point.
    axes
        Axes of trace columns whose values are known; others follow by `with_axis`.
    dimension
        Name of the row dimension; another than `point` in files of versions 1 and 2 only.

    Attributes
    ----------
    columns
        All columns, `point` first.
    grid
        As given, as arrays of the columns' types.
    setpoints
        Names of all set-point columns, those of the grid first.
    axes
        Name → axis, as far as known.

    Raises
    ------
    LayoutError
        Names collide, or grid, set-points or signal are not valid.

    """

    def __init__(
        self,
        columns: Iterable[Column],
        *,
        grid: Mapping[str, ArrayLike] = {},
        setpoints: Iterable[str] = (),
        signal: str | None = None,
        axes: Iterable[Axis] = (),
        dimension: str = POINT,
    ) -> None:
        self.columns = (*([_POINT] if dimension == POINT else []), *columns)
        self.dimension = dimension
        self._by_name = {column.name: column for column in self.columns}
        self.setpoints = tuple(dict.fromkeys((*grid, *setpoints)))
        others = [name for name in self._by_name if name not in (dimension, *self.setpoints)]
        self.signal = signal or next(iter([*others, *self.setpoints, dimension]))
        self._check_names()
        self.grid = {name: self._planned(name, values) for name, values in grid.items()}
        self.axes: dict[str, Axis] = {}
        for axis in axes:
            self._claim(axis)

    def _check_names(self) -> None:
        names = [column.name for column in self.columns]
        twice = {name for name in names if names.count(name) > 1} | (set(names) & self.axis_names)
        if twice:
            hint = f"; {POINT!r} is the row dimension of every run" if POINT in twice else ""
            raise LayoutError(f"names used more than once among columns and axes: {', '.join(sorted(twice))}{hint}")
        roles = {"row dimension": [self.dimension], "set-point": self.setpoints, "signal": [self.signal]}
        for role, name in ((role, name) for role, used in roles.items() for name in used):
            if name not in names:
                raise LayoutError(f"{role} is {name!r}, which is not a column; the columns are {', '.join(names)}")
            column = self.column(name)
            if role != "signal" and (column.axes or column.dtype is complex):
                raise LayoutError(f"{role} {name!r} must be a real column with one number per row")

    def _planned(self, name: str, values: ArrayLike) -> NDArray[Any]:
        column = self.column(name)
        planned = _line(f"grid of {name!r}", values, column.stored, _KINDS[column.dtype])
        if not np.isfinite(planned).all():
            raise LayoutError(f"grid of {name!r}: planned values must be finite")
        return planned

    def _claim(self, axis: Axis) -> None:
        if axis.name not in self.axis_names:
            used = ", ".join(sorted(self.axis_names)) or "none"
            raise LayoutError(f"no column has an axis {axis.name!r}; axes of columns: {used}")
        if axis.name in self.axes:
            raise LayoutError(f"axis {axis.name!r} has its values already")
        self.axes[axis.name] = axis

    def with_axis(self, axis: Axis) -> "RunLayout":
        """Return this layout with the values of one more axis.

        Raises
        ------
        LayoutError
            No column uses it, or its values are known already.

        """
        copy = self._copied(self.grid)
        copy._claim(axis)
        return copy

    def as_rows(self) -> "RunLayout":
        """Return this layout without its grid: a plain table along `point`."""
        return self._copied({})

    def _copied(self, grid: Mapping[str, ArrayLike]) -> "RunLayout":
        columns = [column for column in self.columns if column is not _POINT]
        return RunLayout(
            columns, grid=grid, setpoints=self.setpoints, signal=self.signal, axes=self.axes.values(),
            dimension=self.dimension,
        )  # fmt: skip

    @cached_property
    def axis_names(self) -> frozenset[str]:
        """Names of all axes that columns use."""
        return frozenset(axis for column in self.columns for axis in column.axes)

    @cached_property
    def names(self) -> frozenset[str]:
        """Names of all columns."""
        return frozenset(self._by_name)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Shape of the grid; empty without one."""
        return tuple(map(len, self.grid.values()))

    @cached_property
    def points(self) -> int | None:
        """Number of points of the grid; None without one."""
        return math.prod(self.shape) if self.grid else None

    def column(self, name: str) -> Column:
        """Look up the column called `name`."""
        return self._by_name[name]

    def trace_shape(self, column: Column) -> tuple[int, ...] | None:
        """Shape of one row's array; None while the values of one of its axes are not known."""
        if not column.axes:
            return ()
        known = [self.axes[name] for name in column.axes if name in self.axes]
        return tuple(np.size(axis.values) for axis in known) if len(known) == len(column.axes) else None

    @cached_property
    def row_bytes(self) -> int:
        """Size of one row whose axes are all known."""
        return sum(c.stored.itemsize * math.prod(self.trace_shape(c) or ()) for c in self.columns)

    @property
    def plot_axes(self) -> list[str]:
        """Columns and axes against which a NeXus viewer plots the signal.

        One number per row is a curve against the innermost set-point, or over the two innermost ones a scatter plot
        (x, y); directions and repeats, which are integers, do not count. Traces are an image.
        """
        swept = [name for name in self.setpoints if name != self.signal]
        swept = [name for name in swept if self.column(name).dtype is float] or swept or [self.dimension]
        traces = self.column(self.signal).axes
        return [swept[-1], *traces] if traces else swept[:-3:-1]


def layout_to_plain(layout: RunLayout) -> dict[str, Any]:
    """Plain values from which `layout_from_plain` makes the layout again, without the values of its axes."""
    changed = [(column, {"axes": list(column.axes), "dtype": column.dtype.__name__}) for column in layout.columns]
    columns = [asdict(column) | plain for column, plain in changed if column is not _POINT]
    if layout.dimension != POINT:
        return {"columns": columns, "coordinate": layout.dimension, "signal": layout.signal}
    grid = {name: values.tolist() for name, values in layout.grid.items()}
    return {"columns": columns, "grid": grid, "setpoints": list(layout.setpoints), "signal": layout.signal}


def layout_from_plain(plain: Mapping[str, Any], axes: Iterable[Axis] = ()) -> RunLayout:
    """Inverse of `layout_to_plain`, also for the results of version 2, whose row dimension was a column.

    Raises
    ------
    KeyError, TypeError, LayoutError
        `plain` is not a layout.

    """
    types = {dtype.__name__: dtype for dtype in _STORED}
    columns = [Column(**{**c, "axes": tuple(c["axes"]), "dtype": types[c["dtype"]]}) for c in plain["columns"]]
    dimension = plain.get("coordinate", POINT)
    setpoints = plain["setpoints"] if dimension == POINT else [dimension]
    return RunLayout(
        columns, grid=plain.get("grid", {}), setpoints=setpoints, signal=plain["signal"], axes=axes,
        dimension=dimension,
    )  # fmt: skip


def checked_row(row: Row, layout: RunLayout, run_id: str, index: int) -> dict[str, Any]:
    """Copy `row` into the columns' own types, so that the caller may reuse its arrays.

    Parameters
    ----------
    row
        A value for every column. Without a grid `point` may be left out.
    layout
        The run's columns.
    run_id, index
        Named in errors.

    Raises
    ------
    RowError
        A column is missing or unknown, a value is not a number, or has the wrong shape, or the point is not on the
        grid. NaN is a value.

    """
    if POINT not in row and not layout.grid:
        row = {**row, POINT: index}
    if row.keys() != layout.names and (unknown := row.keys() - layout.names):
        names = ", ".join(column.name for column in layout.columns)
        raise RowError(run_id, index, min(unknown, key=str), f"unknown column; the run's columns are {names}")
    checked = {}
    for column in layout.columns:
        try:
            checked[column.name] = _checked_value(row, column, layout)
        except (KeyError, TypeError, ValueError) as error:
            problem = "missing from the row" if isinstance(error, KeyError) else str(error)
            raise RowError(run_id, index, column.name, problem) from error
    points = layout.points
    if checked[POINT] < 0 or (points is not None and checked[POINT] >= points):
        allowed = "0 or more is needed" if points is None else f"the grid has the points 0 to {points - 1}"
        raise RowError(run_id, index, POINT, f"is {checked[POINT]}; {allowed}")
    return checked


def _checked_value(row: Row, column: Column, layout: RunLayout) -> Any:
    value = row[column.name]
    if not column.axes and type(value) is column.dtype and (column.dtype is not int or abs(value) <= _LARGEST):
        return value
    shape = layout.trace_shape(column)
    if shape is None:
        absent = next(axis for axis in column.axes if axis not in layout.axes)
        raise ValueError(f"the values of its axis {absent!r} are not known yet; call add_axis before the first row")
    array = np.asarray(value)
    if array.dtype.kind not in _KINDS[column.dtype]:
        raise TypeError(f"{column.dtype.__name__} is needed, got {type(value).__name__} of type {array.dtype}")
    if array.shape != shape:
        raise ValueError(f"shape is {array.shape}, needed is {shape} (axes: {', '.join(column.axes) or 'none'})")
    if column.dtype is int and array.size and int(array.max()) > _LARGEST:
        raise ValueError(f"{array.max()} is too large for 64 bits")
    return np.array(array, dtype=column.stored)


def check_points(points: NDArray[Any], layout: RunLayout) -> None:
    """Check the points of rows from a file.

    Raises
    ------
    ValueError
        One is not on the run's grid; names the first of them.

    """
    wrong = np.flatnonzero((points < 0) | (points >= (layout.points or np.inf)))
    if wrong.size:
        row = int(wrong[0])
        allowed = "0 or more is needed" if layout.points is None else f"the grid has {layout.points} points"
        raise ValueError(f"row {row} is at the point {points[row]}; {allowed}")


def stacked(rows: Sequence[Mapping[str, Any]], layout: RunLayout) -> dict[str, NDArray[Any]]:
    """One block per column, shape (rows, *axes), from checked rows."""
    return {column.name: np.array([row[column.name] for row in rows], column.stored) for column in layout.columns}
