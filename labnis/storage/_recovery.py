"""Check of a run's file, and repair of a run that was killed or whose file is damaged.

The check is made in a child process, as a damaged file can hang or crash the HDF5 library. As a program
(`python -m labnis.storage._recovery SECONDS FILE [REFERENCE]`) this module reads everything in the file, compares it
with the reference, which was rebuilt from the journal, and prints an IntegrityReport as JSON.
"""

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from labnis.import_path import python_program
from labnis.printable import sentence
from labnis.storage import _disk
from labnis.storage._attributes import CHANGING, ending, from_attributes, read_attributes
from labnis.storage._columns import layout_to_plain
from labnis.storage._disk import changed_file, making_path
from labnis.storage._events import load_events
from labnis.storage._hdf5 import (
    check_links,
    members,
    read_described,
    read_file_metadata,
    read_fit,
    read_layout,
    row_count,
)  # fmt: skip
from labnis.storage._journal import JournalReader, journal_path
from labnis.storage._metadata import writer_of
from labnis.storage._records import AttributesRecord, journal_state
from labnis.storage._run_file import build_file
from labnis.storage.errors import DAMAGE, RunFileError, RunInUseError

__all__ = ["RecoveryReport", "check", "recover"]

DIED = "the process ended without closing the run"
# Processor time after which the child counts as hanging, plus the time for the file's size.
_SECONDS = 2.0
_BYTES_PER_SECOND = 100e6
# Memory limit of the child: a damaged file can make HDF5 ask for any amount.
_MEMORY_BYTES = 8 << 30
# Windows has neither the signal nor the limit that sends it.
_SIGXCPU = getattr(signal, "SIGXCPU", 0)
_SLICE_BYTES = 16 << 20


@dataclass(frozen=True)
class IntegrityReport:
    """Result of the check of a file.

    Attributes
    ----------
    problem
        Why the file is damaged; empty if it is whole.
    has_more
        Whether the file has rows, events or fits that the reference lacks.

    """

    problem: str
    has_more: bool = False


class _DamagedError(Exception):
    """The file can be read, but its content is wrong."""


def check(path: Path, reference: Path | None = None, *, patience: int = 2) -> IntegrityReport:
    """Examine the run at `path` in a child process; ends within seconds whatever the file contains.

    Parameters
    ----------
    path
        The HDF5 file.
    reference
        File that was rebuilt from the run's journal. What both have must be the same, value by value.
    patience
        Limit of the elapsed time, as a multiple of the limit of processor time: on a busy computer the child waits for
        a processor. On Windows it is the only limit.

    """
    files = [path.resolve(), *([reference] if reference is not None else [])]
    seconds = math.ceil(_SECONDS + sum(file.stat().st_size for file in files) / _BYTES_PER_SECOND)
    source = str(Path(__file__).resolve().parents[2])
    search = os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH"))))
    try:
        child = subprocess.run(  # noqa: S603  # this Python, no shell
            python_program("labnis.storage._recovery", str(seconds), *map(str, files)),
            capture_output=True,
            text=True,
            timeout=patience * seconds,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": search},
        )
    except subprocess.TimeoutExpired:
        return IntegrityReport(f"it could not be read to its end within {patience * seconds} s")
    if child.returncode < 0 and child.returncode == -_SIGXCPU:
        return IntegrityReport(f"it could not be read to its end in {seconds} s")
    if child.returncode < 0:
        return IntegrityReport(f"it crashes the HDF5 library (signal {-child.returncode})")
    if child.returncode > 0:
        return IntegrityReport(f"reading it fails: {(child.stderr.strip().splitlines() or ['no message'])[-1]}")
    return IntegrityReport(**json.loads(child.stdout))


