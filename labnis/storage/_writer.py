"""Write a run while it is measured.

Rows wait in memory for at most the flush interval. A thread then writes them as one block to the run's journal, where
they are safe from a kill and from a power cut, and to the HDF5 file. So the measurement never waits for the disk and
may itself pause for any time. Between two flushes the HDF5 file is closed and complete: any reader can open it.
"""

import threading
import time
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from numpy.typing import ArrayLike

from labnis.storage import _hdf5
from labnis.storage._attributes import Status, ending
from labnis.storage._columns import Axis, Column, Row, RunLayout, checked_row, stacked
from labnis.storage._events import Event, HostMonitor, WaitingEvents, new_event
from labnis.storage._folder import check_data_root, run_path, take_number
from labnis.storage._metadata import RunMetadata, this_process, to_attributes
from labnis.storage._records import (
    AttributesRecord,
    AxisRecord,
    EventsRecord,
    FitRecord,
    HeadRecord,
    Record,
    RowsRecord,
)  # fmt: skip
from labnis.storage._recovery import RecoveryReport
from labnis.storage._run_file import RunFile, resumable
from labnis.storage._time_limit import TimeLimit
from labnis.storage.errors import RunFileError, StorageError, StorageWarning

__all__ = ["RunWriter"]

# Longest time (s) that a row waits in memory.
FLUSH_INTERVAL = 0.2
# More than this is written by `append` itself, so that a fast procedure cannot fill the memory: waiting rows to the
# journal, and rows that the thread has not yet written to the HDF5 file.
MAX_WAITING_BYTES = 16 * 1024 * 1024
MAX_PENDING_BYTES = 64 * 1024 * 1024
# Times that contradict each other by less are those of two computers, or of two runs that began at once.
CLOCKS_DIFFER = timedelta(minutes=1)


