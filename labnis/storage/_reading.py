"""Read runs: finished, failed, or still growing under another process.

A run whose writer died is read from its journal where that is enough; else its HDF5 file is first examined in a
process of its own, as a damaged file can hang or crash the HDF5 library.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np
import xarray

from labnis.storage._checking import DAMAGE, check
from labnis.storage._events import Event, load_events
from labnis.storage._journal import journal_path
from labnis.storage._journal_state import dead_writer_of, journal_state
from labnis.storage._layout import read_fit
from labnis.storage._metadata import from_attributes
from labnis.storage._paths import run_id_of
from labnis.storage._process import Writer, writer_of
from labnis.storage.errors import DataRootError, RunFileError, RunNotFoundError

__all__ = ["RunSummary", "find_run", "list_runs", "open_run", "read_events", "read_fits", "read_metadata"]

T = TypeVar("T")


@dataclass(frozen=True)
class RunSummary:
    """One line of a list of runs. Of a file that cannot be read, only path, id and reason are known.

    Attributes
    ----------
    status
        running, done, aborted, failed, "interrupted" (the process that wrote it is no more and left it running), or
        "unreadable".
    reason
        Why it ended like that, or why it cannot be read.

    """

    path: Path
    run_id: str
    procedure: str
    cooldown: str
    start: datetime | None
    status: str
    reason: str
    rows: int
    simulated: bool | None


def _read(path: Path, load: Callable[[Path], T]) -> T:
    """`load(path)`; a file caught while its writer replaces a few bytes is read again.

    Raises
    ------
    RunFileError
        Naming the file.

    """
    _refuse_damaged(path)
    for last in (False, False, False, True):
        try:
            return load(path)
        except DAMAGE as error:
            if last or not path.is_file():
                raise RunFileError(f"{path}: cannot be read as a run: {error}") from error
            time.sleep(0.02)
    raise AssertionError("unreachable: the last round returns or raises")


def _refuse_damaged(path: Path) -> None:
    if not (journal_path(path).exists() and path.is_file() and dead_writer_of(path)):
        return
    problem = check(path).problem
    if problem:
        raise RunFileError(
            f"{path}: cannot be read as a run: {problem}. Its writer died; `labnis recover {path}` rebuilds the file."
        )


def _load_metadata(path: Path) -> dict[str, Any]:
    with h5py.File(path, "r") as file:
        metadata = from_attributes(file.attrs)
        return metadata | {"rows": int(file["data"].attrs["rows"])}


def _load_run(path: Path) -> xarray.Dataset:
    metadata = _load_metadata(path)
    # decode_cf off: no unit may turn into a date, no value into NaN.
    with xarray.open_dataset(path, group="data", engine="h5netcdf", decode_cf=False) as found:
        rows = int(found.attrs["rows"])
        columns = [str(name) for name in np.atleast_1d(found.attrs["columns"])]
        coordinate = next(name for name in columns if name in found.dims)
        present = [name for name in columns if name in found.variables and name != coordinate]
        run = found[present].isel({coordinate: slice(0, rows)}).load()
        described = {key: found.attrs[key] for key in ("signal", "axes")}
    return run.assign_attrs(metadata | described | {"rows": rows})


def open_run(path: Path | str) -> xarray.Dataset:
    """Read all complete rows of a run into memory; the file is closed again.

    Returns
    -------
    Dataset
        Columns as variables in the order they were declared, the sweep's coordinate and the traces' axes as
        coordinates, `units` and `long_name` in each variable's attributes, the parsed metadata in `attrs`.

    Raises
    ------
    RunFileError
        The file cannot be opened or is no run; names it.

    """
    return _read(Path(path), _load_run)


def read_metadata(path: Path | str) -> dict[str, Any]:
    """Read the run's metadata, parsed, and `rows`, without its data.

    Raises
    ------
    RunFileError
        The file cannot be opened or is no run; names it.

    """
    return _read(Path(path), _load_metadata)


def read_fits(path: Path | str) -> dict[str, dict[str, Any]]:
    """Read the run's fits by name, as they were given to `RunWriter.write_fit`.

    Raises
    ------
    RunFileError
        The file cannot be opened or is no run; names it.

    """

    def load(path: Path) -> dict[str, dict[str, Any]]:
        with h5py.File(path, "r") as file:
            return {name: read_fit(group) for name, group in file["fit"].items()}

    return _read(Path(path), load)


def read_events(path: Path | str) -> list[Event]:
    """Read the run's events, in the order in which they happened.

    Raises
    ------
    RunFileError
        The file cannot be opened or is no run; names it.

    """

    def load(path: Path) -> list[Event]:
        with h5py.File(path, "r") as file:
            return load_events(file)

    return _read(Path(path), load)


def _summary(path: Path) -> RunSummary:
    try:
        found = _known_metadata(path)
        names = ("run_id", "procedure", "cooldown", "start", "status", "reason", "rows", "simulated")
        return RunSummary(path, **{name: found[name] for name in names})
    except (RunFileError, KeyError) as error:
        reason = f"no attribute {error}" if isinstance(error, KeyError) else str(error)
        return RunSummary(path, run_id_of(path), "", "", None, "unreadable", reason, 0, None)


def _known_metadata(path: Path) -> dict[str, Any]:
    """Metadata and `rows`, with the status "interrupted" where the run's writer is no more."""
    writer: Writer | None = None
    if journal_path(path).exists() and (writer := dead_writer_of(path)):
        state = journal_state(path)
        found = from_attributes(state.attributes) | {"rows": state.rows}
    else:
        found = read_metadata(path)
        writer = writer_of(found)
    if found["status"] == "running" and writer is not None and writer.is_dead:
        reason = f"{writer}, which wrote it, is no more; `labnis recover {path}` closes the run"
        return found | {"status": "interrupted", "reason": reason}
    return found


def _run_files(data_root: Path) -> list[Path]:
    if not data_root.is_dir():
        raise DataRootError(f"data folder {data_root}: there is no such folder")
    # Of a run that lost its file in a power cut, only the journal is left.
    orphans = (path.with_name(path.name.removesuffix(".journal")) for path in data_root.glob("*/*/*.h5.journal"))
    return sorted({*data_root.glob("*/*/*.h5"), *orphans})


def list_runs(data_root: Path) -> list[RunSummary]:
    """Every run below `data_root`, oldest first; those that cannot be read stand at the end with the reason.

    Raises
    ------
    DataRootError
        There is no such folder.

    """
    summaries = [_summary(path) for path in _run_files(data_root)]
    return sorted(summaries, key=lambda run: (run.start is None, run.start.timestamp() if run.start else 0.0))


def find_run(data_root: Path, text: str) -> Path:
    """File of the run that `text` names: a path, an id, or the beginning of exactly one id.

    Raises
    ------
    RunNotFoundError
        No run, or several; lists the candidates.

    """
    if os.sep in text or text.endswith(".h5"):
        for path in (Path(text), data_root / text):
            if path.is_file():
                return path
        raise RunNotFoundError(f"{text}: there is no such file, nor below {data_root}")
    files = _run_files(data_root)
    exact = [path for path in files if run_id_of(path) == text]
    found = exact or [path for path in files if text and run_id_of(path).startswith(text)]
    if len(found) == 1:
        return found[0]
    problem = f"{len(found)} runs have an id beginning with {text!r}" if found else f"no run has the id {text!r}"
    # Without a match, the newest runs are the likeliest to be meant.
    candidates = "".join(f"\n  {run_id_of(path)}  {path}" for path in (found or files[-5:]))
    raise RunNotFoundError(f"{problem} in {data_root}; candidates:{candidates or ' none'}")
