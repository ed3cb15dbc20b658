"""Scripted faults affect the named message as described, and no other instrument."""

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bare_socket import Line, refused
from qcodes.instrument import Instrument

from drivers.errors import CommunicationError, ComplianceError, OverloadError, ReadingError
from drivers.keithley_2450 import Keithley2450
from drivers.keysight_n5222b import KeysightN5222B
from drivers.lakeshore_372 import LakeShore372
from drivers.sr830 import SR830
from sim_instruments import ADDRESSES, SHIPPED_TRUTH, SimulatedClock, load_truth
from sim_instruments.server import (
    ControlError,
    Fault,
    FaultScript,
    Kind,
    ServerProcess,
    bias_trajectory,
    control,
    launched,
    read_log,
    spoiled,
)
from sim_instruments.world import DisturbedWorld
from tests.acquiring import acquired

pytestmark = pytest.mark.filterwarnings("ignore::qcodes.utils.QCoDeSDeprecationWarning")

PORTS = {role: offset for offset, role in enumerate(ADDRESSES)}
LOG = "commands.jsonl"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def shared(folder: Path) -> Iterator[ServerProcess]:
    with launched(log=folder / LOG, seed=1) as process:
        yield process


@pytest.fixture
def server(shared: ServerProcess) -> Iterator[ServerProcess]:
    """The module's server, without faults, its source off at 0."""
    yield shared
    Instrument.close_all()
    control(shared.port, do="clear")
    control(shared.port, do="leave", level=0.0, output=False)
    control(shared.port, do="temperatures", schedule=[])


@pytest.fixture
def bias(server: ServerProcess) -> Iterator[Line]:
    with Line(server.port) as line:
        # The answer says that all of it was carried out before a fault is armed.
        assert line.ask("*CLS", ":OUTP OFF", ":SOUR:VOLT 0.001", "*LANG?") == "SCPI"
        yield line


def arm(server: ServerProcess, role: str, kind: Kind, **more: object) -> None:
    control(server.port, do="fault", instrument=role, kind=kind, **more)


# --- answers ------------------------------------------------------------------------------------------------------


def test_a_dropped_answer_never_comes_although_the_message_was_carried_out(server: ServerProcess, bias: Line) -> None:
    arm(server, "bias", "drop", match=":OUTP?")
    assert bias.ask(":SOUR:VOLT 0.002;:OUTP?", "*LANG?") == "SCPI"
    assert control(server.port, do="source")["level"] == pytest.approx(2e-3)


def test_a_delayed_answer_comes_late_and_does_not_delay_others(server: ServerProcess, bias: Line) -> None:
    arm(server, "bias", "delay", seconds=0.5)
    started = time.monotonic()
    bias.send("*IDN?", "*LANG?")
    with Line(server.port) as other:
        # The delay belongs to the first client's first answer, once that has been taken up.
        while control(server.port, do="faults")["struck"] != [1]:
            pass
        assert other.ask("*LANG?") == "SCPI"
        assert time.monotonic() - started < 0.5
    assert bias.raw_line().startswith(b"KEITHLEY")
    assert time.monotonic() - started >= 0.5
    assert bias.raw_line() == b"SCPI\n"


def test_a_truncated_answer_has_no_end(server: ServerProcess, bias: Line) -> None:
    arm(server, "bias", "truncate", match="*IDN?")
    joined = bias.ask("*IDN?", ":SOUR:FUNC?")
    assert joined.endswith("VOLT")
    assert "KEITHLEY INSTRUMENTS,MODEL 2450,TWIN0001,1.7.12b".startswith(joined.removesuffix("VOLT"))


def test_a_garbled_answer_has_its_length_and_cannot_be_taken_for_another(server: ServerProcess, bias: Line) -> None:
    arm(server, "bias", "garble", match="*IDN?")
    bias.send("*IDN?")
    answer = bias.raw_line()
    assert len(answer) == len("KEITHLEY INSTRUMENTS,MODEL 2450,TWIN0001,1.7.12b\n")
    assert not answer.isascii()


