"""Bluefors Control Software as a thermometer: a temperature that is not old, or an error that says what is wrong."""

import json
import logging
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from drivers.bluefors_control import BlueforsControl
from drivers.errors import CommunicationError, InstrumentError, ReadingError
from drivers.roles import Thermometer
from labnis.station import load_station, open_station
from labnis.station.role_check import missing_members
from labnis.station.simulated import simulated_instruments
from sim_instruments import SHIPPED_TRUTH, open_twin
from sim_instruments.server.fridge_web import BlueforsWeb
from sim_instruments.server.web import EPOCH
from sim_instruments.visa import LabnisVisaLibrary
from tests.shipped_twin import shipped_twin  # noqa: F401  # a fixture

CERTIFICATE = Path(__file__).parents[1] / "data" / "self_signed.pem"
FINGERPRINT = "C5:A3:8F:95:1F:F7:03:00:C9:43:91:A3:F8:DD:6C:65:C9:A9:9D:14:5E:D3:9A:6D:68:6A:C5:51:A8:A8:A1:B1"
KEY = "5f1c-canary-77"


@pytest.fixture
def web(twin: LabnisVisaLibrary) -> Iterator[BlueforsWeb]:
    with BlueforsWeb(twin.world).running() as found:
        yield found


@pytest.fixture
def secure(twin: LabnisVisaLibrary) -> Iterator[BlueforsWeb]:
    with BlueforsWeb(twin.world, certificate=CERTIFICATE).running() as found:
        yield found


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.web_line.PAUSE", 0.0)


@pytest.fixture
def fridge(web: BlueforsWeb) -> BlueforsControl:
    return BlueforsControl("fridge", web.address)


def test_it_fills_the_role_and_reads_every_stage(fridge: BlueforsControl, twin: LabnisVisaLibrary) -> None:
    assert missing_members(fridge, Thermometer) == []
    truth = twin.truth.fridge
    assert fridge.temperature() == pytest.approx(truth.mixing_chamber_temperature, rel=0.02)
    assert fridge.channel_temperature("tstill") == pytest.approx(truth.still_temperature, rel=0.02)
    assert fridge.channel_temperature("mapper.bf.temperatures.t4k") == pytest.approx(
        truth.four_kelvin_temperature, rel=0.02
    )
    assert fridge.get_idn() == {"vendor": "Bluefors", "model": "LD400", "serial": "TWIN-LD400", "firmware": "2.6.1"}


def test_the_older_tree_is_found_and_remembered(twin: LabnisVisaLibrary) -> None:
    with BlueforsWeb(twin.world, branch="mapper.bflegacy.double").running() as web:
        fridge = BlueforsControl("fridge", web.address)
        assert fridge.temperature() == pytest.approx(twin.truth.fridge.mixing_chamber_temperature, rel=0.02)
        web.requests.clear()
        fridge.temperature()
        assert [path.partition("?")[0] for path in web.requests] == ["/values/mapper/bflegacy/double/tmixing/"]


def test_a_value_that_is_not_there_is_named(fridge: BlueforsControl) -> None:
    with pytest.raises(ReadingError, match=r"has no value mapper\.bf\.temperatures\.tfse or mapper\.bflegacy"):
        fridge.channel_temperature("tfse")
    with pytest.raises(ReadingError, match="has no such value: fridge: channel is 6"):
        fridge.channel_temperature(6)  # type: ignore[arg-type]


def test_localhost_is_the_address_that_the_server_listens_to(web: BlueforsWeb) -> None:
    """The name resolves to ::1 first on many computers; the server listens with IPv4 only."""
    fridge = BlueforsControl("fridge", web.address.replace("127.0.0.1", "localhost"))
    assert fridge.temperature() > 0


