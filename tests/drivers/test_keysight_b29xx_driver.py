"""The Keysight B2900 as the bias source: right levels and currents, and an error wherever a setting is another one."""

import math
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.errors import (
    CommunicationError,
    ComplianceError,
    InstrumentError,
    OverloadError,
    ReadingError,
    RejectedCommandError,
    SettingError,
)
from drivers.keysight_b29xx import KeysightB29xx
from drivers.protection import CurrentSourcing
from drivers.roles import BiasSource
from labnis.station.role_check import missing_members
from sim_instruments import Twin
from sim_instruments.panels.keysight_b29xx import KeysightB29xxPanel
from tests.drivers.test_swapped_answers import Behind
from tests.single_instrument_twin import panel_of, source_twin


@pytest.fixture(name="twin")
def b29xx_twin() -> Iterator[Twin]:
    with source_twin("KeysightB29xx") as found:
        yield found


@pytest.fixture
def smu(twin: Twin) -> KeysightB29xx:
    return KeysightB29xx("smu", twin.addresses["source"], visalib=twin.visalib, timeout=1)


@pytest.fixture
def panel(smu: KeysightB29xx) -> KeysightB29xxPanel:
    return panel_of(smu, KeysightB29xxPanel)


def prepare(
    smu: KeysightB29xx, maximum: float = 1.0, current: float = 1e-6, compliance: float = 2e-6, time: float = 0.04
) -> None:
    smu.prepare(maximum_voltage=maximum, maximum_current=current, compliance=compliance, integration_time=time)


def test_it_fills_the_role(smu: KeysightB29xx) -> None:
    assert missing_members(smu, BiasSource) == []
    assert missing_members(smu, CurrentSourcing) == []


def test_readings_are_those_of_the_world(smu: KeysightB29xx, panel: KeysightB29xxPanel) -> None:
    prepare(smu)
    smu.output_on()
    for level in (0.0, 0.45, -0.8):
        smu.set_level(level)
        reading = smu.read()
        assert reading.voltage == pytest.approx(level, abs=1e-5)
        assert reading.current == pytest.approx(panel.world.source_state(0.04).current, abs=2e-11, rel=0.05)
        assert (reading.voltage_range, reading.current_range) == (2.0, 1e-6)
        assert smu.level() == pytest.approx(level, abs=1e-6)


@pytest.mark.parametrize(
    ("maximum", "current", "expected"),
    [(0.21, 1e-8, (0.2, 1e-8)), (0.22, 2e-8, (2.0, 1e-7)), (21.0, 1e-3, (20.0, 1e-3)), (200.0, 1.2, (200.0, 1.5))],
)
def test_ranges(
    smu: KeysightB29xx, panel: KeysightB29xxPanel, maximum: float, current: float, expected: tuple[float, float]
) -> None:
    prepare(smu, maximum, current, compliance=max(current, 1e-7))
    assert (panel.state["VOLT range"][1], panel.state["CURR sense"][1]) == pytest.approx(expected)
    assert panel.state["VOLT range auto"] == {1: False, 2: True}


def test_a_range_is_not_switched_with_the_output_on(smu: KeysightB29xx, panel: KeysightB29xxPanel) -> None:
    prepare(smu, 1.0)
    smu.output_on()
    smu.set_level(0.9)
    prepare(smu, 0.1)  # for which a lower range would do
    assert smu.level() == pytest.approx(0.9)
    with pytest.raises(
        SettingError, match=r"is on in the range :SOUR1:VOLT:RANG 2, which does not include 5\..*overshoot"
    ):
        prepare(smu, 5.0)
    with pytest.raises(SettingError, match=r"SENS1:CURR:RANG 1e-06, which does not include 0\.001"):
        prepare(smu, 1.0, 1e-3, 1e-2)
    assert panel.overshoots == 0
    smu.set_level(0.0)
    smu.output_off()
    prepare(smu, 5.0)
    assert panel.state["VOLT range"][1] == 20.0


def test_an_automatic_range_with_the_output_on_is_fixed_where_it_is(
    smu: KeysightB29xx, panel: KeysightB29xxPanel
) -> None:
    panel.receive(b":VOLT 1.5;:OUTP ON")
    prepare(smu, 1.5)
    assert (panel.overshoots, panel.state["VOLT range auto"][1], panel.state["VOLT range"][1]) == (0, False, 2.0)
    assert smu.level() == pytest.approx(1.5)


