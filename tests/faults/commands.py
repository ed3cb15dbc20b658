"""labnis commands as processes of their own, without the two seconds that each would spend on its imports.

They are forked from a server that has imported labnis and done nothing else. Their guardians are started as always.
Where the start itself is what a test is about, `python -m labnis.cli` is run instead.
"""

import fcntl
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from labnis import cli

# What `labnis` imports only when it is asked for.
from labnis.cli import checking, cooldowns, looking, measuring, recovering, replaying, rescuing  # noqa: F401

__all__ = ["Command", "completed"]

_FORK = multiprocessing.get_context("forkserver")
_FORK.set_forkserver_preload([__name__])


class Command:
    """`labnis WORDS`, begun; the part of `subprocess.Popen` that the tests need.

    Parameters
    ----------
    words
        Arguments.
    environment
        Set in addition to this process's own.

    """

    def __init__(self, words: tuple[str, ...], environment: Mapping[str, str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="labnis-command-")
        self._out, self._err = Path(self._folder.name) / "out", Path(self._folder.name) / "err"
        self._words = words
        given = {**os.environ, **environment}
        self._process = _FORK.Process(target=_in_child, args=(words, given, self._out, self._err))
        self._process.start()

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """As of the last `poll` or `wait`; minus the signal's number where one ended it."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self._words, timeout or 0.0, *map(_text, (self._out, self._err)))
        return self._process.exitcode

    def communicate(self, timeout: float = 90.0) -> tuple[str, str]:
        """What it wrote, once it and its guardian have ended."""
        deadline = time.monotonic() + timeout
        self.wait(timeout)
        while not self._let_go():
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(self._words, timeout, *map(_text, (self._out, self._err)))
            time.sleep(0.01)
        return _text(self._out), _text(self._err)

    def send_signal(self, signum: int) -> None:
        """Send a signal, if it is still there."""
        if self.poll() is None:
            os.kill(self.pid, signum)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def guardian(self) -> psutil.Process | None:
        """Its guardian, while both are there."""
        try:
            children = psutil.Process(self.pid).children()
            return next((child for child in children if "labnis.safety.guardian_process" in child.cmdline()), None)
        except psutil.NoSuchProcess:
            return None

    def _let_go(self) -> bool:
        """Whether no process, including the guardian that inherited it, can write to its standard error any more."""
        if not self._err.exists():  # killed before it had begun
            return True
        with self._err.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True


def completed(words: tuple[str, ...], environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """`labnis WORDS`, to its end."""
    command = Command(words, environment)
    try:
        out, err = command.communicate()
    finally:
        command.kill()
    return subprocess.CompletedProcess(words, command.wait(), out, err)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _in_child(words: tuple[str, ...], environment: Mapping[str, str], out: Path, err: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for number, path in ((1, out), (2, err)):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(handle, number)
        os.close(handle)
    fcntl.flock(2, fcntl.LOCK_EX)  # held by all processes with this standard error, see `Command._let_go`
    sys.argv = ["labnis", *words]
    cli.main()
