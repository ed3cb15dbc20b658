"""A run in its two forms, kept in step: the journal, which is the truth, and the HDF5 file, which everybody reads."""

import contextlib
import errno
import os
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from labnis.storage import _disk
from labnis.storage._journal import Journal, JournalReader, journal_path
from labnis.storage._records import AxisValues, Record, Rows, coalesced, decoded
from labnis.storage._staging import changed_file, making_path, replaced_file
from labnis.storage.errors import DiskSpaceError, RunFileError

__all__ = ["RunFile", "build_file"]

# A file is built in rounds of about this size, each of which lies in memory once; what a record without rows counts.
_ROUND_BYTES = 32 << 20
_OTHER_BYTES = 1 << 12


class RunFile:
    """Both forms of one run, open for writing.

    A record goes to the journal first and is then safe; afterwards the HDF5 file follows. If it cannot follow,
    the record is kept and applied with the next ones.

    Parameters
    ----------
    path
        The HDF5 file.
    journal
        The run's journal.

    """

    def __init__(self, path: Path, journal: Journal) -> None:
        self.path = path
        self._journal = journal
        self._behind: list[Record] = []
        # Apart, so that rows get safe in one thread while the HDF5 file follows in another.
        self._journal_lock = threading.RLock()
        self._show_lock = threading.RLock()
        self._rescue: Path | None = None

    @classmethod
    def create(cls, path: Path, records: Sequence[Record]) -> "RunFile":
        """Make both files of a new run, on disk with their names when this returns.

        The HDF5 file gets its name only when it is complete: nobody ever finds half of one, whenever this is killed.

        Raises
        ------
        RunFileError
            One of them exists already, or cannot be written. Nothing is left then.

        """
        making = making_path(path)
        try:
            if path.exists():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
            missing = _missing_folders(path.parent)
            path.parent.mkdir(parents=True, exist_ok=True)
            journal = Journal(journal_path(path))
        except OSError as error:
            raise _disk.failed(f"{path}: cannot be created", error) from error
        try:
            run = cls(path, journal)
            run._write_journal(records)
            with changed_file(making, create=True) as file:
                for record in records:
                    record.apply(file)
            _disk.replace(making, path)
            for folder in missing:
                _disk.sync_folder(folder)
        except BaseException as error:
            journal.discard()
            making.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise _disk.failed(f"{path}: cannot be created", error) from error
            raise
        return run

    @classmethod
    def reopen(cls, path: Path, records: Iterable[Record]) -> "RunFile":
        """Make a new journal, with `records`, for a whole HDF5 file that has none, to go on with the run.

        Raises
        ------
        RunFileError
            The journal cannot be written.

        """
        # Under its own name only when it is complete: half a journal would look like a run that lost its end.
        making = journal_path(path).with_suffix(".making")
        try:
            making.unlink(missing_ok=True)
            journal = Journal(making)
        except OSError as error:
            raise _disk.failed(f"{making}: cannot be created", error) from error
        try:
            for record in records:
                journal.append(record.kind, *record.pieces())
            journal.sync()
            journal.move(journal_path(path))
            _disk.sync_folder(path.parent)
        except BaseException as error:
            journal.discard()
            if isinstance(error, OSError):
                raise _disk.failed(f"{making}: cannot be written", error) from error
            raise
        return cls(path, journal)

    @property
    def rescue(self) -> Path | None:
        """Folder of the rescue copy that took over; None while the run is where it should be."""
        return self._rescue

    @property
    def bytes_behind(self) -> int:
        """Memory of the rows that wait for the HDF5 file."""
        return sum(record.nbytes for record in list(self._behind) if isinstance(record, Rows))

    @property
    def full(self) -> OSError | None:
        """The disk's refusal to give more room, if it did; what was recorded is safe all the same."""
        return self._journal.full

    def record(self, records: Sequence[Record]) -> None:
        """Write records to the journal: when this returns they are safe from a power cut.

        Where the journal cannot be written, or its folder is gone, a copy elsewhere takes over.

        Raises
        ------
        RunFileError
            They could not be written anywhere. They are not kept.

        """
        if not records:
            return
        with self._journal_lock:
            try:
                if not self._journal.is_in_place:
                    raise FileNotFoundError(f"{self._journal.path} is gone")
                self._write_journal(records)
            except OSError as error:
                self._write_elsewhere(records, error)
            self._behind.extend(records)

    def show(self) -> None:
        """Bring the HDF5 file up to what was recorded.

        Raises
        ------
        RunFileError
            It cannot be written. It is tried again with the next call; what was recorded is safe.

        """
        try:
            try:
                self._apply_behind()
            except DiskSpaceError:
                # The journal has taken its room ahead: give that to the HDF5 file.
                with self._journal_lock, contextlib.suppress(OSError):
                    self._journal.release()
                self._apply_behind()
        except RunFileError as error:
            raise type(error)(f"{error} {self._where()}") from error

    def close(self) -> None:
        """Bring the HDF5 file up to date for the last time and remove the journal, which has nothing to add then.

        Raises
        ------
        RunFileError
            The HDF5 file cannot be written. Then there is a rescue copy, if that can be written; the error names it.
            `close` may be called again.

        """
        try:
            self.show()
        except RunFileError as error:
            raise type(error)(f"{error} {self._rescued()}") from error
        try:
            self._journal.discard()
        except OSError as error:
            raise _disk.failed(f"{self._journal.path}: cannot be removed; the run itself is complete", error) from error

    def _apply_behind(self) -> None:
        with self._show_lock:
            records = list(self._behind)
            if not records:
                return
            # New columns are many small pieces that make no sense one by one; they come before the first row.
            new_columns = any(isinstance(record, AxisValues) for record in records)
            with replaced_file(self.path) if new_columns else changed_file(self.path) as file:
                for record in coalesced(records):
                    record.apply(file)
            del self._behind[: len(records)]

    def _write_journal(self, records: Sequence[Record]) -> None:
        mark = self._journal.mark()
        try:
            for record in records:
                self._journal.append(record.kind, *record.pieces())
            self._journal.sync()
        except OSError:
            self._journal.back_to(mark)
            raise

    def _write_elsewhere(self, records: Sequence[Record], cause: OSError) -> None:
        """Go on with a copy of the journal in the machine's temporary folder."""
        try:
            folder = Path(tempfile.mkdtemp(prefix=f"labnis-rescue-{self.path.stem}-"))
            self._journal = self._journal.copied_to(folder / self._journal.path.name)
            self._rescue = folder
            self._write_journal(records)
        except OSError as error:
            what = f"{self.path}: cannot be written: {cause}. Neither can a rescue copy in {tempfile.gettempdir()}"
            raise _disk.failed(what, error) from cause

    def _where(self) -> str:
        if self._rescue is not None:
            return f"All rows are kept in the rescue copy {self._journal.path}."
        return f"All rows are kept in {self._journal.path}: once the cause is gone, run `labnis recover {self.path}`."

    def _rescued(self) -> str:
        """Build an HDF5 file of the whole run elsewhere and say where."""
        try:
            if self._rescue is None:
                folder = Path(tempfile.mkdtemp(prefix=f"labnis-rescue-{self.path.stem}-"))
            else:
                folder = self._rescue
            copy = folder / self.path.name
            copy.unlink(missing_ok=True)
            build_file(JournalReader(self._journal.path), copy)
        except (OSError, RunFileError) as error:
            return f"A rescue copy as HDF5 could not be written either: {error}"
        return f"Rescue copy of the whole run: {copy}"


