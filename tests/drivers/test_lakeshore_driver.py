"""The fridge thermometer: a temperature or an error."""

from pathlib import Path

import pytest
from qcodes.station import Station

from drivers.errors import ReadingError, RejectedCommandError
from drivers.lakeshore_372 import LakeShore372
from drivers.roles import Thermometer
from labnis.station.role_check import missing_members
from sim_instruments import ADDRESSES, SHIPPED_TRUTH
from sim_instruments.visa import LabnisVisaLibrary


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
