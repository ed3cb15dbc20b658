"""31: a killed run is resumed into the same file; under other conditions it is not."""

import numpy as np
import pytest

from labnis.storage import open_rows, open_run, read_events
from tests.faults.measuring import SWEEP, Lab, kill, wait_for


@pytest.mark.parametrize("procedure", ["IVSweep", "lab_procedures.PlainSweep"])
def test_killed_and_resumed(lab: Lab, procedure: str) -> None:
    process = lab.under_way(lab.start("run", procedure, "--yes", "--set", "points=301", *SWEEP))
    wait_for(lambda: lab.rows() > 20, process)
    killed = kill(process)
    lab.assert_safe(killed)
    before = lab.rows()
    answer = lab.labnis("resume", "--yes")
    assert answer.returncode == 0, answer.stderr
    rows = open_rows(lab.run_file)
    assert rows.attrs["status"] == "done"
    assert rows["point"].values.tolist() == list(range(301))
    assert np.abs(rows["bias_reading"].values - np.linspace(-4e-3, 4e-3, 301)).max() < 2e-5
    assert np.all(np.diff(rows["time"].values) > 0)
    grid = open_run(lab.run_file)
    assert dict(grid["current"].sizes) == {"bias": 301}
    np.testing.assert_array_equal(grid["current"], rows["current"])
    (overlap,) = [event for event in read_events(lab.run_file) if event.kind == "overlap"]
    assert abs(overlap.details["drift"]["current"]) < 1e-11
    assert before <= 301
    assert lab.labnis("resume", "--yes").returncode == 2  # nothing is unfinished any more


def test_passes_there_and_back_are_resumed_in_their_order(lab: Lab) -> None:
    grid = ("--set", "points=61", "--set", "direction=up-down", "--set", "repeats=2")
    process = lab.under_way(lab.start("run", "IVSweep", "--yes", *SWEEP, *grid))
    wait_for(lambda: lab.rows() > 80, process)  # on the first way back
    lab.assert_safe(kill(process))
    answer = lab.labnis("resume", "--yes")
    assert answer.returncode == 0, answer.stderr
    rows = open_rows(lab.run_file)
    there = np.linspace(-4e-3, 4e-3, 61)
    biases = np.concatenate([there, there[::-1]] * 2)
    assert rows.sizes["point"] == 244
    np.testing.assert_allclose(rows["bias"], biases, atol=1e-12)
    assert np.abs(rows["bias_reading"].values - biases).max() < 2e-5
    assert np.all(np.diff(rows["time"].values) > 0)
    grown = open_run(lab.run_file)
    assert dict(grown["current"].sizes) == {"repeat": 2, "direction": 2, "bias": 61}
    assert grown["current"].notnull().all()
    back = grown["bias_reading"].sel(direction=-1.0)
    assert np.abs(back - grown["bias"]).max() < 2e-5


def test_not_resumed_under_other_limits_of_the_bias(lab: Lab) -> None:
    process = lab.begin_sweep(points=301)
    lab.assert_safe(kill(process))
    text = lab.station.read_text(encoding="utf-8")
    lab.station.write_text(text.replace("series_resistance: 2000.0", "series_resistance: 1000.0"), encoding="utf-8")
    answer = lab.labnis("resume", "--yes")
    assert answer.returncode == 2
    assert "series_resistance" in answer.stderr
