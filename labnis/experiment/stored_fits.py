"""The fits in the file of a run."""

from pathlib import Path

from labnis.fit import FitError, FitResult
from labnis.storage import read_fits

__all__ = ["stored_fits"]


def stored_fits(path: Path) -> tuple[dict[str, FitResult], dict[str, str]]:
    """The fits in the file at `path`, and why others cannot be used, both by the analysis's name.

    Raises
    ------
    RunFileError
        The file cannot be read.

    """
    fits: dict[str, FitResult] = {}
    problems: dict[str, str] = {}
    for name, record in read_fits(path).items():
        try:
            fits[name] = FitResult.from_record(record)
        except (FitError, KeyError) as error:
            problems[name] = f"the stored fit cannot be used: {error}"
    return fits, problems