def test_a_reading_never_switches_the_output_on(smu: KeysightB29xx, panel: KeysightB29xxPanel) -> None:
    prepare(smu)
    with pytest.raises(ReadingError, match="not a number"):
        smu.read()
    assert not panel.state["output"][1]
    panel.receive(b":OUTP:ON:AUTO ON")  # as a reset sets it
    with pytest.raises(ReadingError):
        smu.read()
    assert not smu.output_enabled()


def test_a_reset_in_mid_run_is_found(smu: KeysightB29xx, panel: KeysightB29xxPanel) -> None:
    prepare(smu)
    smu.output_on()
    smu.set_level(0.5)
    panel.reset()
    with pytest.raises(InstrumentError, match="smu"):
        smu.read()
    assert not panel.state["output"][1]


@pytest.mark.parametrize(
    "left",
    [
        b":VOLT:MODE SWE",
        b":FUNC:SHAP PULS",
        b":FORM REAL",
        b":FORM:ELEM:SENS TIME",
        b':SENS:FUNC "VOLT"',
        b":SENS:CURR:RANG:AUTO ON",
        b":TRIG:ACQ:COUN 5;:TRIG:ACQ:DEL 3;:ARM:ACQ:SOUR BUS",
        b":CALC:OFFS 1e-6;:CALC:OFFS:STAT ON;:CALC:MATH:STAT ON",
        b":SENS:REM ON",
        b":SOUR:FUNC:MODE CURR",
        b":NONSENSE",
    ],
)
def test_what_somebody_left_is_put_right(
    smu: KeysightB29xx, panel: KeysightB29xxPanel, twin: Twin, left: bytes
) -> None:
    panel.receive(left)
    prepare(smu)
    smu.output_on()
    smu.set_level(0.5)
    before = twin.clock.time()
    reading = smu.read()
    assert twin.clock.time() - before < 0.1
    assert reading.voltage == pytest.approx(0.5, abs=1e-5)
    assert reading.current == pytest.approx(panel.world.source_state(0.04).current, abs=2e-11, rel=0.05)


@pytest.mark.parametrize(
    "change", [b":CALC:OFFS:STAT ON", b":CALC:MATH:STAT ON", b":SENS:CURR:RANG 1e-7", b":SENS:CURR:RANG:AUTO ON"]
)
def test_a_change_since_the_preparation_is_found_beside_a_reading(
    smu: KeysightB29xx, panel: KeysightB29xxPanel, change: bytes
) -> None:
    prepare(smu)
    smu.output_on()
    smu.read()
    panel.receive(change)
    with pytest.raises(SettingError, match=r"\? reads .* beside a reading; .* prepare the measurement again"):
        smu.read()


@pytest.mark.parametrize("left", [b":VOLT:MODE LIST", b":FUNC:SHAP PULS", b":SENS:REM ON"])
def test_what_would_disturb_a_live_output_is_refused(
    smu: KeysightB29xx, panel: KeysightB29xxPanel, left: bytes
) -> None:
    panel.receive(left)
    panel.receive(b":OUTP ON")
    with pytest.raises(SettingError, match="output on"):
        prepare(smu)


def test_a_live_current_source_is_not_taken_over(smu: KeysightB29xx, panel: KeysightB29xxPanel) -> None:
    panel.receive(b":SOUR:FUNC:MODE CURR;:CURR 1e-7;:OUTP ON")
    assert smu.sources_current()
    with pytest.raises(SettingError, match="sources current with its output on"):
        prepare(smu)
    smu.set_current(1e-6)
    assert smu.current_level() == pytest.approx(1e-6)


def test_limit_and_overflow_are_errors_not_data(smu: KeysightB29xx, panel: KeysightB29xxPanel) -> None:
    prepare(smu, 10.0, 1e-8, 1e-8)
    smu.output_on()
    smu.set_level(9.0)
    with pytest.raises(ComplianceError, match="current limit"):
        smu.read()
    panel.state["CURR limit"][1] = 1e-3
    panel.receive(b":VOLT 9")
    with pytest.raises(OverloadError, match="status 8192"):
        smu.read()


