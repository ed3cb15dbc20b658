"""Runs that build on earlier ones, through the ledger."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import h5py
import numpy as np
import pytest
import xarray

from labnis.errors import DataQualityError
from labnis.experiment.analysis import fitted
from labnis.fit import FitContext, FitResult
from labnis.storage import read_metadata
from tests.run.bench import Commands, changed

STEPS = {
    "IVSweep": (
        "points=31",
        {
            "gap": 215e-6,
            "normal_resistance": 12e3,
            "electron_temperature": 0.110,
            "lowest_electron_temperature": 0.110,
            "maximum_cooling_power": 43.22e-15,
        },
    ),
    "ReflectionVsBias": (
        "points=15 --set frequencies=101",
        {"damping_line": 1.6e7, "damping_excess": 2.5e6, "damping_junction": 4.5e7, "resonance_frequency": 4.67e9},
    ),
    "EmittedPowerVsBias": ("points=11 --set frequencies=101", {"gain": 51.84, "noise_temperature": 8.3}),
}


def agrees(results: dict[str, Any], expected: dict[str, float]) -> None:
    assert set(results) == set(expected)
    for name, truth in expected.items():
        assert abs(results[name]["value"] - truth) < 4 * results[name]["sigma"], name


def test_three_commands_give_what_one_calibration_gives(labnis: Commands) -> None:
    runs: list[str] = []
    for name, (points, expected) in STEPS.items():
        answer = labnis(f"run {name} --dry-run --json --data shared --set {points} --seed {len(runs)}")
        assert answer.code == 0, answer.err
        found = json.loads(answer.out)
        agrees({key: one for key, one in found["results"].items() if "." not in key}, expected)
        used = read_metadata(Path(found["runs"][0]))["calibrations"]
        assert [entry["run"] for entry in used] == runs[-1:]
        if runs:
            assert f"earlier run {used[0]['run_id']}" in answer.err
        runs += found["runs"]


def test_emitted_power_alone_keeps_the_data_and_says_what_is_missing(tmp_path: Path, labnis: Commands) -> None:
    answer = labnis("run EmittedPowerVsBias --dry-run --json --set points=5")
    assert answer.code == DataQualityError.exit_code
    found = json.loads(answer.out)
    assert found["results"] == {}
    assert "no fit (emitted_power): the gain needs the damping rates: run ReflectionVsBias" in answer.err
    known = read_metadata(Path(found["runs"][0]))
    assert (known["status"], known["rows"], known["calibrations"]) == ("done", 5, [])


@pytest.fixture
def earlier(labnis: Commands) -> Path:
    """Run file of a reflection fit."""
    answer = labnis("run ReflectionVsBias --dry-run --json --data first --set points=15 --set frequencies=101")
    assert answer.code == 0
    assert "no fit" not in answer.err
    return Path(json.loads(answer.out)["runs"][0])


FEW = "run EmittedPowerVsBias --dry-run --json --set points=9 --set frequencies=101"


def test_a_moved_data_folder_still_holds_the_earlier_fits(tmp_path: Path, labnis: Commands, earlier: Path) -> None:
    (tmp_path / "first").rename(tmp_path / "moved")
    answer = labnis(f"{FEW} --data moved")
    assert answer.code == 0
    agrees(json.loads(answer.out)["results"], STEPS["EmittedPowerVsBias"][1])


def test_an_earlier_fit_whose_file_is_gone_is_missed_before_measuring(
    tmp_path: Path, labnis: Commands, earlier: Path
) -> None:
    earlier.unlink()
    answer = labnis(f"{FEW} --data first")
    assert answer.code == 2
    assert earlier.stem.rpartition("-")[2] in answer.err
    assert not list(tmp_path.rglob("*.h5"))


def test_fits_of_another_cooldown_are_not_used(tmp_path: Path, labnis: Commands, earlier: Path) -> None:
    labnis("cooldown start CD2 --data first")
    answer = labnis(f"{FEW} --data first")
    assert answer.code == DataQualityError.exit_code
    assert json.loads(answer.out)["results"] == {}


def test_fits_of_another_device_in_the_same_ledger_are_no_priors(
    tmp_path: Path, earlier: Path, labnis: Commands
) -> None:
    """The next sample, in the same cooldown of the fridge: gain and noise temperature need its own damping rates."""
    command = "run EmittedPowerVsBias --dry-run --json --data first --set points=5"
    used = read_metadata(Path(json.loads(labnis(command).out)["runs"][0]))["calibrations"]
    assert [entry["run"] for entry in used] == [str(earlier)]
    station = tmp_path / "station.yaml"
    station.write_text(station.read_text(encoding="utf-8").replace("name: nis_device", "name: A7"), encoding="utf-8")
    answer = labnis(command)
    assert "run ReflectionVsBias" in answer.err
    assert read_metadata(Path(json.loads(answer.out)["runs"][0]))["calibrations"] == []


def test_a_chosen_run_is_the_prior_in_place_of_the_newest(tmp_path: Path, labnis: Commands, earlier: Path) -> None:
    newest = labnis("run ReflectionVsBias --dry-run --json --data first --seed 7 --set points=9 --set frequencies=51")
    assert newest.code == 0, newest.err
    chosen = earlier.stem.rpartition("-")[2]
    answer = labnis(f"{FEW} --data first --from {chosen}")
    assert answer.code == 0, answer.err
    assert f"uses the reflection fit of the chosen run {chosen}" in " ".join(json.loads(answer.out)["notes"])
    used = read_metadata(Path(json.loads(answer.out)["runs"][0]))["calibrations"]
    assert [entry["run"] for entry in used] == [str(earlier)]


def test_a_chosen_run_of_another_cooldown_or_line_is_in_doubt(tmp_path: Path, labnis: Commands, earlier: Path) -> None:
    labnis("cooldown start CD2 --data first")
    station = tmp_path / "station.yaml"
    text = station.read_text(encoding="utf-8")
    station.write_text(text.replace("series_resistance: 2000.0", "series_resistance: 2100.0"), encoding="utf-8")
    answer = labnis(f"{FEW} --data first --from {earlier}")
    assert answer.code == DataQualityError.exit_code
    warnings = " ".join(json.loads(answer.out)["results"]["gain"]["warnings"])
    assert "it was measured in another cooldown, dry-run" in warnings
    assert "it was measured with another wiring: series_resistance was 2000.0, now 2100.0" in warnings


def test_a_run_that_cannot_be_a_prior_is_refused_before_measuring(
    tmp_path: Path, labnis: Commands, earlier: Path
) -> None:
    before = sorted(tmp_path.rglob("*.h5"))
    station = tmp_path / "station.yaml"
    text = station.read_text(encoding="utf-8")
    station.write_text(text.replace("name: nis_device", "name: A7"), encoding="utf-8")
    other = labnis(f"{FEW} --data first --from {earlier}")
    assert (other.code, "is a run of the device 'nis_device', and this one is 'A7'" in other.err) == (2, True)
    station.write_text(text, encoding="utf-8")
    unfitted = labnis("run EmittedPowerVsBias --dry-run --json --data second --set points=5")
    (path,) = json.loads(unfitted.out)["runs"]
    nothing = labnis(f"{FEW} --data first --from {path}")
    assert (nothing.code, "has no fit that may be a prior" in nothing.err) == (2, True)
    with h5py.File(earlier, "a") as file:
        file.attrs["simulated"] = False
    real = labnis(f"{FEW} --data first --from {earlier}")
    assert (real.code, "a dry run takes its priors from simulated ones" in real.err) == (2, True)
    assert sorted(tmp_path.rglob("*.h5")) == sorted([*before, Path(path)])


class Doubled:
    """An analysis that needs another one."""

    name = "doubled"
    results = MappingProxyType({"twice": "1"})
    needs = ("single",)

    def fit(
        self, data: xarray.Dataset, context: FitContext, priors: Mapping[str, FitResult], start: FitResult | None
    ) -> dict[str, tuple[float, float]]:
        return {"twice": (2 * priors["single"]["once"].value, 0.1)}


def test_doubt_is_inherited_and_notes_are_not() -> None:
    single = FitResult("single", ("once",), ("1",), np.array([3.0]), np.eye(1), notes=("1 datum was left out",))
    data = xarray.Dataset()
    assert fitted(Doubled(), data, FitContext(), {"single": single}, None).warnings == ()
    doubted = replace(single, warnings=("the model is incomplete",))
    found = fitted(Doubled(), data, FitContext(), {"single": doubted}, None)
    assert found.warnings == ("it uses single, which is in doubt: the model is incomplete",)
    assert found.notes == ()
    # What the first one has inherited itself is told once, of the fit that it is of.
    handed_on = fitted(Doubled(), data, FitContext(), {"single": replace(single, warnings=found.warnings)}, None)
    assert handed_on.warnings == found.warnings


def test_a_prior_that_was_measured_with_another_line_is_a_doubt(tmp_path: Path, labnis: Commands) -> None:
    answer = labnis("run IVSweep --dry-run --data shared --set points=31")
    assert answer.code == 0, answer.err
    text = (tmp_path / "station.yaml").read_text(encoding="utf-8")
    other = text.replace("series_resistance: 2000", "series_resistance: 3000")
    assert other != text
    (tmp_path / "station.yaml").write_text(other, encoding="utf-8")
    answer = labnis("run ReflectionVsBias --dry-run --json --data shared --set points=15 --set frequencies=101")
    assert answer.code != 0
    warnings = json.loads(answer.out)["results"]["damping_line"]["warnings"]
    assert any("another wiring: series_resistance was 2000.0, now 3000.0" in text for text in warnings), warnings


def test_what_a_calibration_assumes_stands_with_every_result(labnis: Commands) -> None:
    answer = labnis("calibrate --dry-run --json --data shared")
    assert answer.code == 0, answer.err
    entries = json.loads(labnis("calibrations --simulated --json --data shared").out)
    gain = next(entry for entry in entries if entry["quantity"] == "gain")
    for assumption in ("fano_real: 1.0 ± 0.02", "junctions: "):
        assert assumption in gain["assumed"]


def test_what_no_cooldown_changes_of_a_device_tells_another_one(tmp_path: Path, labnis: Commands) -> None:
    command = "run ReflectionVsBias --dry-run --json --set points=9 --set frequencies=51"
    assert labnis(command).code == 0
    text = (tmp_path / "truth.yaml").read_text(encoding="utf-8")
    (tmp_path / "other.yaml").write_text(changed(text, "damping_line: 1.6e+7", "damping_line: 2.0e+7"), "utf-8")
    station = tmp_path / "station.yaml"
    station.write_text(changed(station.read_text(encoding="utf-8"), "truth.yaml", "other.yaml"), encoding="utf-8")
    answer = labnis(command)
    assert answer.code == DataQualityError.exit_code
    (warning,) = json.loads(answer.out)["results"]["damping_line"]["warnings"]
    assert warning.startswith("damping_line differs by ") and "is it the same device?" in warning
    later = labnis("run EmittedPowerVsBias --dry-run --json --set points=5 --set frequencies=51")
    assert "does not use the reflection fit" in later.err and "is in doubt" in later.err


def test_another_device_in_the_next_cooldown_is_told(tmp_path: Path, labnis: Commands) -> None:
    """It is no doubt, as devices age between cooldowns."""
    command = "run ReflectionVsBias --dry-run --json --data shared --set points=9 --set frequencies=51"
    assert labnis("cooldown start CD1 --data shared").code == 0
    assert labnis(command).code == 0
    assert labnis("cooldown start CD2 --data shared").code == 0
    text = (tmp_path / "truth.yaml").read_text(encoding="utf-8")
    (tmp_path / "other.yaml").write_text(changed(text, "damping_line: 1.6e+7", "damping_line: 2.0e+7"), "utf-8")
    station = tmp_path / "station.yaml"
    station.write_text(changed(station.read_text(encoding="utf-8"), "truth.yaml", "other.yaml"), encoding="utf-8")
    answer = labnis(command)
    assert answer.code == 0
    assert "of an earlier cooldown: has it aged since, or is it another device?" in " ".join(
        json.loads(answer.out)["notes"]
    )


def test_the_device_of_another_truth_file_is_named(tmp_path: Path, labnis: Commands) -> None:
    text = (tmp_path / "truth.yaml").read_text(encoding="utf-8")
    (tmp_path / "other.yaml").write_text(text, encoding="utf-8")
    few = "run IVSweep --dry-run --set points=31 --twin"
    assert "--twin is another device, 'other', in the cooldown dry-run" in labnis(f"{few} other.yaml").err
    assert "--twin is another device" not in labnis(f"{few} truth.yaml").err
