"""The SR570 as an amplifier whose gain is set unseen."""

from collections.abc import Iterator
from typing import Any

import pytest
import pyvisa

from drivers.capabilities import GainReporting, GainSetting
from drivers.errors import CommunicationError, SettingError
from drivers.sr570 import SR570
from labnis.station.role_check import missing_members
from sim_instruments import Twin
from tests.metered_twin import panel_of
from tests.preamplifier_twin import preamplifier_twin


@pytest.fixture
def twin() -> Iterator[Twin]:
    with preamplifier_twin("SR570") as found:
        yield found


@pytest.fixture
def panel(twin: Twin) -> Any:
    return panel_of(twin, "preamp")


@pytest.fixture
def preamp(twin: Twin) -> SR570:
    return SR570("preamp", twin.addresses["preamp"], visalib=twin.visalib)


def test_it_sets_a_gain_and_reports_none(preamp: SR570) -> None:
    assert missing_members(preamp, GainSetting) == []
    assert missing_members(preamp, GainReporting) != []


@pytest.mark.parametrize(
    ("gain", "number"), [(1e12, 0), (5e11, 1), (2e11, 2), (1e7, 15), (2e6, 17), (1e6, 18), (1e3, 27)]
)
def test_the_sensitivity_is_the_inverse_of_the_gain(preamp: SR570, panel: Any, gain: float, number: int) -> None:
    panel.receive(b"SENS 3\r\nSUCM 1\r\n")
    preamp.set_gain(gain)
    assert (panel.state["SENS"], panel.state["SUCM"]) == (number, 0)


def test_a_gain_is_written_once(preamp: SR570, panel: Any, caplog: pytest.LogCaptureFixture) -> None:
    preamp.set_gain(1e7)
    panel.receive(b"SENS 3")
    preamp.set_gain(1e7)
    assert panel.state["SENS"] == 3
    preamp.set_gain(1e6)
    assert panel.state["SENS"] == 18
    assert caplog.text.count("cannot be read") == 2


@pytest.mark.parametrize("gain", [3e7, 1e13, 100.0, 0.0, -1e7])
def test_a_gain_that_it_does_not_have_is_refused(preamp: SR570, panel: Any, gain: float) -> None:
    with pytest.raises(SettingError, match="has no gain of"):
        preamp.set_gain(gain)
    assert panel.state["SENS"] == 18


def test_a_failing_line_is_told_and_the_gain_written_again(
    preamp: SR570, panel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: str) -> None:
        raise pyvisa.VisaIOError(pyvisa.constants.StatusCode.error_connection_lost)

    monkeypatch.setattr(preamp, "write_raw", broken)
    with pytest.raises(CommunicationError, match=r"preamp \(ASRL10::INSTR\): the command 'SENS 15' could not be sent"):
        preamp.set_gain(1e7)
    monkeypatch.undo()
    preamp.set_gain(1e7)
    assert panel.state["SENS"] == 15