def test_a_protection_that_acts_is_an_error(
    smu: KeysightB29xx, panel: KeysightB29xxPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(smu)
    monkeypatch.setattr(panel, "_measured", lambda channel: {"VOLT": 0.0, "CURR": 0.0, "STAT": 16.0})
    with pytest.raises(ReadingError, match="protection"):
        smu.read()


def test_a_long_integration_is_an_average(smu: KeysightB29xx, panel: KeysightB29xxPanel, twin: Twin) -> None:
    prepare(smu, time=5.0)
    smu.output_on()
    before = twin.clock.time()
    smu.read()
    assert twin.clock.time() - before == pytest.approx(5.0, abs=0.1)
    assert panel.state["trigger count"][1] == 3


@pytest.mark.parametrize(("maximum", "time"), [(211.0, 0.04), (1.0, 1e-6), (1.0, 1e4)])
def test_what_it_cannot_do_is_refused(smu: KeysightB29xx, maximum: float, time: float) -> None:
    with pytest.raises(SettingError, match=r"no range|not possible"):
        prepare(smu, maximum, time=time)


@pytest.mark.parametrize("command", [":SENS1:CURR:PROT ", ":SENS1:CURR:APER ", ":OUTP1:ON:AUTO ", ":FORM:ELEM:SENS "])
def test_a_setting_that_is_ignored_is_found(
    smu: KeysightB29xx, panel: KeysightB29xxPanel, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    honest = panel.execute
    monkeypatch.setattr(panel, "execute", lambda message: [] if message.startswith(command) else honest(message))
    with pytest.raises(SettingError):
        prepare(smu)


def test_a_level_beyond_the_range_is_no_level(smu: KeysightB29xx) -> None:
    prepare(smu)
    smu.set_level(5.0)
    assert smu.level() == 0.0
    with pytest.raises(RejectedCommandError, match="-222"):
        smu.check_errors()


def test_another_model_or_channel_is_refused(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingError, match="a B2900 with a channel 3 is needed"):
        KeysightB29xx("third", twin.addresses["source"], 3, visalib=twin.visalib)
    monkeypatch.setattr(KeysightB29xxPanel, "identification", "Keysight Technologies,B2901A,1,1")
    with pytest.raises(SettingError, match="channel 2"):
        KeysightB29xx("second", twin.addresses["source"], 2, visalib=twin.visalib)
    one = KeysightB29xx("first", twin.addresses["source"], visalib=twin.visalib)
    with pytest.raises(CommunicationError, match="1e-08"):  # which this model has not
        prepare(one, current=1e-8, compliance=1e-8)


def test_the_other_channel_stays(smu: KeysightB29xx, panel: KeysightB29xxPanel, twin: Twin) -> None:
    smu.close()
    second = KeysightB29xx("second", twin.addresses["source"], 2, visalib=twin.visalib)
    prepare(second)
    second.output_on()
    second.set_level(0.7)
    assert second.read().voltage == pytest.approx(0.7)
    assert (panel.state["VOLT level"][1], panel.state["output"][1]) == (0.0, False)


def test_a_lost_connection_is_told(smu: KeysightB29xx) -> None:
    smu.visa_handle.close()
    with pytest.raises(CommunicationError, match="smu"):
        smu.read()
    with pytest.raises(CommunicationError):
        smu.set_level(0.1)


@pytest.mark.faults
def test_one_swapped_answer_never_makes_a_wrong_number(twin: Twin) -> None:
    clean: list[float] = []
    right, at = 0, 0
    for at in range(300):
        smu = KeysightB29xx(f"swapped{at}", twin.addresses["source"], visalib=twin.visalib, timeout=0.2)
        smu.log.setLevel("CRITICAL")
        panel = panel_of(smu, KeysightB29xxPanel)
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
                    found += [
                        (reading := smu.read()).voltage,
                        reading.voltage_range,
                        reading.current_range,
                        smu.level(),
                    ]
                panel.receive(b":VOLT 0.9")
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
    assert 30 < at < 299
    assert right > 5


TEXTS = st.text(max_size=40) | st.text("0123456789+-.eEinfaNy,;VOLTCUR", max_size=40) | st.floats().map(str)


@pytest.mark.faults
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
@given(
    answers=st.lists(TEXTS, max_size=8),
    action=st.sampled_from(("read", "level", "prepare", "output_enabled", "sources_current")),
)
def test_any_answer_is_a_number_or_an_error_of_ours(
    smu: KeysightB29xx, panel: KeysightB29xxPanel, answers: list[str], action: str
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
