"""What labnis has exported comes back as it was: fit, time, device, cooldown, line, and whether it was simulated."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import labnis as package
from labnis.errors import RequestError
from labnis.exchange.exporting import export
from labnis.exchange.importing import import_run
from labnis.exchange.reading import is_simulated
from labnis.experiment.run import Run, device_of
from tests.run.bench import BUDGETED_TEXT, Commands, write_station

FORMATS = {
    "csv": "r.csv",
    "netcdf": "r.nc",
    "qcodes": "r.db",
    "qcodes-netcdf": "q.nc",
    "ddh5": "r.ddh5",
    "nexus": "r.h5",
}
FEW = "--set IVSweep.points=31 --set ReflectionVsBias.points=15 --set ReflectionVsBias.frequencies=101 --set EmittedPowerVsBias.points=11"  # noqa: E501  # fmt: skip


@pytest.fixture
def calibrated(labnis: Commands, tmp_path: Path) -> list[Run]:
    """The runs of a calibration with budgets, behind a line of 2 kΩ."""
    write_station(tmp_path, BUDGETED_TEXT)
    answer = labnis(f"calibrate --dry-run --json {FEW}")
    assert answer.code == 0, answer.err
    return [package.open_run(path) for path in json.loads(answer.out)["runs"]]


def assert_same(found: Run, original: Run) -> None:
    assert [*found.results] == [*original.results]
    for name, estimate in original.results.items():
        assert found.results[name].value == pytest.approx(estimate.value, abs=0.02 * estimate.sigma), name
        assert found.results[name].sigma == pytest.approx(estimate.sigma, rel=0.02), name
    assert not found.problems and found.doubtful == original.doubtful == frozenset()
    one, other = found.metadata, original.metadata
    for name in ("start", "cooldown", "simulated", "wiring", "instruments", "seed"):
        assert one[name] == other[name], name
    assert device_of(one) == device_of(other) == "nis_device"
    assert [(c["fit"], c["run_id"]) for c in one["calibrations"]] == [
        (c["fit"], c["run_id"]) for c in other["calibrations"]
    ]
    assert original.run_id in one["note"] and str(original.path.parent) not in one["note"]


def test_an_export_comes_back_as_it_was(calibrated: list[Run], tmp_path: Path) -> None:
    for number, run in enumerate(calibrated):
        for to, name in FORMATS.items():
            (file,) = export(run.path, to, tmp_path / f"{number}{name}")
            assert_same(import_run(file, run.procedure, data=tmp_path / "again"), run)
        assert_same(import_run(run.data, run.procedure, data=tmp_path / "again"), run)


def test_with_the_run_whose_fit_it_needs_it_is_not_in_doubt(calibrated: list[Run], tmp_path: Path) -> None:
    curve, traces, _ = calibrated
    (file,) = export(traces.path, "csv", tmp_path / "t.csv")
    found = import_run(file, "ReflectionVsBias", data=tmp_path / "again", priors_from=[curve.path])
    assert_same(found, traces)
    assert not found.notes
    moved = import_run(file, "ReflectionVsBias", data=tmp_path / "again", cooldown="CD9", start=curve.metadata["start"])
    assert "cooldown is CD9, and the export says dry-run" in moved.notes
    assert any(note.startswith("start is ") and "and the export says" in note for note in moved.notes)
    with pytest.raises(RequestError, match="the part of the line, 2000 ohm, is subtracted already; leave it out"):
        import_run(file, "ReflectionVsBias", data=tmp_path / "again", series_resistance=2e3)


def test_the_doubt_of_a_run_goes_with_its_export(calibrated: list[Run], tmp_path: Path) -> None:
    curve, *_ = calibrated
    (file,) = export(curve.path, "csv", tmp_path / "c.csv")
    head, *rows = file.read_text(encoding="utf-8").splitlines()
    record = json.loads(head[2:]) | {"warnings": {"current_voltage": ["another device may be at the end"]}}
    file.write_text("\n".join([f"# {json.dumps(record)}", *rows]) + "\n", encoding="utf-8")
    found = import_run(file, "IVSweep", data=tmp_path / "again")
    assert found.fits["current_voltage"].warnings == ("another device may be at the end",)
    assert found.doubtful == frozenset(found.results)


def test_an_export_that_a_spreadsheet_wrote_again(calibrated: list[Run], tmp_path: Path) -> None:
    curve, *_ = calibrated
    (file,) = export(curve.path, "csv", tmp_path / "c.csv")
    with file.open(encoding="utf-8", newline="") as original:
        cells = list(csv.reader(original))
    with (tmp_path / "again.csv").open("w", encoding="utf-8", newline="") as written:
        csv.writer(written).writerows(cells)
    assert_same(import_run(tmp_path / "again.csv", "IVSweep", data=tmp_path / "again"), curve)
    assert is_simulated(tmp_path / "again.csv")
    text = (tmp_path / "again.csv").read_text(encoding="utf-8").replace('""device""', "device", 1)
    (tmp_path / "again.csv").write_text(text, encoding="utf-8")
    with pytest.raises(
        RequestError, match="what it says of the run of labnis that it was exported from cannot be used"
    ):
        import_run(tmp_path / "again.csv", "IVSweep", data=tmp_path / "again")


def test_a_trace_of_an_exported_folder(calibrated: list[Run], tmp_path: Path) -> None:
    _, traces, _ = calibrated
    file = export(traces.path, "touchstone", tmp_path / "traces")[7]
    found = import_run(file, "Resonance", data=tmp_path / "again").metadata
    assert (found["start"], found["simulated"], device_of(found)) == (
        traces.metadata["start"],
        True,
        "nis_device",
    )


def test_a_command_enters_it_where_it_was_measured(labnis: Commands, calibrated: list[Run], tmp_path: Path) -> None:
    curve, *_ = calibrated
    assert labnis(f"export {curve.path} --to csv --out c.csv").code == 0
    answer = labnis("import c.csv --as IVSweep --json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["notes"] == [] and json.loads(answer.out)["simulated"]
    listed = json.loads(labnis("calibrations --simulated --json").out)
    gaps = [one for one in listed if one["quantity"] == "gap"]
    assert [(one["device"], one["cooldown"], one["measured"]) for one in gaps] == 2 * [
        ("nis_device", "dry-run", gaps[0]["measured"])
    ]


def test_an_interrupted_run_is_not_complete_as_it_comes_back(labnis: Commands, tmp_path: Path) -> None:
    (path,) = json.loads(labnis("run IVSweep --dry-run --json --set points=61").out)["runs"]
    (file,) = export(path, "csv", tmp_path / "c.csv")
    lines: Any = file.read_text(encoding="utf-8").splitlines()
    names = [name.split(" (")[0] for name in lines[1].split(",")]
    kept = {names.index("bias")}
    cut = [
        ",".join(text if column in kept else "nan" for column, text in enumerate(line.split(",")))
        for line in lines[14:]
    ]
    file.write_text("\n".join([*lines[:14], *cut]) + "\n", encoding="utf-8")
    found = import_run(file, "IVSweep", data=tmp_path / "again")
    assert not found.fits and "only 12 of 61 points were measured" in found.problem
    assert int(np.isfinite(found.data["current"]).sum()) == 12


def test_an_export_of_before_has_no_line_and_says_so(calibrated: list[Run], tmp_path: Path) -> None:
    curve, *_ = calibrated
    (file,) = export(curve.path, "csv", tmp_path / "c.csv")
    head, *rows = file.read_text(encoding="utf-8").splitlines()
    record = json.loads(head[2:])
    old = {k: v for k, v in record.items() if k not in ("context", "calibrations", "instruments", "seed")}
    file.write_text("\n".join([f"# {json.dumps(old)}", *rows]) + "\n", encoding="utf-8")
    found = import_run(file, "IVSweep", data=tmp_path / "again")
    assert found.metadata["start"] == curve.metadata["start"]
    assert "its export does not say line and priors" in " ".join(found.notes)
    file.write_text("\n".join([f"# {json.dumps(record | {'start': 5})}", *rows]) + "\n", encoding="utf-8")
    with pytest.raises(RequestError, match=r"c\.csv: what it says of the run of labnis .* cannot be used .*export"):
        import_run(file, "IVSweep", data=tmp_path / "again")
