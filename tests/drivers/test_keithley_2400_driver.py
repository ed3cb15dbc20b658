"""The Keithley 2400 as the bias source: right levels and currents, and an error wherever a setting is another one."""

from collections.abc import Iterator

import pytest

from drivers.keithley_2400 import Keithley2400
from drivers.protection import CurrentSourcing
from drivers.roles import BiasSource
from labnis.station.role_check import missing_members
from sim_instruments import Twin
from sim_instruments.panels.keithley_2400 import Keithley2400Panel
from tests.single_instrument_twin import panel_of, source_twin


@pytest.fixture(name="twin")
def keithley_twin() -> Iterator[Twin]:
    with source_twin("Keithley2400") as found:
        yield found


@pytest.fixture
def smu(twin: Twin) -> Keithley2400:
    return Keithley2400("smu", twin.addresses["source"], visalib=twin.visalib, timeout=1)


@pytest.fixture
def panel(smu: Keithley2400) -> Keithley2400Panel:
    return panel_of(smu, Keithley2400Panel)


def prepare(
    smu: Keithley2400, maximum: float = 1.0, current: float = 1e-6, compliance: float = 2e-6, time: float = 0.04
) -> None:
    smu.prepare(maximum_voltage=maximum, maximum_current=current, compliance=compliance, integration_time=time)


def test_it_fills_the_role(smu: Keithley2400) -> None:
    assert missing_members(smu, BiasSource) == []
    assert missing_members(smu, CurrentSourcing) == []


def test_readings_are_those_of_the_world(smu: Keithley2400, panel: Keithley2400Panel) -> None:
    prepare(smu)
    smu.output_on()
    for level in (0.0, 0.45, -0.8):
        smu.set_level(level)
        reading = smu.read()
        assert reading.voltage == pytest.approx(level, abs=1e-4)
        assert reading.current == pytest.approx(panel.world.source_state(0.04).current, abs=2e-11, rel=0.05)
        assert (reading.voltage_range, reading.current_range) == (2.0, 1e-6)
        assert smu.level() == pytest.approx(level, abs=1e-4)
    smu.output_off()
    assert not smu.output_enabled()


@pytest.mark.parametrize(
    ("maximum", "current", "compliance", "expected"),
    [
        (0.21, 1e-6, 1e-9, (0.2, 1e-6)),
        (0.22, 2e-6, 1e-5, (2.0, 1e-5)),
        (21.0, 1e-3, 1e-2, (20.0, 1e-3)),
        (200.0, 0.1, 0.1, (200.0, 0.1)),
    ],
)
@pytest.mark.parametrize("left", [b"", b":SENS:CURR:PROT 1;RANG 1", b":SENS:CURR:RANG 1e-6;PROT 1e-9"])
def test_ranges_and_limit_from_any_state(
    smu: Keithley2400,
    panel: Keithley2400Panel,
    maximum: float,
    current: float,
    compliance: float,
    expected: tuple[float, float],
    left: bytes,
) -> None:
    panel.receive(left)
    prepare(smu, maximum, current, compliance)
    assert (panel.state["VOLT source range"], panel.state["CURR range"]) == pytest.approx(expected)
    assert panel.state["CURR limit"] == pytest.approx(compliance)


@pytest.mark.parametrize(
    "left",
    [
        b":SOUR:VOLT:MODE SWE",
        b":SOUR:VOLT:MODE LIST",
        b":FORM REAL,32",
        b":FORM SRE;BORD SWAP",
        b":FORM:ELEM TIME",
        b":FORM:ELEM VOLTAGE, CURRENT, RESISTANCE, TIME, STATUS",
        b':SENS:FUNC:CONC OFF;:SENS:FUNC "VOLT"',
        b":SENS:FUNC:ALL",
        b":SENS:CURR:RANG:AUTO ON",
        b":ARM:SOUR BUS",
        b":ARM:COUN INF",
        b":TRIG:COUN 5;DEL 3;:ARM:COUN 2",
        b":TRIG:SOUR TLIN",
        b":SOUR:DEL 5",
        b":SOUR:CLE:AUTO ON",
        b":SENS:AVER ON;AVER:COUN 100;TCON MOV",
        b":CALC:STAT ON;:CALC2:NULL:OFFS 1e-6;STAT ON",
        b":SYST:AZER OFF",
        b":SYST:RSEN ON",
        b":SOUR:FUNC CURR",
        b":SOUR:VOLT:TRIG 0.7",
        b":SENS:CURR:PROT:RSYN ON",
        b":NONSENSE",
    ],
)
def test_what_somebody_left_is_put_right(smu: Keithley2400, panel: Keithley2400Panel, twin: Twin, left: bytes) -> None:
    panel.receive(left)
    prepare(smu)
    smu.output_on()
    smu.set_level(0.5)
    before = twin.clock.time()
    reading = smu.read()
    assert twin.clock.time() - before < 0.3
    assert reading.voltage == pytest.approx(0.5, abs=1e-4)
    assert reading.current == pytest.approx(panel.world.source_state(0.04).current, abs=2e-11, rel=0.05)
