"""The names others may import; a change here is a change of the public interface."""

import labnis.storage


def test_exported_names():
    assert sorted(labnis.storage.__all__) == [
        "Axis",
        "Column",
        "DataRootError",
        "DiskSpaceError",
        "ESTIMATE",
        "Environment",
        "Event",
        "LayoutError",
        "RecoveryReport",
        "RowError",
        "RunFileError",
        "RunInUseError",
        "RunLayout",
        "RunMetadata",
        "RunNotFoundError",
        "RunSummary",
        "RunWriter",
        "Status",
        "StorageError",
        "StorageWarning",
        "add_fits",
        "check_data_root",
        "check_free_space",
        "checked_tags",
        "collect_environment",
        "dataset_of",
        "estimate_bytes",
        "find_run",
        "list_runs",
        "new_run_id",
        "newest_versions",
        "open_rows",
        "open_run",
        "read_events",
        "read_fits",
        "read_metadata",
        "recover",
        "resume_differences",
        "slug",
        "unreadable_runs",
    ]
    assert all(hasattr(labnis.storage, name) for name in labnis.storage.__all__)
