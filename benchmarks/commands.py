"""Processor time of the commands that look, each in a process of its own."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from benchmarks.timing import Line, promise

__all__ = ["commands"]

ROOT = Path(__file__).parents[1]
PROMISED = {
    "--help": 0.8,
    "ls": 0.8,
    "show {run}": 0.8,
    "log {run}": 0.8,
    "calibrations": 0.8,
    "cooldown list": 0.8,
    "check": 2.0,
}
"""Command → largest processor time (s)."""


def commands() -> Iterator[Line]:
    """Processor time (s) of each command on a data folder with one run."""
    with tempfile.TemporaryDirectory() as folder:
        place = ["--station", str(ROOT / "station.yaml"), "--data", folder]
        labnis("run", "IVSweep", "--dry-run", "--set", "points=41", *place)
        (file,) = Path(folder).rglob("*.h5")
        for command, limit in PROMISED.items():
            arguments = [part.format(run=file) for part in command.split()]
            used = min(labnis(*arguments, *([] if command == "--help" else place)) for _ in range(3))
            yield Line(f"labnis {command}", f"{used:.2f} s", promise(f"at most {limit:g} s", used <= limit))


def labnis(*arguments: str) -> float:
    """Processor time (s) that `labnis ARGUMENTS` takes, with its children."""
    before = psutil.Process().cpu_times()
    subprocess.run([sys.executable, "-m", "labnis.cli", *arguments], check=True, capture_output=True)  # noqa: S603
    after = psutil.Process().cpu_times()
    return float(after.children_user - before.children_user + after.children_system - before.children_system)
