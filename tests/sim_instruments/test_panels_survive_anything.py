"""For any message of a client, a panel answers or reports an error, and continues."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim_instruments import ADDRESSES
from sim_instruments.visa import LabnisVisaLibrary

WORDS = [
    "SOUR",
    "VOLT",
    "CURR",
    "RANG",
    "AUTO",
    "SENS",
    "FUNC",
    "OUTP",
    "TRAC",
    "DATA",
    "MAKE",
    "POIN",
    "ACT",
    "READ",
    "FETC",
    "MEAS",
    "SYST",
    "ERR",
    "SWE",
    "LIN",
    "INIT",
    "*IDN?",
    "*RST",
    "*CLS",
    "*OPC?",
    "FORM",
    "REAL",
    "STAT",
    "AVER",
    "STDD",
    "DEL",
    "CLE",
    "FREQ",
    "CENT",
    "SPAN",
    "POW",
    "CALC",
    "PAR",
    "OUTP?",
    "SNAP?",
    "DDEF",
    "OEXP",
    "AUXV",
    "TRCL?",
    "TRCA?",
    "SPTS?",
    "STRT",
    "PAUS",
    "SRAT",
    "KRDG?",
    "INSET",
    "PID?",
    "RANGE",
    "SCAN",
    "SSET",
    "RSET",
    "APHS",
    "AGAN",
    "AOFF",
    "*ESR?",
    "*STB?",
    "LIAS?",
    "'defbuffer1'",
    "'x'",
    "1",
    "2",
    "-1",
    "1e9",
    "0.5",
    "ON",
    "nan",
    "(@1",
    "'",
    '"',
]
message = st.lists(st.tuples(st.sampled_from([":", " ", ",", "?", ";", ""]), st.sampled_from(WORDS)), max_size=8)


@pytest.mark.parametrize("role", ADDRESSES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    messages=st.lists(
        message.map(lambda parts: "".join(map("".join, parts)).encode()) | st.binary(max_size=30), max_size=6
    )
)
def test_a_panel_survives(twin: LabnisVisaLibrary, role: str, messages: list[bytes]) -> None:
    panel = twin.panels[role]
    for text in messages:
        panel.receive(text)
    panel.device_clear()
    panel.receive(b"*IDN?")
    assert panel.take(200) == (panel.identification.encode() + panel.terminator, True)
