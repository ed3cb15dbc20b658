"""Bluefors Control Software over its websocket: what HTTP reads, and every fault of a connection is an error."""

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from drivers.bluefors_control import BlueforsControl
from drivers.errors import CommunicationError, InstrumentError, ReadingError
from drivers.web_socket import WebSocketError, _first_object
from labnis.station import load_station, open_station
from sim_instruments.server.fridge_web import BlueforsWeb
from sim_instruments.server.web import EPOCH
from sim_instruments.visa import LabnisVisaLibrary
from tests.drivers.test_bluefors_control_driver import CERTIFICATE, FINGERPRINT, JSON, KEY, SAMPLES, STATION
from tests.shipped_twin import shipped_twin  # noqa: F401  # a fixture

PATH = "mapper.bf.temperatures.tmixing"


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
    return BlueforsControl("fridge", web.socket_address)


# --- values ----------------------------------------------------------------------------------------------------------


def test_it_reads_what_http_reads(fridge: BlueforsControl, web: BlueforsWeb, twin: LabnisVisaLibrary) -> None:
    assert web.socket_address.startswith("ws://127.0.0.1:")
    by_http = BlueforsControl("other", web.address)
    for channel in ("tmixing", "tstill", "t4k", "mapper.bf.temperatures.t50k"):
        assert fridge.channel_temperature(channel) == by_http.channel_temperature(channel)
    assert fridge.temperature() == pytest.approx(twin.truth.fridge.mixing_chamber_temperature, rel=0.02)
    assert fridge.get_idn() == {
        "vendor": "Bluefors", "model": "Control Software", "serial": "TWIN-LD400", "firmware": "2.6.1"
    }  # fmt: skip
    assert fridge.snapshot()["metadata"]["certificate"] == "none: WS"


def test_it_only_reads(fridge: BlueforsControl, web: BlueforsWeb) -> None:
    fridge.temperature()
    sent = [json.loads(message) for message in web.messages]
    assert {message["command"] for message in sent} == {"read"}
    assert sent[-1]["data"] == {"target": PATH}
    # As the specification asks: hexadecimal digits and hyphens, and another one each time.
    assert len({message["id"] for message in sent}) == len(sent)
    assert all(set(message["id"]) <= set("0123456789abcdef-") for message in sent)
    assert {request.partition("?")[0] for request in web.requests} == {"/ws/system/", "/ws/values/"}


def test_the_older_tree_is_found_and_remembered(twin: LabnisVisaLibrary) -> None:
    with BlueforsWeb(twin.world, branch="mapper.bflegacy.double").running() as web:
        fridge = BlueforsControl("fridge", web.socket_address)
        assert fridge.temperature() == pytest.approx(twin.truth.fridge.mixing_chamber_temperature, rel=0.02)
        web.messages.clear()
        fridge.temperature()
        assert [json.loads(message)["data"]["target"] for message in web.messages] == ["mapper.bflegacy.double.tmixing"]


def test_a_sensor_that_is_not_there_is_named(fridge: BlueforsControl) -> None:
    with pytest.raises(ReadingError, match=r"has no value mapper\.bf\.temperatures\.tfse or .*'Value not found'"):
        fridge.channel_temperature("tfse")
    with pytest.raises(ReadingError, match=r"has no value mapper\.bf\.temperatures \(it says 'Target value has no"):
        fridge.channel_temperature("mapper.bf.temperatures")


def test_a_scanner_that_has_stopped_makes_an_error_that_says_how_old_the_reading_is(
    fridge: BlueforsControl, web: BlueforsWeb, twin: LabnisVisaLibrary
) -> None:
    web.scanner.stopped = twin.world.clock.time()
    twin.world.clock.sleep(3600.0)
    with pytest.raises(ReadingError, match=r"tmixing is 36\d\d s old; maximum_age is 180 s\."):
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


def test_the_clocks_of_two_computers_may_differ(fridge: BlueforsControl, web: BlueforsWeb) -> None:
    fridge.now = lambda: EPOCH + 1e5
    assert fridge.temperature() > 0
    web.faults.dateless = True  # then only the clock of this computer is known
    with pytest.raises(ReadingError, match="s old"):
        fridge.temperature()
    fridge.now = lambda: EPOCH - 1e5
    with pytest.raises(ReadingError, match="s in the future"):
        fridge.temperature()


