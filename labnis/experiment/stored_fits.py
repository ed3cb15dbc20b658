"""The fits in the file of a run."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from labnis.fit import FitError, FitResult
from labnis.storage import NO_FIT, RunFileError, newest_versions, read_events, read_fits

__all__ = ["newest_records", "stored_fits"]


def newest_records(path: Path, versions: Mapping[str, str] = MappingProxyType({})) -> dict[str, dict[str, Any]]:
    """Name of the analysis → the record of its newest fit in the file at `path`, or of that of the name in `versions`.

    Raises
    ------
    RunFileError
        The file cannot be read, or has no such version.

    """
    records = read_fits(path)
    named = newest_versions(records)
    if missing := sorted({*versions.values()} - records.keys()):
        raise RunFileError(f"{path}: it has no fit {', '.join(missing)}, which the ledger names")
    return {name: records[version] for name, version in (named | dict(versions)).items()}


def stored_fits(
    path: Path, versions: Mapping[str, str] = MappingProxyType({})
) -> tuple[dict[str, FitResult], dict[str, str]]:
    """The newest fits in the file at `path`, and why others cannot be used, both by the analysis's name.

    Of analyses in `versions` that of the name there, such as "emitted_power@2".

    Raises
    ------
    RunFileError
        The file cannot be read, or has no such version.

    """
    fits: dict[str, FitResult] = {}
    problems: dict[str, str] = {}
    for name, record in newest_records(path, versions).items():
        try:
            fits[name] = FitResult.from_record(record)
        except (FitError, KeyError) as error:
            problems[name] = f"the stored fit cannot be used: {error}"
    for event in read_events(path, NO_FIT):
        name = str(event.details.get("analysis", ""))
        if name not in fits:  # a refit may have made it
            problems.setdefault(name, event.message)
    return fits, problems
