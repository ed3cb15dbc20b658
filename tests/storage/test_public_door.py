"""The names others may import; a change here is a change of the public interface."""

import labnis.storage


def test_exported_names():
    assert sorted(labnis.storage.__all__) == [
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
        "SCHEMA_VERSION",
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
    assert all(hasattr(labnis.storage, name) for name in labnis.storage.__all__)
