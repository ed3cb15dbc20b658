"""One temporary folder for a whole session of tests, its home folders and all processes that it starts.

Whatever is written where the system has temporary files ends up in it, and it is removed at the end of the session.
The folder of a session that was killed is removed by the next one.
"""

import os
import re
import shutil
import tempfile
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]

__all__ = ["left_behind", "own_home", "own_temporary_folder", "remove"]

NAME = re.compile(r"labnis-tests-(\d+)-")
# pytest's own, those of `own_home`, and that of multiprocessing, which removes it when the process ends.
EXPECTED = ("pytest-of-", "home-", "pymp-")
# A server or a guardian may take this long (s) to end after the test that started it.
ENDS_WITHIN = 5.0
# Tests write and synchronize thousands of small files: in memory, where there is room, a third of their time is saved.
MEMORY = Path("/dev/shm")  # noqa: S108
ROOM = 2 * 1024**3


def own_temporary_folder() -> Path:
    """Make the temporary folder of this process and of all that it starts, and remove those of dead sessions."""
    place = _place()
    for other in place.iterdir():
        name = NAME.match(other.name)
        if name and not psutil.pid_exists(int(name[1])):
            shutil.rmtree(other, ignore_errors=True)
    folder = tempfile.mkdtemp(prefix=f"labnis-tests-{os.getpid()}-", dir=place)
    Path(folder).chmod(0o711)  # a PostgreSQL server of the tests runs as another user
    for variable in ("TMPDIR", "TEMP", "TMP"):
        os.environ[variable] = folder
    tempfile.tempdir = None  # found again from the environment
    return Path(folder)


def _place() -> Path:
    """Where a user's TMPDIR says, else in memory if there is room, else where the system has temporary files."""
    told = any(name in os.environ for name in ("TMPDIR", "TEMP", "TMP"))
    if not told and os.access(MEMORY, os.W_OK | os.X_OK) and shutil.disk_usage(MEMORY).free > ROOM:
        return MEMORY
    return Path(tempfile.gettempdir())


def own_home() -> None:
    """Make a home folder for this process and all that it starts: QCoDeS reads and writes its configuration there."""
    os.environ["HOME"] = os.environ["USERPROFILE"] = tempfile.mkdtemp(prefix="home-")


def left_behind(folder: Path) -> list[str]:
    """What nobody has removed from the temporary folder of a session whose tests have ended, sorted."""
    deadline = time.monotonic() + ENDS_WITHIN
    while (left := _unexpected(folder)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def _unexpected(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith(EXPECTED))


def remove(folder: Path) -> None:
    """Remove the temporary folder of this session, with what processes that are about to end still write to it."""
    deadline = time.monotonic() + ENDS_WITHIN
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
