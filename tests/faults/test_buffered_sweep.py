"""The source measures by itself: kills, signals and faults meanwhile end as ever, and no row is wrong."""

import signal
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import labnis
from labnis.storage import read_metadata
from sim_instruments.server import ServerProcess
from tests.faults.commands import Command
from tests.faults.measuring import Lab, chance, kill
from tests.faults.test_other_instruments import OtherLab, other_lab, served, setup

FAST = ("points=1001", "maximum_bias=1e-3", "settling_time=0.004", "integration_time=0.004")
"""0.8 s for a part of 98 points; 10 s in all."""


ANOTHER = setup(
    ("bias: {instrument: smu, channel: smua}", "fridge: bridge"), "smu", "bridge",
    divider=1.0, words=("RDGK?", "smua.source.levelv =", "smua.source.output ="),
)  # fmt: skip


@pytest.fixture(scope="module")
def served_2600b(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, Path]]:
    folder = tmp_path_factory.mktemp("2600b")
    with served(ANOTHER, folder) as server:
        yield server, folder / "twin.jsonl"


@pytest.fixture
def with_2600b(served_2600b: tuple[ServerProcess, Path], tmp_path: Path) -> OtherLab:
    """A laboratory whose source runs scripts."""
    server, log = served_2600b
    return other_lab(ANOTHER, server, log, tmp_path)


@pytest.fixture
def alone(lab: Lab) -> Lab:
    """The laboratory without a lock-in amplifier."""
    text = lab.station.read_text(encoding="utf-8")
    assert text.count("lockin: sr830, ") == 1
    lab.station.write_text(text.replace("lockin: sr830, ", ""), encoding="utf-8")
    return lab


def measuring_run(lab: Lab, role: str = "bias", word: str = ":TRAC:DATA?") -> Command:
    """A run with some parts on disk."""
    settings = [word for setting in FAST for word in ("--set", setting)]
    process = lab.under_way(lab.start("run", "IVSweep", "--yes", *settings))
    assert lab.sent(role, word)
    return process


def assert_rows_are_right(lab: Lab, step: float = 2e-6) -> None:
    data = labnis.open_run(lab.run_file).data[["bias_reading", "current"]].dropna("bias")
    assert data["bias"].size > 5
    assert data["bias_reading"].values == pytest.approx(data["bias"].values, abs=step)
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
        ("drop", ":SOUR:LIST:VOLT?", 0),
        ("drop", ":TRIG:BLOC:LIST?", 0),
        ("disconnect", ":SOUR:LIST:VOLT?", 0),
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


# --- a script in the source ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_killed_while_a_script_measures(with_2600b: OtherLab, seed: int) -> None:
    process = measuring_run(with_2600b, "smu", "local l")
    time.sleep(chance(seed).uniform(0.0, 1.5))
    kill(process)
    with_2600b.assert_safe()
    assert_rows_are_right(with_2600b, step=5e-6)


def test_stopped_while_a_script_measures(with_2600b: OtherLab) -> None:
    process = measuring_run(with_2600b, "smu", "local l")
    process.send_signal(signal.SIGINT)
    with_2600b.ended(process, 130)
    with_2600b.assert_safe()
    assert_rows_are_right(with_2600b, step=5e-6)


@pytest.mark.parametrize("kind", ["drop", "garble", "disconnect"])
def test_a_script_whose_readings_do_not_come(with_2600b: OtherLab, kind: str) -> None:
    process = measuring_run(with_2600b, "smu", "local l")
    with_2600b.fault("smu", kind, "local l", count=1)
    said = with_2600b.ended(process, 0)
    with_2600b.assert_safe()
    assert_rows_are_right(with_2600b, step=5e-6)
    assert "going on step by step" in said
    assert (kind == "disconnect") == ("connection" in with_2600b.event_kinds())


def test_a_source_that_is_reset_in_its_script(with_2600b: OtherLab) -> None:
    process = measuring_run(with_2600b, "smu", "local l")
    with_2600b.fault("smu", "reset", "local l", count=1)
    said = with_2600b.ended(process, 5)
    assert "smu" in said
    assert_rows_are_right(with_2600b, step=5e-6)
