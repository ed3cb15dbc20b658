"""What the twin's server refuses: endless lines, browsers and other protocols, and requests that make no sense."""

import json
import math
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from bare_socket import Line
from pydantic import ValidationError

from sim_instruments import SHIPPED_TRUTH
from sim_instruments.server import ControlError, ServerProcess, control, launched, read_log, serve
from sim_instruments.server.control import CONTROL_OFFSET

COMMAND = ":SOUR:VOLT 0.005"
REQUEST = json.dumps({"do": "leave", "level": 0.005, "output": True})

LOG = "commands.jsonl"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[ServerProcess]:
    with launched(log=folder / LOG) as process:
        yield process


def untouched(server: ServerProcess) -> bool:
    """Whether the source is as it was switched on."""
    return control(server.port, do="source") == {"level": 0.0, "output": False}


# --- lines --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0, CONTROL_OFFSET])
def test_a_client_that_sends_no_line_feed_is_cut_off(server: ServerProcess, offset: int) -> None:
    sent = 0
    with Line(server.port + offset) as line, pytest.raises(ConnectionError):
        while sent < 64 << 20:
            sent += line.socket.send(b"A" * (1 << 16))
    assert sent < 32 << 20  # buffers of the operating system included
    assert untouched(server)


def test_an_endless_message_is_not_executed_when_its_line_feed_comes(server: ServerProcess) -> None:
    with Line(server.port) as line:
        with suppress(ConnectionError):
            line.send(" " * (1 << 17) + COMMAND, COMMAND)
        assert line.broken()
    assert untouched(server)


# --- other protocols ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\n\r",
        "GET /%0A:OUTP%20ON HTTP/1.0\r",
        "patch / http/1.1",
        "PRI * HTTP/2.0\r\n\r",
        "\x16\x03\x01\x02\x00\x01",
        "\x00\x03\x00\x08!\x12\xa4B",
    ],
)
@pytest.mark.parametrize("offset", [0, CONTROL_OFFSET])
def test_a_browser_commands_nothing(server: ServerProcess, head: str, offset: int) -> None:
    with Line(server.port + offset) as line:
        line.send(head, COMMAND, ":OUTP ON", REQUEST)
        line.socket.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while line.raw_line():
                pass
    assert untouched(server)


def test_the_log_says_who_was_refused(server: ServerProcess, folder: Path) -> None:
    with Line(server.port) as line:
        line.send("GET / HTTP/1.1\r")
        assert line.broken()
    assert untouched(server)
    assert [e.text for e in read_log(folder / LOG) if "HTTP" in e.text][-1] == "refused: the client uses HTTP"


# --- requests to the twin -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"do": "temperatures", "schedule": [[0, 0.1], [-1, 0.2]]}, r"schedule\.1\.0: .*greater than or equal to 0"),
        ({"do": "temperatures", "schedule": [[math.nan, 0.1]]}, r"schedule\.0\.0: .*finite"),
        ({"do": "temperatures", "schedule": [[math.inf, 0.1]]}, r"schedule\.0\.0: .*finite"),
        ({"do": "temperatures", "schedule": [[5, 0.1], [5, 0.2]]}, "schedule: .*times must increase"),
        ({"do": "temperatures", "schedule": [[0, -0.1]]}, r"schedule\.0\.1.*above 0 and at most 500 K"),
        ({"do": "temperatures", "schedule": [[0, 0.0]]}, r"schedule\.0\.1.*above 0"),
        ({"do": "temperatures", "schedule": [[0, math.inf]]}, r"schedule\.0\.1.*above 0"),
        ({"do": "temperatures", "schedule": [[0, 1e300]]}, r"schedule\.0\.1.*above 0"),
        ({"do": "temperatures", "schedule": [[0, "0.1"]]}, r"schedule\.0\.1.*valid number"),
        ({"do": "temperatures", "schedule": [[0, True]]}, r"schedule\.0\.1.*valid number"),
        ({"do": "temperatures", "schedule": [[0]]}, r"schedule\.0\.1: Field required"),
        ({"do": "temperatures", "schedule": [[0, 0.1, 2]]}, r"schedule\.0"),
        ({"do": "temperatures", "schedule": 5}, "schedule: "),
        ({"do": "temperatures"}, "schedule: Field required"),
        ({"do": "temperatures", "schedule": [], "unit": "mK"}, "unit: unknown key; allowed are do, schedule"),
        ({"do": "leave", "level": math.nan, "output": True}, "level: .*finite"),
        ({"do": "leave", "level": math.inf, "output": True}, "level: .*finite"),
        ({"do": "leave", "level": 0.001, "output": 2}, "output: .*boolean"),
        ({"do": "fault", "instrument": "bias", "kind": "drop", "count": -1}, "count: .*greater than or equal to 0"),
        ({"do": "fault", "instrument": "bias", "kind": "drop", "after": 1.5}, "after: .*integer"),
        ({"do": "fault", "instrument": "bias", "kind": "delay", "seconds": -1}, "seconds: .*greater than or equal"),
        ({"do": "fault", "instrument": "bias", "kind": "drop", "when": 3}, "when: unknown key; allowed are instrument"),
        ({"do": "clear", "all": True}, "all: unknown key; allowed are do"),
        ({"do": "fault", "instrument": "b" * 60_000, "kind": "drop"}, "instrument: .*at most 200 characters"),
    ],
)
def test_nonsense_is_refused_by_its_key(server: ServerProcess, request_: dict[str, object], message: str) -> None:
    with pytest.raises(ControlError) as refused:
        control(server.port, **request_)
    answer = str(refused.value).removeprefix(f"{request_}: ")
    assert "\n" not in answer
    assert len(answer) < 500
    with pytest.raises(ControlError, match=message):
        raise refused.value
    assert control(server.port, do="faults") == {"struck": []}
    assert untouched(server)


@pytest.mark.parametrize("line", ["", "5", "[]", "null", "{", "[" * 50_000, '{"do": ["fault"]}', '{"do": 1e999}'])
def test_what_is_no_request_is_answered(server: ServerProcess, line: str) -> None:
    with Line(server.port + CONTROL_OFFSET) as connection:
        answer = json.loads(connection.ask(line))
    assert answer["ok"] is False
    assert len(answer["error"]) < 500


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"speed": math.nan}, "speed"),
        ({"speed": 0.0}, "speed"),
        ({"speed": -1.0}, "speed"),
        ({"speed": math.inf}, "speed"),
        ({"seed": -1}, "seed"),
        ({"port": 70_000}, "port"),
        ({"host": "0.0.0.0"}, "host"),  # noqa: S104  # refused: only this machine is served
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], key: str) -> None:
    with pytest.raises(ValidationError, match=f"\n{key}\n"):
        serve(SHIPPED_TRUTH, **options)


def test_a_server_that_refuses_its_options_is_an_error_with_its_exit_code(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ControlError, match="before it was ready"), launched(speed=-1.0):
        pass
    assert "\nspeed\n" in capfd.readouterr().err
