"""The fits in the file of a run."""

from pathlib import Path
from typing import Any

from labnis.fit import FitError, FitResult
from labnis.storage import newest_versions, read_fits

__all__ = ["newest_records", "stored_fits"]


def newest_records(path: Path) -> dict[str, dict[str, Any]]:
    """Name of the analysis → the record of its newest fit in the file at `path`.

    Raises
    ------
    RunFileError
        The file cannot be read.

    """
    records = read_fits(path)
    return {name: records[version] for name, version in newest_versions(records).items()}


def stored_fits(path: Path) -> tuple[dict[str, FitResult], dict[str, str]]:
    """The newest fits in the file at `path`, and why others cannot be used, both by the analysis's name.

    Raises
    ------
    RunFileError
        The file cannot be read.

    """
    fits: dict[str, FitResult] = {}
    problems: dict[str, str] = {}
    for name, record in newest_records(path).items():
        try:
            fits[name] = FitResult.from_record(record)
        except (FitError, KeyError) as error:
            problems[name] = f"the stored fit cannot be used: {error}"
    return fits, problems
