"""The Keysight Truevolt multimeters as meters: right readings whatever was left behind, or an error."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import qcodes.instrument.sims
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qcodes.instrument import Instrument

from drivers.capabilities import RangedMeter, TellsSettings
from drivers.errors import CommunicationError, InstrumentError, OverloadError, RejectedCommandError, SettingError
from drivers.keysight_34461a import Keysight34461A
from drivers.keysight_34465a import Keysight34465A
from drivers.roles import Meter
from labnis.station.role_check import missing_members
from sim_instruments import SimulatedRole, Twin
from tests.drivers.test_swapped_answers import Behind
from tests.metered_twin import BEHIND_AMPLIFIER, WIRING, metered_twin, panel_of

KINDS: dict[str, Any] = {
    "Keysight34460A": Keysight34461A,
    "Keysight34461A": Keysight34461A,
    "Keysight34465A": Keysight34465A,
    "Keysight34470A": Keysight34465A,
}


@pytest.fixture(params=["Keysight34461A", "Keysight34465A"])
def twin(request: pytest.FixtureRequest) -> Iterator[Twin]:
    with metered_twin(request.param) as found:
        yield found


@pytest.fixture
def panel(twin: Twin) -> Any:
    return panel_of(twin)


@pytest.fixture
def dmm(twin: Twin, panel: Any) -> Any:
    return opened(twin)


def opened(twin: Twin, **options: Any) -> Any:
    kind = KINDS[f"Keysight{panel_of(twin).identification.split(',')[1]}"]
    return kind("dmm", twin.addresses["dmm"], visalib=twin.visalib, **options)


def prepare(dmm: Any, maximum: float = 1.0, integration_time: float = 0.02, unit: str = "V") -> None:
    dmm.prepare_reading(unit=unit, maximum=maximum, integration_time=integration_time)


def expected(panel: Any) -> float:
    """Output of the amplifier (V)."""
    return -1e7 * float(panel.world.present_state().current[0])


def test_it_fills_the_role(dmm: Any) -> None:
    assert missing_members(dmm, Meter) == []
    assert missing_members(dmm, RangedMeter) == []


@pytest.mark.parametrize("model", KINDS)
def test_every_model_reads_the_amplifier_and_the_device(model: str) -> None:
    for role in (BEHIND_AMPLIFIER, SimulatedRole("voltage", "voltmeter")):
        with metered_twin(model, role) as twin:
            dmm, panel = opened(twin), panel_of(twin)
            prepare(dmm)
            state = panel.world.present_state()
            right = expected(panel) if role is BEHIND_AMPLIFIER else float(state.voltage[0])
            assert dmm.read() == pytest.approx(right, rel=1e-3)


@pytest.mark.parametrize("model", KINDS)
def test_every_model_reads_a_direct_current(model: str) -> None:
    with metered_twin(model, SimulatedRole("current", "ammeter"), WIRING | {"amplifiers": {}}) as twin:
        dmm, panel = opened(twin), panel_of(twin)
        prepare(dmm, 1e-7, 1.0, "A")
        assert panel.state["CURR range"] == panel.ranges["CURR"][0]
        assert dmm.read() == pytest.approx(float(panel.world.present_state().current[0]), rel=0.02)


LEFT_BEHIND = [
    'SENS:FUNC "RES"', 'SENS:FUNC "VOLT:AC"', "VOLT:RANG:AUTO ON", "VOLT:ZERO:AUTO OFF", "VOLT:ZERO:AUTO ONCE",
    "VOLT:NULL:STAT ON;VAL 0.3", "VOLT:NULL:VAL:AUTO ON;:VOLT:NULL ON", "CALC:SCAL:FUNC DB;STAT ON", "TRIG:SOUR BUS",
    "TRIG:SOUR EXT", "TRIG:SOUR EXT;:INIT", "TRIG:SOUR BUS;:INIT", "TRIG:COUN 7", "TRIG:DEL 3600", "SAMP:COUN 13",
    "FORM REAL;:FORM:BORD SWAP", "VOLT:NPLC 100", "VOLT:RANG 1000", "VOLT:IMP:AUTO OFF", "DISP OFF", "NONSENSE",
    'VOLT:SEC "VOLTage:AC"',
]  # fmt: skip
LEFT_ON_34465A = [
    "CALC:SMO:RESP SLOW;STAT ON", "VOLT:APER 1.7", "SAMP:SOUR TIM;TIM 10", "SAMP:COUN 20;COUN:PRET 10",
]  # fmt: skip


@pytest.mark.parametrize("left", LEFT_BEHIND)
def test_what_somebody_left_behind_does_not_change_a_reading(dmm: Any, panel: Any, left: str) -> None:
    panel.receive(left.encode())
    prepare(dmm)
    assert dmm.read() == pytest.approx(expected(panel), rel=1e-3)
    assert panel.state["high impedance"] is True
    assert panel.state["VOLT range"] == 1.0
    dmm.check_errors()


@pytest.mark.parametrize("left", LEFT_ON_34465A)
def test_what_only_the_better_models_have_is_reset_too(left: str) -> None:
    with metered_twin("Keysight34465A") as twin:
        panel, dmm = panel_of(twin), opened(twin)
        panel.receive(left.encode())
        assert not panel.errors
        prepare(dmm, integration_time=0.06)
        started = twin.clock.time()
        assert dmm.read() == pytest.approx(expected(panel), rel=1e-3)
        assert twin.clock.time() - started < 0.2


def test_smoothing_in_mid_run_is_found() -> None:
    with metered_twin("Keysight34465A") as twin:
        dmm = opened(twin)
        prepare(dmm)
        panel_of(twin).receive(b"CALC:SMO:STAT ON")
        with pytest.raises(SettingError, match=r":CALC:SMO:STAT\? reads 1 beside a reading"):
            dmm.read()


def test_what_changes_the_readings_is_told_without_changing_it(dmm: Any, panel: Any) -> None:
    assert missing_members(dmm, TellsSettings) == []
    assert dmm.set_otherwise("V") == []
    panel.receive(b"VOLT:NULL:STAT ON;VAL 0.3;:CALC:SCAL:STAT ON")
    told = [":SENS:VOLT:DC:NULL:STAT? reads 1, not 0", ":CALC:SCAL:STAT? reads 1, not 0"]
    assert dmm.set_otherwise("V") == told
    assert dmm.set_otherwise("A") == [':SENS:FUNC? reads "VOLT", not CURR']
    assert panel.state["VOLT null"] is True


def test_a_client_that_waits_for_a_trigger_is_ended_by_opening(twin: Twin, panel: Any) -> None:
    panel.receive(b"TRIG:SOUR EXT;:READ?")
    panel.receive(b"*IDN?")
    assert panel.drain() == b""
    dmm = opened(twin)
    prepare(dmm)
    assert dmm.read() == pytest.approx(expected(panel), rel=1e-3)


@pytest.mark.parametrize(
    ("seconds", "cycles", "samples", "aperture"),
    [
        (0.02, 1, 1, 0),
        (0.04, 10, 1, 2),
        (0.2, 10, 1, 0),
        (0.6, 10, 3, 30),
        (2.0, 100, 1, 0),
        (4.0, 100, 2, 0),
        (50.0, 100, 25, 0),
        (0.05, 10, 1, 3),
    ],
)
def test_a_reading_lasts_as_long_as_asked_in_whole_cycles(
    dmm: Any, panel: Any, twin: Twin, seconds: float, cycles: float, samples: int, aperture: float
) -> None:
    prepare(dmm, integration_time=seconds)
    if panel.state.get("VOLT aperture enabled"):
        assert panel.state["VOLT aperture"] == pytest.approx(aperture / 50)
        cycles, samples = aperture, 1
    else:
        assert panel.state["VOLT nplc"] == cycles
        assert not (dmm.has_aperture and aperture)
    assert panel.state["samples"] == samples
    started = twin.clock.time()
    assert dmm.read() == pytest.approx(expected(panel), rel=1e-3)  # and no timeout, although it is 5 s
    assert twin.clock.time() - started == pytest.approx(2 * cycles * samples / 50, abs=0.02)


def test_the_excitation_of_a_lockin_is_not_read_as_current(dmm: Any, panel: Any, twin: Twin) -> None:
    panel.world.set_source(level=0.5e-3, output=True, current_limit=1e-3)
    panel.world.set_excitation(5.0, 75.0)
    prepare(dmm, integration_time=0.04)
    readings = []
    for _ in range(8):
        twin.clock.sleep(7.3e-3)
        readings.append(dmm.read())
    assert max(readings) - min(readings) < 1e-4


def test_short_integrations(dmm: Any, panel: Any) -> None:
    prepare(dmm, integration_time=1e-3)
    assert panel.state["VOLT nplc"] == pytest.approx(0.2 if "34461A" in panel.identification else 0.06)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e4, math.nan, math.inf])
def test_an_impossible_integration_time_is_refused(dmm: Any, seconds: float) -> None:
    with pytest.raises(SettingError, match=r"not possible|nothing was sent"):
        prepare(dmm, integration_time=seconds)


@pytest.mark.parametrize(
    ("maximum", "chosen"), [(0.12, 0.1), (0.121, 1.0), (9.0, 10.0), (12.0, 10.0), (1000.0, 1000.0)]
)
def test_a_range_reaches_to_one_fifth_more_than_its_name(dmm: Any, panel: Any, maximum: float, chosen: float) -> None:
    prepare(dmm, maximum)
    assert panel.state["VOLT range"] == chosen
    with pytest.raises(SettingError, match=r"1001 V is beyond 1000 V"):
        prepare(dmm, 1001.0)


def test_an_overload_is_an_error_not_a_number(dmm: Any, panel: Any) -> None:
    prepare(dmm, 0.1)
    with pytest.raises(OverloadError, match=r"over-range \(marker -9\.9e\+37\)"):
        dmm.read()
    prepare(dmm, 0.1, 0.1)
    with pytest.raises(OverloadError):
        dmm.read()


def test_the_other_terminals_read_nothing_and_are_told(twin: Twin, panel: Any) -> None:
    panel.terminals = "REAR"
    dmm = opened(twin)
    with pytest.raises(SettingError, match="rear terminals switched on; the station file says front"):
        prepare(dmm)
    dmm.close()
    prepare(opened(twin, terminals="rear"))


def test_terminals_are_front_or_rear(twin: Twin) -> None:
    with pytest.raises(SettingError, match="write front or rear"):
        opened(twin, terminals="side")


@pytest.mark.parametrize(
    "change",
    [b"*RST", b'SENS:FUNC "RES"', b"VOLT:RANG 10", b"VOLT:RANG:AUTO ON", b"SAMP:COUN 2", b'SENS:FUNC "CURR"',
     b"VOLT:NULL:STAT ON;VAL 0.3", b"CALC:SCAL:FUNC SCAL;GAIN 2;STAT ON", b"VOLT:IMP:AUTO OFF"],
)  # fmt: skip
def test_a_change_since_the_preparation_is_found(dmm: Any, panel: Any, change: bytes) -> None:
    prepare(dmm)
    panel.receive(change)
    with pytest.raises(SettingError, match="prepare the measurement again"):
        dmm.read()


@pytest.mark.parametrize(
    "ignored", ["RANG ", "NPLC", "NULL", "SENS:FUNC ", "TRIG:SOUR", "SAMP:COUN ", "FORM ASC", "SCAL"]
)
def test_a_setting_that_is_not_accepted_is_told(
    dmm: Any, panel: Any, ignored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel.receive(b'SENS:FUNC "RES";:VOLT:NULL ON;:TRIG:SOUR EXT;:SAMP:COUN 4;:FORM REAL;:CALC:SCAL:STAT ON')
    honest = panel.execute
    monkeypatch.setattr(panel, "execute", lambda message: [] if ignored in message else honest(message))
    with pytest.raises((SettingError, CommunicationError)):
        prepare(dmm)


def test_an_error_while_it_is_prepared_is_told(dmm: Any, panel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = panel.execute
    monkeypatch.setattr(panel, "execute", lambda m: honest("NONSENSE" if m.startswith(":FORM ASC") else m))
    with pytest.raises(RejectedCommandError, match="-113"):
        prepare(dmm)


def test_another_model_at_the_address_is_refused(panel: Any, twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(panel), "identification", "HEWLETT-PACKARD,34401A,0,10-5-2")  # as SYST:IDEN HP34401A
    with pytest.raises(CommunicationError, match=r"HEWLETT-PACKARD 34401A.*SYSTem:IDENtify"):
        Keysight34461A("dmm", twin.addresses["dmm"], visalib=twin.visalib)


def test_unprepared_it_reads_what_is_set(dmm: Any, panel: Any) -> None:
    assert dmm.read() == pytest.approx(expected(panel), rel=1e-3)
    panel.receive(b'SENS:FUNC "RES"')
    with pytest.raises(SettingError, match="measures"):
        dmm.read()


@pytest.mark.faults
def test_one_swapped_answer_never_makes_a_wrong_number() -> None:
    clean, at, right = None, None, 0
    while True:
        with metered_twin("Keysight34461A") as twin:
            panel, dmm = panel_of(twin), opened(twin)
            behind, found = Behind(panel, at), None
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(panel, "execute", behind.execute)
                try:
                    prepare(dmm, integration_time=0.04)
                    first = [dmm.read(), dmm.read()]
                    panel_of(twin, "yoko").receive(b":SOUR:LEV 0.8")
                    second = [dmm.read(), dmm.read()]
                    prepare(dmm, 10.0, 0.2)
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
def test_any_answer_ends_in_a_number_or_an_error_of_ours(dmm: Any, panel: Any, answers: list[bytes]) -> None:
    prepare(dmm)
    left = list(answers)
    dmm.visa_handle.timeout = 200
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panel, "execute", lambda _: [left.pop()] if left else [])
        with pytest.raises(InstrumentError, match="dmm"):
            dmm.read()
    dmm.lost_step()


def test_the_simulation_of_qcodes_has_an_identity_and_is_not_prepared() -> None:
    """It lacks front and rear terminals, null and math; its trigger source is BUS, and nothing wrong is read."""
    simulation = Path(qcodes.instrument.sims.__file__).with_name("Keysight_34465A.yaml")
    dmm = Keysight34465A("sim", "GPIB::1::INSTR", visalib=f"{simulation}@sim", timeout=0.2)
    try:
        assert dmm.get_idn()["model"] == "34465A"
        with pytest.raises(InstrumentError, match="sim"):
            prepare(dmm)
        with pytest.raises(InstrumentError, match="sim"):
            dmm.read()
    finally:
        Instrument.close_all()


@pytest.mark.parametrize("left", [":TRIG:SOUR BUS", ":TRIG:SOUR EXT", ":SAMP:COUN 5", ":TRIG:COUN 2"])
def test_an_unprepared_reading_waits_for_no_trigger(dmm: Any, panel: Any, left: str) -> None:
    """As `labnis check --open` reads it, which sets nothing."""
    panel.receive(left.encode())
    with pytest.raises(SettingError, match=rf"{left.split(maxsplit=1)[0]}\? reads .*left by an earlier user"):
        dmm.read()
