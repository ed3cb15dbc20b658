"""Interlocks and signals during long acquisitions: the first step to zero within 2 s, and the instrument is stopped."""

import math
import signal
import time
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from tests.faults.measuring import Lab, chance, wait_for
from tests.soak.case import Case, ZeroWatch
from tests.soak.ending import ended, kept

__all__ = ["interlocked", "signalled"]

WITHIN = 2.0
"""Time (s) from the event to the first step towards zero."""


class Acquiring(NamedTuple):
    """A run with acquisitions of 20 s at ten times the speed of real instruments."""

    procedure: str
    settings: tuple[str, ...]
    role: str
    begins: str


ACQUISITIONS = (
    Acquiring(
        "EmittedPowerVsBias",
        ("bias_points=2e-3:4e-3:9", "averages=1", "frequencies=101", "sweep_time=200"),
        "analyzer",
        ":INIT:SAN",
    ),
    Acquiring(
        "ReflectionVsBias",
        ("bias_points=2e-3:4e-3:9", "maximum_bias=4e-3", "averages=100", "frequencies=201", "if_bandwidth=100"),
        "vna",
        "SWE:MODE GRO",
    ),
)

SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 143}

# Limits of the station, and the schedule of the mixing chamber that violates them.
VIOLATIONS: dict[str, tuple[dict[str, Any], list[list[float]]]] = {
    "too warm, abort": ({"fridge_abort": 0.15}, [[0.0, 0.3]]),
    "too warm, pause": ({"fridge_pause": 0.15}, [[0.0, 0.3]]),
    "thermometer fails": ({"fridge_abort": 0.15, "resume_after_pause": True}, [[0.0, math.nan]]),
}


def interlocked(lab: Lab, seed: int) -> Case:
    """Violate an interlock during an acquisition."""
    what, (limits, schedule) = list(VIOLATIONS.items())[seed % len(VIOLATIONS)]
    lab.write_station(**limits)
    case = _interrupted(lab, seed, what, lambda _: lab.control(do="temperatures", schedule=schedule), (4,))
    lab.write_station()
    return case


def signalled(lab: Lab, seed: int) -> Case:
    """Send a signal during an acquisition."""
    number, code = list(SIGNALS.items())[seed % len(SIGNALS)]
    return _interrupted(lab, seed, number.name, lambda command: command.send_signal(number), (code,))


def _interrupted(lab: Lab, seed: int, what: str, event: Callable[[Any], object], codes: Collection[int]) -> Case:
    chosen = chance(seed)
    run = ACQUISITIONS[seed // len(VIOLATIONS) % len(ACQUISITIONS)]
    words = [word for setting in run.settings for word in ("--set", setting)]
    command = lab.start("run", run.procedure, "--yes", *words)
    try:
        wait_for(lambda: bool(lab.source()["level"] and lab.sent(run.role, run.begins)), command)
    except AssertionError:
        command.kill()
        raise
    time.sleep(chosen.uniform(0.0, 3.0))
    seen, messages = lab.rows(), len(lab.sent(run.role, ":ABOR"))
    watch = ZeroWatch(lab, time.monotonic())
    event(command)
    problems = watch.wait(WITHIN)
    code = ended(command, codes, problems)
    problems += watch.check()
    if len(lab.sent(run.role, ":ABOR")) == messages:
        problems.append("the acquisition was not aborted at the instrument")
    return Case(seed, f"{run.role}, {what}", code, watch.seconds, kept(lab, seen, problems), tuple(problems))
