"""20, 21, 22: instruments that were reset, that ignore a setting, or that are on at the start."""

import signal

import pytest

from labnis.storage import read_metadata
from tests.faults.measuring import SWEEP, Lab, wait_for


@pytest.mark.parametrize(("role", "match"), [("bias", ":READ?"), ("lockin", "SNAP")])
def test_a_reset_is_found_within_one_row(lab: Lab, role: str, match: str) -> None:
    lab.fault(role, "reset", match, after=30)
    answer = lab.run()
    assert answer.returncode == 5, answer.stderr
    # A reset switches the output off at once; that jump is the fault's own, not the run's.
    assert lab.source() == {"level": 0.0, "output": False}
    if role != "bias":
        lab.assert_safe()
    sent = [(entry.instrument, entry.text) for entry in lab.log if entry.direction == "in"]
    on = next(i for i, (_, text) in enumerate(sent) if ":OUTP ON" in text)  # the snapshot reads before
    reads = [i for i, (instrument, text) in enumerate(sent) if instrument == role and match in text]
    assert 0 < read_metadata(lab.run_file)["rows"] <= sum(read > on for read in reads[:30])
    assert len(reads) <= 32


def test_a_reset_of_the_source_between_two_points(lab: Lab) -> None:
    lab.fault("bias", "reset", ":SOUR:VOLT 0.001")
    answer = lab.run()
    assert answer.returncode == 5, answer.stderr
    assert "reset" in answer.stderr or "instead of" in answer.stderr
    assert lab.source() == {"level": 0.0, "output": False}


def test_a_reset_of_the_network_analyzer(lab: Lab) -> None:
    lab.fault("vna", "reset", "DATA? SDATA", after=2)
    more = ("--set", "frequencies=51", "--set", "averages=1", "--set", "if_bandwidth=1e5")
    answer = lab.labnis("run", "ReflectionVsBias", "--yes", "--set", "points=6", *more)
    assert answer.returncode == 5, answer.stderr
    lab.assert_safe()
    assert read_metadata(lab.run_file)["rows"] == 2


@pytest.mark.parametrize("setting", [":SOUR:VOLT:ILIM", ":OUTP ON"])
def test_a_setting_that_is_ignored_is_noticed_before_the_output_is_on(lab: Lab, setting: str) -> None:
    lab.fault("bias", "reset")  # forgets what an earlier run had set, as soon as it is spoken to
    lab.fault("bias", "ignore", setting, count=None)
    answer = lab.run()
    assert answer.returncode == 5, answer.stderr
    assert not lab.ever_on()
    lab.assert_safe()


def test_a_level_that_is_ignored_once(lab: Lab) -> None:
    lab.fault("bias", "ignore", ":SOUR:VOLT -0.002", after=5)
    answer = lab.run()
    assert answer.returncode == 5, answer.stderr
    assert "instead of" in answer.stderr
    lab.assert_safe()


def test_levels_that_are_ignored_for_good_are_not_called_zero(lab: Lab) -> None:
    lab.fault("bias", "ignore", ":SOUR:VOLT ", after=60, count=None)
    process = lab.start("run", "IVSweep", "--yes", "--set", "points=101", *SWEEP)
    wait_for(lambda: process.poll() is not None, within=80.0)
    left = lab.source()
    lab.control(do="clear")  # until then its guardian goes on trying
    said = lab.ended(process, 5)
    assert "bias UNKNOWN" in said
    assert "the guardian failed, too" in said
    assert left["output"]
    assert left["level"] != 0
    lab.assert_safe()


@pytest.mark.parametrize("level", [2e-3, -3e-3, 8e-3])
def test_a_source_left_on_is_taken_from_where_it_is(lab: Lab, level: float) -> None:
    lab.leave(level, output=True)
    process = lab.begin_sweep()
    process.send_signal(signal.SIGINT)
    lab.ended(process, 130)
    lab.assert_safe()
    levels = [point.level for point in lab.trajectory()]
    assert abs(levels[0] - level) < 1e-9
    assert abs(levels[1] - level) < 1e-3


@pytest.mark.parametrize("kind", ["drop", "garble"])
def test_a_level_that_cannot_be_read_is_left_alone_until_it_can(lab: Lab, kind: str) -> None:
    lab.leave(2e-3, output=True)
    lab.fault("bias", kind, ":SOUR:VOLT?", count=None)
    process = lab.start("run", "IVSweep", "--yes", "--set", "points=101", *SWEEP)
    wait_for(lambda: process.poll() is not None, within=80.0)
    assert lab.untouched()
    assert lab.source()["output"]
    lab.control(do="clear")  # until then its guardian goes on trying
    assert "bias UNKNOWN" in lab.ended(process, 5)
    lab.assert_safe()


@pytest.mark.parametrize("query", [":SOUR:FUNC?", ":SYST:LFR?"])
def test_a_source_left_on_is_made_safe_where_preparing_it_fails(lab: Lab, query: str) -> None:
    lab.leave(2e-3, output=True)
    lab.fault("bias", "drop", query, count=None)
    answer = lab.run()
    assert answer.returncode == 5, answer.stderr
    lab.assert_safe()


def test_a_source_left_on_is_made_safe_where_an_interlock_refuses_the_run(lab: Lab) -> None:
    lab.write_station(fridge_abort=0.15)
    lab.control(do="temperatures", schedule=[[0.0, 0.3]])
    lab.leave(2e-3, output=True)
    answer = lab.run()
    assert answer.returncode == 4, answer.stderr
    lab.assert_safe()
