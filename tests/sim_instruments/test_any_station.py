"""The twin of stations other than the shipped one: several instruments of a kind, and instruments without a panel."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvisa
from pyvisa.resources import MessageBasedResource
from ruamel.yaml import YAML
from scipy.constants import k

from labnis.physics import NISJunction
from sim_instruments import Errors, SimulatedError, SimulatedInstrument, SimulatedRole, Twin, open_twin
from tests.isothermal_device import ISOTHERMAL_TEXT

WIRING = {
    "divider": 100.0,
    "series_resistance": 3000.0,
    "excitation_divider": 1e4,
    "probe_attenuation": 88.0,
    "amplifiers": {"femto": {"gain": -1e8}, "celians": {"gain": 1e3}},
}


def instruments(**described: tuple[str, list[SimulatedRole]]) -> dict[str, SimulatedInstrument]:
    return {
        name: SimulatedInstrument(name, (model, "VisaInstrument"), tuple(roles))
        for name, (model, roles) in described.items()
    }


SETUP = instruments(
    yoko=("AnyVoltageSource", [SimulatedRole("bias", "bias", options={"level": "voltage", "output": "output"})]),
    dmm=("AnyMultimeter", [SimulatedRole("current", "ammeter", amplifier="femto")]),
    nano=("Keithley2182", [SimulatedRole("voltage", "voltmeter")]),
    first=("SR830", [SimulatedRole("lockin", "lockin", amplifier="femto")]),
    second=(
        "SR830",
        [SimulatedRole("across", "lockin", amplifier="celians"), SimulatedRole("dc", "voltmeter", "aux2", "celians")],
    ),
    gate=("Keithley2450", [SimulatedRole("gate", "setpoint")]),
    smu=("AnySourceMeter", [SimulatedRole("plunger", "setpoint", options={"unit": "V"})]),
    bridge=("LakeShore372", [SimulatedRole("fridge", "thermometer", 6), SimulatedRole("still", "thermometer", 2)]),
    gauge=("Pfeiffer", [SimulatedRole("pressure", "reading", options={"unit": "mbar"})]),
)


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """The shipped device at one temperature, without noise and offsets."""
    yaml = YAML()
    content = yaml.load(ISOTHERMAL_TEXT)
    imperfections = ("current_white", "voltage_white", "voltage_offset", "current_offset", "temperature_relative")
    content["noise"] |= dict.fromkeys(imperfections, 0.0)
    content["readings"] = {"pressure": 2e-3}
    path = tmp_path / "truth.yaml"
    yaml.dump(content, path)
    return path


def opened(
    truth: Path, setup: Mapping[str, SimulatedInstrument] = SETUP, wiring: Mapping[str, Any] = WIRING, **options: Any
) -> AbstractContextManager[Twin]:
    return open_twin(truth, seed=1, wiring=wiring, instruments=setup, **options)


def panel(twin: Twin, name: str) -> MessageBasedResource:
    resource = pyvisa.ResourceManager(twin.visalib).open_resource(twin.addresses[name])
    assert isinstance(resource, MessageBasedResource)
    resource.write_termination = "\n"
    resource.read_termination = "\n"
    return resource


def set_bias(twin: Twin, bias: float) -> None:
    source = twin.stand_ins["yoko"]["bias"]
    source.set_level(100 * bias)
    source.output_on()
    twin.clock.sleep(3.0)


def expected_current(voltage: float) -> float:
    return float(NISJunction(215e-6, 12e3, 1e-4).current(voltage / 2, 0.11))


def over_cycles(read: Callable[[], float]) -> float:
    """Mean of samples, each 1 ms after the last, over three cycles of 75 Hz: an auxiliary input does not integrate."""
    return float(np.mean([read() for _ in range(40)]))


def test_each_instrument_has_a_panel_of_its_own_or_a_stand_in(truth: Path) -> None:
    with opened(truth) as twin:
        assert set(twin.addresses) == {"first", "second", "gate", "bridge"}
        assert set(twin.stand_ins) == {"yoko", "dmm", "nano", "smu", "gauge"}
        assert len(set(twin.addresses.values())) == 4
        found = pyvisa.ResourceManager(twin.visalib).list_resources()
        assert set(found) == set(twin.addresses.values())
        serials = [panel(twin, name).query("*IDN?").split(",")[2] for name in twin.addresses]
        assert len(set(serials)) == 4
        assert all("TWIN" in serial for serial in serials)


@pytest.mark.parametrize("bias", [-1e-3, 3e-4, 4.4e-4, 2e-3])
def test_meters_see_the_device_behind_the_wiring_of_the_station(truth: Path, bias: float) -> None:
    with opened(truth) as twin:
        set_bias(twin, bias)
        volts = twin.stand_ins["dmm"]["current"].read()
        voltage = twin.stand_ins["nano"]["voltage"].read()
        current = volts / -1e8
        assert current == pytest.approx(expected_current(voltage), rel=1e-9)
        assert voltage + 3000 * current == pytest.approx(bias, rel=1e-9)
        first, second = panel(twin, "first"), panel(twin, "second")
        first.write("FREQ 75.0")
        assert over_cycles(lambda: float(first.query("OAUX? 1"))) == pytest.approx(volts, abs=3.4e-4)
        assert over_cycles(lambda: float(second.query("OAUX? 2"))) == pytest.approx(1e3 * voltage, abs=3.4e-4)
        assert float(second.query("OAUX? 3")) == 0.0


def test_a_source_without_a_current_parameter_measures_none(truth: Path) -> None:
    with opened(truth) as twin:
        set_bias(twin, 1e-3)
        assert np.isnan(twin.stand_ins["yoko"]["bias"].read().current)


@pytest.mark.parametrize(
    "roles",
    [
        [SimulatedRole("bias", "bias")],
        [SimulatedRole("bias", "bias", options={"level": "source_voltage"}), SimulatedRole("current", "ammeter")],
        [SimulatedRole("bias", "bias", options={"level": "source_voltage", "current": "current"})],
    ],
)
def test_a_source_meter_measures_its_own_current(truth: Path, roles: list[SimulatedRole]) -> None:
    with opened(truth, instruments(yoko=("AnySourceMeter", roles)), {"series_resistance": 3000.0}) as twin:
        source = twin.stand_ins["yoko"]["bias"]
        source.set_level(1e-3)
        source.output_on()
        twin.clock.sleep(1.0)
        reading = source.read()
        assert reading.voltage == 1e-3
        assert reading.current == pytest.approx(expected_current(1e-3 - 3000 * reading.current), rel=1e-9)


def test_the_first_lockin_excites_and_both_measure(truth: Path) -> None:
    with opened(truth) as twin:
        set_bias(twin, 4.4e-4)
        first, second = panel(twin, "first"), panel(twin, "second")
        second.write("SLVL 1.0")
        for lockin in (first, second):
            lockin.write("OFLT 8;OFSL 3;SENS 23")
        first.write("SLVL 0.1")
        twin.clock.sleep(3.0)
        current = float(first.query("OUTP? 1")) / -1e8
        voltage = float(second.query("OUTP? 1")) / 1e3
        # 10 µV rms on the line; device and series resistance share it.
        assert voltage + 3000 * current == pytest.approx(1e-5, rel=2e-3)
        first.write("SLVL 0.2")
        twin.clock.sleep(3.0)
        assert float(second.query("OUTP? 1")) / 1e3 == pytest.approx(2 * voltage, rel=0.05)


def test_a_lockin_without_a_panel_agrees_with_one_that_has_a_panel(truth: Path) -> None:
    readings = []
    for model in ("SR830", "SR7265"):
        lockin = SimulatedRole("lockin", "lockin", amplifier="femto")
        with opened(truth, {**SETUP, **instruments(first=(model, [lockin]))}) as twin:
            set_bias(twin, 4.4e-4)
            if model == "SR830":
                instrument = panel(twin, "first")
                instrument.write("FREQ 75.0;SLVL 0.1;OFLT 8;OFSL 3;SENS 25")
                twin.clock.sleep(3.0)
                x, y = (float(value) for value in instrument.query("SNAP? 1,2").split(","))
                readings.append(complex(x, y))
                auxiliary = over_cycles(lambda: float(instrument.query("OAUX? 1")))  # noqa: B023  # called at once
            else:
                player = twin.stand_ins["first"]["lockin"]
                player.prepare(amplitude=0.1, frequency=75.0, time_constant=0.1, sensitivity=0.5)
                before = player.read()
                twin.clock.sleep(player.settling_time())
                readings.append(player.read())
                assert abs(before) < 0.01 * abs(readings[-1])
                sampled = over_cycles(lambda: player.read_auxiliary(1))  # noqa: B023  # called at once
                assert sampled == pytest.approx(auxiliary, abs=3.4e-4)
                player.quiet()
                twin.clock.sleep(player.settling_time())
                assert abs(player.read()) < 2e-3 * abs(readings[-1])
    assert readings[0].real == pytest.approx(readings[1].real, rel=2e-3)
    assert readings[0].real < 0, "the amplifier inverts"


def test_gates_do_not_move_the_device(truth: Path) -> None:
    with opened(truth) as twin:
        set_bias(twin, 1e-3)
        before = twin.stand_ins["dmm"]["current"].read()
        gate = panel(twin, "gate")
        gate.write(":SOUR:VOLT 1.5")
        gate.write(":OUTP ON")
        plunger = twin.stand_ins["smu"]["plunger"]
        plunger.set_level(-0.7)
        twin.clock.sleep(1.0)
        assert twin.stand_ins["dmm"]["current"].read() == before
        assert float(gate.query(':READ? "defbuffer1", SOUR')) == 1.5
        assert float(gate.query(":READ?")) == 0.0
        assert (plunger.level(), plunger.read(), plunger.unit) == (-0.7, -0.7, "V")


def test_thermometers_are_on_the_inputs_that_the_station_names(truth: Path) -> None:
    with opened(truth) as twin:
        bridge = panel(twin, "bridge")
        assert float(bridge.query("KRDG? 6")) == pytest.approx(0.010)
        assert float(bridge.query("KRDG? 2")) == pytest.approx(0.85)
        assert int(bridge.query("RDGST? 6")) == 0
        assert int(bridge.query("RDGST? 7")) == 16


def test_what_the_fridge_does_not_know_is_in_the_truth_file(truth: Path) -> None:
    with opened(truth) as twin:
        gauge = twin.stand_ins["gauge"]["pressure"]
        assert (gauge.read(), gauge.unit) == (2e-3, "mbar")


def test_limit_and_overload_raise_the_given_errors(truth: Path) -> None:
    class LimitError(Exception):
        pass

    source = instruments(yoko=("AnySourceMeter", [SimulatedRole("bias", "bias")]))
    with opened(truth, {**SETUP, **source}, errors=Errors(compliance=LimitError)) as twin:
        player = twin.stand_ins["yoko"]["bias"]
        player.prepare(maximum_voltage=1.0, maximum_current=1e-6, compliance=1e-8, integration_time=0.1)
        set_bias(twin, 1e-3)
        with pytest.raises(LimitError, match=r"yoko.*1e-08"):
            player.read()
    with opened(truth) as twin:
        set_bias(twin, 5e-3)
        with pytest.raises(SimulatedError, match=r"dmm.*overloaded"):
            twin.stand_ins["dmm"]["current"].read()


def test_analyzers_without_a_panel_measure_the_same_device(truth: Path) -> None:
    setup = instruments(sa=("FSV", [SimulatedRole("analyzer", "analyzer")]), zva=("ZNB", [SimulatedRole("vna", "vna")]))
    with opened(truth, setup, {}) as twin:
        analyzer, vna = twin.stand_ins["sa"]["analyzer"], twin.stand_ins["zva"]["vna"]
        band = {"center": 4.67e9, "span": 1e8, "points": 101}
        analyzer.prepare(**band, resolution_bandwidth=1e6, sweep_time=2.0, averages=50)
        started = twin.clock.time()
        analyzer.start()
        assert not analyzer.finished()
        twin.clock.sleep(analyzer.duration())
        assert analyzer.finished()
        assert twin.clock.time() - started == pytest.approx(100.0, abs=0.01)
        density = analyzer.fetch()
        assert density.shape == analyzer.frequencies().shape == (101,)
        assert np.median(density) == pytest.approx(10**5.184 * k * 8.3, rel=0.05)
        vna.prepare(**band, power=-60.0, if_bandwidth=1e3, averages=10)
        vna.start()
        trace = vna.fetch()
        assert twin.clock.time() - started == pytest.approx(101.0, abs=0.1)
        assert np.abs(trace[0]) == pytest.approx(10 ** ((51.84 - 88) / 20), rel=0.2)
        vna.start()
        vna.abort()
        twin.clock.sleep(10.0)
        assert not vna.finished()
        with pytest.raises(RuntimeError, match="zva"):
            vna.fetch()


def test_the_wiring_of_the_truth_file_counts_more_than_the_station_s(truth: Path) -> None:
    yaml = YAML()
    content = yaml.load(truth)
    content["wiring"] = {"amplifiers": {"femto": {"gain": 1e7}, "celians": {"gain": 1e3}}}
    yaml.dump(content, truth)
    with opened(truth) as twin:
        set_bias(twin, 1e-3)
        voltage = twin.stand_ins["nano"]["voltage"].read()
        current = twin.stand_ins["dmm"]["current"].read() / 1e7
        assert current == pytest.approx(expected_current(voltage), rel=1e-9)
        assert voltage + 3000 * current == pytest.approx(1e-3, rel=1e-9), "divider and line as the station says"


def test_an_unknown_kind_of_role_is_refused_by_its_name(truth: Path) -> None:
    with (
        pytest.raises(ValueError, match=r"oven.*furnace.*setpoint"),
        opened(truth, instruments(box=("Oven", [SimulatedRole("oven", "furnace")])), {}),
    ):
        pass


def test_plain_labnis_has_its_five_instruments_again_afterwards(truth: Path) -> None:
    library = pyvisa.ResourceManager(f"{truth}@labnis").visalib  # kept, so that the World stays the same
    with opened(truth):
        assert len(pyvisa.ResourceManager(library).list_resources()) == 4
    assert len(pyvisa.ResourceManager(library).list_resources()) == 5


def test_a_truth_file_that_was_changed_is_simulated_as_it_is_now(tmp_path: Path) -> None:
    """PyVISA keeps the library of a path while anything refers to it, such as garbage of an earlier session."""
    path = tmp_path / "truth.yaml"
    text = ISOTHERMAL_TEXT
    assert "gap: 215.0e-6" in text
    path.write_text(text, encoding="utf-8")
    kept = pyvisa.ResourceManager(f"{path}@labnis")
    for gap in (215e-6, 180e-6):
        path.write_text(text.replace("gap: 215.0e-6", f"gap: {gap}"), encoding="utf-8")
        with open_twin(path, seed=1, wiring={}) as twin:
            assert twin.truth["gap"] == pytest.approx(gap, rel=1e-3)
            assert f"gap: {gap}" in twin.truth_text
    kept.close()