def test_a_swapped_answer_is_that_of_the_query_before(server: ServerProcess, bias: Line) -> None:
    arm(server, "bias", "swap", after=1)
    assert [bias.ask("*LANG?"), bias.ask(":SOUR:VOLT?"), bias.ask("*LANG?")] == ["SCPI", "SCPI", "SCPI"]
    assert float(bias.ask(":SOUR:VOLT?")) == pytest.approx(1e-3)


def test_the_same_seed_spoils_in_the_same_way() -> None:
    answer = bytes(range(48, 120)) + b"\n"
    for kind in ("truncate", "garble"):
        first, second = (spoiled(kind, answer, b"", np.random.default_rng(7)) for _ in range(2))
        assert first == second != answer
        assert any(spoiled(kind, answer, b"", np.random.default_rng(seed)) != first for seed in range(5))


@pytest.mark.parametrize("answer", [b"KEITHLEY,2450,TWIN1,1.7\n", b'0,"No error"\n', b"+1.5E-3,2e-6,0\n", b"1\n"])
def test_implausible_answers_have_numbers_that_no_instrument_sends(answer: bytes) -> None:
    found = spoiled("implausible", answer, b"", np.random.default_rng(7))
    assert found != answer
    assert found.endswith(b"\n")
    assert any(sign in found for sign in (b"E+32", b"E+24", b"NAN"))


def test_a_block_is_not_made_implausible() -> None:
    assert spoiled("implausible", b"#14\x31\x32\x33\x34\n", b"", np.random.default_rng(7)) == b"#14\x31\x32\x33\x34\n"


# --- messages -----------------------------------------------------------------------------------------------------


def test_an_ignored_setting_leaves_neither_change_nor_error(server: ServerProcess, bias: Line) -> None:
    arm(server, "bias", "ignore", match=":sour:volt")
    assert float(bias.ask(":SOUR:VOLT?")) == pytest.approx(1e-3)  # a query is no setting, and is not counted
    assert float(bias.ask(":SOUR:VOLT 0.003", ":SOUR:VOLT?")) == pytest.approx(1e-3)
    assert bias.ask(":SYST:ERR:COUN?") == "0"
    assert float(bias.ask(":SOUR:VOLT 0.003", ":SOUR:VOLT?")) == pytest.approx(3e-3)


def test_the_rest_of_a_message_with_an_ignored_setting_is_carried_out(server: ServerProcess, bias: Line) -> None:
    arm(server, "bias", "ignore", match=":SOUR:VOLT:ILIM")
    assert bias.ask(":SOUR:VOLT:ILIM 1e-6;:SOUR:VOLT 0.002;*OPC?") == "1"
    assert float(bias.ask(":SOUR:VOLT:ILIM?")) != pytest.approx(1e-6)
    assert float(bias.ask(":SOUR:VOLT?")) == pytest.approx(2e-3)


def test_a_power_cycle_shows_in_status_settings_and_log(server: ServerProcess, bias: Line, folder: Path) -> None:
    bias.ask(":OUTP ON", "*ESR?")
    arm(server, "bias", "reset")
    assert float(bias.ask(":SOUR:VOLT?")) == 0
    assert int(bias.ask("*ESR?")) & 128
    entries = read_log(folder / LOG)
    assert bias_trajectory(entries)[-2][1:] == (pytest.approx(1e-3), True)
    assert bias_trajectory(entries)[-1][1:] == (0.0, False)
    assert any(entry.text == "fault: reset" for entry in entries)


