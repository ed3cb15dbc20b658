"""A sweep whose source measures points by itself: the same data as step by step, in less time."""

import re
from pathlib import Path

import numpy as np
import pytest
import xarray

import labnis
from labnis.station.bias import buffered_sweep
from labnis.storage import list_runs
from tests.run.bench import STATION_TEXT, Commands, changed, write_station

ALONE = changed(STATION_TEXT, "    lockin: {instrument: sr830, amplifier: preamplifier}\n", "")
"""The station without a lock-in amplifier."""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Commands:
    write_station(tmp_path, ALONE)
    monkeypatch.chdir(tmp_path)
    return Commands(monkeypatch, capsys)


def swept(lab: Commands, *settings: str) -> tuple[str, xarray.Dataset]:
    """What a dry run of a sweep said, and its data."""
    options = " ".join(f"--set {one}" for one in settings)
    answer = lab(f"run IVSweep --dry-run --seed 3 {options}")
    assert answer.code == 0, answer.err
    newest = max(list_runs(Path("data")), key=lambda run: run.path.stat().st_mtime)
    return answer.err, labnis.open_run(newest.path).data


def test_the_same_data_in_less_time(lab: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    said, ahead = swept(lab)
    plan = (
        r"measures 28 points at once by itself, without messages for each, which saves about ([\d.]+) s of the sweep;"
    )
    saves = re.search(plan, " ".join(said.split()))
    assert saves is not None, said
    monkeypatch.setattr(buffered_sweep, "AT_ONCE", 0.0)
    said, stepped = swept(lab)
    assert "each point is measured step by step, by messages of its own" in " ".join(said.split())
    assert "at once by itself" not in said
    assert (ahead["bias"].values == stepped["bias"].values).all()
    assert ahead["bias_reading"].values == pytest.approx(stepped["bias_reading"].values, abs=1e-7)
    apart = ahead["current"].values - stepped["current"].values
    noise = np.std(np.diff(apart)) / np.sqrt(2)
    assert noise < 2e-12
    assert abs(apart.mean()) < 4 * noise / np.sqrt(apart.size)
    asked = 0.03 + 0.04  # settling and integration at each point
    took = {name: float(np.diff(data["time"].values[[0, -1]])[0]) / 400 / asked for name, data in
            (("ahead", ahead), ("stepped", stepped))}  # fmt: skip
    assert 1.0 <= took["ahead"] < 1.05 < took["stepped"] < 1.25
    assert float(saves[1]) == pytest.approx(400 * asked * (took["stepped"] - took["ahead"]), rel=0.15)


def test_a_channel_that_runs_a_script(tmp_path: Path, lab: Commands) -> None:
    text = changed(ALONE, "drivers.keithley_2450.Keithley2450", "drivers.keithley_2600b.Keithley2600B")
    write_station(tmp_path, changed(text, "bias: keithley ", "bias: {instrument: keithley, channel: smua} "))
    said, data = swept(lab)
    assert "the source measures 28 points at once by itself" in said
    assert float(np.diff(data["time"].values[[0, -1]])[0]) / 400 < 1.05 * 0.07
    assert data["bias_reading"].values == pytest.approx(data["bias"].values, abs=5e-6)  # levels in steps of 5 µV


def test_a_row_has_the_time_at_which_it_was_measured(lab: Commands) -> None:
    _, data = swept(lab, "points=61")
    steps = np.diff(data["time"].values)
    assert steps.min() > 0.069
    assert steps.max() < 0.12
    assert np.diff(data["time_utc"].values).min() >= 0  # that of the wall clock, which a dry run hardly uses
    assert (data["quality"].values == 0).all()
    assert np.isfinite(data["fridge_temperature"].values).all()


@pytest.mark.parametrize("setting", ["direction=up-down", "direction=down", "repeats=2"])
def test_passes_of_every_kind(lab: Commands, setting: str) -> None:
    _, data = swept(lab, setting, "points=81")
    read = data["bias_reading"].values
    assert read.size == (81 if setting == "direction=down" else 162)
    assert read == pytest.approx(np.broadcast_to(data["bias"].values, read.shape), abs=1e-6)


def test_two_flanks_of_a_gap(lab: Commands) -> None:
    said, data = swept(lab, "bias_points=-1.2e-3:-0.4e-3:61,0.4e-3:1.2e-3:61")
    assert "the source measures 28 points at once by itself" in said
    assert np.median(np.diff(data["time"].values)) < 0.073
    assert data["bias_reading"].values == pytest.approx(data["bias"].values, abs=1e-6)


def test_the_role_current_may_name_the_source_itself(tmp_path: Path, lab: Commands) -> None:
    write_station(tmp_path, changed(ALONE, "    bias: keithley ", "    current: keithley\n    bias: keithley "))
    said, data = swept(lab, "points=101")
    assert "the source measures 28 points at once by itself" in said
    assert np.median(np.diff(data["time"].values)) < 0.073


def test_a_compliance_that_the_source_does_not_have(tmp_path: Path, lab: Commands) -> None:
    text = changed(ALONE, "drivers.keithley_2450.Keithley2450", "drivers.keithley_2600b.Keithley2600B")
    text = changed(text, "bias: keithley ", "bias: {instrument: keithley, channel: smua} ")
    write_station(tmp_path, changed(text, "compliance: 5.0e-6", "compliance: 5.0e-9"))
    few = "--set points=11 --set maximum_bias=1e-4 --set maximum_current=5e-9"
    answer = lab(f"run IVSweep --dry-run {few}")
    assert "at once by itself" not in answer.err
    (run,) = list_runs(Path("data"))
    times = labnis.open_run(run.path).data["time"].values
    assert np.diff(times).min() > 0.0715  # each point has its own messages


def test_a_fast_sweep_is_many_times_as_fast(lab: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = ("settling_time=0.001", "integration_time=0.0005", "points=1001", "maximum_bias=6e-4")
    _, ahead = swept(lab, *quick)
    monkeypatch.setattr(buffered_sweep, "AT_ONCE", 0.0)
    _, stepped = swept(lab, *quick)
    took = [float(np.diff(data["time"].values[[0, -1]])[0]) for data in (ahead, stepped)]
    assert took[0] < took[1] / 2.5


def test_with_a_lock_in_each_point_has_its_own_messages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_station(tmp_path)
    monkeypatch.chdir(tmp_path)
    said, data = swept(Commands(monkeypatch, capsys), "points=21")
    assert "at once by itself" not in said
    assert np.isfinite(data["conductance"].values).all()
