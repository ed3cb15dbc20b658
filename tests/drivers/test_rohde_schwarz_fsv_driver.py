"""The drivers of the FSV and the FSW in their role: right densities, and every fault an error that names it."""

from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers import trace_analyzer
from drivers.capabilities import Interruptible
from drivers.errors import CommunicationError, InstrumentError, OverloadError, ReadingError, SettingError
from drivers.rohde_schwarz_fsv import RohdeSchwarzFSV
from drivers.rohde_schwarz_fsw import RohdeSchwarzFSW
from drivers.rohde_schwarz_spectrum import GAUSSIAN
from drivers.roles import SpectrumAnalyzer
from labnis.station.role_check import missing_members
from sim_instruments import Twin
from sim_instruments.panels.rohde_schwarz_spectrum import RohdeSchwarzSpectrumPanel
from sim_instruments.panels.scpi_values import ScpiError, definite_block
from sim_instruments.visa import LabnisVisaLibrary
from tests.acquiring import acquired
from tests.analyzer_twin import SWEEP, analyzer_twin  # noqa: F401  # a fixture

LINE = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(params=[RohdeSchwarzFSV, RohdeSchwarzFSW])
def analyzer(request: pytest.FixtureRequest, twin: Twin) -> RohdeSchwarzFSV:
    name = request.param.__name__[-3:].lower()
    found: RohdeSchwarzFSV = request.param(name, twin.addresses[name], visalib=twin.visalib, timeout=1)
    return found


@pytest.fixture
def panel(analyzer: RohdeSchwarzFSV) -> RohdeSchwarzSpectrumPanel:
    library = analyzer.visa_handle.visalib
    assert isinstance(library, LabnisVisaLibrary)
    found = library.panels[analyzer.name]
    assert isinstance(found, RohdeSchwarzSpectrumPanel)
    return found


def require_right(analyzer: RohdeSchwarzFSV, panel: RohdeSchwarzSpectrumPanel) -> None:
    relative = acquired(analyzer) / panel.world.power_spectral_density(analyzer.frequencies(), 1e14) - 1
    assert abs(np.mean(relative)) < 4 / np.sqrt(analyzer.noise_bandwidth * 10.0)


def test_density_is_the_worlds_and_scatters_by_the_radiometer_equation(
    analyzer: RohdeSchwarzFSV, panel: RohdeSchwarzSpectrumPanel
) -> None:
    assert missing_members(analyzer, SpectrumAnalyzer) == []
    assert missing_members(analyzer, Interruptible) == []
    analyzer.prepare(**SWEEP)
    assert analyzer.noise_bandwidth == pytest.approx(1e6 * GAUSSIAN)
    before = panel.world.clock.time()
    density = acquired(analyzer)
    assert panel.world.clock.time() - before == pytest.approx(analyzer.duration(), abs=0.05)
    axis = analyzer.frequencies()
    assert (axis[0], axis[-1], len(axis)) == (4.62e9, 4.72e9, 1001)
    relative = density / panel.world.power_spectral_density(axis, 1e14) - 1
    samples = analyzer.noise_bandwidth * 0.5 / 1000 * 20
    assert np.std(relative) == pytest.approx(samples**-0.5, rel=0.1)
    assert abs(np.mean(relative)) < 4 / np.sqrt(samples * 1001)
    assert analyzer.ask(":SYST:ERR?") == '0,"No error"'


def test_the_filter_is_one_the_instrument_has(analyzer: RohdeSchwarzFSV) -> None:
    analyzer.prepare(**SWEEP | {"resolution_bandwidth": 150e3})
    assert analyzer.noise_bandwidth in (pytest.approx(100e3 * GAUSSIAN), pytest.approx(200e3 * GAUSSIAN))