def test_only_one_channel_is_new_and_each_is_at_most_one_scan_old(
    fridge: BlueforsControl, web: BlueforsWeb, twin: LabnisVisaLibrary
) -> None:
    """A scan of four channels lasts 80 s."""
    strict = BlueforsControl("strict", web.address, maximum_age=25.0)
    answered = []
    for _ in range(80):
        twin.world.clock.sleep(1.0)
        fridge.temperature()
        try:
            strict.temperature()
            answered.append(True)
        except ReadingError as error:
            assert "maximum_age is 25 s" in str(error)
            answered.append(False)
    assert 20 <= sum(answered) <= 30


def test_a_scanner_that_has_stopped_makes_an_error_that_says_how_old_the_reading_is(
    fridge: BlueforsControl, web: BlueforsWeb, twin: LabnisVisaLibrary
) -> None:
    web.scanner.stopped = twin.world.clock.time()
    twin.world.clock.sleep(3600.0)
    with pytest.raises(ReadingError, match=r"tmixing is 36\d\d s old; maximum_age is 180 s\."):
        fridge.temperature()


def test_the_clocks_of_two_computers_may_differ(fridge: BlueforsControl, web: BlueforsWeb) -> None:
    fridge.now = lambda: EPOCH + 1e5
    assert fridge.temperature() > 0
    web.faults.dateless = True  # then only the clock of this computer is known
    with pytest.raises(ReadingError, match="s old"):
        fridge.temperature()
    fridge.now = lambda: EPOCH - 1e5
    with pytest.raises(ReadingError, match="s in the future"):
        fridge.temperature()


def test_an_outdated_value_is_refused(fridge: BlueforsControl, web: BlueforsWeb) -> None:
    web.outdated = True
    with pytest.raises(ReadingError, match=r"is outdated, as the control software says; the reading is \d+ s old"):
        fridge.temperature()


@pytest.mark.parametrize("status", ["INVALID", "DISCONNECTED", "QUEUED", "CHANGED", "SOMETHING"])
def test_the_last_valid_value_is_not_used_where_the_latest_is_not_valid(
    fridge: BlueforsControl, web: BlueforsWeb, status: str
) -> None:
    web.status = status
    with pytest.raises(ReadingError, match=rf"no valid reading: {status}, .*; the last valid one is \d+ s old"):
        fridge.temperature()


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "no number"),
        ("nan", "finite"),
        ("0", "not a temperature"),
        ("-1", "not a temperature"),
        ("1e4", "possible"),
    ],
)
def test_what_is_no_temperature_is_refused(fridge: BlueforsControl, web: BlueforsWeb, value: str, problem: str) -> None:
    web.faults.answer = answer_with(value=value)
    with pytest.raises(ReadingError, match=problem):
        fridge.temperature()


def answer_with(**changes: Any) -> bytes:
    path = "mapper.bf.temperatures.tmixing"
    sample = {"value": "0.021", "status": "SYNCHRONIZED", "date": round(1e3 * EPOCH), "outdated": False} | changes
    return json.dumps({"data": {path: {"name": path, "content": {"latest_valid_value": sample}}}}).encode()


def test_a_server_that_is_busy_is_asked_again(fridge: BlueforsControl, web: BlueforsWeb) -> None:
    web.faults.busy = 2
    assert fridge.temperature() > 0
    web.faults.busy = 3
    with pytest.raises(CommunicationError, match="HTTP status 503"):
        fridge.temperature()


@pytest.mark.parametrize("answer", [b"", b"<html>login</html>", b'{"data": {', b"[1]", b'"0.02"', b"{}", b"\xff"])
def test_an_answer_that_is_not_that_of_the_software_is_an_error(
    fridge: BlueforsControl, web: BlueforsWeb, answer: bytes
) -> None:
    web.faults.answer = answer
    with pytest.raises(InstrumentError, match=r"fridge \(http"):
        fridge.temperature()


def test_an_error_of_the_software_is_quoted(fridge: BlueforsControl, web: BlueforsWeb) -> None:
    web.faults.answer = b'{"error": {"description": "API is disabled"}}'
    with pytest.raises(ReadingError, match="it says 'API is disabled'"):
        fridge.temperature()


