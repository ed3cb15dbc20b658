"""A run's journal: every change of the run, in order, one frame each, only ever appended to.

::

    frame     magic "LbJ1", kind (1 byte), 3 zero bytes, length of the payload (8), CRC-32 (4), payload
    CRC-32    of the first 16 bytes and the payload, continued from the CRC of the frame before

All numbers are little-endian. A frame counts only if its CRC is right, and the chain makes it wrong for a frame
that is torn, flipped, moved or missing its predecessor. So what a kill, a power cut or a bad disk leaves is a run
up to some frame, never one with a hole. The file is longer than its frames: the room for the next ones is taken
from the disk ahead of time, so that a disk that gets full never takes the last rows and the end of a run with it.
"""

import io
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from labnis.storage import _disk

__all__ = ["Frame", "Journal", "JournalReader", "journal_path"]

MAGIC = b"LbJ1"
_START = struct.Struct("<4sB3xQ")
_CRC = struct.Struct("<I")
HEADER_BYTES = _START.size + _CRC.size

# Room kept ahead of the frames, and the steps in which it is taken.
RESERVE_BYTES = 1 << 20
STEP_BYTES = 4 << 20
# What remains of the room after `release`.
LAST_BYTES = 1 << 18


def journal_path(run: Path) -> Path:
    """Where the journal of the run at `run` lies: beside it, under a name that no search for HDF5 files finds."""
    return run.with_name(f"{run.name}.journal")


class Journal:
    """A journal being written.

    Parameters
    ----------
    path
        A new file; one that exists already is an error.

    Attributes
    ----------
    full
        The disk's refusal to give more room ahead; None while all is well. What was appended is written all the
        same, as long as the room lasts.

    Raises
    ------
    OSError
        The file cannot be made or the disk has no room for it.

    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.full: OSError | None = None
        self._file = io.FileIO(path, "x+")
        self._end = self._allocated = self._crc = self._largest = 0
        try:
            self._keep_ahead(0)
            if self.full is not None:
                raise self.full
        except OSError:
            self.discard()
            raise

    def append(self, kind: int, *pieces: Any) -> None:
        """Add one frame with the bytes of all `pieces`. It is safe from a power cut only after `sync`.

        Raises
        ------
        OSError
            It cannot be written; the journal is as it was.

        """
        views = [memoryview(piece).cast("B") for piece in pieces]
        length = sum(view.nbytes for view in views)
        start = _START.pack(MAGIC, kind, length)
        crc = zlib.crc32(start, self._crc)
        for view in views:
            crc = zlib.crc32(view, crc)
        self._keep_ahead(HEADER_BYTES + length)
        _disk.put(self._file, self._end, start + _CRC.pack(crc))
        position = self._end + HEADER_BYTES
        for view in views:
            _disk.put(self._file, position, view)
            position += view.nbytes
        self._end, self._crc = position, crc
        self._allocated = max(self._allocated, position)

    def mark(self) -> tuple[int, int]:
        """Where the journal ends now, for `back_to`."""
        return self._end, self._crc

    def back_to(self, mark: tuple[int, int]) -> None:
        """Forget the frames since `mark`: the next one is written over them."""
        self._end, self._crc = mark

    def sync(self) -> None:
        """Wait until the disk has all frames."""
        _disk.sync(self._file)

    @property
    def is_in_place(self) -> bool:
        """Whether the file is still where it was made: the folder may have been removed or moved."""
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._file.fileno()))
        except OSError:
            return False

    def release(self) -> None:
        """Give most of the room ahead back to the disk, so that others, the HDF5 file above all, have it."""
        self._allocated = min(self._allocated, self._end + LAST_BYTES)
        _disk.cut(self._file, self._allocated)

    def move(self, path: Path) -> None:
        """Give the file another name on the same disk."""
        self.path.rename(path)
        self.path = path

    def copied_to(self, path: Path) -> "Journal":
        """Copy all frames to a new journal elsewhere, also if this file has no name any more, and go on there.

        Raises
        ------
        OSError
            This file cannot be read, or the other not be written.

        """
        copy = Journal(path)
        position = 0
        while position < self._end:
            self._file.seek(position)
            piece = self._file.read(min(STEP_BYTES, self._end - position))
            if not piece:
                raise OSError(f"{self.path}: cannot be read back from byte {position} on")
            _disk.put(copy._file, position, piece)
            position += len(piece)
        copy._end, copy._crc, copy._largest = self._end, self._crc, self._largest
        copy._allocated = max(copy._allocated, self._end)
        copy.sync()
        self._file.close()
        return copy

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def discard(self) -> None:
        """Close and remove the file."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _keep_ahead(self, length: int) -> None:
        """Take room for a frame of `length` and the reserve behind it; note it where there is none."""
        self._largest = max(self._largest, length)
        needed = self._end + length + max(RESERVE_BYTES, 2 * self._largest)
        if needed <= self._allocated:
            return
        for end in (needed + STEP_BYTES, needed):
            try:
                _disk.allocate(self._file, self._allocated, end)
            except OSError as error:
                if not _disk.is_full(error):
                    raise
                self.full = error
            else:
                self._allocated = end
                self.full = None
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class Frame:
    """One change of the run, as bytes whose CRC was right."""

    kind: int
    payload: bytes


class JournalReader:
    """Reads the frames of a journal up to the first one that is not whole.

    Attributes
    ----------
    damage
        After all frames were read: what ended them, empty if nothing but unused room follows.
    end
        After all frames were read: where they end (byte).

    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damage = ""
        self.end = 0

    def __iter__(self) -> Iterator[Frame]:
        self.damage, self.end = "", 0
        with self.path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            crc = 0
            while True:
                start = file.read(_START.size)
                rest = file.read(_CRC.size)
                if not (start + rest).strip(b"\0"):
                    self._check_unused(file)
                    return
                problem, length = self._problem(start, rest, size)
                if problem:
                    self.damage = f"byte {self.end}: {problem}"
                    return
                payload = file.read(length)
                crc = zlib.crc32(payload, zlib.crc32(start, crc))
                if len(payload) < length or crc != _CRC.unpack(rest)[0]:
                    self.damage = f"byte {self.end}: the frame there is damaged or was never completed"
                    return
                self.end += HEADER_BYTES + length
                yield Frame(start[4], payload)

    def _problem(self, start: bytes, rest: bytes, size: int) -> tuple[str, int]:
        if len(start) < _START.size or len(rest) < _CRC.size:
            return "the journal ends within a frame", 0
        magic, _, length = _START.unpack(start)
        if magic != MAGIC:
            return "no frame begins there", 0
        if length > size - self.end - HEADER_BYTES:
            return "the frame there is longer than the journal", 0
        return "", length

    def _check_unused(self, file: Any) -> None:
        """Behind the last frame is nothing but zeros; anything else has lost its beginning."""
        while piece := file.read(STEP_BYTES):
            if piece.strip(b"\0"):
                self.damage = f"byte {self.end}: a hole, with something behind it"
                return
