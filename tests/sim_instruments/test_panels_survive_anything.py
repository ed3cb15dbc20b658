"""For any message of a client, a panel answers or reports an error, and continues."""

import json
import re
from contextlib import suppress
from io import BytesIO
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim_instruments import ADDRESSES
from sim_instruments.panels import FrontPanel
from sim_instruments.server.messages import ForeignProtocolError, received
from sim_instruments.server.requests import parsed
from sim_instruments.visa import LabnisVisaLibrary

pytestmark = pytest.mark.faults

SEPARATORS = [":", " ", ",", "?", ";", ""]
PARAMETERS = ["'defbuffer1'", "'x'", "1", "2", "-1", "1e9", "0.5", "ON", "nan", "MIN", "MAX", "DEF", "(@1", "'", '"']

KEYS = st.sampled_from(["do", "kind", "instrument", "after", "count", "level", "output", "schedule", "seconds"])
JSON = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["fault", "leave", "drop", "source"])


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5)


def messages(panel: FrontPanel) -> st.SearchStrategy[list[bytes]]:
    """The panel's own headers, with optional nodes and without suffixes, and parameters of all kinds; or any bytes."""
    headers = sorted(re.sub(r"<\w+>|[\[\]]", "", header) for header in panel.commands())
    word = st.sampled_from(headers) | st.sampled_from(PARAMETERS)
    message = st.lists(st.tuples(st.sampled_from(SEPARATORS), word), max_size=8)
    text = message.map(lambda parts: "".join(map("".join, parts)).encode())
    return st.lists(text | st.binary(max_size=30), max_size=6)


@pytest.mark.parametrize("role", ADDRESSES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_panel_survives(twin: LabnisVisaLibrary, role: str, data: st.DataObject) -> None:
    panel = twin.panels[role]
    for message in data.draw(messages(panel)):
        panel.receive(message)
    panel.device_clear()
    panel.receive(b"*IDN?")
    assert panel.take(200) == (panel.identification.encode() + panel.terminator, True)


@given(sent=st.binary(max_size=200) | st.text("*IDN?:SOUR VOLT\n\t1e9;,'\"", max_size=200).map(str.encode))
def test_what_a_client_sends_is_lines_of_text_or_another_protocol(sent: bytes) -> None:
    with suppress(ForeignProtocolError):
        for message in received(BytesIO(sent)):
            assert b"\n" not in message


@given(line=st.binary(max_size=100) | st.recursive(JSON, nested, max_leaves=8).map(json.dumps).map(str.encode))
def test_a_request_is_one_of_the_known_or_a_value_error(line: bytes) -> None:
    with suppress(ValueError):
        assert parsed(line).do
