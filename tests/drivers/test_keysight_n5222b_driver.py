"""The network analyzer driver in its role: right traces, and every fault an error that names it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from drivers.errors import (
    CommunicationError,
    InstrumentError,
    OverloadError,
    ReadingError,
    RejectedCommandError,
    SettingError,
)
from drivers.keysight_n5222b import KeysightN5222B
from drivers.roles import VectorNetworkAnalyzer
from labnis.station.role_check import missing_members
from sim_instruments import ADDRESSES
from sim_instruments.panels.keysight_n5222b import KeysightN5222BPanel
from sim_instruments.panels.scpi_values import ScpiError
from sim_instruments.visa import LabnisVisaLibrary
from tests.acquiring import acquired
from tests.shipped_twin import VISALIB

SWEEP: dict[str, Any] = {
    "center": 4.67e9,
    "span": 100e6,
    "points": 401,
    "power": -10.0,
    "if_bandwidth": 1000.0,
    "averages": 8,
}


@pytest.fixture
def panel(twin: LabnisVisaLibrary) -> KeysightN5222BPanel:
    found = twin.panels["vna"]
    assert isinstance(found, KeysightN5222BPanel)
    return found


@pytest.fixture
def vna(twin: LabnisVisaLibrary) -> KeysightN5222B:
    return KeysightN5222B("vna", ADDRESSES["vna"], visalib=VISALIB)


def refuse(_block: bytes) -> bytes:
    """No answer at all, as after an error in the instrument."""
    raise ScpiError(-230)


def test_trace_is_the_worlds_reflection(vna: KeysightN5222B, twin: LabnisVisaLibrary) -> None:
    assert missing_members(vna, VectorNetworkAnalyzer) == []
    vna.prepare(**SWEEP)
    before = twin.clock.time()
    trace = acquired(vna)
    assert twin.clock.time() - before == pytest.approx(vna.duration(), abs=0.05)
    assert vna.duration() > 401 * 8 / 1000
    axis = vna.frequencies()
    assert (axis[0], axis[-1], len(axis)) == (4.62e9, 4.72e9, 401)
    clean = twin.world.reflection(axis, 1e-4, 1e-12)
    noise = np.std(twin.world.reflection(axis, 1e-4, 1e9) - clean) * np.sqrt(1000 / 8 / 1e9)
    assert trace.dtype == np.complex128
    assert np.std(trace - clean) == pytest.approx(noise, rel=0.2)
    assert vna.ask("SYST:ERR?") == '+0,"No error"'


def test_opening_leaves_the_selected_trace(twin: LabnisVisaLibrary, panel: KeysightN5222BPanel) -> None:
    panel.receive(b":CALC:PAR:DEF:EXT 'mine','S21';:CALC:PAR:SEL 'mine'")
    opened = KeysightN5222B("vna", ADDRESSES["vna"], visalib=VISALIB)
    assert panel.selected == 2
    assert [trace.trace_name for trace in opened.traces] == ["CH1_S11_1", "mine"]  # upstream's own list, as ever
    opened.prepare(**SWEEP)
    assert panel.selected == 1


def test_short_narrow_sweeps_are_allowed(vna: KeysightN5222B) -> None:
    """QCoDeS's own span parameter refuses less than 10 MHz, which the instrument does not."""
    vna.prepare(**{**SWEEP, "span": 1e6, "points": 2})
    assert acquired(vna).shape == (2,)


def test_qcodes_methods_still_read_their_format(vna: KeysightN5222B) -> None:
    vna.prepare(**SWEEP)
    expected = 20 * np.log10(np.abs(acquired(vna)))
    vna.auto_sweep(False)
    np.testing.assert_allclose(vna.traces[0].magnitude(), expected, rtol=1e-5)


def test_another_parameter_gets_its_own_trace(twin: LabnisVisaLibrary) -> None:
    through = KeysightN5222B("through", ADDRESSES["vna"], parameter="S21", visalib=VISALIB)
    through.prepare(**SWEEP)
    assert np.max(np.abs(acquired(through))) < 1e-3  # port 2 is not connected
    assert through.get_trace_catalog() == "CH1_S11_1,S11,labnis_S21,S21"


