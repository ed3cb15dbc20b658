"""Converts what a procedure emits to rows in a file, and to a Dataset for the live fit.

A pymeasure procedure names its columns "Name (unit)". Scalars come with the topic "results", one row per record;
labnis's own procedures put "axis" before the first row, and "point" and "trace" before each. Other topics are no data.
"""

import logging
import math
import re
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray
from numpy.typing import ArrayLike, NDArray
from pymeasure.experiment import Procedure

from drivers.roles import Clock
from labnis.errors import RequestError
from labnis.experiment.goals import is_informed
from labnis.storage import (
    Axis,
    Column,
    RunLayout,
    RunMetadata,
    RunWriter,
    dataset_of,
    open_rows,
    read_metadata,
    recover,
    resume_differences,
)

Row = Mapping[str, Any]

__all__ = [
    "Recorder",
    "column_name",
    "column_unit",
    "declared_columns",
    "file_of",
    "grid_of",
    "setpoint_columns",
    "signal_of",
]

logger = logging.getLogger(__name__)

_UNIT = re.compile(r"\s*\((?P<unit>\S+)\)(?=\s|$)")

STANDARD_COLUMNS = (
    Column("time", "s", "Time since the start"),
    Column("time_utc", "s", "Time, UTC, since 1970-01-01"),
    Column("quality", "1", "Quality bits: 0 is a good row", dtype=int),
)
"""Columns that every run has; the bits of `quality` are those of `labnis.safety.invalid_readings`."""


def _parsed(label: str) -> tuple[str, str, str]:
    """("Device voltage (V)") → ("device_voltage", "V", "Device voltage"); a column without a unit is a plain number."""
    match = _UNIT.search(label)
    name, unit = (label.replace(match[0], "", 1), match["unit"]) if match else (label, "1")
    return re.sub(r"\W+", "_", name.lower()).strip("_"), unit, name


def column_name(label: str) -> str:
    """Name in the file of the column that a procedure calls `label`."""
    return _parsed(label)[0]


def column_unit(label: str) -> str:
    """Unit of the column that a procedure calls `label`."""
    return _parsed(label)[1]


def grid_of(procedure: Procedure) -> dict[str, ArrayLike]:
    """Planned values of every set-point column, the outermost first; empty where they are not known beforehand."""
    if is_informed(procedure) or not hasattr(procedure, "setpoints"):
        return {}
    return {column_name(label): values for label, values in procedure.setpoints().items()}


def setpoint_columns(procedure: Procedure) -> list[str]:
    """Names of the set-point columns, including points that are chosen one by one."""
    if not hasattr(procedure, "setpoints"):
        return []
    return [column_name(label) for label in procedure.setpoints()]


def declared_columns(procedure: Procedure) -> list[Column]:
    """Storage columns of all scalars and traces that `procedure` declares."""
    return [*_scalars(procedure).values(), *STANDARD_COLUMNS, *_traces(procedure).values()]


def signal_of(procedure: Procedure) -> str | None:
    """Name of the column that a plot shows first; None where the procedure declares none."""
    signal = getattr(procedure, "SIGNAL", "")
    return column_name(signal) if signal else None


def file_of(
    procedure: Procedure, metadata: RunMetadata, data: Path, resume: Path | None
) -> tuple[RunWriter, xarray.Dataset | None]:
    """A new file for `procedure` in the folder `data`, or the file to continue and its rows.

    A procedure that continues begins at the point of the last row.

    Raises
    ------
    RequestError
        The unfinished run has other conditions (the message names each difference), it has no rows, or `procedure`
        cannot begin at its last point.

    """
    if resume is None:
        columns = declared_columns(procedure)
        return RunWriter(data, metadata, columns, grid=grid_of(procedure), signal=signal_of(procedure)), None
    recovered = recover(resume)  # its process may have died in the middle of a write
    differences = resume_differences(read_metadata(resume), metadata)
    if differences:
        listed = "".join(f"\n  {difference}" for difference in differences)
        raise RequestError(f"{resume} cannot be resumed, because these conditions differ:{listed}")
    before = open_rows(resume)
    if not before.attrs["rows"]:
        raise RequestError(f"{resume} has no rows; start a new run instead")
    last = int(before["point"].values[-1])
    order = procedure.order_of_points() if hasattr(procedure, "order_of_points") else np.empty(0)
    if last not in order:
        raise RequestError(
            f"{resume} cannot be resumed: {type(procedure).__name__} cannot begin at point {last}, which was measured "
            "last; a procedures.Measurement with the same points can"
        )
    procedure.first_point = int(np.argmax(order == last))
    return RunWriter.resume(recovered), before


def _scalars(procedure: Procedure) -> dict[str, Column]:
    """By label. Set-points that are not swept have no column."""
    idle = set()
    if hasattr(procedure, "setpoints"):
        idle = set(procedure.SETPOINTS) - procedure.setpoints().keys()
    return {label: Column(*_parsed(label)) for label in procedure.DATA_COLUMNS if label not in idle}


def _traces(procedure: Procedure) -> dict[str, Column]:
    traces: Mapping[str, tuple[str, type]] = getattr(procedure, "TRACES", {})
    return {
        label: Column(*_parsed(label), axes=(column_name(axis),), dtype=dtype)
        for label, (axis, dtype) in traces.items()
    }


