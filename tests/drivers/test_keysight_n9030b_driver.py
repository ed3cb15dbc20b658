"""The analyzer driver in its role: right densities, and every fault an error that names it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from drivers import acquiring
from drivers.capabilities import Interruptible
from drivers.errors import (
    CommunicationError,
    InstrumentError,
    OverloadError,
    ReadingError,
    RejectedCommandError,
    SettingError,
)
from drivers.keysight_n9030b import KeysightN9030B
from drivers.roles import SpectrumAnalyzer
from labnis.station.role_check import missing_members
from sim_instruments import ADDRESSES
from sim_instruments.panels.keysight_n9030b import KeysightN9030BPanel
from sim_instruments.panels.scpi_values import ScpiError, definite_block
from sim_instruments.visa import LabnisVisaLibrary
from tests.acquiring import acquired
from tests.shipped_twin import VISALIB

SWEEP: dict[str, Any] = {
    "center": 4.67e9,
    "span": 100e6,
    "points": 1001,
    "resolution_bandwidth": 1e6,
    "sweep_time": 0.5,
    "averages": 20,
}


@pytest.fixture
def panel(twin: LabnisVisaLibrary) -> KeysightN9030BPanel:
    found = twin.panels["analyzer"]
    assert isinstance(found, KeysightN9030BPanel)
    return found


@pytest.fixture
def analyzer(twin: LabnisVisaLibrary) -> KeysightN9030B:
    return KeysightN9030B("analyzer", ADDRESSES["analyzer"], visalib=VISALIB)


@pytest.fixture
def tamper(panel: KeysightN9030BPanel, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Change the block that the panel is about to send."""

    def install(change: Callable[[bytes], bytes]) -> None:
        honest = panel.encode
        monkeypatch.setattr(panel, "encode", lambda values: change(honest(values)))

    return install


def refuse(_block: bytes) -> bytes:
    """No answer at all, as after an error in the instrument."""
    raise ScpiError(-230)


def test_opening_does_not_end_a_continuous_sweep_that_somebody_watches(
    twin: LabnisVisaLibrary, panel: KeysightN9030BPanel
) -> None:
    panel.receive(b":INIT:CONT 1")
    opened = KeysightN9030B("analyzer", ADDRESSES["analyzer"], visalib=VISALIB)
    assert opened.ask(":INIT:CONT?").strip() == "1"
    opened.write(":SWE:POIN 1001")  # now somebody measures: first what QCoDeS's constructor wanted
    assert opened.ask(":INIT:CONT?").strip() == "0"


def test_density_is_the_worlds_and_scatters_by_the_radiometer_equation(
    analyzer: KeysightN9030B, twin: LabnisVisaLibrary
) -> None:
    assert missing_members(analyzer, SpectrumAnalyzer) == []
    analyzer.prepare(**SWEEP)
    before = twin.clock.time()
    density = acquired(analyzer)
    assert twin.clock.time() - before == pytest.approx(analyzer.duration(), abs=0.02)
    assert analyzer.duration() == pytest.approx(10.0)
    axis = analyzer.frequencies()
    assert axis[0] == 4.62e9
    assert axis[-1] == 4.72e9
    relative = density / twin.world.power_spectral_density(axis, 1e14) - 1
    samples = analyzer.noise_bandwidth * 0.5 / 1000 * 20
    assert np.std(relative) == pytest.approx(samples**-0.5, rel=0.1)
    assert abs(np.mean(relative)) < 4 / np.sqrt(samples * 1001)
    assert analyzer.ask(":SYST:ERR?") == '+0,"No error"'


def test_filter_is_one_the_instrument_has(analyzer: KeysightN9030B) -> None:
    analyzer.prepare(**SWEEP)
    assert analyzer.noise_bandwidth == pytest.approx(910e3 * 1.0567)


def test_timeout_covers_the_measurement_for_that_query_only(analyzer: KeysightN9030B) -> None:
    analyzer.prepare(**SWEEP)
    assert analyzer.duration() > 5
    acquired(analyzer)
    assert analyzer.timeout() == 5


