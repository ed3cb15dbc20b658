"""16 and 17: too warm, stale or not a number: to zero within two polls, and pause or abort as the station file says."""

import time
from typing import Any

import pytest

from labnis.safety.interlocks import INTERVAL
from labnis.storage import read_metadata
from tests.faults.measuring import Lab, wait_for

WARM = [[0.0, 0.3]]
COLD = [[0.0, 0.05]]
FAILING = [[0.0, float("nan")]]
STUCK = [[0.0, None]]


@pytest.mark.parametrize(
    ("schedule", "limits", "words", "patience"),
    [
        (WARM, {"fridge_abort": 0.15}, "fridge.temperature reads 0.", 2 * INTERVAL),
        (WARM, {"fridge_pause": 0.15}, "resume_after_pause is false", 2 * INTERVAL),
        (FAILING, {"fridge_abort": 0.15, "resume_after_pause": True}, "temperature cannot be read", 2 * INTERVAL),
        (STUCK, {"fridge_abort": 0.15, "fridge_stale": 1.5}, "stale", 2 * INTERVAL + 1.5),
    ],
)
def test_a_trip_in_mid_run_ends_it(
    lab: Lab, schedule: list[list[float]], limits: dict[str, Any], words: str, patience: float
) -> None:
    lab.write_station(**limits)
    process = lab.begin_sweep()
    tripped = time.monotonic()
    lab.control(do="temperatures", schedule=schedule)
    said = lab.ended(process, 4)
    lab.assert_safe()
    assert words in said
    zero = next(point.time for point in lab.trajectory(tripped) if point.level == 0.0)
    assert zero - tripped <= patience + 1.0  # a ramp from 4 mV takes 0.25 s, a loaded machine the rest
    assert read_metadata(lab.run_file)["status"] == "aborted"
    assert "interlock" in lab.event_kinds()


def test_a_pause_ends_by_itself_where_that_is_asked_for(lab: Lab) -> None:
    lab.write_station(fridge_pause=0.15, resume_after_pause=True)
    process = lab.begin_sweep(points=201)
    lab.control(do="temperatures", schedule=WARM)
    wait_for(lambda: lab.source() == {"level": 0.0, "output": True}, process)
    rows = lab.rows()
    time.sleep(1.5 * INTERVAL)  # nothing is to happen
    assert lab.rows() <= rows + 1
    assert lab.source() == {"level": 0.0, "output": True}
    lab.control(do="temperatures", schedule=COLD)
    lab.ended(process, 0)
    lab.assert_safe()
    assert [kind for kind in lab.event_kinds() if kind in ("paused", "resumed")] == ["paused", "resumed"]
    known = read_metadata(lab.run_file)
    assert (known["status"], known["rows"]) == ("done", 201)


def test_an_interlock_that_depends_on_the_bias_ends_the_run(lab: Lab) -> None:
    below = "  interlocks: [{watch: bias.device_voltage, above: 2.0e-4, action: pause}]\n"
    lab.write_station(resume_after_pause=True, below=below)
    process = lab.begin_sweep(points=401)
    said = lab.ended(process, 4)
    assert "depends on the bias" in said
    lab.assert_safe()
    levels = [point.level for point in lab.trajectory()]
    highest = max(range(len(levels)), key=levels.__getitem__)
    assert 2e-4 < levels[highest] < 3e-3
    assert levels[highest:] == sorted(levels[highest:], reverse=True)  # from there it only goes down
    assert lab.event_kinds().count("interlock") == 1


def test_a_fridge_that_gets_warm_again_and_again_ends_the_run(lab: Lab) -> None:
    lab.write_station(fridge_pause=0.15, resume_after_pause=True, maximum_resumptions=1)
    process = lab.begin_sweep()
    lab.control(do="temperatures", schedule=WARM)
    wait_for(lambda: lab.source() == {"level": 0.0, "output": True}, process)
    lab.control(do="temperatures", schedule=[[0.0, 0.145]])  # inside the limit, but not by 5 %
    time.sleep(1.5 * INTERVAL)  # nothing is to happen
    assert lab.source() == {"level": 0.0, "output": True}
    lab.control(do="temperatures", schedule=COLD)
    wait_for(lambda: lab.source()["level"] != 0.0, process)
    lab.control(do="temperatures", schedule=WARM)
    assert "labnis.limits.maximum_resumptions" in lab.ended(process, 4)
    lab.assert_safe()


def test_while_it_waits_at_a_point_the_interlocks_are_checked(lab: Lab) -> None:
    lab.write_station(fridge_abort=0.15)
    process = lab.start("run", "IVSweep", "--yes", "--set", "settling_time=60")
    wait_for(lambda: bool(lab.source()["output"] and lab.source()["level"] != 0), process)
    lab.control(do="temperatures", schedule=WARM)
    lab.ended(process, 4)
    lab.assert_safe()


def test_tripped_at_the_start(lab: Lab) -> None:
    lab.write_station(fridge_abort=0.15)
    lab.control(do="temperatures", schedule=WARM)
    answer = lab.run()
    assert answer.returncode == 4, answer.stderr
    assert "not started" in answer.stderr
    assert not lab.ever_on()
    assert lab.sent("bias", ":OUTP ON") == []
    assert [text for text in lab.sent("bias", ":SOUR:VOLT ") if text.startswith(":SOUR:VOLT ")] == []
