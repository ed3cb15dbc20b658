"""Repair a run that was killed or whose file is damaged, and read what is needed to resume one."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import h5py

from labnis.storage import _disk
from labnis.storage._checking import IntegrityReport, check, examine
from labnis.storage._columns import RunLayout
from labnis.storage._disk import changed_file, making_path
from labnis.storage._events import load_events
from labnis.storage._hdf5 import read_layout
from labnis.storage._host import writer_of
from labnis.storage._journal import JournalReader, journal_path
from labnis.storage._links import check_links
from labnis.storage._metadata import SCHEMA_VERSION, ending, read_file_metadata
from labnis.storage._records import AttributesRecord, Record, journal_state, records_of_file
from labnis.storage._run_file import build_file
from labnis.storage.errors import DAMAGE, RunFileError, RunInUseError

__all__ = ["RecoveryReport", "recover", "resumable"]

DIED = "the process ended without closing the run"


@dataclass(frozen=True)
class RecoveryReport:
    """Report of `recover`.

    Attributes
    ----------
    path
        The run's file.
    problem
        Problem of the file; empty if it was intact, and then nothing was changed.
    done
        Actions, one sentence each.
    rows, status, reason
        State of the run now.
    damaged
        Path of the damaged original; None if it was not damaged.
    lost
        Data that could not be recovered, as far as known; empty if none.

    """

    path: Path
    problem: str
    done: tuple[str, ...]
    rows: int
    status: str
    reason: str
    damaged: Path | None = None
    lost: str = ""


def recover(path: Path | str, *, writer_is_gone: bool = False) -> RecoveryReport:
    """Repair the run at `path`: complete it from its journal, and set its status to "failed" if its process died.

    An intact file is not changed. A file that may be damaged is rebuilt from the journal; a damaged one is
    saved beside the new one as `<name>.damaged`. Ends within 10 s, plus the time for reading and writing more than a
    gigabyte.

    Parameters
    ----------
    path
        The run's file; it may be missing if its journal is there.
    writer_is_gone
        No process writes the run, even if this computer cannot check it.

    Raises
    ------
    RunInUseError
        A process writes the run, or one on another computer may.
    RunFileError
        There is no such run; or it is damaged and has no journal, and was not changed; or the disk fails.

    """
    path = Path(path).resolve()
    journal = journal_path(path)
    state = journal_state(path)
    if state.problem:
        return _without_journal(path, state.problem, writer_is_gone=writer_is_gone)
    _check_gone(path, state.attributes, writer_is_gone=writer_is_gone)
    making = making_path(path)
    done: list[str] = []
    damaged = None
    lost = f"what followed the damage of the journal ({state.damage})" if state.damage else ""
    try:
        making.unlink(missing_ok=True)
        build_file(JournalReader(journal), making)
        # A damaged journal may lack rows of the file, so a busy computer must not make that look damaged.
        found = check(path, making, patience=20 if state.damage else 2) if path.exists() else None
        if found is not None and found.has_more:
            making.unlink()
            problem, lost = f"its journal is damaged ({state.damage or 'it lacks what the file has'})", ""
            done.append("The file is whole and has more than the journal, which was put aside.")
            now = _closed(path, state.last, done)
        else:
            problem = _problem(found)
            # Also if the file can be read: after a power cut, writing to it may still fail.
            damaged, now = _replaced(path, state.last, done, keep=found is not None and bool(found.problem))
        _retire(journal, keep=bool(state.damage))
    except OSError as error:
        raise RunFileError(f"{path}: cannot be recovered: {error}. Nothing was removed.") from error
    return RecoveryReport(path, problem, tuple(done), *now, damaged, lost)


def _problem(found: IntegrityReport | None) -> str:
    if found is None:
        return "the file is missing"
    return f"the file is damaged ({found.problem})" if found.problem else "the run was not closed"


def _without_journal(path: Path, why: str, *, writer_is_gone: bool) -> RecoveryReport:
    """Recover a run whose journal is not readable or missing, because it was closed or is of version 1."""
    journal = journal_path(path)
    unreadable = journal.exists()
    if not path.is_file():
        raise RunFileError(f"{path}: there is no such file, and {why}")
    # There is nothing to rebuild it from, so a busy computer must not make it look damaged.
    found = check(path, patience=20)
    if found.problem:
        raise RunFileError(
            f"{path}: damaged ({found.problem}), and it cannot be rebuilt: {why}. Nothing was changed. Look "
            "for a backup; `h5dump` may still show parts of it."
        )
    with h5py.File(path, "r") as file:
        known = read_file_metadata(file)
    if known["status"] != "running" and not unreadable:
        return RecoveryReport(path, "", (), known["rows"], known["status"], known["reason"])
    _check_gone(path, known, writer_is_gone=writer_is_gone)
    done = ["The file is whole; the unreadable journal was put aside."] if unreadable else []
    now = _closed(path, path.stat().st_mtime, done)
    if unreadable:
        _retire(journal, keep=True)
    return RecoveryReport(path, why if unreadable else "the run was not closed", tuple(done), *now)


def _check_gone(path: Path, attributes: dict[str, object], *, writer_is_gone: bool) -> None:
    writer = writer_of(attributes)
    if writer_is_gone or writer is None or writer.is_dead:
        return
    raise RunInUseError(
        f"{path}: {writer} is writing this run, or may be: its state is not known here. Nothing was changed. "
        "Wait for it, or recover the run on the computer that wrote it."
    )


def _replaced(path: Path, last: float, done: list[str], *, keep: bool) -> tuple[Path | None, tuple[int, str, str]]:
    """Replace the file at `path` by the one rebuilt beside it; with `keep` the old file is saved.

    Returns
    -------
    damaged, (rows, status, reason)
        Where the old file is, None if it was replaced; state of the run.

    """
    making = making_path(path)
    closing: list[str] = []
    now = _closed(making, last, closing)
    found = examine(making)  # in this process: what was just built here does not crash the HDF5 library
    if found.problem:
        raise RunFileError(f"{making}: the rebuilt file is damaged ({found.problem}): the disk is not reliable")
    damaged = _free_name(path, "damaged") if keep else None
    if damaged is not None:
        path.rename(damaged)
    _disk.replace(making, path)
    saved = f"; the damaged file is kept as {damaged.name}" if damaged else ""
    done += [f"Rebuilt from the journal with {now[0]} rows{saved}.", *closing]
    return damaged, now


def _free_name(path: Path, word: str) -> Path:
    names = (path.with_name(f"{path.name}.{word}{number}") for number in ("", *range(2, 10_000)))
    return next(name for name in names if not name.exists())


def _closed(path: Path, last: float, done: list[str]) -> tuple[int, str, str]:
    """Set the end of a run whose process died; rows, status and reason of the run."""
    with h5py.File(path, "r") as file:
        known = read_file_metadata(file)
    if known["status"] != "running":
        return known["rows"], known["status"], known["reason"]
    start = known["start"]
    # A run without rows and events was last written at its start.
    end = datetime.fromtimestamp(last, start.tzinfo) if last else start
    reason = f"{DIED}: last write at {end.isoformat(timespec='seconds')}"
    if end < start:
        reason += ", by a clock that was set back during the run: that is before its start, which is given as its end"
        end = start
    with changed_file(path) as file:
        # The duration is not known: the monotonic clock was that of the dead process.
        AttributesRecord(ending("failed", reason, "", end, None)).apply(file)
    done.append('The process died during the run; its status is "failed" now.')
    return known["rows"], "failed", reason


def _retire(journal: Path, *, keep: bool) -> None:
    """Remove a journal whose content is in the file, or put a damaged one aside."""
    if keep:
        journal.rename(_free_name(journal, "damaged"))
    else:
        journal.unlink()
    _disk.sync_folder(journal.parent)


# --- resuming ---------------------------------------------------------------------------------------------------------


def resumable(recovered: RecoveryReport) -> tuple[dict[str, Any], RunLayout, int, Iterator[Record]]:
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
    path = recovered.path
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