LEFT_BEHIND = [
    ":INIT:CONT ON;:FORM ASC;:FORM:BORD NORM;:UNIT:POW DBM",
    ":DISP:WIND:TRAC:Y:SPAC LIN",
    ":BAND:TYPE DB6;:BAND:SHAP FLAT;:SWE:TYPE FFT",
    ":AVER:TYPE LOG;:DET:TRAC NEG;:TRAC1:TYPE WRIT;:TRAC1:UPD OFF",
    ":CONF:CHP;:NONSENSE",
    ":DISP:WIND:TRAC:Y:RLEV:OFFS 12.7",
    ":CORR:SA:GAIN 20",
    ":CORR:CSET1:DATA 1E9,-3,9E9,-3;:CORR:CSET1 ON",
    ":CORR:NOIS:FLO ON;:CORR:NOIS:FLO:ADAP ON",
    ":FREQ:OFFS 1 GHZ",
    ":CALC:MATH TRACE1,LOFF,TRACE2,TRACE3,-6,0",
    ":FEED EMIX",
    ":FEED:AREF REF50",
    ":TRIG:SOUR EXT1;:SWE:EGAT ON",
    ":INP:COUP DC;:CORR:IMP 75",
]


@pytest.mark.parametrize("left", LEFT_BEHIND)
def test_prepare_takes_over_from_any_state(analyzer: KeysightN9030B, twin: LabnisVisaLibrary, left: str) -> None:
    analyzer.write(left)
    analyzer.prepare(**SWEEP)
    relative = acquired(analyzer) / twin.world.power_spectral_density(analyzer.frequencies(), 1e14) - 1
    assert abs(np.mean(relative)) < 4 / np.sqrt(analyzer.noise_bandwidth * 10.0)


def test_a_normalized_trace_is_not_taken_over(analyzer: KeysightN9030B, panel: KeysightN9030BPanel) -> None:
    analyzer.prepare(**SWEEP)
    acquired(analyzer)
    panel.execute(":CALC:NTD:STOR:REF;:CALC:NTD ON")
    with pytest.raises(SettingError, match=r":CALC:NTD\? reads 1 after the measurement"):
        acquired(analyzer)
    analyzer.prepare(**SWEEP)
    assert panel.state["normalized"] is False


