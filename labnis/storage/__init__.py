"""Runs as HDF5 files: written while measuring, readable at any moment, read back as xarray Datasets.

Errors: `labnis.storage.errors`. File layout: `labnis.storage._hdf5`. Reasons for the design: docs/storage.md.
"""

from labnis.storage._attributes import Status
from labnis.storage._columns import Axis, Column, RunLayout
from labnis.storage._disk import check_free_space
from labnis.storage._events import ESTIMATE, NO_FIT, Event
from labnis.storage._folder import RunSummary, check_data_root, find_run, list_runs, slug, unreadable_runs
from labnis.storage._following import FollowedFolder, FollowedRun, RunState
from labnis.storage._metadata import (
    Environment,
    RunMetadata,
    checked_tags,
    collect_environment,
    new_run_id,
    resume_differences,
)  # fmt: skip
from labnis.storage._reading import dataset_of, open_rows, open_run, read_events, read_fits, read_metadata
from labnis.storage._recovery import RecoveryReport, recover
from labnis.storage._refits import add_fits, newest_versions
from labnis.storage._run_file import estimate_bytes
from labnis.storage._writer import RunWriter
from labnis.storage.errors import (
    DataRootError,
    DiskSpaceError,
    LayoutError,
    RowError,
    RunFileError,
    RunInUseError,
    RunNotFoundError,
    StorageError,
    StorageWarning,
)  # fmt: skip

__all__ = [
    "ESTIMATE", "NO_FIT", "Axis", "Column", "DataRootError", "DiskSpaceError", "Environment", "Event", "FollowedFolder",
    "FollowedRun", "LayoutError",
    "RecoveryReport", "RowError", "RunFileError", "RunInUseError", "RunLayout", "RunMetadata", "RunNotFoundError",
    "RunState", "RunSummary", "RunWriter", "Status", "StorageError", "StorageWarning", "add_fits", "check_data_root",
    "check_free_space", "checked_tags", "collect_environment", "dataset_of", "estimate_bytes", "find_run", "list_runs",
    "new_run_id", "newest_versions", "open_rows", "open_run", "read_events", "read_fits", "read_metadata", "recover",
    "resume_differences", "slug", "unreadable_runs",
]  # fmt: skip
