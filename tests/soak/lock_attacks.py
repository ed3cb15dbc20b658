"""The locks of a run, removed, replaced or with a forged note, and a second run that has another temporary folder.

Promised: a run that has lost a lock begins its ramp to zero within 2 s and ends with exit code 4; a second run is
refused with exit code 3 and does not touch the source. `labnis safe` sends no signal because of a forged note, but
says that the station is in use.
"""

import json
import os
import signal
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from labnis.station.lock_file import lock_file, shared_folder
from labnis.station.lock_names import lock_name_of_station
from tests.faults.commands import Command, completed
from tests.faults.measuring import ENVIRONMENT, Lab, chance
from tests.soak.case import Case, ZeroWatch
from tests.soak.ending import ended, kept

__all__ = ["attacked"]

WITHIN = 2.0
ATTACKS = ("lock removed", "lock replaced", "second run, other TMPDIR", "forged note")


def _note(pid: object, command: str = "labnis run") -> str:
    return json.dumps({"pid": pid, "host": "lab", "command": command, "since": "today"})


FORGED = (
    lambda: _note(-1),
    lambda: _note(0),
    lambda: _note(1),
    lambda: _note(os.getpid()),
    lambda: _note(os.getppid()),
    lambda: _note(1e300),
    lambda: _note(True),
    lambda: _note([2]),
    lambda: _note("2"),
    lambda: _note(2**70),
    lambda: _note(os.getpid(), "\x1b]0;evil\x07\u202e"),
    lambda: "[" * 100_000,
    lambda: "x" * 10**6,
    lambda: "\x00\xff",
    lambda: "",
)
"""Notes that would make a careless program signal another process, or fail."""


def attacked(lab: Lab, seed: int) -> Case:
    """Attack the locks of a run as `seed` chooses."""
    attack = ATTACKS[seed % len(ATTACKS)]
    command = lab.begin_sweep()
    time.sleep(chance(seed).uniform(0.0, 1.0))
    seen = lab.rows()
    if attack == ATTACKS[2]:
        return _second_run(lab, seed, command, seen)
    if attack == ATTACKS[3]:
        return _forged_note(lab, seed, command, seen)
    file = chance(seed).choice(_lock_files(command))
    watch = ZeroWatch(lab, time.monotonic())
    file.unlink()
    if attack == ATTACKS[1]:
        file.touch()
    problems = watch.wait(WITHIN)
    if problems:
        command.send_signal(signal.SIGINT)
    code = ended(command, (4,), problems)
    problems += watch.check()
    return Case(seed, attack, code, watch.seconds, kept(lab, seen, problems), tuple(problems))


def _second_run(lab: Lab, seed: int, command: Command, seen: int) -> Case:
    """The second run is refused; the first one goes on until it is asked to stop."""
    other = lab.folder / "other-temporary"
    other.mkdir(exist_ok=True)
    words = ("run", "IVSweep", "--yes", "--station", str(lab.station), "--data", str(lab.data))
    second = completed(words, ENVIRONMENT | {"TMPDIR": str(other)})
    problems = [] if second.returncode == 3 else [f"the second run ended with {second.returncode}: {second.stderr}"]
    return _asked_to_stop(lab, seed, command, seen, problems)


def _forged_note(lab: Lab, seed: int, command: Command, seen: int) -> Case:
    """`labnis safe` signals no process; the run goes on until it is asked to stop."""
    note = FORGED[seed // len(ATTACKS) % len(FORGED)]()
    lock_file(lock_name_of_station(lab.station), shared_folder()).write_text(note, encoding="utf-8")
    answer = lab.safe()
    problems = [] if answer.returncode == 3 else [f"`labnis safe` ended with {answer.returncode}: {answer.stderr}"]
    if any(ord(sign) < 32 and sign != "\n" for sign in answer.stdout + answer.stderr):
        problems.append(f"a forged note was shown as it is: {answer.stderr!r}")
    return _asked_to_stop(lab, seed, command, seen, problems)


def _asked_to_stop(lab: Lab, seed: int, command: Command, seen: int, problems: list[str]) -> Case:
    """The run that was attacked in vain ends where it is asked to."""
    if command.poll() is not None:
        problems.append(f"the run ended with {command.returncode}")
    watch = ZeroWatch(lab, time.monotonic())
    command.send_signal(signal.SIGINT)
    problems += watch.wait(WITHIN)
    code = ended(command, (130,), problems)
    problems += watch.check()
    return Case(seed, ATTACKS[seed % len(ATTACKS)], code, watch.seconds, kept(lab, seen, problems), tuple(problems))


def _lock_files(command: Command) -> list[Path]:
    opened = psutil.Process(command.pid).open_files()
    files = sorted(Path(file.path) for file in opened if file.path.endswith(".lock"))
    if not files:
        raise AssertionError("the run holds no lock file")
    return files