def test_no_such_parameter() -> None:
    with pytest.raises(ValueError, match="S11 to S44"):
        KeysightN5222B("vna", ADDRESSES["vna"], parameter="S15", visalib=VISALIB)


def test_timeout_covers_the_sweep_for_that_query_only(vna: KeysightN5222B) -> None:
    vna.prepare(**{**SWEEP, "averages": 100})
    assert vna.duration() > 30
    acquired(vna)
    assert vna.timeout() == 5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("averages", -1), ("averages", 0), ("averages", 2.0), ("points", 1), ("points", 10**9), ("span", 0.0),
        ("span", -1.0), ("span", float("nan")), ("center", 26.5e9), ("power", 13.1), ("power", -100.0),
        ("power", float("nan")), ("if_bandwidth", 0.0), ("if_bandwidth", float("inf")),
    ],
)  # fmt: skip
def test_arguments_out_of_range_send_nothing(
    vna: KeysightN5222B, panel: KeysightN5222BPanel, monkeypatch: pytest.MonkeyPatch, name: str, value: float
) -> None:
    seen: list[bytes] = []
    monkeypatch.setattr(panel, "receive", seen.append)
    with pytest.raises(ValueError, match=f"{name} is .* allowed are"):
        vna.prepare(**{**SWEEP, name: value})
    assert seen == []


def test_a_bandwidth_the_instrument_does_not_have_is_an_error(vna: KeysightN5222B) -> None:
    with pytest.raises(SettingError, match=r"SENS:BAND.* reads 1500 where 1100"):
        vna.prepare(**{**SWEEP, "if_bandwidth": 1100.0})


def test_the_source_stays_off_if_its_power_was_not_taken(
    vna: KeysightN5222B, panel: KeysightN5222BPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel.state["output"] = False
    monkeypatch.setattr(panel, "show_number", lambda value: f"{value + 3:+.6E}")
    with pytest.raises(SettingError, match="SOUR:POW1"):
        vna.prepare(**SWEEP)
    assert panel.state["output"] is False


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda block: block[:-1000], ReadingError),
        (lambda block: block[:3], ReadingError),
        (lambda block: block[:-8] + np.array(np.nan, ">f8").tobytes(), ReadingError),
        (lambda block: block[:-8] + np.array(9.91e37, ">f8").tobytes(), OverloadError),
        (lambda block: block + b"x", ReadingError),
        (lambda _: b"+1.0,+2.0", ReadingError),
        (refuse, CommunicationError),
    ],
)
def test_a_damaged_trace_is_no_trace(
    vna: KeysightN5222B,
    panel: KeysightN5222BPanel,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[bytes], bytes],
    error: type[InstrumentError],
) -> None:
    vna.prepare(**SWEEP)
    honest = panel.encode
    monkeypatch.setattr(panel, "encode", lambda values: change(honest(values)))
    with pytest.raises(error, match=f"vna.*{ADDRESSES['vna']}.*CALC:DATA") as caught:
        acquired(vna)
    assert type(caught.value) is error


def test_receiver_overload_is_an_error(vna: KeysightN5222B, panel: KeysightN5222BPanel) -> None:
    vna.prepare(**SWEEP)
    panel.overloaded = True
    with pytest.raises(OverloadError, match="Receiver overload"):
        acquired(vna)


def test_an_instrument_error_during_the_sweep_is_an_error(vna: KeysightN5222B, panel: KeysightN5222BPanel) -> None:
    vna.prepare(**SWEEP)
    panel.report(ScpiError(-300, "Device-specific error;phase lock lost"))
    with pytest.raises(RejectedCommandError, match="phase lock lost"):
        acquired(vna)


@pytest.mark.parametrize("command", [":SENS:BAND 10 KHZ", ":SOUR:POW 0", ":OUTP OFF", ":SENS:FREQ:CENT 5 GHZ", "*RST"])
def test_a_setting_changed_by_somebody_else_is_found(
    vna: KeysightN5222B, panel: KeysightN5222BPanel, command: str
) -> None:
    vna.prepare(**SWEEP)
    panel.execute(command)
    with pytest.raises(InstrumentError):
        acquired(vna)


def test_nothing_is_measured_unprepared(vna: KeysightN5222B) -> None:
    with pytest.raises(RuntimeError, match="prepare"):
        acquired(vna)
