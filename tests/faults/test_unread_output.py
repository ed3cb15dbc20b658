"""Nobody reads what a guardian writes, as on a paused terminal or behind a stopped run: it acts all the same."""

import fcntl
import os
import signal
from contextlib import suppress

import pytest

from tests.faults.measuring import SWEEP, Lab, kill, wait_for

SMALLEST_PIPE = 4096
"""Bytes that a pipe holds at least."""


def fill(pid: int, descriptor: int) -> None:
    """Fill the pipe to which a process writes, and that nobody reads."""
    pipe = os.open(f"/proc/{pid}/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK)
    fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, SMALLEST_PIPE)
    with suppress(BlockingIOError):
        while True:
            os.write(pipe, b"x")
    os.close(pipe)


@pytest.mark.parametrize("fault", ["disconnect", "drop"])
def test_a_terminal_that_is_paused(lab: Lab, fault: str) -> None:
    process = lab.under_way(lab.start_interpreter("run", "IVSweep", "--yes", "--set", "points=2001", *SWEEP))
    try:
        fill(process.pid, 2)
        # Of either the guardian says more than fits into the pipe.
        if fault == "disconnect":
            lab.fault("bias", fault, seconds=3.0)
        else:
            lab.fault("bias", fault, ":SOUR:VOLT?")
        kill(process)
        wait_for(lambda: not lab.source()["output"])
    finally:
        process.kill()
        process.communicate()
    lab.assert_safe()


def test_a_run_that_is_stopped_while_its_source_is_away(lab: Lab) -> None:
    lab.write_station(unresponsive=1.0)
    process = lab.begin_sweep()
    guardian = process.guardian()
    assert guardian is not None
    lab.fault("bias", "disconnect", seconds=5.0)
    os.kill(process.pid, signal.SIGSTOP)
    try:
        fill(guardian.pid, 1)
        wait_for(lambda: not lab.source()["output"])
        lab.assert_safe()
    finally:
        kill(process)
