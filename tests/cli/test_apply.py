"""A calibration applied to other data: true where it covers them, and refused elsewhere."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray
from scipy.constants import h, k

import labnis as package
from labnis.errors import RequestError
from labnis.experiment.applying import Calibration, drift_rate
from labnis.ledger import Calibration as Entry
from sim_instruments import SHIPPED_TRUTH
from tests.run.bench import BUDGETED_TEXT, Commands, changed, write_station

FEW = "--set ReflectionVsBias.points=15 --set ReflectionVsBias.frequencies=101 --set EmittedPowerVsBias.points=11"
TRUE_GAIN, TRUE_NOISE = 51.84, 8.3


@pytest.fixture
def calibrated(labnis: Commands) -> dict[str, Path]:
    """Procedure → run of a calibration."""
    answer = labnis(f"calibrate --dry-run --json --set IVSweep.points=31 {FEW}")
    assert answer.code == 0, answer.err
    return {path.stem.split("-")[1]: path for path in map(Path, json.loads(answer.out)["runs"])}


def bare(data: xarray.Dataset) -> xarray.Dataset:
    """The data without what they say of their run."""
    return xarray.Dataset(data.data_vars, data.coords)


def at_device(spectrum: xarray.DataArray) -> xarray.DataArray:
    return spectrum / 10 ** (TRUE_GAIN / 10) - k * TRUE_NOISE


def test_spectra_at_the_device_are_the_true_ones(tmp_path: Path, labnis: Commands, calibrated: dict[str, Path]) -> None:
    # Another measurement, at other biases.
    later = labnis("run EmittedPowerVsBias --dry-run --json --seed 5 --set points=5")
    (path,) = json.loads(later.out)["runs"]
    answer = labnis(f"apply gain {path} --from {calibrated['EmittedPowerVsBias']} --out at_device.nc --json")
    assert answer.code == 0, answer.err
    found, measured = xarray.open_dataset(tmp_path / "at_device.nc"), package.open_run(path).data
    true = at_device(measured["spectrum"])
    sigma = np.hypot(found["density_statistical"], found["density_systematic"])
    assert float(np.abs((found["density"] - true) / sigma).max()) < 4
    assert float((sigma / found["density"].max()).median()) < 0.1
    np.testing.assert_allclose(found["photons"], found["density"] / (h * found["frequency"]))
    power = np.trapezoid(true, measured["frequency"], axis=-1)
    assert (
        float(np.abs((found["power"] - power) / np.hypot(found["power_statistical"], found["power_systematic"])).max())
        < 4
    )
    told = json.loads(answer.out)
    np.testing.assert_allclose(told["columns"]["power"], found["power"])
    assert (told["calibration"], told["notes"]) == (calibrated["EmittedPowerVsBias"].stem[-8:], "")


def test_a_revoked_calibration_is_in_doubt_wherever_its_run_is_named(
    tmp_path: Path, labnis: Commands, calibrated: dict[str, Path]
) -> None:
    (rates,) = json.loads(labnis("ledger history damping_line --simulated --json").out)
    assert labnis(f"ledger revoke {rates['number']} --why 'wrong power'").code == 0
    rests = "it rests on the reflection fit of run"
    path, own = calibrated["EmittedPowerVsBias"], calibrated["ReflectionVsBias"]
    refused = labnis(f"apply gain {path}")
    assert refused.code == 2 and "in doubt: it rests on the reflection fit" in refused.err
    chosen = labnis(f"apply gain {path} --from {path}")
    assert chosen.code == 7 and rests in chosen.err
    assert rests in labnis(f"show {path}").out
    assert json.loads(labnis(f"show {own} --json").out)[0]["doubts"] == ["reflection: it was revoked: wrong power"]
    assert rests in " ".join(labnis(f"compare {path} {own}").out.split())


def test_a_chain_that_cannot_be_the_calibrated_one_is_told(
    tmp_path: Path, labnis: Commands, calibrated: dict[str, Path]
) -> None:
    """A run whose own calibration was revoked gets another one, and a doubt; so does a power below zero."""
    weak = tmp_path / "weak.yaml"
    truth = (tmp_path / "truth.yaml").read_text(encoding="utf-8")
    weak.write_text(changed(truth, "gain_db: 51.84", "gain_db: 48.84"), encoding="utf-8")
    station = tmp_path / "station.yaml"
    text = station.read_text(encoding="utf-8")
    station.write_text(changed(text, "truth.yaml", "weak.yaml"), encoding="utf-8")
    (path,) = json.loads(labnis("run EmittedPowerVsBias --dry-run --json --set points=11").out)["runs"]
    number = json.loads(labnis("ledger history gain --simulated --json").out)[-1]["number"]
    assert labnis(f"ledger revoke {number} --why 'loose cable'").code == 0
    answer = labnis(f"apply gain {path} --json")
    told = json.loads(answer.out)
    assert answer.code == 7 and told["calibration"] == calibrated["EmittedPowerVsBias"].stem[-8:]
    assert f"the run's own gain ({number}) was revoked: loose cable" in told["warnings"]
    assert "σ below zero, which cannot be: the chain was another one" in told["warnings"]
    holed = package.open_run(path).data.copy(deep=True)
    holed["spectrum"][0, 3] = np.nan
    found = Calibration.of(calibrated["EmittedPowerVsBias"]).apply(holed)
    assert "1 of 11 spectra have bins that are no numbers, and no power" in found.attrs["warnings"]


def test_an_amplitude_error_of_the_same_analyzer_cancels(tmp_path: Path, labnis: Commands) -> None:
    write_station(tmp_path, BUDGETED_TEXT)
    answer = labnis(f"calibrate --dry-run --json --set IVSweep.points=31 {FEW}")
    path = json.loads(answer.out)["runs"][-1]
    run = package.open_run(path)
    assert run.results["gain"].systematic > 0.12
    known = {name: run.metadata[name] for name in ("wiring", "instruments")}
    calibration = Calibration.of(path)
    same, other = calibration.apply(run.data, **known), calibration.apply(bare(run.data))
    np.testing.assert_array_equal(calibration.apply(run.data)["power_systematic"], same["power_systematic"])
    assert float((other["power_systematic"] / same["power_systematic"]).min()) > 5
    assert "not known of the data, and not checked: time, wiring, instruments" in other.attrs["notes"]


def test_the_background_of_a_reflection_is_taken_out(labnis: Commands, calibrated: dict[str, Path]) -> None:
    path = calibrated["ReflectionVsBias"]
    answer = labnis(f"apply background {path}")
    assert answer.code == 0 and "|S11| at the device from" in answer.out
    run = package.open_run(path)
    applied = Calibration.of(path).apply(run.data)
    found = applied["reflection"]
    v, f = run.fits["reflection"].by_name, run.data["frequency"].values
    # Without bias, where the junctions hardly damp: a circle through −1, as a network analyzer measures it.
    zero = found.isel(bias=int(np.abs(run.data["bias"].values).argmin())).values
    detuning = 2 * np.pi * (f - v["resonance_frequency"])
    total = v["damping_line"] + v["damping_excess"]
    expected = -1 + (1 + complex(v["fano_real"], v["fano_imag"])) * v["damping_line"] / (total - 2j * detuning)
    assert np.abs(zero - expected.conj()).max() < 0.02
    sigma = np.hypot(*(applied[f"reflection_{part}"] for part in ("statistical", "systematic")))
    assert 0 < float(sigma.median()) < 0.02


def test_what_is_not_covered_is_refused(tmp_path: Path, labnis: Commands, calibrated: dict[str, Path]) -> None:
    path = calibrated["EmittedPowerVsBias"]
    run = package.open_run(path)
    calibration, data, known = Calibration.of(path), run.data, run.metadata
    with pytest.raises(RequestError, match=r"the data are from 4\.\d+ to 4\.\d+ GHz, and .* calibrates"):
        calibration.apply(data.assign_coords(frequency=data["frequency"] + 1e6))
    with pytest.raises(RequestError, match="measured otherwise than the data: divider is 10, was "):
        calibration.apply(data, wiring=known["wiring"] | {"divider": 10})
    name = next(iter(known["instruments"]))
    with pytest.raises(RequestError, match=f"{name} is .*'another'"):
        calibration.apply(data, instruments={name: {"serial": "another"}})
    with pytest.raises(RequestError, match="calibrates spectrum along frequency, and the data have"):
        calibration.apply(data.drop_vars("spectrum"))
    with pytest.raises(RequestError, match="has no fit of emitted spectra or a reflection"):
        Calibration.of(calibrated["IVSweep"])
    before = labnis("run EmittedPowerVsBias --dry-run --json --set points=5")
    (later,) = json.loads(before.out)["runs"]
    with h5py.File(later, "a") as file:
        file.attrs["start"] = "2001-01-01T00:00:00+00:00"
    answer = labnis(f"apply gain {later}")
    assert answer.code == 2
    assert "no gain of nis_device was valid at 2001-01-01" in answer.err and "Choose a run with --from" in answer.err
    data[["spectrum"]].drop_attrs(deep=False).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    assert "give --from RUN" in labnis("apply gain other.nc").err
    foreign = labnis(f"apply gain other.nc --from {path}")
    assert foreign.code == 0 and "not checked: time, wiring, instruments" in foreign.out


def test_units_order_and_existing_files(labnis: Commands, calibrated: dict[str, Path]) -> None:
    path = calibrated["EmittedPowerVsBias"]
    before = path.read_bytes()
    assert "exists; give another name" in labnis(f"apply gain {path} --out {path}").err
    assert path.read_bytes() == before
    calibration, data = Calibration.of(path), package.open_run(path).data
    np.testing.assert_allclose(
        calibration.apply(data.isel(frequency=slice(None, None, -1)))["power"], calibration.apply(data)["power"]
    )
    wrong = data.assign(spectrum=data["spectrum"].assign_attrs(units="dBm/Hz"))
    with pytest.raises(RequestError, match="spectrum is in dBm/Hz; it has to be in W/Hz"):
        calibration.apply(wrong)
    with pytest.raises(RequestError, match="at least two frequencies"):
        calibration.apply(data.isel(frequency=[3]))
    assert calibration.apply(data).attrs["notes"] == "", "the data of a run say when, and with what"
    assert "not checked: time, wiring, instruments" in calibration.apply(bare(data), instruments={}).attrs["notes"]


def entry(number: int, gain: float, hours: float) -> Entry:
    measured = datetime(2026, 11, 3, tzinfo=UTC) + timedelta(hours=hours)
    return Entry(
        quantity="gain", value=gain, sigma=0.01, unit="dB", run_path="r", run_id=f"{number}", model="m",
        code_version="c", simulated=True, number=number, batch="b", device="A7", cooldown="CD1", created=measured,
        measured=measured, revoked=None, reason="",
    )  # fmt: skip


def test_the_drift_seen_so_far_widens_sigma(calibrated: dict[str, Path]) -> None:
    quiet, drifting = ([entry(i, 50 + step * i, 24.0 * i) for i in range(5)] for step in (0.005, 0.1))
    assert drift_rate(quiet) == 0 == drift_rate(quiet[:1])
    per_day = drift_rate(drifting) * 86400
    assert per_day == pytest.approx(0.1**2 - 2 * 0.01**2)
    path = calibrated["EmittedPowerVsBias"]
    run = package.open_run(path)
    calibration = Calibration.of(path, drift_rate(drifting))
    start: Any = run.metadata["start"]
    now, week = (calibration.apply(run.data, measured=start + timedelta(days=days)) for days in (0, 7))
    spectrum = run.data["spectrum"] / 10 ** (run.results["gain"].value / 10)
    more = np.sqrt(week["density_systematic"] ** 2 - now["density_systematic"] ** 2)
    np.testing.assert_allclose(more / spectrum, np.log(10) / 10 * np.sqrt(7 * per_day), rtol=1e-6)
    assert "σ of the gain contains a drift of 0.26 dB, as seen in its cooldown" in week.attrs["notes"]


def test_the_background_of_a_device_that_heats(labnis: Commands, tmp_path: Path) -> None:
    # Of what the budget has, rounding left a variance of less than 0, and a step to an impossible device.
    write_station(tmp_path, BUDGETED_TEXT)
    cooler = f"--dry-run --twin {SHIPPED_TRUTH.with_name('micro_cooler.yaml')}"
    labnis(f"run IVSweep {cooler} --set points=61")
    (path,) = json.loads(labnis(f"run ReflectionVsBias {cooler} --json --set points=11 --set frequencies=101").out)[
        "runs"
    ]
    applied = labnis(f"apply background {path} --from {path} --json")
    assert applied.code in (0, 7), applied.err
    columns = json.loads(applied.out)["columns"]
    sigma = np.hypot(columns["reflection_statistical"], columns["reflection_systematic"])
    assert np.isfinite(sigma).all() and sigma.max() < 0.1


def as_table(data: xarray.Dataset, biases: list[int]) -> pd.DataFrame:
    """Spectra at a few biases, one below the other, as an analyzer with another program writes them."""
    few = data[["spectrum", "noise_bandwidth", "device_voltage"]].isel(bias=biases)
    table = few.to_dataframe().reset_index()
    return pd.DataFrame(
        {
            "f (GHz)": table["frequency"] / 1e9,
            "V (mV)": table["device_voltage"] * 1e3,
            "P (dBm/Hz)": 10 * np.log10(table["spectrum"] / 1e-3),
            "power (dBm)": 10 * np.log10(table["spectrum"] * table["noise_bandwidth"] / 1e-3),
            "RBW (kHz)": table["noise_bandwidth"] / 1e3,
        }
    )


NAMES = "frequency=f,device_voltage=V,spectrum=P"


def test_spectra_in_a_text(labnis: Commands, calibrated: dict[str, Path], tmp_path: Path) -> None:
    path = calibrated["EmittedPowerVsBias"]
    data, calibration = package.open_run(path).data, Calibration.of(path)
    known = calibration.apply(data)["power"].values[[1, 9]]
    table = as_table(data, [1, 9])
    table.to_csv(tmp_path / "s.csv", index=False)
    for names in (NAMES, "frequency=f,spectrum=power,noise_bandwidth=RBW"):
        answer = labnis(f"apply gain s.csv --from {path} --columns '{names}' --json")
        assert answer.code == 0, answer.err
        np.testing.assert_allclose(json.loads(answer.out)["columns"]["power"], known, rtol=1e-9)
        assert "not checked: time, wiring, instruments" in json.loads(answer.out)["notes"]
        columns = dict(part.split("=") for part in names.split(","))
        np.testing.assert_allclose(calibration.apply(table, columns=columns)["power"], known, rtol=1e-9)
    found = calibration.apply(table, columns=dict(part.split("=") for part in NAMES.split(",")))
    np.testing.assert_allclose(found["device_voltage"], data["device_voltage"].values[[1, 9]])
    assert "unit of the spectrum is not stated" not in found.attrs["notes"]
    wrong = " ".join(labnis(f"apply gain s.csv --from {path} --columns 'frequency=f,spectrum=power'").err.split())
    assert "s.csv: 'power' is in dBm; as spectrum it has to be per hertz, such as W/Hz or dBm/Hz, or a power" in wrong
    missing = " ".join(labnis(f"apply gain s.csv --from {path}").err.split())
    assert "s.csv: frequency, spectrum missing; there are f (GHz), V (mV), P (dBm/Hz)" in missing
    assert "give --from RUN" in labnis("apply gain s.csv").err
    assert "--columns: a run has the columns" in labnis(f"apply gain {path} --columns spectrum=P").err
    with pytest.raises(RequestError, match="the data are a list; give a Dataset, a DataFrame, or a mapping"):
        calibration.apply([1.0])  # type: ignore[arg-type]
    by_frequency = (
        table.iloc[: len(table) // 2].rename(columns={"P (dBm/Hz)": "spectrum (dBm/Hz)"}).set_index("f (GHz)")
    )
    np.testing.assert_allclose(
        calibration.apply(by_frequency, columns={"frequency": "f"})["power"], known[:1], rtol=1e-9
    )


def test_an_export_of_labnis_has_its_own_calibration(labnis: Commands, calibrated: dict[str, Path]) -> None:
    path = calibrated["EmittedPowerVsBias"]
    own = json.loads(labnis(f"apply gain {path} --json").out)
    for to, name in (("csv", "s.csv"), ("netcdf", "s.nc"), ("qcodes", "s.db")):
        assert labnis(f"export {path} --to {to} --out {name}").code == 0
        answer = labnis(f"apply gain {name} --json")
        assert answer.code == 0, answer.err
        found = json.loads(answer.out)
        assert (found["calibration"], found["notes"]) == (own["calibration"], own["notes"])
        np.testing.assert_allclose(found["columns"]["power"], own["columns"]["power"], rtol=1e-12)
        np.testing.assert_allclose(
            found["columns"]["power_systematic"], own["columns"]["power_systematic"], rtol=1e-9, err_msg="same analyzer"
        )


def test_a_reflection_in_a_text(labnis: Commands, calibrated: dict[str, Path], tmp_path: Path) -> None:
    path = calibrated["ReflectionVsBias"]
    data = package.open_run(path).data.isel(bias=3)
    s11 = data["s11"].values
    table = {"frequency (Hz)": data["frequency"].values, "a (dB)": 20 * np.log10(np.abs(s11)), "b (rad)": np.angle(s11)}
    pd.DataFrame(table).to_csv(tmp_path / "t.csv", index=False)
    answer = labnis(f"apply background t.csv --from {path} --columns 's11_db=a,s11_rad=b' --json")
    assert answer.code == 0, answer.err
    known = Calibration.of(path).apply(package.open_run(path).data)["reflection"].values[3]
    columns = json.loads(answer.out)["columns"]
    np.testing.assert_allclose(np.squeeze(columns["reflection_re"]), known.real, rtol=1e-9)


@pytest.mark.parametrize(
    ("frequency", "spectrum", "told"),
    [([], [], "is empty"), (["a"] * 3, ["b"] * 3, "has no numbers: could not convert string to float")],
)
def test_columns_without_numbers_are_refused(
    frequency: list[str], spectrum: list[str], told: str, calibrated: dict[str, Path]
) -> None:
    calibration = Calibration.of(calibrated["EmittedPowerVsBias"])
    with pytest.raises(RequestError, match=told):
        calibration.apply({"frequency (Hz)": frequency, "spectrum (W/Hz)": spectrum})
