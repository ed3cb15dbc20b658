"""The Keithley 6430 as the bias source; `test_keithley_2400_driver` has what it shares with the 2400 series."""

from collections.abc import Iterator

import pytest

from drivers.errors import ComplianceError, InstrumentError, ReadingError, SettingError
from drivers.keithley_6430 import Keithley6430
from drivers.models import type_of
from drivers.protection import CurrentSourcing
from drivers.roles import BiasSource
from labnis.station.role_check import missing_members
from sim_instruments import Twin
from sim_instruments.panels.keithley_6430 import Keithley6430Panel
from tests.drivers.test_swapped_answers import Behind
from tests.single_instrument_twin import panel_of, source_twin


@pytest.fixture(name="twin")
def keithley_twin() -> Iterator[Twin]:
    with source_twin("Keithley6430") as found:
        yield found


@pytest.fixture
def smu(twin: Twin) -> Keithley6430:
    return Keithley6430("smu", twin.addresses["source"], visalib=twin.visalib, timeout=1)


@pytest.fixture
def panel(smu: Keithley6430) -> Keithley6430Panel:
    return panel_of(smu, Keithley6430Panel)


def prepare(
    smu: Keithley6430, maximum: float = 1.0, current: float = 1e-7, compliance: float = 1e-7, time: float = 0.02
) -> None:
    smu.prepare(maximum_voltage=maximum, maximum_current=current, compliance=compliance, integration_time=time)


def test_it_fills_the_role(smu: Keithley6430) -> None:
    assert missing_members(smu, BiasSource) == []
    assert missing_members(smu, CurrentSourcing) == []
    assert type_of(smu.ask("*IDN?")) == "drivers.keithley_6430.Keithley6430"


def test_readings_are_those_of_the_world(smu: Keithley6430, panel: Keithley6430Panel) -> None:
    prepare(smu)
    smu.output_on()
    for level in (0.0, 0.45, -0.8):
        smu.set_level(level)
        reading = smu.read()
        assert reading.voltage == pytest.approx(level, abs=1e-4)
        assert reading.current == pytest.approx(panel.world.source_state(0.02).current, abs=2e-11, rel=0.05)
        assert (reading.voltage_range, reading.current_range) == (2.0, pytest.approx(1e-7))


@pytest.mark.parametrize(("current", "compliance"), [(1e-12, 1e-12), (5e-12, 1e-11), (1e-9, 1e-9), (0.1, 0.1)])
@pytest.mark.parametrize("left", [b"", b":SENS:CURR:PROT 0.1;RANG 0.1", b":SENS:CURR:RANG 1e-12;PROT 1e-15"])
def test_low_ranges_from_any_state(
    smu: Keithley6430, panel: Keithley6430Panel, current: float, compliance: float, left: bytes
) -> None:
    panel.receive(left)
    prepare(smu, 1.0, current, compliance)
    assert panel.state["CURR limit"] == pytest.approx(compliance)
    assert current <= panel.state["CURR range"] * 1.05 < 10.6 * current


@pytest.mark.parametrize(
    "left",
    [
        b":AVER:AUTO ON",
        b":MED ON;:MED:RANK 5",
        b":AVER ON;:AVER:COUN 100",
        b":AVER:REP ON;:AVER:REP:COUN 100",
        b":SENS:FUNC:OFF:ALL",
        b":ARM:SOUR BUS",
    ],
)
def test_what_somebody_left_is_put_right(smu: Keithley6430, panel: Keithley6430Panel, twin: Twin, left: bytes) -> None:
    panel.receive(left)
    prepare(smu)
    smu.output_on()
    before = twin.clock.time()
    assert abs(smu.read().voltage) < 1e-3
    assert twin.clock.time() - before < 0.2
    assert not panel.filtered()


def test_a_long_integration_uses_the_repeating_filter(smu: Keithley6430, panel: Keithley6430Panel) -> None:
    prepare(smu, time=1.0)
    assert (panel.state["repeating filter"], panel.state["repeats"], panel.state["nplc"]) == (True, 5, 10.0)
    smu.output_on()
    with smu.timeout.set_to(10):
        smu.read()
    panel.receive(b":AVER:REP OFF")
    with pytest.raises(SettingError, match="average"):
        smu.read()


def test_limit_and_output_off_are_errors_not_data(smu: Keithley6430, panel: Keithley6430Panel) -> None:
    prepare(smu, 10.0, 1e-8, 1e-8)
    with pytest.raises(ReadingError, match="output off"):
        smu.read()
    smu.output_on()
    smu.set_level(9.0)
    with pytest.raises(ComplianceError, match="current limit"):
        smu.read()


def test_upstream_queries_that_are_another_ones_are_put_right(smu: Keithley6430, panel: Keithley6430Panel) -> None:
    smu.output_enabled(True)
    assert smu.output_enabled()
    assert not smu.output_auto_off_enabled()
    smu.filter_repeat_enabled(True)
    smu.filter_auto(False)
    assert smu.filter_repeat_enabled()
    assert panel.state["repeating filter"]
    smu.snapshot(update=True)
    smu.check_errors()


def test_another_model_is_refused(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Keithley6430Panel, "identification", "KEITHLEY INSTRUMENTS INC.,MODEL 2400,1,1")
    with pytest.raises(SettingError, match="one of 6430 is needed"):
        Keithley6430("third", twin.addresses["source"], visalib=twin.visalib)


@pytest.mark.faults
def test_one_swapped_answer_never_makes_a_wrong_number(twin: Twin) -> None:
    clean: list[float] = []
    at = 0
    for at in range(400):
        smu = Keithley6430(f"swapped{at}", twin.addresses["source"], visalib=twin.visalib, timeout=0.2)
        smu.log.setLevel("CRITICAL")
        panel = panel_of(smu, Keithley6430Panel)
        panel.switch_on()
        behind = Behind(panel, at or None)
        found: list[float] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(panel, "execute", behind.execute)
            try:
                prepare(smu)
                smu.output_on()
                smu.set_level(0.5)
                found += [smu.read().voltage, smu.level(), *smu._ranges]
                panel.receive(b":SOUR:VOLT 0.7")
                found += [smu.level(), smu.read().voltage, float(smu.output_enabled())]
            except InstrumentError as error:
                assert smu.name in str(error)
                found = []
        smu.close()
        clean = clean or found
        assert not found or found == pytest.approx(clean, rel=1e-3, abs=1e-4), behind.asked
        if at and not behind.asked:
            break
    assert 40 < at < 399
