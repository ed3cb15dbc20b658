"""Heartbeats: a run and its guardian tell each other until when they may be silent.

Each writes lines to the other: a word, and sometimes one more. A line `alive TIME` says that the next one comes before
TIME, of the monotonic clock, which all processes of a machine share. No thread of its own writes it, because that would
continue while the process hangs: each declares, before it does something, how long it takes.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import IO

__all__ = [
    "ACTING",
    "ALIVE",
    "AWAKE",
    "ENDED",
    "FAILED",
    "GIVES_UP",
    "LOG",
    "MOVES",
    "NOT_SAFE",
    "READY",
    "RELEASE",
    "SAFE",
    "Heartbeat",
    "say",
]

ALIVE = "alive"
"""Before the time that follows comes another line."""

MOVES, ENDED = "moves", "ended"
"""Of a run: the role that follows is moved from now on; it is at its end."""

LOG = "log"
"""Of a run: the path that follows, as JSON, is that of its log file; the guardian's reports belong there, too."""

AWAKE = "awake"
"""Of a run that was silent for too long: it sets nothing any more, and waits for SAFE or NOT_SAFE."""

GIVES_UP = "gives-up"
"""As AWAKE, of a run that could not bring to its end what it had moved."""

RELEASE, FAILED = "release", "failed"
"""Last line of a run: all that it moved is at its end; or it is not. No line means that the run died."""

READY, ACTING = "ready", "acting"
"""Of a guardian: it can act; it acts, because the run is silent for too long."""

SAFE, NOT_SAFE = "safe", "not-safe"
"""Answer of a guardian to AWAKE, followed by a sentence."""

FINEST = 0.2
"""Smallest change (s) of the declared time that is written."""


class Heartbeat:
    """Declares how long this process may be silent.

    Parameters
    ----------
    write
        Writes one line to the other process.
    margin
        Time (s) that it takes between two declarations beside what it declares.

    Attributes
    ----------
    until
        Declared monotonic time (s).

    """

    def __init__(self, write: Callable[[str], None], margin: float) -> None:
        self.until = 0.0
        self._write = write
        self._margin = margin

    def declare(self, seconds: float) -> None:
        """Declare that the next declaration comes within `seconds` and the margin."""
        until = time.monotonic() + seconds + self._margin
        if abs(until - self.until) >= FINEST:
            self.until = until
            self._write(f"{ALIVE} {until!r}")


def say(stream: IO[str] | None, line: str) -> None:
    """Write one line to the other process; without effect if it has ended, which is noticed elsewhere."""
    if stream is not None:
        with suppress(OSError, ValueError):  # ValueError: closed by now
            stream.write(line + "\n")
            stream.flush()
