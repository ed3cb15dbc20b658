"""Change an HDF5 file in memory, then carry the finished change to disk in a safe order.

HDF5 writes its own bookkeeping in many small pieces; a kill, a full disk or a reader between two of them
finds a broken file, and a failed write inside HDF5 may even crash the interpreter at exit. Here HDF5
sees a file object that keeps its writes in memory. Only when HDF5 is done with all of them do they go to
disk: first what lies behind the old end of the file, which nothing refers to yet, then the few pieces in
front of it. A full disk is then a plain OSError and the file is as it was. HDF5's file locks are not
involved, so that no reader, in this process or another, ever stops a writer.
"""

import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from labnis.storage import _disk

__all__ = ["changed_file", "making_path", "replaced_file"]

# Superblock version 0 has no "open for writing" mark that a kill could leave behind; HDF5 1.10 reads it.
LIBVER = ("earliest", "v110")

# The disk's errors, and what h5py raises on a damaged file.
_FAULTS = (OSError, RuntimeError, KeyError, ValueError)


class _StagedFile(io.RawIOBase):
    """An open file plus writes that are kept in memory."""

    def __init__(self, file: io.FileIO) -> None:
        self._file = file
        self._old_size = os.fstat(file.fileno()).st_size
        self._size = self._old_size
        self._position = 0
        self._writes: list[tuple[int, bytes]] = []

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

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
        """Carry the staged writes to disk and wait until the disk has them.

        Raises
        ------
        OSError
            Disk full or gone. New pieces are taken back, so that the file is as before unless the disk failed
            while old pieces were being replaced, which takes no new space.

        """
        end = self._old_size
        try:
            for offset, data in self._writes:
                _disk.put(self._file, max(offset, end), data[max(0, end - offset) :])
            _disk.cut(self._file, max(self._size, end))
            _disk.sync(self._file)
        except OSError:
            _disk.cut(self._file, end)
            raise
        # The superblock, at 0, says where the file ends: first, so that nothing ever points beyond its end.
        for offset, data in sorted(self._writes, key=lambda write: write[0] != 0):
            _disk.put(self._file, offset, data[: max(0, end - offset)])
        _disk.sync(self._file)


@contextmanager
def changed_file(path: Path, *, create: bool = False) -> Iterator[Any]:
    """Open `path` in h5py for one change, which goes to disk when the block ends without an error.

    Parameters
    ----------
    path
        The run's file.
    create
        Make a new file; one that exists already is an error.

    Raises
    ------
    RunFileError
        The file cannot be created, opened or written; names it. It is as it was before. DiskSpaceError where
        that is for lack of room.

    """
    try:
        with io.FileIO(path, "x+" if create else "r+") as file:
            staged = _StagedFile(file)
            with h5py.File(staged, "w" if create else "r+", libver=LIBVER) as h5:
                yield h5
            staged.commit()
    except _FAULTS as error:
        todo = "created" if create else "written"
        raise _disk.failed(f"{path}: cannot be {todo}", error) from error


@contextmanager
def replaced_file(path: Path) -> Iterator[Any]:
    """As `changed_file`, but for a change that takes effect as a whole or not at all, whenever this is killed.

    The change is made in a copy that then takes the file's name, which is right for small files only.
    """
    making = making_path(path)
    try:
        shutil.copyfile(path, making)
        with changed_file(making) as h5:
            yield h5
        _disk.replace(making, path)
    except OSError as error:
        raise _disk.failed(f"{path}: cannot be written", error) from error
    finally:
        making.unlink(missing_ok=True)


def making_path(path: Path) -> Path:
    """Where a file is until it may have the name `path`."""
    return path.with_name(f"{path.name}.making")