# --- the connection --------------------------------------------------------------------------------------------------


def test_a_connection_that_breaks_is_opened_again(fridge: BlueforsControl, web: BlueforsWeb) -> None:
    web.faults.dropped = 2
    assert fridge.temperature() > 0
    web.faults.dropped = 3
    with pytest.raises(CommunicationError, match=r"no usable answer to a request for /ws/values/: the connection has"):
        fridge.temperature()
    assert web.faults.dropped == 0
    assert fridge.temperature() > 0


def test_a_server_that_is_gone_and_comes_back(twin: LabnisVisaLibrary) -> None:
    with BlueforsWeb(twin.world).running() as web:
        fridge = BlueforsControl("fridge", web.socket_address)
        port = int(web.address.rpartition(":")[2])
    with pytest.raises(CommunicationError, match="no usable answer to a request for /ws/values/"):
        fridge.temperature()
    with BlueforsWeb(twin.world).running(port):
        assert fridge.temperature() > 0


def test_a_silent_server_ends_with_the_timeout(web: BlueforsWeb) -> None:
    fridge = BlueforsControl("fridge", web.socket_address, timeout=0.1)
    announced: list[float] = []
    fridge.on_message = announced.append
    web.faults.silent = True
    before = time.monotonic()
    with pytest.raises(CommunicationError, match="no usable answer to a request for /ws/values/"):
        fridge.temperature()
    assert 0.3 <= time.monotonic() - before < 2.0
    assert announced == [0.2] * 3


def test_an_answer_byte_by_byte_ends_with_the_timeout(web: BlueforsWeb) -> None:
    fridge = BlueforsControl("fridge", web.socket_address, timeout=0.1)
    web.faults.slow = 0.02
    before = time.monotonic()
    with pytest.raises(CommunicationError, match="no usable answer"):
        fridge.temperature()
    assert time.monotonic() - before < 2.0


def test_answers_in_pieces_and_messages_of_others_are_understood(fridge: BlueforsControl, web: BlueforsWeb) -> None:
    expected = fridge.temperature()
    web.faults.split = True
    assert fridge.temperature() == expected
    web.faults.chatty = True
    assert fridge.temperature() == expected
    web.faults.split = False
    assert fridge.temperature() == expected


def test_a_computer_that_is_not_there_is_an_error() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(CommunicationError, match="no usable answer to a request for /ws/system/"):
            BlueforsControl("fridge", f"ws://127.0.0.1:{unused.getsockname()[1]}")