def test_a_broken_connection_ends_all_clients_and_refuses_new_ones(server: ServerProcess, bias: Line) -> None:
    arm(server, "bias", "disconnect", match=":SOUR:VOLT 0.004", seconds=math.inf)
    with Line(server.port) as bystander:
        assert bystander.ask("*LANG?") == "SCPI"
        bias.send(":SOUR:VOLT 0.004")
        assert bias.broken()
        assert bystander.broken()
    assert refused(server.port)
    with Line(server.port + PORTS["fridge"]) as fridge:
        assert fridge.ask("*IDN?").startswith("LSCI")
    assert control(server.port, do="source")["level"] == pytest.approx(1e-3)
    control(server.port, do="clear")
    with Line(server.port) as again:
        assert again.ask("*LANG?") == "SCPI"


def test_after_a_break_without_refusal_a_client_may_come_back_at_once(server: ServerProcess, bias: Line) -> None:
    arm(server, "bias", "disconnect")
    bias.send("*IDN?")
    assert bias.broken()
    with Line(server.port) as again:
        assert again.ask("*LANG?") == "SCPI"


# --- conditions, as labnis's drivers meet them --------------------------------------------------------------------


def test_compliance_limits_the_bias_and_is_reported(server: ServerProcess, bias: Line) -> None:
    source = Keithley2450("smu", server.addresses["bias"], visalib="@py")
    source.output_on()
    source.read()
    arm(server, "bias", "compliance")
    with pytest.raises(ComplianceError):
        source.read()
    assert source.source.limit_tripped()
    control(server.port, do="clear")
    source.read()


def test_a_condition_passes_after_its_time(server: ServerProcess) -> None:
    script = FaultScript(seed=0)
    script.arm(Fault("bias", "compliance", seconds=0.05))
    script.before("bias", ":READ?")
    started = time.monotonic()
    assert script.holds("bias", "compliance")
    while script.holds("bias", "compliance"):
        assert time.monotonic() - started < 5
    assert time.monotonic() - started >= 0.04


def test_overload_of_lockin_and_network_analyzer(server: ServerProcess) -> None:
    lockin = SR830("lockin", server.addresses["lockin"], visalib="@py")
    vna = KeysightN5222B("vna", server.addresses["vna"], visalib="@py")
    vna.prepare(center=4.7e9, span=20e6, points=11, power=-30.0, if_bandwidth=100e3, averages=1)
    arm(server, "lockin", "overload", match="SNAP")
    arm(server, "vna", "overload")
    with pytest.raises(OverloadError, match="input"):
        lockin.read()
    with pytest.raises(OverloadError, match="overload"):
        acquired(vna)
    control(server.port, do="clear")
    lockin.read()
    acquired(vna)


def test_overload_of_the_spectrum_analyzer(server: ServerProcess) -> None:
    arm(server, "analyzer", "overload")
    with Line(server.port + PORTS["analyzer"]) as analyzer:
        analyzer.send(":INIT:CONT OFF;:SENS:SWE:TIME 0.001;:INIT:IMM")
        assert analyzer.ask("*OPC?") == "1"
        assert int(analyzer.ask(":STAT:QUES:INT:COND?")) & 16  # and 8: such a sweep is too fast for its filter


