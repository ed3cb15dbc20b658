"""The R&S ZNB in its role: right traces in every state that an earlier user may have left, and every fault an error."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.errors import InstrumentError, OverloadError, ReadingError, RejectedCommandError, SettingError
from drivers.rohde_schwarz_znb import RohdeSchwarzZNB
from drivers.roles import VectorNetworkAnalyzer
from labnis.station.role_check import missing_members
from sim_instruments import Twin
from tests.acquiring import acquired
from tests.vna_twin import (
    SWEEP,
    panel_of,
    require_no_wrong_number,
    require_power_before_output,
    require_right,
    vna_twin,
)


@pytest.fixture(name="twin", params=["RohdeSchwarzZNB"])
def znb_twin(request: pytest.FixtureRequest) -> Iterator[Twin]:
    with vna_twin(request.param) as twin:
        yield twin


@pytest.fixture
def vna(twin: Twin) -> RohdeSchwarzZNB:
    return RohdeSchwarzZNB("vna", twin.addresses["vna"], visalib=twin.visalib)


@pytest.mark.parametrize("twin", ["RohdeSchwarzZNB8", "RohdeSchwarzZNB20", "RohdeSchwarzZNB40"], indirect=True)
def test_it_fills_the_role_and_measures(vna: RohdeSchwarzZNB) -> None:
    assert missing_members(vna, VectorNetworkAnalyzer) == []
    vna.prepare(**SWEEP)
    require_right(vna)
    assert vna.next_error() is None


def test_connecting_and_preparing_leave_what_is_not_needed(vna: RohdeSchwarzZNB) -> None:
    """QCoDeS's driver resets the instrument and removes its channels; this one does not."""
    panel = panel_of(vna)
    assert panel.trace_names() == ["Trc1"]
    assert panel.state["output"] is True
    panel.execute("CALC3:PAR:SDEF 'mine','S22'")
    vna.prepare(**SWEEP)
    acquired(vna)
    assert panel.trace_names() == ["Trc1", "labnis_S11", "mine"]


@pytest.mark.parametrize(
    "left",
    [
        "SENS1:SWE:TYPE POIN", "SENS1:SWE:TYPE CW", "SENS1:SWE:TYPE LOG", "TRIG1:SOUR EXT", "TRIG1:SOUR MAN",
        "SENS1:SWE:DWEL 0.01", "SENS1:SWE:TIME 5", "SENS1:SWE:COUN 7", "SENS1:AVER:MODE MOV", "SENS1:AVER OFF",
        "SENS1:BAND:SEL HIGH", "SENS1:SWE:GEN ANAL", "FORM:BORD SWAP", "FORM REAL,32", "OUTP OFF",
        "SOUR1:POW1:STAT OFF", "CONF:CHAN1:MEAS OFF", "INIT:CONT:ALL OFF", "CALC:PAR:DEL:ALL", "SYST:DISP:UPD OFF",
        "CALC1:PAR:SDEF 'labnis_S11','S11';:CALC1:FORM PHAS;:CALC1:SMO ON;:CALC1:FILT:TIME:STAT ON",
    ],
)  # fmt: skip
def test_what_an_earlier_user_left_changes_nothing(vna: RohdeSchwarzZNB, left: str) -> None:
    panel = panel_of(vna)
    panel.execute(left)
    assert not panel.errors
    vna.prepare(**SWEEP)
    require_right(vna)


def test_delays_and_calibrations_stay_and_are_recorded(vna: RohdeSchwarzZNB, caplog: pytest.LogCaptureFixture) -> None:
    panel = panel_of(vna)
    panel.execute("SENS1:CORR:EDEL1:TIME 1E-9;:SENS1:CORR ON")
    with caplog.at_level(logging.WARNING):
        vna.prepare(**SWEEP)
    assert "applies an electrical delay of 1e-09 s at port 1" in caplog.text
    assert "applies a calibration" in caplog.text
    acquired(vna)
    parameters = vna.snapshot(update=True)["parameters"]
    assert (parameters["delay1"]["value"], parameters["correction"]["value"]) == (1e-9, True)
    panel.execute("SENS1:CORR:EDEL1:TIME 0")
    with pytest.raises(InstrumentError):
        acquired(vna)


def test_another_parameter(twin: Twin) -> None:
    through = RohdeSchwarzZNB("through", twin.addresses["vna"], parameter="S21", visalib=twin.visalib)
    through.prepare(**SWEEP)
    assert np.max(np.abs(acquired(through))) < 1e-3  # port 2 is not connected


def test_an_overload_is_an_error_of_the_sweep_that_had_it(vna: RohdeSchwarzZNB) -> None:
    panel = panel_of(vna)
    vna.prepare(**SWEEP)
    panel.overloaded = True
    with pytest.raises(OverloadError, match="a receiver was overloaded"):
        acquired(vna)
    panel.overloaded = False
    require_right(vna)


@pytest.mark.parametrize(("bits", "said"), [(2, "external reference fails"), (4, "not leveled"), (512, "not stable")])
def test_faults_of_the_hardware_are_errors(vna: RohdeSchwarzZNB, bits: int, said: str) -> None:
    vna.prepare(**SWEEP)
    panel_of(vna).condition = bits
    with pytest.raises(ReadingError, match=said):
        acquired(vna)


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("SENS1:BAND 10 KHZ", InstrumentError), ("SOUR1:POW1 0", InstrumentError), ("OUTP OFF", SettingError),
        ("*RST", InstrumentError), ("CALC:PAR:DEL:ALL", InstrumentError), ("NONSENSE", RejectedCommandError),
        ("FORM:BORD SWAP", InstrumentError),
    ],
)  # fmt: skip
def test_a_change_by_somebody_else_is_found(vna: RohdeSchwarzZNB, command: str, error: type[InstrumentError]) -> None:
    vna.prepare(**SWEEP)
    vna.timeout(0.2)
    vna.start()
    panel_of(vna).world.clock.sleep(vna.duration())
    panel_of(vna).execute(command)
    with pytest.raises(error):
        vna.fetch()


