"""The Keithley 2400 as the bias source: right levels and currents, and an error wherever a setting is another one."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qcodes.instrument_drivers.Keithley import Keithley2400 as QcodesKeithley2400

from drivers.errors import (
    CommunicationError,
    ComplianceError,
    InstrumentError,
    OverloadError,
    ReadingError,
    RejectedCommandError,
    SettingError,
)
from drivers.keithley_2400 import RANGES, Keithley2400
from drivers.models import type_of
from drivers.protection import CurrentSourcing
from drivers.roles import BiasSource
from labnis.station import load_station, open_station
from labnis.station.role_check import missing_members
from labnis.station.simulated import simulated_instruments
from sim_instruments import SHIPPED_TRUTH, Twin, open_twin
from sim_instruments.panels.keithley_2400 import Keithley2400Panel
from tests.drivers.test_swapped_answers import Behind
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


@pytest.mark.parametrize(
    ("left", "message"),
    [
        (b":SOUR:VOLT:MODE LIST", "LIST with the output on"),
        (b":SYST:RSEN ON", "has its output on and four wires"),
        (b':SENS:FUNC "RES"', "sources current with its output on"),
    ],
)
def test_what_would_disturb_a_live_output_is_refused(
    smu: Keithley2400, panel: Keithley2400Panel, left: bytes, message: str
) -> None:
    panel.receive(left)
    panel.receive(b":OUTP ON")
    with pytest.raises(SettingError, match=message):
        prepare(smu)
    assert panel.state["output"]


def test_automatic_ohms_that_do_not_say_that_they_source_current_are_refused(
    smu: Keithley2400, panel: Keithley2400Panel
) -> None:
    panel.functions.append("RES")
    panel.receive(b":OUTP ON")
    with pytest.raises(SettingError, match="automatic source"):
        prepare(smu)
    assert panel.state["output"]


def test_a_range_is_not_switched_with_the_output_on(smu: Keithley2400, panel: Keithley2400Panel) -> None:
    prepare(smu, 1.0, 1e-5, 2e-5)
    smu.output_on()
    smu.set_level(0.9)
    prepare(smu, 0.1, 1e-6, 2e-6)  # for which lower ranges would do
    assert smu.level() == pytest.approx(0.9)
    assert (panel.state["CURR range"], panel.state["CURR limit"]) == (1e-5, 2e-6)
    assert smu.read().current_range == 1e-5
    with pytest.raises(SettingError, match=r":SOUR:VOLT:RANG 2, which does not include 5\."):
        prepare(smu, 5.0)
    with pytest.raises(SettingError, match=r"SENS:CURR:RANG .*, which does not include 0\.001"):
        prepare(smu, 1.0, 1e-3, 1e-2)
    with pytest.raises(SettingError, match=r"CURR:PROT\? reads .*\+822"):
        prepare(smu, 1.0, 1e-9, 2e-9)  # less than 0.1 % of the range that is kept
    assert smu.level() == pytest.approx(0.9)


def test_automatic_ranges_with_the_output_on_are_fixed_where_they_are(
    smu: Keithley2400, panel: Keithley2400Panel
) -> None:
    panel.receive(b":SOUR:VOLT 1.5;:OUTP ON;:READ?")
    panel.drain()
    prepare(smu, 1.5, 1e-6, 1e-3)
    assert (panel.state["VOLT source range auto"], panel.state["CURR range auto"]) == (False, False)
    assert smu.level() == pytest.approx(1.5)


def test_a_live_current_source_is_not_taken_over(smu: Keithley2400, panel: Keithley2400Panel) -> None:
    panel.receive(b":SOUR:FUNC CURR;:SOUR:CURR 1e-7;:OUTP ON")
    assert smu.sources_current()
    with pytest.raises(SettingError, match="sources current with its output on"):
        prepare(smu)
    smu.set_current(1e-6)
    assert smu.current_level() == pytest.approx(1e-6)


def test_a_pending_level_never_reaches_the_device(smu: Keithley2400, panel: Keithley2400Panel) -> None:
    panel.receive(b":SOUR:VOLT:RANG 20;LEV 0.1;:SOUR:VOLT:TRIG 10;:OUTP ON")
    prepare(smu)
    assert smu.read().voltage == pytest.approx(0.1, abs=1e-3)
    smu.set_level(0.2)
    assert smu.read().voltage == pytest.approx(0.2, abs=1e-3)


def test_a_limit_of_the_voltage_stays_and_is_told(smu: Keithley2400, panel: Keithley2400Panel) -> None:
    panel.receive(b":SOUR:VOLT:PROT 20")
    prepare(smu, 15.0)
    with pytest.raises(SettingError, match=r"limits its voltage to 20 V \(:SOUR:VOLT:PROT\?\); 50 V are needed"):
        prepare(smu, 50.0)
    prepare(smu, 20.0, 1e-4, 1e-4)
    panel.state["VOLT protection"] = 5.0
    smu.output_on()
    smu.set_level(8.0)
    with pytest.raises(ReadingError, match="limit of its voltage"):
        smu.read()


@pytest.mark.parametrize(
    ("limit", "largest", "bit"), [(1e-8, 1e-6, 1 << 3), (1e-6, 1e-8, 1 << 16)], ids=["compliance", "range"]
)
def test_a_limited_current_is_an_error_not_data(
    smu: Keithley2400, panel: Keithley2400Panel, limit: float, largest: float, bit: int
) -> None:
    prepare(smu, 20.0, 1e-6, 1e-6)
    smu.output_on()
    panel.state["CURR limit"], panel.state["CURR range"] = limit, largest
    smu.set_level(19.0)
    with pytest.raises(ComplianceError, match="current limit") as caught:
        smu.read()
    assert int(caught.value.problem.partition("status ")[2].rstrip(").")) & (1 << 3 | 1 << 16) == bit


def test_overflow_is_an_error_not_data(
    smu: Keithley2400, panel: Keithley2400Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(smu)
    smu.output_on()
    for answer in (b"1;+1.0E+00,+9.900000E+37,+2.355600E+04", b"1;+1.0E+00,+1.0E-06,+2.355700E+04"):
        with monkeypatch.context() as patch:
            honest = panel.execute
            patch.setattr(panel, "execute", lambda m, a=answer, h=honest: [a] if "READ" in m else h(m))
            with pytest.raises(OverloadError):
                smu.read()


@pytest.mark.parametrize(
    "answer",
    [
        "1;+5.0E+00,+1.0E-09,+2.355600E+04",
        "1;+1.0E+00,+1.0E-05,+2.355600E+04",
        "1;nan,+1.0E-09,+2.355600E+04",
        "1;+1.0E+00,+9.91E+37,+2.355600E+04",
        "1;+1.0E+00,+1.0E-09,+2.355650E+04;1",
        "1;+1.0E+00,+1.0E-09,+2.35565000001E+04",
        "1;+1.0E+00,+1.0E-09,+1.677721600E+07",
        "1;+1.0E+00,+1.0E-09,-1",
        "0;+1.0E+00,+1.0E-09,+2.355600E+04",
        "2;+1.0E+00,+1.0E-09,+2.355600E+04",
        "+1.0E+00,+1.0E-09,+2.355600E+04",
        "1;+1.0E+00,+1.0E-09",
        "1",
        "",
    ],
)
def test_an_impossible_reading_is_an_error(
    smu: Keithley2400, panel: Keithley2400Panel, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    prepare(smu)
    smu.output_on()
    honest = panel.execute
    monkeypatch.setattr(panel, "execute", lambda m: [answer.encode()] if "READ" in m else honest(m))
    with pytest.raises(InstrumentError, match="smu"):
        smu.read()


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (b":SENS:AVER ON", "average"),
        (b':SENS:FUNC:OFF "VOLT"', "voltage measured"),
        (b':SENS:FUNC:OFF "CURR"', "current measured"),
    ],
)
def test_a_change_in_mid_run_is_found_in_the_next_reading(
    smu: Keithley2400, panel: Keithley2400Panel, change: bytes, name: str
) -> None:
    prepare(smu, time=0.01)
    smu.output_on()
    smu.read()
    panel.receive(change)
    with pytest.raises(SettingError, match=rf"other settings than before \(status \d+: {name}\)"):
        smu.read()
    prepare(smu)
    smu.read()


@pytest.mark.parametrize("change", [b":ROUT:TERM REAR", b":SYST:RSEN ON", b"*RST", b":OUTP OFF"])
def test_an_output_that_went_off_is_an_error(smu: Keithley2400, panel: Keithley2400Panel, change: bytes) -> None:
    prepare(smu)
    smu.output_on()
    smu.set_level(0.5)
    panel.receive(change)
    with pytest.raises(ReadingError, match="has its output off"):
        smu.read()
    assert not panel.state["output"]
    smu.check_errors()  # the +803 is not left for the next preparation


@pytest.mark.parametrize("change", [b":ROUT:TERM REAR;:OUTP ON", b":SYST:RSEN ON;:OUTP ON"])
def test_other_terminals_and_leads_are_told(smu: Keithley2400, panel: Keithley2400Panel, change: bytes) -> None:
    prepare(smu)
    smu.output_on()
    panel.receive(change)
    with pytest.raises(SettingError, match=r"front terminals|four wires"):
        smu.read()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (b":ARM:SOUR BUS", r":ARM:SOUR\? reads BUS; IMM"),
        (b":ARM:COUN INF", r":ARM:COUN\? reads \+9\.9E37; 1 was"),
        (b":TRIG:SOUR TLIN", r":TRIG:SOUR\? reads TLIN"),
        (b":TRIG:COUN 1000", r":TRIG:COUN\? reads 1000"),
    ],
)
def test_a_reading_that_would_wait_for_ever_is_an_error_after_one_timeout(
    smu: Keithley2400, panel: Keithley2400Panel, twin: Twin, change: bytes, words: str
) -> None:
    prepare(smu)
    smu.output_on()
    panel.receive(change)
    before = twin.clock.time()
    with pytest.raises(SettingError, match=f"does not answer .*{words}"):
        smu.read()
    if b"1000" not in change:  # there the simulated instrument finishes its readings first
        assert twin.clock.time() - before < 2
    assert smu.output_enabled()
    prepare(smu)
    assert abs(smu.read().voltage) < 1e-3


def test_an_instrument_that_waits_for_a_trigger_is_released(smu: Keithley2400, panel: Keithley2400Panel) -> None:
    panel.receive(b":ARM:SOUR BUS;:OUTP ON;:INIT")
    assert panel.waiting
    prepare(smu, 0.1)
    assert not panel.waiting
    assert abs(smu.read().voltage) < 1e-3


@pytest.mark.parametrize(
    "change", [b":FORM:ELEM CURR", b":FORM:ELEM VOLT,CURR,RES,STAT", b":FORM REAL,32", b":TRIG:COUN 2"]
)
def test_another_format_in_mid_run_is_an_error(smu: Keithley2400, panel: Keithley2400Panel, change: bytes) -> None:
    prepare(smu)
    smu.output_on()
    panel.receive(change)
    with pytest.raises(CommunicationError, match=r"voltage,current,status|no usable answer"):
        smu.read()


def test_a_second_driver_on_the_instrument_changes_the_elements(smu: Keithley2400, twin: Twin) -> None:
    prepare(smu)
    smu.output_on()
    QcodesKeithley2400("other", twin.addresses["source"], visalib=twin.visalib)  # VOLT,CURR only
    with pytest.raises(CommunicationError, match="status"):
        smu.read()


def test_an_integration_is_in_steps_of_a_hundredth_of_a_cycle(
    smu: Keithley2400, panel: Keithley2400Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = panel.setting_changed

    def coarse(name: str) -> None:
        panel.state["nplc"] = round(panel.state["nplc"], 2)
        honest(name)

    monkeypatch.setattr(panel, "setting_changed", coarse)
    prepare(smu, time=0.03333)
    assert panel.state["nplc"] == 1.67


def test_a_long_integration_is_an_average(smu: Keithley2400, panel: Keithley2400Panel, twin: Twin) -> None:
    prepare(smu, time=1.0)
    smu.output_on()
    before = twin.clock.time()
    smu.read()
    assert twin.clock.time() - before == pytest.approx(6.0, abs=0.1)  # two conversions of three phases each
    assert (panel.state["filter"], panel.state["filter type"], panel.state["filter count"]) == (True, "REP", 5)
    assert panel.state["nplc"] == 10.0
    assert smu.mains_frequency == 50.0


@pytest.mark.parametrize(
    ("maximum", "current", "compliance", "time"),
    [(211.0, 1e-6, 1e-6, 0.04), (1.0, 1e-6, 1e-6, 1e-6), (1.0, 1e-6, 1e-6, 1e4), (1.0, 1e-3, 1e-6, 0.04)],
)
def test_what_it_cannot_do_is_refused(
    smu: Keithley2400, maximum: float, current: float, compliance: float, time: float
) -> None:
    with pytest.raises(SettingError, match=r"limits its voltage|not possible|no range"):
        prepare(smu, maximum, current, compliance, time)


@pytest.mark.parametrize(("compliance", "error"), [(5e-10, "-222"), (0.5, r"\+826")])
def test_a_compliance_that_it_does_not_have_is_refused(smu: Keithley2400, compliance: float, error: str) -> None:
    with pytest.raises(SettingError, match=rf"CURR:PROT\? reads .* the instrument reports {error}"):
        prepare(smu, 200.0, min(compliance, 0.1), compliance)


@pytest.mark.parametrize(
    "command",
    [
        ":SENS:CURR:PROT ",
        ":SENS:CURR:NPLC ",
        ":SOUR:CLE:AUTO ",
        ":FORM:ELEM ",
        ":ARM:SOUR ",
        ":SENS:FUNC ",
        ":SOUR:VOLT:TRIG ",
        ":SENS:CURR:RANG ",
    ],
)
def test_a_setting_that_is_ignored_is_found(
    smu: Keithley2400, panel: Keithley2400Panel, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    panel.receive(b":SOUR:CLE:AUTO ON;:ARM:SOUR BUS;:SOUR:VOLT:TRIG 3")
    honest = panel.execute
    monkeypatch.setattr(panel, "execute", lambda message: [] if message.startswith(command) else honest(message))
    with pytest.raises(SettingError):
        prepare(smu)


def test_a_level_beyond_the_range_is_no_level(smu: Keithley2400) -> None:
    prepare(smu)
    smu.set_level(5.0)
    assert smu.level() == 0.0
    with pytest.raises(RejectedCommandError, match="-222"):
        smu.check_errors()


@pytest.mark.parametrize(
    ("identity", "maximum", "voltage_range"),
    [
        ("2401", 20.0, 20.0),
        ("2400-LV", 20.0, 20.0),
        ("2410", 500.0, 1000.0),
        ("2440", 8.0, 10.0),
        ("2420-C", 60.0, 60.0),
    ],
)
def test_models_have_their_own_ranges(
    twin: Twin, monkeypatch: pytest.MonkeyPatch, identity: str, maximum: float, voltage_range: float
) -> None:
    whole = f"KEITHLEY INSTRUMENTS INC.,MODEL {identity},1234567,C30   Mar 17 2006 09:29:29/A02  /K/J"
    assert type_of(whole) == "drivers.keithley_2400.Keithley2400"
    monkeypatch.setattr(Keithley2400Panel, "identification", whole)
    smu = Keithley2400("one", twin.addresses["source"], visalib=twin.visalib)
    assert smu.voltage_ranges in [ranges[0] for ranges in RANGES.values()]
    assert next(one for one in smu.voltage_ranges if maximum <= one) == voltage_range
    with pytest.raises(SettingError, match="no range"):
        smu._choose_fixed_range(":SOUR:VOLT:RANG", 1.1 * smu.voltage_ranges[-1], smu.voltage_ranges)


def test_another_model_is_refused(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Keithley2400Panel, "identification", "KEITHLEY INSTRUMENTS INC.,MODEL 2430,1,1")
    with pytest.raises(SettingError, match="one of 2400, 2400-LV, 2401"):
        Keithley2400("third", twin.addresses["source"], visalib=twin.visalib)
    assert type_of("KEITHLEY INSTRUMENTS INC.,MODEL 2430,1,1") is None


def test_terminals_of_the_station_file(twin: Twin) -> None:
    smu = Keithley2400("rear", twin.addresses["source"], terminals="rear", visalib=twin.visalib, timeout=1)
    panel = panel_of(smu, Keithley2400Panel)
    prepare(smu)
    assert panel.state["terminals"] == "REAR"
    panel.receive(b":ROUT:TERM FRON;:OUTP ON")
    with pytest.raises(SettingError, match=r"output on at the front terminals; the station file says rear"):
        prepare(smu)


def test_four_wires(twin: Twin) -> None:
    smu = Keithley2400("four", twin.addresses["source"], four_wire=True, visalib=twin.visalib, timeout=1)
    prepare(smu)
    smu.output_on()
    assert abs(smu.read().voltage) < 1e-3


def test_parameters_keep_small_values(smu: Keithley2400, panel: Keithley2400Panel) -> None:
    smu.rangev(0.2)
    smu.volt(5e-6)
    assert panel.state["VOLT level"] == pytest.approx(5e-6)
    assert smu.volt() == pytest.approx(5e-6)
    smu.compliancei(3e-8)
    assert panel.state["CURR limit"] == pytest.approx(3e-8)
    smu.curr(2e-9)
    smu.output(1)
    assert (panel.state["output"], smu.output()) == (True, True)
    panel.receive(b":OUTP OFF")
    assert not smu.output()
    smu.snapshot(update=True)
    smu.check_errors()


def test_an_output_that_is_blocked_is_told(smu: Keithley2400, panel: Keithley2400Panel) -> None:
    prepare(smu)
    panel.blocked = True
    with pytest.raises(SettingError, match=r"\+802,.OUTPUT blocked by output enable"):
        smu.output_on()


def test_connecting_releases_an_instrument_that_waits(smu: Keithley2400, panel: Keithley2400Panel, twin: Twin) -> None:
    panel.receive(b":ARM:SOUR BUS;:SOUR:VOLT 0.1;:OUTP ON;:INIT")
    smu.close()
    again = Keithley2400("again", twin.addresses["source"], visalib=twin.visalib, timeout=1)
    assert again.output_enabled()
    assert again.level() == pytest.approx(0.1)


def test_a_ramp_is_made_of_levels_that_the_instrument_has(smu: Keithley2400, panel: Keithley2400Panel) -> None:
    prepare(smu, 0.2)
    for level in (5e-6, 1e-5, -5e-6):
        smu.set_level(level)
        assert smu.level() == pytest.approx(level, abs=1e-9)
    with pytest.raises(SettingError, match="a source level of nan V"):
        smu.set_level(math.nan)
    with pytest.raises(SettingError):
        smu.set_current(math.inf)
    assert panel.state["VOLT level"] == pytest.approx(-5e-6)


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        ("drivers.keithley_2400.Keithley2400", "keithley_2400"),
        ("drivers.keithley_6430.Keithley6430", "keithley_6430"),
    ],
)
def test_a_station_biases_the_device(tmp_path: Path, kind: str, table: str) -> None:
    text = (Path(__file__).parents[2] / "station.yaml").read_text(encoding="utf-8")
    text = text.replace("drivers.keithley_2450.Keithley2450", kind).replace(
        "accuracy: keithley_2450", f"accuracy: {table}"
    )
    path = tmp_path / "station.yaml"
    path.write_text(text, encoding="utf-8")
    config = load_station(path)
    simulated = {"wiring": config.wiring_record(), "instruments": simulated_instruments(config)}
    with open_twin(SHIPPED_TRUTH, seed=1, **simulated) as twin, open_station(config, twin=twin) as station:
        station.open(["bias"])
        bias = station.roles.bias
        bias.prepare(maximum_bias=1e-3, maximum_current=1e-6, integration_time=0.02)
        bias.move_to(0.9e-3)
        twin.clock.sleep(1.0)
        reading = bias.read()
        assert reading.bias == pytest.approx(0.9e-3, abs=1e-5)
        assert 0 < reading.current < 1e-6
        bias.move_to(0.0)


def test_a_lost_connection_is_told(smu: Keithley2400) -> None:
    smu.visa_handle.close()
    with pytest.raises(CommunicationError, match="smu"):
        smu.read()
    with pytest.raises(CommunicationError):
        smu.set_level(0.1)


@pytest.mark.faults
def test_one_swapped_answer_never_makes_a_wrong_number(twin: Twin) -> None:
    clean: list[float] = []
    right, at = 0, 0
    for at in range(400):
        smu = Keithley2400(f"swapped{at}", twin.addresses["source"], visalib=twin.visalib, timeout=0.2)
        smu.log.setLevel("CRITICAL")
        panel = panel_of(smu, Keithley2400Panel)
        panel.switch_on()
        behind = Behind(panel, at or None)
        found: list[float] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(panel, "execute", behind.execute)
            try:
                prepare(smu)
                smu.output_on()
                for level in (0.5, -0.7):
                    smu.set_level(level)
                    reading = smu.read()
                    found += [reading.voltage, reading.voltage_range, reading.current_range, smu.level()]
                panel.receive(b":SOUR:VOLT 0.9")
                found += [smu.level(), smu.read().voltage, float(smu.output_enabled())]
                smu.set_level(0.0)
                smu.output_off()
                prepare(smu, 5.0, 1e-4, 1e-3)
                found += [*smu._ranges, float(smu.output_enabled())]
            except InstrumentError as error:
                assert smu.name in str(error)
                found = []
        smu.close()
        clean = clean or found
        assert not found or found == pytest.approx(clean, rel=1e-3, abs=1e-4), behind.asked
        right += bool(found)
        if at and not behind.asked:
            break
    assert 50 < at < 399
    assert right > 5


TEXTS = st.text(max_size=40) | st.text("0123456789+-.eEinfaNy,;VOLTCUR", max_size=40) | st.floats().map(str)


@pytest.mark.faults
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
@given(
    answers=st.lists(TEXTS | TEXTS.map("1;".__add__), max_size=8),
    action=st.sampled_from(("read", "level", "prepare", "output_enabled", "sources_current")),
)
def test_any_answer_is_a_number_or_an_error_of_ours(
    smu: Keithley2400, panel: Keithley2400Panel, answers: list[str], action: str
) -> None:
    smu.log.setLevel("CRITICAL")
    smu._ranges, smu._in_step = (2.0, 1e-6), True
    left = [answer.encode("utf-8", "replace") for answer in answers]
    panel.drain()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panel, "execute", lambda _: [left.pop()] if left else [])
        try:
            found = prepare(smu) if action == "prepare" else getattr(smu, action)()
        except InstrumentError as error:
            assert "smu" in str(error)
        else:
            assert found is None or math.isfinite(getattr(found, "voltage", found))
