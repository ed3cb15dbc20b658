"""11, 13, 14, 15: answers that are late, lost, garbled, swapped or cut off.

Questions that change nothing are asked again at most twice, after the line was cleared; writes never. Where that does
not help the run ends with 5. No answer ends up in the column of another question.
"""

import time

import numpy as np
import pytest

from labnis.errors import DataQualityError
from labnis.storage import open_rows, read_metadata
from tests.faults.measuring import Lab, chance

VNA = ("--set", "frequencies=51", "--set", "averages=1", "--set", "if_bandwidth=1e5", "--set", "settling_time=0")


def assert_plausible(lab: Lab) -> None:
    """Every number of an I–V sweep is one of its own column: flagged, or near what the truth allows."""
    with open_rows(lab.run_file) as run:
        good = run["quality"].values == 0
        bias = run["bias_reading"].values[good]
        set_to = np.linspace(-4e-3, 4e-3, 101)[: len(run["bias"])][good]
        assert np.abs(bias - set_to).max() < 2e-5
        assert np.abs(run["current"].values[good] - bias / 22e3).max() < 1e-7
        conductance = run["conductance"].values[good]
        assert np.abs(conductance[np.abs(bias) > 1e-3] / np.median(conductance) - 1).max() < 0.3
        temperature = run["fridge_temperature"].values[good]
        assert np.abs(temperature / np.median(temperature) - 1).max() < 0.2


def test_two_lost_answers_to_each_reader_do_no_harm(lab: Lab) -> None:
    lab.fault("bias", "drop", ":READ?", after=20, count=2)
    lab.fault("lockin", "drop", "SNAP", after=30, count=2)
    lab.fault("fridge", "drop", "KRDG", after=60, count=2)
    lab.fault("bias", "delay", ":READ?", after=50, count=1, seconds=1.3)  # comes after the timeout
    lab.fault("lockin", "garble", "LIAS", after=100, count=2)
    lab.fault("lockin", "swap", "SNAP", after=70)
    lab.fault("fridge", "garble", "KRDG", after=80)
    answer = lab.run()
    assert answer.returncode == 0, answer.stderr
    assert min(lab.control(do="faults")["struck"]) >= 1
    lab.assert_safe()
    assert read_metadata(lab.run_file)["rows"] == 101
    assert_plausible(lab)


@pytest.mark.parametrize(
    ("role", "match", "after"), [("bias", ":READ?", 20), ("lockin", "SNAP", 20), ("fridge", "KRDG", 60)]
)
def test_a_reading_that_never_comes_ends_the_run(lab: Lab, role: str, match: str, after: int) -> None:
    lab.fault(role, "drop", match, after=after, count=None)  # QCoDeS's snapshot reads temperatures, too
    answer = lab.run()
    assert answer.returncode == 5, answer.stderr
    assert match in answer.stderr
    lab.assert_safe()
    assert lab.control(do="faults")["struck"] == [3]  # once, and two more times
    assert read_metadata(lab.run_file)["rows"] in range(
        1, after + 1
    )  # interlocks and the record of the beginning read, too
    assert_plausible(lab)


@pytest.mark.parametrize("kind", ["drop", "swap", "garble"])
def test_a_level_is_never_written_twice(lab: Lab, kind: str) -> None:
    lab.fault("bias", kind, ":SOUR:VOLT -0.002", after=5)  # in mid-sweep: the ramp to its beginning passes there once
    answer = lab.run()
    assert answer.returncode == 5, answer.stderr
    lab.assert_safe()
    written = [text for text in lab.sent("bias", ":SOUR:VOLT ") if text.startswith(":SOUR:VOLT -0.002")]
    assert len(written) == len(set(written)) >= 1
    assert_plausible(lab)


@pytest.mark.parametrize("seed", range(4))
def test_a_random_disorder_stops_the_run_or_is_overcome(lab: Lab, seed: int) -> None:
    dice = chance(seed)
    for _ in range(2):
        kind = dice.choice(["swap", "garble", "truncate", "delay", "drop"])
        role = dice.choice(["bias", "lockin", "fridge"])
        lab.fault(role, kind, after=dice.randrange(20, 300), seconds=1.3, count=dice.randrange(1, 3))
    answer = lab.run()
    assert answer.returncode in (0, 4, 5), answer.stderr
    lab.assert_safe()
    if lab.rows():
        assert_plausible(lab)


@pytest.mark.parametrize("after", [2, 3])
def test_an_end_of_a_sweep_whose_answer_is_lost_is_asked_for_again(lab: Lab, after: int) -> None:
    """15: asking for the event status clears it, so the analyzer is then asked to answer at the end; one trigger."""
    lab.fault("vna", "drop", "*ESR?", after=after, count=1)
    answer = lab.labnis("run", "ReflectionVsBias", "--yes", "--set", "points=6", *VNA)
    # Six traces are hardly enough for the rates, which may be in doubt.
    doubted = answer.returncode == DataQualityError.exit_code and "labnis: the data are saved, but" in answer.stderr
    assert answer.returncode == 0 or doubted, answer.stderr
    lab.assert_safe()
    assert len(lab.sent("vna", "SWE:MODE GRO")) == 6
    assert read_metadata(lab.run_file)["rows"] == 6


def test_a_sweep_that_never_ends_is_aborted_after_its_confirmed_time(lab: Lab) -> None:
    lab.fault("vna", "ignore", "*OPC", after=2, count=None)
    began = time.monotonic()
    answer = lab.labnis("run", "ReflectionVsBias", "--yes", "--set", "points=6", *VNA)
    assert answer.returncode == 5, answer.stderr
    assert "vna, n5222b: has not finished an acquisition of" in answer.stderr, answer.stderr
    assert time.monotonic() - began < 40
    assert lab.sent("vna", ":ABOR;:SENS:SWE:MODE HOLD")
    lab.assert_safe()
    assert read_metadata(lab.run_file)["rows"] == 2


@pytest.mark.parametrize("kind", ["truncate", "garble"])
def test_a_trace_is_whole_or_not_there(lab: Lab, kind: str) -> None:
    """14. A garbled block of plausible length cannot be told from a good one if only its mantissas changed."""
    lab.fault("vna", kind, "DATA? SDATA", after=2, count=None)
    answer = lab.labnis("run", "ReflectionVsBias", "--yes", "--set", "points=6", *VNA)
    lab.assert_safe()
    if kind == "truncate":
        assert answer.returncode == 5, answer.stderr
        assert read_metadata(lab.run_file)["rows"] == 2
    with open_rows(lab.run_file) as run:
        assert run["s11"].shape == (len(run["bias"]), 51)
        assert np.abs(run["s11"].values[:2]).max() < 2


@pytest.mark.parametrize(("role", "after"), [("lockin", 12), ("analyzer", 20)])
def test_an_instrument_that_falls_silent_while_its_settings_are_asked_is_not_asked_for_all(
    lab: Lab, role: str, after: int
) -> None:
    """Dozens of timeouts in a row would be minutes; seen in the soak."""
    lab.fault(role, "truncate", after=after, count=None)
    began = time.monotonic()
    answer = lab.labnis("run", "EmittedPowerVsBias", "--yes")
    assert answer.returncode == 5, answer.stderr
    assert "no usable answer" in answer.stderr or "does not answer" in answer.stderr
    assert time.monotonic() - began < 40
    assert not lab.ever_on()
