"""The end of a disturbed run: its exit code, its rows and its file."""

import subprocess
from collections.abc import Collection

from labnis.storage import list_runs, open_rows
from tests.faults.commands import Command
from tests.faults.measuring import Lab

__all__ = ["ended", "kept"]

ENDS_WITHIN = 40.0


def ended(command: Command, allowed: Collection[int], problems: list[str]) -> int | None:
    """Wait for a run and its guardian, compare the exit code; a run that does not end is killed."""
    try:
        _, said = command.communicate(ENDS_WITHIN)
    except subprocess.TimeoutExpired as error:
        problems.append(f"the run, or its guardian, had not ended after {ENDS_WITHIN:g} s: {error.stderr!r}")
        if guardian := command.guardian():
            guardian.kill()
        command.kill()
        return None
    if command.returncode not in allowed:
        problems.append(f"exit code {command.returncode}, allowed are {sorted(allowed)}: {said[-1000:]}")
    if "Traceback" in said:
        problems.append(f"a traceback: {said[-1000:]}")
    return command.returncode


def kept(lab: Lab, seen: int, problems: list[str]) -> dict[str, int]:
    """Compare the rows of the file with those `seen` on disk before the event."""
    found = list_runs(lab.data)
    rows = len(open_rows(found[0].path)["bias"]) if found else 0
    if rows < seen:
        problems.append(f"{seen} rows were acknowledged, {rows} are left")
    if found and found[0].status not in ("failed", "aborted"):
        problems.append(f"the status of the run is {found[0].status!r}")
    return {"acknowledged": seen, "in the file": rows}
