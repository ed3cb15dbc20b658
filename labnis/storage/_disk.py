"""All writes to the disk. HDF5 files are changed in memory first; the finished change is then written in a safe order.

HDF5 writes its tables in many small pieces. A kill, a full disk or a reader between two of them finds a broken file,
and a failed write inside HDF5 may crash the interpreter at exit. Therefore HDF5 gets a file object that keeps its
writes in memory. When HDF5 has made all of them, they are written: first the bytes behind the old end of the file,
to which nothing refers yet, then the few pieces in front of it. A full disk is then a plain OSError and the file is
unchanged. HDF5's file locks are not used, so no reader can stop a writer.

The primitive operations are functions of this module, so that tests can record them and simulate a failing disk.
"""

import errno
import io
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import psutil  # type: ignore[import-untyped]

from labnis.printable import sentence
from labnis.storage.errors import DataRootError, DiskSpaceError, RunFileError

__all__ = [
    "allocate", "changed_file", "check_free_space", "cut", "failed", "is_full", "making_path", "network_filesystem",
    "put", "replace", "replaced_file", "sync", "sync_folder",
]  # fmt: skip

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Superblock version 0 has no "open for writing" mark that a kill could leave behind; HDF5 1.10 reads it.
LIBVER = ("earliest", "v110")
# Errors of the disk, and what h5py raises on a damaged file.
_FAULTS = (OSError, RuntimeError, KeyError, ValueError)

_NETWORK = (
    "9p", "afpfs", "afs", "beegfs", "ceph", "cifs", "davfs", "fuse.davfs", "fuse.glusterfs", "fuse.rclone",
    "fuse.s3fs", "fuse.sshfs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "smb", "smb2", "smb3", "smbfs",
    "vboxsf", "webdav",
)  # fmt: skip


def is_full(error: BaseException) -> bool:
    """Whether `error` means lack of space: disk full, quota used up, or file as long as allowed."""
    return isinstance(error, OSError) and error.errno in _FULL


def failed(what: str, error: Exception) -> RunFileError:
    """Error saying that `what` failed because of `error`; a DiskSpaceError for lack of space."""
    kind = DiskSpaceError if is_full(error) else RunFileError
    return kind(f"{what}: {sentence(error)} Check the disk's space and the folder.")


def put(file: io.FileIO, offset: int, data: Any) -> None:
    """Write all of `data` at `offset`."""
    file.seek(offset)
    view = memoryview(data).cast("B")
    while view:
        view = view[file.write(view) :]


def cut(file: io.FileIO, size: int) -> None:
    """Set the length of the file to `size` bytes."""
    file.truncate(size)


