"""Standard output and error that never wait for their reader.

A terminal that is paused (Ctrl-S), a pager, or a process that was stopped does not read: once its pipe is full, a write
waits for ever. Whoever ramps a bias to zero must not.
"""

import io
import os
import queue
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, TextIO, cast

__all__ = ["is_behind", "unblocked_output"]

MOST_WAITING = 1000
"""Pieces of text that wait for the reader; what comes after them is dropped."""

PATIENCE = 2.0
"""Time (s) that the reader has to take the last of it."""


class Unblocked(io.RawIOBase):
    """A stream to a file descriptor, which a thread of its own writes.

    Parameters
    ----------
    descriptor
        Of the file, which stays open.

    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._waiting: queue.Queue[bytes] = queue.Queue(MOST_WAITING)
        threading.Thread(target=self._body, name="labnis-output", daemon=True).start()

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]  # any buffer, in typeshed
        """Give `data` to the thread, or drop it if too much is waiting."""
        piece = bytes(data)
        with suppress(queue.Full):
            self._waiting.put_nowait(piece)
        return len(piece)

    @property
    def is_behind(self) -> bool:
        """Whether anything waits for the reader."""
        return self._waiting.unfinished_tasks > 0

    def drain(self, patience: float = PATIENCE) -> None:
        """Wait until all is written, for at most `patience` (s)."""
        deadline = time.monotonic() + patience
        while self.is_behind and time.monotonic() < deadline:
            time.sleep(0.01)

    def _body(self) -> None:
        while True:
            piece = self._waiting.get()
            with suppress(OSError):  # the reader has ended
                while piece:
                    piece = piece[os.write(self._descriptor, piece) :]
            self._waiting.task_done()


@contextmanager
def unblocked_output() -> Iterator[None]:
    """Let `sys.stdout` and `sys.stderr` be unblocked in the context, as far as they are files of the system."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(_unblocked, before)
    try:
        yield
    finally:
        streams = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = before
        for stream in streams:
            if (unblocked := _behind(stream)) is not None:
                unblocked.drain()


def is_behind(stream: TextIO) -> bool:
    """Whether text for an unblocked `stream` waits for its reader."""
    unblocked = _behind(stream)
    return unblocked is not None and unblocked.is_behind


def _unblocked(stream: TextIO) -> TextIO:
    try:
        stream.flush()
        raw = Unblocked(stream.fileno())
    except (OSError, ValueError):  # closed, or no file of the system
        return stream
    buffer = cast(BinaryIO, raw)  # text is written through: a raw stream will do
    return io.TextIOWrapper(buffer, stream.encoding, stream.errors or "backslashreplace", write_through=True)


def _behind(stream: TextIO) -> Unblocked | None:
    found = getattr(stream, "buffer", None)
    return found if isinstance(found, Unblocked) else None
