"""Read runs: finished, failed, or still growing under another process.

A run whose writer died is read from its journal. Where that is damaged, the HDF5 file is read, and checked first, as a
damaged file can hang or crash the HDF5 library.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import h5py
import psutil  # type: ignore[import-untyped]
from numpy.typing import NDArray

from labnis.storage._checking import check
from labnis.storage._columns import POINT, RunLayout, check_points
from labnis.storage._dataset import dataset_of
from labnis.storage._events import Event, load_events
from labnis.storage._folder import run_files, run_id_of
from labnis.storage._hdf5 import read_fit, read_layout, row_count
from labnis.storage._host import writer_of
from labnis.storage._journal import journal_path
from labnis.storage._links import check_links
from labnis.storage._metadata import SCHEMA_VERSION, from_attributes, read_attributes, read_file_metadata
from labnis.storage._old_files import NOTE, layout_of_version_1, upgraded
from labnis.storage._records import journal_state
from labnis.storage._run_file import file_in_memory
from labnis.storage.errors import DAMAGE, RunFileError, RunNotFoundError

if TYPE_CHECKING:
    import xarray

__all__ = ["RunSummary", "find_run", "list_runs", "open_rows", "open_run", "read_events", "read_fits", "read_metadata"]

T = TypeVar("T")


@dataclass(frozen=True)
class RunSummary:
    """One line of a list of runs. Of a file that cannot be read, only path, id and reason are known.

    Attributes
    ----------
    status
        running, done, aborted, failed, "interrupted" (its process died and left it running), or "unreadable".
    reason
        Reason of the status.
    tags, note
        Given by the user.
    number
        Position in the order of the runs of its data folder, which does not depend on the clock; None in runs of
        earlier versions.

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
    tags: tuple[str, ...] = ()
    note: str = ""
    number: int | None = None


def _read(path: Path | str, load: Callable[[Any], T]) -> T:
    """`load` of the open file; a file that changes at this moment is read again.

    Raises
    ------
    RunFileError
        The message names the file.

    """
    path = Path(path)
    journal = journal_state(path)
    if journal.dead_writer and not (journal.damage or journal.problem):
        with file_in_memory(path) as file, _damage_of(journal_path(path)):
            return load(file)
    if path.exists() and not path.is_file():
        raise RunFileError(f"{path}: cannot be read as a run: it is no ordinary file")
    if journal_path(path).exists() and not path.exists():
        problem = journal.problem or f"its journal is damaged: {journal.damage or 'its writer may still run'}"
        raise RunFileError(f"{path}: there is no such file, and {problem}. `labnis recover {path}` may make it.")
    if journal.dead_writer and path.is_file() and (problem := check(path, patience=10).problem):
        raise RunFileError(
            f"{path}: cannot be read as a run: {problem}. Its writer died; `labnis recover {path}` rebuilds the file."
        )
    for _ in range(3):
        with contextlib.suppress(*DAMAGE), h5py.File(path, "r") as file:
            return load(file)
        if not path.is_file():
            break
        time.sleep(0.02)
    with _damage_of(path), h5py.File(path, "r") as file:
        return load(file)


@contextlib.contextmanager
def _damage_of(path: Path) -> Iterator[None]:
    """Turn everything that a damaged file raises into a RunFileError that names it."""
    try:
        yield
    except DAMAGE as error:
        problem = error.args[0] if isinstance(error, KeyError) and error.args else error
        raise RunFileError(f"{path}: cannot be read as a run: {problem}") from error


def _load_rows(file: Any) -> tuple[dict[str, NDArray[Any]], RunLayout, dict[str, Any]]:
    """Complete rows as they were measured, their layout, and the attributes of the Dataset.

    Raises
    ------
    Any of DAMAGE
        The file is not a run.

    """
    check_links(file)
    rows = row_count(file)  # before the columns, which may become longer meanwhile
    data = file["data"]
    layout = read_layout(file) if "schema" in data.attrs else layout_of_version_1(data)
    attributes = read_attributes(file)
    from_attributes(attributes)
    columns = {c.name: data[c.name] for c in layout.columns if rows or c.name in data}
    for name, dataset in columns.items():
        column = layout.column(name)
        shape, dtype = (*dataset.shape[:1], *(layout.trace_shape(column) or ())), column.stored
        if dataset.shape != shape or dataset.dtype != dtype or dataset.shape[0] < rows:
            raise ValueError(
                f"column {name!r} has shape {dataset.shape} and type {dataset.dtype}; needed are {rows} rows, "
                f"each of shape {shape[1:]} and type {dtype}"
            )
    _check_memory(max(rows, layout.points or 0) * layout.row_bytes)
    values = {name: dataset[:rows] for name, dataset in columns.items()}
    if layout.dimension != POINT:
        values, layout = upgraded(values, layout)
    check_points(values[POINT], layout)
    return values, layout, attributes


def _check_memory(needed: int) -> None:
    free = psutil.virtual_memory().available
    if needed > free:
        raise ValueError(f"its data need {needed / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free")


def _opened(path: Path | str, *, as_rows: bool) -> "xarray.Dataset":
    def load(file: Any) -> "xarray.Dataset":
        columns, layout, attributes = _load_rows(file)
        run = dataset_of(columns, layout.as_rows() if as_rows else layout).assign_attrs(attributes)
        if attributes["schema_version"] < SCHEMA_VERSION and "bias_reading" in run:
            run["bias"].attrs["note"] = NOTE
        return run

    return _read(path, load)


