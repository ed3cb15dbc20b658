"""31: a killed run is resumed into the same file; under other conditions it is not."""

import numpy as np
import pytest

from labnis.storage import open_rows, open_run, read_events
from tests.faults.measuring import SWEEP, Lab, kill, wait_for


@pytest.mark.parametrize("procedure", ["IVSweep", "tests.faults.lab_procedures.PlainSweep"])
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


def test_not_resumed_under_other_limits_of_the_bias(lab: Lab) -> None:
    process = lab.begin_sweep(points=301)
    lab.assert_safe(kill(process))
    text = lab.station.read_text(encoding="utf-8")
    lab.station.write_text(text.replace("series_resistance: 2000.0", "series_resistance: 1000.0"), encoding="utf-8")
    answer = lab.labnis("resume", "--yes")
    assert answer.returncode == 2
    assert "series_resistance" in answer.stderr
