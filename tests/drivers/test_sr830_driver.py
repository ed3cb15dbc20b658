"""The lock-in: settings held, filter waited for, overloads refused."""

import math

import pytest

from drivers.errors import CommunicationError, OverloadError, ReadingError, RejectedCommandError, SettingError
from drivers.keithley_2450 import Keithley2450
from drivers.roles import LockIn
from drivers.sr830 import SR830
from labnis.station.role_check import missing_members
from sim_instruments import ADDRESSES
from sim_instruments.panels.sr830 import SR830Panel
from sim_instruments.visa import LabnisVisaLibrary
from tests.shipped_twin import VISALIB


def prepare(lockin: SR830, **changes: float) -> None:
    settings = {"amplitude": 0.1, "frequency": 77.7, "time_constant": 0.1, "sensitivity": 0.02, **changes}
    lockin.prepare(**settings)


def test_it_fills_the_role(lockin: SR830) -> None:
    assert missing_members(lockin, LockIn) == []


def test_prepare_is_held_by_the_instrument(lockin: SR830, twin: LabnisVisaLibrary) -> None:
    prepare(lockin)
    panel = twin.panels["lockin"]
    assert isinstance(panel, SR830Panel)
    assert panel.sensitivity == pytest.approx(0.02)
    assert panel.time_constant == pytest.approx(0.1)
    assert panel.state["FREQ"] == pytest.approx(77.7)
    assert panel.state["SLVL"] == pytest.approx(0.1)
    lockin.check_errors()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("amplitude", 0.001),
        ("amplitude", 6.0),
        ("amplitude", math.nan),
        ("time_constant", 0.2),
        ("sensitivity", 0.03),
        ("frequency", 2e5),
    ],
)
def test_values_the_instrument_does_not_have_are_refused(lockin: SR830, name: str, value: float) -> None:
    with pytest.raises(SettingError):
        prepare(lockin, **{name: value})


def test_after_the_settling_time_the_reading_is_final(
    lockin: SR830, smu: Keithley2450, twin: LabnisVisaLibrary
) -> None:
    prepare(lockin)
    twin.clock.sleep(10)
    smu.set_level(2e-3)
    smu.output_on()
    twin.clock.sleep(lockin.settling_time())
    settled = lockin.read()
    twin.clock.sleep(100)
    assert settled.real == pytest.approx(lockin.read().real, rel=3e-3)  # 0.1 %, and the noise of two readings


def test_half_the_settling_time_is_not_enough(lockin: SR830, smu: Keithley2450, twin: LabnisVisaLibrary) -> None:
    prepare(lockin)
    twin.clock.sleep(10)
    smu.set_level(2e-3)
    smu.output_on()
    twin.clock.sleep(lockin.settling_time() / 3)
    early = lockin.read()
    twin.clock.sleep(100)
    assert abs(early - lockin.read()) > 0.05 * abs(lockin.read())


def test_an_overload_is_an_error_not_data(lockin: SR830, smu: Keithley2450, twin: LabnisVisaLibrary) -> None:
    prepare(lockin, sensitivity=1e-3)
    smu.set_level(2e-3)
    smu.output_on()
    twin.clock.sleep(5)
    with pytest.raises(OverloadError, match="output overload"):
        lockin.read()


def test_an_overload_that_has_passed_does_not_spoil_the_next_reading(
    lockin: SR830, smu: Keithley2450, twin: LabnisVisaLibrary
) -> None:
    prepare(lockin, sensitivity=1e-3)
    smu.set_level(2e-3)
    smu.output_on()
    twin.clock.sleep(5)
    lockin.ask("OUTP?1")  # somebody looks: the overload bit latches
    smu.set_level(0.0)
    twin.clock.sleep(5)
    assert abs(lockin.read()) < 1e-3


def test_an_unlocked_reference_is_an_error(lockin: SR830) -> None:
    prepare(lockin)
    lockin.write("FMOD 0")
    with pytest.raises(ReadingError, match="not locked"):
        lockin.read()


def test_auxiliary_input_reads_and_refuses_its_end(lockin: SR830, smu: Keithley2450, twin: LabnisVisaLibrary) -> None:
    smu.set_level(1e-2)
    smu.output_on()
    twin.clock.sleep(1)
    expected = float(twin.world.device_state(1e-2).current) * 1e7
    assert lockin.read_auxiliary(1) == pytest.approx(expected, abs=2e-3)
    smu.set_level(0.05)
    twin.clock.sleep(1)
    with pytest.raises(OverloadError):
        lockin.read_auxiliary(1)
    with pytest.raises(SettingError):
        lockin.read_auxiliary(5)


def test_quiet_is_the_smallest_sine(lockin: SR830) -> None:
    prepare(lockin)
    assert lockin.quiet() == pytest.approx(0.004)


def test_a_rejected_command_is_reported(lockin: SR830) -> None:
    lockin.discard_errors()
    lockin.write("SENS 99")
    with pytest.raises(RejectedCommandError, match="SENS 99"):
        lockin.check_errors()


#: What somebody may leave behind, each with X and Y that are none of the device's.
LEFT_BEHIND = (
    "ILIN 3",  # notches on both sides of the frequency
    "ISRC 2",  # current input: the numbers are in A
    "ISRC 1",
    "ICPL 1",
    "SYNC 1",
    "HARM 2",
    "FMOD 0",
    "PHAS 90",
    "OFSL 0",
    "OEXP 1,50,2;OEXP 2,-50,1;OEXP 3,10,2",
    "DDEF 1,1,1;DDEF 2,3,2",
    "RMOD 0",
    "SRAT 13;SEND 1;STRT",  # a buffer that stores
    "OUTX 1;FAST 2",
)