class _Table:
    """Columns that grow row by row; another thread may read them meanwhile."""

    def __init__(self, layout: RunLayout) -> None:
        self._layout = layout
        self.rows = 0
        self._columns: dict[str, NDArray[Any]] = {}

    def append(self, row: Row) -> None:
        for name, value in row.items():
            if name not in self._columns:
                self._columns[name] = np.empty((64, *np.shape(value)), self._layout.column(name).stored)
            elif self.rows == len(self._columns[name]):
                self._columns[name] = np.concatenate([self._columns[name], np.empty_like(self._columns[name])])
            self._columns[name][self.rows] = value
        self.rows += 1  # last: a reader sees whole rows only

    def columns(self) -> dict[str, NDArray[Any]]:
        rows = self.rows
        return {name: values[:rows].copy() for name, values in self._columns.items()}


class Recorder:
    """Writes what a procedure emits to the file, then tells the observers.

    As in pymeasure, a declared column that a record lacks is NaN, an undeclared one is omitted with one warning, and a
    quantity with a unit is converted to the column's unit.

    Parameters
    ----------
    writer
        The run's file.
    procedure
        Declares the columns.
    clock
        Clock of the experiment, for the time in each row.
    quality
        Called once per row for its quality bits.
    keep
        Whether the rows also stay in memory, for a fit. A run without a fit may have any number of rows.
    earlier
        Where a run is resumed, its rows as `open_rows` reads them. New rows of the last of these points repeat the
        earlier ones: they are not written, but passed to `on_overlap` together with those.
    on_overlap
        Called with (earlier row, repeated row).
    on_row
        Called after each row, or with progress alone, with the percentage that the procedure reported.

    """

    def __init__(
        self,
        writer: RunWriter,
        procedure: Procedure,
        *,
        clock: Clock,
        quality: Callable[[], int],
        keep: bool,
        earlier: xarray.Dataset | None = None,
        on_overlap: Callable[[Row, Row], None],
        on_row: Callable[[float], None],
    ) -> None:
        self._writer = writer
        self._scalars = _scalars(procedure)
        self._clock = clock
        self._began = clock.time()
        self._quality = quality
        self._on_overlap = on_overlap
        self._on_row = on_row
        self._percent = 0.0
        self._left_out: set[str] = set(getattr(procedure, "SETPOINTS", ())) - self._scalars.keys()
        self._point: int | None = None
        self._trace: dict[str, Any] = {}
        self._age = self._latest = 0.0
        self._table = _Table(writer.layout) if keep else None
        self._overlap: list[Row] = []
        if earlier is not None:
            last = earlier["point"].values[-1]
            for row in _rows_of(earlier):
                self._overlap = [*self._overlap, row] if row["point"] == last else []
                self._keep(row)
            # Time continues from the last row.
            self._began -= float(self._overlap[-1]["time"])

    def emit(self, topic: str, record: Any) -> None:
        """Handle one emitted message, as pymeasure's `Procedure.emit`."""
        match topic:
            case "axis":
                for label, values in record.items():
                    if column_name(label) not in self._writer.layout.axes:
                        self._writer.add_axis(Axis(*_parsed(label), values))
            case "point":
                self._point = int(record)
            case "age":
                self._age = float(record)
            case "trace":
                self._trace = {column_name(label): values for label, values in record.items()}
            case "results":
                self._append(record)
            case "batch results":
                for values in zip(*record.values(), strict=True):
                    self._append(dict(zip(record, values, strict=True)))
            case "progress":
                self._percent = float(record)
                self._on_row(self._percent)

    def data(self) -> xarray.Dataset | None:
        """All rows in memory, as `open_run` reads them; None before the first row."""
        if self._table is None or not self._table.rows:
            return None
        return dataset_of(self._table.columns(), self._writer.layout)

    def _keep(self, row: Row) -> None:
        if self._table is not None:
            self._table.append(row)

    def _append(self, record: Mapping[str, Any]) -> None:
        for label in record.keys() - self._scalars.keys() - self._left_out:
            self._left_out.add(label)
            logger.warning("column %r is not among the procedure's DATA_COLUMNS: its values are not recorded", label)
        number = self._writer.rows if self._point is None else self._point
        row = {c.name: _in_unit(record.get(label, math.nan), c.unit) for label, c in self._scalars.items()}
        now = {
            "time": self._clock.time() - self._began - self._age,
            # In a dry run the wall clock hardly moves.
            "time_utc": max(time.time() - self._age, self._latest),
            "quality": self._quality(),
        }
        row |= {"point": number} | now | self._trace
        self._trace, self._age, self._latest = {}, 0.0, now["time_utc"]  # the point stays: it may be recorded again
        if self._overlap and self._overlap[0]["point"] == number:
            self._on_overlap(self._overlap.pop(0), row)
            return
        self._writer.append(row)
        self._keep(row)
        self._on_row(self._percent)


def _rows_of(data: xarray.Dataset) -> Iterable[Row]:
    columns = {str(name): values.values for name, values in data.variables.items() if values.dims[:1] == ("point",)}
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(columns, values, strict=True))


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, float]:
    """What each number of a row has changed by since the same point was measured `before`."""
    scalars = [name for name in now if np.ndim(now[name]) == 0 and name not in ("time", "time_utc")]
    return {name: float(now[name]) - float(before[name]) for name in scalars}


def _in_unit(value: Any, unit: str) -> Any:
    """Magnitude of a pint quantity in `unit`, whose unit NumPy would drop; other values unchanged."""
    return value.m_as("" if unit == "1" else unit) if hasattr(value, "m_as") else value
