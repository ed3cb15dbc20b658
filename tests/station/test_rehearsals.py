"""Ten plausible setups, each a file in `setups`: rehearsed at the simulated fridge, and opened with real drivers."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvisa
import qcodes

import labnis
from labnis.errors import InterlockError
from labnis.experiment.request import configured_procedure, find_procedure
from labnis.safety.make_safe import make_safe
from labnis.station import OpenStation, load_station, open_station
from sim_instruments import SHIPPED_TRUTH
from sim_instruments.visa import LabnisVisaLibrary
from tests.run.bench import STATION_TEXT, Answer, Commands, changed

SETUPS = Path(__file__).with_name("setups")
COMBINATIONS = Path(__file__).parents[1] / "run" / "combinations"
JUNCTION = ["gap", "normal_resistance", "electron_temperature", "lowest_electron_temperature", "maximum_cooling_power"]
REFLECTION = ["damping_line", "damping_excess", "damping_junction", "resonance_frequency"]
POWER = ["gain", "noise_temperature"]
SHORT = "--set IVSweep.points=41 --set ReflectionVsBias.points=15 --set EmittedPowerVsBias.points=15"

# Station file → results that its roles allow, and instruments that only a stand-in can simulate.
EXPECTED = {
    "gs200_preamplifier_34465a": (JUNCTION, set()),
    "qdac2_gate_dmm": (JUNCTION, set()),
    "k2400_sr860": (JUNCTION, set()),
    "source_meter_thermometer": (JUNCTION, set()),
    "two_lockins": (JUNCTION, set()),
    "gate_and_magnet": (JUNCTION + REFLECTION + POWER, {"magnet"}),
    "pymeasure": (JUNCTION, set()),
    "voltmeter": (JUNCTION + REFLECTION, set()),
    "divider_lockin": (JUNCTION + REFLECTION + POWER, set()),
    "source_meter_vna": (JUNCTION + REFLECTION, set()),
}


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """`labnis` in this process, on a setup and with its data in the test's folder."""
    run = Commands(monkeypatch, capsys)

    def commanded(arguments: str, station: Path) -> Answer:
        return run(f"{arguments} --station '{station}' --data '{tmp_path / 'data'}'")

    return commanded


Command = Callable[[str, Path], Answer]


def largest_pull(results: dict[str, Any]) -> float:
    return max(abs(found["value"] - found["truth"]) / found["sigma"] for found in results.values())


QUICK = ("gs200_preamplifier_34465a", "source_meter_thermometer", "pymeasure", "voltmeter")
"""The others are calibrated by `make test-long`."""


@pytest.mark.parametrize(
    "setup", [setup if setup in QUICK else pytest.param(setup, marks=pytest.mark.long) for setup in EXPECTED]
)
def test_a_setup_is_calibrated_as_far_as_its_roles_allow(setup: str, command: Command) -> None:
    station, (expected, stand_ins) = SETUPS / f"{setup}.yaml", EXPECTED[setup]
    checked = command("check", station)
    assert checked.code == 0, checked.err
    assert all(f"\n{role} " in checked.out for role in load_station(station).roles)
    answer = command(f"calibrate --dry-run --json {SHORT}", station)
    assert answer.code == 0, answer.err
    results = json.loads(answer.out)["results"]
    assert sorted(results) == sorted(expected)
    assert largest_pull(results) < 4
    for name in ("gap", "normal_resistance"):
        assert results[name]["sigma"] < 1e-3 * results[name]["value"]
    assert {
        name for name in load_station(station).instruments if f"{name} is simulated by a stand-in" in answer.err
    } == (stand_ins)
    assert ("ReflectionVsBias is left out" in answer.err) == ("damping_line" not in expected)
    assert ("EmittedPowerVsBias is left out" in answer.err) == ("gain" not in expected)


def test_check_shows_what_is_set_and_that_nothing_limits_the_current(command: Command) -> None:
    shown = command("check", SETUPS / "gate_and_magnet.yaml").out
    assert "gate: set-point from -2 to 2 at 1 units/s, at the end off" in shown
    assert "field: set-point from -0.1 to 0.1 T at 0.01 T/s, at the end stay" in shown
    assert "interlock field.value above 0.09: ends the run" in shown
    assert "nothing limits the current" not in shown
    without = SETUPS / "gs200_preamplifier_34465a.yaml"
    assert "nothing limits the current at yoko: its role names no compliance" in command("check", without).out
    before = command("run IVSweep --dry-run --set points=11", without).err
    assert "nothing limits the current at yoko" in " ".join(before.split())
    assert "compliance 5 µA" not in before


