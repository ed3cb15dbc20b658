"""The QDAC-II as bias source: right levels and currents, and an error wherever a setting would be another one."""

import math
from collections.abc import Iterator

import pytest
import qcodes_contrib_drivers.sims as contrib_sims
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.errors import CommunicationError, InstrumentError, OverloadError, SettingError
from drivers.protection import CoarselyLimited
from drivers.qdac2 import QDac2
from drivers.qdac2_channel import QDac2Channel
from drivers.roles import BiasSource
from labnis.station.role_check import missing_members
from sim_instruments import Twin
from sim_instruments.panels.qdac2 import QDac2Panel
from tests.drivers.test_swapped_answers import Behind
from tests.single_instrument_twin import panel_of, source_twin


@pytest.fixture(name="twin")
def qdac_twin() -> Iterator[Twin]:
    with source_twin("QDac2", "ch05") as found:
        yield found


@pytest.fixture
def qdac(twin: Twin) -> QDac2:
    return QDac2("qdac", twin.addresses["source"], visalib=twin.visalib, timeout=1)


@pytest.fixture
def source(qdac: QDac2) -> QDac2Channel:
    found = qdac.ch05
    assert isinstance(found, QDac2Channel)
    return found


@pytest.fixture
def panel(qdac: QDac2) -> QDac2Panel:
    return panel_of(qdac, QDac2Panel)


def prepare(source: QDac2Channel, maximum: float = 1.0, current: float = 1e-7, time: float = 0.04) -> None:
    source.prepare(maximum_voltage=maximum, maximum_current=current, compliance=1e-6, integration_time=time)


def test_it_fills_the_role(source: QDac2Channel) -> None:
    assert missing_members(source, BiasSource) == []
    assert missing_members(source, CoarselyLimited) == []
    assert source.smallest_compliance == math.inf


def test_readings_are_those_of_the_world(source: QDac2Channel, panel: QDac2Panel) -> None:
    prepare(source)
    world = panel.world
    for level in (0.0, 0.3, -0.8):
        source.set_level(level)
        reading = source.read()
        assert reading.voltage == source.level() == level
        assert reading.current == pytest.approx(world.source_state(0.04).current, abs=2e-11, rel=0.05)
        assert (reading.voltage_range, reading.current_range) == (2.0, 150e-9)
        assert world.source.level == pytest.approx(level, abs=1e-6)


@pytest.mark.parametrize(
    ("maximum", "current", "expected"), [(2.0, 140e-9, ("LOW", "LOW")), (2.1, 1e-6, ("HIGH", "HIGH"))]
)
def test_ranges(
    source: QDac2Channel, panel: QDac2Panel, maximum: float, current: float, expected: tuple[str, str]
) -> None:
    prepare(source, maximum, current)
    assert (panel.state["range"][5], panel.state["current range"][5]) == expected
    assert panel.state["filter"][5] == "MED"
    assert panel.state["range"][6] == "HIGH"  # of another channel


def test_a_long_integration_is_an_average(source: QDac2Channel, panel: QDac2Panel, twin: Twin) -> None:
    prepare(source, time=2.5)
    assert (panel.state["readings"][5], panel.state["aperture"][5]) == (3, pytest.approx(2.5 / 3))
    before = twin.clock.time()
    source.read()
    assert twin.clock.time() - before == pytest.approx(2.5, abs=0.1)


@pytest.mark.parametrize(("maximum", "current", "time"), [(10.5, 1e-7, 0.1), (1.0, 11e-3, 0.1), (1.0, 1e-7, 1e-5)])
def test_what_it_cannot_do_is_refused(source: QDac2Channel, maximum: float, current: float, time: float) -> None:
    with pytest.raises(SettingError, match=r"beyond|not possible"):
        prepare(source, maximum, current, time)


