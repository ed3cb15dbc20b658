"""One random fault of the instruments in a full calibration: the bias is always at zero afterwards.

No number that an instrument cannot send is among the data.

Where the source itself cannot be reached any more, zero is not possible: then the run must report that the bias
is UNKNOWN, and `labnis safe` has to succeed as soon as the source can be reached again.
"""

import random
import re
import subprocess
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import h5py
import numpy as np
import psutil  # type: ignore[import-untyped]

from sim_instruments.server import CONDITIONS, Kind, largest_rate
from tests.faults.commands import Command
from tests.faults.measuring import RAMP_RATE, Lab, chance

__all__ = ["Faulty", "faulty_calibration", "usual_messages"]

SETTINGS = (
    "IVSweep.points=41",
    "IVSweep.time_constant=0.001",
    "ReflectionVsBias.points=9",
    "ReflectionVsBias.averages=1",
    "EmittedPowerVsBias.points=9",
    "EmittedPowerVsBias.frequencies=101",
    "EmittedPowerVsBias.averages=1",
    "EmittedPowerVsBias.sweep_time=0.1",
    "settling_time=0.002",
)
CALIBRATE = ("calibrate", "--yes", *(word for setting in SETTINGS for word in ("--set", setting)))

EXIT_CODES = (0, 4, 5, 6, 7)

ENDS_WITHIN, GUARDIAN_TRIES = 90.0, 5.0
"""Time (s) that a calibration has, and that its guardian has afterwards before `labnis safe` is called."""

LARGEST = 1e12
"""Larger than every number of a run, also its times."""


@dataclass(frozen=True)
class Faulty:
    """A calibration with a fault in it.

    Attributes
    ----------
    outcome
        "zero" at its end, "unknown" where it says so, "hung" where it did not end.
    struck
        Messages that the fault reached.
    problems
        What did not hold.

    """

    seed: int
    fault: Mapping[str, Any]
    struck: int
    exit_code: int
    outcome: str
    problems: tuple[str, ...]


def usual_messages(lab: Lab) -> Counter[str]:
    """Messages that each instrument gets in a calibration that nothing happens to."""
    answer = lab.labnis(*CALIBRATE)
    if answer.returncode:
        raise AssertionError(f"exit code {answer.returncode}: {answer.stderr}")
    return Counter(entry.instrument for entry in lab.log if entry.direction == "in")


def random_fault(chosen: random.Random, messages: Mapping[str, int]) -> dict[str, Any]:
    """A fault of any kind at any instrument, at any moment of the calibration, once, a few times or from then on."""
    kind: Kind = chosen.choice(get_args(Kind))
    role = chosen.choice(CONDITIONS[kind] if kind in CONDITIONS else tuple(messages))
    fault: dict[str, Any] = {
        "kind": kind,
        "instrument": role,
        "after": chosen.randrange(messages[role]),
        "count": chosen.choice((1, 1, 3, None)),
    }
    if kind in ("delay", "disconnect"):
        fault["seconds"] = chosen.choice((0.3, 1.5, 5.0, 1e9))
    if kind in ("reset", "disconnect"):
        fault["count"] = 1  # no instrument is switched off again and again
    return fault


def faulty_calibration(lab: Lab, seed: int, messages: Mapping[str, int]) -> Faulty:
    """Calibrate with the fault that `seed` chooses, and check what is left."""
    fault = random_fault(chance(seed), messages)
    lab.fault(**fault)
    command = lab.start(*CALIBRATE)
    guardian = _guardian_of(command)
    try:
        code = command.wait(ENDS_WITHIN)
    except subprocess.TimeoutExpired as error:
        command.kill()
        state = lab.source()
        return Faulty(seed, fault, 0, -1, "hung", (f"{fault}: the source is at {state}; {error}: {error.stderr!r}",))
    said = _said(command)
    [struck] = lab.control(do="faults")["struck"]
    problems = []
    unreachable = code == 2 and not lab.ever_on()  # while the station was opened
    if code not in EXIT_CODES and not unreachable:
        problems.append(f"exit code {code}: {said[-2000:]}")
    state = lab.source()
    outcome = "zero" if state == {"level": 0.0, "output": False} else "unknown" if "UNKNOWN" in said else "LIVE"
    if outcome == "LIVE" or (outcome == "unknown" and (code != 5 or fault["instrument"] != "bias")):
        problems.append(f"the source is left at {state} with exit code {code}: {said[-2000:]}")
    problems += _moved_too_fast(lab, fault)
    files = list(lab.data.glob("*/*/*.h5"))
    problems += [f"{path.name} is unreadable" for path in files if not _readable(path)]
    problems += [f"{path.name} has impossible numbers in {column}" for path in files for column in _impossible(path)]
    lab.control(do="clear")
    if outcome != "zero":
        safe = lab.safe()
        if safe.returncode or lab.source() != {"level": 0.0, "output": False}:
            problems.append(f"`labnis safe` afterwards: {safe.stderr}")
    if guardian is not None:
        with suppress(psutil.NoSuchProcess):  # it has ended, or it would try again in up to a minute
            guardian.kill()
    return Faulty(seed, fault, struck, code, outcome, tuple(problems))


def _guardian_of(command: Command) -> psutil.Process | None:
    """The guardian of the session, once there is one; None if the command ends before."""
    while command.poll() is None:
        if (guardian := command.guardian()) is not None:
            return guardian
        time.sleep(0.05)
    return None


def _said(command: Command) -> str:
    """What the command and its guardian report; while the fault lasts, a guardian may try again and again."""
    try:
        return command.communicate(GUARDIAN_TRIES)[1]
    except subprocess.TimeoutExpired as error:
        return str(error.stderr)


def _moved_too_fast(lab: Lab, fault: Mapping[str, Any]) -> list[str]:
    """A source that resets itself jumps; nothing else may."""
    if (fault["kind"], fault["instrument"]) == ("reset", "bias"):
        return []
    rate = largest_rate(lab.trajectory(), window=0.1)
    return [f"the bias moved at {rate:.4g} V/s"] if rate > RAMP_RATE * (1 + 1e-9) else []


def _impossible(path: Path) -> list[str]:
    """Columns of a run with finite numbers that no instrument can send."""
    try:
        with h5py.File(path, "r") as file:
            columns = {name: data[...] for name, data in file["data"].items() if data.dtype.kind in "fc"}
    except (OSError, KeyError, RuntimeError):
        return []  # unreadable, or without rows
    return [name for name, data in columns.items() if np.any(np.abs(data[np.isfinite(data)]) > LARGEST)]


def _readable(path: Path) -> bool:
    try:
        with h5py.File(path, "r") as file:
            return bool(re.fullmatch("done|failed|aborted", file.attrs["status"]))
    except (OSError, KeyError, RuntimeError):
        return False
