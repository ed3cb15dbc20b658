"""Read runs: finished, failed, or still growing under another process.

A run whose writer died is read from its journal. Where that is damaged, the HDF5 file is read, and checked first, as a
damaged file can hang or crash the HDF5 library.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import h5py
import numpy as np
import psutil  # type: ignore[import-untyped]
from numpy.typing import NDArray

from labnis.printable import sentence
from labnis.storage._attributes import SCHEMA_VERSION, from_attributes, read_attributes
from labnis.storage._columns import POINT, Axis, Column, Dtype, RunLayout, check_points
from labnis.storage._events import Event, load_events
from labnis.storage._hdf5 import (
    check_links,
    members,
    read_described,
    read_file_metadata,
    read_fit,
    read_layout,
    row_count,
)  # fmt: skip
from labnis.storage._journal import journal_path
from labnis.storage._records import journal_state
from labnis.storage._recovery import check
from labnis.storage._run_file import file_in_memory
from labnis.storage.errors import DAMAGE, RunFileError

if TYPE_CHECKING:
    import xarray

__all__ = [
    "dataset_of", "metadata_and_damage", "open_rows", "open_run", "opened_columns", "read_events", "read_file",
    "read_fits", "read_metadata", "read_run", "upgraded",
]  # fmt: skip

T = TypeVar("T")


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


def read_run(path: Path | str, load: Callable[[Any], T]) -> T:
    """`load` of the open file; a file that changes at this moment is read again.

    Raises
    ------
    RunFileError
        The message names the file.

    """
    path = Path(path)
    journal = journal_state(path)
    if journal.dead_writer and not (journal.damage or journal.problem):
        with file_in_memory(path) as file, _damage_of(journal_path(path)):
            return load(file)
    if journal_path(path).exists() and not path.exists():
        problem = journal.problem or f"its journal is damaged: {journal.damage or 'its writer may still run'}"
        raise RunFileError(
            f"{path}: there is no such file, and {sentence(problem)} `labnis recover {path}` may make it."
        )
    if journal.dead_writer and path.is_file() and (problem := check(path, patience=10).problem):
        raise RunFileError(
            f"{path}: cannot be read as a run: {sentence(problem)} "
            f"Its writer died; `labnis recover {path}` rebuilds the file."
        )
    return read_file(path, load)


def read_file(path: Path, load: Callable[[Any], T]) -> T:
    """`load` of the open HDF5 file, whose writer has not died; a file that changes at this moment is read again.

    Raises
    ------
    RunFileError
        The message names the file.

    """
    if path.exists() and not path.is_file():  # a pipe would be waited for without end
        raise RunFileError(f"{path}: cannot be read as a run: it is no ordinary file")
    for _ in range(3):
        with contextlib.suppress(*DAMAGE), h5py.File(path, "r") as file:
            return load(file)
        if not path.is_file():
            break
        time.sleep(0.02)
    with _damage_of(path), h5py.File(path, "r") as file:
        return load(file)


@contextlib.contextmanager
def _damage_of(path: Path) -> Iterator[None]:
    """Turn everything that a damaged file raises into a RunFileError that names it."""
    try:
        yield
    except DAMAGE as error:
        problem = error.args[0] if isinstance(error, KeyError) and error.args else error
        raise RunFileError(f"{path}: cannot be read as a run: {problem}") from error


def _load_rows(file: Any) -> tuple[dict[str, NDArray[Any]], RunLayout, dict[str, Any]]:
    """Complete rows as they were measured, their layout, and the attributes of the Dataset.

    Raises
    ------
    Any of DAMAGE
        The file is not a run.

    """
    columns, layout, rows = opened_columns(file)
    attributes = read_attributes(file)
    from_attributes(attributes)
    _check_memory(max(rows, layout.points or 0) * layout.row_bytes)
    values = {name: dataset[:rows] for name, dataset in columns.items()}
    if layout.dimension != POINT:
        values, layout = upgraded(values, layout)
    check_points(values[POINT], layout)
    return values, layout, attributes


def opened_columns(file: Any) -> tuple[dict[str, Any], RunLayout, int]:
    """The datasets of the columns, which have their values on the disk, the layout, and the number of complete rows.

    Raises
    ------
    Any of DAMAGE
        The file is not a run.

    """
    check_links(file)
    rows = row_count(file)  # before the columns, which may become longer meanwhile
    data = file["data"]
    layout = read_layout(file) if "schema" in data.attrs else layout_of_version_1(data)
    columns = {c.name: data[c.name] for c in layout.columns if rows or c.name in data}
    for name, dataset in columns.items():
        column = layout.column(name)
        shape, dtype = (*dataset.shape[:1], *(layout.trace_shape(column) or ())), column.stored
        if dataset.shape != shape or dataset.dtype != dtype or dataset.shape[0] < rows:
            raise ValueError(
                f"column {name!r} has shape {dataset.shape} and type {dataset.dtype}; needed are {rows} rows, "
                f"each of shape {shape[1:]} and type {dtype}"
            )
    return columns, layout, rows


def _check_memory(needed: int) -> None:
    free = psutil.virtual_memory().available
    if needed > free:
        raise ValueError(f"its data need {needed / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free")


def _opened(path: Path | str, *, as_rows: bool) -> "xarray.Dataset":
    def load(file: Any) -> "xarray.Dataset":
        columns, layout, attributes = _load_rows(file)
        run = dataset_of(columns, layout.as_rows() if as_rows else layout).assign_attrs(attributes)
        if attributes["schema_version"] < SCHEMA_VERSION and "bias_reading" in run:
            run["bias"].attrs["note"] = NOTE
        return run

    return read_run(path, load)


def open_run(path: Path | str) -> "xarray.Dataset":
    """Read all complete rows of a run into memory; the file is closed again.

    Returns
    -------
    Dataset
        On the run's grid, also while it grows; see `dataset_of`. Its `attrs` are metadata that netCDF can hold: nested
        ones are JSON, times ISO 8601, truth values 0 or 1, and what is not known is missing; `read_metadata` returns
        them parsed. Runs of version 1 and 2, which recorded the read-back of the bias under the name `bias`, have it
        as `bias` and `bias_reading`, and the attribute `note` of `bias` says so.

    Raises
    ------
    RunFileError
        The file cannot be opened or is no run; names it.

    """
    return _opened(path, as_rows=False)


def open_rows(path: Path | str) -> "xarray.Dataset":
    """Read all complete rows of a run as a table along `point`, in the order in which they were measured.

    Returns
    -------
    Dataset
        As `open_run`, without the grid; the commanded set-points are coordinates along `point`.

    Raises
    ------
    RunFileError
        The file cannot be opened or is no run; names it.

    """
    return _opened(path, as_rows=True)


def read_metadata(path: Path | str) -> dict[str, Any]:
    """Read the run's metadata, parsed, and `rows`, without its data.

    Raises
    ------
    RunFileError
        The file cannot be opened or is no run; names it.

    """
    return metadata_and_damage(Path(path))[0]


def metadata_and_damage(path: Path) -> tuple[dict[str, Any], str]:
    """The run's metadata, and what is damaged in the journal they were read from."""
    journal = journal_state(path)
    if journal.dead_writer:
        with _damage_of(journal_path(path)):
            return from_attributes(journal.attributes) | {"rows": journal.rows}, journal.damage
    return read_run(path, read_file_metadata), ""