def test_the_end_of_the_low_range_is_no_current(
    source: QDac2Channel, panel: QDac2Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(source, 2.0)
    monkeypatch.setattr(panel, "_current", lambda channel: 150e-9)
    source.set_level(1.9)
    with pytest.raises(OverloadError, match=r"current is 1\.5e-07 A in the range LOW"):
        source.read()


def test_ranges_and_filter_are_switched_at_zero_only(source: QDac2Channel, panel: QDac2Panel) -> None:
    prepare(source)
    source.set_level(0.5)
    prepare(source, 0.5)
    assert source.level() == 0.5
    with pytest.raises(SettingError, match=r"SOUR5:RANG LOW at 0\.5 V; HIGH is needed.*labnis safe"):
        prepare(source, 5.0)
    with pytest.raises(SettingError, match="SENS5:RANG LOW"):
        prepare(source, 0.5, 1e-3)
    panel.state["filter"][5] = "DC"
    with pytest.raises(SettingError, match="SOUR5:FILT DC"):
        prepare(source, 0.5)
    source.set_level(0.0)
    prepare(source, 5.0, 1e-3)
    source.set_level(4.0)
    prepare(source, 0.5)  # the wider ranges stay
    assert panel.state["range"][5] == panel.state["current range"][5] == "HIGH"


@pytest.mark.parametrize(
    "left",
    [
        b"sour5:volt:slew 0.5",
        b"sour5:dc:del 3",
        b"sour5:dc:trig:sour hold",
        b"sens5:del 2",
        b"sens5:coun 7",
        b"sour5:sine:init",
        b"sour5:volt:mode list",
        b"sour5:volt:mode sweep",
        b"NONSENSE",
    ],
)
def test_what_somebody_left_is_put_right(source: QDac2Channel, panel: QDac2Panel, left: bytes, twin: Twin) -> None:
    panel.receive(left)
    prepare(source)
    assert not panel.waveforms
    source.set_level(0.5)
    before = twin.clock.time()
    reading = source.read()
    assert reading.voltage == 0.5
    assert twin.clock.time() - before < 0.2


def test_a_level_on_its_way_is_not_hurried(source: QDac2Channel, panel: QDac2Panel) -> None:
    panel.receive(b"sour5:volt:slew 0.1")
    panel.receive(b"sour5:volt 1")
    with pytest.raises(SettingError, match="on its way to 1 V"):
        prepare(source)
    assert panel.present[5] < 0.1


def test_a_list_at_a_level_is_refused_and_ends_without_a_jump(
    source: QDac2Channel, panel: QDac2Panel, twin: Twin
) -> None:
    panel.receive(b"sour5:volt 0.9")
    panel.receive(b"sour5:volt:mode list")
    panel.receive(b"sour5:list:volt 0.1,0.2,0.3,0.4")
    panel.receive(b"sour5:list:dwel 1")
    panel.receive(b"sour5:dc:init")
    twin.clock.sleep(1.5)
    with pytest.raises(SettingError, match=r"mode LIST at 0\.2 V"):
        prepare(source)
    source.set_level(0.19)  # as the ramp to 0 does, without a preparation
    twin.clock.sleep(5.0)
    assert panel.state["mode"][5] == "FIX"
    assert source.level() == 0.19


def test_without_a_preparation_waveforms_end_and_levels_are_not_late(
    source: QDac2Channel, panel: QDac2Panel, twin: Twin
) -> None:
    for left in (b"sour5:sine:init", b"sour5:volt 0.3", b"sour5:volt:slew 0.02"):
        panel.receive(left)
    twin.clock.sleep(1.0)
    source.set_level(0.2)  # as the ramp to 0 does after another program
    assert not panel.waveforms
    assert source.level() == 0.2


def test_without_a_preparation_a_level_on_its_way_does_not_jump(source: QDac2Channel, panel: QDac2Panel) -> None:
    for left in (b"sour5:volt:slew 0.02", b"sour5:volt 0.3"):
        panel.receive(left)
    source.set_level(0.25)
    assert panel.present[5] < 0.01


def test_an_output_without_a_switch_is_off_where_it_was_left_at_zero(source: QDac2Channel) -> None:
    assert source.output_enabled()
    source.output_off()
    assert not source.output_enabled()
    source.output_on()
    source.set_level(0.1)
    with pytest.raises(SettingError, match=r"has no output switch, and its level is 0\.1 V"):
        source.output_off()
    assert source.output_enabled()


def test_a_refused_level_is_told(source: QDac2Channel, panel: QDac2Panel) -> None:
    prepare(source, 5.0, 1e-3)
    panel.receive(b"sour5:rang low")
    with pytest.raises(SettingError, match=r"has the level 0 V where 3 V was written; it reports -222"):
        source.set_level(3.0)
    with pytest.raises(SettingError, match=r"SOUR5:RANG\? reads LOW; HIGH was prepared"):
        source.read()
    with pytest.raises(SettingError, match="nothing was sent"):
        source.set_level(math.nan)


def test_a_reset_in_mid_run_is_found(source: QDac2Channel, panel: QDac2Panel) -> None:
    prepare(source)
    panel.reset()
    with pytest.raises(SettingError, match=r"reads HIGH; LOW was prepared"):
        source.read()


def test_a_setting_that_is_ignored_is_found(
    source: QDac2Channel, panel: QDac2Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = panel.execute
    ignored = (":SENS5:APER ", ":SOUR5:VOLT:SLEW ", ":SENS5:RANG ")
    for one in ignored:
        panel.reset()
        panel.receive(b"sour5:volt:slew 1")
        with monkeypatch.context() as patch:
            patch.setattr(panel, "execute", lambda message, one=one: [] if message.startswith(one) else honest(message))
            with pytest.raises(SettingError):
                prepare(source, time=0.07)


def test_a_list_is_checked_against_the_range(qdac: QDac2, source: QDac2Channel, panel: QDac2Panel) -> None:
    prepare(source)
    with pytest.raises(SettingError, match=r"a list with 5 V was requested in the range LOW, which is ±2 V"):
        qdac.ch05.dc_list([0.1, 5.0])
    assert panel.lists[5] == []
    qdac.ch06.dc_list([0.1, 5.0])
    assert panel.lists[6] == [0.1, 5.0]


def test_other_channels_are_parameters(qdac: QDac2, source: QDac2Channel, panel: QDac2Panel) -> None:
    prepare(source)
    qdac.ch06.dc_constant_V(1.5)
    assert panel.present[6] == pytest.approx(1.5, abs=1e-5)
    assert source.level() == 0.0


def test_two_channels_have_their_own_ranges(qdac: QDac2, source: QDac2Channel) -> None:
    prepare(source)
    qdac.ch07.prepare(maximum_voltage=5.0, maximum_current=1e-3, compliance=1.0, integration_time=0.04)
    assert source.read().voltage_range == 2.0
    assert qdac.ch07.read().voltage_range == 10.0


@pytest.mark.parametrize(("found", "problem"), [("7-0.9.26", "0.17.5 or newer is needed"), ("odd", "0.17.5 or newer")])
def test_old_firmware_is_refused(twin: Twin, monkeypatch: pytest.MonkeyPatch, found: str, problem: str) -> None:
    monkeypatch.setattr(QDac2Panel, "identification", f"QDevil, QDAC-II, 1, {found}")
    with pytest.raises(SettingError, match=problem):
        QDac2("old", twin.addresses["source"], visalib=twin.visalib)


def test_another_model_is_refused(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QDac2Panel, "identification", "QDevil, QDAC, 1, 1-1.07")
    with pytest.raises(SettingError, match="a QDAC-II is needed"):
        QDac2("other", twin.addresses["source"], visalib=twin.visalib)
    with pytest.raises(SettingError, match="no filter 'low'"):
        QDac2("filtered", twin.addresses["source"], "low", visalib=twin.visalib)


def test_a_lost_connection_is_opened_again(qdac: QDac2, source: QDac2Channel) -> None:
    prepare(source)
    qdac.visa_handle.close()
    assert source.read().voltage == 0.0
    assert qdac.reconnections == 1
    source.set_level(0.1)
    assert source.level() == pytest.approx(0.1, abs=1e-5)


def test_the_simulation_of_contrib_ends_in_an_error_and_not_in_a_number() -> None:
    # It has no limits of the ranges (0 V), no `read1?`, and answers one query per message only.
    library = contrib_sims.__file__.replace("__init__.py", "QDAC2.yaml@sim")
    qdac = QDac2("simulated", "GPIB::1::INSTR", visalib=library, timeout=0.2)
    try:
        assert qdac.IDN()["firmware"] == "11-1.14"
        assert qdac.ch01.dc_constant_V() == 0.0
        with pytest.raises(CommunicationError):
            prepare(qdac.ch01)
        with pytest.raises(InstrumentError):
            qdac.ch01.read()
        with pytest.raises(CommunicationError):
            qdac.ch01.set_level(0.1)
    finally:
        qdac.close()


def session(source: QDac2Channel, panel: QDac2Panel) -> list[float]:
    """Two preparations, readings at three levels, and a level that changes while the client only reads."""
    found: list[float] = []
    prepare(source, 1.0)
    for level in (0.0, 0.5, -0.7):
        source.set_level(level)
        found += [(reading := source.read()).voltage, reading.voltage_range, source.level()]
    panel.receive(b"sour5:volt -0.8")
    found += [source.level(), source.read().voltage]
    source.set_level(0.0)
    prepare(source, 5.0, 1e-3)
    return [*found, source.read().voltage_range, float(source.output_enabled())]


@pytest.mark.faults
def test_one_swapped_answer_never_makes_a_wrong_number(qdac: QDac2, source: QDac2Channel, panel: QDac2Panel) -> None:
    qdac.log.setLevel("CRITICAL")
    clean: list[float] = []
    right, at = 0, 0
    for at in range(200):
        panel.switch_on()
        source._fixed, source._ranges, source._left, qdac._in_step, qdac._last_answer = False, ("", ""), False, True, ""
        behind = Behind(panel, at or None)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(panel, "execute", behind.execute)
            try:
                found = session(source, panel)
            except InstrumentError as error:
                assert "qdac" in str(error)
                found = []
        clean = clean or found
        assert not found or found == pytest.approx(clean, abs=1e-9), behind.asked
        right += bool(found)
        if at and not behind.asked:
            break
    assert 30 < at < 199
    assert right > 5


TEXTS = st.text(max_size=40) | st.text("0123456789+-.eEinfaNy,;LOWHIGHFIX", max_size=40) | st.floats().map(str)


@pytest.mark.faults
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
@given(answers=st.lists(TEXTS, max_size=8), action=st.sampled_from(("read", "level", "prepare", "output_enabled")))
def test_any_answer_is_a_number_or_an_error_of_ours(
    source: QDac2Channel, panel: QDac2Panel, answers: list[str], action: str
) -> None:
    source._dac.log.setLevel("ERROR")
    source._ranges, source._readings, source._seconds, source._dac._in_step = ("LOW", "LOW"), 1, 0.04, True
    source._left = True
    left = [answer.encode("utf-8", "replace") for answer in answers]
    panel.drain()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panel, "execute", lambda _: [left.pop()] if left else [])
        try:
            found = prepare(source) if action == "prepare" else getattr(source, action)()
        except InstrumentError as error:
            assert "qdac" in str(error)
        else:
            assert found is None or math.isfinite(getattr(found, "voltage", found))
