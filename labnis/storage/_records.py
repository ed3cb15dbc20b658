"""The changes that make up a run. Each has two forms: a frame of the journal, and what it does to the HDF5 file.

Whatever a writer does is one of these records, written to the journal and then applied to the file. So applying
all records of a journal to an empty file gives the run again.
"""

import json
import math
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from labnis.storage import _events, _layout
from labnis.storage._columns import Axis, RunLayout, layout_from_plain, layout_to_plain
from labnis.storage._events import Event
from labnis.storage._journal import Frame
from labnis.storage._json import json_text

__all__ = ["AxisValues", "Change", "Fit", "Happening", "Head", "Record", "Rows", "coalesced", "decoded"]

_ROWS = struct.Struct("<QQd")
_COALESCED_BYTES = 16 << 20


class Record(Protocol):
    """One change of a run."""

    kind: ClassVar[int]

    def pieces(self) -> list[Any]:
        """Its bytes in the journal."""

    def apply(self, file: Any) -> None:
        """Make it in the open HDF5 file."""


@dataclass(frozen=True)
class Head:
    """The beginning of a run: its columns, and the attributes of the root."""

    kind: ClassVar[int] = 1
    layout: RunLayout
    attributes: Mapping[str, Any]

    def pieces(self) -> list[Any]:
        return _json({"schema": layout_to_plain(self.layout), "attributes": self.attributes})

    def apply(self, file: Any) -> None:
        _layout.create_run(file, self.layout, self.attributes)
        _events.create_events(file)


@dataclass(frozen=True)
class AxisValues:
    """The values of one axis become known."""

    kind: ClassVar[int] = 2
    layout: RunLayout
    axis: Axis

    def pieces(self) -> list[Any]:
        axis = self.axis
        return _json({"name": axis.name, "unit": axis.unit, "long_name": axis.long_name, "values": axis.values})

    def apply(self, file: Any) -> None:
        _layout.create_axis(file, self.layout, self.axis)


@dataclass(frozen=True)
class Rows:
    """A block of rows: the index of the first, when they were written (s since 1970), an array for each column."""

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
        _layout.append_block(file, self.first, self.block)


@dataclass(frozen=True)
class Happening:
    """An event."""

    kind: ClassVar[int] = 4
    event: Event

    def pieces(self) -> list[Any]:
        return _json(_events.event_to_record(self.event))

    def apply(self, file: Any) -> None:
        _events.append_event(file, self.event)


@dataclass(frozen=True)
class Fit:
    """A fit made or made anew."""

    kind: ClassVar[int] = 5
    name: str
    fit: Mapping[str, Any]

    def pieces(self) -> list[Any]:
        return _json({"name": self.name, "fit": self.fit})

    def apply(self, file: Any) -> None:
        _layout.write_fit(file, self.name, self.fit)


@dataclass(frozen=True)
class Change:
    """Attributes of the root get new values: the end of the run, its resumption. None takes one away."""

    kind: ClassVar[int] = 6
    attributes: Mapping[str, Any]

    def pieces(self) -> list[Any]:
        return _json(self.attributes)

    def apply(self, file: Any) -> None:
        _layout.set_attributes(file, self.attributes)


def _json(value: Any) -> list[Any]:
    return [json_text("journal", value).encode("ascii")]


def decoded(frames: Iterable[Frame]) -> Iterator[Record]:
    """Turn the frames of one journal back into records.

    Raises
    ------
    ValueError, KeyError, TypeError
        A frame is whole but is nothing that this version of labnis writes.

    """
    layout: RunLayout | None = None
    for frame in frames:
        if frame.kind == Rows.kind and layout is not None:
            yield _decoded_rows(frame.payload, layout)
            continue
        value = json.loads(frame.payload)
        if frame.kind == Head.kind:
            layout = layout_from_plain(value["schema"])
            yield Head(layout, value["attributes"])
        elif layout is None:
            raise ValueError("the journal does not begin with the head of a run")
        elif frame.kind == AxisValues.kind:
            axis = Axis(**value)
            layout = layout.with_axis(axis)
            yield AxisValues(layout, axis)
        elif frame.kind == Happening.kind:
            yield Happening(_events.event_from_record(value))
        elif frame.kind == Fit.kind:
            yield Fit(value["name"], value["fit"])
        elif frame.kind == Change.kind:
            yield Change(value)
        else:
            raise ValueError(f"frame of the unknown kind {frame.kind}; it takes a newer labnis to read it")


def _decoded_rows(payload: bytes, layout: RunLayout) -> Rows:
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
    return Rows(first, time, block)


def coalesced(records: Iterable[Record]) -> Iterator[Record]:
    """The same records with rows that follow each other joined into large blocks.

    An event may be passed by the rows around it: both keep their own order.
    """
    waiting: list[Rows] = []
    size = 0
    for record in records:
        if isinstance(record, Rows):
            waiting.append(record)
            size += record.nbytes
        if waiting and (size > _COALESCED_BYTES or not isinstance(record, Rows | Happening)):
            yield _joined(waiting)
            waiting, size = [], 0
        if not isinstance(record, Rows):
            yield record
    if waiting:
        yield _joined(waiting)


def _joined(blocks: list[Rows]) -> Rows:
    if len(blocks) == 1:
        return blocks[0]
    names = blocks[0].block
    joined = {name: np.concatenate([block.block[name] for block in blocks]) for name in names}
    return Rows(blocks[0].first, blocks[-1].time, joined)
