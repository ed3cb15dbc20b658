"""The source measures by itself: kills, signals and faults meanwhile end as ever, and no row is wrong."""

import signal
import time
from itertools import pairwise

import numpy as np
import pytest

import labnis
from labnis.storage import read_metadata
from tests.faults.commands import Command
from tests.faults.measuring import Lab, chance, kill

FAST = ("points=1001", "maximum_bias=1e-3", "settling_time=0.004", "integration_time=0.004")
"""0.8 s for a part of 98 points; 10 s in all."""


@pytest.fixture
def alone(lab: Lab) -> Lab:
    """The laboratory without a lock-in amplifier."""
    text = lab.station.read_text(encoding="utf-8")
    assert text.count("lockin: sr830, ") == 1
    lab.station.write_text(text.replace("lockin: sr830, ", ""), encoding="utf-8")
    return lab


def measuring_run(lab: Lab) -> Command:
    """A run with some parts on disk."""
    settings = [word for setting in FAST for word in ("--set", setting)]
    process = lab.under_way(lab.start("run", "IVSweep", "--yes", *settings))
    assert lab.sent("bias", ":TRAC:DATA?")
    return process


def assert_rows_are_right(lab: Lab) -> None:
    data = labnis.open_run(lab.run_file).data[["bias_reading", "current"]].dropna("bias")
    assert data["bias"].size > 5
    assert data["bias_reading"].values == pytest.approx(data["bias"].values, abs=2e-6)
    steps = np.diff(data["current"].values[::20])
    assert (steps > -4e-11).all(), steps.min()  # some σ of 4 ms


@pytest.mark.parametrize("seed", range(3))
def test_killed_while_the_source_measures(alone: Lab, seed: int) -> None:
    process = measuring_run(alone)
    time.sleep(chance(seed).uniform(0.0, 1.5))  # the moment itself is what is random here
    killed = kill(process)
    alone.assert_safe()
    after = [entry for entry in alone.log if entry.time > killed and entry.instrument == "bias"]
    halted = next(entry.time for entry in after if entry.text == ":ABOR")
    assert halted - killed < 2.0
    levels = [abs(point.level) for point in alone.trajectory(halted)]
    assert all(later <= before for before, later in pairwise(levels))
    assert_rows_are_right(alone)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_while_the_source_measures(alone: Lab, signum: int, code: int) -> None:
    process = measuring_run(alone)
    asked = time.monotonic()
    process.send_signal(signum)
    said = alone.ended(process, code)
    assert "the bias is at zero" in said
    alone.assert_safe()
    assert_rows_are_right(alone)
    assert read_metadata(alone.run_file)["rows"] % 99 == 0  # parts of 98 points, and one between: none was lost
    led_back = min(point.time for point in alone.trajectory(asked) if point.level == 0.0)
    assert led_back - asked < 5.0


@pytest.mark.parametrize(
    ("kind", "match", "code"),
    [
        ("drop", ":TRAC:DATA?", 0),
        ("garble", ":TRAC:DATA?", 0),
        ("disconnect", ":TRAC:DATA?", 0),
        ("disconnect", ":TRIG:STAT?", 0),
        ("ignore", ":INIT", 5),
        ("reset", ":TRIG:STAT?", 5),
    ],
)
def test_a_fault_while_the_source_measures(alone: Lab, kind: str, match: str, code: int) -> None:
    process = measuring_run(alone)
    alone.fault("bias", kind, match, count=1)
    said = alone.ended(process, code)
    assert_rows_are_right(alone)
    if kind == "reset":  # it switches the output off at once; that jump is the fault's own
        assert alone.source() == {"level": 0.0, "output": False}
    else:
        alone.assert_safe()
    assert "bias UNKNOWN" not in said
    assert read_metadata(alone.run_file)["status"] == ("done" if code == 0 else "failed")
    assert (kind == "disconnect") == ("connection" in alone.event_kinds())


def test_an_interlock_acts_between_two_parts(alone: Lab) -> None:
    alone.write_station(fridge_abort=0.15)
    text = alone.station.read_text(encoding="utf-8")
    alone.station.write_text(text.replace("lockin: sr830, ", ""), encoding="utf-8")
    process = measuring_run(alone)
    alone.control(do="temperatures", schedule=[[0.0, 0.5]])
    alone.ended(process, 4)
    alone.assert_safe()
    assert_rows_are_right(alone)