@pytest.mark.parametrize(
    "left",
    [
        ":FORM ASC;:UNIT:POW V;:INIT:CONT ON;:DISP:TRAC:Y:SPAC LIN",
        ":INST:SEL IQ;:SWE:MODE ESP;:NONSENSE",
        ":DISP:TRAC:MODE VIEW;:DET SAMP;:AVER:TYPE VID",
        ":DISP:TRAC:MODE MAXH;:DET POS;:AVER:TYPE LIN;:BAND:VID 10",
        ":SWE:TYPE FFT;:BAND:TYPE CFIL;:SWE:COUN 3",
        ":DISP:TRAC:Y:RLEV:OFFS 12;:FREQ:OFFS 1 GHZ",
        ":CORR:TRAN:DATA 1E9,7;:CORR:TRAN:STAT ON",
        ":INP:IMP 75;:INP:SEL DIQ",
        ":POW:NCOR ON;:CALC:MATH:STAT ON;:DISP:TRAC:SMO ON",
        ":TRIG:SOUR EXT;:SWE:EGAT ON",
    ],
)
def test_prepare_takes_over_from_any_state(
    analyzer: RohdeSchwarzFSV, panel: RohdeSchwarzSpectrumPanel, left: str
) -> None:
    panel.execute(left)
    analyzer.prepare(**SWEEP)
    require_right(analyzer, panel)


OUT_OF_RANGE = [
    ("averages", 0), ("averages", 1.5), ("points", 100), ("points", 10**9), ("span", 0.0), ("span", float("nan")),
    ("center", float("inf")), ("center", 1.0), ("resolution_bandwidth", 2e7), ("sweep_time", 0.0),
]  # fmt: skip


