"""From what a procedure emits to rows in a file, and to arrays for the live fit.

A pymeasure procedure names its columns "Name (unit)". Scalars come with the topic "results", one row per record;
labnis's own procedures put "axis" before the first row and "trace" before each. Any other topic is not data.
"""

import logging
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymeasure.experiment import Procedure

from labnis.experiment.analysis import Columns
from labnis.storage import Axis, Column, RunWriter

Row = Mapping[str, Any]

__all__ = ["Recorder", "coordinate_of", "declared_columns"]

logger = logging.getLogger(__name__)

_UNIT = re.compile(r"\s*\((?P<unit>\S+)\)(?=\s|$)")


QUALITY = Column("quality", "1", "Quality bits: 1 compliance, 2 overload")
"""A column that every run has; see `labnis.safety.invalid_readings`."""


def _parsed(label: str) -> tuple[str, str, str]:
    """("Device voltage (V)") → ("device_voltage", "V", "Device voltage"); a column without a unit is a plain number."""
    match = _UNIT.search(label)
    name, unit = (label.replace(match[0], "", 1), match["unit"]) if match else (label, "1")
    return re.sub(r"\W+", "_", name.lower()).strip("_"), unit, name


def declared_columns(procedure: Procedure) -> list[Column]:
    """Storage columns of all scalars and traces that `procedure` declares."""
    scalars = [Column(*_parsed(label)) for label in procedure.DATA_COLUMNS]
    traces: Mapping[str, tuple[str, type]] = getattr(procedure, "TRACES", {})
    return [*scalars, QUALITY] + [
        Column(*_parsed(label), axes=(_parsed(axis)[0],), dtype=dtype) for label, (axis, dtype) in traces.items()
    ]


def coordinate_of(procedure: Procedure) -> str:
    """Name of the swept column: the declared one, or a third-party procedure's first."""
    return _parsed(getattr(procedure, "COORDINATE", procedure.DATA_COLUMNS[0]))[0]


def _ignore(_earlier: Row, _repeated: Row) -> None:
    """Nobody asks about the overlap of a run that is not resumed."""


class _Table:
    """Columns that grow row by row; another thread may read them meanwhile."""

    def __init__(self) -> None:
        self._rows = 0
        self._columns: dict[str, NDArray[Any]] = {}

    def append(self, row: Row) -> None:
        for name, value in row.items():
            if name not in self._columns:
                self._columns[name] = np.empty((64, *np.shape(value)), np.result_type(value, float))
            elif self._rows == len(self._columns[name]):
                self._columns[name] = np.concatenate([self._columns[name], np.empty_like(self._columns[name])])
            self._columns[name][self._rows] = value
        self._rows += 1  # last: whoever reads now sees whole rows only

    def columns(self) -> Columns:
        rows = self._rows
        return {name: values[:rows].copy() for name, values in self._columns.items()}


class Recorder:
    """Takes what a procedure emits: first to the file, then to whoever watches.

    As in pymeasure, a declared column that a record lacks is NaN, one that is not declared is left out (a warning says
    so once), and a quantity with a unit of its own is converted to the column's.

    Parameters
    ----------
    writer
        The run's file.
    procedure
        Declares the columns.
    quality
        Asked once per row for its quality bits.
    keep
        Whether the rows stay in memory, too, for a fit. A run that nothing is fitted to may have any number of rows.
    earlier
        Where a run is resumed, what it recorded before, by column name. The first new row then repeats the last of
        these: it is not recorded but handed to `on_overlap` with that one.
    on_overlap
        Called with (earlier row, repeated row).
    on_row
        Called after a row was handed to the file, with the number of rows in it.
    on_progress
        Called with the percentage that the procedure reports.

    """

    def __init__(
        self,
        writer: RunWriter,
        procedure: Procedure,
        *,
        quality: Callable[[], int],
        keep: bool,
        earlier: Columns | None = None,
        on_overlap: Callable[[Row, Row], None] = _ignore,
        on_row: Callable[[int], None],
        on_progress: Callable[[float], None],
    ) -> None:
        self._writer = writer
        self._declared = {label: _parsed(label) for label in procedure.DATA_COLUMNS}
        self._left_out: set[str] = set()
        self._quality = quality
        self._on_row = on_row
        self._on_progress = on_progress
        self._trace: dict[str, Any] = {}
        self._axes: dict[str, Any] = {}
        self._table = _Table() if keep else None
        self._overlap: Row | None = None
        for values in zip(*earlier.values(), strict=True) if earlier else ():
            self._overlap = dict(zip(earlier or (), values, strict=True))
            self._keep(self._overlap)
        self._on_overlap = on_overlap

    def emit(self, topic: str, record: Any) -> None:
        """What pymeasure calls `Procedure.emit`."""
        match topic:
            case "axis":
                for label, values in record.items():
                    self._take_axis(Axis(*_parsed(label), values))
            case "trace":
                self._trace = {_parsed(label)[0]: values for label, values in record.items()}
            case "results":
                self._append(record)
            case "batch results":
                for values in zip(*record.values(), strict=True):
                    self._append(dict(zip(record, values, strict=True)))
            case "progress":
                self._on_progress(float(record))

    def _take_axis(self, axis: Axis) -> None:
        values = np.asarray(axis.values)
        if not self._writer.rows:
            self._writer.add_axis(axis)
        self._axes[axis.name] = values

    def columns(self) -> Columns:
        """Everything recorded and kept so far, one array per column, plus the axes."""
        recorded = self._table.columns() if self._table else {}
        return {**recorded, **self._axes} if recorded else {}

    def _keep(self, row: Row) -> None:
        if self._table is not None:
            self._table.append(row)

    def _append(self, record: Mapping[str, Any]) -> None:
        for label in record.keys() - self._declared.keys() - self._left_out:
            self._left_out.add(label)
            logger.warning("column %r is not among the procedure's DATA_COLUMNS: its values are not recorded", label)
        row = {name: _in_unit(record.get(label, math.nan), unit) for label, (name, unit, _) in self._declared.items()}
        row |= self._trace | {QUALITY.name: self._quality()}
        self._trace = {}
        if self._overlap is not None:
            self._on_overlap(self._overlap, row)
            self._overlap = None
            return
        self._writer.append(row)
        self._keep(row)
        self._on_row(self._writer.rows)


def _in_unit(value: Any, unit: str) -> Any:
    """Magnitude of a pint quantity in `unit`, which NumPy would strip of its own; anything else as it is."""
    return value.m_as("" if unit == "1" else unit) if hasattr(value, "m_as") else value
