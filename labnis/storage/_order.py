"""The order of the runs in a data folder: a counter, because the wall clock may be set back.

The last number is the name of a file in `<data>/.order`, made exclusively, which also works on network
folders and on Windows. A file holds the start of its run, so that the next run can tell that the clock went back.
"""

import re
from datetime import datetime
from pathlib import Path

from labnis.storage import _disk
from labnis.storage._json import checked_time
from labnis.storage._reading import list_runs
from labnis.storage.errors import RunFileError

__all__ = ["take_number"]

_NAME = re.compile(r"\d{9,15}")
_ATTEMPTS = 1000


def take_number(data_root: Path, start: datetime) -> tuple[int, datetime | None]:
    """Take the next number for a run that begins at `start`.

    Returns
    -------
    number, before
        Greater than that of every run in the folder; start of the run before this one, None if that is not known.

    Raises
    ------
    RunFileError
        The counter cannot be written.

    """
    folder = data_root / ".order"
    try:
        if not folder.is_dir():
            folder.mkdir(exist_ok=True)
            folder.chmod(data_root.stat().st_mode & 0o7777)  # who may write runs may count them
        for _ in range(_ATTEMPTS):
            last, before = _last(folder) or _last_of_files(data_root)
            path = folder / f"{last + 1:09d}"
            try:
                path.open("x", encoding="ascii").close()
            except FileExistsError:  # another process was faster
                continue
            # The file of a number goes only after a greater one is there, so no number is taken twice.
            if (_last(folder) or (0, None))[0] == last + 1:
                path.write_text(start.isoformat(), encoding="ascii")
                _remove_others(folder, path)
                return last + 1, before
            path.unlink(missing_ok=True)
    except OSError as error:
        raise _disk.failed(f"{folder}: the number of the run cannot be written", error) from error
    raise RunFileError(
        f"{folder}: no number could be taken in {_ATTEMPTS} attempts. Remove the folder, then try again."
    )


def _last(folder: Path) -> tuple[int, datetime | None] | None:
    """The last number that was taken, and the start of its run; None if the folder is new."""
    paths = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]
    if not paths:
        return None
    path = max(paths, key=lambda one: int(one.name))
    try:
        return int(path.name), checked_time(path.read_text(encoding="ascii"))
    except (OSError, ValueError):  # another process is just writing or removing it
        return int(path.name), None


def _last_of_files(data_root: Path) -> tuple[int, datetime | None]:
    """As `_last`, by the runs themselves: after the first start of this version, or where the counter was removed."""
    known = [run for run in list_runs(data_root) if run.start is not None]
    return (known[-1].number or 0, known[-1].start) if known else (0, None)


def _remove_others(folder: Path, path: Path) -> None:
    for other in folder.iterdir():
        if _NAME.fullmatch(other.name) and int(other.name) < int(path.name):
            other.unlink(missing_ok=True)
