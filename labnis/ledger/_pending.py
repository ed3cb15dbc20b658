"""Ledger entries that could not be made: kept beside the data, and entered exactly once when the ledger is back.

A database that is locked or down must not end a measurement. What would have been entered waits in
`<data>/pending-ledger/`, one JSON file per run, until the next command opens the ledger.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock, Timeout

from labnis.ledger._ledger import Ledger
from labnis.ledger._records import NewCalibration
from labnis.ledger.errors import LedgerUnavailableError

__all__ = ["enter_pending", "keep_pending"]

logger = logging.getLogger(__name__)

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

    One process at a time does so: of two commands that start together, the second leaves it to the first. What cannot
    be entered because the ledger is still locked or down goes on waiting; that stops nobody from measuring.

    Returns
    -------
    int
        Number of runs that were entered.

    Raises
    ------
    LedgerError
        Where the ledger refuses an entry, such as one to an unknown cooldown; the files stay.
    """
    folder = data / FOLDER
    if not any(folder.glob("*.json")):
        return 0
    try:
        with FileLock(folder / "entering.lock", blocking=False):
            return _enter_all(folder, ledger)
    except Timeout:
        return 0
    except LedgerUnavailableError as error:
        logger.warning("results of earlier runs go on waiting in %s: %s", folder, error)
        return 0


def _enter_all(folder: Path, ledger: Ledger) -> int:
    entered = 0
    for path in sorted(folder.glob("*.json")):
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
