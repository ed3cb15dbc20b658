"""Bad input: exit code 2, one message that names the place and what is allowed, and nothing was moved."""

import tempfile
from pathlib import Path

import pytest

from tests.run.bench import STATION_TEXT, TRUTH_TEXT, BiasLog, Commands, changed, command, write_station

CLOSED_PORT = "TCPIP::127.0.0.1::1::SOCKET"


def refused(labnis: Commands, bias: BiasLog, tmp_path: Path, arguments: str, *wanted: str) -> None:
    """`labnis ARGUMENTS` ends with 2 and one line that has all of `wanted`; no run began, no output was switched."""
    answer = labnis(arguments)
    assert answer.code == 2
    assert answer.out == ""
    assert answer.err.startswith("labnis: ")
    assert answer.err.count("\n") == 1, answer.err
    assert "Traceback" not in answer.err
    for text in wanted:
        assert text in answer.err
    assert not list(tmp_path.rglob("*.h5"))
    assert not bias.moved
    assert not any(output for _, output in bias.states)


# name → (what stands in the shipped file, what replaces it, text at whose line the error is, what the message says)
STATIONS = {
    "unknown key": ("  data: data", "  dta: data", "  dta: data", ("labnis.dta: unknown key", "allowed are roles,")),
    "unknown limit": ("    ramp_rate:", "    ramp:", "    ramp:", ("labnis.limits.ramp: unknown key", "ramp_rate")),
    "no bias role": ("    bias: keithley ", "    # bias: keithley ", "  roles:", ("labnis.roles.bias: missing",)),
    "role without an instrument": (
        "vna: n5222b\n",
        "vna: n5223b\n",
        "vna:",
        ("labnis.roles.vna", "'n5223b'", "keithley, sr830"),
    ),
    "wrong type": (
        "compliance: 5.0e-6",
        "compliance: small",
        "compliance:",
        ("compliance", "'small'", "number"),
    ),
    "impossible": ("maximum_bias: 6.0e-3", "maximum_bias: -6.0e-3", "maximum_bias:", ("limits.maximum_bias", "-0.006")),
    "no such driver": ("drivers.sr830.SR830", "drivers.sr831.SR831", "drivers.sr831", ("sr830.type", "drivers.sr831")),
    "corrupt": ("    fridge: lakeshore\n", "    fridge: [lakeshore\n", "    stage:", ("not valid YAML",)),
}


def line_of(text: str, part: str) -> str:
    """ "line N" of `part` in `text`."""
    return f"line {text[: text.index(part)].count(chr(10)) + 1}"


@pytest.mark.parametrize("name", STATIONS)
def test_station_file(name: str, tmp_path: Path, labnis: Commands, bias: BiasLog) -> None:
    old, new, place, wanted = STATIONS[name]
    text = changed(STATION_TEXT, old, new)
    write_station(tmp_path, text)
    refused(labnis, bias, tmp_path, "calibrate --dry-run", f"station.yaml, {line_of(text, place)}:", *wanted)


def test_station_file_without_a_twin(tmp_path: Path, labnis: Commands, bias: BiasLog) -> None:
    text = changed(STATION_TEXT, "  twin:\n    file: sim_instruments/nis_device.yaml", "  # no twin")
    write_station(tmp_path, text)
    refused(labnis, bias, tmp_path, "calibrate --dry-run", "labnis.twin.file is missing", "--twin")


@pytest.mark.parametrize("path", ["missing.yaml", "."])
def test_station_file_that_is_none(path: str, tmp_path: Path, labnis: Commands, bias: BiasLog) -> None:
    refused(labnis, bias, tmp_path, f"calibrate --dry-run --station {path}", path, "cannot be read", "give a YAML file")


