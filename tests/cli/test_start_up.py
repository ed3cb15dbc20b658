"""What a command imports: those that only look start without the libraries that measure, fit and draw."""

from pathlib import Path

import pytest

from tests.run.bench import python

HEAVY = {"scipy", "qcodes", "pymeasure", "pyvisa", "matplotlib", "xarray", "pandas", "pint", "alembic"}


def imported(arguments: str, folder: Path) -> set[str]:
    """Top-level packages that `labnis ARGUMENTS` imports in a process of its own, which must end with 0."""
    done = python(["-X", "importtime", "-m", "labnis.cli", *arguments.split()], folder)
    assert done.code == 0, done.err
    lines = [line.rpartition("|")[2].strip() for line in done.err.splitlines() if line.startswith("import time:")]
    return {name.partition(".")[0] for name in lines}


@pytest.fixture
def measured(labnis, tmp_path: Path) -> Path:
    answer = labnis("run IVSweep --set points=41 --dry-run --seed 1 --data data")
    assert answer.code == 0, answer.err
    return tmp_path


def test_commands_that_look_import_no_library_that_measures_fits_or_draws(measured: Path) -> None:
    (file,) = (measured / "data").rglob("*.h5")
    commands = (
        "--help",
        "ls --data data",
        f"show {file} --data data",
        f"log {file} --data data",
        "calibrations --data data",
        "cooldown list --data data",
    )
    found = {command: sorted(imported(command, measured) & HEAVY) for command in commands}
    assert found == {command: [] for command in commands}