@pytest.fixture
def panel(twin: LabnisVisaLibrary) -> SR830Panel:
    found = twin.panels["lockin"]
    assert isinstance(found, SR830Panel)
    return found


@pytest.mark.parametrize("left", LEFT_BEHIND)
def test_nothing_that_was_left_behind_changes_a_reading(
    lockin: SR830, panel: SR830Panel, twin: LabnisVisaLibrary, left: str
) -> None:
    twin.world.set_source(level=2e-3, output=True, current_limit=1e-3)
    panel.receive(left.encode())
    prepare(lockin)
    twin.clock.sleep(10)
    assert lockin.read() == pytest.approx(twin.world.lockin_input(0.0), rel=5e-3)
    offsets = {quantity: panel.state["OEXP"][quantity] for quantity in (1, 2, 3)}
    assert set(offsets.values()) == {(0.0, 0)}


def test_line_filters_would_turn_the_signal(lockin: SR830, panel: SR830Panel, twin: LabnisVisaLibrary) -> None:
    twin.world.set_source(level=2e-3, output=True, current_limit=1e-3)
    prepare(lockin)
    panel.receive(b"ILIN 3")
    twin.clock.sleep(10)
    assert abs(lockin.read() - twin.world.lockin_input(0.0)) > 0.2 * abs(twin.world.lockin_input(0.0))


def test_coupling_is_direct_only_where_it_would_attenuate(lockin: SR830, panel: SR830Panel) -> None:
    prepare(lockin, frequency=0.5, time_constant=10.0)
    assert panel.state["ICPL"] == 1
    prepare(lockin)
    assert panel.state["ICPL"] == 0


def test_inputs_may_be_a_difference(twin: LabnisVisaLibrary, panel: SR830Panel) -> None:
    prepare(SR830("difference", ADDRESSES["lockin"], differential=True, visalib=VISALIB))
    assert panel.state["ISRC"] == 1


def test_a_time_constant_that_changes_by_itself_is_found(
    lockin: SR830, panel: SR830Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A sensitivity with more gain behind the filter has a longer smallest time constant.
    honest = panel.setting_changed
    monkeypatch.setattr(
        panel, "setting_changed", lambda name: (honest(name), panel.state.update(OFLT=9) if name == "SENS" else None)
    )
    with pytest.raises(SettingError, match=r"OFLT\? reads 9 where 8 was requested"):
        prepare(lockin)


def test_a_setting_that_is_ignored_is_found(lockin: SR830, panel: SR830Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = panel.change_setting
    panel.receive(b"ILIN 1")
    monkeypatch.setattr(
        panel, "change_setting", lambda setting, call: None if setting.name == "ILIN" else honest(setting, call)
    )
    with pytest.raises(SettingError, match=r"ILIN\? reads 1 where 0 was requested"):
        prepare(lockin)


@pytest.mark.parametrize("change", [b"PHAS 90", b"HARM 2", b"ISRC 2", b"OFLT 12", b"OFSL 0", b"SLVL 0.2"])
def test_a_change_by_another_program_is_found_beside_a_reading(lockin: SR830, panel: SR830Panel, change: bytes) -> None:
    prepare(lockin)
    lockin.read()
    panel.receive(change)
    with pytest.raises(SettingError, match=rf"{change[:4].decode()}\? reads .* was confirmed"):
        lockin.read()


def test_a_harmonic_that_was_left_is_told_without_changing_it(lockin: SR830, panel: SR830Panel) -> None:
    assert lockin.set_otherwise("V") == []
    panel.receive(b"HARM 2;ISRC 1")
    assert lockin.set_otherwise("V") == ["HARM? reads 2, not 1", "ISRC? reads 1, not 0"]


def test_a_reset_in_mid_run_is_found(lockin: SR830, panel: SR830Panel) -> None:
    prepare(lockin)
    lockin.read()
    panel.receive(b"*RST")  # by another program: no power-on bit
    with pytest.raises(SettingError, match=r"OFSL\? reads 1; 3 was confirmed"):
        lockin.read()
    prepare(lockin)
    panel.receive(b"FREQ 1000")
    with pytest.raises(SettingError, match=r"FREQ\? reads 1000; 77.7 was confirmed"):
        lockin.read()


def test_a_power_cycle_is_found_even_if_the_status_was_read_between(lockin: SR830, panel: SR830Panel) -> None:
    prepare(lockin)
    panel.switch_on()
    lockin.check_errors()
    with pytest.raises(SettingError, match="switched off and on"):
        lockin.read()


def test_a_key_at_the_front_panel_is_no_error_unless_a_setting_is_another(lockin: SR830, panel: SR830Panel) -> None:
    prepare(lockin)
    panel.event_status |= 64
    lockin.read()
    panel.receive(b"OFLT 10")
    panel.event_status |= 64
    with pytest.raises(SettingError, match=r"OFLT\? reads 10; 8 was confirmed"):
        lockin.read()


def test_a_lost_connection_is_told(lockin: SR830, panel: SR830Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(lockin)
    lockin.visa_handle.timeout = 50
    monkeypatch.setattr(panel, "execute", lambda message: [])
    with pytest.raises(CommunicationError, match="lockin"):
        lockin.read()