def allocate(file: io.FileIO, start: int, end: int) -> None:
    """Reserve disk space for the bytes from `start`, the file's end, up to `end`; they read as zero.

    Raises
    ------
    OSError
        There is no space; the file is unchanged.

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
    """Wait until everything written is on the disk itself."""
    if sys.platform == "darwin":
        import fcntl  # noqa: PLC0415  # not on Windows

        fcntl.fcntl(file.fileno(), fcntl.F_FULLFSYNC)  # fsync leaves data in the drive's own memory there
    elif sys.platform == "linux":
        os.fdatasync(file.fileno())
    else:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the folder's list of names is on the disk; does nothing on Windows, which has no such call."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace(made: Path, path: Path) -> None:
    """Rename the finished file `made` to `path`, replacing a file of that name, and wait for the disk."""
    made.replace(path)
    sync_folder(path.parent)


def making_path(path: Path) -> Path:
    """Name of a file while it is made; it is renamed to `path` when it is complete."""
    return path.with_name(f"{path.name}.making")


class _StagedFile(io.RawIOBase):
    """An open file plus writes that are held in memory."""

    def __init__(self, file: io.FileIO) -> None:
        self._file = file
        self._old_size = os.fstat(file.fileno()).st_size
        self._size = self._old_size
        self._position = 0
        self._writes: list[tuple[int, bytes]] = []

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = start + offset
        return self._position

    def truncate(self, size: int | None = None, /) -> int:
        self._size = self._position if size is None else size
        return self._size

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        start = self._position
        count = max(0, min(len(view), self._size - start))
        self._file.seek(start)
        found = self._file.readinto(view[:count]) or 0
        view[found:count] = bytes(count - found)
        for offset, data in self._writes:
            low, high = max(start, offset), min(start + count, offset + len(data))
            if low < high:
                view[low - start : high - start] = data[low - offset : high - offset]
        self._position += count
        return count

    def write(self, data: Any, /) -> int:
        piece = bytes(data)
        self._writes.append((self._position, piece))
        self._position += len(piece)
        self._size = max(self._size, self._position)
        return len(piece)

    def commit(self) -> None:
        """Write the staged pieces to the disk and wait for it.

        Raises
        ------
        OSError
            The disk is full or not available. New pieces are removed again, so that the file is as before, unless the
            disk failed while old pieces were being replaced, which takes no new space.

        """
        end = self._old_size
        try:
            for offset, data in self._writes:
                put(self._file, max(offset, end), data[max(0, end - offset) :])
            cut(self._file, max(self._size, end))
            sync(self._file)
        except OSError:
            cut(self._file, end)
            raise
        # The superblock, at 0, contains the end of the file. It is written first, so that nothing points beyond that.
        for offset, data in sorted(self._writes, key=lambda write: write[0] != 0):
            put(self._file, offset, data[: max(0, end - offset)])
        sync(self._file)


@contextmanager
def changed_file(path: Path, *, create: bool = False) -> Iterator[Any]:
    """Open `path` in h5py for one change, which is written to the disk when the block ends without an error.

    Parameters
    ----------
    path
        The run's file.
    create
        Make a new file; one that exists already is an error.

    Raises
    ------
    RunFileError
        The file cannot be created, opened or written; it is unchanged. DiskSpaceError for lack of space.

    """
    try:
        with io.FileIO(path, "x+" if create else "r+") as file:
            staged = _StagedFile(file)
            with h5py.File(staged, "w" if create else "r+", libver=LIBVER) as h5:
                yield h5
            staged.commit()
    except _FAULTS as error:
        todo = "created" if create else "written"
        raise failed(f"{path}: cannot be {todo}", error) from error


@contextmanager
def replaced_file(path: Path) -> Iterator[Any]:
    """As `changed_file`, but the change is either complete or absent whenever the process is killed.

    The change is made in a copy that is then renamed, which is suitable for small files only.
    """
    making = making_path(path)
    try:
        shutil.copyfile(path, making)
        shutil.copymode(path, making)
        with changed_file(making) as h5:
            yield h5
        replace(making, path)
    except OSError as error:
        raise failed(f"{path}: cannot be written", error) from error
    finally:
        making.unlink(missing_ok=True)


# --- space and kind of the disk ---------------------------------------------------------------------------------------


def check_free_space(path: Path, needed: int) -> None:
    """Check that the disk of `path`, which need not exist yet, has room for `needed` bytes.

    Raises
    ------
    DiskSpaceError
        It has no room; the message has needed and free space.
    DataRootError
        The free space cannot be determined.

    """
    try:
        free = shutil.disk_usage(_existing(path)).free
    except OSError as error:
        raise DataRootError(f"data folder {path}: the free space of its disk is not known: {error}") from error
    if free < needed:
        raise DiskSpaceError(
            f"data folder {path}: the run needs up to {needed / 1e6:.1f} MB while it is measured, its disk has "
            f"{free / 1e6:.1f} MB left. Make room, choose another folder, or plan fewer points."
        )


def network_filesystem(path: Path) -> str:
    """Type of the network file system that holds `path`, such as "nfs4"; empty on a local disk or if not known."""
    place = _existing(path.resolve())
    mounts = [m for m in psutil.disk_partitions(all=True) if place.is_relative_to(m.mountpoint)]
    if not mounts:
        return "network share" if str(place).startswith("\\\\") else ""
    # Of several mounts of the same folder the last hides the others.
    kind = max(enumerate(mounts), key=lambda m: (len(Path(m[1].mountpoint).parts), m[0]))[1]
    if "remote" in kind.opts.split(","):  # Windows marks a mapped drive like this
        return kind.fstype or "network share"
    return kind.fstype if kind.fstype.lower() in _NETWORK else ""


def _existing(path: Path) -> Path:
    """`path`, or the nearest folder above it that exists."""
    return next((place for place in (path, *path.parents) if place.exists()), Path(path.anchor or "."))
