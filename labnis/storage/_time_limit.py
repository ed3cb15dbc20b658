"""A limit on the time of writes: a disk that never answers, such as that of a lost server, must not hold a run."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from labnis.storage.errors import RunFileError

__all__ = ["TimeLimit"]

ANSWERS_WITHIN = 30.0
"""Time (s) that the disk has for one write."""


class TimeLimit:
    """Whether the disk of one run answers; once it did not, nothing waits for it any more.

    Parameters
    ----------
    path
        The run's file.

    Attributes
    ----------
    exceeded
        Whether a write did not end in time.

    """

    def __init__(self, path: Path) -> None:
        self.exceeded = False
        self._path = path
        self._busy_since: float | None = None

    @contextmanager
    def watched(self) -> Iterator[None]:
        """A write of another thread, on which `check` looks."""
        self._busy_since = time.monotonic()
        try:
            yield
        finally:
            self._busy_since = None

    def check(self) -> None:
        """Raise RunFileError if the disk does not answer."""
        busy = self._busy_since
        if busy is not None and time.monotonic() - busy > ANSWERS_WITHIN:
            self.exceeded = True
        if self.exceeded:
            raise RunFileError(
                f"{self._path}: the disk has not answered for {ANSWERS_WITHIN:g} s. Is it a network folder whose "
                "server is away?"
            )

    def call(self, write: Callable[[], None]) -> None:
        """Call `write` in a thread of its own.

        Raises
        ------
        RunFileError
            The disk does not answer.
        BaseException
            What `write` raises.

        """
        self.check()
        failures: list[BaseException] = []

        def body() -> None:
            try:
                write()
            except BaseException as error:  # noqa: BLE001  # raised in the caller's thread
                failures.append(error)

        thread = threading.Thread(target=body, name="labnis-write", daemon=True)
        thread.start()
        thread.join(ANSWERS_WITHIN)
        if thread.is_alive():
            self.exceeded = True
            self.check()
        if failures:
            raise failures[0]
