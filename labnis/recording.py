"""From what a procedure emits to rows in a file, and to arrays for the live fit.

A pymeasure procedure names its columns "Name (unit)". Scalars come with the topic "results", one row per record;
labnis's own procedures put "axis" before the first row and "trace" before each. Any other topic is not data.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from pymeasure.experiment import Procedure

from labnis.analysis import Columns
from labnis.storage import Axis, Column, RunWriter

__all__ = ["Recorder", "coordinate_of", "declared_columns"]

_NAME = re.compile(r"^(?P<name>[^(]*?)\s*(?:\((?P<unit>.*)\))?$")


def _parsed(label: str) -> tuple[str, str, str]:
    """("Device voltage (V)") → ("device_voltage", "V", "Device voltage"); a column without a unit is a plain number."""
    match = _NAME.match(label)
    name, unit = (match["name"], match["unit"] or "1") if match else (label, "1")
    return re.sub(r"\W+", "_", name.lower()).strip("_"), unit, name


def declared_columns(procedure: Procedure) -> list[Column]:
    """Storage columns of all scalars and traces that `procedure` declares."""
    scalars = [Column(*_parsed(label)) for label in procedure.DATA_COLUMNS]
    traces: Mapping[str, tuple[str, type]] = getattr(procedure, "TRACES", {})
    return scalars + [
        Column(*_parsed(label), axes=(_parsed(axis)[0],), dtype=dtype) for label, (axis, dtype) in traces.items()
    ]


def coordinate_of(procedure: Procedure) -> str:
    """Name of the swept column: the declared one, or a third-party procedure's first."""
    return _parsed(getattr(procedure, "COORDINATE", procedure.DATA_COLUMNS[0]))[0]


class Recorder:
    """Takes what a procedure emits: first to the file, then to whoever watches.

    Parameters
    ----------
    writer
        The run's file.
    on_row
        Called after a row was handed to the file, with the number of rows.
    on_progress
        Called with the percentage that the procedure reports.

    """

    def __init__(
        self, writer: RunWriter, *, on_row: Callable[[int], None], on_progress: Callable[[float], None]
    ) -> None:
        self._writer = writer
        self._on_row = on_row
        self._on_progress = on_progress
        self._trace: dict[str, Any] = {}
        self._axes: dict[str, Any] = {}
        self._rows: list[dict[str, Any]] = []

    def emit(self, topic: str, record: Any) -> None:
        """What pymeasure calls `Procedure.emit`."""
        match topic:
            case "axis":
                for label, values in record.items():
                    name, unit, long_name = _parsed(label)
                    self._writer.add_axis(Axis(name, unit, long_name, values))
                    self._axes[name] = np.asarray(values)
            case "trace":
                self._trace = {_parsed(label)[0]: values for label, values in record.items()}
            case "results":
                self._append(record)
            case "batch results":
                for i in range(len(next(iter(record.values())))):
                    self._append({label: values[i] for label, values in record.items()})
            case "progress":
                self._on_progress(float(record))

    def columns(self) -> Columns:
        """Everything recorded so far, one array per column, plus the axes."""
        rows = list(self._rows)
        names = rows[0] if rows else {}
        return {name: np.array([row[name] for row in rows]) for name in names} | self._axes

    def _append(self, record: Mapping[str, Any]) -> None:
        row = {_parsed(label)[0]: value for label, value in record.items()} | self._trace
        self._trace = {}
        self._writer.append(row)
        self._rows.append(row)
        self._on_row(len(self._rows))
