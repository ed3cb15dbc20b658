"""Runs as HDF5 files: written while measuring, readable at any moment, read back as xarray.

Errors: `labnis.storage.errors`. File layout: `labnis.storage._layout`.
"""

from labnis.storage._columns import Axis, Column
from labnis.storage._environment import Environment, collect_environment
from labnis.storage._metadata import SCHEMA_VERSION, RunMetadata, Status
from labnis.storage._paths import check_data_root, new_run_id, slug
from labnis.storage._reading import RunSummary, find_run, list_runs, open_run, read_fits, read_metadata
from labnis.storage._writer import RunWriter
from labnis.storage.errors import (
    DataRootError,
    LayoutError,
    RowError,
    RunFileError,
    RunNotFoundError,
    StorageError,
)

__all__ = [
    "SCHEMA_VERSION",
    "Axis",
    "Column",
    "DataRootError",
    "Environment",
    "LayoutError",
    "RowError",
    "RunFileError",
    "RunMetadata",
    "RunNotFoundError",
    "RunSummary",
    "RunWriter",
    "Status",
    "StorageError",
    "check_data_root",
    "collect_environment",
    "find_run",
    "list_runs",
    "new_run_id",
    "open_run",
    "read_fits",
    "read_metadata",
    "slug",
]
