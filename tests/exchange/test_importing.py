"""Data of other programs as runs: right units or a refusal, and everything that a run has."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
import skrf
import xarray
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import labnis as package
from labnis.errors import RequestError
from labnis.exchange.exporting import export
from labnis.exchange.importing import import_run
from labnis.exchange.reading import is_simulated, read_columns
from labnis.physics import NISJunction
from tests.run.bench import Commands

GAP, RESISTANCE = 205e-6, 9e3
VOLTAGE = np.linspace(-1e-3, 1e-3, 81)
CURRENT = NISJunction(GAP, RESISTANCE, 1e-3).current(VOLTAGE / 2, 0.12) + 1e-12 * np.random.default_rng(0).normal(
    size=81
)
FREQUENCY = np.linspace(4.995e9, 5.005e9, 101)
RATES = 4e6, 1.5e6


def trace(shift: float = 0.0) -> NDArray[np.complex128]:
    """S11 of a resonance at 5 GHz with a cable, as a network analyzer measures it."""
    line, internal = RATES
    gamma = -1 + 2 * line / (line + internal + 4j * np.pi * (FREQUENCY - 5e9 - shift))
    noise = np.random.default_rng(1).normal(size=(2, 101)) * 1e-3
    return np.asarray(0.5 * np.exp(-2j * np.pi * 2e-9 * (FREQUENCY - 5e9)) * gamma + noise[0] + 1j * noise[1])


def assert_junction(run: package.experiment.run.Run) -> None:
    assert run.status == "done" and run.rows == 81
    gap, resistance = run.results["gap"], run.results["normal_resistance"]
    assert abs(gap.value - GAP) < 4 * gap.sigma < 0.01 * GAP
    assert abs(resistance.value - RESISTANCE) < 4 * resistance.sigma < 0.01 * RESISTANCE
    assert run.fit is not None
    assert any("σ is that of the noise" in note and "an import has none" in note for note in run.fit.notes)


TEXTS = {
    "units in the header": ("V (mV),I (nA)\n", ",", 1e3, 1e9, "device_voltage=V,current=I"),
    "units in square brackets, tabs": ("V [uV]\tI [A]\n", "\t", 1e6, 1.0, "device_voltage=V,current=I"),
    "units given, comments before": (
        "# made by\n# Volt Amp\n",
        " ",
        1.0,
        1.0,
        "device_voltage=Volt (V),current=Amp (A)",
    ),
    "no header": ("", " ", 1e3, 1e12, "device_voltage=column 1 (mV),current=column 2 (pA)"),
    "lines before the table": ("Keithley 2450\nNPLC;1\nV (V);I (A)\n", ";", 1.0, 1.0, "device_voltage=V,current=I"),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_a_curve_in_a_text(kind: str, labnis: Commands, tmp_path: Path) -> None:
    header, delimiter, volts, amperes, columns = TEXTS[kind]
    rows = (f"{v * volts:.9e}{delimiter}{i * amperes:.9e}\n" for v, i in zip(VOLTAGE, CURRENT, strict=True))
    (tmp_path / "curve.txt").write_text(header + "".join(rows), encoding="utf-8")
    answer = labnis(f"import curve.txt --as IVSweep --device A7 --json --columns '{columns}'")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    run = package.open_run(found["runs"][0])
    assert_junction(run)
    assert run.results["gap"].value == found["results"]["gap"]["value"]
    np.testing.assert_allclose(run.data["device_voltage"], VOLTAGE, atol=1e-12)


def test_an_imported_run_is_one_like_any_other(labnis: Commands, tmp_path: Path) -> None:
    pd.DataFrame({"device_voltage": VOLTAGE, "current": CURRENT}).to_csv(tmp_path / "c.csv", index=False)
    answer = labnis(
        "import c.csv --as IVSweep --device A7 --json --columns 'device_voltage=device_voltage (V),current=current (A)'"
    )
    (path,) = json.loads(answer.out)["runs"]
    assert "imported from" in labnis(f"show {path}").out
    again = json.loads(labnis(f"refit {path} --json").out)
    assert again["results"]["gap"]["moved"] == pytest.approx(0, abs=1e-3)
    listed = json.loads(labnis("calibrations --json").out)
    assert {(one["device"], one["cooldown"], one["simulated"]) for one in listed} == {("A7", "imported", False)}
    assert labnis(f"show {path} --figure f.png").code == 0 and (tmp_path / "f.png").stat().st_size > 10_000


def test_without_units_nothing_is_guessed(labnis: Commands, tmp_path: Path) -> None:
    pd.DataFrame({"device_voltage": VOLTAGE, "current": CURRENT}).to_csv(tmp_path / "c.csv", index=False)
    refused = labnis("import c.csv --as IVSweep")
    assert refused.code == 2
    assert "the unit of 'device_voltage' is not known; write it like device_voltage=device_voltage (V)" in refused.err
    other = labnis("import c.csv --as IVSweep --columns 'device_voltage=U (V),current=current (A)'")
    assert "no column 'U (V)'; there are device_voltage, current" in other.err
    wrong = labnis("import c.csv --as IVSweep --columns 'device_voltage=device_voltage (s),current=current (A)'")
    assert "'s' cannot be expressed in V" in wrong.err
    missing = labnis("import c.csv --as IVSweep --columns 'device_voltage=device_voltage (V),voltage=current (A)'")
    assert "--columns voltage: it is no column of a run; they are device_voltage, current" in missing.err
    assert not list(tmp_path.rglob("*.h5"))


def test_the_part_of_a_line_is_subtracted(tmp_path: Path) -> None:
    line = 2e3
    columns = {"device_voltage": VOLTAGE + line * CURRENT, "current": CURRENT}
    assert_junction(import_run(columns, "IVSweep", data=tmp_path, series_resistance=line))


def test_one_junction_is_said(tmp_path: Path) -> None:
    single = {"device_voltage": VOLTAGE / 2, "current": CURRENT}
    found = import_run(single, "IVSweep", data=tmp_path, device={"name": "stm", "junctions": 1})
    assert found.results["gap"].value == pytest.approx(GAP, rel=1e-3)
    assert "one junction" in found.fits["current_voltage"].assumed["junctions"]


@pytest.mark.parametrize("form", ["ri", "ma", "db"])
@pytest.mark.parametrize("unit", ["Hz", "ghz"])
def test_touchstone(form: str, unit: str, tmp_path: Path) -> None:
    network = skrf.Network(f=FREQUENCY, f_unit="Hz", s=trace().reshape(-1, 1, 1))
    network.frequency.unit = unit
    network.write_touchstone("trace", dir=str(tmp_path), form=form)
    run = import_run(tmp_path / "trace.s1p", "Resonance", data=tmp_path / "data")
    assert_resonance(run)


def test_a_hanger_and_a_transmission_of_two_ports(labnis: Commands, tmp_path: Path) -> None:
    frequency, quality = np.linspace(4.99e9, 5.01e9, 301), 5000.0
    through = 1 / (1 + 2j * quality * (frequency / 5e9 - 1))
    for port, s21 in (("transmission", through + 0.02j), ("hanger", 1 - 0.6 * through)):
        noise = 1e-4 * np.random.default_rng(1).standard_normal((2, 301))
        parameters = np.zeros((301, 2, 2), complex)
        parameters[:, 1, 0] = 0.1 * s21 + noise[0] + 1j * noise[1]
        skrf.Network(f=frequency, f_unit="Hz", s=parameters).write_touchstone(port, dir=str(tmp_path))
        answer = labnis(f"import {port}.s2p --as Resonance --resonator {port} --device A7 --json")
        assert answer.code == 0, answer.err
        results = json.loads(answer.out)["results"]
        loaded = results["loaded_quality"]
        assert abs(loaded["value"] - quality) < 4 * loaded["sigma"] < 0.02 * quality
        assert "damping_total" in results and ("damping_line" in results) == (port == "hanger")
        (path,) = json.loads(answer.out)["runs"]
        assert labnis(f"refit {path}").code == 0
        answer = labnis(f"show {path} --figure {port}.png")
        assert answer.code == 0 and (tmp_path / f"{port}.png").stat().st_size > 10_000
    rate = 2 * np.pi * 5e9 / (quality / 0.6)
    found = package.open_run(path).results["damping_line"]
    assert abs(found.value - rate) < 4 * found.sigma < 0.02 * rate


def assert_resonance(run: package.experiment.run.Run) -> None:
    for name, true in (("resonance_frequency", 5e9), ("damping_internal", RATES[1])):
        assert abs(run.results[name].value - true) < 4 * run.results[name].sigma, name
    np.testing.assert_allclose(run.results["damping_line"].value, RATES[0], rtol=0.05)


S11 = {
    "s11_mag=size,s11_deg=angle (deg)": lambda s: (np.abs(s), np.degrees(np.angle(s))),
    "s11_db=size (dB),s11_rad=angle (rad)": lambda s: (20 * np.log10(np.abs(s)), np.unwrap(np.angle(s))),
    "s11_re=size,s11_im=angle": lambda s: (s.real, s.imag),
}


@pytest.mark.parametrize("columns", S11)
def test_a_trace_in_a_text(columns: str, tmp_path: Path) -> None:
    size, angle = S11[columns](trace())
    file = tmp_path / "trace.csv"
    pd.DataFrame({"f (GHz)": FREQUENCY / 1e9, "size": size, "angle": angle}).to_csv(
        file, index=False, float_format="%.12g"
    )
    names = dict(part.split("=") for part in f"frequency=f,{columns}".split(","))
    assert_resonance(import_run(file, "Resonance", data=tmp_path / "data", columns=names))
    with pytest.raises(RequestError, match="S11 is needed as one of s11_re and s11_im, s11_mag and s11_rad"):
        import_run(file, "Resonance", data=tmp_path, columns={"frequency": "f", "s11_mag": "size"})
    with pytest.raises(RequestError, match="the unit of 'angle' is not known"):
        import_run(file, "Resonance", data=tmp_path, columns={"frequency": "f", "s11_mag": "size", "s11_rad": "angle"})
    wrong = {"frequency": "f", "s11_mag": "size", "s11_rad": "angle (deg)"}
    with pytest.raises(RequestError, match="'angle' is in deg; as s11_rad it has to be in rad"):
        import_run(file, "Resonance", data=tmp_path, columns=wrong)


def test_what_labnis_exports_comes_back(labnis: Commands, tmp_path: Path) -> None:
    answer = labnis("calibrate --dry-run --json --set IVSweep.points=31 --set ReflectionVsBias.points=15 "
                    "--set ReflectionVsBias.frequencies=101 --set EmittedPowerVsBias.points=11")  # fmt: skip
    curve, traces, spectra = (package.open_run(path) for path in json.loads(answer.out)["runs"])
    device = json.loads(curve.metadata["context"]["fit"])["device"]
    for to, name in (("netcdf", "r.nc"), ("qcodes", "r.db"), ("csv", "r.csv")):
        (file,) = export(traces.path, to, tmp_path / name)
        found = import_run(file, "ReflectionVsBias", data=tmp_path / "data", priors_from=[curve.path], device=device)
        np.testing.assert_array_equal(found.data["s11"], traces.data["s11"])
        for result, estimate in traces.results.items():
            assert found.results[result].value == pytest.approx(estimate.value, abs=0.3 * estimate.sigma), (to, result)
        assert found.metadata["simulated"] is True
        assert [one["run_id"] for one in found.metadata["calibrations"]] == [curve.run_id]
    (file,) = export(traces.path, "ddh5", tmp_path / "t.ddh5")
    found = import_run(file, "ReflectionVsBias", data=tmp_path / "data", priors_from=[curve.path], device=device)
    np.testing.assert_array_equal(found.data["s11"], traces.data["s11"])
    for to in ("nexus", "touchstone"):
        assert is_simulated(export(traces.path, to, tmp_path / to)[0])
    assert found.metadata["simulated"] is True
    with pytest.raises(RequestError, match="of the device 'nis_device', and no data of 'A7'; leave it out"):
        import_run(tmp_path / "r.nc", "ReflectionVsBias", data=tmp_path, priors_from=[curve.path], device="A7")
    (file,) = export(spectra.path, "netcdf", tmp_path / "e.nc")
    found = import_run(file, "EmittedPowerVsBias", data=tmp_path / "data", priors_from=[traces.path], device=device)
    assert found.results["gain"].value == pytest.approx(
        spectra.results["gain"].value, abs=0.3 * spectra.results["gain"].sigma
    )


def test_matlab_labber_and_plottr(tmp_path: Path) -> None:
    names = {"device_voltage": "V (V)", "current": "I (A)"}
    scipy.io.savemat(tmp_path / "c.mat", {"V": VOLTAGE, "I": CURRENT})
    assert_junction(import_run(tmp_path / "c.mat", "IVSweep", data=tmp_path / "1", columns=names))
    with h5py.File(tmp_path / "labber.hdf5", "w") as file:
        file["Data/Data"] = np.stack([VOLTAGE, CURRENT], axis=1)[:, :, None]
        file["Data/Channel names"] = np.array([(b"V", b""), (b"I", b"")], dtype=[("name", "S9"), ("info", "S9")])
        kinds = [(name, "S9") for name in ("name", "instrument", "quantity", "unitPhys")]
        file["Channels"] = np.array([(b"V", b"", b"", b"V"), (b"I", b"", b"", b"A")], dtype=kinds)
    plain = {"device_voltage": "V", "current": "I"}
    assert_junction(import_run(tmp_path / "labber.hdf5", "IVSweep", data=tmp_path / "2", columns=plain))
    with h5py.File(tmp_path / "p.ddh5", "w") as file:
        for name, values, unit in (("V", 1e3 * VOLTAGE, "mV"), ("I", 1e9 * CURRENT, "nA")):
            file.create_dataset(f"data/{name}", data=values).attrs["unit"] = unit
    assert_junction(import_run(tmp_path / "p.ddh5", "IVSweep", data=tmp_path / "3", columns=plain))


def test_shapes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"different lengths: device_voltage \(81,\), current \(80,\)"):
        import_run({"device_voltage": VOLTAGE, "current": CURRENT[:-1]}, "IVSweep", data=tmp_path)
    both: dict[str, Any] = {"device_voltage": np.zeros(3), "frequency": FREQUENCY, "s11": np.ones((2, 101), complex)}
    with pytest.raises(RequestError, match="there are 2 traces, and device_voltage of 3"):
        import_run(both, "ReflectionVsBias", data=tmp_path)
    with pytest.raises(RequestError, match="a frequency occurs twice"):
        import_run({"frequency": [1e9, 2e9, 2e9], "s11": np.ones(3, complex)}, "Resonance", data=tmp_path)
    with pytest.raises(RequestError, match="'Sweep' is no kind of run; they are IVSweep"):
        import_run({}, "Sweep", data=tmp_path)
    with pytest.raises(RequestError, match="device_voltage, current missing; there are none"):
        import_run(xarray.Dataset(), "IVSweep", data=tmp_path)
    assert not list(tmp_path.rglob("*.h5"))


def test_gaps_overloads_and_comments_do_not_end_a_table(tmp_path: Path) -> None:
    rows = [f"{v:.9e},{i:.9e},7" for v, i in zip(VOLTAGE, CURRENT, strict=True)]
    rows[20], rows[30], rows[41] = (
        f"{VOLTAGE[20]:.9e},,7",
        f"{VOLTAGE[30]:.9e},OVLD,7",
        rows[41].removesuffix(",7") + ",",
    )
    file = tmp_path / "c.csv"
    file.write_text("V (V),I (A),n\n" + "\n".join([*rows[:50], "# a comment", *rows[50:]]), encoding="utf-8")
    run = import_run(file, "IVSweep", data=tmp_path, columns={"device_voltage": "V", "current": "I"})
    assert run.rows == 81 and int(np.isnan(run.data["current"]).sum()) == 2
    assert run.results["gap"].value == pytest.approx(GAP, rel=1e-3)


def test_of_two_columns_of_one_name_each_has_its_unit(tmp_path: Path) -> None:
    rows = "".join(f"{1e3 * v:.9e},{1e9 * i:.9e},{1e6 * i:.9e}\n" for v, i in zip(VOLTAGE, CURRENT, strict=True))
    (tmp_path / "c.csv").write_text(f"V (mV),I (nA),I (uA)\n{rows}", encoding="utf-8")
    names = {"device_voltage": "V", "current": "I (uA)"}
    assert_junction(import_run(tmp_path / "c.csv", "IVSweep", data=tmp_path, columns=names))


def test_a_grid_has_its_axes_as_large_as_itself(tmp_path: Path) -> None:
    """As plottr and labcore write one."""
    with h5py.File(tmp_path / "g.ddh5", "w") as file:
        size = len(FREQUENCY)
        for name, values in (
            ("V", np.repeat([[0.0], [1e-3]], size, axis=1)),
            ("f", np.repeat([FREQUENCY], 2, axis=0)),
            ("s", np.stack([trace(), 2 * trace()])),
        ):
            file.create_dataset(f"data/{name}", data=values)
    columns = {"device_voltage": "V (V)", "frequency": "f (Hz)", "s11_re": "s_re", "s11_im": "s_im"}
    run = import_run(tmp_path / "g.ddh5", "ReflectionVsBias", data=tmp_path / "data", columns=columns)
    np.testing.assert_array_equal(run.data["device_voltage"], [0, 1e-3])
    np.testing.assert_array_equal(run.data["s11"], np.stack([trace(), 2 * trace()]))
    np.testing.assert_array_equal(run.data["frequency"], FREQUENCY)


def test_a_database_of_an_older_qcodes_is_read_and_left_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = import_run({"device_voltage": VOLTAGE, "current": CURRENT}, "IVSweep", data=tmp_path / "first")
    (file,) = export(run.path, "qcodes", tmp_path / "old.db")
    with closing(sqlite3.connect(file)) as connection:  # version 9 brought an index only
        connection.execute("DROP INDEX IX_runs_captured_run_id")
        connection.execute("PRAGMA user_version = 8")
        connection.commit()
    before = file.read_bytes()
    capsys.readouterr()
    assert_junction(import_run(file, "IVSweep", data=tmp_path / "second"))
    assert capsys.readouterr().out == "", "what QCoDeS tells would spoil --json"
    assert file.read_bytes() == before


def test_what_is_behind_a_unit_is_of_the_name(tmp_path: Path) -> None:
    """As Nanonis writes bias spectra: readings, those of the way back, and filtered ones."""
    names = ["Bias calc (V)", "Current (A)", "Current [bwd] (A)", "Current (A) [filt]", "Current (A) [bwd] [filt]"]
    rows = "".join(f"{v:.9e}\t{i:.9e}\t{i + 1:.9e}\t{i + 2:.9e}\tNaN\n" for v, i in zip(VOLTAGE, CURRENT, strict=True))
    file = tmp_path / "b.dat"
    file.write_text("Experiment\tbias spectroscopy\t\n\n[DATA]\n" + "\t".join(names) + "\n" + rows, encoding="utf-8")
    found = read_columns(file)
    assert [*found] == ["Bias calc", "Current", "Current [bwd]", "Current [filt]", "Current [bwd] [filt]"]
    assert [column.unit for column in found.values()] == ["V", "A", "A", "A", "A"]
    for current in ("Current", "Current (A)"):
        columns = {"device_voltage": "Bias calc", "current": current}
        assert_junction(import_run(file, "IVSweep", data=tmp_path, columns=columns))


def test_a_trace_of_a_network_analyzer_in_its_spelling(tmp_path: Path) -> None:
    """As Keysight writes CSV."""
    rows = "".join(
        f"{f:.0f},{20 * np.log10(abs(s)):.9f},{np.degrees(np.angle(s)):.9f}\n"
        for f, s in zip(FREQUENCY, trace(), strict=True)
    )
    file = tmp_path / "v.csv"
    head = "!CSV A.01.01\n!Date: Tuesday, April 27, 2021 11:15:46\n\nBEGIN CH1_DATA\nFreq(Hz),S11(DB),S11(DEG)\n"
    file.write_text(f"{head}{rows}END\n", encoding="utf-8")
    columns = {"frequency": "Freq", "s11_db": "S11(DB)", "s11_deg": "S11(DEG)"}
    assert_resonance(import_run(file, "Resonance", data=tmp_path / "data", columns=columns))
    with pytest.raises(RequestError, match=r"'S11\(DEG\)' is in deg; as s11_rad it has to be in rad"):
        import_run(
            file, "Resonance", data=tmp_path, columns={"frequency": "Freq", "s11_db": "S11(DB)", "s11_rad": "S11(DEG)"}
        )


def test_an_error_of_a_spreadsheet_is_no_comment(tmp_path: Path) -> None:
    rows = [f"{f:.0f},{s.real:.9f},{s.imag:.9f}" for f, s in zip(FREQUENCY, trace(), strict=True)]
    lost = rows[50].split(",", 1)[1]
    file = tmp_path / "t.csv"
    file.write_text("f (Hz),s11_re,s11_im\n" + "\n".join([*rows[:50], f"#VALUE!,{lost}", *rows[51:]]), encoding="utf-8")
    assert read_columns(file)["f"].values.size == 101
    with pytest.raises(RequestError, match="frequency is no number in 1 places of 101"):
        import_run(file, "Resonance", data=tmp_path, columns={"frequency": "f"})


@pytest.mark.parametrize("unit", ["rad/s", "degC", "\ufffdA", "A!", "cm-1", "dB"])
def test_other_units_are_refused(unit: str, tmp_path: Path) -> None:
    columns = {"U": VOLTAGE, "I": CURRENT}
    with pytest.raises(RequestError, match="cannot be expressed in"):
        import_run(columns, "IVSweep", data=tmp_path, columns={"device_voltage": "U (V)", "current": f"I ({unit})"})


@given(st.binary(max_size=400), st.sampled_from([".csv", ".s1p", ".s2p", ".mat", ".nc", ".db", ".hdf5", ".txt"]))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes, suffix: str) -> None:
    file = tmp_path_factory.mktemp("bytes") / f"file{suffix}"
    file.write_bytes(content)
    try:
        found = read_columns(file)
    except RequestError as error:
        assert str(file) in str(error)
    else:
        assert all(np.asarray(column.values).dtype.kind in "fiu" for column in found.values())


def test_powers_in_a_band(labnis: Commands, tmp_path: Path) -> None:
    """Of a power meter in dBm, without spectra; and the same fit in Python with columns of the band."""
    answer = labnis("calibrate --dry-run --json --set IVSweep.points=31 --set ReflectionVsBias.points=15 "
                    "--set ReflectionVsBias.frequencies=101 --set EmittedPowerVsBias.points=21")  # fmt: skip
    _, traces, spectra = (package.open_run(path) for path in json.loads(answer.out)["runs"])
    voltage, power, known = (spectra.data[name].values for name in ("device_voltage", "band_power", "frequency"))
    columns = {"V (mV)": 1e3 * voltage, "P (dBm)": 10 * np.log10(power / 1e-3), "P_diode (nW)": 1e9 * power}
    text = pd.DataFrame(columns).to_csv(index=False)
    (tmp_path / "p.csv").write_text(text, encoding="utf-8")
    command = f"import p.csv --as EmittedPowerVsBias --device nis_device --from {traces.path} --columns"
    asked = f"{command} 'device_voltage=V,band_power=P' --band 4.67GHz,140MHz --json"
    refused = labnis(asked)
    assert refused.code == 2 and "real data take their priors from real ones" in refused.err
    (tmp_path / "p.csv").write_text(f'# {{"simulated": true}}\n{text}', encoding="utf-8")
    answer = labnis(asked)
    assert answer.code == 7, "the reflection is of another cooldown"
    (path,) = json.loads(answer.out)["runs"]
    run = package.open_run(path)
    np.testing.assert_allclose(run.data["band_power"], power, rtol=1e-12)
    assert (run.data.attrs["signal"], [*run.fits]) == ("band_power", ["band_power"])
    for name, estimate in spectra.results.items():
        found = run.results[name]
        assert abs(found.value - estimate.value) < 3 * found.sigma < 10 * estimate.sigma, name
    assert {name: run.data[name].attrs["units"] for name in ("center", "bandwidth")} == {
        "center": "Hz",
        "bandwidth": "Hz",
    }
    assert run.fits["band_power"].assumed["band"].startswith("flat from 4.600000 GHz to 4.740000 GHz")
    again = json.loads(labnis(f"refit {path} --json").out)["results"]
    for name in run.results:
        assert again[name]["before"] == again[name]["after"], "not one bit is another"
    entries = json.loads(labnis("calibrations --simulated --json").out)
    assert {one["quantity"] for one in entries if one["run_id"] == run.run_id} == {"gain", "noise_temperature"}
    shown = labnis(f"show {path} --figure f.png")
    assert "power in a band at all biases" in shown.out and (tmp_path / "f.png").stat().st_size > 10_000
    moved = labnis(f"refit {traces.path} {spectra.path} {path} --prior fano_real=1.05+-0.02 --json")
    by_run = [one["results"].get("gain", {}).get("moved") for one in json.loads(moved.out)["runs"]]
    assert by_run[1] == pytest.approx(by_run[2], rel=0.15) and by_run[1] > 1
    applied = labnis(f"apply gain {spectra.path} --from {path}")
    assert applied.code == 2 and "the gain of a power in a band has the power meter in it" in applied.err
    other = {"device_voltage": "V", "band_power": "P_diode"}
    stated = {"center": known.mean(), "bandwidth": np.ptp(known)}
    same = import_run(
        tmp_path / "p.csv",
        "EmittedPowerVsBias",
        data=tmp_path / "data",
        columns=other,
        device="nis_device",
        band=(stated["center"], stated["bandwidth"]),
        priors_from=[traces.path],
    )
    in_columns = import_run(
        xarray.Dataset(
            {"device_voltage": ("row", voltage), "band_power": ("row", power), "fridge_temperature": 0.0, **stated},
            attrs={"simulated": 1},
        ),
        "EmittedPowerVsBias",
        data=tmp_path / "data",
        device="nis_device",
        priors_from=[traces.path],
    )
    for found in (same, in_columns):
        assert found.metadata["simulated"]
        assert found.results["gain"].value == pytest.approx(run.results["gain"].value, abs=1e-4)


@pytest.mark.parametrize(
    ("band", "told"),
    [
        ("", "center, bandwidth missing; .* A band that is no column: --band 4.67GHz,140MHz"),
        ("--band 4.67GHz", "--band '4.67GHz': write it with units, like 4.67GHz,140MHz"),
        ("--band 4.67,0.14", "write it with units"),
        ("--band 4.67GHz,140MHz,3Hz", "write it with units"),
        ("--band 4.67GHz,140mV", "'mV' cannot be expressed in Hz"),
        ("--band 140MHz,4.67GHz", "band: 1.4e.08, 4.67e.09 cannot be; give center in Hz and bandwidth in Hz"),
    ],
)
def test_a_band_is_stated_and_not_guessed(band: str, told: str, labnis: Commands, tmp_path: Path) -> None:
    pd.DataFrame({"V (V)": VOLTAGE, "P (dBm)": VOLTAGE}).to_csv(tmp_path / "p.csv", index=False)
    answer = labnis(f"import p.csv --as EmittedPowerVsBias --columns 'device_voltage=V,band_power=P' {band}")
    assert answer.code == 2
    assert re.search(told, " ".join(answer.err.split())), answer.err
    assert not list(tmp_path.rglob("*.h5"))


def test_a_band_that_says_nothing_is_refused(tmp_path: Path) -> None:
    powers = {"device_voltage": VOLTAGE, "band_power": VOLTAGE**2}
    with pytest.raises(RequestError, match="band: it is that of band_power of EmittedPowerVsBias without spectra"):
        import_run({"device_voltage": VOLTAGE, "current": CURRENT}, "IVSweep", data=tmp_path, band=(5e9, 1e8))
    with pytest.raises(RequestError, match="there is a column center, too; state it once"):
        import_run(powers | {"center": 5e9}, "EmittedPowerVsBias", data=tmp_path, band=(5e9, 1e8))
    with pytest.raises(RequestError, match="the unit of 'band_power' is not known"):
        (tmp_path / "p.csv").write_text("device_voltage (V),band_power\n1,2\n3,4\n", encoding="utf-8")
        import_run(tmp_path / "p.csv", "EmittedPowerVsBias", data=tmp_path, band=(5e9, 1e8))
    with pytest.raises(RequestError, match="'dB' cannot be expressed in W"):
        named = {"band_power": "band_power (dB)"}
        import_run(powers, "EmittedPowerVsBias", data=tmp_path, columns=named, band=(5e9, 1e8))


def test_a_column_that_is_not_needed_may_have_any_unit(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(
        "device_voltage (V),current (A),center (mm)\n"
        + "".join(f"{v:.9e},{i:.9e},1\n" for v, i in zip(VOLTAGE, CURRENT, strict=True)),
        encoding="utf-8",
    )
    run = import_run(tmp_path / "c.csv", "IVSweep", data=tmp_path)
    assert_junction(run)
    assert run.data.attrs["signal"] == "current", "what figures show"


def two_tables(between: str, second: str = "1,2\n3,4\n") -> str:
    return (
        "V (V),I (A)\n"
        + "".join(f"{v:.9e},{i:.9e}\n" for v, i in zip(VOLTAGE, CURRENT, strict=True))
        + between
        + second
    )


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (two_tables("V (V),I (A)\n"), "lines 2 to 82 and lines 84 to 85"),  # its header again
        (two_tables("\nsweep 2\n\n"), "lines 2 to 82 and lines 86 to 87"),
        (two_tables("", "1,2,3\n4,5,6\n"), "lines 2 to 82 and lines 83 to 84"),  # of another width
        (two_tables("END\nBEGIN CH2_DATA\nf,a\n"), "lines 2 to 82 and lines 86 to 87"),
    ],
)
def test_of_two_tables_none_is_dropped(text: str, lines: str, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(text, encoding="utf-8")
    with pytest.raises(RequestError, match=f"it has 2 tables of numbers, {lines}, apart .* a file of its own"):
        import_run(tmp_path / "c.csv", "IVSweep", data=tmp_path, columns={"device_voltage": "V", "current": "I"})


def test_blank_lines_do_not_end_a_table(tmp_path: Path) -> None:
    """As spyview and gnuplot divide the rows of a map."""
    (tmp_path / "c.csv").write_text(two_tables("\n\n"), encoding="utf-8")
    assert read_columns(tmp_path / "c.csv")["V"].values.size == 83


def test_a_line_of_settings_that_is_left_out_is_told(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(f"1,50\n{two_tables('end of the sweep', '')}", encoding="utf-8")
    columns = {"device_voltage": "V", "current": "I"}
    run = import_run(tmp_path / "c.csv", "IVSweep", data=tmp_path, columns=columns)
    assert_junction(run)
    assert "left out as no part of the table: numbers in line 1" in run.notes
    assert "numbers in line 1" in run.metadata["note"]


COMMAS = {
    "1,5\t0,25\n2,5\t1,125\n": None,
    "1,234;1,5\n2,000;3\n": None,  # 1,5 says it
    "1;0,123\n2;0,456\n": None,
    '"1,234.5",1\n"2,234.5",2\n': "line 2: '1,234.5' has commas between thousands",
    "1,234.5\t1\n2\t2\n": "line 2: '1,234.5' has commas between thousands",
    "5\t1\n1,234.5\t2\n7\t1\n": "line 3: '1,234.5' has commas between thousands",
    "1\t1,000,000\n2\t2\n": "line 2: '1,000,000' has commas between thousands",
    "1,234\t1\n2,345\t2\n": "line 2: the comma in '1,234' may be a decimal one or between thousands; write",
    "1,25\t1.5\n2,345\t2\n": "line 2: the comma in '1,25' .* and other numbers of the table have a decimal point",
    '1,2,"a, b"\n3,4.5,"c, d"\n': None,
}


@pytest.mark.parametrize("rows", COMMAS)
def test_a_comma_between_thousands_is_no_decimal_one(rows: str, tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text(f"header\n{rows}", encoding="utf-8")
    told = COMMAS[rows]
    if told is not None:
        with pytest.raises(RequestError, match=re.escape(told).replace(r"\.\*", ".*")):
            read_columns(tmp_path / "c.txt")
        return
    try:
        found = read_columns(tmp_path / "c.txt")
    except RequestError as error:
        assert "no columns of numbers" in str(error)
    else:
        assert found["column 1"].values[0] == float(re.split("[\t;]", rows)[0].replace(",", "."))


FORMS = {
    "s21_db (dB),s21_deg (deg)": lambda s: (20 * np.log10(np.abs(s)), np.degrees(np.angle(s))),
    "s21_mag,s21_rad (rad)": lambda s: (np.abs(s), np.angle(s)),
    "|S21| (dB),phase (deg)": lambda s: (20 * np.log10(np.abs(s)), np.degrees(np.angle(s))),
}


@pytest.mark.parametrize("header", FORMS)
def test_s21_of_a_hanger_in_any_form(header: str, labnis: Commands, tmp_path: Path) -> None:
    frequency, quality = np.linspace(4.99e9, 5.01e9, 301), 5000.0
    through = 1 - 0.6 / (1 + 2j * quality * (frequency / 5e9 - 1))
    noise = 1e-4 * np.random.default_rng(1).standard_normal((2, 301))
    first, second = FORMS[header](0.1 * through + noise[0] + 1j * noise[1])
    rows = "".join(f"{f:.1f},{a:.12g},{b:.12g}\n" for f, a, b in zip(frequency, first, second, strict=True))
    (tmp_path / "s21.csv").write_text(f"frequency (Hz),{header}\n{rows}", encoding="utf-8")
    columns = "" if header.startswith("s21") else "--columns 's21_db=|S21|,s21_deg=phase'"
    answer = labnis(f"import s21.csv --as Resonance --device A7 --resonator hanger --json {columns}")
    assert answer.code == 0, answer.err
    loaded = json.loads(answer.out)["results"]["loaded_quality"]
    assert abs(loaded["value"] - quality) < 4 * loaded["sigma"] < 0.02 * quality
    told = " ".join(labnis(f"import s21.csv --as Resonance --device A7 {columns}").err.split())
    assert "S21 is the trace of a resonator that is a hanger or in transmission (--resonator)" in told


def test_a_dataframe_has_the_units_of_its_header(tmp_path: Path) -> None:
    table = pd.DataFrame({"V (mV)": 1e3 * VOLTAGE, "I [nA]": 1e9 * CURRENT, "I (uA)": 1e6 * CURRENT})
    for current in ("I [nA]", "I (uA)"):
        columns = {"device_voltage": "V", "current": current}
        assert_junction(import_run(table, "IVSweep", data=tmp_path, columns=columns))


def test_a_column_of_another_kind_is_refused(tmp_path: Path) -> None:
    columns = {"device_voltage": VOLTAGE, "current": CURRENT, "P": CURRENT}
    with pytest.raises(RequestError, match="--columns spectrum: it is no column of a run; they are device_voltage"):
        import_run(columns, "IVSweep", data=tmp_path, columns={"spectrum": "P (W/Hz)"})


def spectrum(excitation: float = 20e-6) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Voltage (V) and conductance (S) of one junction, as of a microscope with a lock-in (V rms)."""
    voltage, cycle = np.linspace(-0.6e-3, 0.6e-3, 241), 2 * np.pi * np.arange(64) / 64
    swing = np.sqrt(2) * excitation * np.cos(cycle)
    current = NISJunction(GAP, RESISTANCE, 1e-3).current(voltage[:, None] + swing, 0.12)
    harmonic = 2 * np.mean(current * np.cos(cycle), axis=1) / (np.sqrt(2) * excitation)
    return voltage, harmonic + 2e-7 * np.random.default_rng(3).normal(size=voltage.size)


