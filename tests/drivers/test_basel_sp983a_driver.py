"""The Basel SP983a as an amplifier that reports its gain and its overload, or an error."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.basel_sp983a import BaselSP983a
from drivers.capabilities import GainReporting
from drivers.errors import CommunicationError, InstrumentError, SettingError
from labnis.station.role_check import missing_members
from sim_instruments import Twin
from tests.metered_twin import panel_of
from tests.preamplifier_twin import preamplifier_twin


@pytest.fixture
def twin() -> Iterator[Twin]:
    with preamplifier_twin("BaselSP983a") as found:
        yield found


@pytest.fixture
def panel(twin: Twin) -> Any:
    return panel_of(twin, "preamp")


@pytest.fixture
def preamp(twin: Twin) -> BaselSP983a:
    return opened(twin)


def opened(twin: Twin, **options: Any) -> BaselSP983a:
    return BaselSP983a("preamp", twin.addresses["preamp"], visalib=twin.visalib, timeout=0.2, **options)


def test_it_reports_gain_and_overload(twin: Twin, panel: Any, capsys: pytest.CaptureFixture[str]) -> None:
    preamp = opened(twin)
    assert missing_members(preamp, GainReporting) == []
    assert (preamp.reported_gain(), preamp.overloaded()) == (1e7, False)
    panel.overloaded, panel.gain = True, 1e9
    assert (preamp.reported_gain(), preamp.overloaded()) == (1e9, True)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("answer", "overloaded"),
    [("Overload: 1", True), ("Overload: NO", False), ("0", False), ("No overload", False), ("OVERLOAD", True)],
)
def test_usual_words_for_an_overload_are_understood(
    twin: Twin, panel: Any, answer: str, overloaded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    preamp = opened(twin)
    monkeypatch.setattr(panel, "execute", lambda _: [answer.encode()])
    assert preamp.overloaded() is overloaded


def test_another_answer_is_told_and_can_be_left_out(twin: Twin, panel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    preamp = opened(twin)
    monkeypatch.setattr(panel, "execute", lambda _: [b"Overload: perhaps"])
    with pytest.raises(SettingError, match=r"answered 'perhaps' to 'GET O'.*reads_overload: false under init"):
        preamp.overloaded()
    monkeypatch.undo()
    preamp.close()
    panel.overloaded = True
    assert opened(twin, reads_overload=False).overloaded() is False


def test_a_late_answer_is_not_taken_for_the_gain(twin: Twin, panel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    preamp, honest = opened(twin), panel.execute
    answers = [[b"Overload: 0"], [b"Gain: 1E"], [b"Gain: 1E12"]]
    monkeypatch.setattr(panel, "execute", lambda message: answers.pop() if answers else honest(message))
    with pytest.raises(CommunicationError, match=r"answered 'Overload: 0' to 'GET G'; Gain: 1E5 to 1E9 expected"):
        preamp.reported_gain()
    assert preamp.reported_gain() == 1e7


def test_no_answer_is_told_also_when_it_is_opened(twin: Twin, panel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    preamp = opened(twin)
    monkeypatch.setattr(panel, "execute", lambda _: [])
    with pytest.raises(CommunicationError, match=r"preamp \(ASRL0::INSTR\): no usable answer to 'GET G'"):
        preamp.reported_gain()
    preamp.close()
    with pytest.raises(CommunicationError, match="no usable answer"):
        opened(twin)


NAMED = st.from_regex(r"(Gain|Overload): .{0,10}").map(lambda text: text.encode("latin-1", "replace"))


@pytest.mark.faults
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=30)
@given(answer=st.binary(max_size=60) | NAMED)
def test_any_answer_ends_in_a_decade_or_an_error(preamp: BaselSP983a, panel: Any, answer: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panel, "execute", lambda _: [answer])
        for question in (preamp.reported_gain, preamp.overloaded):
            try:
                assert question() in (1e5, 1e6, 1e7, 1e8, 1e9, True, False)
            except InstrumentError as error:
                assert "preamp" in str(error)