@pytest.mark.parametrize(
    ("name", "own"), [("gs200_sr830", "yoko itself has 1 mA or more"), ("qdac2", "qdac itself has none")]
)
def test_check_says_where_the_source_has_a_higher_limit_than_the_compliance(
    name: str, own: str, command: Command
) -> None:
    station = COMBINATIONS / f"{name}.yaml"
    told = f"compliance 5 µA, a limit on the current that is read: {own}"
    assert told in command("check", station).out.splitlines()
    planned = command(f"run IVSweep --dry-run --twin '{SHIPPED_TRUTH}' --set points=11", station).err
    assert told in " ".join(planned.split())


def test_every_station_file_there_is_a_setup_of_this_test() -> None:
    assert {path.stem for path in SETUPS.glob("*.yaml")} == EXPECTED.keys() | {"bench", "longer_line"}


def test_without_the_voltmeter_the_wrong_resistance_of_the_line_would_show(command: Command, tmp_path: Path) -> None:
    text = (SETUPS / "voltmeter.yaml").read_text(encoding="utf-8")
    text = changed(text, "    voltage: {instrument: dmm, parameter: volt, amplifier: ad8429}\n", "")
    (tmp_path / "station.yaml").write_text(text, encoding="utf-8")
    shutil.copy(SETUPS / "longer_line.yaml", tmp_path)
    answer = command("run IVSweep --dry-run --json --set points=121", tmp_path / "station.yaml")
    assert answer.code == 7
    assert "results are in doubt: gap, normal_resistance, electron_temperature" in answer.err
    assert largest_pull(json.loads(answer.out)["results"]) > 100


def test_a_map_of_field_and_bias_leaves_the_field_and_switches_the_gate_off(tmp_path: Path) -> None:
    with labnis.open_session(SETUPS / "gate_and_magnet.yaml", dry_run=True, data=tmp_path) as session:
        run = session.run(find_procedure("ourlab.maps.FieldMap")())
        assert session.station.roles.field.read() == pytest.approx(0.05)
        assert session.station.roles.gate.read() == 0.0
        library = pyvisa.ResourceManager(session.twin.visalib).visalib
        assert isinstance(library, LabnisVisaLibrary)
        assert library.panels["yoko"].state["output"] is False
        assert not session.station.source.output_enabled()
    assert run.data["current"].dims == ("field", "bias")
    assert run.data["field"].values == pytest.approx([0.0, 0.05])
    assert run.data["field_reading"].values == pytest.approx(np.tile([[0.0], [0.05]], 5))
    assert run.data["gate_reading"].values == pytest.approx(0.5)
    assert run.data["current"].values[:, -1] == pytest.approx(75e-9, rel=0.02)


@pytest.mark.parametrize(("gate", "ends"), [(1.4, "done"), (1.6, "aborted")])
def test_an_interlock_watches_a_gate(gate: float, ends: str, tmp_path: Path) -> None:
    with labnis.open_session(SETUPS / "qdac2_gate_dmm.yaml", dry_run=True, data=tmp_path) as session:
        procedure = configured_procedure(find_procedure("ourlab.maps.GateMap"), {"gates": f"0,{gate}"})
        if ends == "aborted":
            with pytest.raises(
                InterlockError, match=r"gate\.value reads 1\.6, which the interlock does not allow .* above 1\.5"
            ):
                session.run(procedure)
        else:
            assert session.run(procedure).status == ends
        assert session.station.roles.gate.read() == 0.0
        assert not session.station.source.output_enabled()


def on_the_bench(setup: str, folder: Path) -> Path:
    """The setup's station file with its instruments on the bench of pyvisa-sim."""
    text = (SETUPS / f"{setup}.yaml").read_text(encoding="utf-8")
    shutil.copytree(SETUPS / "ourlab", folder / "ourlab")
    (folder / "station.yaml").write_text(text, encoding="utf-8")
    return folder / "station.yaml"


