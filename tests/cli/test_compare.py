"""Runs beside each other: what was set otherwise, and results with what they share taken out."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

import labnis as package
from labnis.storage import list_runs, read_metadata
from labnis.ui.compared_curves import compared_figure, in_sigma
from tests.run.bench import BUDGETED_TEXT, Commands, changed, write_station


@pytest.fixture
def runs(labnis: Commands, tmp_path: Path) -> list[str]:
    """Ids of two curves of one device with other noise and another number of points."""
    write_station(tmp_path, BUDGETED_TEXT)
    for seed, points in ((1, 61), (2, 81)):
        assert labnis(f"run IVSweep --dry-run --seed {seed} --set points={points}").code in (0, 7)
    return [run.run_id for run in sorted(list_runs(tmp_path / "data"), key=lambda run: run.number or 0)]


def compared(labnis: Commands, *words: str) -> Any:
    answer = labnis(f"compare {' '.join(words)} --json")
    assert answer.code == 0, answer.err
    return json.loads(answer.out)


def test_settings_and_results(labnis: Commands, runs: list[str], tmp_path: Path) -> None:
    first, second = runs
    found = compared(labnis, *runs)
    assert found["settings"] == {
        first: {"parameters.points": 61, "seed": 1},
        second: {"parameters.points": 81, "seed": 2},
    }
    by_name = {one["result"]: one for one in found["differences"]}
    gap = by_name["gap"]
    assert (gap["first"], gap["second"], gap["unit"]) == (first, second, "eV")
    one, other = (
        package.open_run(run.path) for run in sorted(list_runs(tmp_path / "data"), key=lambda r: r.number or 0)
    )
    assert gap["difference"] == pytest.approx(other.results["gap"].value - one.results["gap"].value)
    # The voltmeter is the same: its gain does not count in the difference.
    assert gap["sigma"] < 0.3 * one.results["gap"].sigma
    assert gap["error"] == pytest.approx(abs(gap["difference"]) / (2 * gap["sigma"]))
    assert gap["error"] < 2


def test_simulated_instruments_of_another_seed_are_others(labnis: Commands, tmp_path: Path) -> None:
    text = write_station(tmp_path, BUDGETED_TEXT).with_name("truth.yaml").read_text("utf-8")
    found = []
    for name, own in (("same", "stated\ninstrument_seed: 5"), ("others", "stated")):
        truth = tmp_path / f"{name}.yaml"
        truth.write_text(changed(text, "instrument_errors: none", f"instrument_errors: {own}"), encoding="utf-8")
        few = f"--twin {truth} --set points=61 --json"
        ran = [labnis(f"run IVSweep --dry-run --seed {seed} {few}").out for seed in (1, 3)]
        found.append(compared(labnis, *(json.loads(one)["runs"][0] for one in ran)))
    same, others = found
    gaps = [next(one for one in each["differences"] if one["result"] == "gap") for each in (same, others)]
    assert not [note for note in same["notes"] if "not in the budget" not in note]
    assert "simulated instruments are others" in " ".join(others["notes"])
    assert gaps[0]["sigma"] < 0.3 * gaps[1]["sigma"]
    assert max(one["error"] for one in others["differences"]) < 2
    history = json.loads(labnis("ledger history gap --simulated --json").out)
    assert all(one["error"] is None or one["error"] < 2 for one in history)


def test_the_tables(labnis: Commands, runs: list[str]) -> None:
    said = labnis(f"compare {' '.join(runs)}").out
    for word in ("parameters.points", "61", "81", "gap", "E_n", f"{runs[1]} - {runs[0]}"):
        assert word in said


def test_one_run_is_not_compared(labnis: Commands, runs: list[str]) -> None:
    for words in (runs[0], f"{runs[0]} {runs[0]}"):
        answer = labnis(f"compare {words}")
        assert answer.code == 2
        assert "at least two runs" in answer.err


def test_runs_without_a_common_result(labnis: Commands, runs: list[str]) -> None:
    assert labnis("run IVSweep --dry-run --set points=12 --set maximum_bias=1e-4").code == 7  # no fit
    said = labnis("ls --json")
    third = next(run["run_id"] for run in json.loads(said.out) if run["run_id"] not in runs)
    answer = labnis(f"compare {runs[0]} {third}")
    assert answer.code == 0
    assert "no result of two of them can be compared" in answer.out


def test_an_instrument_that_only_another_run_of_the_session_used_is_no_difference(
    tmp_path: Path, labnis: Commands
) -> None:
    few = "--set IVSweep.points=21 --set ReflectionVsBias.points=4 --set EmittedPowerVsBias.points=4"
    assert labnis(f"calibrate --dry-run {few}").code in (0, 7)
    assert labnis("run IVSweep --dry-run --set points=25").code in (0, 7)
    runs = sorted(list_runs(tmp_path / "data"), key=lambda run: run.number or 0)
    curve, reflection, _, other = (run.run_id for run in runs)
    assert read_metadata(runs[0].path)["instruments"].keys() > read_metadata(runs[3].path)["instruments"].keys()
    assert compared(labnis, curve, other)["settings"][curve] == {"parameters.points": 21}
    assert "instruments.n5222b.model" in compared(labnis, curve, reflection)["settings"][curve]


def test_curves_in_one_axis(labnis: Commands, runs: list[str], tmp_path: Path) -> None:
    answer = labnis(f"compare {' '.join(runs)} --figure both.png")
    assert answer.code == 0, answer.err
    image = imread(tmp_path / "both.png")
    assert image.shape[0] > 700 and image.std() > 0.05
    first, second = (package.open_run(run.path) for run in sorted(list_runs(tmp_path / "data"), key=lambda r: r.start))
    apart = in_sigma(first, second, "current")
    assert 0.8 < np.nanstd(apart) < 1.5, "the same device: noise of its readings"
    reflection = labnis("run ReflectionVsBias --dry-run --json --set points=5 --set frequencies=51")
    (path,) = json.loads(reflection.out)["runs"]
    wrong = labnis(f"compare {runs[0]} {path} --figure x.png")
    assert (wrong.code, "runs of one procedure are drawn together" in wrong.err) == (2, True)


def test_single_traces_in_one_axis(labnis: Commands, tmp_path: Path) -> None:
    frequency = np.linspace(4.995e9, 5.005e9, 101)
    found = []
    for number, shift in enumerate((0.0, 3e5)):
        s11 = -1 + 8e6 / (5.5e6 + 4j * np.pi * (frequency - 5e9 - shift))
        noise = 1e-3 * np.random.default_rng(number).standard_normal((2, 101))
        trace = {"frequency": frequency, "s11": 0.5 * s11 + noise[0] + 1j * noise[1]}
        found.append(package.import_run(trace, "Resonance", data=tmp_path / "data"))
    answer = labnis(f"compare {found[0].path} {found[1].path} --figure both.png")
    assert answer.code == 0, answer.err
    image = imread(tmp_path / "both.png")
    assert image.shape[0] > 700 and image.std() > 0.05
    assert "resonance_frequency" in answer.out


def test_several_traces_are_not_drawn_together(labnis: Commands) -> None:
    few = "--dry-run --json --set points=4 --set frequencies=51"
    paths = [json.loads(labnis(f"run ReflectionVsBias {few}").out)["runs"][0] for _ in range(2)]
    answer = labnis(f"compare {' '.join(paths)} --figure both.png")
    assert answer.code == 2
    told = " ".join(answer.err.split())
    assert "(ReflectionVsBias) has several traces. Leave it out, or draw each run by `labnis show RUN --figure" in told


def test_curves_are_drawn_in_one_unit(labnis: Commands) -> None:
    """One of them ends below 1 mV, the other above."""
    found = [
        json.loads(labnis(f"run IVSweep --dry-run --json --set points=61 --set maximum_bias={maximum}").out)["runs"][0]
        for maximum in ("0.9mV", "2mV")
    ]
    runs = [package.open_run(path) for path in found]
    for pair in (runs, runs[::-1]):
        upper, lower = compared_figure(pair).axes
        assert lower.get_xlabel().endswith("(mV)")
        for line, run in zip(upper.lines, pair, strict=True):
            np.testing.assert_allclose(line.get_xdata(), run.data["device_voltage"] * 1e3)


def test_how_far_another_device_is_apart_has_its_sign_and_no_single_readings_of_another_size(
    labnis: Commands, runs: list[str], tmp_path: Path
) -> None:
    """A reading that is nearly on its own fit does not tell σ: such a one stood at −100 000 σ among +65 000."""
    text = (tmp_path / "truth.yaml").read_text(encoding="utf-8")
    (tmp_path / "other.yaml").write_text(changed(text, "  resistance: 12.0e3", "  resistance: 6.0e3"), "utf-8")
    made = labnis("run IVSweep --dry-run --json --seed 4 --set points=201 --twin other.yaml")
    other = package.open_run(json.loads(made.out)["runs"][0])
    first = package.open_run(next(run.path for run in list_runs(tmp_path / "data") if run.run_id == runs[0]))
    apart = in_sigma(first, other, "current")
    beyond = np.abs(apart) > 1e3
    assert beyond.sum() > 50
    assert (np.sign(apart[beyond]) == np.sign(other.data["current"].values[beyond])).all()
    assert np.ptp(np.abs(np.diff(apart))[beyond[1:] & beyond[:-1]]) < 0.2 * np.abs(apart).max()
