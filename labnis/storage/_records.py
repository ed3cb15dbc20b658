"""The changes that make up a run. Each has two forms: a frame of the journal, and a change of the HDF5 file.

Everything a writer does is one of these records, written to the journal and then applied to the file. Applying all
records of a journal to an empty file makes the run again.
"""

import json
import math
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from labnis.storage import _events, _hdf5
from labnis.storage._columns import Axis, RunLayout, layout_from_plain, layout_to_plain
from labnis.storage._events import Event
from labnis.storage._host import Writer, writer_of
from labnis.storage._journal import Frame, JournalReader, journal_path
from labnis.storage._json import json_text

__all__ = [
    "AttributesRecord", "AxisRecord", "EventRecord", "FitRecord", "HeadRecord", "JournalState", "Record", "RowsRecord",
    "coalesced", "decoded", "journal_state", "records_of_file",
]  # fmt: skip

_ROWS = struct.Struct("<QQd")
_COALESCED_BYTES = 16 << 20


class Record(Protocol):
    """One change of a run."""

    kind: ClassVar[int]

    def pieces(self) -> list[Any]:
        """Its bytes in the journal."""

    def apply(self, file: Any) -> None:
        """Apply the change to the open HDF5 file."""


@dataclass(frozen=True)
class HeadRecord:
    """The beginning of a run: its layout, and the attributes of the root."""

    kind: ClassVar[int] = 1
    layout: RunLayout
    attributes: Mapping[str, Any]

    def pieces(self) -> list[Any]:
        return _json({"schema": layout_to_plain(self.layout), "attributes": self.attributes})

    def apply(self, file: Any) -> None:
        _hdf5.create_run(file, self.layout, self.attributes)
        _events.create_events(file)


@dataclass(frozen=True)
class AxisRecord:
    """The values of one axis become known; `layout` has them."""

    kind: ClassVar[int] = 2
    layout: RunLayout
    axis: Axis

    def pieces(self) -> list[Any]:
        axis = self.axis
        return _json({"name": axis.name, "unit": axis.unit, "long_name": axis.long_name, "values": axis.values})

    def apply(self, file: Any) -> None:
        _hdf5.create_axis(file, self.layout, self.axis)


@dataclass(frozen=True)
class RowsRecord:
    """A block of rows: number of the first, time of writing (s since 1970), an array for each column."""

    kind: ClassVar[int] = 3
    first: int
    time: float
    block: Mapping[str, NDArray[Any]]

    @property
    def count(self) -> int:
        """Number of rows."""
        return len(next(iter(self.block.values())))

    @property
    def nbytes(self) -> int:
        """Size of the arrays."""
        return sum(array.nbytes for array in self.block.values())

    def pieces(self) -> list[Any]:
        # `reshape`: a memory view cannot be cast while one of its lengths is zero.
        return [_ROWS.pack(self.first, self.count, self.time), *(array.reshape(-1) for array in self.block.values())]

    def apply(self, file: Any) -> None:
        _hdf5.append_rows(file, self.first, self.block)


@dataclass(frozen=True)
class EventRecord:
    """An event."""

    kind: ClassVar[int] = 4
    event: Event

    def pieces(self) -> list[Any]:
        return _json(_events.event_to_plain(self.event))

    def apply(self, file: Any) -> None:
        _events.append_event(file, self.event)


@dataclass(frozen=True)
class FitRecord:
    """A new fit, or one that replaces an earlier fit."""

    kind: ClassVar[int] = 5
    name: str
    fit: Mapping[str, Any]

    def pieces(self) -> list[Any]:
        return _json({"name": self.name, "fit": self.fit})

    def apply(self, file: Any) -> None:
        _hdf5.write_fit(file, self.name, self.fit)


@dataclass(frozen=True)
class AttributesRecord:
    """New values of attributes of the root, when the run ends or is resumed. None removes one."""

    kind: ClassVar[int] = 6
    attributes: Mapping[str, Any]

    def pieces(self) -> list[Any]:
        return _json(self.attributes)

    def apply(self, file: Any) -> None:
        _hdf5.set_attributes(file, self.attributes)


def _json(value: Any) -> list[Any]:
    return [json_text("journal", value).encode("ascii")]


# --- from frames to records -------------------------------------------------------------------------------------------