def build_file(reader: JournalReader, path: Path) -> None:
    """Make a new HDF5 file of all whole frames of a journal, on disk when this returns.

    Raises
    ------
    RunFileError
        The file cannot be written, or the journal holds nothing that could be a run.

    """
    rounds = _rounds(coalesced(decoded(reader)))
    try:
        first = next(rounds, None)
        if first is None:
            raise RunFileError(f"{reader.path}: no run can be made of it: {reader.damage or 'it is empty'}")
        with changed_file(path, create=True) as file:
            for record in first:
                record.apply(file)
        for records in rounds:
            with changed_file(path) as file:
                for record in records:
                    record.apply(file)
        _disk.sync_folder(path.parent)
    except (ValueError, KeyError, TypeError) as error:
        raise RunFileError(f"{reader.path}: no run can be made of it: {error}") from error
    except OSError as error:
        raise _disk.failed(f"{path}: cannot be made of {reader.path}", error) from error


def _rounds(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Records in lists that each fit into memory."""
    gathered: list[Record] = []
    size = 0
    for record in records:
        gathered.append(record)
        size += record.nbytes if isinstance(record, Rows) else _OTHER_BYTES
        if size > _ROUND_BYTES:
            yield gathered
            gathered, size = [], 0
    if gathered:
        yield gathered


def _missing_folders(folder: Path) -> list[Path]:
    """Folders in which a name appears when `folder` is made."""
    return [parent.parent for parent in (folder, *folder.parents) if not parent.exists()]
