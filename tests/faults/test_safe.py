"""`labnis safe`, from another terminal and without any run's cooperation: zero, proved; or UNKNOWN, and what to do."""

import json
import os
import signal

import pytest

from labnis.station.lock_file import lock_file, shared_folder
from labnis.station.lock_names import lock_name_of_station
from labnis.storage import read_metadata
from tests.faults.measuring import Lab, kill, wait_for


def safe(lab: Lab) -> tuple[int, str, str]:
    answer = lab.safe()
    return answer.returncode, answer.stdout, answer.stderr


def test_a_source_that_somebody_left_on(lab: Lab) -> None:
    lab.leave(2e-3, output=True)
    code, said, error = safe(lab)
    assert code == 0, error
    assert "the bias was 0.002 V with the output on; it is 0 V now, read back, and the output is off" in said
    lab.assert_safe()


def test_nothing_to_do(lab: Lab) -> None:
    code, said, error = safe(lab)
    assert code == 0, error
    assert "0 V with the output off" in said
    lab.assert_safe()


def test_a_run_that_is_going_on_is_ended(lab: Lab) -> None:
    process = lab.begin_sweep()
    code, said, error = safe(lab)
    assert code == 0, error
    assert f"the run (process {process.pid}) was asked to stop and has ended" in said
    lab.ended(process, 143)
    lab.assert_safe()
    assert read_metadata(lab.run_file)["status"] == "aborted"


def test_a_run_that_hangs_is_killed(lab: Lab) -> None:
    process = lab.begin_sweep()
    os.kill(process.pid, signal.SIGSTOP)
    try:
        code, said, error = safe(lab)
        assert code == 0, error
        assert "did not stop within 15 s and was killed" in said
        lab.assert_safe()
    finally:
        kill(process)


@pytest.mark.parametrize("pid", [-1, 1, "parent"])
def test_a_forged_note_ends_no_process(lab: Lab, pid: int | str) -> None:
    process = lab.begin_sweep()
    note = {"pid": os.getpid() if pid == "parent" else pid, "host": "lab", "command": "labnis", "since": "today"}
    lock_file(lock_name_of_station(lab.station), shared_folder()).write_text(json.dumps(note))
    code, said, error = safe(lab)
    assert code == 3, said
    assert "No signal was sent" in error or "`fuser " in error
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    lab.ended(process, 130)
    lab.assert_safe()


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 143), (signal.SIGINT, 130)])
def test_a_signal_during_its_ramp_does_not_leave_the_ramp_half_way(lab: Lab, signum: int, code: int) -> None:
    lab.leave(6e-3, output=True)
    process = lab.start_without_data_option("safe")
    wait_for(lambda: lab.source()["level"] < 5.9e-3, process)
    process.send_signal(signum)
    said, error = process.communicate()
    assert process.returncode == code, error
    assert "it is 0 V now" in said
    assert "the bias is at zero" in error
    lab.assert_safe()


def test_a_source_that_cannot_be_reached(lab: Lab) -> None:
    lab.leave(2e-3, output=True)
    lab.fault("bias", "disconnect", seconds=60)
    code, said, error = safe(lab)
    assert code in (2, 5)
    assert "UNKNOWN" in error
    assert "front panel" in error
    assert "0 V now" not in said
    assert lab.untouched()
    assert lab.source()["output"]


def test_a_source_that_does_not_say_where_it_is(lab: Lab) -> None:
    lab.leave(2e-3, output=True)
    lab.fault("bias", "garble", ":SOUR:VOLT?", count=None)
    code, said, error = safe(lab)
    assert code in (2, 5)
    assert "0 V now" not in said
    assert "keithley" in error
    assert lab.untouched()
    assert lab.source()["output"]
