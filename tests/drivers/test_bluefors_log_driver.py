"""The log folder of a Bluefors fridge: the newest complete line, if it is not old."""

import calendar
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from drivers.bluefors_log import BlueforsLog
from drivers.errors import CommunicationError, InstrumentError, ReadingError
from drivers.roles import Thermometer
from labnis.station import load_station, open_station
from labnis.station.role_check import missing_members
from sim_instruments.server.fridge_log import FridgeLog
from sim_instruments.visa import LabnisVisaLibrary
from tests.shipped_twin import shipped_twin  # noqa: F401  # a fixture


@pytest.fixture(autouse=True)
def _helsinki(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The local time of the tests: EET, with daylight saving time."""
    monkeypatch.setenv("TZ", "EET-2EEST,M3.5.0/3,M10.5.0/4")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def log(twin: LabnisVisaLibrary, tmp_path: Path) -> FridgeLog:
    found = FridgeLog(twin.world, tmp_path)
    found.write()
    return found


@pytest.fixture
def fridge(log: FridgeLog, monkeypatch: pytest.MonkeyPatch) -> BlueforsLog:
    monkeypatch.setattr("drivers.bluefors_log.PAUSE", 0.0)
    monkeypatch.setattr(BlueforsLog, "now", lambda _: log.now)
    return BlueforsLog("fridge", str(log.folder))


def at(log: FridgeLog, text: str) -> None:
    """Set the time at the fridge, in UTC."""
    wanted = time.strptime(text + " UTC", "%Y-%m-%d %H:%M:%S %Z")
    log.epoch = float(calendar.timegm(wanted)) - log.world.clock.time()


@pytest.mark.parametrize("old", [False, True], ids=["version 2.2", "with a blank before the date"])
def test_it_fills_the_role_and_reads_every_stage(
    fridge: BlueforsLog, log: FridgeLog, twin: LabnisVisaLibrary, old: bool
) -> None:
    log.old = old
    log.write()
    assert missing_members(fridge, Thermometer) == []
    truth = twin.truth.fridge
    assert fridge.temperature() == pytest.approx(truth.mixing_chamber_temperature, rel=0.02)
    for channel, stage in ((1, "fifty_kelvin"), (2, "four_kelvin"), (5, "still")):
        assert fridge.channel_temperature(channel) == pytest.approx(getattr(truth, f"{stage}_temperature"), rel=0.02)


def test_a_log_that_is_not_written_any_more_is_an_error_that_says_how_old_it_is(
    fridge: BlueforsLog, log: FridgeLog
) -> None:
    log.world.clock.sleep(179.0)
    fridge.temperature()
    log.world.clock.sleep(21.0)
    with pytest.raises(ReadingError, match=r"the newest line of CH6 T .* is 20\d s old; maximum_age is 180 s"):
        fridge.temperature()


def test_after_midnight_the_newest_line_is_that_of_yesterday(fridge: BlueforsLog, log: FridgeLog) -> None:
    at(log, "2026-12-01 21:59:30")  # 23:59:30 local
    log.append(6, "0.0215")
    log.world.clock.sleep(60.0)
    assert fridge.temperature() == 0.0215
    log.append(6, "0.0216")
    assert fridge.temperature() == 0.0216


def test_a_fridge_whose_clock_is_ahead_at_midnight_is_read(fridge: BlueforsLog, log: FridgeLog) -> None:
    at(log, "2026-12-01 22:00:02")
    log.append(6, "0.0217")
    fridge.now = lambda: log.now - 5.0
    assert fridge.temperature() == 0.0217


def test_a_line_that_is_being_written_is_not_used(fridge: BlueforsLog, log: FridgeLog) -> None:
    log.append(6, "0.0212")
    log.append(6, "0.02", end="")
    assert fridge.temperature() == 0.0212
    at(log, "2026-12-01 22:00:02")
    log.append(6, "0.0", end="")  # nothing complete today, and the line before is old
    with pytest.raises(ReadingError, match="no log of channel 6"):
        fridge.temperature()


@pytest.mark.parametrize("value", ["", "nan", "T_OVER", "0.02,0.03"])
def test_a_line_without_a_value_is_not_skipped(fridge: BlueforsLog, log: FridgeLog, value: str) -> None:
    log.append(6, value)
    with pytest.raises(ReadingError, match="has no temperature in its newest line"):
        fridge.temperature()


@pytest.mark.parametrize("value", ["0.0", "-1", "1e6", "inf"])
def test_what_is_no_temperature_is_refused(fridge: BlueforsLog, log: FridgeLog, value: str) -> None:
    log.append(6, value)
    with pytest.raises(ReadingError):
        fridge.temperature()


def test_zero_bytes_after_a_crash_are_named(fridge: BlueforsLog, log: FridgeLog) -> None:
    with log.file(6).open("ab") as file:
        file.write(b"\0" * 600 + b"\n")
    with pytest.raises(CommunicationError, match="ends with"):
        fridge.temperature()


def test_in_the_hour_that_is_repeated_the_change_of_the_file_decides(fridge: BlueforsLog, log: FridgeLog) -> None:
    """On 25 October 2026 the hour from 3:00 local time comes twice: at 0:00 UTC and at 1:00 UTC."""
    at(log, "2026-10-25 01:30:00")
    log.append(6, "0.021")
    os.utime(log.file(6), (log.now, log.now))
    assert fridge.temperature() == 0.021
    at(log, "2026-10-25 00:30:00")  # the same text, an hour before
    log.append(6, "0.022")
    os.utime(log.file(6), (log.now, log.now))
    assert fridge.temperature() == 0.022
    at(log, "2026-10-25 01:30:10")
    with pytest.raises(ReadingError, match="is 3610 s old"):
        fridge.temperature()


def test_a_fridge_in_another_time_zone_is_named(fridge: BlueforsLog, log: FridgeLog) -> None:
    fridge.now = lambda: log.now - 3600.0
    with pytest.raises(ReadingError, match=r"is 3600 s in the future\. Set the clocks and time zones"):
        fridge.temperature()


def test_a_file_that_is_locked_for_a_moment_is_read_again(
    fridge: BlueforsLog, log: FridgeLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = [PermissionError("in use"), PermissionError("in use")]
    honest = Path.open

    def refuse(path: Path, *arguments: str) -> object:
        if refusals:
            raise refusals.pop()
        return honest(path, *arguments)

    monkeypatch.setattr(Path, "open", refuse)
    assert fridge.temperature() > 0
    refusals.extend([PermissionError("in use")] * 3)
    with pytest.raises(CommunicationError, match="cannot be read: in use"):
        fridge.temperature()


def test_a_channel_that_is_not_logged_is_named(fridge: BlueforsLog) -> None:
    with pytest.raises(ReadingError, match="no log of channel 7"):
        fridge.channel_temperature(7)
    with pytest.raises(ReadingError, match="no channel 17"):
        fridge.channel_temperature(17)


def test_a_folder_with_a_blank_is_written_as_an_address(fridge: BlueforsLog, log: FridgeLog) -> None:
    folder = log.folder / "BF logs"
    log.folder = log.folder.rename(folder) if folder.exists() else folder
    folder.mkdir()
    log.write()
    other = BlueforsLog("other", f"file://{str(folder).replace(' ', '%20')}")
    assert other.temperature() > 0


def test_an_argument_that_cannot_be_used_is_named(log: FridgeLog) -> None:
    with pytest.raises(ValueError, match="absolute path"):
        BlueforsLog("fridge", "logs")
    with pytest.raises(ValueError, match="channels 1 to 16"):
        BlueforsLog("fridge", str(log.folder), channel=0)
    with pytest.raises(CommunicationError, match="no folder that can be read"):
        BlueforsLog("fridge", str(log.folder / "nowhere"))


def test_a_station_opens_it(fridge: BlueforsLog, log: FridgeLog) -> None:
    (log.folder / "station.yaml").write_text(
        "instruments:\n"
        "  keithley: {type: drivers.keithley_2450.Keithley2450, address: GPIB0::18::INSTR}\n"
        f"  logs: {{type: drivers.bluefors_log.BlueforsLog, address: {log.folder}, init: {{channel: 6}}}}\n"
        "labnis:\n"
        "  roles: {bias: keithley, fridge: logs}\n"
        "  wiring: {series_resistance: 2000.0}\n"
        "  limits: {maximum_bias: 6.0e-3, maximum_step: 0.1e-3, ramp_rate: 0.1, compliance: 5.0e-6}\n"
    )
    with open_station(load_station(log.folder / "station.yaml")) as station:
        station.open({"fridge"}, alone=True)
        assert station.roles.fridge.temperature() == fridge.temperature()


@pytest.mark.faults
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(end=st.binary(max_size=60) | st.text("0123456789-:,. \n", max_size=60).map(str.encode))
@example(end=b"")
@example(end=b"99-99-99,99:99:99,1\n")
@example(end=b"01-01-00,00:00:00,1\n")
def test_any_end_of_the_file_is_a_temperature_or_an_error_of_ours(
    fridge: BlueforsLog, log: FridgeLog, end: bytes
) -> None:
    log.file(6).write_bytes(b"01-01-26,00:00:00,0.02\n" + end)
    try:
        assert 1e-3 <= fridge.temperature() <= 420.0
    except InstrumentError as error:
        assert "fridge" in str(error)
