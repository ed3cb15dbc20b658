"""A run in its two forms: the journal, which is authoritative, and the HDF5 file for readers."""

import contextlib
import errno
import io
import math
import os
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py

from labnis.printable import sentence
from labnis.storage import _disk
from labnis.storage._attributes import SCHEMA_VERSION, read_attributes
from labnis.storage._columns import Column, RunLayout
from labnis.storage._disk import changed_file, making_path, replaced_file
from labnis.storage._events import load_events
from labnis.storage._hdf5 import (
    CHUNK_BYTES,
    check_links,
    members,
    read_file_metadata,
    read_fit,
    read_layout,
    row_count,
)  # fmt: skip
from labnis.storage._journal import RESERVE_BYTES, STEP_BYTES, Journal, JournalReader, journal_path
from labnis.storage._records import (
    COALESCED_BYTES,
    AxisRecord,
    EventsRecord,
    FitRecord,
    HeadRecord,
    Record,
    RowsRecord,
    coalesced,
    decoded,
)  # fmt: skip
from labnis.storage.errors import DAMAGE, DiskSpaceError, RunFileError, RunInUseError

__all__ = ["RunFile", "build_file", "estimate_bytes", "file_in_memory", "resumable"]

# A file is built in steps of about this size, each of which is in memory once; size assumed of a record without rows.
_STEP_BYTES = 32 << 20
_OTHER_BYTES = 1 << 12
# Attributes, station snapshot, events, fits and HDF5's own tables.
_BASE_BYTES = 1 << 20