def open_run(path: Path | str) -> "xarray.Dataset":
    """Read all complete rows of a run into memory; the file is closed again.

    Returns
    -------
    Dataset
        On the run's grid, also while it grows; see `dataset_of`. Its `attrs` are metadata that netCDF can hold: nested
        ones are JSON, times ISO 8601, truth values 0 or 1, and what is not known is missing; `read_metadata` returns
        them parsed. Runs of version 1 and 2, which recorded the read-back of the bias under the name `bias`, have it
        as `bias` and `bias_reading`, and the attribute `note` of `bias` says so.

    Raises
    ------
    RunFileError
        The file cannot be opened or is no run; names it.

    """
    return _opened(path, as_rows=False)


def open_rows(path: Path | str) -> "xarray.Dataset":
    """Read all complete rows of a run as a table along `point`, in the order in which they were measured.

    Returns
    -------
    Dataset
        As `open_run`, without the grid; the commanded set-points are coordinates along `point`.

    Raises
    ------
    RunFileError
        The file cannot be opened or is no run; names it.

    """
    return _opened(path, as_rows=True)


def read_metadata(path: Path | str) -> dict[str, Any]:
    """Read the run's metadata, parsed, and `rows`, without its data.

    Raises
    ------
    RunFileError
        The file cannot be opened or is no run; names it.

    """
    return _metadata_and_damage(Path(path))[0]


def _metadata_and_damage(path: Path) -> tuple[dict[str, Any], str]:
    """The run's metadata, and what is damaged in the journal they were read from."""
    journal = journal_state(path)
    if journal.dead_writer:
        with _damage_of(journal_path(path)):
            return from_attributes(journal.attributes) | {"rows": journal.rows}, journal.damage
    return _read(path, read_file_metadata), ""


def read_fits(path: Path | str) -> dict[str, dict[str, Any]]:
    """Read the run's fits by name, as they were given to `RunWriter.write_fit`.

    Raises
    ------
    RunFileError
        The file cannot be opened or is no run; names it.

    """

    def load(file: Any) -> dict[str, dict[str, Any]]:
        check_links(file)
        return {name: read_fit(group) for name, group in file["fit"].items()}

    return _read(path, load)


def read_events(path: Path | str) -> list[Event]:
    """Read the run's events, in the order in which they happened.

    Raises
    ------
    RunFileError
        The file cannot be opened or is no run; names it.

    """

    def load(file: Any) -> list[Event]:
        check_links(file)
        return load_events(file)

    return _read(path, load)


# --- lists of runs ----------------------------------------------------------------------------------------------------


def list_runs(data_root: Path, *, tags: Iterable[str] = ()) -> list[RunSummary]:
    """List the runs below `data_root`, oldest first; those that cannot be read come last, with the reason.

    The order is that in which they were begun, whatever the clock showed; runs of earlier versions come first, by
    their start.

    Parameters
    ----------
    data_root
        Folder of all runs.
    tags
        Only runs that have all of them.

    Raises
    ------
    DataRootError
        There is no such folder.

    """
    wanted = set(tags)
    summaries = [run for run in map(_summary, run_files(data_root)) if wanted <= set(run.tags)]
    return sorted(summaries, key=_order)


def _order(run: RunSummary) -> tuple[bool, int, float]:
    return run.start is None, run.number or 0, run.start.timestamp() if run.start else 0.0


def _summary(path: Path) -> RunSummary:
    try:
        found = _known_metadata(path)
        names = ("run_id", "procedure", "cooldown", "start", "status", "reason", "rows", "simulated", "note", "number")
        return RunSummary(path, tags=tuple(found["tags"]), **{name: found[name] for name in names})
    except RunFileError as error:
        return RunSummary(path, run_id_of(path), "", "", None, "unreadable", str(error), 0, None)


def _known_metadata(path: Path) -> dict[str, Any]:
    """Metadata and `rows`, with the status "interrupted" where the run's process died."""
    found, damage = _metadata_and_damage(path)
    writer = writer_of(found)
    if found["status"] == "running" and writer is not None and writer.is_dead:
        damaged = f", and its journal is damaged ({damage})" if damage else ""
        reason = f"{writer}, which wrote it, has ended{damaged}; `labnis recover {path}` closes the run"
        return found | {"status": "interrupted", "reason": reason}
    return found


def find_run(data_root: Path, text: str) -> Path:
    """Find the file of the run that `text` names: a path, an id, or the beginning of exactly one id.

    Raises
    ------
    RunNotFoundError
        No run, or several; lists the candidates.

    """
    if os.sep in text or text.endswith(".h5"):
        for path in (Path(text), data_root / text):
            if path.is_file():
                return path
        raise RunNotFoundError(f"{text}: no such file, neither here nor below {data_root}")
    files = run_files(data_root)
    exact = [path for path in files if run_id_of(path) == text]
    found = exact or [path for path in files if text and run_id_of(path).startswith(text)]
    if len(found) == 1:
        return found[0]
    problem = f"{len(found)} runs have an id beginning with {text!r}" if found else f"no run has the id {text!r}"
    listed = found or [run.path for run in list_runs(data_root) if run.start is not None][-5:]  # the newest
    candidates = "".join(f"\n  {run_id_of(path)}  {path}" for path in listed)
    raise RunNotFoundError(f"{problem} in {data_root}; candidates:{candidates or ' none'}")