def test_a_model_without_a_feature_needs_none(
    analyzer: KeysightN9030B, panel: KeysightN9030BPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = panel.execute_unit

    def execute_unit(unit: str) -> str | bytes | None:
        if "NOIS:FLO" in unit or "FEED:AREF" in unit:
            raise ScpiError(-113)
        return honest(unit)

    monkeypatch.setattr(panel, "execute_unit", execute_unit)
    analyzer.prepare(**SWEEP)
    assert acquired(analyzer).shape == (1001,)


def test_a_feature_that_cannot_be_switched_off_is_an_error(
    analyzer: KeysightN9030B, panel: KeysightN9030BPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = panel.execute_unit

    def execute_unit(unit: str) -> str | bytes | None:
        if "NOIS:FLO" in unit:
            raise ScpiError(-221)
        return honest(unit)

    monkeypatch.setattr(panel, "execute_unit", execute_unit)
    with pytest.raises(RejectedCommandError, match=r"-221.*\(last command ':CORR:NOIS:FLO 0'\)"):
        analyzer.prepare(**SWEEP)


def test_low_frequencies_need_direct_coupling(analyzer: KeysightN9030B, panel: KeysightN9030BPanel) -> None:
    low = SWEEP | {"center": 10e6, "span": 1e6, "resolution_bandwidth": 1e5}
    with pytest.raises(SettingError, match=r":INP:COUP\? reads AC; the band begins at 9\.5e\+06 Hz.*no DC voltage"):
        analyzer.prepare(**low)
    assert panel.state["coupling"] == "AC"  # a DC voltage there would destroy the mixer
    panel.execute(":INP:COUP DC")
    analyzer.prepare(**low)


@pytest.mark.parametrize("command", [":POW:ATT 20", ":POW:GAIN ON", ":TRAC1:UPD OFF", ":CORR:SA:GAIN 3"])
def test_what_prepare_leaves_must_not_change_in_mid_run(
    analyzer: KeysightN9030B, panel: KeysightN9030BPanel, command: str
) -> None:
    analyzer.prepare(**SWEEP)
    analyzer.start()
    panel.world.clock.sleep(11.0)
    panel.execute(command)
    panel.execute(":INIT:SAN;*WAI")
    with pytest.raises(SettingError, match="after the measurement"):
        analyzer.fetch()


@pytest.mark.parametrize(("begins", "lasts"), [(5.0, 200.0), (1.0, 8.0), (1.0, 15.0), (9.9, 30.0)])
def test_an_alignment_is_waited_for(
    analyzer: KeysightN9030B, panel: KeysightN9030BPanel, begins: float, lasts: float
) -> None:
    analyzer.prepare(**SWEEP)
    panel.world.clock.later(begins, lambda: panel.align(lasts))
    before = panel.world.clock.time()
    assert acquired(analyzer).shape == (1001,)
    assert panel.world.clock.time() - before == pytest.approx(10.0 + lasts, abs=0.2)


def test_an_alignment_before_the_start_does_not_count(analyzer: KeysightN9030B, panel: KeysightN9030BPanel) -> None:
    analyzer.prepare(**SWEEP)
    panel.align(1.0)
    panel.world.clock.sleep(2.0)
    analyzer.start()
    assert not analyzer.interrupted()
    assert missing_members(analyzer, Interruptible) == []


def test_an_alignment_without_an_end_is_told(
    analyzer: KeysightN9030B, panel: KeysightN9030BPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acquiring, "LONGEST_INTERRUPTION", 20.0)
    analyzer.prepare(**SWEEP)
    panel.world.clock.later(5.0, lambda: panel.align(1e4))
    with pytest.raises(ReadingError, match="has not finished an acquisition of 10 s"):
        acquired(analyzer)


def test_a_trigger_that_never_comes_is_told(analyzer: KeysightN9030B, panel: KeysightN9030BPanel) -> None:
    analyzer.prepare(**SWEEP)
    panel.execute(":TRIG:SOUR EXT1")
    with pytest.raises(ReadingError, match="Check its trigger source"):
        acquired(analyzer)
    assert not panel.operation_pending()  # it was aborted


def test_a_sweep_too_fast_for_its_filter_is_a_warning(
    analyzer: KeysightN9030B, caplog: pytest.LogCaptureFixture
) -> None:
    analyzer.prepare(**SWEEP | {"resolution_bandwidth": 10e3, "averages": 1})
    with caplog.at_level("WARNING", logger=analyzer.log.logger.name):
        acquired(analyzer)
    assert "too fast for its filter (Meas Uncal)" in caplog.text


def test_a_missing_reference_is_an_error(analyzer: KeysightN9030B, panel: KeysightN9030BPanel) -> None:
    analyzer.prepare(**SWEEP)
    panel.execute(":ROSC:SOUR:TYPE EXT")
    with pytest.raises(ReadingError, match="no valid frequency reference during the sweep"):
        acquired(analyzer)


@pytest.mark.parametrize(
    ("options", "highest"), [('"503,P03"', 3.7e9), ('"532,B25"', 27e9), ('"550"', 44.5e9), ('"B25, 513"', 13.8e9)]
)
def test_the_options_set_the_band(
    twin: LabnisVisaLibrary, panel: KeysightN9030BPanel, monkeypatch: pytest.MonkeyPatch, options: str, highest: float
) -> None:
    monkeypatch.setattr(type(panel), "options", options)
    analyzer = KeysightN9030B("other", ADDRESSES["analyzer"], visalib=VISALIB)
    with pytest.raises(ValueError, match=f"to {highest - 50e6:.12g} Hz"):
        analyzer.prepare(**SWEEP | {"center": 60e9})


def test_without_a_frequency_option_it_is_another_instrument(
    twin: LabnisVisaLibrary, panel: KeysightN9030BPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(panel), "options", '"B25"')
    with pytest.raises(CommunicationError, match=r"'B25' to '\*OPT\?'; one of the frequency options 503, 508, 513"):
        KeysightN9030B("other", ADDRESSES["analyzer"], visalib=VISALIB)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("averages", -1), ("averages", 0), ("averages", 1.5), ("averages", True), ("points", 1), ("points", 10**9),
        ("span", 0.0), ("span", -1e6), ("span", float("nan")), ("center", 27e9), ("center", float("inf")),
        ("resolution_bandwidth", 0.0), ("sweep_time", 0.0), ("sweep_time", float("nan")),
    ],
)  # fmt: skip
def test_arguments_out_of_range_send_nothing(
    analyzer: KeysightN9030B, panel: KeysightN9030BPanel, monkeypatch: pytest.MonkeyPatch, name: str, value: float
) -> None:
    seen: list[bytes] = []
    monkeypatch.setattr(panel, "receive", seen.append)
    with pytest.raises(ValueError, match=f"{name} is .* allowed are"):
        analyzer.prepare(**{**SWEEP, name: value})
    assert seen == []


