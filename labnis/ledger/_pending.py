"""Results on their way to the ledger: saved beside the data first, then entered exactly once.

A database that is locked or down must not end a measurement, and a process that is killed must not lose a result. So
the results of each run are saved in `<data>/pending-ledger/`, one JSON file per run, until the ledger has them: at
once, after a later run, or by the next command that opens the ledger.
"""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from labnis.ledger._ledger import Ledger
from labnis.ledger._records import NewCalibration
from labnis.ledger.errors import LedgerError, LedgerUnavailableError
from labnis.printable import sentence

__all__ = ["enter_pending", "keep_pending"]

FOLDER = "pending-ledger"


class _Pending(BaseModel):
    """The content of a file. Those of earlier versions have no device and no time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: str = ""
    cooldown: str
    batch: str
    created: AwareDatetime | None = None
    entries: Annotated[tuple[NewCalibration, ...], Field(min_length=1)]


def keep_pending(data: Path, entries: Sequence[NewCalibration], *, cooldown: str, batch: str, device: str = "") -> Path:
    """Save the results of one run, found now, in a file below the folder `data`, and return its path.

    Raises
    ------
    LedgerUnavailableError
        They cannot be saved.

    """
    folder = data / FOLDER
    path = folder / f"{batch}-{entries[0].run_id}.json"
    pending = _Pending(device=device, cooldown=cooldown, batch=batch, created=datetime.now(UTC), entries=tuple(entries))
    try:
        folder.mkdir(exist_ok=True)
        # Written aside, then renamed, so that no file is incomplete.
        aside = path.with_suffix(".part")
        with aside.open("w", encoding="utf-8") as file:
            file.write(pending.model_dump_json())
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        raise LedgerUnavailableError(
            f"{path}: the results cannot be saved for the ledger: {sentence(error.strerror or error)} "
            "They are in the run's file."
        ) from error
    return path


def enter_pending(data: Path, ledger: Ledger) -> tuple[int, list[str]]:
    """Enter the results saved below the folder `data`, oldest first, and remove those that the ledger has.

    What cannot be entered stays saved; the others are entered all the same. Any number of processes may do so at once.

    Returns
    -------
    number
        Of runs that were entered.
    problems
        A sentence for each file that cannot be entered, and one if the ledger is not available.

    """
    entered, problems = 0, list[str]()
    for path in _oldest_first(data / FOLDER):
        try:
            entered += _enter(path, ledger)
        except FileNotFoundError:  # another process has just entered it
            continue
        except LedgerUnavailableError as error:
            said = str(error).rstrip(".")
            problems.append(f"{said}; the results are saved in {path.parent}; a later labnis command enters them")
            break
        except (LedgerError, ValidationError, OSError) as error:
            problems.append(f"{path}: these results cannot be entered in the ledger: {_reason(error)}")
    return entered, problems


def _oldest_first(folder: Path) -> list[Path]:
    times = dict[Path, float]()
    for path in folder.glob("*.json"):
        try:
            times[path] = path.stat().st_mtime
        except FileNotFoundError:  # another process has just entered it
            continue
    return sorted(times, key=lambda path: (times[path], path))


def _enter(path: Path, ledger: Ledger) -> bool:
    """Enter the results in `path`, and remove it; False if the ledger has them already."""
    pending = _Pending.model_validate_json(path.read_bytes())
    created = pending.created or datetime.fromtimestamp(path.stat().st_mtime, UTC)
    added = ledger.of_device(pending.device).add_calibrations(
        pending.entries, cooldown=pending.cooldown, batch=pending.batch, created=created
    )
    path.unlink(missing_ok=True)
    return bool(added)


def _reason(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first: Any = error.errors(include_url=False)[0]
    where = ".".join(str(key) for key in first["loc"])
    return f"{where}: {first['msg']}" if where else str(first["msg"])