def decoded(frames: Iterable[Frame]) -> Iterator[Record]:
    """Records in the frames of one journal.

    Raises
    ------
    ValueError, KeyError, TypeError
        A frame is whole but was not written by this version of labnis or an earlier one.

    """
    layout: RunLayout | None = None
    for frame in frames:
        if frame.kind == RowsRecord.kind and layout is not None:
            yield _decoded_rows(frame.payload, layout)
            continue
        value = json.loads(frame.payload)
        if frame.kind == HeadRecord.kind:
            layout = layout_from_plain(value["schema"])
            yield HeadRecord(layout, value["attributes"])
        elif layout is None:
            raise ValueError("the journal does not begin with the head of a run")
        elif frame.kind == AxisRecord.kind:
            axis = Axis(**value)
            layout = layout.with_axis(axis)
            yield AxisRecord(layout, axis)
        elif frame.kind == EventRecord.kind:
            yield EventRecord(_events.event_from_plain(value))
        elif frame.kind == FitRecord.kind:
            yield FitRecord(value["name"], value["fit"])
        elif frame.kind == AttributesRecord.kind:
            yield AttributesRecord(value)
        else:
            raise ValueError(f"frame of the unknown kind {frame.kind}; a newer labnis is needed to read it")


def _decoded_rows(payload: bytes, layout: RunLayout) -> RowsRecord:
    first, count, time = _ROWS.unpack_from(payload)
    position = _ROWS.size
    block = {}
    for column in layout.columns:
        trace = layout.trace_shape(column)
        if trace is None:
            raise ValueError(f"rows come before the axes of column {column.name!r}")
        shape = (count, *trace)
        block[column.name] = np.frombuffer(payload, column.stored, math.prod(shape), position).reshape(shape)
        position += math.prod(shape) * column.stored.itemsize
    if position != len(payload):
        raise ValueError(f"a block of {count} rows has {len(payload)} bytes, needed are {position}")
    return RowsRecord(first, time, block)


def coalesced(records: Iterable[Record]) -> Iterator[Record]:
    """The same records with consecutive rows joined into large blocks.

    Events may come before rows that were written earlier; both keep their own order.
    """
    waiting: list[RowsRecord] = []
    size = 0
    for record in records:
        if isinstance(record, RowsRecord):
            waiting.append(record)
            size += record.nbytes
        if waiting and (size > _COALESCED_BYTES or not isinstance(record, RowsRecord | EventRecord)):
            yield _joined(waiting)
            waiting, size = [], 0
        if not isinstance(record, RowsRecord):
            yield record
    if waiting:
        yield _joined(waiting)


def _joined(blocks: list[RowsRecord]) -> RowsRecord:
    if len(blocks) == 1:
        return blocks[0]
    joined = {name: np.concatenate([block.block[name] for block in blocks]) for name in blocks[0].block}
    return RowsRecord(blocks[0].first, blocks[-1].time, joined)


def records_of_file(path: Path) -> Iterator[Record]:
    """Every record of the run in the whole HDF5 file at `path`, for a new journal."""
    with h5py.File(path, "r") as file:
        layout, rows = _hdf5.read_layout(file), int(file["data"].attrs["rows"])
        yield HeadRecord(layout, _hdf5.read_attributes(file))
        for axis in layout.axes.values():
            yield AxisRecord(layout, axis)
        step = max(1, _COALESCED_BYTES // layout.row_bytes)
        for first in range(0, rows, step):
            end = min(rows, first + step)
            yield RowsRecord(first, 0.0, {c.name: file["data"][c.name][first:end] for c in layout.columns})
        for event in _events.load_events(file):
            yield EventRecord(event)
        for name, group in file["fit"].items():
            yield FitRecord(name, _hdf5.read_fit(group))


# --- state of a run by its journal ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class JournalState:
    """State of a run at the end of its journal.

    Attributes
    ----------
    attributes, rows
        Root attributes and number of rows.
    last
        When the last row or event was written (s since 1970).
    damage
        Why the journal ends before its end; empty if it is whole.
    problem
        Why no run can be made of it; empty if one can.

    """

    attributes: dict[str, Any]
    rows: int
    last: float
    damage: str
    problem: str

    @property
    def dead_writer(self) -> Writer | None:
        """The process that wrote the run, if it certainly ended before it could remove the journal.

        Then the HDF5 file may be damaged or lack rows.
        """
        writer = writer_of(self.attributes)
        return writer if writer is not None and writer.is_dead else None


def journal_state(path: Path) -> JournalState:
    """State of the run at `path` by its journal, as far as that can be read, without opening the HDF5 file."""
    reader = JournalReader(journal_path(path))
    attributes: dict[str, Any] = {}
    rows = 0
    last = 0.0
    problem = ""
    try:
        for record in decoded(reader):
            match record:
                case HeadRecord(attributes=values) | AttributesRecord(attributes=values):
                    attributes |= values
                case RowsRecord():
                    rows, last = max(rows, record.first + record.count), record.time
                case EventRecord(event=event):
                    last = max(last, event.time.timestamp())
    except FileNotFoundError:
        problem = "it has no journal"
    except (OSError, ValueError, KeyError, TypeError) as error:
        problem = f"its journal is damaged: {error}"
    else:
        if not attributes:
            problem = f"its journal is damaged: {reader.damage or 'it is empty'}"
    known = {key: value for key, value in attributes.items() if value is not None}
    return JournalState(known, rows, last, reader.damage, problem)
