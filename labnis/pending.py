"""Ledger entries that could not be made: kept beside the data, and entered exactly once when the ledger is back.

A database that is locked or down must not end a measurement. What would have been entered waits in
`<data>/pending-ledger/`, one JSON file per run, until the next command opens the ledger.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from labnis.ledger import Ledger, NewCalibration

__all__ = ["enter_pending", "keep_pending"]

FOLDER = "pending-ledger"


def keep_pending(data: Path, entries: Sequence[NewCalibration], *, cooldown: str, batch: str) -> Path:
    """Write the entries of one run to a file of their own, and return its path."""
    folder = data / FOLDER
    folder.mkdir(exist_ok=True)
    path = folder / f"{batch}-{entries[0].run_id}.json"
    waiting = {"cooldown": cooldown, "batch": batch, "entries": [asdict(entry) for entry in entries]}
    # A half-written file would be half an entry: written aside, then renamed.
    aside = path.with_suffix(".part")
    aside.write_text(json.dumps(waiting), encoding="utf-8")
    aside.replace(path)
    return path


def enter_pending(data: Path, ledger: Ledger) -> int:
    """Enter everything that waits below `data`; what the ledger already has is only removed.

    Returns
    -------
    int
        Number of runs that were entered.

    Raises
    ------
    LedgerError
        Where the ledger cannot be written; the files stay.
    """
    entered = 0
    for path in sorted((data / FOLDER).glob("*.json")):
        waiting = json.loads(path.read_text(encoding="utf-8"))
        entries = [NewCalibration(**entry) for entry in waiting["entries"]]
        if not _is_in(ledger, waiting["cooldown"], waiting["batch"], entries[0].run_id):
            ledger.add_calibrations(entries, cooldown=waiting["cooldown"], batch=waiting["batch"])
            entered += 1
        path.unlink()
    return entered


def _is_in(ledger: Ledger, cooldown: str, batch: str, run_id: str) -> bool:
    """Whether an earlier attempt entered this run and was killed before it could remove the file."""
    return any(c.batch == batch and c.run_id == run_id for c in ledger.calibrations(cooldown))