class RunFile:
    """Both forms of one run, open for writing.

    A record is safe in the journal; the HDF5 file follows. If it cannot be written, the record is kept for later.

    Attributes
    ----------
    path
        The HDF5 file.
    rescue
        Folder of the rescue copy, if the run's own folder cannot be written any more.

    """

    def __init__(self, path: Path, journal: Journal) -> None:
        self.path = path
        self._journal = journal
        self._pending: list[Record] = []
        # Two locks, so that rows become safe in one thread while another writes the HDF5 file.
        self._journal_lock = threading.RLock()
        self._hdf5_lock = threading.RLock()
        self.rescue: Path | None = None

    @classmethod
    def create(cls, path: Path, records: Sequence[Record]) -> "RunFile":
        """Make both files of a new run; they and their names are on the disk when this returns.

        The HDF5 file gets its name when it is complete, so that a kill never leaves an incomplete one.

        Raises
        ------
        RunFileError
            One of them exists already, or cannot be written. Nothing is left then.

        """
        with _creating(path):
            if path.exists():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
            missing = [folder.parent for folder in path.parents if not folder.exists()]
            path.parent.mkdir(parents=True, exist_ok=True)
            journal = Journal(journal_path(path))
        making = making_path(path)
        with _creating(path, journal):
            journal.append(_frames(records))
            try:
                with changed_file(making, create=True) as file:
                    for record in records:
                        record.apply(file)
                _disk.replace(making, path)
            finally:
                making.unlink(missing_ok=True)
            for folder in missing:
                _disk.sync_folder(folder)
        return cls(path, journal)

    @classmethod
    def reopen(cls, path: Path, records: Iterable[Record]) -> "RunFile":
        """Make a new journal, with `records`, for a whole HDF5 file that has none, to resume the run.

        Raises
        ------
        RunFileError
            The journal cannot be written.

        """
        # It gets its name when it is complete: an incomplete journal would look like a run that lost its end.
        making = journal_path(path).with_suffix(".making")
        with _creating(making):
            making.unlink(missing_ok=True)
            journal = Journal(making)
        with _creating(making, journal):
            journal.append(_frames(records))
            journal.move(journal_path(path))
            _disk.sync_folder(path.parent)
        return cls(path, journal)

    @property
    def pending_bytes(self) -> int:
        """Size of the rows that are not in the HDF5 file yet."""
        return sum(record.nbytes for record in list(self._pending) if isinstance(record, RowsRecord))

    @property
    def full(self) -> DiskSpaceError | None:
        """Error if all records are safe so far, but the disk has no space for many more."""
        full = self._journal.full
        if full is None:
            return None
        return DiskSpaceError(f"{self.path}: the disk is full: {sentence(full)} The rows so far are kept; make room.")

    def record(self, records: Sequence[Record]) -> None:
        """Write records to the journal: when this returns they are safe from a power cut.

        Where the journal cannot be written, or its folder is gone, a rescue copy elsewhere replaces it.

        Raises
        ------
        RunFileError
            They could not be written anywhere and are lost.

        """
        if not records:
            return
        with self._journal_lock:
            try:
                if not self._journal.is_in_place:
                    raise FileNotFoundError(f"{self._journal.path} is gone")
                self._journal.append(_frames(records))
            except OSError as error:
                self._write_elsewhere(records, error)
            self._pending.extend(records)

    def update(self) -> None:
        """Write all records to the HDF5 file.

        Raises
        ------
        RunFileError
            It cannot be written. The next call tries again; the records are safe.

        """
        try:
            try:
                self._apply_pending()
            except DiskSpaceError:
                # The space reserved for the journal may be enough for the HDF5 file.
                with self._journal_lock, contextlib.suppress(OSError):
                    self._journal.release()
                self._apply_pending()
        except RunFileError as error:
            saved = (
                f"All rows are kept in {self._journal.path}: when it can be written again, run "
                f"`labnis recover {self.path}`."
            )
            if self.rescue is not None:
                saved = f"All rows are kept in the rescue copy {self._journal.path}."
            raise type(error)(f"{error} {saved}") from error

    def close(self) -> None:
        """Update the HDF5 file and remove the journal.

        Raises
        ------
        RunFileError
            The HDF5 file cannot be written. The error names the rescue copy that was made, if that was possible.
            `close` may be called again.

        """
        try:
            self.update()
        except RunFileError as error:
            raise type(error)(f"{error} {self._rebuilt(self._journal, self.rescue)}") from error
        try:
            self._journal.discard()
        except OSError as error:
            raise _disk.failed(f"{self._journal.path}: cannot be removed; the run itself is complete", error) from error

    def _apply_pending(self) -> None:
        with self._hdf5_lock:
            records = list(self._pending)
            if not records:
                return
            # New columns are many small pieces, useless one by one; they come before the first row, in a small file.
            new_columns = any(isinstance(record, AxisRecord) for record in records)
            with replaced_file(self.path) if new_columns else changed_file(self.path) as file:
                for record in coalesced(records):
                    record.apply(file)
            del self._pending[: len(records)]

    def _write_elsewhere(self, records: Sequence[Record], cause: OSError) -> None:
        """Continue with a copy of the journal in the computer's temporary folder."""
        try:
            folder = self._new_rescue_folder()
            self._journal = self._journal.copied_to(folder / self._journal.path.name)
            self.rescue = folder
            self._journal.append(_frames(records))
        except OSError as error:
            what = f"{self.path}: cannot be written: {sentence(cause)}"
            what += f" Neither can a rescue copy in {tempfile.gettempdir()}"
            raise _disk.failed(what, error) from cause

    def rescued_elsewhere(self, records: Sequence[Record]) -> str:
        """Save what the disk has confirmed, and `records`, without waiting for locks or that disk; a sentence."""
        try:
            folder = self._new_rescue_folder()
            journal = self._journal.durable_copy(folder / self._journal.path.name)
            journal.append(_frames(records))
        except OSError as error:
            return f"A rescue copy could not be written either: {error}"
        return self._rebuilt(journal, folder)

    def _rebuilt(self, journal: Journal, folder: Path | None) -> str:
        """Build an HDF5 file of the whole run in a rescue folder; return a sentence with its path."""
        try:
            copy = (folder or self._new_rescue_folder()) / self.path.name
            copy.unlink(missing_ok=True)
            build_file(JournalReader(journal.path), copy)
        except (OSError, RunFileError) as error:
            return f"A rescue copy as HDF5 could not be written either: {error}"
        return f"Rescue copy of the whole run: {copy}"

    def _new_rescue_folder(self) -> Path:
        return Path(tempfile.mkdtemp(prefix=f"labnis-rescue-{self.path.stem}-"))


def _frames(records: Iterable[Record]) -> Iterator[tuple[int, list[Any]]]:
    return ((record.kind, record.pieces()) for record in records)


@contextlib.contextmanager
def _creating(path: Path, journal: Journal | None = None) -> Iterator[None]:
    """Turn errors of the disk into RunFileErrors, and remove the new journal after any error."""
    try:
        yield
    except BaseException as error:
        if journal is not None:
            journal.discard()
        if isinstance(error, OSError):
            raise _disk.failed(f"{path}: cannot be created", error) from error
        raise


