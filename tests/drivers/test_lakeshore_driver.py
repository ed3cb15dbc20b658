"""The fridge thermometer: a temperature or an error."""

from pathlib import Path

import pytest
import qcodes.instrument.sims
from qcodes.station import Station

from drivers.errors import CommunicationError, ReadingError, RejectedCommandError, SettingError
from drivers.lakeshore_372 import LakeShore372
from drivers.roles import Thermometer
from drivers.stage_heater import StageHeater
from labnis.station.role_check import missing_members
from sim_instruments import ADDRESSES, SHIPPED_TRUTH
from sim_instruments.visa import LabnisVisaLibrary
from tests.served_panel import served


def test_it_fills_the_role_and_reads_the_mixing_chamber(thermometer: LakeShore372, twin: LabnisVisaLibrary) -> None:
    assert missing_members(thermometer, Thermometer) == []
    assert thermometer.temperature() == pytest.approx(twin.truth.fridge.mixing_chamber_temperature, rel=0.02)


def test_a_sensor_without_valid_reading_is_an_error(thermometer: LakeShore372) -> None:
    with pytest.raises(ReadingError, match=r"input 7 has no valid reading: R\. OVER"):
        thermometer.channel_temperature(7)


def test_zero_kelvin_is_an_error(
    thermometer: LakeShore372, twin: LabnisVisaLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twin.world, "temperature", lambda stage: 0.0)
    with pytest.raises(ReadingError, match="not a temperature"):
        thermometer.temperature()


def test_a_rejected_command_is_reported(thermometer: LakeShore372) -> None:
    thermometer.discard_errors()
    thermometer.write("RANGE 0, 99")
    with pytest.raises(RejectedCommandError, match="RANGE 0, 99"):
        thermometer.check_errors()


@pytest.mark.parametrize("channel", [0, 17, 1.5])
def test_an_input_that_does_not_exist_is_refused(twin: LabnisVisaLibrary, channel: int) -> None:
    with pytest.raises(ValueError, match="inputs 1 to 16"):
        LakeShore372("bridge", ADDRESSES["fridge"], channel=channel, visalib=f"{SHIPPED_TRUTH}@labnis")


def test_a_qcodes_station_builds_it(twin: LabnisVisaLibrary, tmp_path: Path) -> None:
    file = tmp_path / "station.yaml"
    file.write_text(
        "instruments:\n"
        "  fridge:\n"
        "    type: drivers.lakeshore_372.LakeShore372\n"
        f"    address: {ADDRESSES['fridge']}\n"
        "    init:\n"
        "      channel: 2\n"
        f"      visalib: {SHIPPED_TRUTH}@labnis\n"
    )
    station = Station(config_file=str(file))
    bridge = station.load_instrument("fridge")
    assert isinstance(bridge, LakeShore372)
    assert bridge.temperature() == pytest.approx(twin.truth.fridge.still_temperature, rel=0.02)


