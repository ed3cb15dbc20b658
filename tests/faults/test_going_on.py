"""A procedure that goes on where it should end: the bias is at zero, the output off, and the run's file its own."""

import signal

import pytest

from labnis.storage import read_metadata
from tests.faults.measuring import SWEEP, Lab, kill, wait_for

MINE = "tests.faults.lab_procedures"
WARM = [[0.0, 0.02], [1.0, 0.5]]


@pytest.mark.parametrize("procedure", ["CatchesEverything", "CatchesEvenStopping"])
@pytest.mark.parametrize("cause", ["signal", "interlock"])
def test_a_procedure_that_catches_what_ends_it(lab: Lab, procedure: str, cause: str) -> None:
    lab.write_station(fridge_abort=0.15)
    process = lab.start("run", f"{MINE}.{procedure}", "--yes", *SWEEP)
    try:
        wait_for(lambda: bool(lab.source()["output"]) and lab.source()["level"] > 1e-3, process)
        if cause == "signal":
            process.send_signal(signal.SIGINT)
        else:
            lab.control(do="temperatures", schedule=WARM)
        wait_for(lambda: not lab.source()["output"], within=20.0)
        lab.assert_safe()
        if procedure == "CatchesEverything":
            lab.ended(process, 130 if cause == "signal" else 4)
            assert read_metadata(lab.run_file)["status"] == "aborted"
    finally:
        kill(process)
    lab.assert_safe()


def test_a_forked_process_that_comes_back_is_not_the_run(lab: Lab) -> None:
    answer = lab.run(procedure=f"{MINE}.ForkComesBack", points=21)
    assert answer.returncode == 0, answer.stderr
    assert read_metadata(lab.run_file)["status"] == "done"
    assert lab.rows() == 21
    lab.assert_safe()


def test_a_thread_that_never_ends_does_not_keep_the_command(lab: Lab) -> None:
    answer = lab.run(procedure=f"{MINE}.LeavesThread", points=21)
    assert answer.returncode == 0, answer.stderr
    assert "the thread forgotten has not ended and is left" in answer.stderr
    assert read_metadata(lab.run_file)["status"] == "done"
