"""What can go wrong with the files of runs.

StorageError                    any of these ends a run with exit code 6
├── DataRootError               the data folder is missing, not a folder or not writable
├── LayoutError                 columns, axes, fits or metadata that cannot be stored as they are
├── RowError                    a row that does not fit the run's columns
├── RunFileError                a run file that cannot be created, written, opened or read
└── RunNotFoundError            no run, or more than one, answers to what was asked for
"""

__all__ = ["DataRootError", "LayoutError", "RowError", "RunFileError", "RunNotFoundError", "StorageError"]


class StorageError(Exception):
    """A fault of the files of runs."""


class DataRootError(StorageError):
    """The data folder is missing, not a folder or not writable."""


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


class RunNotFoundError(StorageError):
    """No run, or more than one, answers to what was asked for."""