def test_an_answer_byte_by_byte_ends_with_the_timeout(web: BlueforsWeb) -> None:
    fridge = BlueforsControl("fridge", web.address, timeout=0.1)
    announced: list[float] = []
    fridge.on_message = announced.append
    web.faults.slow = 0.02
    before = time.monotonic()
    with pytest.raises(CommunicationError, match="no usable answer"):
        fridge.temperature()
    assert time.monotonic() - before < 2.0
    assert announced
    assert min(announced) >= 0.1


def test_a_computer_that_is_not_there_is_an_error() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(CommunicationError, match="no usable answer to a request for /system/"):
            BlueforsControl("fridge", f"http://127.0.0.1:{unused.getsockname()[1]}")


# --- in a station ----------------------------------------------------------------------------------------------------

STATION = """
instruments:
  keithley: {{type: drivers.keithley_2450.Keithley2450, address: GPIB0::18::INSTR}}
  {name}: {{type: drivers.bluefors_control.BlueforsControl, address: "{address}", init: {{channel: tmixing}}}}
labnis:
  roles:
    bias: keithley
    fridge: {name}
    still: {{instrument: {name}, kind: thermometer, channel: tstill}}
  wiring: {{series_resistance: 2000.0}}
  limits: {{maximum_bias: 6.0e-3, maximum_step: 0.1e-3, ramp_rate: 0.1, compliance: 5.0e-6}}
"""


def test_a_station_opens_it(web: BlueforsWeb, twin: LabnisVisaLibrary, tmp_path: Path) -> None:
    (tmp_path / "station.yaml").write_text(STATION.format(name="bluefors", address=web.address))
    with open_station(load_station(tmp_path / "station.yaml")) as station:
        station.open({"fridge", "still"}, alone=True)
        truth = twin.truth.fridge
        assert station.roles.fridge.temperature() == pytest.approx(truth.mixing_chamber_temperature, rel=0.02)
        assert station.roles.still.temperature() == pytest.approx(truth.still_temperature, rel=0.02)


def test_two_stations_use_one_fridge_at_once(web: BlueforsWeb, tmp_path: Path) -> None:
    """Two experiments in one fridge: other instruments are refused to the second station, a server is not."""
    for number in (1, 2):
        text = STATION.format(name=f"bluefors{number}", address=web.address)
        (tmp_path / f"station{number}.yaml").write_text(text)
    with (
        open_station(load_station(tmp_path / "station1.yaml")) as first,
        open_station(load_station(tmp_path / "station2.yaml")) as second,
    ):
        first.open({"fridge"}, alone=True)
        second.open({"fridge"}, alone=True)
        assert first.roles.fridge.temperature() == second.roles.fridge.temperature()


def test_a_dry_run_has_a_stand_in_and_asks_no_server(web: BlueforsWeb, tmp_path: Path) -> None:
    (tmp_path / "station.yaml").write_text(STATION.format(name="bluefors", address=web.address))
    config = load_station(tmp_path / "station.yaml")
    simulated = {"wiring": config.wiring_record(), "instruments": simulated_instruments(config)}
    with open_twin(SHIPPED_TRUTH, seed=1, **simulated) as twin, open_station(config, twin=twin) as station:
        station.open({"fridge", "still"})
        assert station.roles.fridge.temperature() < station.roles.still.temperature()
    assert web.requests == []


# --- certificates ----------------------------------------------------------------------------------------------------


def test_a_certificate_that_nobody_has_signed_is_refused_and_nothing_is_sent(secure: BlueforsWeb) -> None:
    with pytest.raises(CommunicationError, match=r"not trusted: self.signed certificate; SHA-256 c5a38f95"):
        BlueforsControl("fridge", secure.address)
    assert secure.requests == []


def test_its_fingerprint_makes_it_trusted(secure: BlueforsWeb) -> None:
    fridge = BlueforsControl("fridge", secure.address, certificate=FINGERPRINT)
    assert fridge.temperature() > 0
    assert fridge.snapshot()["metadata"]["certificate"] == "fingerprint"


