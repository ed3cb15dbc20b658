"""Plausible stations at the simulated fridge: the same device by other instruments gives the same current."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from drivers.errors import ComplianceError, OverloadError
from labnis.errors import ConfigurationError
from labnis.experiment.twin import twin_of
from labnis.station import OpenStation, check_station, load_station, open_station
from labnis.station.simulated import simulated_instruments
from sim_instruments import SHIPPED_TRUTH, Errors, open_twin
from tests.run.bench import write_station
from tests.run.test_every_instrument import COMBINATIONS

LIMITS = "limits: {maximum_bias: 6.0e-3, maximum_step: 0.1e-3, ramp_rate: 0.1, compliance: 5.0e-6}"
KEITHLEY = "keithley: {type: drivers.keithley_2450.Keithley2450, address: GPIB0::18::INSTR}"
SR830 = "sr830: {type: drivers.sr830.SR830, address: GPIB0::8::INSTR}"
GS200 = "yoko: {type: qcodes.instrument_drivers.yokogawa.YokogawaGS200, address: GPIB0::1::INSTR}"
DMM = "dmm: {type: qcodes.instrument_drivers.Keysight.Keysight34465A, address: GPIB0::22::INSTR}"
LEVELS = "level: voltage, output: output, range: voltage_range"

SETUPS = {
    "source-meter": (f"  {KEITHLEY}", "bias: keithley", "series_resistance: 2000.0"),
    "divider and lock-in's input": (
        f"  {KEITHLEY}\n  {SR830}",
        "bias: keithley\n    lockin: {instrument: sr830, amplifier: femto}\n"
        "    current: {instrument: sr830, channel: aux1, amplifier: femto}",
        "series_resistance: 2000.0, divider: 100.0, amplifiers: {femto: {gain: -1.0e+6}}",
    ),
    "GS200, inverting preamplifier and 34465A": (
        f"  {GS200}\n  {DMM}",
        f"bias: {{instrument: yoko, {LEVELS}}}\n    current: {{instrument: dmm, parameter: volt, amplifier: femto}}",
        "series_resistance: 2000.0, divider: 100.0, amplifiers: {femto: {gain: -1.0e+6}}",
    ),
    "pymeasure's source-meter": (
        "  keithley: {type: pymeasure.instruments.keithley.Keithley2450, address: GPIB0::18::INSTR}",
        "bias: {instrument: keithley, level: source_voltage, output: source_enabled, "
        "switch: [enable_source, disable_source], current: current}",
        "series_resistance: 2000.0",
    ),
}


def station_file(folder: Path, instruments: str, roles: str, wiring: str) -> Path:
    path = folder / "station.yaml"
    path.write_text(
        f"instruments:\n{instruments}\nlabnis:\n  roles:\n    {roles}\n  wiring: {{{wiring}}}\n  {LIMITS}\n",
        encoding="utf-8",
    )
    return path


@contextmanager
def opened(path: Path, *roles: str) -> Iterator[OpenStation]:
    config = load_station(path)
    check_station(config)
    errors = Errors(overload=OverloadError, compliance=ComplianceError)
    with (
        open_twin(
            SHIPPED_TRUTH,
            seed=1,
            wiring=config.wiring_record(),
            instruments=simulated_instruments(config),
            errors=errors,
        ) as twin,
        open_station(config, twin=twin) as station,
    ):
        station.open(roles)
        yield station


@pytest.mark.parametrize("setup", SETUPS)
def test_every_setup_measures_the_same_current(setup: str, tmp_path: Path) -> None:
    with opened(station_file(tmp_path, *SETUPS[setup])) as station:
        station.bias.prepare(2e-3, 1e-6, 0.02)
        station.bias.move_to(2e-3)
        station.clock.sleep(0.1)
        readings = [station.roles.bias.read() for _ in range(5)]
        currents = [station.roles.current.read() for _ in range(5)]
        station.make_safe()
        assert not station.source.output_enabled()
    assert np.mean([reading.current for reading in readings]) == pytest.approx(75.1e-9, rel=0.02)
    assert np.mean(currents) == pytest.approx(75.1e-9, rel=0.02)
    assert readings[0].bias == pytest.approx(2e-3, rel=1e-3)
    assert readings[0].device_voltage == pytest.approx(2e-3 - 2000 * 75.1e-9, rel=1e-2)


def test_the_current_is_read_from_another_parameter_of_the_bias_sources_channel(tmp_path: Path) -> None:
    roles = (
        "bias: {instrument: smu, channel: smua, level: volt, output: output}\n"
        "    current: {instrument: smu, channel: smua, parameter: curr}"
    )
    smu = "  smu: {type: qcodes.instrument_drivers.Keithley.Keithley2614B, address: GPIB0::1::INSTR}"
    with opened(station_file(tmp_path, smu, roles, "series_resistance: 2000.0")) as station:
        station.bias.prepare(2e-3, 1e-6, 0.02)
        station.bias.move_to(2e-3)
        station.clock.sleep(0.1)
        reading = station.roles.bias.read()
        assert reading.current == pytest.approx(75.1e-9, rel=0.05)
        assert np.isnan(reading.amplifier_voltage)


def test_a_voltmeter_gate_and_second_thermometer_stand_around_the_same_device(tmp_path: Path) -> None:
    instruments = f"""  {KEITHLEY}
  {DMM}
  smu2: {{type: drivers.keithley_2450.Keithley2450, address: GPIB0::19::INSTR}}
  bridge: {{type: drivers.lakeshore_372.LakeShore372, address: GPIB0::12::INSTR}}"""
    roles = """bias: keithley
    voltage: {instrument: dmm, parameter: volt, amplifier: voltage_amplifier}
    gate: {instrument: smu2, kind: setpoint, parameter: source.voltage, maximum: 0.5, rate: 0.5, at_end: zero}
    fridge: {instrument: bridge, channel: 6}
    still: {instrument: bridge, kind: thermometer, channel: 5}"""
    path = station_file(
        tmp_path, instruments, roles, "series_resistance: 2000.0, amplifiers: {voltage_amplifier: {gain: 100.0}}"
    )
    with opened(path) as station:
        assert "gate" not in station.roles
        station.open(["gate", "fridge", "still"])
        station.open(["gate"])  # again is no harm
        assert not station.stand_ins
        station.bias.prepare(2e-3, 1e-6, 0.02)
        station.bias.move_to(2e-3)
        station.clock.sleep(0.1)
        reading = station.roles.bias.read()
        assert reading.device_voltage == pytest.approx(2e-3 - 2000 * 75.1e-9, rel=1e-2)
        station.roles.gate.move_to(0.3)
        assert station.roles.gate.read() == pytest.approx(0.3, rel=1e-3)
        assert station.roles.gate.unit == "V"
        assert station.roles.fridge.temperature() < 0.05 < station.roles.still.temperature()
        assert station.is_twin
        assert station.snapshot()["instruments"].keys() == {"keithley", "dmm", "smu2", "bridge"}
    with opened(path, "gate") as station:
        station.roles.gate.move_to(0.1)
        gate = station.roles.gate
        station.make_safe()
        assert gate.read() == 0.0


def test_a_parameter_that_an_instrument_lacks_is_reported_with_the_line(tmp_path: Path) -> None:
    roles = "bias: keithley\n    gate: {instrument: keithley, kind: reading, parameter: source.volts}"
    path = station_file(tmp_path, f"  {KEITHLEY}", roles, "series_resistance: 2000.0")
    with (
        pytest.raises(ConfigurationError, match=r"line 6: labnis\.roles\.gate.*has no volts"),
        opened(path, "gate"),
    ):
        pass


@pytest.mark.parametrize(
    ("combination", "current_range"), [("gs200_34465a", 1e-6), ("qdac2", 1e-6), ("keithley_2400_dmm6500", 1e-6)]
)
def test_the_range_in_a_row_is_that_of_the_meter_that_reads_the_current(
    combination: str, current_range: float, tmp_path: Path
) -> None:
    text = COMBINATIONS[combination].read_text(encoding="utf-8")
    config = load_station(write_station(tmp_path, text))
    with twin_of(config, None, 1) as twin, open_station(config, twin=twin) as station:
        station.open(["bias"])
        station.bias.prepare(maximum_bias=1e-3, maximum_current=1e-6, integration_time=0.02)
        assert station.bias.read().current_range == pytest.approx(current_range)  # 10 V behind 10⁷ V/A
        station.bias.prepare(maximum_bias=1e-3, maximum_current=1e-8, integration_time=0.02)
        assert station.bias.read().current_range == pytest.approx(current_range / 100)