@pytest.mark.parametrize(
    ("setup", "roles", "bias", "current", "voltage_range"),
    [
        ("gs200_preamplifier_34465a", ["bias", "current"], 1e-3, 0.25 / -1e7, 10e-3),
        ("qdac2_gate_dmm", ["bias", "current", "gate"], 1e-3, 0.25 / 1e7, 2.0),
        ("k2400_sr860", ["bias", "lockin"], 1e-3, 4.2e-8, 1.2e-3),
        ("gate_and_magnet", ["gate", "field"], None, None, None),
    ],
)  # fmt: skip
def test_the_drivers_themselves_play_their_roles(
    setup: str,
    roles: list[str],
    bias: float | None,
    current: float | None,
    voltage_range: float | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In a dry run a stand-in is used in place of these drivers, so that it does not prove a parameter's name."""
    if "field" in roles and qcodes.__version__ < "0.58":
        pytest.skip("the AMI430 of this QCoDeS waits for a welcome message, which PyVISA-sim does not send")
    monkeypatch.setattr("labnis.station.lock.shared_folder", lambda: tmp_path)
    monkeypatch.setenv("PYVISA_LIBRARY", f"{SETUPS / 'bench.yaml'}@sim")
    # QCoDeS clears each instrument where `visalib` does not say @sim, which PyVISA-sim cannot do.
    monkeypatch.setattr("qcodes.instrument.VisaInstrument.device_clear", lambda self: None)
    with open_station(load_station(on_the_bench(setup, tmp_path))) as station:
        station.open(roles, alone="bias" not in roles)
        if bias is not None:
            station.bias.prepare(1.2e-3, 1e-6, 0.02)
            station.bias.move_to(bias)
            reading = station.bias.read()
            assert (reading.bias, reading.current, reading.voltage_range) == pytest.approx(
                (bias, current, voltage_range)
            )
        for setpoint in station.setpoints.values():
            setpoint.move_to(0.01)
            assert setpoint.read() == pytest.approx(0.01)
        if "lockin" in roles:
            station.roles.lockin.prepare(amplitude=0.01, frequency=77.7, time_constant=0.03, sensitivity=0.1)
            assert station.roles.lockin.read() == 1e-3 + 2e-4j
            assert station.roles.lockin.settling_time() == pytest.approx(0.39, rel=0.01)
            assert station.roles.lockin.read_auxiliary(1) == 0.25
            station.roles.lockin.quiet()
        station.make_safe()
        _is_safe(station)


def _is_safe(station: OpenStation) -> None:
    for role, setpoint in station.setpoints.items():
        stays = station.config.setpoints[role].at_end == "stay"
        assert setpoint.read() == pytest.approx(0.01 if stays else 0.0, abs=1e-9)
    if "bias" in station.roles:
        assert station.source.level() == 0.0
        assert not station.source.output_enabled()


def test_zero_for_a_source_without_a_switch_and_for_what_a_killed_run_has_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labnis.station.lock.shared_folder", lambda: tmp_path)
    monkeypatch.setenv("PYVISA_LIBRARY", f"{SETUPS / 'bench.yaml'}@sim")
    # QCoDeS clears each instrument where `visalib` does not say @sim, which PyVISA-sim cannot do.
    monkeypatch.setattr("qcodes.instrument.VisaInstrument.device_clear", lambda self: None)
    station = load_station(on_the_bench("qdac2_gate_dmm", tmp_path))
    manager = pyvisa.ResourceManager()
    qdac: Any = manager.open_resource(station.address("qdac") or "", read_termination="\n", write_termination="\n")
    for left in ("sour1:rang LOW", "sour1:volt:mode fix;:sour1:volt 0.1", "sour2:volt:mode fix;:sour2:volt 0.2"):
        qdac.write(left)
    said = make_safe(station)
    assert "the bias was 0.001 V with the output on" in said
    assert "gate, qdac" in said
    assert [float(qdac.query(f"sour{channel}:volt?")) for channel in (1, 2)] == [0.0, 0.0]
    manager.close()


PREAMPLIFIER = "    amplifiers:\n      preamplifier: {gain: 1.0e+7}   # V/A, negative if it inverts\n"
LOCKIN = "    lockin: {instrument: sr830, amplifier: preamplifier}\n"
ISLAND = "island: {volume: 1.0e-18, electron_phonon: 2.0e+9}"
OLD_GAIN = "    current_amplifier_gain: 1.0e+7\n    current_reading: amplifier\n"
CURRENT = "    current: {instrument: sr830, channel: aux1, amplifier: preamplifier}\n"
SAME = {  # what the shipped station file says, and what an earlier one says and today's
    "old": {f"device: {{name: nis_device, {ISLAND}}}": ISLAND, LOCKIN: "    lockin: sr830\n", PREAMPLIFIER: OLD_GAIN},
    "new": {LOCKIN: LOCKIN + CURRENT},
}


@pytest.mark.filterwarnings("default::labnis.errors.LabnisWarning")
def test_a_station_file_of_an_earlier_version_gives_the_same_results_and_shows_its_new_lines(
    command: Command, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copy(SHIPPED_TRUTH, tmp_path / "truth.yaml")
    results, lines, warned = {}, {}, {}
    for name, changes in SAME.items():
        text = changed(STATION_TEXT, "sim_instruments/nis_device.yaml", "truth.yaml")
        for old, new in changes.items():
            text = changed(text, old, new)
        station = tmp_path / f"{name}.yaml"
        station.write_text(text, encoding="utf-8")
        caplog.clear()
        answer = command("run IVSweep --dry-run --json --set points=41", station)
        checked = command("check", station)
        assert answer.code == 0, answer.err
        results[name] = json.loads(answer.out)["results"]
        warned[name] = {one.getMessage() for one in caplog.records if one.name == "labnis"}
        lines[name] = [line.strip() for line in checked.out.splitlines()]
        assert "ok" in lines[name]
    assert results["old"] == results["new"]
    assert largest_pull(results["old"]) < 4
    (message,) = warned["old"]
    assert warned["new"] == set()
    for line in (LOCKIN.strip(), CURRENT.strip(), "amplifiers:", "device:"):
        assert line in message
        assert any(shown.startswith(line) for shown in lines["old"])
        assert not any(shown.startswith(line) for shown in lines["new"])


BAD = {
    "no such class": (
        "Keysight34465A",
        "Keysight34465B",
        4,
        "instruments.dmm.type: module .* has no class Keysight34465B",
    ),
    "no such module": ("Keysight.Keysight34465A", "Keysite.K34465A", 4, "instruments.dmm.type: .*Keysite.* cannot be"),
    "no thermometer": (
        "    current:",
        "    still: {instrument: dmm, kind: thermometer}\n    current:",
        8,
        r"labnis.roles.still: dmm is a Keysight34465A.* lacks temperature\(\).*parameter: …",
    ),
    "no ammeter": ("dmm, parameter: volt", "yoko", 7, "labnis.roles.bias: no instrument reads the current"),
    "no source": (
        ", level: voltage, output: output, range: voltage_range",
        "",
        7,
        r"labnis.roles.bias: yoko is a YokogawaGS200.* lacks set_level\(\).* prepare.*level: …, output: …",
    ),
    "no output": ("output: output, ", "", 7, "labnis.roles.bias: .*level and output are needed.*always_on"),
}


@pytest.mark.parametrize(
    ("old", "name"),
    [
        ("level: source_voltage", "source_volts"),
        ("[enable_source,", "turn_on"),
        ("parameter: aux_in_1", "aux_in_5"),
        ("parameter: x,", "X"),
    ],
)
def test_check_finds_properties_that_a_class_of_pymeasure_has_not(
    old: str, name: str, command: Command, tmp_path: Path
) -> None:
    text = (SETUPS / "pymeasure.yaml").read_text(encoding="utf-8")
    station = tmp_path / "station.yaml"
    station.write_text(changed(text, old, re.sub(r"\w+(?=,?$)", name, old)), encoding="utf-8")
    answer = command("check", station)
    assert answer.code == 2
    assert re.search(rf"line \d+: labnis.roles.\w+: \w+ is a \w+, which has no {name}$", " ".join(answer.err.split()))


@pytest.mark.parametrize(("old", "new", "line", "message"), BAD.values(), ids=BAD)
def test_check_finds_a_class_that_is_not_there_or_cannot_play_its_role(
    old: str, new: str, line: int, message: str, command: Command, tmp_path: Path
) -> None:
    text = changed((SETUPS / "gs200_preamplifier_34465a.yaml").read_text(encoding="utf-8"), old, new)
    station = tmp_path / "station.yaml"
    station.write_text(text, encoding="utf-8")
    answer = command("check", station)
    assert answer.code == 2
    assert re.search(f"line {line}: {message}", " ".join(answer.err.split()))
    rehearsed = command("run IVSweep --dry-run --set points=11", station)
    assert (rehearsed.code, rehearsed.err) == (answer.code, answer.err)