def test_a_cut_block_is_an_error_of_the_driver_and_the_next_trace_is_whole(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    vna = KeysightN5222B("vna", server.addresses["vna"], visalib="@py")
    vna.prepare(center=4.7e9, span=20e6, points=101, power=-30.0, if_bandwidth=100e3, averages=1)
    vna.timeout(0.3)
    acquired(vna)
    arm(server, "vna", "truncate", match="DATA?")
    monkeypatch.setattr("drivers.trace_analyzer.TIMEOUT_MARGIN", 0.2)
    with pytest.raises((ReadingError, CommunicationError)):
        acquired(vna)
    assert acquired(vna).shape == (101,)


# --- the fridge ---------------------------------------------------------------------------------------------------


def test_the_fridge_follows_its_schedule() -> None:
    clock = SimulatedClock()
    world = DisturbedWorld(load_truth(SHIPPED_TRUTH), clock, lambda *_: None)
    world.schedule = [(10.0, 0.3), (20.0, math.nan), (30.0, 0.1), (40.0, None)]
    readings = []
    for _ in range(6):
        readings.append([world.temperature("mixing_chamber"), world.temperature("mixing_chamber")])
        clock.sleep(10.0)
    truth = world.truth.fridge.mixing_chamber_temperature
    assert [pair[0] for pair in readings[:2]] == pytest.approx([truth, 0.3], rel=0.02)
    assert all(math.isnan(kelvin) for kelvin in readings[2])
    assert readings[3][0] != readings[3][1]  # a live thermometer scatters
    assert set(readings[4] + readings[5]) == {readings[3][1]}  # a stale one does not


def test_the_driver_reports_a_warm_a_failing_and_a_stale_thermometer(server: ServerProcess) -> None:
    fridge = LakeShore372("fridge", server.addresses["fridge"], visalib="@py")
    control(server.port, do="temperatures", schedule=[[0, 0.25]])
    newly_measured(lambda: fridge.temperature() == pytest.approx(0.25, rel=0.02))
    control(server.port, do="temperatures", schedule=[[0, None]])
    newly_measured(lambda: fridge.temperature() == fridge.temperature() == pytest.approx(0.25, rel=0.02))
    control(server.port, do="temperatures", schedule=[[0, math.nan]])
    with pytest.raises(ReadingError):
        newly_measured(lambda: fridge.temperature() < 0)


def newly_measured(condition: Callable[[], Any]) -> None:
    """Wait until it holds: a bridge measures ten times per second, and answers with the latest reading."""
    deadline = time.monotonic() + 2.0
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# --- scripts ------------------------------------------------------------------------------------------------------


def test_a_source_left_on_and_the_shutdown_are_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / LOG
    with launched(log=log) as server:
        control(server.port, do="leave", level=4e-3, output=True)
        assert control(server.port, do="source") == {"level": pytest.approx(4e-3), "output": True}
        control(server.port, do="shutdown")
        assert server.process.wait(10) == 0
    assert bias_trajectory(read_log(log))[-1][1:] == (pytest.approx(4e-3), True)


@pytest.mark.parametrize(
    ("after", "count", "expected"), [(0, 1, "x...."), (2, 2, "..xx."), (1, None, ".xxxx"), (9, 1, ".....")]
)
def test_after_and_count_choose_the_messages(after: int, count: int | None, expected: str) -> None:
    script = FaultScript(seed=0)
    script.arm(Fault("lockin", "drop", after, count, match="snap"))
    struck = ""
    for _ in range(5):
        assert not script.after("lockin", "OUTP? 1")
        assert not script.after("bias", "SNAP?1,2")
        struck += "x" if script.after("lockin", "SNAP?1,2") else "."
    assert struck == expected
    assert script.struck() == [expected.count("x")]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"instrument": "fridge", "kind": "compliance"}, "allowed are bias"),
        ({"instrument": "nobody", "kind": "drop"}, "allowed are bias, lockin"),
        ({"instrument": "bias", "kind": "explode"}, "kind.*'delay', 'drop'"),
        ({"instrument": "bias", "kind": "drop", "after": -1}, "after.*greater than or equal to 0"),
        ({"instrument": "bias", "kind": "delay", "seconds": math.nan}, "seconds.*greater than or equal to 0"),
        ({"instrument": "bias", "kind": "drop", "when": 3}, "when"),
    ],
)
def test_an_impossible_fault_is_refused(server: ServerProcess, fault: dict[str, object], message: str) -> None:
    with pytest.raises(ControlError, match=f"(?s){message}"):
        control(server.port, do="fault", **fault)
    assert control(server.port, do="faults") == {"struck": []}


def test_an_unknown_request_is_refused(server: ServerProcess) -> None:
    with pytest.raises(ControlError, match="expected tags: 'fault'"):
        control(server.port, do="explode")
    with pytest.raises(ControlError, match="cannot be left at 500"):
        control(server.port, do="leave", level=500.0, output=True)