@pytest.mark.parametrize(
    ("name", "stuck", "query"),
    [("rbw", 3e6, ":BAND:RES"), ("unit", "DBM", ":UNIT:POW"), ("averages", 100, ":AVER:COUN")],
)
def test_an_ignored_setting_is_found(
    analyzer: KeysightN9030B,
    panel: KeysightN9030BPanel,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    stuck: object,
    query: str,
) -> None:
    honest = panel.setting_changed

    def stick(changed: str) -> None:
        honest(changed)
        panel.state[name] = stuck

    monkeypatch.setattr(panel, "setting_changed", stick)
    with pytest.raises(SettingError, match=rf"analyzer \({ADDRESSES['analyzer']}\): {query}\? reads"):
        analyzer.prepare(**SWEEP)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda block: block[:-1000], ReadingError),
        (lambda block: block[:5], ReadingError),
        (lambda block: definite_block(block[7:-8]), ReadingError),
        (lambda block: block + b"trailing", ReadingError),
        (lambda _: b"4.2e-11,4.3e-11", ReadingError),
        (lambda block: block[:-8] + np.array(np.nan, "<f8").tobytes(), ReadingError),
        (lambda block: block[:-8] + np.array(-1e-12, "<f8").tobytes(), ReadingError),
        (lambda block: block[:-8] + np.array(9.91e37, "<f8").tobytes(), OverloadError),
        (lambda block: block[:-8] + np.array(-9.9e37, "<f8").tobytes(), OverloadError),
        (lambda block: block[:-8] + np.array(np.inf, "<f8").tobytes(), OverloadError),
        (refuse, CommunicationError),
    ],
)
def test_a_damaged_trace_is_no_trace(
    analyzer: KeysightN9030B,
    tamper: Callable[..., None],
    change: Callable[[bytes], bytes],
    error: type[InstrumentError],
) -> None:
    analyzer.prepare(**SWEEP)
    tamper(change)
    with pytest.raises(error, match=f"analyzer.*{ADDRESSES['analyzer']}.*:FETC:SAN1") as caught:
        acquired(analyzer)
    assert type(caught.value) is error


def test_after_a_damaged_trace_the_next_one_is_right(analyzer: KeysightN9030B, panel: KeysightN9030BPanel) -> None:
    analyzer.prepare(**SWEEP)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panel, "encode", lambda values: definite_block(values.tobytes() * 2))
        with pytest.raises(ReadingError):
            acquired(analyzer)
    assert acquired(analyzer).shape == (1001,)


def test_input_overload_is_an_error_and_then_forgotten(analyzer: KeysightN9030B, panel: KeysightN9030BPanel) -> None:
    analyzer.prepare(**SWEEP)
    panel.overloaded = True
    with pytest.raises(OverloadError, match="input overload"):
        acquired(analyzer)
    panel.overloaded = False
    analyzer.prepare(**SWEEP)
    assert acquired(analyzer).shape == (1001,)


def test_an_instrument_error_during_the_sweep_is_an_error(analyzer: KeysightN9030B, panel: KeysightN9030BPanel) -> None:
    analyzer.prepare(**SWEEP)
    panel.report(ScpiError(-310, "System error;LO unlocked"))
    with pytest.raises(RejectedCommandError, match="LO unlocked"):
        acquired(analyzer)


@pytest.mark.parametrize("command", [":UNIT:POW DBM", ":AVER:TYPE LOG", ":BAND:RES 3 MHZ", ":AVER:COUN 3"])
def test_a_setting_changed_by_somebody_else_is_found(
    analyzer: KeysightN9030B, panel: KeysightN9030BPanel, command: str
) -> None:
    analyzer.prepare(**SWEEP)
    panel.execute(command)
    with pytest.raises((SettingError, ReadingError)):
        acquired(analyzer)


def test_a_reset_in_mid_run_is_found(analyzer: KeysightN9030B, panel: KeysightN9030BPanel) -> None:
    analyzer.prepare(**SWEEP)
    panel.switch_on()
    with pytest.raises(InstrumentError):
        acquired(analyzer)


def test_nothing_is_measured_unprepared(analyzer: KeysightN9030B) -> None:
    with pytest.raises(RuntimeError, match="prepare"):
        acquired(analyzer)
