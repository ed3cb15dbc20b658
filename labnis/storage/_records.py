"""The changes that make up a run. Each has two forms: a frame of the journal, and a change of the HDF5 file.

Everything a writer does is one of these records, written to the journal and then applied to the file. Applying all
records of a journal to an empty file makes the run again.
"""

import math
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from labnis.storage import _events, _hdf5
from labnis.storage._attributes import check_changes, from_attributes, json_text, json_value
from labnis.storage._columns import Axis, RunLayout, layout_from_plain, layout_to_plain
from labnis.storage._events import Event
from labnis.storage._journal import Frame, JournalReader, journal_path
from labnis.storage._metadata import Writer, writer_of
from labnis.storage.errors import DAMAGE, RunFileError

__all__ = [
    "COALESCED_BYTES", "AttributesRecord", "AxisRecord", "EventsRecord", "FitRecord", "HeadRecord", "Record",
    "RowsRecord", "coalesced", "decoded", "journal_state",
]  # fmt: skip

_ROWS = struct.Struct("<QQd")
_LATEST = 2**33  # the year 2242
COALESCED_BYTES = 16 << 20


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
class EventsRecord:
    """A block of entries of `/events`, from number `first` on, and the time of writing (s since 1970).

    The first entry replaces the last one of the run if it is the same event, which happened again.
    """

    kind: ClassVar[int] = 7
    first: int
    time: float
    events: Sequence[Event]

    def pieces(self) -> list[Any]:
        plain = [_events.event_to_plain(event) for event in self.events]
        return _json({"first": self.first, "time": self.time, "events": plain})

    def apply(self, file: Any) -> None:
        _events.write_events(file, self.first, self.events)


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


def decoded(reader: JournalReader) -> Iterator[Record]:
    """Records of a journal, up to the first frame that is damaged or does not continue the run.

    Why it ended there is the reader's `damage` afterwards.

    Raises
    ------
    RunFileError
        The journal has a frame of a newer version.
    OSError
        It cannot be read.

    """
    decoder = _Decoder()
    for number, frame in enumerate(reader):
        if frame.kind not in _KINDS:
            raise RunFileError(f"{reader.path}: frame {number} is of the unknown kind {frame.kind}; use a newer labnis")
        try:
            record = decoder.decode(frame)
        except DAMAGE as error:
            what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            reader.damage = f"frame {number} ({_KINDS[frame.kind]}): {what}"
            return
        yield record


_SINGLE_EVENT = 4  # the form of earlier versions
_KINDS = {
    HeadRecord.kind: "head", AxisRecord.kind: "axis", RowsRecord.kind: "rows", _SINGLE_EVENT: "event",
    FitRecord.kind: "fit", AttributesRecord.kind: "attributes", EventsRecord.kind: "events",
}  # fmt: skip


class _Decoder:
    """Decodes the frames of one journal in order, and checks that each continues the run."""

    def __init__(self) -> None:
        self._layout: RunLayout | None = None
        self._rows = 0
        self._events = 0

    def decode(self, frame: Frame) -> Record:
        """Raise any of DAMAGE where the frame, although its CRC is right, is not what labnis writes."""
        if self._layout is None and frame.kind != HeadRecord.kind:
            raise ValueError("the journal does not begin with the head of a run")
        if self._layout is not None and frame.kind == RowsRecord.kind:
            return self._decode_rows(frame.payload, self._layout)
        value = json_value(frame.payload)
        if not isinstance(value, dict):
            raise TypeError(f"{type(value).__name__} found, a JSON object is needed")
        if self._layout is None:
            self._layout = layout_from_plain(value["schema"])
            from_attributes(value["attributes"])
            return HeadRecord(self._layout, value["attributes"])
        match frame.kind:
            case HeadRecord.kind:
                raise ValueError("the head of a run comes twice")
            case AxisRecord.kind:
                axis = Axis(**value)
                self._layout = self._layout.with_axis(axis)
                return AxisRecord(self._layout, axis)
            case FitRecord.kind:
                _hdf5.check_fit(value["name"], value["fit"])
                return FitRecord(value["name"], value["fit"])
            case AttributesRecord.kind:
                check_changes(value)
                return AttributesRecord(value)
        return self._decode_events(value)

    def _decode_events(self, value: Mapping[str, Any]) -> EventsRecord:
        if "events" not in value:
            event = _events.event_from_plain(value)
            record = EventsRecord(self._events, event.time.timestamp(), [event])
        else:
            events = [_events.event_from_plain(plain) for plain in value["events"]]
            record = EventsRecord(value["first"], _checked_seconds(value["time"]), events)
        # The last entry may be replaced, when it happens again.
        _check_continues("events", record.first, self._events, again=1)
        self._events = record.first + len(record.events)
        return record

    def _decode_rows(self, payload: bytes, layout: RunLayout) -> RowsRecord:
        first, count, seconds = _ROWS.unpack_from(payload)
        _check_continues("rows", first, self._rows)
        shapes = {column: layout.trace_shape(column) for column in layout.columns}
        if late := [column.name for column, trace in shapes.items() if trace is None]:
            raise ValueError(f"rows come before the axes of column {late[0]!r}")
        needed = _ROWS.size + count * layout.row_bytes
        if count == 0 or len(payload) != needed:
            raise ValueError(f"a block of {count} rows has {len(payload)} bytes, needed are {needed}")
        position = _ROWS.size
        block = {}
        for column, trace in shapes.items():
            values = np.frombuffer(payload, column.stored, count * math.prod(trace or ()), position)
            block[column.name] = values.reshape(count, *(trace or ()))
            position += values.nbytes
        self._rows += count
        return RowsRecord(first, _checked_seconds(seconds), block)


def _check_continues(what: str, first: Any, known: int, *, again: int = 0) -> None:
    """Check that a block of rows or events begins where the one before it ended, or `again` entries earlier."""
    if not isinstance(first, int) or first < 0:
        raise TypeError(f"the number of the first one is {first!r}; a whole number is needed")
    if first > known:
        raise ValueError(f"{what} {known} to {first - 1} are missing")
    if first < max(0, known - again):
        raise ValueError(f"{what} {first} to {known - 1} come twice")


def _checked_seconds(value: Any) -> float:
    """Check a time in seconds since 1970."""
    if not isinstance(value, int | float) or not 0 <= value < _LATEST:
        raise ValueError(f"{value!r} is not a time of writing in seconds since 1970")
    return float(value)


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
        if waiting and (size > COALESCED_BYTES or not isinstance(record, RowsRecord | EventsRecord)):
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
                    rows += record.count
            if isinstance(record, RowsRecord | EventsRecord):
                last = max(last, record.time)
    except FileNotFoundError:
        problem = "it has no journal"
    except (OSError, RunFileError) as error:
        problem = f"its journal is damaged: {error}"
    else:
        if not attributes:
            problem = f"its journal is damaged: {reader.damage or 'it is empty'}"
    known = {key: value for key, value in attributes.items() if value is not None}
    return JournalState(known, rows, last, reader.damage, problem)
