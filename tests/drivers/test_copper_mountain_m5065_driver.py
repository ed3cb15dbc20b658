"""Copper Mountain's analyzers in their role: states that are left, an analyzer that is not connected, triggers."""

import logging
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import numpy as np
import pytest

from drivers.copper_mountain_m5065 import CopperMountainM5065
from drivers.errors import InstrumentError, OverloadError, ReadingError, RejectedCommandError, SettingError
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


@pytest.fixture(name="twin")
def m5065_twin() -> Iterator[Twin]:
    with vna_twin("CopperMountainM5065") as twin:
        yield twin


@pytest.fixture
def vna(twin: Twin) -> CopperMountainM5065:
    return CopperMountainM5065("vna", twin.addresses["vna"], visalib=twin.visalib)


def test_it_fills_the_role_and_measures(vna: CopperMountainM5065) -> None:
    assert missing_members(vna, VectorNetworkAnalyzer) == []
    vna.prepare(**SWEEP)
    require_right(vna)
    assert vna.next_error() is None
    parameters = vna.snapshot(update=True)["parameters"]
    assert (parameters["ready"]["value"], parameters["correction"]["value"]) == (True, False)


@pytest.mark.parametrize(
    "left",
    [
        "TRIG:SOUR EXT", "TRIG:SOUR MAN", "INIT1:CONT OFF", "TRIG:AVER OFF", "TRIG:POIN ON", "SENS1:SWE:TYPE LOG",
        "SENS1:SWE:TYPE SEGM", "SENS1:SWE:POIN:TIME 0.01", "SENS1:AVER OFF", "FORM:DATA REAL", "FORM:BORD SWAP",
        "SOUR1:POW:SLOP:STAT ON", "OUTP OFF", "CALC1:SMO ON", "CALC1:CONV ON", "CALC1:MATH:FUNC DIV",
        "CALC1:FILT:TIME:STAT ON", "CALC1:TRAN:TIME:STAT ON", "CALC1:TRAC1:FORM PHAS", "CALC1:PAR1:DEF S22",
        "CALC1:PAR:COUN 3;:CALC1:PAR1:DEF S21;:CALC1:PAR2:DEF S12;:CALC1:PAR3:DEF S11",
    ],
)  # fmt: skip
def test_what_an_earlier_user_left_changes_nothing(vna: CopperMountainM5065, left: str) -> None:
    panel = panel_of(vna)
    panel.execute(left)
    assert not panel.errors
    vna.prepare(**SWEEP)
    require_right(vna)
    assert vna.next_error() is None


def test_an_electrical_delay_stays_and_is_watched(vna: CopperMountainM5065, caplog: pytest.LogCaptureFixture) -> None:
    panel = panel_of(vna)
    panel.execute("CALC1:CORR:EDEL:TIME 1E-9;:SENS1:CORR:STAT ON")
    with caplog.at_level(logging.WARNING):
        vna.prepare(**SWEEP)
    assert "applies an electrical delay of 1e-09 s" in caplog.text
    assert "applies a calibration" in caplog.text
    acquired(vna)
    panel.execute("CALC1:CORR:EDEL:TIME 0")
    with pytest.raises(SettingError, match="EDEL"):
        acquired(vna)


def test_an_analyzer_that_is_not_connected_is_told(vna: CopperMountainM5065) -> None:
    panel = panel_of(vna)
    panel.connected = False
    with pytest.raises(ReadingError, match=r"the program answers, but its analyzer is not ready"):
        vna.prepare(**SWEEP)
    panel.connected = True
    vna.prepare(**SWEEP)
    acquired(vna)
    panel.connected = False
    with pytest.raises(ReadingError, match="not ready"):
        acquired(vna)
    panel.connected = True
    vna.start()
    panel.world.clock.sleep(vna.duration())
    panel.connected = False  # unplugged after the sweep: its data may be older ones
    with pytest.raises(ReadingError, match="not ready"):
        vna.fetch()


def test_a_sweep_that_never_ends_is_an_error(vna: CopperMountainM5065, monkeypatch: pytest.MonkeyPatch) -> None:
    vna.prepare(**SWEEP)
    panel = panel_of(vna)
    monkeypatch.setattr(panel, "start_operation", lambda *_: setattr(panel, "_for_ever", True))
    with pytest.raises(ReadingError, match="has not finished"):
        acquired(vna)


def test_a_long_trace_is_whole(vna: CopperMountainM5065) -> None:
    vna.prepare(**{**SWEEP, "points": 20001, "if_bandwidth": 1e5, "averages": 1})
    assert acquired(vna).shape == (20001,)


def test_the_averages_of_one_trigger(vna: CopperMountainM5065) -> None:
    vna.prepare(**SWEEP)
    panel = panel_of(vna)
    before = panel.world.clock.time()
    acquired(vna)
    assert panel.world.clock.time() - before > 4 * panel.sweep_time
    assert panel.traces[0].sweeps == 4


