"""Follow runs while they grow: what has changed is read, and no more, and rows are thinned out as they come.

The writer of a run is not disturbed: files are opened for reading only, and without locks.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from labnis.storage._columns import POINT, RunLayout
from labnis.storage._events import Event, load_events
from labnis.storage._folder import RunSummary, run_files, run_order, run_summary
from labnis.storage._hdf5 import read_file_metadata
from labnis.storage._journal import journal_path
from labnis.storage._metadata import writer_of
from labnis.storage._reading import dataset_of, opened_columns, read_file, read_run, upgraded
from labnis.storage.errors import RunFileError

if TYPE_CHECKING:
    import xarray

__all__ = ["FollowedFolder", "FollowedRun", "RunState"]

MOST_ROWS = 2000
"""More rows are thinned out, each time to half of them."""

MOST_BYTES = 32 << 20
"""Of rows with traces there are fewer."""

Signature = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class RunState:
    """A run as it is now.

    Attributes
    ----------
    metadata
        As of `read_metadata`, with the status "interrupted" where its process died.
    events
        In the order in which they happened.
    layout
        Columns, grid and axes.
    step
        Each so manieth row is in `columns`.
    columns
        Column → its values, shape (rows that were kept, *axes), in the order in which they were measured.
    last
        Column → its value in the last row; without traces, and empty before the first row.

    """

    metadata: Mapping[str, Any]
    events: tuple[Event, ...]
    layout: RunLayout
    step: int
    columns: Mapping[str, NDArray[Any]]
    last: Mapping[str, Any]

    @property
    def rows(self) -> int:
        """Number of rows of the run."""
        return int(self.metadata["rows"])

    def data(self) -> "xarray.Dataset":
        """The rows that were kept, as `open_run` arranges them; along `point` where they are not all."""
        return dataset_of(self.columns, self.layout if self.step == 1 else self.layout.as_rows())


class FollowedRun:
    """One run, of which each call of `read` reads new rows only.

    Parameters
    ----------
    path
        The run's file.

    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._signature: Signature = ()
        self._state: RunState | None = None

    def read(self) -> RunState:
        """The run as it is now: the same object as before where nothing has changed.

        Raises
        ------
        RunFileError
            The file cannot be opened or is no run; names it.

        """
        signature = signature_of(self._path)
        if self._state is None or signature != self._signature or _has_died(self._state.metadata):
            self._state = self._newer(self._state)
            self._signature = signature
        return self._state

    def _newer(self, before: RunState | None) -> RunState:
        metadata = read_file(self._path, read_file_metadata) if self._path.exists() else {"status": "running"}
        died = _has_died(metadata) or not self._path.exists()
        # A run whose writer died is read from its journal, and as a whole.
        load = partial(_loaded, before=None if died else before)
        state = read_run(self._path, load) if died else read_file(self._path, load)
        if _has_died(state.metadata):
            reason = (
                f"{writer_of(state.metadata)}, which wrote it, has ended; `labnis recover {self._path}` closes the run"
            )
            return replace(state, metadata={**state.metadata, "status": "interrupted", "reason": reason})
        return state


def signature_of(path: Path) -> Signature:
    """Size and time of the change of a run's file and of its journal; another one where either was written."""
    found = []
    for file in (path, journal_path(path)):
        try:
            status = os.stat(file)  # noqa: PTH116  # once for each run in a folder of thousands
            found.append((status.st_size, status.st_mtime_ns))
        except OSError:
            found.append((-1, 0))
    return tuple(found)


def _has_died(metadata: Mapping[str, Any]) -> bool:
    """Whether the process that wrote a run has ended, and left it running."""
    writer = writer_of(metadata) if metadata["status"] == "running" else None
    return writer is not None and writer.is_dead


def _loaded(file: Any, before: RunState | None) -> RunState:
    """The state of the run in an open file, with the rows that `before` has already."""
    metadata = read_file_metadata(file)
    datasets, layout, rows = opened_columns(file)
    metadata["rows"] = rows
    if layout.dimension != POINT:  # versions 1 and 2
        values, layout = upgraded({name: dataset[:rows] for name, dataset in datasets.items()}, layout)
        datasets, before = dict(values), None
    known = before if before is not None and before.layout.names == layout.names and before.rows <= rows else None
    known_rows, step = (known.rows, known.step) if known is not None else (0, 1)
    most = max(1, min(MOST_ROWS, MOST_BYTES // max(1, layout.row_bytes)))
    while math.ceil(rows / step) > most:
        step *= 2
    first = -(-known_rows // step) * step
    columns = {name: dataset[first:rows:step] for name, dataset in datasets.items()}
    if known is not None and known_rows:
        kept = {name: values[:: step // known.step] for name, values in known.columns.items()}
        columns = {name: np.concatenate([kept[name], new]) for name, new in columns.items()}
    last = {name: dataset[rows - 1] for name, dataset in datasets.items() if rows and not layout.column(name).axes}
    return RunState(metadata, tuple(load_events(file)), layout, step, columns, last)


class FollowedFolder:
    """The runs of a data folder, each of which is read again only where it changed.

    Parameters
    ----------
    data_root
        Folder of all runs.

    """

    def __init__(self, data_root: Path) -> None:
        self._root = data_root
        self._known: dict[Path, tuple[Signature, RunSummary]] = {}

    def runs(self) -> list[RunSummary]:
        """As `list_runs`.

        Raises
        ------
        DataRootError
            There is no such folder.

        """
        before, self._known = self._known, {}
        for path in run_files(self._root):
            signature = signature_of(path)
            entry = before.get(path)
            if entry is None or entry[0] != signature or entry[1].status == "running":
                entry = (signature, _brief(path))
            self._known[path] = entry
        return sorted((summary for _, summary in self._known.values()), key=run_order)


def _brief(path: Path) -> RunSummary:
    """As `run_summary`, by the HDF5 file alone while the run is written: its journal may be long."""
    try:
        metadata = read_file(path, read_file_metadata)
        if metadata["status"] == "running" and not _has_died(metadata):
            return run_summary(path, metadata)
    except RunFileError:
        pass  # the journal may have more
    return run_summary(path)
