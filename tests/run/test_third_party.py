"""Other people's pymeasure procedures run under labnis as they are, by dotted path."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from labnis.storage import open_run, read_metadata
from tests.run.bench import BiasLog, Commands, changed

MINE = "tests.run.lab_procedures"


def only_run(folder: Path) -> Path:
    (path,) = folder.glob("data/dry-run/*/*.h5")
    return path


@pytest.mark.parametrize("name", ["CosineScan", "BatchScan"])
def test_rows_are_stored_with_units(name: str, tmp_path: Path, labnis: Commands, bias: BiasLog) -> None:
    answer = labnis(f"run {MINE}.{name} --dry-run --json --set points=4 --set mode=down --set slow=true")
    assert answer.code == 0, answer.err
    with open_run(only_run(tmp_path)) as run:
        assert list(run.dims) == ["point"]
        assert run["voltage"].attrs["units"] == "V"
        np.testing.assert_array_equal(run["voltage"], [0.0, 0.5, 1.0, 1.5])
        np.testing.assert_array_equal(run["sense_current"], [0.0, -2.0, -4.0, -6.0])
        assert run["sense_current"].attrs["units"] == "nA"
        assert run["sense_current"].attrs["long_name"] == "Sense current"
        assert run["count"].attrs["units"] == "1"
    assert read_metadata(only_run(tmp_path))["parameters"] == {"points": 4, "step": 0.5, "mode": "down", "slow": True}
    assert not bias.moved


def test_quantities_are_converted_missing_columns_are_nan_and_unknown_ones_are_named(
    tmp_path: Path, labnis: Commands, caplog: pytest.LogCaptureFixture
) -> None:
    assert labnis(f"run {MINE}.LooseScan --dry-run").code == 0
    with h5py.File(only_run(tmp_path)) as file:
        np.testing.assert_allclose(file["data/voltage"], [0.25, 1.0])
        np.testing.assert_allclose(file["data/sense_current"], [np.nan, 1000.0])
        np.testing.assert_allclose(file["data/count"], [np.nan, 2.0])
    assert "column 'Comment' is not among the procedure's DATA_COLUMNS" in caplog.text


@pytest.mark.parametrize(("limit", "code"), [(0.5, 0), (0.001, 4)])
def test_interlocks_hold_for_a_procedure_that_names_no_roles(
    limit: float, code: int, station: Path, labnis: Commands
) -> None:
    """The thermometer is opened for the interlock, not for the procedure."""
    text = station.read_text(encoding="utf-8")
    station.write_text(changed(text, "# fridge_abort: 0.500 ", f"fridge_abort: {limit}"), encoding="utf-8")
    answer = labnis(f"run {MINE}.CosineScan --dry-run")
    assert answer.code == code, answer.err
    assert ("fridge.temperature reads 0.0" in answer.err) == bool(code)


def test_a_parameter_without_a_default_has_to_be_given(tmp_path: Path, labnis: Commands) -> None:
    answer = labnis(f"run {MINE}.NeedsGain --dry-run")
    assert answer.code == 2
    assert answer.err == "labnis: NeedsGain needs a value for gain; give it as --set gain=VALUE\n"
    assert labnis(f"run {MINE}.NeedsGain --dry-run --set gain=2").code == 0
    assert read_metadata(only_run(tmp_path))["parameters"]["gain"] == 2.0


@pytest.mark.parametrize(
    ("setting", "allowed"), [("mode=sideways", "one of up, down"), ("slow=perhaps", "true or false")]
)
def test_choices_are_named(setting: str, allowed: str, labnis: Commands) -> None:
    answer = labnis(f"run {MINE}.CosineScan --dry-run --set {setting}")
    assert answer.code == 2
    assert f"it must be {allowed}" in answer.err


def test_show_and_figure_work_for_a_procedure_without_a_fit(tmp_path: Path, labnis: Commands) -> None:
    labnis(f"run {MINE}.CosineScan --dry-run")
    answer = labnis(f"show {only_run(tmp_path)} --figure scan.svg")
    assert answer.code == 0
    assert "SIMULATED CosineScan" in answer.out
    assert (tmp_path / "scan.svg").stat().st_size > 5_000