def test_a_conductance_without_a_current_is_fitted(tmp_path: Path, labnis: Commands) -> None:
    voltage, conductance = spectrum()
    table = pd.DataFrame({"V (mV)": 1e3 * voltage, "dI/dV (uS)": 1e6 * conductance})
    table.to_csv(tmp_path / "stm.csv", index=False)
    words = "import stm.csv --as IVSweep --columns 'device_voltage=V,conductance=dI/dV' --device tip --junctions 1"
    answer = labnis(f"{words} --excitation 20uV --json")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    truth = {"gap": GAP, "normal_resistance": RESISTANCE, "electron_temperature": 0.12}
    for name, true in truth.items():
        one = found["results"][name]
        assert abs(one["value"] - true) < 4 * one["sigma"] < 0.1 * true, name
    (path,) = map(Path, found["runs"])
    entries = json.loads(labnis("calibrations --json").out)
    assert {one["quantity"] for one in entries} == {*truth}
    assert labnis(f"show {path} --figure f.png").code == 0
    again = labnis(f"refit {path} --set junctions=2 --json")
    assert json.loads(again.out)["results"]["gap"]["after"]["value"] == pytest.approx(GAP / 2, rel=1e-3)
    columns = {"device_voltage": voltage, "conductance": conductance}
    same = import_run(columns, "IVSweep", data=tmp_path / "data", device={"junctions": 1}, excitation=20e-6)
    assert same.results["gap"].value == pytest.approx(found["results"]["gap"]["value"], rel=1e-6)


