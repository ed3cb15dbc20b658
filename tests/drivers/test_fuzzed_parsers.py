"""Any text as the answer of an instrument: parsers find a value or none, and only errors of ours come out."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from drivers.answers import (
    is_choice,
    measured,
    number,
    numbers,
    possible_densities,
    possible_ratios,
    register,
)
from drivers.errors import CommunicationError, InstrumentError
from drivers.keithley_2450 import Keithley2450
from drivers.keysight_n5222b import KeysightN5222B
from drivers.lakeshore_372 import LakeShore372
from drivers.sr830 import SR830
from sim_instruments import ADDRESSES
from sim_instruments.panels.front_panel import FrontPanel
from sim_instruments.visa import LabnisVisaLibrary
from tests.shipped_twin import VISALIB

pytestmark = pytest.mark.faults

TEXTS = st.text(max_size=80) | st.text("0123456789+-.eEinfaNy,;_ \t#'\"", max_size=80) | st.floats().map(str)
SPELLED = {"number": number, "register": register}
DRIVERS = {"bias": Keithley2450, "lockin": SR830, "vna": KeysightN5222B, "fridge": LakeShore372}

ROBUST = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@given(text=TEXTS, count=st.integers(1, 5))
@example(text="9" * 5000, count=1)
@example(text="²", count=1)  # a digit, but not for `float`
@example(text="1_000", count=1)
def test_a_text_is_a_number_or_none(text: str, count: int) -> None:
    found = number(text)
    assert found is None or isinstance(found, float)
    assert (word := register(text)) is None or (isinstance(word, int) and 0 <= word < 65536)
    assert (several := numbers(text, count)) is None or len(several) == count
    assert is_choice(text, "NOIS") in (True, False)


@given(value=st.floats())
def test_numbers_that_instruments_send_come_back(value: float) -> None:
    assert number(f"{value!r}") == value or math.isnan(value)
    assert number(f"{value:+.6E}") == float(f"{value:+.6E}") or math.isnan(value)


@given(value=st.floats())
def test_a_measurement_is_finite_and_below_the_markers(value: float) -> None:
    try:
        assert measured(value, "current", "smu (GPIB0::1::INSTR)") == value
    except InstrumentError as error:
        assert "smu (GPIB0::1::INSTR)" in str(error)
    else:
        assert abs(value) < 9.8e37


@given(values=st.lists(st.complex_numbers(), min_size=1, max_size=8), power=st.floats(-95, 30))
def test_possible_traces_are_finite(values: list[complex], power: float) -> None:
    with np.errstate(all="ignore"):
        if possible_ratios(np.array(values), reflection=False, power=power):
            assert np.all(np.abs(values) <= 1e3)
            assert np.max(np.abs(values)) ** 2 * 10 ** (power / 10) <= 1.001e3  # mW: 1 W destroys the receiver
        if possible_densities(np.array(values).real, 1e5):
            assert np.all(np.isfinite(np.real(values)))


@pytest.fixture(params=DRIVERS)
def opened(request: pytest.FixtureRequest, twin: LabnisVisaLibrary) -> tuple[Any, FrontPanel]:
    role = request.param
    instrument = DRIVERS[role](f"fuzzed_{role}", ADDRESSES[role], visalib=VISALIB, timeout=0.2)
    instrument.log.setLevel("ERROR")
    return instrument, twin.panels[role]


PARSERS = {
    "next_error": lambda it: it.next_error(),
    "check_errors": lambda it: it.check_errors(),
    "connect_message": lambda it: it.connect_message(),
    "_catalog": lambda it: it._catalog(),
    "_shown_blocks": lambda it: it._shown_blocks(),
    "_asked_trigger_state": lambda it: it._asked_trigger_state(),
    "ask_block": lambda it: it.ask_block("CALC:DATA? SDATA", 4, "<f8"),
    "_channel_temperature": lambda it: it._channel_temperature(1),
    "_time_constant": lambda it: it._time_constant(),
    "require_unchanged": lambda it: it.require_unchanged("now"),
}


@ROBUST
@given(
    answers=st.lists(st.binary(max_size=60) | TEXTS.map(lambda text: text.encode("utf-8", "replace")), max_size=6),
    parser=st.sampled_from(sorted(PARSERS)),
)
@example(answers=[b"#41\xb2\xb3"], parser="ask_block")
@example(answers=[b"#0"], parser="ask_block")
@example(answers=[b"1,"], parser="next_error")
def test_a_parser_of_a_driver_raises_errors_of_ours_only(
    opened: tuple[Any, FrontPanel], answers: list[bytes], parser: str
) -> None:
    instrument, panel = opened
    if not hasattr(instrument, parser):
        return
    panel.drain()
    instrument._in_step, instrument._confirmed = True, {":SOUR:FUNC?": "VOLT", ":SENS:COUN?": 1.0}
    identity, left = instrument._identity, list(answers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panel, "execute", lambda _: [left.pop()] if left else [])
        try:
            PARSERS[parser](instrument)
        except InstrumentError as error:
            assert instrument.name in str(error)
        finally:
            instrument._identity = identity


def test_an_identity_that_is_not_repeated_is_refused(opened: tuple[Any, FrontPanel]) -> None:
    instrument, panel = opened
    answers = [b"SOMEBODY,ELSE,1,0"]
    honest = panel.execute
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panel, "execute", lambda message: [answers.pop()] if answers else honest(message))
        with pytest.raises(CommunicationError, match=r"'\*IDN\?'.*'SOMEBODY,ELSE,1,0', as before"):
            instrument.connect_message()
