"""Devices of other than two junctions, from the station file to the result."""

from pathlib import Path

import pytest

from procedures import IVSweep
from tests.run.bench import STATION_TEXT, TRUTH_TEXT, Watcher, changed, dry_session, write_station


@pytest.mark.filterwarnings("error::UserWarning")
def test_an_array_is_measured_like_a_pair(tmp_path: Path) -> None:
    text = changed(STATION_TEXT, "{name: nis_device, ", "{name: array, junctions: [4, 2], ")
    write_station(tmp_path, text)
    (tmp_path / "array.yaml").write_text(TRUTH_TEXT + "junctions: [4, 2]\n", encoding="utf-8")
    sweep = IVSweep(points=61, maximum_bias=2e-3)
    with dry_session(tmp_path, Watcher(), truth="array.yaml") as session:
        run = session.run(sweep)
        truth = session.twin.truth if session.twin is not None else {}
        [plan] = session.prepare([sweep])
    assert run.fit is not None and not run.fit.warnings
    for name in ("gap", "normal_resistance", "electron_temperature", "maximum_cooling_power"):
        found = run.results[name]
        assert abs(found.value - truth[name]) < 4 * found.sigma
    assert run.fit.assumed["junctions"].startswith("4 in series in each of 2 branches")
    assert plan.expectation.edge == pytest.approx(4 * 215e-6, rel=0.01)
