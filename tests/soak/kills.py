"""kill -9 at a random moment of a whole run, and its recovery.

The checks do not use the output of a killed run, but the log of the twin server: the time of every reading and the
level of the source.
"""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from labnis.storage import list_runs, open_rows, recover
from tests.faults.measuring import Lab, chance, kill

__all__ = ["Kill", "fresh_data", "killed_run", "usual_run"]

POINTS = 61
SWEEP = ("maximum_bias=4e-3", f"points={POINTS}", "time_constant=0.001", "settling_time=0.002")
SETTINGS = ("--yes", *(word for setting in SWEEP for word in ("--set", setting)))
# One in four is fitted live, which takes most of a processor.
PROCEDURES = ("IVSweep", *["lab_procedures.PlainSweep"] * 3)


@dataclass(frozen=True)
class Kill:
    """One run that was killed.

    Attributes
    ----------
    stage
        What the source was at when the kill came: "before" the output went on, "on", "after" it went off.
    first_write
        Time (s) from the kill to the first step towards zero; NaN where there was nothing to do.
    acknowledged, kept
        Rows that had to be there after the kill, and rows that were.
    problems
        What did not hold; empty if all did.

    """

    seed: int
    stage: str
    first_write: float
    zero_after: float
    acknowledged: int
    kept: int
    resumed: bool
    problems: tuple[str, ...]


def usual_run(lab: Lab) -> tuple[float, NDArray[np.float64]]:
    """How long (s) the run takes if nothing happens, and the biases (V) that it reads back."""
    began = time.monotonic()
    answer = lab.labnis("run", PROCEDURES[-1], *SETTINGS)
    if answer.returncode:
        raise AssertionError(answer.stderr)
    return time.monotonic() - began, _bias(lab)


def killed_run(lab: Lab, seed: int, usual: tuple[float, NDArray[np.float64]]) -> Kill:
    """Kill a run at a moment that `seed` chooses, and check everything that was promised."""
    problems: list[str] = []
    run = ("run", PROCEDURES[seed % len(PROCEDURES)], *SETTINGS)
    command = lab.start(*run)
    time.sleep(chance(seed).uniform(0.0, 1.02 * usual[0]))
    seen = lab.rows()
    killed = kill(command)
    before = lab.trajectory()[-1]
    unreadable = [path for path in _files(lab) if not _readable(path)]
    problems += [f"{path.name} is unreadable right after the kill" for path in unreadable]
    command.communicate()  # until the guardian has ended, too
    try:
        lab.assert_safe()
    except AssertionError as error:
        problems.append(f"bias: {error}")
    after = lab.trajectory(killed)
    first_write = after[0].time - killed if after and before.output else float("nan")
    if first_write > 1.0:
        problems.append(f"the first step towards zero came {first_write:.2f} s after the kill")
    acknowledged = max(seen, _answered(lab, killed - 1.0) - 1, 0)
    kept = _recovered(lab, problems)
    if kept < acknowledged:
        problems.append(f"{acknowledged} rows were acknowledged, {kept} are left")
    resumed = _resumed(lab, run, kept, usual[1], problems)
    was_on = any(point.output for point in lab.trajectory() if point.time < killed)
    stage = "on" if before.output else "after" if was_on else "before"
    zero_after = after[-1].time - killed if before.output else float("nan")
    return Kill(seed, stage, first_write, zero_after, acknowledged, kept, resumed, tuple(problems))


def fresh_data(lab: Lab, template: Path) -> None:
    """An empty data folder with a cooldown in its ledger."""
    shutil.rmtree(lab.data, ignore_errors=True)
    shutil.copytree(template, lab.data)


def _files(lab: Lab) -> list[Path]:
    return sorted(lab.data.glob("*/*/*.h5"))


def _readable(path: Path) -> bool:
    try:
        with h5py.File(path, "r") as file:
            rows = int(file["data"].attrs["rows"])
            return all(len(values) >= rows for values in file["data"].values() if values.shape)
    except (OSError, KeyError, RuntimeError):
        return False


def _answered(lab: Lab, until: float) -> int:
    """Readings of the source answered before `until`: one belongs to each row."""
    return sum(
        entry.instrument == "bias" and entry.direction == "out" and entry.time < until and entry.text.count(",") == 2
        for entry in lab.log
    )


def _recovered(lab: Lab, problems: list[str]) -> int:
    files = _files(lab)
    if not files:
        return 0
    began = time.monotonic()
    rows = recover(files[0]).rows
    if (lasted := time.monotonic() - began) > 10:
        problems.append(f"recovery took {lasted:.1f} s")
    if len(list_runs(lab.data)) != 1:
        problems.append("`labnis ls` does not list the run")
    return rows


def _resumed(lab: Lab, run: tuple[str, ...], kept: int, planned: NDArray[np.float64], problems: list[str]) -> bool:
    """Go on with what was killed; a run without rows begins anew instead, one that was done has nothing to resume."""
    files = _files(lab)
    if files and list_runs(lab.data)[0].status == "done":
        return False
    answer = lab.labnis("resume", "--yes") if kept else lab.labnis(*run)
    found = _bias(lab) if not answer.returncode else np.array([])
    tolerance = 1e-3 * np.abs(planned).max()
    if answer.returncode or len(found) != len(planned) or np.abs(found - planned).max() > tolerance:
        problems.append(
            f"resumed with exit code {answer.returncode} and {len(found)} of {len(planned)} rows: {answer.stderr}"
        )
    try:
        lab.assert_safe()
    except AssertionError as error:
        problems.append(f"bias after the resumed run: {error}")
    return bool(kept)


def _bias(lab: Lab) -> NDArray[np.float64]:
    """The biases (V) read back, row by row, in the order in which they were measured."""
    return np.asarray(open_rows(_files(lab)[-1])["bias_reading"].values)