def test_arguments_out_of_range_send_nothing(
    analyzer: RohdeSchwarzFSV, panel: RohdeSchwarzSpectrumPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []
    monkeypatch.setattr(panel, "receive", seen.append)
    for name, value in OUT_OF_RANGE:
        with pytest.raises(ValueError, match=f"{name} is .* allowed are"):
            analyzer.prepare(**{**SWEEP, name: value})
    assert seen == []


STUCK = [
    ("rbw", 1e4, ":BAND"), ("averaging", "VID", ":AVER:TYPE"), ("sweeps", 7, ":SWE:COUN"),
    ("center", 1e9, ":FREQ:CENT"), ("vbw", 10.0, ":BAND:VID"), ("sweep type", "AUTO", ":SWE:TYPE"),
    ("impedance", 75, ":INP:IMP"), ("transducer", True, ":CORR:TRAN:STAT"), ("trigger", "EXT", ":TRIG:SOUR"),
]  # fmt: skip


def test_an_ignored_setting_is_found(analyzer: RohdeSchwarzFSV, panel: RohdeSchwarzSpectrumPanel) -> None:
    honest = panel.setting_changed
    for name, stuck, query in STUCK:

        def stick(changed: str, name: str = name, stuck: object = stuck) -> None:
            honest(changed)
            panel.state[name] = stuck

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(panel, "setting_changed", stick)
            with pytest.raises(SettingError, match=rf"fs[vw] \(TCPIP.*\): {query}\? reads"):
                analyzer.prepare(**SWEEP)
        panel.switch_on()


def test_an_acquisition_is_repeated_on_a_new_connection(
    analyzer: RohdeSchwarzFSV, panel: RohdeSchwarzSpectrumPanel
) -> None:
    analyzer.prepare(**SWEEP)
    analyzer.visa_handle.close()
    assert np.all(acquired(analyzer) > 0)
    assert analyzer.reconnections == 1


def test_a_model_without_preamplifier_is_not_asked_for_it(
    twin: Twin, analyzer: RohdeSchwarzFSV, panel: RohdeSchwarzSpectrumPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = panel.execute_unit

    def execute_unit(unit: str) -> str | bytes | None:
        if "GAIN" in unit or "NCOR" in unit:
            raise ScpiError(-241)
        return honest(unit)

    monkeypatch.setattr(type(panel), "options", "B4")
    monkeypatch.setattr(panel, "execute_unit", execute_unit)
    plain = type(analyzer)("plain", twin.addresses[analyzer.name], visalib=twin.visalib)
    plain.prepare(**SWEEP)
    require_right(plain, panel)


@pytest.mark.parametrize("command", [":AVER:TYPE VID", ":INP:ATT 20", ":INP:GAIN:STAT ON", ":DISP:TRAC:Y:RLEV -20"])
def test_a_setting_changed_in_mid_run_is_found(
    analyzer: RohdeSchwarzFSV, panel: RohdeSchwarzSpectrumPanel, command: str
) -> None:
    analyzer.prepare(**SWEEP)
    panel.execute(command)
    with pytest.raises(SettingError, match="after the measurement"):
        acquired(analyzer)


def test_a_reset_in_mid_run_is_found(analyzer: RohdeSchwarzFSV, panel: RohdeSchwarzSpectrumPanel) -> None:
    analyzer.prepare(**SWEEP)
    panel.switch_on()
    with pytest.raises(InstrumentError):
        acquired(analyzer)


def test_an_overload_is_an_error_and_then_forgotten(
    analyzer: RohdeSchwarzFSV, panel: RohdeSchwarzSpectrumPanel
) -> None:
    analyzer.prepare(**SWEEP)
    panel.overloaded = True
    with pytest.raises(OverloadError, match=r"input overload during the sweep \(:STAT:QUES:POW:COND\? reads 1\)"):
        acquired(analyzer)
    panel.overloaded = False
    analyzer.prepare(**SWEEP)
    require_right(analyzer, panel)


def test_an_overload_of_the_intermediate_frequency_is_an_error(
    analyzer: RohdeSchwarzFSV, panel: RohdeSchwarzSpectrumPanel
) -> None:
    panel.execute(":DISP:TRAC:Y:RLEV -100")
    analyzer.prepare(**SWEEP)
    with pytest.raises(OverloadError, match=r"reads 4.*reference level"):
        acquired(analyzer)


def test_a_missing_reference_is_an_error(analyzer: RohdeSchwarzFSV, panel: RohdeSchwarzSpectrumPanel) -> None:
    panel.execute(":ROSC:SOUR EXT")
    analyzer.prepare(**SWEEP)
    with pytest.raises(ReadingError, match="had no external frequency reference"):
        acquired(analyzer)


def test_low_frequencies_need_direct_coupling(analyzer: RohdeSchwarzFSV, panel: RohdeSchwarzSpectrumPanel) -> None:
    low = SWEEP | {"center": 5e6, "span": 1e6, "resolution_bandwidth": 1e4}
    with pytest.raises(SettingError, match=r":INP:COUP\? reads AC"):
        analyzer.prepare(**low)
    panel.execute(":INP:COUP DC")
    analyzer.prepare(**low)


def test_an_alignment_is_waited_for(analyzer: RohdeSchwarzFSV, panel: RohdeSchwarzSpectrumPanel) -> None:
    analyzer.prepare(**SWEEP)
    panel.world.clock.later(5.0, lambda: panel.align(60.0))
    before = panel.world.clock.time()
    require_right(analyzer, panel)
    assert panel.world.clock.time() - before == pytest.approx(70.0, abs=0.5)


def test_an_acquisition_can_be_aborted(analyzer: RohdeSchwarzFSV, panel: RohdeSchwarzSpectrumPanel) -> None:
    analyzer.prepare(**SWEEP)
    analyzer.start()
    assert not analyzer.finished()
    analyzer.abort()
    assert not panel.operation_pending()
    panel.execute(":TRIG:SOUR EXT")
    with pytest.raises(ReadingError, match="Check its trigger source"):
        acquired(analyzer)
    assert not panel.operation_pending()


def refuse(_block: bytes) -> bytes:
    raise ScpiError(-230)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda block: block[:-1000], ReadingError),
        (lambda block: definite_block(block[6:-4]), ReadingError),
        (lambda block: definite_block(np.frombuffer(block[6:], "<f4").byteswap().tobytes()), ReadingError),
        (lambda _: b"-120.1,-120.2", ReadingError),
        (lambda block: block[:-4] + np.array(np.nan, "<f4").tobytes(), ReadingError),
        (lambda block: block[:-4] + np.array(-400, "<f4").tobytes(), ReadingError),
        (lambda block: block[:-4] + np.array(200, "<f4").tobytes(), ReadingError),
        (lambda block: block[:-4] + np.array(9.91e37, "<f4").tobytes(), OverloadError),
        (refuse, CommunicationError),
    ],
)
def test_a_damaged_trace_is_no_trace(
    analyzer: RohdeSchwarzFSV,
    panel: RohdeSchwarzSpectrumPanel,
    monkeypatch: pytest.MonkeyPatch,
    change: Any,
    error: type[InstrumentError],
) -> None:
    monkeypatch.setattr(trace_analyzer, "TIMEOUT_MARGIN", 0.2)
    analyzer.prepare(**SWEEP)
    honest = panel.trace_data
    monkeypatch.setattr(panel, "trace_data", lambda call: change(honest(call)))
    with pytest.raises(error, match=r"fs[vw] \(TCPIP.*:TRAC\? TRACE1") as caught:
        acquired(analyzer)
    assert type(caught.value) is error


