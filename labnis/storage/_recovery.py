"""Make a run that was killed, or whose file is damaged, whole again."""

import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import h5py

from labnis.storage import _disk
from labnis.storage._checking import Finding, check
from labnis.storage._journal import JournalReader, journal_path
from labnis.storage._journal_state import journal_state
from labnis.storage._metadata import ending, from_attributes
from labnis.storage._process import writer_of
from labnis.storage._records import Change
from labnis.storage._run_file import build_file
from labnis.storage._staging import changed_file, making_path
from labnis.storage.errors import RunFileError, RunInUseError

__all__ = ["RecoveryReport", "recover"]

DIED = "the process ended without closing the run"


@dataclass(frozen=True)
class RecoveryReport:
    """What `recover` found and did.

    Attributes
    ----------
    path
        The run's file, whole now.
    problem
        What was wrong; empty if the file was healthy, and then nothing was changed.
    done
        What was done about it, one sentence each.
    rows
        Rows in the file now.
    status, reason
        How the run stands now.
    damaged
        Where the damaged original was put; None if it was not damaged.
    lost
        What could not be had back, as far as that can be known; empty if nothing.

    """

    path: Path
    problem: str
    done: tuple[str, ...]
    rows: int
    status: str
    reason: str
    damaged: Path | None = None
    lost: str = ""

    @property
    def healthy(self) -> bool:
        """Whether there was nothing to do."""
        return not self.problem

    def __str__(self) -> str:
        if self.healthy:
            return f"{self.path}: healthy, {self.rows} rows, status {self.status}; nothing was changed."
        lost = f" Lost: {self.lost}." if self.lost else ""
        return f"{self.path}: {self.problem}. {' '.join(self.done)} Now {self.rows} rows, status {self.status}.{lost}"


def recover(path: Path | str, *, writer_is_gone: bool = False) -> RecoveryReport:
    """Make the run at `path` whole: complete from its journal, and with the status "failed" if it died running.

    A healthy file is left alone. What cannot be trusted is made anew from the journal; a file that is damaged is put
    beside the new one as `<name>.damaged`, never overwritten. Ends within 10 s, plus the time that reading and writing
    take for runs beyond a gigabyte.

    Parameters
    ----------
    path
        The run's file; it may be missing as long as its journal is there.
    writer_is_gone
        The caller knows that no process writes the run, even where this machine cannot know it.

    Raises
    ------
    RunInUseError
        A process writes the run, or one on another machine may.
    RunFileError
        There is no such run; or it is damaged and has no journal, and was left as it is; or the disk fails.

    """
    path = Path(path).resolve()
    journal = journal_path(path)
    if not journal.exists():
        return _recovered_alone(path, writer_is_gone=writer_is_gone)
    try:
        state = journal_state(path)
    except RunFileError as error:
        return _recovered_without(path, str(error), writer_is_gone=writer_is_gone)
    _check_gone(path, state.attributes, writer_is_gone=writer_is_gone)
    found = check(path) if path.exists() else None
    whole = found is not None and not found.problem
    done: list[str] = []
    damaged = None
    lost = f"what the journal held behind its damage ({state.damage})" if state.damage else ""
    try:
        if whole and found is not None and found.ahead:
            problem, lost = f"its journal is damaged ({state.damage or 'it lacks what the file has'})", ""
            done.append("The file is whole and has more than the journal, which was put aside.")
            rows, status, reason = _closed(path, state.last, done)
        elif whole and found is not None and not found.behind and state.attributes["status"] != "running":
            problem = "its journal was left behind"
            rows, status, reason = _closed(path, state.last, done)
        else:
            problem = _problem(found)
            # Also where the file can be read: after a power cut it may still not be fit to be written to.
            damaged, (rows, status, reason) = _rebuild(path, state.last, done, keep=not whole)
        _retire(journal, keep=bool(state.damage))
    except OSError as error:
        raise RunFileError(f"{path}: cannot be recovered: {error}. Nothing was removed.") from error
    return RecoveryReport(path, problem, tuple(done), rows, status, reason, damaged, lost)


def _problem(found: Finding | None) -> str:
    if found is None:
        return "the file is missing"
    if found.problem:
        return f"the file is damaged ({found.problem})"
    return "the journal has more than the file" if found.behind else "the run was not closed"