@contextmanager
def answering(answer: Callable[[bytes], bytes]) -> Iterator[str]:
    """A server that answers the opening of each connection with other bytes, and ends it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.05)
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                with suppress(OSError):
                    connection, _ = listening.accept()
                    with connection:
                        connection.sendall(answer(connection.recv(4096)))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"ws://127.0.0.1:{listening.getsockname()[1]}"
        ended.set()
        thread.join()


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 301 Moved\r\nLocation: ws://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: AAAA\r\n\r\n",
        b"\x00" * 100, b"HTTP/1.1 101 " + b"x" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_websocket_is_an_error(answer: bytes) -> None:
    with (
        answering(lambda _: answer) as address,
        pytest.raises(CommunicationError, match=r"fridge \(ws://127\.0\.0\.1:\d+\): (no usable answer|answers) /?"),
    ):
        BlueforsControl("fridge", address, timeout=0.5)


# --- what the software says ------------------------------------------------------------------------------------------


def answer_with(**changes: Any) -> bytes:
    """A message of the twin that is not about the command that was sent."""
    sample = {"value": "0.021", "status": "SYNCHRONIZED", "date": round(1e3 * EPOCH), "outdated": False} | changes
    node = {"name": PATH, "content": {"latest_valid_value": sample}}
    return json.dumps({"id": "12", "status": "SUCCEEDED", "data": node}).encode()


def test_an_answer_to_another_command_is_none(web: BlueforsWeb) -> None:
    fridge = BlueforsControl("fridge", web.socket_address, timeout=0.1)
    web.faults.answer = answer_with()
    with pytest.raises(CommunicationError, match="no usable answer"):
        fridge.temperature()


@pytest.mark.parametrize(
    ("answer", "error", "problem"),
    [
        (
            b'{"status": "ERROR", "code": 2003, "description": "Access denied"}',
            CommunicationError,
            "refuses mapper.*2003",
        ),
        (
            b'{"status": "ERROR", "code": 2005, "description": "Fatal"}',
            CommunicationError,
            "answers error 2005 .* Fatal",
        ),
        (b'{"status": "ERROR"}', CommunicationError, "answers error None"),
        (b'{"status": "ERROR", "code": 3001, "description": "gone"}', ReadingError, "it says 'gone'"),
        (b"<html>login</html>", CommunicationError, "it is no JSON object: '<html>login"),
        (b"[1]", CommunicationError, "it is no JSON object"),
        (b'"0.02"', CommunicationError, "it is no JSON object"),
        (b'{"status": }', CommunicationError, "it is no JSON:"),
        (b"{}", CommunicationError, "with status RECEIVED, SUCCEEDED or ERROR expected"),
        (b"\xff", CommunicationError, "it is no text"),
    ],
)
def test_an_error_of_the_software_is_quoted(
    fridge: BlueforsControl, web: BlueforsWeb, answer: bytes, error: type[Exception], problem: str
) -> None:
    web.faults.answer = answer
    with pytest.raises(error, match=problem):
        fridge.temperature()


def test_another_end_of_the_same_command_is_an_error(
    fridge: BlueforsControl, web: BlueforsWeb, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = web.replies

    def replies(target: str, message: str) -> list[Any]:
        received, done = honest(target, message)
        return [received, done | {"status": "DELAYED"}]

    monkeypatch.setattr(web, "replies", replies)
    with pytest.raises(CommunicationError, match="DELAYED"):
        fridge.temperature()


def test_what_is_no_temperature_is_refused(
    fridge: BlueforsControl, web: BlueforsWeb, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value, problem in (("", "no number"), ("nan", "finite"), ("0", "not a temperature"), ("1e4", "possible")):
        content = {"latest_value": {"value": value, "status": "SYNCHRONIZED", "date": 1e3 * EPOCH, "outdated": False}}
        monkeypatch.setattr(web, "_content", lambda _, content=content: content)
        with pytest.raises(ReadingError, match=problem):
            fridge.temperature()


# --- certificates and key --------------------------------------------------------------------------------------------


def test_a_certificate_that_nobody_has_signed_is_refused_and_nothing_is_sent(secure: BlueforsWeb) -> None:
    assert secure.socket_address.startswith("wss://")
    with pytest.raises(CommunicationError, match=r"not trusted: self.signed certificate; SHA-256 c5a38f95"):
        BlueforsControl("fridge", secure.socket_address)
    with pytest.raises(CommunicationError, match=r"not trusted: SHA-256 c5a3\w+ instead of 00c5"):
        BlueforsControl("fridge", secure.socket_address, certificate="00" + FINGERPRINT.replace(":", "")[:-2].lower())
    assert secure.requests == secure.messages == []


def test_its_fingerprint_makes_it_trusted(secure: BlueforsWeb, caplog: pytest.LogCaptureFixture) -> None:
    fridge = BlueforsControl("fridge", secure.socket_address, certificate=FINGERPRINT)
    assert fridge.temperature() > 0
    assert fridge.snapshot()["metadata"]["certificate"] == "fingerprint"
    secure.faults.split = secure.faults.chatty = True
    assert fridge.temperature() > 0
    any_ = BlueforsControl("any", secure.socket_address, verify=False)
    assert any_.temperature() > 0
    assert "is not verified (verify: false)" in caplog.text


def test_the_key_is_in_no_message_and_no_log(
    twin: LabnisVisaLibrary, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("BLUEFORS_API_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    logging.getLogger("websockets").setLevel(logging.DEBUG)
    with BlueforsWeb(twin.world, key=KEY).running() as web:
        fridge = BlueforsControl("fridge", web.socket_address)
        assert fridge.temperature() > 0
        said = f"{fridge.snapshot()} {fridge!r}"
        for faults in ({"answer": b"{}"}, {"answer": b"x"}, {"dropped": 9}, {"busy": 9}):
            web.faults.__init__(**faults)  # type: ignore[misc]
            with pytest.raises(CommunicationError) as caught:
                fridge.temperature()
            said += f"{caught.value!r} {caught.value}"
        assert KEY not in said + caplog.text
        assert any(KEY in request for request in web.requests)
        assert not any(KEY in message for message in web.messages)


@pytest.mark.parametrize("key", ["", "another"])
def test_without_access_the_error_says_so_and_nothing_is_repeated(
    twin: LabnisVisaLibrary, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("LAB_KEY", key)
    with BlueforsWeb(twin.world, key=KEY).running() as web:
        with pytest.raises(CommunicationError, match=r"refuses /ws/system/ \(HTTP status 503\)\. Check the key"):
            BlueforsControl("fridge", web.socket_address, key_variable="LAB_KEY")
        assert len(web.requests) == 1


# --- in a station, and arguments -------------------------------------------------------------------------------------


def test_a_station_opens_it(web: BlueforsWeb, twin: LabnisVisaLibrary, tmp_path: Path) -> None:
    (tmp_path / "station.yaml").write_text(STATION.format(name="bluefors", address=web.socket_address))
    with open_station(load_station(tmp_path / "station.yaml")) as station:
        station.open({"fridge", "still"}, alone=True)
        truth = twin.truth.fridge
        assert station.roles.fridge.temperature() == pytest.approx(truth.mixing_chamber_temperature, rel=0.02)
        assert station.roles.still.temperature() == pytest.approx(truth.still_temperature, rel=0.02)


@pytest.mark.parametrize(
    "address", ["ws://", "wss://fridge/ws/values", "ws://fridge?key=1", "wss://user:pw@fridge", "ws://fridge:99999"]
)
def test_an_address_that_cannot_be_used_is_named(address: str) -> None:
    with pytest.raises(ValueError, match=r"allowed is https://host:49098 or .* or wss://host:49098 or ws://host:49099"):
        BlueforsControl("fridge", address)


# --- any answer ------------------------------------------------------------------------------------------------------


@pytest.mark.faults
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(
    answer=st.binary(max_size=40) | JSON.map(json.dumps).map(str.encode) | SAMPLES.map(lambda s: answer_with(**s)),
    split=st.booleans(),
)
@example(answer=b"{" * 100_000, split=False)
@example(answer=b'{"a":' * 100_000 + b"1" + b"}" * 100_000, split=False)
@example(answer=b'{"status": "ERROR", "code": {"a": 1}, "description": []}', split=True)
def test_any_answer_is_an_error_of_ours(fridge: BlueforsControl, web: BlueforsWeb, answer: bytes, split: bool) -> None:
    fridge._timeout = 0.05
    web.faults.answer, web.faults.split = answer, split
    try:
        fridge.temperature()
    except InstrumentError as error:
        assert "fridge" in str(error)
    else:
        pytest.fail("no answer here is about the command that was sent")
    finally:
        web.faults.answer = None


@pytest.mark.faults
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(sample=SAMPLES, valid=st.none() | SAMPLES, data=st.none() | JSON)
def test_any_data_of_the_right_command_is_a_temperature_or_an_error_of_ours(
    fridge: BlueforsControl, web: BlueforsWeb, sample: dict[str, Any], valid: dict[str, Any] | None, data: Any
) -> None:
    node = {"name": PATH, "content": {"latest_value": sample} | ({"latest_valid_value": valid} if valid else {})}

    def replies(_: str, message: str) -> list[Any]:
        own = {"id": json.loads(message)["id"]}
        return [own | {"status": "RECEIVED"}, own | {"status": "SUCCEEDED", "data": node if data is None else data}]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(web, "replies", replies)
        try:
            assert 1e-3 <= fridge.temperature() <= 420.0
        except InstrumentError as error:
            assert "fridge" in str(error)


@given(first=st.dictionaries(st.text(max_size=4), JSON, max_size=4), after=st.text(max_size=5), cut=st.integers(0, 60))
@example(first={"{": '}"\\'}, after="{", cut=3)
@example(first={"\\": "\\\\"}, after="}", cut=6)
def test_the_first_object_of_a_text_is_found_however_it_is_cut(first: dict[str, Any], after: str, cut: int) -> None:
    text = json.dumps(first)
    assert _first_object(text + after) == (json.loads(text, parse_constant=float), after) or "NaN" in text
    begun = text[: min(cut, len(text) - 1)]
    assert _first_object(begun) == (None, begun)
    if after[:1] not in ("", "{") and after.strip():
        with pytest.raises(WebSocketError):
            _first_object(after.lstrip())
