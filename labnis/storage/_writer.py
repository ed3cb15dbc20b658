"""Write a run while it is measured.

Rows wait in memory for at most the flush interval; a thread then carries them to the file as one block,
so that the measurement never waits for the disk and may itself wait as long as it likes. Between two
flushes the file is closed and complete: any reader can open it, and a kill of this process loses only
what was not flushed.
"""

import math
import threading
import traceback as tracebacks
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from labnis.storage import _layout
from labnis.storage._columns import Axis, Column, Row, Schema, checked_row, stacked
from labnis.storage._metadata import RunMetadata, Status, ending, to_attributes
from labnis.storage._paths import check_data_root, run_path
from labnis.storage._staging import changed_file
from labnis.storage.errors import LayoutError, RunFileError, StorageError

__all__ = ["RunWriter"]

# Rows beyond this are flushed by `append` itself, so that a fast procedure cannot fill the memory.
MAX_WAITING_BYTES = 16 * 1024 * 1024


class RunWriter:
    """The file of one run, open for appending until `finish`.

    As a context manager it finishes itself: "done" at the end of the block, "aborted" on Ctrl-C, "failed"
    with the traceback on any other exception.

    Parameters
    ----------
    data_root
        Folder of all runs; the file's path below it comes from `metadata`.
    columns
        What a row holds.
    coordinate
        Name of the real scalar column that is the rows' coordinate, such as the bias set.
    signal
        Name of the column a plot shows first; the first one that is not the coordinate by default.
    axes
        Axes already known; others follow by `add_axis`.
    flush_interval
        Longest time (s) that a row waits in memory.

    Attributes
    ----------
    path
        The run's file.
    run_id
        Its id.

    Raises
    ------
    DataRootError, LayoutError, RunFileError
        The folder or the file cannot be written, or columns and metadata cannot be stored.

    """

    def __init__(
        self,
        data_root: Path,
        metadata: RunMetadata,
        columns: Iterable[Column],
        *,
        coordinate: str,
        signal: str | None = None,
        axes: Iterable[Axis] = (),
        flush_interval: float = 0.2,
    ) -> None:
        self._schema = Schema.of(columns, coordinate, signal)
        self.run_id = metadata.run_id
        self.path = run_path(
            check_data_root(data_root),
            cooldown=metadata.cooldown,
            procedure=metadata.procedure,
            start=metadata.start,
            run_id=metadata.run_id,
        )
        self._lengths: dict[str, int] = {}
        axes = tuple(axes)
        for axis in axes:
            self._claim_axis(axis)
        attributes = to_attributes(metadata)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFileError(f"{self.path.parent}: cannot be created: {error}") from error
        with changed_file(self.path, create=True) as file:
            _layout.create_run(file, self._schema, attributes, axes)
        self._waiting: list[dict[str, Any]] = []
        self._written = 0
        self._failure: StorageError | None = None
        self._waiting_lock = threading.Lock()
        self._file_lock = threading.RLock()
        self._finished = threading.Event()
        self._flush_interval = flush_interval
        self._thread = threading.Thread(target=self._flush_in_time, name=f"labnis-run-{self.run_id}", daemon=True)
        self._thread.start()

    @property
    def rows(self) -> int:
        """Rows appended so far."""
        with self._waiting_lock:
            return self._written + len(self._waiting)

    def add_axis(self, axis: Axis) -> None:
        """Give the values of an axis that columns name; needed before the first row.

        Raises
        ------
        LayoutError
            No column uses it, or it has values already.
        RunFileError
            The file cannot be written.

        """
        self._check_open()
        self._claim_axis(axis)
        with self._file_lock, changed_file(self.path) as file:
            _layout.create_axis(file, self._schema, axis)

    def append(self, row: Row) -> None:
        """Take one row; it is on disk within the flush interval and a write.

        Parameters
        ----------
        row
            A value for every column: a number, or an array of the shape of the column's axes. NaN is a value.
            Arrays are copied.

        Raises
        ------
        RowError
            The row does not fit; it is not taken, and the run can go on.
        StorageError
            Earlier rows could not be written (they are kept and tried again), or the run is finished.

        """
        self._check_open()
        if self._failure is not None:
            raise self._failure
        checked = checked_row(row, self._schema, self._lengths, self.run_id, self.rows)
        with self._waiting_lock:
            self._waiting.append(checked)
            too_many = len(self._waiting) * self._row_bytes > MAX_WAITING_BYTES
        if too_many:
            self.flush()

    def flush(self) -> None:
        """Carry all waiting rows to the disk now.

        Raises
        ------
        RunFileError
            The file cannot be written; the rows are kept for the next try.

        """
        with self._file_lock:
            with self._waiting_lock:
                rows = list(self._waiting)
            if not rows:
                return
            with changed_file(self.path) as file:
                _layout.append_block(file, self._written, stacked(rows, self._schema))
            with self._waiting_lock:
                del self._waiting[: len(rows)]
                self._written += len(rows)

    def write_fit(self, name: str, fit: Mapping[str, Any]) -> None:
        """Store a fit as `/fit/<name>` in place of an earlier one of that name.

        Parameters
        ----------
        name
            Last part of the group's path.
        fit
            `parameters` (n names), `values` (n), `sigma` (n), `units` (n), `covariance` (n, n), `chi2`,
            `dof`, `model`, `code_version`, `assumed` (mapping: what was not measured), `warnings` (texts).
            Further entries are kept as JSON.

        Raises
        ------
        LayoutError, RunFileError
            The fit is incomplete, or the file cannot be written.

        """
        self._check_open()
        with self._file_lock, changed_file(self.path) as file:
            _layout.write_fit(file, name, fit)

    def finish(self, status: Status, reason: str = "", *, traceback: str = "") -> None:
        """Write the last rows and how the run ended. Nothing can be appended afterwards.

        Raises
        ------
        RunFileError
            The file cannot be written; `finish` may be called again.

        """
        self._check_open()
        with self._file_lock:
            self.flush()
            with changed_file(self.path) as file:
                _layout.set_attributes(file, ending(status, reason, traceback, datetime.now().astimezone()))
            self._finished.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._finished.is_set():
            return
        if error is None:
            self.finish("done")
            return
        status: Status = "aborted" if isinstance(error, KeyboardInterrupt) else "failed"
        text = "".join(tracebacks.format_exception(kind, error, trace))
        self.finish(status, f"{type(error).__name__}: {error}", traceback=text)

    def _claim_axis(self, axis: Axis) -> None:
        if axis.name not in self._schema.axes:
            used = ", ".join(sorted(self._schema.axes)) or "none"
            raise LayoutError(f"run {self.run_id}: no column has an axis {axis.name!r}; axes of columns: {used}")
        if axis.name in self._lengths:
            raise LayoutError(f"run {self.run_id}: axis {axis.name!r} has its values already")
        self._lengths[axis.name] = np.size(axis.values)

    def _check_open(self) -> None:
        if self._finished.is_set():
            raise StorageError(f"run {self.run_id}: is finished already ({self.path})")

    @cached_property
    def _row_bytes(self) -> int:
        """Memory of one row; asked for after the first row, when all axes are known."""
        return sum(
            np.dtype(column.dtype).itemsize * math.prod(self._lengths[axis] for axis in column.axes)
            for column in self._schema.columns
        )

    def _flush_in_time(self) -> None:
        """Body of the thread. A failure is told to the next `append`; the rows are tried again meanwhile."""
        while not self._finished.wait(self._flush_interval):
            try:
                self.flush()
            except StorageError as error:
                self._failure = error
            except Exception as error:  # noqa: BLE001  # must not die in silence: told to the next append
                self._failure = RunFileError(f"{self.path}: cannot be written: {error!r}")
            else:
                self._failure = None