def test_another_number_of_junctions_is_doubted_in_a_conductance_alone(tmp_path: Path) -> None:
    voltage, conductance = spectrum()
    columns = {"device_voltage": voltage, "conductance": conductance}
    found = import_run(columns, "IVSweep", data=tmp_path, device={"junctions": 2}, excitation=20e-6)
    (told,) = found.fits["differential_conductance"].warnings
    assert "the gap would be 102.5 µeV with 2 in series, and with one junction that of aluminium, 205 µeV" in told


@pytest.mark.parametrize(
    ("columns", "excitation", "told"),
    [
        (("device_voltage", "conductance"), None, "excitation missing; .* --excitation 20uV"),
        (("device_voltage", "current"), 2e-5, "of conductance of IVSweep without a current; name these columns, or"),
        (("device_voltage", "conductance", "excitation"), 2e-5, "there is a column excitation, too; state it once"),
        (("device_voltage", "conductance"), -1.0, "excitation: -1 cannot be; give excitation in V"),
    ],
)
def test_an_excitation_is_stated_and_not_guessed(
    columns: tuple[str, ...], excitation: float | None, told: str, tmp_path: Path
) -> None:
    with pytest.raises(RequestError, match=told):
        import_run(dict.fromkeys(columns, VOLTAGE), "IVSweep", data=tmp_path, excitation=excitation)
    assert not list(tmp_path.rglob("*.h5"))