def build_file(reader: JournalReader, path: Path) -> None:
    """Make a new HDF5 file of all whole frames of a journal; it is on the disk when this returns.

    Raises
    ------
    RunFileError
        The file cannot be written, or the journal is not that of a run.

    """
    try:
        empty = True
        for records in _steps(coalesced(decoded(reader))):
            with changed_file(path, create=empty) as file:
                for record in records:
                    record.apply(file)
            empty = False
        if empty:
            raise RunFileError(f"{reader.path}: no run can be made of it: {reader.damage or 'it is empty'}")
        _disk.sync_folder(path.parent)
    except OSError as error:
        raise _disk.failed(f"{path}: cannot be made of {reader.path}", error) from error
    except DAMAGE as error:
        raise RunFileError(f"{reader.path}: no run can be made of it: {error}") from error


@contextlib.contextmanager
def file_in_memory(path: Path) -> Iterator[Any]:
    """Open a copy of the run at `path`, made in memory of its journal.

    Raises
    ------
    RunFileError
        The journal is not that of a run.

    """
    journal = journal_path(path)
    with h5py.File(io.BytesIO(), "w") as file:
        try:
            for record in coalesced(decoded(JournalReader(journal))):
                record.apply(file)
        except DAMAGE as error:
            raise RunFileError(f"{journal}: no run can be made of it: {error}") from error
        yield file


def _steps(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Records in lists that each fit into memory."""
    step: list[Record] = []
    size = 0
    for record in records:
        step.append(record)
        size += record.nbytes if isinstance(record, RowsRecord) else _OTHER_BYTES
        if size > _STEP_BYTES:
            yield step
            step, size = [], 0
    if step:
        yield step


def records_of_file(path: Path) -> Iterator[Record]:
    """Every record of the run in the whole HDF5 file at `path`, for a new journal."""
    with h5py.File(path, "r") as file:
        layout, rows = read_layout(file), row_count(file)
        yield HeadRecord(layout, read_attributes(file))
        for axis in layout.axes.values():
            yield AxisRecord(layout, axis)
        step = max(1, COALESCED_BYTES // layout.row_bytes)
        for first in range(0, rows, step):
            end = min(rows, first + step)
            yield RowsRecord(first, 0.0, {c.name: file["data"][c.name][first:end] for c in layout.columns})
        if events := load_events(file):
            yield EventsRecord(0, 0.0, events)
        for name, group in members(file["fit"]).items():
            yield FitRecord(name, read_fit(group))


def resumable(path: Path) -> tuple[dict[str, Any], RunLayout, int, Iterator[Record]]:
    """Read what is needed to continue a recovered run.

    Returns
    -------
    metadata, layout, events, records
        Metadata as of `read_metadata`; layout; number of entries of `/events`; every record of the run, for a new
        journal.

    Raises
    ------
    RunInUseError
        A process began to write it after it was recovered.
    RunFileError
        It is complete, or it cannot be read.

    """
    if journal_path(path).exists():
        raise RunInUseError(f"{path}: another process began to write this run. Nothing was changed.")
    try:
        with h5py.File(path, "r") as file:
            check_links(file)
            known = read_file_metadata(file)
            if known["status"] == "done":
                raise RunFileError(f"{path}: the run is complete and cannot be resumed. Start a new one.")
            if known["schema_version"] != SCHEMA_VERSION:
                raise RunFileError(f"{path}: written by an earlier version of labnis, whose runs cannot be resumed")
            return known, read_layout(file), len(load_events(file)), records_of_file(path)
    except DAMAGE as error:
        raise RunFileError(f"{path}: cannot be read as a run: {error}") from error


def estimate_bytes(columns: Iterable[Column], lengths: Mapping[str, int], rows: int) -> int:
    """Largest size (bytes) of a run while it is measured: HDF5 file and journal; about half remains afterwards.

    Parameters
    ----------
    columns
        The run's columns.
    lengths
        Number of points of each axis.
    rows
        Number of planned rows.

    """
    columns = RunLayout(columns).columns
    sizes = [c.stored.itemsize * math.prod(lengths[axis] for axis in c.axes) for c in columns]
    data = rows * sum(sizes)
    chunks = sum(max(CHUNK_BYTES, size) for size in sizes)
    return 2 * (data + _BASE_BYTES) + chunks + RESERVE_BYTES + STEP_BYTES + 2 * sum(sizes)
