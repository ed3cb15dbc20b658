"""For any message of a client, a panel answers or reports an error, and continues."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim_instruments import ADDRESSES
from sim_instruments.panels import FrontPanel
from sim_instruments.visa import LabnisVisaLibrary

SEPARATORS = [":", " ", ",", "?", ";", ""]
PARAMETERS = ["'defbuffer1'", "'x'", "1", "2", "-1", "1e9", "0.5", "ON", "nan", "MIN", "MAX", "DEF", "(@1", "'", '"']


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
