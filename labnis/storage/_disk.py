"""The few things done to a disk, in one place, so that tests can record them and play a failing one."""

import errno
import io
import os
import sys
from pathlib import Path
from typing import Any

from labnis.storage.errors import DiskSpaceError, RunFileError

__all__ = ["allocate", "cut", "failed", "is_full", "put", "replace", "sync", "sync_folder"]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def is_full(error: BaseException) -> bool:
    """Whether `error` says that there is no more room: disk full, quota used up, or file as long as allowed."""
    return isinstance(error, OSError) and error.errno in _FULL


def failed(what: str, error: Exception) -> RunFileError:
    """The error that says `what` could not be done because of `error`; for lack of room, a DiskSpaceError."""
    kind = DiskSpaceError if is_full(error) else RunFileError
    return kind(f"{what}: {error}. Check the disk's space and the folder.")


def put(file: io.FileIO, offset: int, data: Any) -> None:
    """Write all of `data` at `offset`."""
    file.seek(offset)
    view = memoryview(data).cast("B")
    while view:
        view = view[file.write(view) :]


def cut(file: io.FileIO, size: int) -> None:
    """Make the file `size` bytes long."""
    file.truncate(size)


def allocate(file: io.FileIO, start: int, end: int) -> None:
    """Make sure that the disk has room for the bytes from `start`, the file's end, up to `end`; they read as zero.

    Raises
    ------
    OSError
        There is no such room; the file is as it was.

    """
    try:
        if sys.platform == "linux":
            os.posix_fallocate(file.fileno(), start, end - start)
        else:
            put(file, start, bytes(end - start))
    except OSError:
        cut(file, start)
        raise


def sync(file: io.FileIO) -> None:
    """Wait until the disk itself has what was written."""
    if sys.platform == "darwin":
        import fcntl  # noqa: PLC0415  # not on Windows

        fcntl.fcntl(file.fileno(), fcntl.F_FULLFSYNC)  # fsync leaves the data in the drive's own memory there
    elif sys.platform == "linux":
        os.fdatasync(file.fileno())
    else:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the folder's list of names; does nothing on Windows, which has no such call."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace(made: Path, path: Path) -> None:
    """Give the finished file `made` the name `path`, instead of the one that may have it, and wait for the disk."""
    made.replace(path)
    sync_folder(path.parent)