TWINS = {
    "wrong type": ("gain_db: 51.84", "gain_db: fifty", ("chain.gain_db", "number", "'fifty'")),
    "number as text": ("gap: 215.0e-6", 'gap: "215e-6"', ("junction.gap", "number")),
    "unknown key": ("island:\n", "island:\n  temprature: 0.1\n", ("island.temprature", "allowed are temperature")),
    "negative": ("temperature: 0.110", "temperature: -0.110", ("island.temperature", "greater than 0")),
    "not finite": ("gain_db: 51.84", "gain_db: .nan", ("chain.gain_db", "finite")),
    "left out": ("  gain_db: 51.84\n", "", ("chain.gain_db", "missing")),
}


@pytest.mark.parametrize("name", TWINS)
def test_twin_file(name: str, tmp_path: Path, labnis: Commands, bias: BiasLog) -> None:
    old, new, wanted = TWINS[name]
    text = changed(TRUTH_TEXT, old, new)
    (tmp_path / "bad.yaml").write_text(text, encoding="utf-8")
    place = line_of(text, new.splitlines()[-1] if new else "chain:")
    refused(labnis, bias, tmp_path, "calibrate --dry-run --twin bad.yaml", f"bad.yaml, {place}:", *wanted)


def test_twin_file_that_is_no_yaml(tmp_path: Path, labnis: Commands, bias: BiasLog) -> None:
    (tmp_path / "bad.yaml").write_text("junction: [", encoding="utf-8")
    answer = labnis("calibrate --dry-run --twin bad.yaml")
    assert answer.code == 2
    assert "bad.yaml" in answer.err
    assert "not valid YAML" in answer.err
    assert not bias.states


def test_twin_file_that_is_missing(tmp_path: Path, labnis: Commands, bias: BiasLog) -> None:
    refused(labnis, bias, tmp_path, "calibrate --dry-run --twin nowhere.yaml", "nowhere.yaml", "cannot be read")


