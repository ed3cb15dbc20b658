"""12: a connection breaks. One that is back at once is an event; else the run ends, of the source with UNKNOWN bias."""

import pytest

from labnis.storage import ESTIMATE, read_events, read_metadata
from tests.faults.measuring import SWEEP, Lab, wait_for

PREPARING = (":SOUR:VOLT:ILIM ", ":OUTP ON")
RAMPING = (":SOUR:LIST:VOLT ", ":TRIG:LOAD", ":INIT", ":TRIG:STAT?")


@pytest.mark.parametrize(("role", "match", "after"), [("lockin", "SNAP", 20), ("fridge", "KRDG", 60)])
def test_a_reader_is_gone(lab: Lab, role: str, match: str, after: int) -> None:
    lab.fault(role, "disconnect", match, after=after, seconds=60)
    answer = lab.run()
    assert answer.returncode == 5, answer.stderr
    lab.assert_safe()
    assert read_metadata(lab.run_file)["status"] == "failed"


def test_the_source_is_away_for_longer_than_a_few_attempts(lab: Lab) -> None:
    lab.fault("bias", "disconnect", ":SOUR:VOLT -0.002", after=5, seconds=20)
    answer = lab.run()
    assert answer.returncode == 5, answer.stderr
    first = next(line for line in answer.stderr.splitlines() if line.startswith("labnis: keithley"))
    assert "bias UNKNOWN: -0.00" in first
    assert "last seen" in first
    assert "bias is at zero" not in answer.stderr
    assert "the guardian failed, too" in answer.stderr
    assert read_metadata(lab.run_file)["status"] == "failed"
    assert "UNKNOWN" in read_metadata(lab.run_file)["reason"]
    assert answer.stderr.count("trying again") >= 3
    assert "labnis guardian: the run could not switch the bias off at zero; the bias was -0.00" in answer.stderr
    lab.assert_safe()


WENT_ON = """
import sys
import labnis
from drivers.errors import InstrumentError
from procedures import IVSweep

sweep = IVSweep(maximum_bias=4e-3, points=101, time_constant=0.001, settling_time=0.0)
with labnis.open_session(sys.argv[sys.argv.index("--station") + 1], data=sys.argv[sys.argv.index("--data") + 1]) as lab:
    try:
        lab.run(sweep)
    except InstrumentError as error:
        print("caught", error)
"""


def test_a_caller_that_continues_after_the_error_does_not_release_the_guardian(lab: Lab) -> None:
    """As a cell of a notebook does; the session raises it again at its end."""
    lab.fault("bias", "disconnect", ":SOUR:VOLT -0.002", after=5, seconds=20)
    out, said = lab.start_interpreter(python=("-c", WENT_ON)).communicate(timeout=60)
    assert "caught keithley" in out
    assert "bias UNKNOWN: -0.00" in said
    assert "labnis guardian: the run could not switch the bias off at zero; the bias was -0.00" in said
    lab.assert_safe()


def test_a_silent_source(lab: Lab) -> None:
    lab.fault("bias", "drop", after=250, count=None)
    process = lab.start("run", "IVSweep", "--yes", "--set", "points=101", *SWEEP)
    wait_for(lambda: process.poll() is not None, within=80.0)
    lab.control(do="clear")  # until then its guardian goes on trying
    said = lab.ended(process, 5)
    assert "bias UNKNOWN" in said
    assert "last seen" in said
    lab.assert_safe()


@pytest.mark.parametrize(("role", "match"), [("lockin", "SNAP"), ("fridge", "KRDG"), ("bias", ":READ")])
def test_connections_that_come_back_within_a_second_do_not_end_the_run(lab: Lab, role: str, match: str) -> None:
    for after in (50, 90):  # the snapshot before the run reads all inputs of the bridge
        lab.fault(role, "disconnect", match, after=after, seconds=0.5)
    answer = lab.run()
    assert answer.returncode == 0, answer.stderr
    lab.assert_safe()
    assert read_metadata(lab.run_file)["status"] == "done"
    events = read_events(lab.run_file)
    assert [event.kind for event in events if event.kind != ESTIMATE] == ["connection"] * 2
    assert lab.rows() == 101


def test_a_source_that_comes_back_is_read_before_it_is_written_again(lab: Lab) -> None:
    lab.fault("bias", "disconnect", ":SOUR:VOLT -0.002", after=5, seconds=0.3)
    answer = lab.run()
    assert answer.returncode == 0, answer.stderr
    lab.assert_safe()


def test_an_output_that_does_not_go_off_is_reported_and_tried_again_by_the_guardian(lab: Lab) -> None:
    lab.fault("bias", "ignore", ":OUTP OFF", count=None)
    process = lab.start("run", "IVSweep", "--yes", "--set", "points=21", *SWEEP)
    wait_for(lambda: len(lab.sent("bias", ":OUTP OFF")) > 3, process)  # three times by the run
    assert lab.source() == {"level": 0.0, "output": True}
    lab.control(do="clear")
    said = lab.ended(process, 5)
    assert "bias is 0 V as read back, but switching the output off failed" in said
    assert "the run could not switch the bias off at zero" in said
    assert "UNKNOWN" not in said
    assert "respond" not in said
    lab.assert_safe()


@pytest.mark.parametrize("seconds", [0.3, 8.0])
@pytest.mark.parametrize("match", [*PREPARING, *RAMPING, ":SOUR:VOLT 0;", ":OUTP OFF"])
def test_the_connection_to_the_source_breaks_at_any_of_its_commands(lab: Lab, match: str, seconds: float) -> None:
    """Also during a ramp of its own: never a jump, never a run called done that is not."""
    lab.fault("bias", "disconnect", match, seconds=seconds)
    answer = lab.run(points=41)
    assert lab.control(do="faults")["struck"] == [1]
    assert answer.returncode in (0, 5, 7), answer.stderr
    lab.assert_safe(within=40)
    assert "respond" not in answer.stderr, "the run knew that it failed"
    if answer.returncode != 5:
        assert (read_metadata(lab.run_file)["status"], lab.rows()) == ("done", 41)
        assert seconds < 5


VNA = ("--set", "frequencies=51", "--set", "averages=1", "--set", "if_bandwidth=1e5", "--set", "settling_time=0")


@pytest.mark.parametrize("reset", [False, True])
def test_a_trace_whose_connection_breaks_is_fetched_again(lab: Lab, reset: bool) -> None:
    """An analyzer that was switched off meanwhile has other settings: that ends the run."""
    lab.fault("vna", "disconnect", "DATA? SDATA", after=2, seconds=0.3)
    if reset:
        lab.fault("vna", "reset", "DATA? SDATA", after=3)
    answer = lab.labnis("run", "ReflectionVsBias", "--yes", "--set", "points=6", *VNA)
    lab.assert_safe()
    assert lab.control(do="faults")["struck"] == [1] * (1 + reset)
    assert answer.returncode == 5 if reset else answer.returncode in (0, 7), answer.stderr
    assert lab.rows() == (2 if reset else 6)
