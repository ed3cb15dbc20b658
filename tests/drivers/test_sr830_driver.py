"""The lock-in: settings held, filter waited for, overloads refused."""

import math

import pytest

from drivers.errors import OverloadError, ReadingError, RejectedCommandError, SettingError
from drivers.keithley_2450 import Keithley2450
from drivers.roles import LockIn
from drivers.sr830 import SR830
from labnis.station.role_check import missing_members
from sim_instruments.panels.sr830 import SR830Panel
from sim_instruments.visa import LabnisVisaLibrary


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
