"""Devices of other than two junctions, from the station file to the result."""

import json
from pathlib import Path

import pytest

from labnis import open_session
from labnis.errors import RequestError
from labnis.station import load_station
from procedures import IsothermSweep, IVSweep
from sim_instruments import SHIPPED_TRUTH
from tests.run.bench import STATION_TEXT, TRUTH_TEXT, Commands, Watcher, changed, dry_session, write_station


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


@pytest.mark.parametrize(
    ("device", "told"),
    [
        ("name: probe, junctions: 1, ", "is that of a pair, and the device has one junction"),
        ("name: cooler}  # ", "the volume of the island is not known"),
    ],
)
def test_isotherms_that_no_fit_can_use_are_refused_before_they_are_measured(
    device: str, told: str, tmp_path: Path
) -> None:
    write_station(tmp_path, changed(STATION_TEXT, "name: nis_device, ", device))
    with dry_session(tmp_path, Watcher()) as session, pytest.raises(RequestError, match=f"{told}.*No instrument was"):
        session.prepare([IsothermSweep()])


def test_the_device_of_another_twin_file_gives_no_priors(labnis: Commands) -> None:
    cooler = SHIPPED_TRUTH.with_name("micro_cooler.yaml")
    assert labnis(f"run IVSweep --dry-run --set points=41 --twin {cooler}").code == 0
    answer = labnis("run ReflectionVsBias --dry-run --json --set points=9 --set frequencies=101")
    assert "earlier run" not in answer.err
    devices = [one["device"] for one in json.loads(labnis("cooldown list --json").out)]
    assert devices == ["micro_cooler", "nis_device"]


def test_another_volume_than_the_truth_files_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    station = write_station(tmp_path)
    text = station.read_text(encoding="utf-8")
    assert "volume: 1.0e-18" in text
    truth = load_station(station).twin
    assert truth is not None
    truth.write_text(SHIPPED_TRUTH.read_text(encoding="utf-8"), encoding="utf-8")
    with open_session(station, dry_run=True):
        pass
    assert "states an island of" not in caplog.text
    station.write_text(text.replace("volume: 1.0e-18", "volume: 2.0e-18"), encoding="utf-8")
    with open_session(station, dry_run=True):
        pass
    assert "states an island of 2e-18 m³, and that of the truth file" in caplog.text