SETTINGS = {
    "averages=-1": ("ReflectionVsBias.averages", "'-1'", "an integer from 1 to 65536"),
    "averages=0": ("'0'", "an integer from 1"),
    "averages=2.7": ("'2.7'", "an integer"),
    "points=many": ("'many'", "an integer from 10"),
    "points=1_0": ("'1_0'", "an integer"),
    "points=nan": ("'nan'", "an integer"),
    "points=": ("''", "an integer"),
    "points=3": ("IVSweep.points", "an integer from 10"),
    "settling_time=nan": ("IVSweep.settling_time", "'nan'", "a number from 0"),
    "settling_time=inf": ("'inf'", "a number from 0", " s"),
    "settling_time=1e400": ("'1e400'", "a number"),
    "maximum_bias=0.1": ("bias of 0.1 V", "maximum_bias in station.yaml allows 0.006 V", "No instrument was touched"),
    "maximum_bias=-1e-3": ("IVSweep.maximum_bias", "a number from 0"),
    "maximum_bias=0": ("all bias points are at 0 V", "more than 0"),
    "EmittedPowerVsBias.maximum_bias=6.001e-3": ("EmittedPowerVsBias would go to a bias of 0.006001 V", "0.006 V"),
    "nonsense=1": ("no step", "'nonsense'", "averages, bias_points, center,"),
    "IVSweep.averages=3": ("IVSweep has no parameter 'averages'", "points"),
    "Nonsense.points=30": ("no step", "'Nonsense.points'", "IVSweep, ReflectionVsBias, EmittedPowerVsBias"),
    "points": ("--set 'points'", "name=value"),
    "=3": ("--set '=3'", "name=value"),
    "points=30 --set points=40": ("points is given twice", "'30'", "'40'"),
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_parameters(setting: str, tmp_path: Path, labnis: Commands, bias: BiasLog) -> None:
    refused(labnis, bias, tmp_path, f"calibrate --dry-run --set {setting}", *SETTINGS[setting])


PROCEDURES = {
    "Nonsense": (
        "no procedure 'Nonsense'",
        "EmittedPowerVsBias, IVSweep, IsothermSweep, ReflectionVsBias",
        "dotted path",
    ),
    "IVSweep,": ("no procedure",),
    "no.such.Procedure": ("'no.such.Procedure'", "No module named 'no'"),
    "procedures.CALIBRATION": ("no procedure 'procedures.CALIBRATION'",),
    "pymeasure.experiment.Procedure": ("Procedure declares no DATA_COLUMNS",),
}


@pytest.mark.parametrize("name", PROCEDURES)
def test_procedures(name: str, tmp_path: Path, labnis: Commands, bias: BiasLog) -> None:
    refused(labnis, bias, tmp_path, f"run {name} --dry-run", *PROCEDURES[name])


@pytest.mark.parametrize("option", ["--seed 3", "--twin truth.yaml"])
@pytest.mark.parametrize("asked", ["calibrate", "run IVSweep"])
def test_options_of_the_twin_without_dry_run(
    option: str, asked: str, tmp_path: Path, labnis: Commands, bias: BiasLog
) -> None:
    labnis("cooldown start CD1")
    refused(labnis, bias, tmp_path, f"{asked} {option}", option.split(maxsplit=1)[0], "--dry-run")


@pytest.mark.parametrize("seed", ["-1", "2.5", "x"])
def test_a_seed_is_a_number_from_zero(seed: str, labnis: Commands, bias: BiasLog) -> None:
    answer = labnis(f"calibrate --dry-run --seed {seed}")
    assert answer.code == 2
    assert "--seed" in answer.err
    assert not bias.states


@pytest.mark.parametrize("place", ["occupied", "occupied/below"])
def test_a_file_where_the_data_folder_should_be(place: str, tmp_path: Path, labnis: Commands, bias: BiasLog) -> None:
    (tmp_path / "occupied").write_text("a file", encoding="utf-8")
    refused(labnis, bias, tmp_path, f"calibrate --dry-run --data {place}", place, "cannot be written")
    write_station(tmp_path, changed(STATION_TEXT, "  data: data", f"  data: {place}"))
    refused(labnis, bias, tmp_path, "calibrate --dry-run", place, "cannot be written")


@pytest.mark.parametrize("asked", ["ls", "show abc"])
def test_looking_where_nothing_is(asked: str, labnis: Commands) -> None:
    answer = labnis(f"{asked} --data nowhere")
    assert answer.code == 2
    assert answer.err == "labnis: data folder nowhere: there is no such folder\n"


def test_check_shows_a_folder_with_brackets_as_it_is(tmp_path: Path, labnis: Commands) -> None:
    answer = labnis("check --dry-run --data 'runs[bold]'")
    assert answer.code == 0, answer.err
    assert f"data: {tmp_path / 'runs[bold]'}\n" in answer.out or "data: runs[bold]\n" in answer.out


def test_an_unreachable_instrument_names_line_and_address(tmp_path: Path, labnis: Commands, bias: BiasLog) -> None:
    text = changed(STATION_TEXT, "TCPIP0::192.168.10.21::inst0::INSTR", CLOSED_PORT)
    write_station(tmp_path, changed(text, '# visalib: "@py" ', 'visalib: "@py" '))
    labnis("cooldown start CD1")
    wanted = (
        line_of(text, CLOSED_PORT),
        "instruments.keithley.address",
        CLOSED_PORT,
        "unreachable",
        ". Check",
        "switched on",
    )
    refused(labnis, bias, tmp_path, "run IVSweep", *wanted)
    assert not bias.states


def test_the_same_in_a_process_of_its_own(tmp_path: Path) -> None:
    answer = command("calibrate --dry-run --set averages=-1", tmp_path)
    assert answer.code == 2
    assert answer.out == ""
    assert answer.err.startswith("labnis: ReflectionVsBias.averages cannot be '-1'")
    assert answer.err.count("\n") == 1


def test_a_replay_that_is_refused_leaves_no_folder(
    labnis: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    answer = labnis("replay nosuch")
    assert answer.code == 2 and "ends with .visa.jsonl" in answer.err
    assert "replayed into" not in answer.err and not list(temporary.iterdir())
