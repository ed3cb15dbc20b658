"""The Keithley DMM6500 as a meter: right readings whatever was left behind, or an error."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.capabilities import RangedMeter, TellsSettings
from drivers.errors import CommunicationError, InstrumentError, OverloadError, RejectedCommandError, SettingError
from drivers.keithley_dmm6500 import KeithleyDMM6500
from drivers.models import type_of
from drivers.roles import Meter
from labnis.station.role_check import missing_members
from sim_instruments import SimulatedRole, Twin
from tests.drivers.test_swapped_answers import Behind
from tests.metered_twin import WIRING, metered_twin, panel_of


@pytest.fixture
def twin() -> Iterator[Twin]:
    with metered_twin("KeithleyDMM6500") as found:
        yield found


@pytest.fixture
def panel(twin: Twin) -> Any:
    return panel_of(twin)


@pytest.fixture
def dmm(twin: Twin) -> Any:
    return opened(twin)


def opened(twin: Twin, **options: Any) -> Any:
    return KeithleyDMM6500("dmm", twin.addresses["dmm"], visalib=twin.visalib, **options)


def prepare(dmm: Any, maximum: float = 1.0, integration_time: float = 0.02, unit: str = "V") -> None:
    dmm.prepare_reading(unit=unit, maximum=maximum, integration_time=integration_time)


def expected(panel: Any) -> float:
    """Output of the amplifier (V)."""
    return -1e7 * float(panel.world.present_state().current[0])


def test_it_fills_the_role_and_is_found_by_its_identity(dmm: Any, panel: Any) -> None:
    assert missing_members(dmm, Meter) == []
    assert missing_members(dmm, RangedMeter) == []
    assert type_of(panel.identification) == "drivers.keithley_dmm6500.KeithleyDMM6500"


def test_it_reads_the_amplifier(dmm: Any, panel: Any) -> None:
    prepare(dmm)
    assert dmm.read() == pytest.approx(expected(panel), rel=1e-3)


def test_it_reads_the_device() -> None:
    with metered_twin("KeithleyDMM6500", SimulatedRole("voltage", "voltmeter")) as twin:
        dmm = opened(twin)
        prepare(dmm, 0.1)
        assert dmm.read() == pytest.approx(float(panel_of(twin).world.present_state().voltage[0]), rel=1e-3)


def test_it_reads_a_direct_current() -> None:
    with metered_twin("KeithleyDMM6500", SimulatedRole("current", "ammeter"), WIRING | {"amplifiers": {}}) as twin:
        dmm, panel = opened(twin), panel_of(twin)
        prepare(dmm, 1e-7, 1.0, "A")
        assert panel.state["CURR:DC range"] == 1e-5
        assert dmm.read() == pytest.approx(float(panel.world.present_state().current[0]), rel=0.02)


LEFT_BEHIND = [
    'SENS:FUNC "RES"', 'SENS:FUNC "VOLT:AC"', "VOLT:RANG:AUTO ON", "VOLT:AZER OFF", "VOLT:REL 0.3;:VOLT:REL:STAT ON",
    "VOLT:UNIT DB", "VOLT:UNIT DBM", "CALC:VOLT:MATH:FORM MXB;MBF 3;STAT ON", "CALC:VOLT:MATH:STAT ON",
    "VOLT:AVER:COUN 100;:VOLT:AVER:TCON MOV;:VOLT:AVER ON", "VOLT:AVER:WIND 10;:VOLT:AVER ON", "VOLT:INP MOHM10",
    "VOLT:LINE:SYNC ON", "VOLT:DEL:AUTO OFF", "COUN 7", "FORM REAL", "FORM SRE;:FORM:BORD NORM", "FORM:ASC:PREC 1",
    "TRAC:POIN 10;:TRAC:FILL:MODE ONCE;:COUN 10;:TRAC:TRIG", "TRIG:LOAD 'SimpleLoop', 100, 1;:INIT", "VOLT:NPLC 12",
    "VOLT:RANG 1000", "NONSENSE", "TRAC:MAKE 'other', 100",
]  # fmt: skip


@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize("left", LEFT_BEHIND)
def test_what_somebody_left_behind_does_not_change_a_reading(
    dmm: Any, panel: Any, left: str, quoted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(panel), "quoted", quoted)
    panel.receive(left.encode())
    assert bool(panel.errors) == (left == "NONSENSE")
    prepare(dmm, integration_time=0.06)
    assert dmm.read() == pytest.approx(expected(panel), rel=1e-3)
    assert panel.state["impedance"] == "AUTO"
    assert panel.state["VOLT:DC range"] == 1.0
    dmm.check_errors()


@pytest.mark.parametrize(
    ("seconds", "cycles", "averages"),
    [(1e-3, 0.05, 1), (0.02, 1, 1), (0.04, 2, 1), (0.05, 3, 1), (0.24, 12, 1), (0.25, 7, 2), (2.0, 12, 9),
     (24.0, 12, 100)],
)  # fmt: skip
def test_a_reading_lasts_as_long_as_asked_in_whole_cycles(
    dmm: Any, panel: Any, twin: Twin, seconds: float, cycles: float, averages: int
) -> None:
    prepare(dmm, integration_time=seconds)
    assert panel.state["VOLT:DC nplc"] == pytest.approx(cycles)
    assert panel.state["VOLT:DC filter"] == (averages > 1)
    assert averages == 1 or panel.state["VOLT:DC filter count"] == averages
    assert panel.state["VOLT:DC in step"] == (cycles >= 1)
    started = twin.clock.time()
    assert dmm.read() == pytest.approx(expected(panel), rel=1e-2)  # and no timeout, although it is 5 s
    assert 2 * seconds * 0.98 < twin.clock.time() - started < 2 * seconds + averages * 0.07


@pytest.mark.parametrize("seconds", [0.0, -1.0, 24.1, math.nan, math.inf])
def test_an_impossible_integration_time_is_refused(dmm: Any, seconds: float) -> None:
    with pytest.raises(SettingError, match=r"not possible\. Allowed are up to 24 s|nothing was sent"):
        prepare(dmm, integration_time=seconds)


@pytest.mark.parametrize(
    ("maximum", "chosen"), [(0.12, 0.1), (0.121, 1.0), (9.0, 10.0), (12.0, 10.0), (1000.0, 1000.0)]
)
def test_a_range_reaches_to_one_fifth_more_than_its_name(dmm: Any, panel: Any, maximum: float, chosen: float) -> None:
    prepare(dmm, maximum)
    assert panel.state["VOLT:DC range"] == chosen
    with pytest.raises(SettingError, match=r"1001 V is beyond 1000 V"):
        prepare(dmm, 1001.0)


def test_an_overload_is_an_error_not_a_number(dmm: Any) -> None:
    for seconds in (0.02, 0.5):
        prepare(dmm, 0.1, seconds)
        with pytest.raises(OverloadError, match=r"over-range \(marker -9\.9e\+37\)"):
            dmm.read()


@pytest.mark.parametrize("language", ["TSP", "SCPI2000", "SCPI34401"])
def test_another_command_language_is_told_with_what_to_do(twin: Twin, panel: Any, language: str) -> None:
    panel.language = language
    with pytest.raises(SettingError, match=rf"language {language} \(\*LANG\?\).*Send \*LANG SCPI"):
        opened(twin)
    panel.language = "SCPI"
    prepare(opened(twin))  # the name is free again


def test_an_answer_that_is_no_language_is_a_fault_of_the_line(twin: Twin, panel: Any) -> None:
    panel.language = "42"
    with pytest.raises(CommunicationError, match=r"answered '42' to '\*LANG\?'"):
        opened(twin)


def test_the_other_terminals_are_told_also_if_they_are_switched_later(twin: Twin, panel: Any) -> None:
    dmm = opened(twin)
    prepare(dmm)
    panel.terminals = "REAR"
    with pytest.raises(SettingError, match=r":ROUT:TERM\? reads REAR beside a reading"):
        dmm.read()
    with pytest.raises(SettingError, match="rear terminals switched on; the station file says front"):
        prepare(dmm)
    dmm.close()
    prepare(opened(twin, terminals="rear"))
    with pytest.raises(SettingError, match="write front or rear"):
        opened(twin, terminals="side")


def test_closed_channels_of_a_scanner_card_are_told(twin: Twin, panel: Any) -> None:
    panel.card, panel.terminals = "2000,10-Chan Mux,0.0.0a,00000000", "REAR"
    dmm = opened(twin, terminals="rear")
    prepare(dmm)
    panel.receive(b"ROUT:CLOS (@3)")
    with pytest.raises(SettingError, match=r"channels closed \(\(@3\)\), in parallel.*ROUT:OPEN:ALL"):
        prepare(dmm)


def test_a_trigger_model_that_does_not_end_is_told(dmm: Any, panel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    panel.receive(b"TRIG:LOAD 'SimpleLoop', 100, 1;:INIT")
    monkeypatch.setattr(panel, "abort_operation", lambda: None)
    with pytest.raises(SettingError, match=r"trigger model is RUNNING;RUNNING;1 after :ABOR"):
        prepare(dmm)


@pytest.mark.parametrize(
    "change",
    [b"*RST", b'SENS:FUNC "RES"', b"VOLT:RANG 10", b"VOLT:RANG:AUTO ON", b"COUN 2", b'SENS:FUNC "CURR"',
     b"VOLT:REL:STAT ON", b"VOLT:AVER ON", b"CALC:VOLT:MATH:STAT ON", b"VOLT:UNIT DBM", b"FORM:ASC:PREC 3",
     b"VOLT:INP MOHM10"],
)  # fmt: skip
def test_a_change_since_the_preparation_is_found(dmm: Any, panel: Any, change: bytes) -> None:
    prepare(dmm)
    panel.receive(change)
    with pytest.raises(SettingError, match="prepare the measurement again"):
        dmm.read()


@pytest.mark.parametrize(
    "ignored",
    ["RANG ", "NPLC", "REL:STAT ", "SENS:FUNC ", "AVER ", "COUN ", "FORM:DATA ", "MATH", "PREC", "FILL", "INP ",
     "UNIT ", "SYNC", "AZER ", "TCON"],
)  # fmt: skip
def test_a_setting_that_is_not_accepted_is_told(
    dmm: Any, panel: Any, ignored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel.receive(b'SENS:FUNC "RES";:VOLT:REL:STAT ON;:COUN 4;:FORM REAL;:CALC:VOLT:MATH:STAT ON;:VOLT:UNIT DB')
    panel.receive(b"TRAC:FILL:MODE ONCE;:VOLT:AZER OFF;:VOLT:AVER:TCON MOV")
    assert not panel.errors
    honest = panel.execute
    monkeypatch.setattr(panel, "execute", lambda message: [] if ignored in message else honest(message))
    with pytest.raises((SettingError, CommunicationError)):
        prepare(dmm, integration_time=0.5)


def test_an_error_while_it_is_prepared_is_told(dmm: Any, panel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = panel.execute
    monkeypatch.setattr(panel, "execute", lambda m: honest("NONSENSE" if m.startswith(":TRAC:FILL:MODE C") else m))
    panel.receive(b"TRAC:FILL:MODE ONCE")
    with pytest.raises((RejectedCommandError, SettingError), match="-113"):
        prepare(dmm)


def test_another_model_at_the_address_is_refused(twin: Twin, panel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(panel), "identification", "KEITHLEY INSTRUMENTS,MODEL DAQ6510,0,1.7")
    with pytest.raises(CommunicationError, match=r"DAQ6510; DMM6500 is expected\. Check the address\."):
        opened(twin)


def test_unprepared_it_reads_what_is_set(dmm: Any, panel: Any) -> None:
    assert dmm.read() == pytest.approx(expected(panel), rel=1e-3)
    panel.receive(b'SENS:FUNC "RES"')
    with pytest.raises(SettingError, match=r"measures RES\. Set it to VOLT:DC or CURR:DC"):
        dmm.read()


def test_what_changes_the_readings_is_told_without_changing_it(dmm: Any, panel: Any) -> None:
    assert missing_members(dmm, TellsSettings) == []
    assert dmm.set_otherwise("V") == []
    panel.receive(b"VOLT:REL:STAT ON;:VOLT:UNIT DB;:CALC:VOLT:MATH:STAT ON")
    at = ":SENS:VOLT:DC"
    assert dmm.set_otherwise("V") == [
        f"{at}:REL:STAT? reads 1, not 0", ":CALC:VOLT:DC:MATH:STAT? reads 1, not 0", f"{at}:UNIT? reads DB, not VOLT",
    ]  # fmt: skip
    assert dmm.set_otherwise("A") == [":SENS:FUNC? reads VOLT:DC, not CURR:DC"]
    assert panel.state["unit"] == "DB"


def test_a_lost_connection_is_told(dmm: Any, panel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(dmm)
    dmm.visa_handle.timeout = 100
    monkeypatch.setattr(panel, "execute", lambda _: [])
    with pytest.raises(CommunicationError, match="dmm"):
        dmm.read()


@pytest.mark.faults
def test_one_swapped_answer_never_makes_a_wrong_number() -> None:
    clean, at, right = None, None, 0
    while True:
        with metered_twin("KeithleyDMM6500") as twin:
            panel, dmm = panel_of(twin), opened(twin)
            behind, found = Behind(panel, at), None
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(panel, "execute", behind.execute)
                try:
                    prepare(dmm, integration_time=0.04)
                    first = [dmm.read(), dmm.read()]
                    panel_of(twin, "yoko").receive(b":SOUR:LEV 0.8")
                    second = [dmm.read(), dmm.read()]
                    prepare(dmm, 10.0, 0.5)
                    found = [*first, *second, dmm.read()]
                except InstrumentError as error:
                    assert "dmm" in str(error)
        if at is None:
            clean, at = found, 1
            continue
        if not behind.asked:
            break
        right += found is not None
        assert found is None or found == pytest.approx(clean, rel=0.01), f"answer {at}, to {behind.asked!r}"
        at += 1
    assert at > 40
    assert right > 4


@pytest.mark.faults
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=30)
@given(answers=st.lists(st.binary(max_size=60) | st.floats().map(lambda x: str(x).encode()), max_size=6))
def test_any_answer_ends_in_an_error_of_ours(dmm: Any, panel: Any, answers: list[bytes]) -> None:
    prepare(dmm)
    left = list(answers)
    dmm.visa_handle.timeout = 200
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panel, "execute", lambda _: [left.pop()] if left else [])
        with pytest.raises(InstrumentError, match="dmm"):
            dmm.read()
    dmm.lost_step()
