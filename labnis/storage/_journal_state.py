"""How a run stands at the end of its journal, without opening its HDF5 file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labnis.storage._journal import JournalReader, journal_path
from labnis.storage._process import Writer, writer_of
from labnis.storage._records import Change, Happening, Head, Rows, decoded
from labnis.storage.errors import RunFileError

__all__ = ["JournalState", "dead_writer_of", "journal_state"]


@dataclass(frozen=True)
class JournalState:
    """How a run stands at the end of its journal: root attributes, rows, when the last were written (s since 1970)."""

    attributes: dict[str, Any]
    rows: int
    last: float
    events: int
    damage: str


def journal_state(path: Path) -> JournalState:
    """Read the journal of the run at `path`.

    Raises
    ------
    RunFileError
        It cannot be read, or holds nothing that could be a run.

    """
    reader = JournalReader(journal_path(path))
    attributes: dict[str, Any] = {}
    rows = events = 0
    last = 0.0
    try:
        for record in decoded(reader):
            match record:
                case Head(attributes=values) | Change(attributes=values):
                    attributes |= values
                case Rows():
                    rows, last = max(rows, record.first + record.count), record.time
                case Happening(event=event):
                    events, last = events + 1, max(last, event.time.timestamp())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunFileError(f"{reader.path}: cannot be read as the journal of a run: {error}") from error
    if not attributes:
        raise RunFileError(f"{reader.path}: no run can be made of it: {reader.damage or 'it is empty'}")
    return JournalState({k: v for k, v in attributes.items() if v is not None}, rows, last, events, reader.damage)


def dead_writer_of(path: Path) -> Writer | None:
    """The process that wrote the run at `path` and surely died before it could remove the run's journal, if so.

    Then the HDF5 file may be behind or damaged.
    """
    attributes: dict[str, Any] = {}
    try:
        for record in decoded(JournalReader(journal_path(path))):
            if isinstance(record, Head | Change):
                attributes |= record.attributes
    except (OSError, ValueError, KeyError, TypeError):
        # The journal is damaged, or its writer has just removed it: what it said until there is all there is.
        pass
    writer = writer_of(attributes)
    return writer if writer is not None and writer.is_dead else None
