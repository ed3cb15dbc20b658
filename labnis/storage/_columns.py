"""What a run records: its columns, their axes, and whether a row fits them. No files here."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labnis.storage.errors import LayoutError, RowError

__all__ = ["Axis", "Column", "Row", "Schema", "checked_row", "schema_from_plain", "schema_to_plain", "stacked"]

Row = Mapping[str, float | complex | NDArray[Any]]


def _check_name(kind: str, name: str) -> None:
    """HDF5 forbids "/" and ".", netCDF the rest; anything else, "Voltage (V)" too, is a fine name."""
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
        What a plot's axis says.
    axes
        Names of the axes of one row's array; empty where a row holds one number.
    dtype
        float or complex.

    """

    name: str
    unit: str
    long_name: str
    axes: tuple[str, ...] = ()
    dtype: type[float] | type[complex] = float

    def __post_init__(self) -> None:
        _check_name("column", self.name)
        if self.dtype not in (float, complex):
            raise LayoutError(f"column {self.name!r}: dtype is {self.dtype!r}; allowed are float and complex")
        if isinstance(self.axes, str) or len(set(self.axes)) != len(self.axes):
            raise LayoutError(f"column {self.name!r}: axes is {self.axes!r}; a tuple of different names is needed")


@dataclass(frozen=True, eq=False)
class Axis:
    """A fixed axis of trace columns, such as frequency: `values` has shape (points,), in `unit`."""

    name: str
    unit: str
    long_name: str
    values: ArrayLike

    def __post_init__(self) -> None:
        _check_name("axis", self.name)
        values = np.asarray(self.values)
        if values.dtype.kind not in "iuf" or values.ndim != 1 or values.size == 0:
            raise LayoutError(
                f"axis {self.name!r}: values of type {values.dtype} and shape {values.shape}; "
                "a non-empty one-dimensional array of real numbers is needed"
            )
        object.__setattr__(self, "values", values.astype(np.float64))


@dataclass(frozen=True)
class Schema:
    """The columns of one run, which of them is the coordinate of the rows, and which one a plot shows first.

    Raises
    ------
    LayoutError
        Where names collide, or coordinate or signal is not what it has to be.

    """

    columns: tuple[Column, ...]
    coordinate: str
    signal: str

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        axes = {axis for column in self.columns for axis in column.axes}
        twice = {name for name in names if names.count(name) > 1} | (set(names) & axes)
        if twice:
            raise LayoutError(f"names used more than once among columns and axes: {', '.join(sorted(twice))}")
        for role, name in (("coordinate", self.coordinate), ("signal", self.signal)):
            if name not in names:
                raise LayoutError(f"{role} is {name!r}, which is no column; the columns are {', '.join(names)}")
        coordinate = self.column(self.coordinate)
        if coordinate.axes or coordinate.dtype is not float:
            raise LayoutError(f"coordinate {self.coordinate!r} has to be a real column with one number per row")

    @classmethod
    def of(cls, columns: Iterable[Column], coordinate: str, signal: str | None) -> "Schema":
        """Make a schema whose signal is, unless named, the first column that is not the coordinate."""
        columns = tuple(columns)
        others = [column.name for column in columns if column.name != coordinate]
        return cls(columns, coordinate, signal or (others[0] if others else coordinate))

    @property
    def axes(self) -> frozenset[str]:
        """Names of all axes that columns use."""
        return frozenset(axis for column in self.columns for axis in column.axes)

    def column(self, name: str) -> Column:
        """Look up the column called `name`."""
        return next(column for column in self.columns if column.name == name)


def schema_to_plain(schema: Schema) -> dict[str, Any]:
    """Plain values from which `schema_from_plain` makes the schema again."""
    columns = [
        {"name": c.name, "unit": c.unit, "long_name": c.long_name, "axes": list(c.axes), "dtype": c.dtype.__name__}
        for c in schema.columns
    ]
    return {"columns": columns, "coordinate": schema.coordinate, "signal": schema.signal}


def schema_from_plain(plain: Mapping[str, Any]) -> Schema:
    """Inverse of `schema_to_plain`.

    Raises
    ------
    KeyError, TypeError, LayoutError
        It is none of its results.

    """
    types: Mapping[str, type[float] | type[complex]] = {"float": float, "complex": complex}
    columns = [
        Column(c["name"], c["unit"], c["long_name"], axes=tuple(c["axes"]), dtype=types[c["dtype"]])
        for c in plain["columns"]
    ]
    return Schema(tuple(columns), plain["coordinate"], plain["signal"])


def checked_row(row: Row, schema: Schema, lengths: Mapping[str, int], run_id: str, index: int) -> dict[str, Any]:
    """Copy `row` into the columns' own types, so that the caller may reuse its arrays.

    Parameters
    ----------
    row
        A value for every column.
    schema
        The run's columns.
    lengths
        Number of points of each axis given so far.
    run_id, index
        Named in errors.

    Raises
    ------
    RowError
        A column is missing or unknown, a value is not a number, or has the wrong shape. NaN is a value.

    """
    unknown = row.keys() - {column.name for column in schema.columns}
    if unknown:
        names = ", ".join(column.name for column in schema.columns)
        raise RowError(run_id, index, min(unknown, key=str), f"unknown column; the run's columns are {names}")
    checked = {}
    for column in schema.columns:
        try:
            checked[column.name] = _checked_value(row, column, lengths)
        except (KeyError, TypeError, ValueError) as error:
            problem = "missing from the row" if isinstance(error, KeyError) else str(error)
            raise RowError(run_id, index, column.name, problem) from error
    return checked


def _checked_value(row: Row, column: Column, lengths: Mapping[str, int]) -> Any:
    value = row[column.name]
    if not column.axes and type(value) is column.dtype:
        return value
    absent = [axis for axis in column.axes if axis not in lengths]
    if absent:
        raise ValueError(f"the values of its axis {absent[0]!r} are not known yet; call add_axis before the first row")
    array = np.asarray(value)
    if array.dtype.kind not in ("iuf" if column.dtype is float else "iufc"):
        raise TypeError(f"a {column.dtype.__name__} is needed, got {type(value).__name__} of type {array.dtype}")
    shape = tuple(lengths[axis] for axis in column.axes)
    if array.shape != shape:
        raise ValueError(f"shape is {array.shape}, needed is {shape} (axes: {', '.join(column.axes) or 'none'})")
    return np.array(array, dtype=column.dtype)


def stacked(rows: Sequence[Mapping[str, Any]], schema: Schema) -> dict[str, NDArray[Any]]:
    """One block per column, shape (rows, *axes), from checked rows."""
    return {column.name: np.array([row[column.name] for row in rows], dtype=column.dtype) for column in schema.columns}
