"""Ramps by the source itself, when their client dies or the source fails: always zero, in time.

Steps on the twin's trigger model take real time, and each is in its log.
"""

import signal
import socket
import time
from itertools import pairwise

import pytest

from labnis.safety.interlocks import INTERVAL
from sim_instruments.server import largest_rate
from tests.faults.commands import Command
from tests.faults.measuring import RAMP_RATE, Lab, chance, kill, wait_for

SLOW = 2e-3  # V/s: 2.5 s from 0 to 4 mV
FURTHEST = -4e-3


@pytest.fixture
def slow_lab(lab: Lab) -> Lab:
    text = lab.station.read_text(encoding="utf-8")
    assert text.count(f"ramp_rate: {RAMP_RATE}") == 1
    lab.station.write_text(text.replace(f"ramp_rate: {RAMP_RATE}", f"ramp_rate: {SLOW}"), encoding="utf-8")
    return lab


def walking_run(lab: Lab) -> Command:
    """A run whose source walks to the sweep's first point by itself, and has come a part of the way."""
    process = lab.start("run", "IVSweep", "--yes", "--set", "points=101", "--set", "maximum_bias=4e-3")
    try:
        wait_for(lambda: lab.source()["level"] < FURTHEST / 8, process)
    except BaseException:
        process.kill()
        raise
    assert lab.sent("bias", ":INIT")
    return process


def assert_safe_and_slow(lab: Lab, since: float = 0.0) -> None:
    lab.assert_safe(since)
    assert largest_rate(lab.trajectory(), window=0.1) <= SLOW * (1 + 1e-9) + 0.5e-6 / 0.1  # resolution of the source


@pytest.mark.parametrize("seed", range(2))
def test_killed_while_the_source_walks(slow_lab: Lab, seed: int) -> None:
    process = walking_run(slow_lab)
    time.sleep(chance(seed).uniform(0.0, 1.0))  # the moment itself is what is random here
    killed = kill(process)
    assert_safe_and_slow(slow_lab, killed)
    after = [entry for entry in slow_lab.log if entry.time > killed and entry.instrument == "bias"]
    halted = next(entry.time for entry in after if entry.text == ":ABOR")
    assert halted - killed < 2.0
    # It went on by itself after the kill, no further than where it was halted, and was led back from there.
    assert min(point.level for point in slow_lab.trajectory(killed)) > FURTHEST * 1.001
    levels = [point.level for point in slow_lab.trajectory(halted)]
    assert all(later >= before for before, later in pairwise(levels))