def _recovered_alone(path: Path, *, writer_is_gone: bool) -> RecoveryReport:
    """A run without a journal: it was closed, or comes from the first version of labnis."""
    if not path.is_file():
        raise RunFileError(f"{path}: there is no such file, nor a journal of it")
    found = check(path, patience=3)
    if found.problem:
        raise RunFileError(
            f"{path}: damaged ({found.problem}), and there is no journal beside it from which it could be rebuilt. The "
            "file was left as it is. Look for a backup; `h5dump` may still show parts of it."
        )
    with h5py.File(path, "r") as file:
        attributes = from_attributes(file.attrs)
    if attributes["status"] != "running":
        return RecoveryReport(path, "", (), found.rows, attributes["status"], attributes["reason"])
    _check_gone(path, attributes, writer_is_gone=writer_is_gone)
    done: list[str] = []
    rows, status, reason = _closed(path, path.stat().st_mtime, done)
    return RecoveryReport(path, "the run was not closed", tuple(done), rows, status, reason)


def _recovered_without(path: Path, journal_problem: str, *, writer_is_gone: bool) -> RecoveryReport:
    """The journal is of no use: all hangs on the file."""
    if not path.is_file():
        raise RunFileError(f"{path}: there is no such file, and its journal does not help: {journal_problem}")
    found = check(path)
    if found.problem:
        raise RunFileError(
            f"{path}: damaged ({found.problem}), and its journal does not help: {journal_problem}. "
            "Both were left as they are."
        )
    with h5py.File(path, "r") as file:
        attributes = from_attributes(file.attrs)
    _check_gone(path, attributes, writer_is_gone=writer_is_gone)
    done = ["The file is whole; the useless journal was put aside."]
    rows, status, reason = _closed(path, path.stat().st_mtime, done)
    _retire(journal_path(path), keep=True)
    return RecoveryReport(path, f"its journal is damaged ({journal_problem})", tuple(done), rows, status, reason)


def _check_gone(path: Path, attributes: dict[str, object], *, writer_is_gone: bool) -> None:
    writer = writer_of(attributes)
    if writer_is_gone or writer is None or writer.is_dead:
        return
    raise RunInUseError(
        f"{path}: {writer} is writing this run, or may be: it lives, or cannot be seen from here. Nothing was changed. "
        "Wait for it, or recover the run on the machine that wrote it."
    )


def _rebuild(path: Path, last: float, done: list[str], *, keep: bool) -> tuple[Path | None, tuple[int, str, str]]:
    """Put a file made of the journal in the place of what is at `path`, which is kept beside it where `keep`.

    Returns
    -------
    damaged, (rows, status, reason)
        Where the old file went, None if it was replaced; how the run stands.

    """
    making = making_path(path)
    making.unlink(missing_ok=True)
    build_file(JournalReader(journal_path(path)), making)
    closing: list[str] = []
    stands = _closed(making, last, closing)
    found = check(making, patience=20)
    if found.problem:
        raise RunFileError(f"{making}: the rebuilt file is damaged ({found.problem}): the disk cannot be trusted")
    damaged = _free_name(path, "damaged") if keep and path.exists() else None
    if damaged is not None:
        path.rename(damaged)
    _disk.replace(making, path)
    kept = f"; the damaged file is kept as {damaged.name}" if damaged else ""
    done += [f"Made anew from the journal with {stands[0]} rows{kept}.", *closing]
    return damaged, stands


def _free_name(path: Path, word: str) -> Path:
    names = (path.with_name(f"{path.name}.{word}{number}") for number in ("", *range(2, 10_000)))
    return next(name for name in names if not name.exists())


def _closed(path: Path, last: float, done: list[str]) -> tuple[int, str, str]:
    """Give a run that died running its end; rows, status and reason of the run."""
    with h5py.File(path, "r") as file:
        attributes = from_attributes(file.attrs)
        rows = int(file["data"].attrs["rows"])
    if attributes["status"] != "running":
        return rows, attributes["status"], attributes["reason"]
    end = datetime.fromtimestamp(last or time.time(), attributes["start"].tzinfo)
    reason = f"{DIED}: last sign of life at {end.isoformat(timespec='seconds')}"
    with changed_file(path) as file:
        # How long it lasted is not known: only the dead process had the monotonic clock.
        Change(ending("failed", reason, "", end, None)).apply(file)
    done.append('The run died while it was running: its status is "failed" now.')
    return rows, "failed", reason


def _retire(journal: Path, *, keep: bool) -> None:
    """Remove a journal that has nothing to add any more, or put a damaged one aside."""
    if keep:
        journal.rename(_free_name(journal, "damaged"))
    else:
        journal.unlink()
    _disk.sync_folder(journal.parent)