def read_fits(path: Path | str) -> dict[str, dict[str, Any]]:
    """Read the run's fits by name, as they were given to `RunWriter.write_fit`.

    Raises
    ------
    RunFileError
        The file cannot be opened or is no run; names it.

    """

    def load(file: Any) -> dict[str, dict[str, Any]]:
        check_links(file)
        return {name: read_fit(group) for name, group in members(file["fit"]).items()}

    return read_run(path, load)


def read_events(path: Path | str, kind: str | None = None) -> list[Event]:
    """Read the run's events, all or those of one `kind`, in the order in which they happened.

    Raises
    ------
    RunFileError
        The file cannot be opened or is no run; names it.

    """

    def load(file: Any) -> list[Event]:
        check_links(file)
        return load_events(file, kind)

    return read_run(path, load)


# --- files of versions 1 and 2: no `point`, no grid, and `bias` is what the source read back --------------------------

NOTE = "from the read-back; commanded values were not recorded"


def layout_of_version_1(data: Any) -> RunLayout:
    """Layout of the group `/data` of version 1, from its datasets."""
    columns: list[Column] = []
    axes: dict[str, Axis] = {}
    names = [str(name) for name in np.atleast_1d(data.attrs["columns"])]
    dimension = next(name for name in names if name in data and data[name].is_scale)
    for name in names:
        if name not in data:  # its axis was not known yet
            continue
        dtype: Dtype = complex if data[name].dtype.kind == "c" else float
        scales = [dim[0].name.rpartition("/")[2] for dim in list(data[name].dims)[1:]]
        columns.append(Column(name, *read_described(data[name]), axes=tuple(scales), dtype=dtype))
        axes |= {scale: Axis(scale, *read_described(data[scale]), data[scale][()]) for scale in scales}
    return RunLayout(
        columns, setpoints=[dimension], signal=str(data.attrs["signal"]), axes=axes.values(), dimension=dimension
    )


def upgraded(columns: dict[str, NDArray[Any]], layout: RunLayout) -> tuple[dict[str, NDArray[Any]], RunLayout]:
    """Columns and layout along `point`, the former row dimension being a set-point; `bias` also as `bias_reading`."""
    declared = list(layout.columns)
    if layout.dimension == "bias" and "bias_reading" not in columns:
        bias = layout.column("bias")
        declared.append(Column("bias_reading", bias.unit, f"{bias.long_name}, read back"))
        columns = {**columns, "bias_reading": columns["bias"]}
    new = RunLayout(
        declared, setpoints=[layout.dimension], signal=layout.signal, axes=layout.axes.values(), dimension=POINT
    )
    return {**columns, POINT: np.arange(len(columns[layout.dimension]))}, new
