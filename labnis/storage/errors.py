"""What can go wrong with the files of runs.

StorageError                    any of these ends a run with exit code 6
├── DataRootError               the data folder is missing, not a folder or not writable
├── LayoutError                 columns, axes, fits or metadata that cannot be stored as they are
├── RowError                    a row that does not fit the run's columns
├── RunFileError                a run file that cannot be created, written, opened or read
│   ├── DiskSpaceError          the disk has no room for it, now or for what is still to come
│   └── RunInUseError           another process is writing the run
└── RunNotFoundError            no run, or more than one, answers to what was asked for

StorageWarning                  the run goes on, with less protection than usual
"""

from typing import ClassVar

__all__ = [
    "DataRootError",
    "DiskSpaceError",
    "LayoutError",
    "RowError",
    "RunFileError",
    "RunInUseError",
    "RunNotFoundError",
    "StorageError",
    "StorageWarning",
]


class StorageError(Exception):
    """A fault of the files of runs.

    Attributes
    ----------
    exit_code
        Of a command that it ends; see `labnis.errors`.

    """

    exit_code: ClassVar[int] = 6


class DataRootError(StorageError):
    """The data folder is missing, not a folder or not writable."""

    exit_code = 2


class LayoutError(StorageError):
    """Columns, axes, fits or metadata that cannot be stored as they are."""


class RowError(StorageError):
    """A row that does not fit the run's columns: names the run, the row (from 0) and the column."""

    def __init__(self, run_id: str, row: int, column: str, problem: str) -> None:
        self.run_id = run_id
        self.row = row
        self.column = column
        super().__init__(f"run {run_id}, row {row}, column {column!r}: {problem}")


class RunFileError(StorageError):
    """A run file that cannot be created, written, opened or read: names the file."""


class DiskSpaceError(RunFileError):
    """The disk has no room for a run, now or for what is still to come: says how much is there."""


class RunInUseError(RunFileError):
    """Another process is writing the run, or may be: names it."""


class RunNotFoundError(StorageError):
    """No run, or more than one, answers to what was asked for."""

    exit_code = 2


class StorageWarning(UserWarning):
    """The run goes on, with less protection than usual; says which and why."""
