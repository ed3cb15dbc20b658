"""labnis commands in children of a process that has imported everything: a thousand starts cost no imports.

Only the runs are started so. The guardian of each is what it always is: a process of its own.
"""

import multiprocessing
import os
import signal
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from labnis import cli
from tests.faults.measuring import Lab, wait_for

__all__ = ["Command"]

_FORK = multiprocessing.get_context("fork")


class Command:
    """`labnis WORDS` with the lab's station and data folder, begun."""

    def __init__(self, lab: Lab, *words: str) -> None:
        self._said = lab.folder / f"said-{time.monotonic_ns()}.txt"
        arguments = [*words, "--station", str(lab.station), "--data", str(lab.data)]
        self._process: BaseProcess = _FORK.Process(target=_in_child, args=(arguments, self._said))
        self._process.start()
        self._guardians: list[psutil.Process] = []

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return self._process.is_alive()

    def kill(self) -> float:
        """SIGKILL; returns the monotonic time at which it was sent."""
        self._note_guardian()
        at = time.monotonic()
        self._process.kill()
        self._process.join()
        return at

    def wait(self, patience: float = 120.0) -> int:
        """The exit code, when the command and its guardian have ended."""
        deadline = time.monotonic() + patience
        while self.running and time.monotonic() < deadline:
            self._note_guardian()
            self._process.join(0.05)
        if self.running:
            os.kill(self._process.pid or 0, signal.SIGKILL)
            raise AssertionError(f"hung for {patience:g} s: {self.said()}")
        self.wait_for_guardian()
        return self._process.exitcode or 0

    def wait_for_guardian(self) -> None:
        """Wait until the guardian has done what it is for."""
        wait_for(lambda: not any(_alive(one) for one in self._guardians), within=90.0)

    def said(self) -> str:
        """What the command and its guardian wrote."""
        return self._said.read_text(encoding="utf-8", errors="replace")

    def _note_guardian(self) -> None:
        try:
            children = psutil.Process(self._process.pid).children()
        except psutil.NoSuchProcess:
            return
        self._guardians = children or self._guardians


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _in_child(arguments: list[str], said: Path) -> None:
    os.setsid()
    handle = os.open(said, os.O_WRONLY | os.O_CREAT)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    sys.argv = ["labnis", *arguments]
    cli.main()