def walk_and_die(lab: Lab) -> None:
    """A client without a guardian starts a ramp of the source from 2 to 4 mV, and ends."""
    levels = ",".join([f"{2e-3 + 2e-5 * index:.6g}" for index in range(100)])
    messages = (
        ":SOUR:VOLT:RANG 0.02",
        f":SOUR:LIST:VOLT {levels}",
        ':TRIG:LOAD "Empty";:TRIG:BLOC:CONF:REC 1,"VoltCustomSweepList";:TRIG:BLOC:DEL:CONS 2,0.025',
        ':TRIG:BLOC:CONF:NEXT 3,"VoltCustomSweepList";:TRIG:BLOC:BRAN:COUN 4,99,2;:INIT',
    )
    port = int(lab.server.addresses["bias"].split("::")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall("".join(f"{message}\n" for message in messages).encode())
        wait_for(lambda: lab.source()["level"] > 2.1e-3)


def test_safe_while_the_source_walks_for_a_dead_client(slow_lab: Lab) -> None:
    slow_lab.leave(2e-3, output=True)
    walk_and_die(slow_lab)
    answer = slow_lab.safe()
    assert answer.returncode == 0, answer.stderr
    assert_safe_and_slow(slow_lab)
    halted = next(entry.time for entry in slow_lab.log if entry.text == ":ABOR")
    assert len(slow_lab.trajectory(halted)) > 30  # step by step to zero, from where it was


def test_without_anybody_the_walk_goes_to_its_end_and_the_output_stays_on(slow_lab: Lab) -> None:
    slow_lab.leave(2e-3, output=True)
    walk_and_die(slow_lab)
    wait_for(lambda: slow_lab.source()["level"] > 3.97e-3)
    assert slow_lab.source()["output"]
    levels = [point.level for point in slow_lab.trajectory()]
    assert levels == sorted(levels)
    assert len(set(levels)) == 100
    assert slow_lab.safe().returncode == 0
    assert_safe_and_slow(slow_lab)


def test_a_source_that_does_not_take_a_ramp_is_led_step_by_step(slow_lab: Lab) -> None:
    slow_lab.fault("bias", "ignore", ":TRIG", count=None)
    answer = slow_lab.run(points=41)
    assert answer.returncode == 0, answer.stderr
    assert "falling back to ramping from the computer" in answer.stderr
    assert not slow_lab.sent("bias", ":INIT")
    assert_safe_and_slow(slow_lab)


@pytest.mark.parametrize("ignored", [":SOUR:LIST", "INIT"])
def test_a_source_that_says_nothing_or_does_not_start_is_an_error(slow_lab: Lab, ignored: str) -> None:
    slow_lab.fault("bias", "reset")  # forgets the list of an earlier run, as soon as it is spoken to
    slow_lab.fault("bias", "ignore", ignored, count=None)
    answer = slow_lab.run()
    assert answer.returncode == 5, answer.stderr
    assert "bias UNKNOWN" not in answer.stderr
    slow_lab.assert_safe()
    assert min(point.level for point in slow_lab.trajectory()) == 0.0


@pytest.mark.parametrize("ignored", [":TRIG", "INIT", ":SOUR:LIST"])
def test_the_way_to_zero_needs_no_trigger_model(slow_lab: Lab, ignored: str) -> None:
    process = slow_lab.begin_sweep()
    slow_lab.fault("bias", "ignore", ignored, count=None)
    process.send_signal(signal.SIGINT)
    said = slow_lab.ended(process, 130)
    assert "the bias is at zero" in said
    assert_safe_and_slow(slow_lab)


@pytest.mark.parametrize("kind", ["drop", "garble", "disconnect", "reset"])
def test_a_source_that_is_disturbed_while_it_walks(slow_lab: Lab, kind: str) -> None:
    # The second and later: the first is asked before it starts to walk.
    slow_lab.fault("bias", kind, ":TRIG:STAT?", after=1, count=None if kind == "drop" else 1)
    answer = slow_lab.run(points=41)
    # A garbled answer is asked for again, and a broken connection opened again, while the source walks on.
    assert answer.returncode == (0 if kind in {"garble", "disconnect"} else 5), answer.stderr
    if kind == "reset":
        # It switches the output off at once; that jump is the fault's own, not the run's.
        assert slow_lab.source() == {"level": 0.0, "output": False}
    else:
        assert_safe_and_slow(slow_lab)


VERY_SLOW = 8.3e-5  # V/s: a minute from 0 to 4 mV


@pytest.mark.parametrize("steps", ["of the source itself", "from the computer"])
@pytest.mark.parametrize(("cause", "code"), [("signal", 130), ("warm", 4), ("guardian", 4)])
def test_a_ramp_of_a_minute_ends_where_the_run_must_stop(lab: Lab, cause: str, code: int, steps: str) -> None:
    lab.write_station(fridge_abort=0.15)
    text = lab.station.read_text(encoding="utf-8")
    lab.station.write_text(text.replace(f"ramp_rate: {RAMP_RATE}", f"ramp_rate: {VERY_SLOW}"), encoding="utf-8")
    if steps == "from the computer":
        lab.fault("bias", "ignore", ":TRIG", count=None)
    process = lab.start("run", "IVSweep", "--yes", "--set", "points=101", "--set", "maximum_bias=4e-3")
    wait_for(lambda: lab.source()["level"] < FURTHEST / 20, process)
    guardian = process.guardian()
    at = time.monotonic()
    if cause == "signal":
        process.send_signal(signal.SIGINT)
    elif cause == "warm":
        lab.control(do="temperatures", schedule=[[0.0, 0.3]])
    else:
        assert guardian is not None
        guardian.suspend()
    lab.ended(process, code)
    begun = next(b.time for a, b in pairwise(lab.trajectory(at)) if abs(b.level) < abs(a.level) - 5e-7)
    assert begun - at <= 2.0 + (INTERVAL if cause == "warm" else 0.0)
    assert min(point.level for point in lab.trajectory()) > FURTHEST / 4
    lab.assert_safe()
    assert largest_rate(lab.trajectory(), window=0.1) <= VERY_SLOW * (1 + 1e-9) + 0.5e-6 / 0.1
