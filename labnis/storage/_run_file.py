"""A run in its two forms: the journal, which is authoritative, and the HDF5 file for readers."""

import contextlib
import errno
import io
import os
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py

from labnis.storage import _disk
from labnis.storage._disk import changed_file, making_path, replaced_file
from labnis.storage._journal import Journal, JournalReader, journal_path
from labnis.storage._records import AxisRecord, Record, RowsRecord, coalesced, decoded
from labnis.storage.errors import DAMAGE, DiskSpaceError, RunFileError

__all__ = ["RunFile", "build_file", "file_in_memory"]

# A file is built in steps of about this size, each of which is in memory once; size assumed of a record without rows.
_STEP_BYTES = 32 << 20
_OTHER_BYTES = 1 << 12


class RunFile:
    """Both forms of one run, open for writing.

    A record is written to the journal first and is then safe; the HDF5 file follows. If it cannot be written, the
    record is kept and applied with the next ones.

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
        return DiskSpaceError(f"{self.path}: the disk is full: {full}. The rows so far are kept; make room.")

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
            raise type(error)(f"{error} {self._rescued()}") from error
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
            what = f"{self.path}: cannot be written: {cause}. Neither can a rescue copy in {tempfile.gettempdir()}"
            raise _disk.failed(what, error) from cause

    def _rescued(self) -> str:
        """Build an HDF5 file of the whole run in the rescue folder; return a sentence with its path."""
        try:
            copy = (self.rescue or self._new_rescue_folder()) / self.path.name
            copy.unlink(missing_ok=True)
            build_file(JournalReader(self._journal.path), copy)
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