def sent(bridge: LakeShore372, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What `bridge` sends from now on, without what only tells answers apart."""
    messages: list[str] = []
    write = bridge.visa_handle.write

    def noted(text: str, *rest: object) -> object:
        messages.append(text)
        return write(text, *rest)

    monkeypatch.setattr(bridge.visa_handle, "write", noted)
    return messages


def test_it_fills_the_role_of_the_stage(thermometer: LakeShore372) -> None:
    assert missing_members(thermometer, StageHeater) == []


def test_the_loop_is_closed_in_the_largest_range_that_the_power_allows(
    thermometer: LakeShore372, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = sent(thermometer, monkeypatch)
    thermometer.prepare(maximum_power=10e-3, heater_resistance=100.0)
    assert messages == ["RANGE 0,0", "RANGE? 0", "OUTMODE 0,5,1,0,0,0,5", "OUTMODE? 0", "INTYPE? 1", "RAMP? 0"]
    assert not thermometer.output_enabled()
    messages.clear()
    thermometer.output_on()
    assert messages[-3].startswith("SETP 0,")
    assert messages[-2:] == ["RANGE 0,6", "RANGE? 0"]  # 10 mA in 100 ohm
    assert thermometer.level() == pytest.approx(thermometer.temperature(), rel=0.02)
    messages.clear()
    thermometer.set_level(0.23)
    thermometer.output_off()
    assert messages == ["SETP 0,0.23", "RANGE 0,0", "RANGE? 0"]


def test_a_heater_whose_power_is_not_bounded_is_not_switched_on(thermometer: LakeShore372) -> None:
    with pytest.raises(SettingError, match=r"in 100 ohm, gives up to 9.99e-08 W, more than maximum_power \(5e-08 W\)"):
        thermometer.prepare(maximum_power=5e-8, heater_resistance=100.0)
    with pytest.raises(SettingError, match="range of its heater is not known"):
        thermometer.output_on()
    assert not thermometer.output_enabled()


def test_a_heater_does_not_go_on_without_a_valid_sensor(thermometer: LakeShore372) -> None:
    thermometer.prepare(maximum_power=10e-3, heater_resistance=100.0)
    thermometer.write("INSET 1,0,10,3,21,1")
    with pytest.raises(ReadingError, match="input 1 has no valid reading"):
        thermometer.output_on()
    assert not thermometer.output_enabled()


@pytest.mark.parametrize("kelvin", [0.0, -0.1, float("nan"), 1e3])
def test_a_setpoint_that_is_no_temperature_is_not_sent(thermometer: LakeShore372, kelvin: float) -> None:
    with pytest.raises(SettingError, match=r"0\.001 to 420 K are possible"):
        thermometer.set_level(kelvin)
    assert thermometer.level() == 0.0


# --- scanner ---------------------------------------------------------------------------------------------------------


def test_an_input_at_which_the_scanner_does_not_stand_is_refused(
    thermometer: LakeShore372, twin: LabnisVisaLibrary
) -> None:
    """Its reading is old, with a good status: QCoDeS's driver returns it."""
    thermometer.write("SCAN 2,0")
    before = thermometer.ch01.temperature()
    twin.world.heat_stage(10e-3)
    twin.clock.sleep(3600.0)
    assert thermometer.ch01.temperature() == before
    with pytest.raises(ReadingError, match=r"input 1 is not measured.*the scanner stands at input 2 .SCAN. 02,0"):
        thermometer.temperature()
    assert thermometer.channel_temperature(2) == pytest.approx(twin.truth.fridge.still_temperature, rel=0.02)
    thermometer.write("SCAN 2,1")
    assert thermometer.temperature() > 2 * before


def test_a_scan_that_lasts_longer_than_a_reading_may_be_old_is_refused(twin: LabnisVisaLibrary) -> None:
    bridge = LakeShore372("bridge", ADDRESSES["fridge"], maximum_age=51.0, visalib=f"{SHIPPED_TRUTH}@labnis")
    with pytest.raises(ReadingError, match=r"a scan of all enabled inputs lasts 52 s.*maximum_age is 51 s"):
        bridge.temperature()  # four inputs of 10 s and 3 s
    bridge.write("SCAN 1,0")
    assert bridge.temperature() > 0
    patient = LakeShore372("patient", ADDRESSES["fridge"], maximum_age=52.0, visalib=f"{SHIPPED_TRUTH}@labnis")
    patient.write("SCAN 1,1")
    assert patient.temperature() > 0


def test_a_setpoint_in_ohms_is_refused(thermometer: LakeShore372) -> None:
    thermometer.write("INTYPE 1,0,2,1,14,0,2")
    with pytest.raises(SettingError, match=r"the unit of input 1 is not kelvin .INTYPE. 1: 2"):
        thermometer.prepare(maximum_power=10e-3, heater_resistance=100.0)
    assert not thermometer.output_enabled()


def test_a_ramp_that_was_left_on_is_switched_off(thermometer: LakeShore372) -> None:
    thermometer.write("RAMP 0,1,0.2")
    thermometer.prepare(maximum_power=10e-3, heater_resistance=100.0)
    assert thermometer.ask("RAMP? 0") == "0,+0.2000"


# --- a gap of the network --------------------------------------------------------------------------------------------


def test_a_connection_that_was_lost_is_opened_again(twin: LabnisVisaLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.line.RECONNECTED_WITHIN", 0.3)
    panel = twin.panels["fridge"]
    with served(panel) as port:
        bridge = LakeShore372("remote", f"TCPIP0::127.0.0.1::{port}::SOCKET", visalib="@py", timeout=0.3)
        assert bridge.temperature() > 0
    with pytest.raises(CommunicationError, match="does not answer"):
        bridge.temperature()
    with served(panel, port):
        assert bridge.temperature() > 0
        assert bridge.visa_handle.timeout == 300.0
    monkeypatch.setattr(panel, "identification", "LSCI,MODEL372,TWIN0099,1.3")
    with served(panel, port), pytest.raises(CommunicationError, match="does not answer"):
        bridge.temperature()
    bridge.close()


# --- the simulation that QCoDeS ships --------------------------------------------------------------------------------


def test_the_simulation_of_qcodes_has_an_identity_and_no_scanner() -> None:
    path = Path(qcodes.instrument.sims.__file__).with_name("lakeshore_model372.yaml")
    bridge = LakeShore372("shipped", "GPIB::3::INSTR", visalib=f"{path}@sim", timeout=0.1)
    assert bridge.get_idn()["model"] == "m0d3l"
    assert bridge.ch01.temperature() == 4.0
    with pytest.raises(CommunicationError, match="SCAN"):
        bridge.temperature()
    bridge.close()