def test_another_fingerprint_is_refused_and_nothing_is_sent(secure: BlueforsWeb) -> None:
    with pytest.raises(CommunicationError, match=r"not trusted: SHA-256 c5a3\w+ instead of 00c5"):
        BlueforsControl("fridge", secure.address, certificate="00" + FINGERPRINT.replace(":", "")[:-2].lower())
    assert secure.requests == []


def test_any_certificate_is_accepted_only_where_that_is_written_and_recorded(
    secure: BlueforsWeb, caplog: pytest.LogCaptureFixture
) -> None:
    fridge = BlueforsControl("fridge", secure.address, verify=False)
    assert fridge.temperature() > 0
    assert fridge.snapshot()["metadata"]["certificate"] == "not verified"
    assert "is not verified (verify: false)" in caplog.text


# --- the key ---------------------------------------------------------------------------------------------------------


def test_the_key_comes_from_the_environment_and_is_in_no_message(
    twin: LabnisVisaLibrary, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("BLUEFORS_API_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    with BlueforsWeb(twin.world, key=KEY).running() as web:
        fridge = BlueforsControl("fridge", web.address)
        assert fridge.temperature() > 0
        web.faults.answer = b"{"
        with pytest.raises(CommunicationError) as caught:
            fridge.temperature()
        web.faults.busy = 9
        with pytest.raises(CommunicationError) as busy:
            fridge.temperature()
        said = f"{caught.value!r} {busy.value} {fridge.snapshot()} {fridge!r} {caplog.text}"
        assert KEY not in said


@pytest.mark.parametrize("key", ["", "another"])
def test_a_wrong_key_is_an_error_that_says_so(
    twin: LabnisVisaLibrary, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("LAB_KEY", key)
    with BlueforsWeb(twin.world, key=KEY).running() as web:
        with pytest.raises(CommunicationError, match=r"refuses /system/ \(HTTP status 401\)\. Check the key"):
            BlueforsControl("fridge", web.address, key_variable="LAB_KEY")
        assert len(web.requests) == 1  # not repeated: some servers lock a client out


# --- arguments -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"address": "GPIB0::12::INSTR"}, "address is 'GPIB0"),
        ({"address": "fridge:49098"}, "address is"),
        ({"address": "https://fridge:99999"}, "address is"),
        ({"address": "https://fridge/?key=1"}, "without a key"),
        ({"address": "ftp://fridge"}, "address is"),
        ({"channel": 6}, "channel is 6"),
        ({"channel": "../system"}, "channel is"),
        ({"maximum_age": 0}, "maximum_age is 0"),
        ({"maximum_age": float("nan")}, "maximum_age is nan"),
        ({"certificate": "AB:CD"}, "SHA-256 fingerprint"),
        ({"verify": "false"}, "verify is 'false'"),
        ({"timeout": 0}, "timeout is 0"),
        ({"timeout": 1e3}, "up to 30"),
    ],
)
def test_an_argument_that_cannot_be_used_is_named(arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        BlueforsControl("fridge", **({"address": "https://fridge"} | arguments))


# --- any answer ------------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
SAMPLES = st.fixed_dictionaries({}, optional=dict.fromkeys(("value", "status", "date", "outdated"), JSON))


@pytest.mark.faults
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(answer=st.binary(max_size=40) | JSON.map(json.dumps).map(str.encode) | SAMPLES.map(lambda s: answer_with(**s)))
@example(answer=answer_with(date=10**400))
@example(answer=answer_with(value=10**400))
@example(answer=b"[" * 100_000)
def test_any_answer_is_a_temperature_or_an_error_of_ours(
    fridge: BlueforsControl, web: BlueforsWeb, answer: bytes
) -> None:
    web.faults.answer = answer
    try:
        assert 1e-3 <= fridge.temperature() <= 420.0
    except InstrumentError as error:
        assert "fridge" in str(error)  # a number may be right
