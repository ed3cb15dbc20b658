"""Exported runs, read by the programs for which they were made."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skrf
import xarray
from qcodes.dataset import connect, load_by_guid, load_by_id, load_from_netcdf
from silx.io import nxdata
from silx.io import open as silx_open

import labnis as package
from labnis.errors import RequestError
from labnis.exchange.exporting import FORMATS, export
from tests.run.bench import Commands


@pytest.fixture
def sweep(labnis: Commands) -> Path:
    """Run of an I–V sweep."""
    answer = labnis("run IVSweep --dry-run --json --set points=11")
    return Path(json.loads(answer.out)["runs"][0])


@pytest.fixture
def traces(labnis: Commands) -> Path:
    """Run of reflection traces."""
    answer = labnis("run ReflectionVsBias --dry-run --json --set points=5 --set frequencies=21")
    return Path(json.loads(answer.out)["runs"][0])


def written(labnis: Commands, run: Path, to: str, name: str) -> Path:
    answer = labnis(f"export {run} --to {to} --out {name}")
    assert answer.code == 0, answer.err
    assert answer.out.splitlines()[-1].endswith(name) or to == "touchstone"
    return run.parents[3] / name


def test_csv_by_pandas(labnis: Commands, sweep: Path, traces: Path) -> None:
    file = written(labnis, sweep, "csv", "iv.csv")
    summary = json.loads(file.read_text(encoding="utf-8").splitlines()[0].removeprefix("# "))
    run = package.open_run(sweep)
    assert (summary["run_id"], summary["device"]) == (run.run_id, "nis_device")
    assert summary["results"]["gap"]["value"] == run.results["gap"].value
    table = pd.read_csv(file, comment="#")
    np.testing.assert_array_equal(table["current (A)"], run.data["current"])
    np.testing.assert_array_equal(table["bias (V)"], run.data["bias"])
    table, data = pd.read_csv(written(labnis, traces, "csv", "s11.csv"), comment="#"), package.open_run(traces).data
    both = (table["s11_re (1)"] + 1j * table["s11_im (1)"]).to_numpy().reshape(5, 21)
    np.testing.assert_array_equal(both, data["s11"])
    np.testing.assert_array_equal(table["frequency (Hz)"][:21], data["frequency"])


def test_netcdf_by_xarray(labnis: Commands, traces: Path) -> None:
    data = package.open_run(traces).data
    with xarray.open_dataset(written(labnis, traces, "netcdf", "run.nc")) as found:
        np.testing.assert_array_equal(found["s11_re"] + 1j * found["s11_im"], data["s11"])
        assert found["device_voltage"].attrs["units"] == "V"
        assert json.loads(found.attrs["labnis"])["procedure"] == "ReflectionVsBias"


def test_touchstone_by_scikit_rf(labnis: Commands, sweep: Path, traces: Path) -> None:
    folder, data = written(labnis, traces, "touchstone", "traces"), package.open_run(traces).data
    files = sorted(folder.glob("*.s1p"))
    assert len(files) == 5
    for file, trace, bias in zip(files, data["s11"].values, data["bias"].values, strict=True):
        network = skrf.Network(str(file))
        np.testing.assert_array_equal(network.s[:, 0, 0], trace)
        np.testing.assert_array_equal(network.f, data["frequency"])
        assert f"bias = {bias:.9g} V" in network.comments
    with pytest.raises(RequestError, match="touchstone holds S11, and this run has bias_reading, device_voltage"):
        export(sweep, "touchstone", sweep.parent / "none")


def of_qcodes(dataset: Any, name: str) -> np.ndarray:
    return np.asarray(dataset.to_xarray_dataset()[name].values)


def test_a_database_by_qcodes(labnis: Commands, sweep: Path, traces: Path) -> None:
    file = written(labnis, sweep, "qcodes", "lab.db")
    assert written(labnis, traces, "qcodes", "lab.db") == file, "one database holds many runs"
    connection = connect(file)
    try:
        first, second = (load_by_guid(load_by_id(i, connection).guid, connection) for i in (1, 2))
        assert (first.exp_name, first.sample_name, first.name) == ("IVSweep", "nis_device", sweep.stem[-8:])
        data = package.open_run(sweep).data
        np.testing.assert_array_equal(of_qcodes(first, "current"), data["current"])
        assert first.paramspecs["current"].unit == "A"
        assert json.loads(first.metadata["labnis"])["results"]["gap"]["unit"] == "eV"
        s11 = package.open_run(traces).data["s11"]
        np.testing.assert_array_equal(of_qcodes(second, "s11").reshape(s11.shape), s11)
    finally:
        connection.close()


def test_netcdf_of_qcodes_by_qcodes(labnis: Commands, sweep: Path, traces: Path) -> None:
    loaded = load_from_netcdf(written(labnis, sweep, "qcodes-netcdf", "run.nc"), sweep.parent / "other.db")
    np.testing.assert_array_equal(of_qcodes(loaded, "current"), package.open_run(sweep).data["current"])
    loaded = load_from_netcdf(written(labnis, traces, "qcodes-netcdf", "traces.nc"), sweep.parent / "other.db")
    s11 = package.open_run(traces).data["s11"]
    np.testing.assert_array_equal(of_qcodes(loaded, "s11").reshape(s11.shape), s11)


def test_ddh5_by_plottr(labnis: Commands, traces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    storage = pytest.importorskip("plottr.data.datadict_storage")
    file, data = written(labnis, traces, "ddh5", "run.ddh5"), package.open_run(traces).data
    found = storage.datadict_from_hdf5(file)
    assert found.validate() and found.axes("current") == ["bias"]
    np.testing.assert_array_equal(found.data_vals("current"), data["current"])
    found = storage.datadict_from_hdf5(file, groupname="traces")
    assert found.validate() and found.axes("s11") == ["bias", "frequency"]
    np.testing.assert_array_equal(found.data_vals("s11").reshape(5, 21), data["s11"])
    assert found["frequency"]["unit"] == "Hz"


def test_nexus_by_silx(labnis: Commands, sweep: Path) -> None:
    with silx_open(str(written(labnis, sweep, "nexus", "run.nxs"))) as file:
        default = nxdata.get_default(file)
        assert default is not None and default.is_valid
        np.testing.assert_array_equal(default.signal[()], package.open_run(sweep).data[default.signal_dataset_name])


def test_nothing_of_another_kind_is_written_into(labnis: Commands, sweep: Path, traces: Path) -> None:
    before = sweep.read_bytes()
    answer = labnis(f"export {traces} --to qcodes --out {sweep}")
    assert (answer.code, "exists and is no database" in answer.err) == (2, True)
    assert sweep.read_bytes() == before
    ledger = sweep.parents[2] / "ledger.sqlite"
    answer = labnis(f"export {traces} --to qcodes --out {ledger}")
    assert (answer.code, "is no database of QCoDeS" in answer.err) == (2, True)
    answer = labnis(f"export {traces} --to nexus --out {traces.with_name('copy.h5')}")
    assert (answer.code, "would be another run of its id" in answer.err) == (2, True)


def test_what_cannot_be_written_is_refused(sweep: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=f"'word' is no format; they are {', '.join(FORMATS)}"):
        export(sweep, "word", tmp_path / "x")
    (tmp_path / "there.csv").touch()
    with pytest.raises(RequestError, match="exists; give another name"):
        export(sweep, "csv", tmp_path / "there.csv")
    with pytest.raises(RequestError, match="cannot be written"):
        export(sweep, "csv", tmp_path / "there.csv" / "x.csv")


def test_a_cooldown_as_one_folder(labnis: Commands, sweep: Path, traces: Path, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("V (V),I (A)\n1,2\n2,4\n", encoding="utf-8")
    columns = "--columns 'device_voltage=V,current=I'"
    assert labnis(f"import {tmp_path / 'c.csv'} --as IVSweep --device nis_device --cooldown CD8 {columns}").code == 7
    assert labnis("export CD8 --to ro-crate --out imported").code == 0
    assert not [file for file in (tmp_path / "imported").glob("*.json") if str(tmp_path) in file.read_text("utf-8")]
    rocrate = pytest.importorskip("rocrate.rocrate")
    answer = labnis("export dry-run --to ro-crate --out crate")
    assert answer.code == 0 and "2 runs, " in answer.out
    crate = rocrate.ROCrate(tmp_path / "crate")
    files = {entity.id: entity for entity in crate.get_by_type("File")}
    assert set(files) == {sweep.name, traces.name, "calibrations.json"}
    assert f"gap = {package.open_run(sweep).results['gap']}" in files[sweep.name]["description"]
    assert files[sweep.name]["keywords"] == "simulated"
    copy = package.open_run(tmp_path / "crate" / sweep.name)
    assert copy.results["gap"].value == package.open_run(sweep).results["gap"].value
    listed = json.loads((tmp_path / "crate" / "calibrations.json").read_text(encoding="utf-8"))
    assert "gap" in [one["quantity"] for one in listed]
    assert {one["run_path"] for one in listed} == {sweep.name, traces.name}, "relative to the folder"
    assert not [file for file in (tmp_path / "crate").glob("*.json") if str(tmp_path) in file.read_text("utf-8")]
    for number in (1, 2):
        assert labnis(f"ledger revoke {number} --why 'the cable'").code in (0, 6), "all of a fit at once"
    answer = labnis("export dry-run --to ro-crate --out revoked")
    assert f"{sweep.name} is in doubt: current_voltage: it was revoked: the cable" in answer.err
    files = {entity.id: entity for entity in rocrate.ROCrate(tmp_path / "revoked").get_by_type("File")}
    assert "gap = " in files[sweep.name]["description"] and "(in doubt)" in files[sweep.name]["description"]
    assert any("the cable" in text for text in package.open_run(tmp_path / "revoked" / sweep.name).fit.warnings)
    assert not any("the cable" in text for text in package.open_run(sweep).fit.warnings), "its own file is unchanged"
    assert "no run of a cooldown 'CD9'" in labnis("export CD9 --to ro-crate --out other").err
    assert "crate exists; give another name" in labnis("export dry-run --to ro-crate --out crate").err
