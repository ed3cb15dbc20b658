"""The locks of a run, removed or replaced while it runs, and a second run that has another temporary folder.

Promised: a run that has lost a lock begins its ramp to zero within 2 s and ends with exit code 4; a second run is
refused with exit code 3 and does not touch the source.
"""

import signal
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from tests.faults.commands import Command, completed
from tests.faults.measuring import ENVIRONMENT, Lab, chance
from tests.soak.case import Case, ZeroWatch
from tests.soak.ending import ended, kept

__all__ = ["attacked"]

WITHIN = 2.0
ATTACKS = ("lock removed", "lock replaced", "second run, other TMPDIR")


def attacked(lab: Lab, seed: int) -> Case:
    """Attack the locks of a run as `seed` chooses."""
    attack = ATTACKS[seed % len(ATTACKS)]
    command = lab.begin_sweep()
    time.sleep(chance(seed).uniform(0.0, 1.0))
    seen = lab.rows()
    if attack == ATTACKS[2]:
        return _second_run(lab, seed, command, seen)
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
    if command.poll() is not None:
        problems.append(f"the first run ended with {command.returncode}")
    watch = ZeroWatch(lab, time.monotonic())
    command.send_signal(signal.SIGINT)
    problems += watch.wait(WITHIN)
    code = ended(command, (130,), problems)
    problems += watch.check()
    return Case(seed, ATTACKS[2], code, watch.seconds, kept(lab, seen, problems), tuple(problems))


def _lock_files(command: Command) -> list[Path]:
    opened = psutil.Process(command.pid).open_files()
    files = sorted(Path(file.path) for file in opened if file.path.endswith(".lock"))
    if not files:
        raise AssertionError("the run holds no lock file")
    return files
