"""A process that is stopped or hangs is not dead: run and guardian notice each other's silence."""

import os
import signal
import time
from itertools import pairwise

import psutil  # type: ignore[import-untyped]
import pytest

from labnis.storage import read_metadata
from tests.faults.commands import Command
from tests.faults.measuring import Lab, kill, wait_for

UNRESPONSIVE = 1.0
"""Of the station (s); the shortest that is allowed."""

DECLARED = 2.5
"""Longest time (s) until the guardian acts, beside UNRESPONSIVE: the run's margin (1 s), and opening the source."""

FORKS = "tests.faults.lab_procedures.ForksWorker"


@pytest.fixture
def lab(lab: Lab) -> Lab:
    lab.write_station(unresponsive=UNRESPONSIVE)
    return lab


def stopped(*pids: int) -> float:
    """SIGSTOP, and the monotonic time at which it was sent."""
    at = time.monotonic()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    return at


def guardian_of(process: Command) -> int:
    guardian = process.guardian()
    assert guardian is not None
    return int(guardian.pid)


def sweep(lab: Lab, procedure: str) -> Command:
    settings = ("maximum_bias=4e-3", "points=4001", "time_constant=0.001", "settling_time=0")
    words = [word for setting in settings for word in ("--set", setting)]
    return lab.under_way(lab.start("run", procedure, "--yes", *words))


def first_move(lab: Lab, since: float) -> float:
    """Time of the first step of the ramp to zero."""
    return next(b.time for a, b in pairwise(lab.trajectory(since)) if abs(b.level) < abs(a.level) - 1e-5)


@pytest.mark.parametrize("procedure", ["IVSweep", FORKS])
def test_a_stopped_run_loses_its_bias_and_ends_with_5_when_it_wakes(lab: Lab, procedure: str) -> None:
    process = sweep(lab, procedure)
    at = stopped(process.pid)
    wait_for(lambda: not lab.source()["output"])
    assert first_move(lab, at) - at <= UNRESPONSIVE + DECLARED
    lab.assert_safe()
    time.sleep(1.5)  # longer than the guardian's first pause: it looks again, and finds nothing to do
    os.kill(process.pid, signal.SIGCONT)
    woken = time.monotonic()
    said = lab.ended(process, 5)
    assert "did not respond" in said
    assert "its guardian acts in its place: the bias was" in said.lower()
    assert "bias UNKNOWN" not in said
    assert all(point.level == 0.0 and not point.output for point in lab.trajectory(woken))
    after = [entry.text for entry in lab.log if entry.time > woken and entry.direction == "in"]
    assert not [text for text in after if text.startswith("SLVL ")], "the procedure's shutdown was called"
    assert "does not respond; the bias was" in lab.run_file.with_suffix(".log").read_text(encoding="utf-8")
    lab.assert_safe()
    known = read_metadata(lab.run_file)
    assert known["status"] == "failed"
    assert "did not respond" in known["reason"]


def test_with_the_default_values_a_stopped_run_keeps_its_bias_for_seven_seconds_at_most(lab: Lab) -> None:
    lab.write_station()
    text = lab.station.read_text(encoding="utf-8")  # QCoDeS's VISA timeout is 5 s, as limits.unresponsive is
    lab.station.write_text(text.replace(", init: {timeout: 1}", ""), encoding="utf-8")
    process = sweep(lab, "IVSweep")
    at = stopped(process.pid)
    lab.assert_safe()
    os.kill(process.pid, signal.SIGCONT)
    lab.ended(process, 5)
    assert first_move(lab, at) - at <= 5.0 + 2.0


def test_a_stopped_run_does_not_keep_labnis_safe_from_its_work(lab: Lab) -> None:
    process = sweep(lab, "IVSweep")
    stopped(process.pid)
    assert lab.safe().returncode == 0
    lab.assert_safe()
    process.wait(10)


def _ended(pid: int) -> bool:
    """Whether a process is gone, or waits only for its parent to take notice."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("procedure", ["IVSweep", FORKS])
def test_a_stopped_guardian_ends_the_run_within_two_seconds(lab: Lab, procedure: str) -> None:
    process = sweep(lab, procedure)
    guardian = guardian_of(process)
    at = stopped(guardian)
    said = lab.ended(process, 4)
    assert "the guardian process does not respond" in said
    assert first_move(lab, at) - at <= 2.0
    lab.assert_safe()
    wait_for(lambda: _ended(guardian))


def test_a_guardian_that_is_stopped_at_the_end_does_not_hold_the_run(lab: Lab) -> None:
    process = lab.start("run", "tests.faults.lab_procedures.StopsItsGuardian", "--yes", "--set", "points=21")
    lab.ended(process, 0)
    lab.assert_safe()


@pytest.mark.parametrize("procedure", ["IVSweep", FORKS])
@pytest.mark.parametrize("woken", ["run", "guardian first", "both"])
def test_run_and_guardian_are_stopped_together(lab: Lab, woken: str, procedure: str) -> None:
    process = sweep(lab, procedure)
    guardian = guardian_of(process)
    stopped(process.pid, guardian)
    time.sleep(UNRESPONSIVE + DECLARED)  # neither can act in this time
    if woken != "run":
        os.kill(guardian, signal.SIGCONT)
    if woken == "guardian first":
        lab.assert_safe()
    os.kill(process.pid, signal.SIGCONT)
    # A run whose guardian does not answer ramps to zero itself.
    lab.ended(process, 4 if woken == "run" else 5)
    lab.assert_safe()


def test_a_forked_worker_that_keeps_the_pipe_open_does_not_hide_the_death_of_the_run(lab: Lab) -> None:
    process = sweep(lab, FORKS)
    workers = [child for child in psutil.Process(process.pid).children() if child.pid != guardian_of(process)]
    assert workers
    killed = kill(process)
    try:
        lab.assert_safe(killed)
        assert next(point.time for point in lab.trajectory(killed)) - killed <= 1.0
        assert all(worker.is_running() for worker in workers)
    finally:
        for worker in workers:
            worker.kill()


def test_a_call_that_blocks_as_long_as_it_has_declared_is_not_ended(lab: Lab) -> None:
    answer = lab.run(procedure="tests.faults.lab_procedures.BlocksDeclared", points=41)
    assert answer.returncode == 0, answer.stderr
    assert "guardian" not in answer.stderr
    assert lab.rows() == 41


def test_a_call_that_blocks_longer_than_declared_ends_the_run(lab: Lab) -> None:
    answer = lab.run(procedure="tests.faults.lab_procedures.BlocksUndeclared", points=41)
    assert answer.returncode == 5, answer.stderr
    assert "roles.blocking(seconds)" in answer.stderr
    lab.assert_safe()
