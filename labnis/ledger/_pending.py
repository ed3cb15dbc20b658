"""Ledger entries that failed: saved beside the data, and entered exactly once when the ledger is available.

A database that is locked or down must not end a measurement. The entries are saved in
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
    """Write the entries of one run to a file, and return its path."""
    folder = data / FOLDER
    folder.mkdir(exist_ok=True)
    path = folder / f"{batch}-{entries[0].run_id}.json"
    waiting = {"cooldown": cooldown, "batch": batch, "entries": [asdict(entry) for entry in entries]}
    # Written aside, then renamed, so that no file is incomplete.
    aside = path.with_suffix(".part")
    aside.write_text(json.dumps(waiting), encoding="utf-8")
    aside.replace(path)
    return path


def enter_pending(data: Path, ledger: Ledger) -> int:
    """Enter the saved entries below `data`; remove those that the ledger has already.

    One process at a time does so: of two commands that start together, only the first does. Entries stay saved while
    the ledger is locked or down; a measurement starts all the same.

    Returns
    -------
    int
        Number of runs that were entered.

    Raises
    ------
    LedgerError
        The ledger refuses an entry, such as one to an unknown cooldown; the files stay.
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
        logger.warning("results of earlier runs stay saved in %s: %s", folder, error)
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
