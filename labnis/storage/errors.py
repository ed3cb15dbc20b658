"""Errors of run files.

StorageError                    ends a run with exit code 6
├── DataRootError               the data folder is missing, not a folder or not writable
├── LayoutError                 columns, axes, fits or metadata that cannot be stored
├── RowError                    a row that does not match the run's columns
├── RunFileError                a run file that cannot be created, written, opened or read
│   ├── DiskSpaceError          the disk has no room for it, now or for the planned rows
│   └── RunInUseError           another process is writing the run
└── RunNotFoundError            no run, or more than one, matches the given name

StorageWarning                  the run continues with less protection than usual
"""

import struct
from typing import ClassVar

__all__ = [
    "DAMAGE", "DataRootError", "DiskSpaceError", "LayoutError", "RowError", "RunFileError", "RunInUseError",
    "RunNotFoundError", "StorageError", "StorageWarning",
]  # fmt: skip


class StorageError(Exception):
    """Base of all errors of run files; `exit_code` is that of a command which the error ends."""

    exit_code: ClassVar[int] = 6


class DataRootError(StorageError):
    """The data folder is missing, not a folder or not writable."""

    exit_code = 2


class LayoutError(StorageError):
    """Columns, axes, fits or metadata that cannot be stored."""


class RowError(StorageError):
    """A row that does not match the run's columns: names the run, the row (from 0) and the column."""

    def __init__(self, run_id: str, row: int, column: str, problem: str) -> None:
        super().__init__(f"run {run_id}, row {row}, column {column!r}: {problem}")


class RunFileError(StorageError):
    """A run file that cannot be created, written, opened or read: names the file."""


class DiskSpaceError(RunFileError):
    """The disk has no room for a run, now or for its planned rows: names the free space."""


class RunInUseError(RunFileError):
    """Another process is writing the run, or may be: names it."""


class RunNotFoundError(StorageError):
    """No run, or more than one, matches the given name."""

    exit_code = 2


class StorageWarning(UserWarning):
    """The run continues with less protection than usual; the text says which and why."""


DAMAGE = (
    OSError, LookupError, ValueError, RuntimeError, TypeError, AttributeError, ArithmeticError, MemoryError,
    struct.error, LayoutError,
)  # fmt: skip
"""What h5py, h5netcdf and the parsing of attributes and records raise on a damaged file."""
