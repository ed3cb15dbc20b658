"""Files that one process at a time can lock, in a folder of all users of a machine, none of whom is trusted."""

import contextlib
import hashlib
import os
import re
import stat
import sys
from pathlib import Path

from labnis.errors import ConfigurationError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["lock_file", "locked", "opened", "require_plain", "shared_folder"]

ATTEMPTS = 20
"""Number of attempts to open a file that others remove and create."""

LOCKED_BYTE = 1 << 30
"""Position of the locked byte on Windows, where other processes cannot read what is locked."""


def opened(file: Path) -> int:
    """Descriptor of `file`, which is created if it is not there; links are not followed, pipes do not block."""
    flags = os.O_RDWR
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY", "O_BINARY"):
        flags |= getattr(os, name, 0)
    for _ in range(ATTEMPTS):
        # Without O_CREAT: Linux refuses it for the file of another user in a shared folder (fs.protected_regular).
        with contextlib.suppress(FileNotFoundError):
            return os.open(file, flags)
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(file, flags | os.O_CREAT | os.O_EXCL, 0o666)
            if sys.platform != "win32":
                os.fchmod(descriptor, 0o666)  # whatever the umask: other users lock the same file later
            return descriptor
    raise OSError("it is removed and created all the time")


def require_plain(descriptor: int) -> None:
    """Refuse what others may have put in place of a lock file.

    Raises
    ------
    OSError
        It is a directory, a pipe or a device, or the file has another name, too.

    """
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        raise OSError("it is not a regular file with a single name")


def locked(descriptor: int) -> bool:
    """Lock the open file, without waiting; False if another process holds it."""
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def lock_file(name: str, folder: Path) -> Path:
    """File in `folder` of the lock called `name`."""
    readable = re.sub(r"[^A-Za-z0-9.]+", "-", name)[-60:].strip("-")
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return folder.resolve() / f"labnis-{readable}-{digest}.lock"


def shared_folder() -> Path:
    """The folder that all users of this machine share: whatever the environment says, always the same.

    The lock files are directly in a folder of root's where everyone may create files and only their owners may remove
    them; in a folder of its own, whoever made it could remove all.
    """
    if sys.platform == "win32":
        folder = Path(os.environ.get("PROGRAMDATA", r"C:\ProgramData"), "labnis-locks")
        folder.mkdir(exist_ok=True)
        return folder
    shared = stat.S_IFDIR | stat.S_ISVTX | stat.S_IWOTH
    for folder in (Path("/run/lock"), Path("/tmp")):  # noqa: S108  # opened without following links, verified
        with contextlib.suppress(OSError):
            found = folder.stat()
            if found.st_uid == 0 and found.st_mode & shared == shared:
                return folder
    raise ConfigurationError(
        "no folder for lock files: neither /run/lock nor /tmp belongs to root with mode 1777; without locks two "
        "programs could control one instrument. An administrator can correct it by `chmod 1777 /tmp`."
    )
