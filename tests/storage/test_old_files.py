"""Runs that earlier versions of labnis wrote, unchanged."""

import gzip
from pathlib import Path

import numpy as np
import pytest

import labnis
from labnis.errors import RequestError
from labnis.storage import (
    RunFileError,
    RunWriter,
    list_runs,
    open_rows,
    open_run,
    read_events,
    read_fits,
    read_metadata,
    recover,
)
from labnis.storage._journal import journal_path

FOLDER = Path(__file__).with_name("old_files")


def unpacked(name: str, folder: Path) -> Path:
    folder = folder / "CD12" / "2026-03-04"
    folder.mkdir(parents=True, exist_ok=True)
    for file in FOLDER.glob(f"{name}.h5*"):
        (folder / f"151617-ReflectionVsBias-{file.name.removesuffix('.gz')}").write_bytes(
            gzip.decompress(file.read_bytes())
        )
    return folder / f"151617-ReflectionVsBias-{name}.h5"


def assert_data(path: Path) -> None:
    for run in (open_run(path), open_rows(path)):
        assert dict(run.sizes) == {"point": 5, "frequency": 3}
        biases = np.array([0.0, 1e-4, 2e-4, 2e-4, 3e-4])
        np.testing.assert_allclose(run.device_voltage, biases)
        np.testing.assert_allclose(run.bias, 1.0001 * biases)
        np.testing.assert_array_equal(run.bias_reading, run.bias)
        assert set(run.coords) == {"point", "bias", "frequency"}
        assert run.bias.attrs["note"] == "from the read-back; commanded values were not recorded"
        assert (run.bias_reading.attrs["units"], run.s11.dims) == ("V", ("point", "frequency"))
        np.testing.assert_array_equal(run.s11[:, 1], np.arange(5) * (1 + 2j))
        assert (run.attrs["rows"], run.attrs["signal"], run.attrs["simulated"]) == (5, "device_voltage", 1)


@pytest.mark.parametrize("version", [1, 2])
def test_runs_of_earlier_versions_open(tmp_path, version):
    path = unpacked(f"schema{version}", tmp_path)
    assert_data(path)
    assert read_fits(path)["reflection"]["values"].tolist() == [2e-4]
    found = read_metadata(path)
    assert (found["schema_version"], found["simulated"], found["tags"], found["context"]) == (version, True, [], {})
    [summary] = list_runs(tmp_path)
    assert (summary.status, summary.rows, summary.tags) == ("done", 5, ())
    assert not recover(path).problem


@pytest.mark.parametrize("version", [1, 2])
def test_the_public_functions_read_runs_of_earlier_versions(tmp_path, version):
    path = unpacked(f"schema{version}", tmp_path)
    run = labnis.open_run(path)
    assert (run.rows, run.status, run.problems) == (5, "done", {})
    assert str(run.fit["gap"]) == "200.0 ± 1.0 µeV"
    assert "noise of one datum    = nan" in run.fit.report()
    run.plot()
    with pytest.raises(RequestError, match="no analysis of this run can be loaded"):
        labnis.refit(path)


def test_killed_run_of_version_2_is_recovered(tmp_path):
    path = unpacked("killed2", tmp_path)
    path.write_bytes(path.read_bytes()[:9000])
    report = recover(path, writer_is_gone=True)
    assert (report.rows, report.status) == (5, "failed")
    assert not journal_path(path).exists()
    assert_data(path)
    assert [event.message for event in read_events(path)] == ["seen"]
    assert read_metadata(path)["schema_version"] == 2
    with pytest.raises(RunFileError, match="earlier version of labnis"):
        RunWriter.resume(recover(path))