def test_a_trigger_that_never_comes_ends_in_an_error(vna: RohdeSchwarzZNB) -> None:
    vna.prepare(**SWEEP)
    panel_of(vna).execute("TRIG1:SOUR EXT")
    with pytest.raises(ReadingError, match="has not finished"):
        acquired(vna)


@pytest.mark.parametrize("header", ["TRIG1:SOUR", "AVER:MODE", "SWE:TYPE", "FREQ:CENT", "POW1 ", "OUTP1", "BORD"])
def test_an_ignored_setting_is_an_error(vna: RohdeSchwarzZNB, header: str, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = panel_of(vna)
    panel.execute("TRIG1:SOUR MAN;:SENS1:SWE:TYPE LOG;:SOUR1:POW1 -20;:OUTP OFF")
    honest = panel.execute_unit
    ignored = lambda unit: None if header in unit and "?" not in unit else honest(unit)  # noqa: E731
    monkeypatch.setattr(panel, "execute_unit", ignored)
    with pytest.raises(SettingError, match=r"reads .* where .* was requested"):
        vna.prepare(**SWEEP)
    if header == "POW1 ":
        assert panel.state["output"] is False


@pytest.mark.parametrize(
    "change",
    [
        lambda block: block[:-1000],
        lambda block: block[:-8] + np.array(np.nan, ">f8").tobytes(),
        lambda block: block + b"x",
        lambda _: b"1.0,2.0",
    ],
)
def test_a_damaged_trace_is_no_trace(
    vna: RohdeSchwarzZNB, monkeypatch: pytest.MonkeyPatch, change: Callable[[bytes], bytes]
) -> None:
    vna.prepare(**SWEEP)
    panel = panel_of(vna)
    honest = panel.encode
    monkeypatch.setattr(panel, "encode", lambda values: change(honest(values)))
    with pytest.raises(ReadingError, match="CALC1:DATA"):
        acquired(vna)


@pytest.mark.parametrize(
    ("name", "value"),
    [("averages", 0), ("points", 100_002), ("span", float("nan")), ("center", 20e9), ("power", -61.0), ("power", 26.0)],
)
def test_arguments_out_of_range_send_nothing(
    vna: RohdeSchwarzZNB, monkeypatch: pytest.MonkeyPatch, name: str, value: float
) -> None:
    seen: list[bytes] = []
    monkeypatch.setattr(panel_of(vna), "receive", seen.append)
    with pytest.raises(ValueError, match=f"{name} is .* allowed are"):
        vna.prepare(**{**SWEEP, name: value})
    assert seen == []


def test_another_model_is_refused(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "sim_instruments.panels.rohde_schwarz_znb.RohdeSchwarzZNB20Panel.identification", "Rohde-Schwarz,ZVA24,1,2"
    )
    with pytest.raises(SettingError, match="Unsupported ZNB model ZVA24"):
        RohdeSchwarzZNB("other", twin.addresses["vna"], visalib=twin.visalib)


def test_an_answer_without_its_end_is_no_answer(vna: RohdeSchwarzZNB, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = panel_of(vna)
    monkeypatch.setattr(type(panel), "terminator", b"")
    with pytest.raises(InstrumentError, match="the line feed is missing"):
        vna.ask_number(":SENS1:SWE:POIN?")


def test_the_power_is_set_before_the_source_goes_on(vna: RohdeSchwarzZNB, monkeypatch: pytest.MonkeyPatch) -> None:
    require_power_before_output(vna, monkeypatch, ":SOUR1:POW1 ", ":SOUR1:POW1:STAT 1", ":OUTP1 1")


def test_a_line_with_a_terminator_as_a_socket_has_it(twin: Twin) -> None:
    vna = RohdeSchwarzZNB("socket", twin.addresses["vna"], visalib=twin.visalib, terminator="\n")
    vna.prepare(**SWEEP)
    require_right(vna)
    assert vna.rf_power() is True


@pytest.mark.faults
def test_one_swapped_answer_never_makes_a_wrong_number(twin: Twin) -> None:
    require_no_wrong_number(RohdeSchwarzZNB, twin)


@pytest.mark.faults
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(at=st.integers(0, 60), answer=st.binary(max_size=40) | st.floats().map(lambda x: str(x).encode()))
def test_any_answer_is_an_error_of_ours_or_a_right_number(vna: Any, at: int, answer: bytes) -> None:
    panel = panel_of(vna)
    panel.switch_on()
    vna._in_step = True
    vna.timeout(0.1)
    vna.log.setLevel("ERROR")
    count, honest = [0], panel.execute

    def execute(message: str) -> list[bytes]:
        answers: list[bytes] = honest(message)
        count[0] += bool(answers)
        return [answer] if answers and count[0] == at else answers

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panel, "execute", execute)
        try:
            vna.prepare(**{**SWEEP, "points": 11})
            assert np.all(np.abs(acquired(vna)) < 10)
        except InstrumentError as error:
            assert "vna" in str(error)