class RunWriter:
    """The file of one run, open for appending until `finish`.

    Parameters
    ----------
    data_root
        Folder of all runs; the file's path below it comes from `metadata`.
    columns
        What a row holds, besides `point`.
    grid
        Set-point column → its planned values, from the outermost to the innermost loop; without one, a row's point is
        its number. `metadata.setpoints` names further columns of set-points.
    signal
        Name of the column that a plot shows first; by default the first one that is not a set-point.
    axes
        Axes already known; others follow by `add_axis`.
    flush_interval
        Longest time (s) that a row waits in memory.
    measured_before
        Whether the start is that of a measurement before, as of an import, and says nothing of the clock.

    Attributes
    ----------
    path
        The run's file.
    run_id
        Its id.
    layout
        Columns, grid, and the axes known so far. With it `dataset_of` makes of rows in memory what `open_run` reads.

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
        grid: Mapping[str, ArrayLike] = {},
        signal: str | None = None,
        axes: Iterable[Axis] = (),
        flush_interval: float = FLUSH_INTERVAL,
        measured_before: bool = False,
    ) -> None:
        axes = tuple(axes)
        self.layout = RunLayout(columns, grid=grid, setpoints=metadata.setpoints, signal=signal, axes=axes)
        metadata = replace(metadata, setpoints=self.layout.setpoints)
        self.run_id = metadata.run_id
        self.path = run_path(
            check_data_root(data_root),
            cooldown=metadata.cooldown,
            procedure=metadata.procedure,
            start=metadata.start,
            run_id=metadata.run_id,
        )
        begun = datetime.now(UTC) if measured_before else metadata.start
        number, before = take_number(data_root.resolve(), begun)
        head = HeadRecord(self.layout, to_attributes(metadata) | {"number": number} | this_process().as_attributes())
        self._run = RunFile.create(self.path, [head, *(AxisRecord(self.layout, axis) for axis in axes)])
        self._begin(flush_interval, rows=0, events=0, lasted=0.0, earliest=metadata.start)
        self._check_clock("the run before this one started", before, begun)

    @classmethod
    def resume(cls, recovered: RecoveryReport) -> Self:
        """Continue a run that was killed, failed or aborted: same file, columns, grid and axes, rows appended.

        Whether it may be resumed with the present instruments and wiring is for the caller to check, with
        `resume_differences`.

        Parameters
        ----------
        recovered
            What `recover` returned for the run's file.

        Raises
        ------
        RunInUseError
            A process began to write it after it was recovered.
        RunFileError
            It is done, or cannot be read or written.

        """
        self = cls.__new__(cls)
        self.path = recovered.path
        known, self.layout, events, records = resumable(self.path)
        self.run_id = known["run_id"]
        self._run = RunFile.reopen(self.path, records)
        now = {"status": "running", "reason": "", "traceback": None, "end": None, "duration": None}
        before = {name: known[name] for name in ("status", "reason", "rows", "end")}
        self._run.record([AttributesRecord(now | this_process().as_attributes())])
        last = known["end"] or known["start"]
        self._begin(FLUSH_INTERVAL, rows=known["rows"], events=events, lasted=known["duration"], earliest=last)
        self.event("resumed", f"resumed after {known['rows']} rows", before=before)
        self._check_clock("the run was written", last, datetime.now().astimezone())
        self.flush()
        return self

    def _begin(
        self, flush_interval: float, *, rows: int, events: int, lasted: float | None, earliest: datetime
    ) -> None:
        self._waiting: list[dict[str, Any]] = []
        self._events = WaitingEvents(events)
        self._written = rows
        self._failure: StorageError | None = None
        self._limit = TimeLimit(self.path)
        self._waiting_lock = threading.Lock()
        self._file_lock = threading.RLock()
        self._finished = threading.Event()
        # The thread ends with the first call of `finish`, also if that fails.
        self._closing = threading.Event()
        self._wake = threading.Event()
        self._flush_interval = flush_interval
        self._lasted = lasted
        # Times in the file are those of the wall clock now, and the monotonic clock since: they never go back.
        self._began = time.monotonic()
        self._began_at = max(time.time(), earliest.timestamp())
        self._monitor = HostMonitor(self.path, self._report)
        # Not a daemon: a thread inside HDF5 while the interpreter shuts down may crash.
        self._thread = threading.Thread(target=self._flush_loop, name=f"labnis-run-{self.run_id}")
        self._thread.start()

    @property
    def rows(self) -> int:
        """Number of rows appended so far."""
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
        self.layout = self.layout.with_axis(axis)
        self._write([AxisRecord(self.layout, axis)])

    def append(self, row: Row) -> None:
        """Append one row; it is on the disk within the flush interval and the time of one write.

        Parameters
        ----------
        row
            A value for every column: a number, or an array of the shape of the column's axes. NaN is a value. `point`
            is the row's position on the grid in C order, because rows come in the order of measurement; without
            a grid it may be omitted and is the row's number. Arrays are copied.

        Raises
        ------
        RowError
            The row does not match the columns; it is not taken, and the run can continue.
        StorageError
            Earlier rows could not be written (they are kept and tried again), or the run is finished.

        """
        self._check_open()
        if self._failure is not None:
            raise self._failure
        self._limit.check()
        # Not `self.rows`: reading it takes the lock once more.
        index = self._written + len(self._waiting)
        checked = checked_row(row, self.layout, self.run_id, index)
        with self._waiting_lock:
            self._waiting.append(checked)
            too_many = len(self._waiting) * self.layout.row_bytes > MAX_WAITING_BYTES
        if too_many:
            self._write([], update=False)
            self._wake.set()
            if self._run.pending_bytes > MAX_PENDING_BYTES:
                self._run.update()

    def flush(self) -> None:
        """Write all waiting rows and events to the disk now.

        Raises
        ------
        RunFileError
            A file cannot be written, or the disk does not answer; the rows are kept and tried again.

        """
        self._limit.call(lambda: self._write([]))

    def event(self, kind: str, message: str, **details: Any) -> None:
        """Record an event; it is on the disk as soon as a row would be. One that repeats the last one is counted.

        Parameters
        ----------
        kind
            One word: interlock, fault, warning, …
        message
            Description in a sentence.
        details
            Values that belong to it.

        Raises
        ------
        LayoutError
            A detail has no form in JSON.
        StorageError
            The run is finished.

        """
        self._check_open()
        event = new_event(kind, message, details)
        with self._waiting_lock:
            self._events.add(event)

    def write_fit(self, name: str, fit: Mapping[str, Any]) -> None:
        """Store a fit as `/fit/<name>`, replacing an earlier one of that name.

        Parameters
        ----------
        name
            Last part of the group's path.
        fit
            `parameters` (n names), `values` (n), `sigma` (n), `units` (n), `covariance` (n, n), `chi2`,
            `dof`, `model`, `code_version`, `assumed` (mapping: what was not measured), `warnings` (texts).
            `curves` (name → unit and values, all of one length, along the first of them) become datasets; further
            entries are kept as JSON.

        Raises
        ------
        LayoutError, RunFileError
            The fit is incomplete, or the file cannot be written.

        """
        self._check_open()
        _hdf5.check_fit(name, fit)
        self._limit.call(lambda: self._write([FitRecord(name, fit)]))

    def finish(self, status: Status, reason: str = "", *, traceback: str = "") -> None:
        """Write the last rows and the status of the run. Nothing can be appended afterwards.

        Raises
        ------
        RunFileError
            The file cannot be written, or the disk does not answer; the error names the rescue copy if there is one.
            `finish` may be called again.

        """
        self._check_open()
        self._closing.set()
        self._wake.set()
        lasted = None if self._lasted is None else self._lasted + time.monotonic() - self._began
        end = datetime.fromtimestamp(self._now()).astimezone()
        record = AttributesRecord(ending(status, reason, traceback, end, lasted))
        try:
            self._limit.call(lambda: self._close(record))
        except StorageError as error:
            self._failure = error
            if self._limit.exceeded:
                raise RunFileError(f"{error} {self._rescued(record)}") from error
            raise
        finally:
            self._thread.join(0.0 if self._limit.exceeded else None)

    def _close(self, end: AttributesRecord) -> None:
        with self._file_lock:
            self._write([end], update=False)
            self._run.close()
            self._finished.set()

    def _rescued(self, end: AttributesRecord) -> str:
        """Save the run elsewhere; a sentence about it."""
        records, said = [*self._due()[2], end], list[str]()
        with suppress(RunFileError):
            TimeLimit(self.path).call(lambda: said.append(self._run.rescued_elsewhere(records)))
        return said[0] if said else "A rescue copy could not be made either: the rows cannot be read back."

    def _check_open(self) -> None:
        if self._finished.is_set():
            raise StorageError(f"run {self.run_id}: is finished already ({self.path})")

    def _write(self, records: list[Record], *, update: bool = True) -> None:
        """Write waiting rows and events, then `records`, to the journal, and to the HDF5 file where `update`."""
        with self._file_lock:
            rows, (first, events), due = self._due()
            self._run.record([*due, *records])
            with self._waiting_lock:
                del self._waiting[:rows]
                self._events.written(first, events)
                self._written += rows
        if update:
            self._run.update()

    def _due(self) -> tuple[int, tuple[int, tuple[Event, ...]], list[Record]]:
        """Number of waiting rows, the waiting events, and the records of both."""
        with self._waiting_lock:
            rows, (first, events) = list(self._waiting), self._events.due()
        due: list[Record] = [EventsRecord(first, self._now(), events)] if events else []
        if rows:
            due.append(RowsRecord(self._written, self._now(), stacked(rows, self.layout)))
        return len(rows), (first, events), due

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _flush_loop(self) -> None:
        """Flush until the run is closed. The next `append` raises a failure; its rows are tried again meanwhile."""
        program_ended = False
        # The last rows are also written if the program ends without `finish`.
        while not program_ended:
            program_ended = self._wait_for_flush()
            if self._closing.is_set():
                return
            try:
                with self._limit.watched():
                    self._monitor.check(self._run.rescue)
                    self._write([])
            except StorageError as error:
                self._failure = error
            except Exception as error:  # noqa: BLE001  # reported by the next append
                self._failure = RunFileError(f"{self.path}: cannot be written: {error!r}")
            else:
                self._failure = self._run.full

    def _wait_for_flush(self) -> bool:
        """Wait for the flush interval, or until woken; whether the program ended meanwhile."""
        due = time.monotonic() + self._flush_interval
        while (left := due - time.monotonic()) > 0 and not self._wake.wait(min(left, 0.2)):
            if not threading.main_thread().is_alive():
                return True
        self._wake.clear()
        return False

    def _now(self) -> float:
        return self._began_at + time.monotonic() - self._began

    def _check_clock(self, what: str, before: datetime | None, now: datetime) -> None:
        """Report a time of something earlier that lies after `now`."""
        if before is not None and before - now > CLOCKS_DIFFER:
            times = [moment.isoformat(timespec="seconds") for moment in (before, now)]
            message = f"{what} at {times[0]}, and later it is {times[1]}: the clock was set back, or was wrong"
            self._report("warning", message)

    def _report(self, kind: str, message: str, **details: Any) -> None:
        """Record an event that the monitor reports, and show a warning."""
        self.event(kind, message, **details)
        if kind == "warning":
            warnings.warn(f"{self.path}: {message}", StorageWarning, stacklevel=5)