@pytest.mark.parametrize("command", ["SENS1:BWID 1E4", "SOUR1:POW 0", "OUTP OFF", "*RST", "CALC1:PAR1:DEF S22"])
def test_a_change_by_somebody_else_is_found(vna: CopperMountainM5065, command: str) -> None:
    vna.prepare(**SWEEP)
    vna.timeout(0.2)
    panel_of(vna).execute(command)
    with pytest.raises(InstrumentError):
        acquired(vna)


@pytest.mark.parametrize("header", ["TRIG:SOUR", "TRIG:AVER", "SWE:TYPE", "FREQ:CENT", "SOUR1:POW ", "OUTP", "SMO"])
def test_an_ignored_setting_is_an_error(vna: CopperMountainM5065, header: str, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = panel_of(vna)
    panel.execute("SENS1:SWE:TYPE LOG;:OUTP OFF;:CALC1:SMO ON")
    honest = panel.execute_unit
    ignored = lambda unit: None if header in unit and "?" not in unit else honest(unit)  # noqa: E731
    monkeypatch.setattr(panel, "execute_unit", ignored)
    with pytest.raises(SettingError, match=r"reads .* where .* was requested"):
        vna.prepare(**SWEEP)


@pytest.mark.parametrize(
    ("spoiled", "error"),
    [(b"nan", ReadingError), (b"9.9e37", OverloadError), (b"x", InstrumentError), (b"1,2", InstrumentError)],
)
def test_a_damaged_trace_is_no_trace(
    vna: CopperMountainM5065, spoiled: bytes, error: type[InstrumentError], monkeypatch: pytest.MonkeyPatch
) -> None:
    vna.prepare(**SWEEP)
    panel = panel_of(vna)
    honest = panel.encode
    monkeypatch.setattr(panel, "encode", lambda values: honest(values[:-1]) + b"," + spoiled)
    with pytest.raises(error, match="DATA:SDAT"):
        acquired(vna)


def test_an_overload_and_an_error_of_the_queue_are_errors(vna: CopperMountainM5065) -> None:
    vna.prepare(**SWEEP)
    panel = panel_of(vna)
    panel.overloaded = True
    with pytest.raises(OverloadError, match="Receiver overload"):
        acquired(vna)
    panel.overloaded = False
    panel.execute("NONSENSE")
    with pytest.raises(RejectedCommandError, match="-113"):
        acquired(vna)


@pytest.mark.parametrize(
    ("name", "value"),
    [("averages", 1000), ("points", 200_002), ("center", 6.5e9), ("power", 5.1), ("if_bandwidth", 4e5)],
)
def test_arguments_out_of_range_send_nothing(
    vna: CopperMountainM5065, monkeypatch: pytest.MonkeyPatch, name: str, value: float
) -> None:
    seen: list[bytes] = []
    monkeypatch.setattr(panel_of(vna), "receive", seen.append)
    with pytest.raises(ValueError, match=f"{name} is .* allowed are"):
        vna.prepare(**{**SWEEP, name: value})
    assert seen == []


def test_the_power_is_set_before_the_source_goes_on(vna: CopperMountainM5065, monkeypatch: pytest.MonkeyPatch) -> None:
    require_power_before_output(vna, monkeypatch, ":SOUR1:POW ", ":OUTP:STAT 1")


def test_the_simulation_of_qcodes_ends_in_a_true_error() -> None:
    """It has the identity and some settings only: no readiness, no traces, no error queue."""
    simulation = files("qcodes.instrument.sims") / "CopperMountain_M5065.yaml"
    vna = CopperMountainM5065("sim", "TCPIP0::localhost::hislip0::INSTR", visalib=f"{simulation}@sim", timeout=0.2)
    try:
        assert vna.get_idn()["model"] == "M5065"
        assert vna.stop() == 6.5e9
        with pytest.raises(InstrumentError, match=r"sim .*TCPIP0::localhost"):
            vna.prepare(**SWEEP)
    finally:
        vna.close()


@pytest.mark.faults
def test_one_swapped_answer_never_makes_a_wrong_number(twin: Twin) -> None:
    require_no_wrong_number(CopperMountainM5065, twin)


@pytest.mark.faults
@pytest.mark.parametrize("answer", [b"", b"0", b"1", b"nan", b"9.9e37", b"1e32", b"S11", b"-113, x", b"\xff", b"1,2"])
def test_any_answer_is_an_error_of_ours_or_a_right_number(vna: Any, answer: bytes) -> None:
    panel = panel_of(vna)
    vna.timeout(0.1)
    vna.log.setLevel("ERROR")
    honest = type(panel).execute
    for at in range(1, 60):
        panel.switch_on()
        vna._in_step = True
        count = [0]

        def execute(message: str, at: int = at, count: list[int] = count) -> list[bytes]:
            answers: list[bytes] = honest(panel, message)
            count[0] += bool(answers)
            return [answer] if answers and count[0] == at else answers

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(panel, "execute", execute)
            try:
                vna.prepare(**{**SWEEP, "points": 11})
                assert np.all(np.abs(acquired(vna)) < 10)
            except InstrumentError as error:
                assert "vna" in str(error)
