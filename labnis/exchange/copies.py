"""Copies of the files of runs that say what is said against them elsewhere."""

import shutil
from pathlib import Path

from labnis.experiment.run import Run
from labnis.experiment.stored_fits import newest_records
from labnis.storage import add_fits

__all__ = ["copied"]


def copied(run: Run, out: Path) -> Path:
    """Copy the file of a `run`; fits with more warnings than in the file, as by its ledger, are later versions there.

    Raises
    ------
    OSError
        `out` cannot be written.
    StorageError
        The fits cannot be added.

    """
    shutil.copyfile(run.path, out)
    known = newest_records(run.path)
    told = {name: list(texts) for name, texts in run.warnings.items() if list(texts) != list(known[name]["warnings"])}
    if told:
        add_fits(out, {name: {**known[name], "warnings": texts} for name, texts in told.items()})
    return out
