"""The journal of a run: every change of the run in order, one frame each, only ever appended.

::

    frame     magic "LbJ1", kind (1 byte), 3 zero bytes, length of the payload (8), CRC-32 (4), payload
    CRC-32    of the first 16 bytes and the payload, continued from the CRC of the frame before

All numbers are little-endian. A frame counts only if its CRC is right, and the chain makes it wrong for a frame that
is incomplete, changed, moved or missing its predecessor. Therefore a kill, a power cut or a bad disk leaves a run up
to some frame, never one with a gap. The file is longer than its frames: disk space for the next ones is reserved in
advance, so that the last rows and the end of a run can be written when the disk becomes full.
"""

import io
import os
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labnis.storage import _disk

__all__ = ["RESERVE_BYTES", "STEP_BYTES", "Frame", "Journal", "JournalReader", "journal_path"]

MAGIC = b"LbJ1"
_START = struct.Struct("<4sB3xQ")
_CRC = struct.Struct("<I")
HEADER_BYTES = _START.size + _CRC.size

# Space reserved behind the frames, and the steps in which it is reserved.
RESERVE_BYTES = 1 << 20
STEP_BYTES = 4 << 20
# Space that stays reserved after `release`.
LAST_BYTES = 1 << 18


def journal_path(run: Path) -> Path:
    """Path of the journal of the run at `run`: beside it, with a name that does not end like an HDF5 file."""
    return run.with_name(f"{run.name}.journal")


class Journal:
    """A journal being written.

    Parameters
    ----------
    path
        A new file; an existing one is an error.

    Attributes
    ----------
    full
        Error of the last attempt to reserve disk space; None if it succeeded. Frames are still written as long as
        the reserved space lasts.

    Raises
    ------
    OSError
        The file cannot be created or the disk has no space for it.

    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.full: OSError | None = None
        self._file = io.FileIO(path, "x+")
        self._end = self._allocated = self._crc = self._largest = 0
        self._durable = 0, 0  # end and checksum of what the disk has confirmed
        try:
            self._reserve(0)
            if self.full is not None:
                raise self.full
        except OSError:
            self.discard()
            raise

    def append(self, frames: Iterable[tuple[int, Sequence[Any]]]) -> None:
        """Add frames, each of a kind and pieces of bytes; they are safe from a power cut when this returns.

        Raises
        ------
        OSError
            They cannot be written; the journal ends where it ended before.

        """
        before = self._end, self._crc
        try:
            for kind, pieces in frames:
                self._append(kind, [memoryview(piece).cast("B") for piece in pieces])
            _disk.sync(self._file)
        except OSError:
            self._end, self._crc = before  # the next frame overwrites what was written
            raise
        self._durable = self._end, self._crc

    def _append(self, kind: int, pieces: Sequence[memoryview]) -> None:
        length = sum(piece.nbytes for piece in pieces)
        start = _START.pack(MAGIC, kind, length)
        crc = zlib.crc32(start, self._crc)
        for piece in pieces:
            crc = zlib.crc32(piece, crc)
        self._reserve(HEADER_BYTES + length)
        position = self._end
        for piece in (memoryview(start + _CRC.pack(crc)), *pieces):
            _disk.put(self._file, position, piece)
            position += len(piece)
        self._end, self._crc = position, crc
        self._allocated = max(self._allocated, position)

    @property
    def is_in_place(self) -> bool:
        """Whether the file is still at its path: the folder may have been removed or moved."""
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._file.fileno()))
        except OSError:
            return False

    def release(self) -> None:
        """Return most of the reserved space to the disk, where the HDF5 file may need it."""
        self._allocated = min(self._allocated, self._end + LAST_BYTES)
        _disk.cut(self._file, self._allocated)

    def move(self, path: Path) -> None:
        """Rename the file on the same disk."""
        self.path.rename(path)
        self.path = path

    def copied_to(self, path: Path) -> "Journal":
        """Copy all frames to a new journal at `path`, also if this file has been removed, and close this one.

        Raises
        ------
        OSError
            This file cannot be read, or the new one not be written.

        """
        copy = self._copied(path, self._end, self._crc)
        self._file.close()
        return copy

    def durable_copy(self, path: Path) -> "Journal":
        """Copy the frames that the disk has confirmed to a new journal at `path`, while a further one is written."""
        return self._copied(path, *self._durable)

    def _copied(self, path: Path, end: int, crc: int) -> "Journal":
        copy = Journal(path)
        position = 0
        while position < end:
            piece = os.pread(self._file.fileno(), min(STEP_BYTES, end - position), position)
            if not piece:
                raise OSError(f"{self.path}: cannot be read back from byte {position} on")
            _disk.put(copy._file, position, piece)
            position += len(piece)
        copy._end, copy._crc, copy._largest = end, crc, self._largest
        copy._allocated = max(copy._allocated, end)
        _disk.sync(copy._file)
        copy._durable = end, crc
        return copy

    def discard(self) -> None:
        """Close and remove the file."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _reserve(self, length: int) -> None:
        """Reserve space for a frame of `length` and more behind it; keep the error where there is none."""
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
        After iteration: why it ended, empty if only unused space follows. What decodes the frames sets it, too.

    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damage = ""

    def __iter__(self) -> Iterator[Frame]:
        self.damage = ""
        if self.path.exists() and not self.path.is_file():
            raise OSError(f"{self.path}: is no ordinary file")
        with self.path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            crc = position = 0
            while True:
                start = file.read(_START.size)
                rest = file.read(_CRC.size)
                problem, length = _checked_header(start, rest, size - position - HEADER_BYTES)
                if not (start + rest).strip(b"\0"):
                    problem = _checked_unused(file)
                elif not problem:
                    payload = file.read(length)
                    crc = zlib.crc32(payload, zlib.crc32(start, crc))
                    if len(payload) < length or crc != _CRC.unpack(rest)[0]:
                        problem = "the frame there is damaged or was never completed"
                    else:
                        position += HEADER_BYTES + length
                        yield Frame(start[4], payload)
                        continue
                self.damage = problem and f"byte {position}: {problem}"
                return


def _checked_header(start: bytes, rest: bytes, left: int) -> tuple[str, int]:
    """Problem of a frame's header, of which `left` bytes of the file follow, and length of the payload."""
    if len(start) < _START.size or len(rest) < _CRC.size:
        return "the journal ends within a frame", 0
    magic, _, length = _START.unpack(start)
    if magic != MAGIC:
        return "no frame begins there", 0
    return ("the frame there is longer than the journal" if length > left else ""), length


def _checked_unused(file: Any) -> str:
    """Problem of what follows the last frame: it must be zero."""
    while piece := file.read(STEP_BYTES):
        if piece.strip(b"\0"):
            return "a gap, with data behind it"
    return ""