@pytest.mark.parametrize("form", ["csv", "netcdf", "qcodes", "qcodes-netcdf", "ddh5", "nexus"])
def test_the_export_of_a_revoked_run_comes_back_in_doubt(form: str, labnis: Commands, tmp_path: Path) -> None:
    """Revoked before it is exported, or afterwards."""
    path = json.loads(labnis("run IVSweep --dry-run --json --set points=61").out)["runs"][0]
    ends = {"netcdf": "nc", "qcodes": "db", "qcodes-netcdf": "nc", "nexus": "h5"}
    name = f"r.{ends.get(form, form)}"
    assert labnis(f"export {path} --to {form} --out before_{name}").err == ""
    (number, *_) = [one["number"] for one in json.loads(labnis("ledger history gap --simulated --json").out)]
    assert labnis(f"ledger revoke {number} --why 'loose cable'").code == 0
    assert (
        "is in doubt: current_voltage: it was revoked: loose cable"
        in labnis(f"export {path} --to {form} --out {name}").err
    )
    for file, told in ((name, "it was revoked: loose cable"), (f"before_{name}", "was revoked: loose cable")):
        answer = labnis(f"import {file} --as IVSweep --json")
        assert answer.code == 7
        assert any(told in text for text in json.loads(answer.out)["results"]["gap"]["warnings"])
    entries = json.loads(labnis("ledger history gap --simulated --json").out)
    assert len(entries) == 3 and all(one["until"] == one["measured"] for one in entries)