def test_nothing_is_measured_unprepared(analyzer: RohdeSchwarzFSV) -> None:
    with pytest.raises(RuntimeError, match="prepare"):
        acquired(analyzer)


def test_a_snapshot_has_the_settings(analyzer: RohdeSchwarzFSV) -> None:
    analyzer.prepare(**SWEEP)
    parameters = analyzer.snapshot(update=True)["parameters"]
    assert parameters["resolution_bandwidth"]["value"] == 1e6
    assert parameters["detector"]["value"] == "RMS"
    assert analyzer.ask(":SYST:ERR?") == '0,"No error"'


def session(analyzer: RohdeSchwarzFSV) -> list[Any]:
    """Two different spectra."""
    found: list[Any] = []
    for center, points, averages in ((4.62e9, 1000, 2), (4.71e9, 101, 50)):
        sweep = {"points": points, "averages": averages, "resolution_bandwidth": 1e6, "sweep_time": 0.5}
        analyzer.prepare(center=center, span=1e6, **sweep)
        spectrum = acquired(analyzer)
        axis = analyzer.frequencies()
        found += [axis[0], axis[-1], len(spectrum), np.median(spectrum), analyzer.duration(), analyzer.noise_bandwidth]
    return found


@pytest.mark.faults
def test_one_swapped_answer_never_makes_a_wrong_number(
    analyzer: RohdeSchwarzFSV, panel: RohdeSchwarzSpectrumPanel
) -> None:
    clean, honest = session(analyzer), panel.execute
    for at in count(1):
        state: dict[str, Any] = {"number": 0, "before": [], "asked": ""}

        def behind(message: str, at: int = at, state: dict[str, Any] = state) -> list[bytes]:
            answer = honest(message)
            if not answer:
                return answer
            state["number"] += 1
            if state["number"] == at:
                state["asked"] = message
                answer, state["before"] = state["before"], answer
                return answer
            state["before"] = answer
            return answer

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(panel, "execute", behind)
            try:
                found = session(analyzer)
            except InstrumentError as error:
                assert analyzer.name in str(error)
            else:
                assert np.allclose(found, clean, rtol=0.05, atol=0), f"answer {at}, to {state['asked']!r}: {found}"
        if not state["asked"]:
            break
        panel.drain()
    assert at > 100


@pytest.mark.faults
@LINE
@given(at=st.integers(0, 130), answer=st.binary(max_size=40) | st.floats().map(lambda value: f"{value:g}".encode()))
def test_whatever_is_answered_is_an_error_of_ours_or_a_possible_number(twin: Twin, at: int, answer: bytes) -> None:
    fsv = opened_once(twin)
    library = fsv.visa_handle.visalib
    assert isinstance(library, LabnisVisaLibrary)
    panel = library.panels["fsv"]
    panel.switch_on()
    panel.drain()
    honest, left = panel.execute, [at]

    def spoiled(message: str) -> list[bytes]:
        answers = honest(message)
        if answers:
            left[0] -= 1
        return [answer] if answers and left[0] == 0 else answers

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trace_analyzer, "TIMEOUT_MARGIN", 0.2)
        patch.setattr(panel, "execute", spoiled)
        try:
            fsv.prepare(**SWEEP | {"points": 101, "averages": 1})
            assert np.all((acquired(fsv) > 0) & (fsv.noise_bandwidth == 1e6 * GAUSSIAN))
        except InstrumentError as error:
            assert fsv.name in str(error)


def opened_once(twin: Twin) -> RohdeSchwarzFSV:
    try:
        found = RohdeSchwarzFSV.find_instrument("fuzzed", RohdeSchwarzFSV)
    except KeyError:
        found = RohdeSchwarzFSV("fuzzed", twin.addresses["fsv"], visalib=twin.visalib, timeout=0.2)
        found.log.setLevel("ERROR")
    return found