def examine(path: Path, reference: Path | None = None) -> IntegrityReport:
    """Read everything in the file and compare it with the reference, in this process."""
    import xarray  # noqa: PLC0415  # imports pandas; readers of other runs do not need it

    try:
        with h5py.File(path, "r") as file:
            check_links(file)
            rows, events, fits = _contents(file)
            from_attributes(read_attributes(file))
            # Without values: whether xarray understands units, dimensions and scales.
            with xarray.open_dataset(path, group="data", engine="h5netcdf", decode_cf=False):
                pass
            if reference is None:
                _check_values(file["data"], file["data"])
                return IntegrityReport("")
            with h5py.File(reference, "r") as rebuilt:
                _check_descriptions(file, rebuilt)
                _check_values(file["data"], rebuilt["data"])
                known_rows, known_events, known_fits = _contents(rebuilt)
            has_more = rows > known_rows or events > known_events or not fits <= known_fits
            return IntegrityReport("", has_more)
    except (_DamagedError, RunFileError) as error:
        return IntegrityReport(str(error))
    except DAMAGE as error:
        return IntegrityReport(f"{type(error).__name__}: {error}")


def _contents(file: Any) -> tuple[int, int, set[str]]:
    """Number of rows, number of events, names of the fits, all of which can be read."""
    fits = {name: read_fit(group) for name, group in members(file["fit"]).items()}
    return _count_rows(file), sum(event.count for event in load_events(file)), set(fits)


def _count_rows(file: Any) -> int:
    """Number of rows, the same in every column."""
    data = file["data"]
    rows = row_count(file)
    for name in (str(name) for name in data.attrs["columns"]):
        found = len(data[name]) if name in data else 0
        if found != rows:
            raise _DamagedError(f"column {name!r} has {found} rows, the run has {rows}")
    return rows


def _check_descriptions(file: Any, rebuilt: Any) -> None:
    if layout_to_plain(read_layout(file)) != layout_to_plain(read_layout(rebuilt)):
        raise _DamagedError("the description of the columns is not that of the journal")
    for key, value in members(rebuilt.attrs).items():
        if key not in CHANGING and not np.array_equal(file.attrs.get(key), value):
            raise _DamagedError(f"attribute {key!r} is not that of the journal")
    for name in file["data"].keys() & rebuilt["data"].keys():
        if read_described(file["data"][name]) != read_described(rebuilt["data"][name]):
            raise _DamagedError(f"column {name!r}: units or long name are not those of the journal")


def _check_values(data: Any, reference: Any) -> None:
    """Read every value of every axis and column, and compare those that the reference has, too."""
    for name, dataset in members(data).items():
        expected = reference.get(name, dataset)
        if (dataset.dtype, dataset.maxshape) != (expected.dtype, expected.maxshape):
            raise _DamagedError(f"column {name!r}: type or shape is not that of the journal")
        step = max(1, _SLICE_BYTES // max(1, dataset.dtype.itemsize * math.prod(dataset.shape[1:])))
        for first in range(0, len(dataset), step):
            found, wanted = dataset[first : first + step], expected[first : first + step]
            common = min(len(found), len(wanted))
            # As bytes: NaN is a value.
            if found[:common].tobytes() != wanted[:common].tobytes():
                rows = f"rows {first} to {first + common - 1}"
                raise _DamagedError(f"column {name!r}, {rows}: not the values of the journal")


def main() -> None:
    """Check the file within the seconds given on the command line."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource  # noqa: PLC0415  # not on Windows

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[1]), int(sys.argv[1]) + 1))
    sys.stdout.write(json.dumps(asdict(examine(*map(Path, sys.argv[2:])))))
    sys.stdout.flush()
    # Skip the clean-up of a library that has read a damaged file.
    os._exit(0)


# --- repair -----------------------------------------------------------------------------------------------------------


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
        raise RunFileError(f"{path}: cannot be recovered: {sentence(error)} Nothing was removed.") from error
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
            f"{path}: damaged ({found.problem}), and it cannot be rebuilt: {sentence(why)} Nothing was changed. Look "
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
    saved = f"; what was there is kept as {damaged.name}" if damaged else ""
    done += [f"Rebuilt from the journal with {now[0]} row{'s' * (now[0] != 1)}{saved}.", *closing]
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


if __name__ == "__main__":
    main()
