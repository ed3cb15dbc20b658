"""SIGSTOP of a run, of its guardian or of both, with and without a forked child that keeps their pipe open.

Promised: a stopped run loses its bias `limits.unresponsive` after the time that it had declared, and ends with exit
code 5 when it continues; a stopped guardian ends the run within 2 s. With both stopped nothing can act: the promise
begins when the first of them continues.
"""

import random
import signal
import time
from contextlib import suppress

import psutil  # type: ignore[import-untyped]

from tests.faults.commands import Command
from tests.faults.measuring import Lab, chance
from tests.soak.case import Case, ZeroWatch
from tests.soak.ending import ended, kept

__all__ = ["stopped"]

UNRESPONSIVE = 5.0
"""Default of `limits.unresponsive` (s)."""

DECLARED = 2.0
"""Longest time (s) that a short sweep declares for one point, with its margin."""

WITHOUT_GUARDIAN = 2.0
"""Time (s) within which a run without a guardian begins its ramp to zero."""

WITHIN = {"run": DECLARED + UNRESPONSIVE, "guardian": WITHOUT_GUARDIAN}
EXIT_CODES = {"run": (5,), "guardian": (4, 5), "both": (4, 5)}

PROCEDURES = {True: "tests.faults.lab_procedures.ForkingSweep", False: "tests.faults.lab_procedures.PlainSweep"}
SETTINGS = ("points=4001", "maximum_bias=4e-3", "time_constant=0.001", "settling_time=0.002")


def stopped(lab: Lab, seed: int) -> Case:
    """Stop the processes that `seed` chooses, and let them continue once the bias is at zero."""
    chosen = chance(seed)
    who, forks = ("run", "guardian", "both")[seed % 3], seed // 3 % 2 == 1
    words = [word for setting in SETTINGS for word in ("--set", setting)]
    command = lab.under_way(lab.start("run", PROCEDURES[forks], "--yes", *words))
    processes = _processes(command)
    time.sleep(chosen.uniform(0.0, 1.0))
    seen = lab.rows()
    targets = ["run", "guardian"] if who == "both" else [who]
    event = time.monotonic()
    for target in targets:
        processes[target].send_signal(signal.SIGSTOP)
    still = who
    if who == "both":
        still, event = _one_continues(processes, chosen)
    watch = ZeroWatch(lab, event)
    problems = watch.wait(WITHIN[still])
    for target in targets:
        _continue(processes[target])
    code = ended(command, EXIT_CODES[who], problems)
    problems += watch.check()
    rows = kept(lab, seen, problems)
    happened = f"{who}{', with a forked child' if forks else ''}"
    return Case(seed, happened, code, watch.seconds, rows, tuple(problems))


def _processes(command: Command) -> dict[str, psutil.Process]:
    guardian = command.guardian()
    if guardian is None:
        raise AssertionError("the run has no guardian")
    return {"run": psutil.Process(command.pid), "guardian": guardian}


def _one_continues(processes: dict[str, psutil.Process], chosen: random.Random) -> tuple[str, float]:
    """After a while, continue one of both; the one that is still stopped, and the time of it."""
    time.sleep(WITHIN["run"] + chosen.uniform(0.5, 2.0))
    first, still = chosen.choice((("run", "guardian"), ("guardian", "run")))
    event = time.monotonic()
    _continue(processes[first])
    return still, event


def _continue(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):  # the other one has ended it
        process.send_signal(signal.SIGCONT)
