"""docs/own-lab.md, followed literally; and the folder that `labnis new lab` writes."""

import os
import shlex
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import labnis
from labnis.storage import open_run
from tests.documentation.pages import BLOCK, command
from tests.run.bench import ROOT, Answer

pytestmark = pytest.mark.documentation


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Answer]]:
    """An empty folder in which the page was followed, and what each of its commands answered."""
    folder = tmp_path_factory.mktemp("our lab") / "sample 7"
    folder.mkdir()
    answers = []
    for block in BLOCK.finditer((ROOT / "docs" / "own-lab.md").read_text(encoding="utf-8")):
        if block["file"]:
            file = folder / block["file"]
            file.parent.mkdir(exist_ok=True)
            file.write_text(block["text"], encoding="utf-8")
        elif block["kind"] == "console":
            lines = [shlex.split(line.removeprefix("$ ")) for line in block["text"].splitlines()]
            answers += [command(line, folder) for line in lines]
    return folder, answers


def test_every_command_of_the_page_succeeds(followed: tuple[Path, list[Answer]]) -> None:
    _, answers = followed
    assert len(answers) == 5
    assert [answer.code for answer in answers] == [0] * 5, [answer.err for answer in answers if answer.code]


def test_the_map_its_result_and_its_figure_are_there(followed: tuple[Path, list[Answer]]) -> None:
    folder, (_, ran, listed, calibrations, looked) = followed
    assert "stand-in" in ran.err
    assert "Warning" not in ran.err  # the live fit of the first rows has too few data
    assert "GateMap" in listed.out
    assert "line resistance" in calibrations.out
    assert "('gate', 'bias')" in looked.out
    (path,) = folder.glob("data/*/*/*.h5")
    run = labnis.open_run(path)
    assert run.data["current"].shape == (3, 21)
    assert run.metadata["note"] == "rehearsal"
    # The fit takes the whole line for ohmic: device and line together.
    assert run.results["line_resistance"].value == pytest.approx(26e3, rel=0.05)
    axis, colorbar = run.plot().axes[:2]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("Gate (V)", "Bias (mV)")
    assert colorbar.get_ylabel() == "Current (nA)"
    assert (folder / "map.png").stat().st_size > 10_000


def test_the_grid_is_there_while_the_map_is_half_measured(followed: tuple[Path, list[Answer]]) -> None:
    folder, _ = followed
    seen: list[tuple[int, int]] = []
    begun = threading.Event()
    process = subprocess.Popen(
        [sys.executable, "-m", "labnis.cli", "run", "ourlab.maps.GateMap", "--dry-run", "--data", "half",
         "--set", "gates=-1:1:200"],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not seen and process.poll() is None and time.monotonic() < deadline:
            for path in (folder / "half").glob("*/*/*.h5"):
                data = open_run(path)
                measured = int(data["current"].notnull().sum())
                if 0 < measured < 200 * 21:
                    assert data["current"].dims == ("gate", "bias")
                    seen.append(data["current"].shape)
            begun.wait(0.02)
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert seen == [(200, 21)]


def test_a_new_labs_own_tests_pass_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "a new lab"
    assert command(["labnis", "new", "lab", str(folder)], tmp_path).code == 0
    assert command(["labnis", "check"], folder).code == 0
    tests = command(["python", "-m", "pytest", "-q", "-p", "no:cacheprovider"], folder)
    assert tests.code == 0, tests.out
    assert "2 passed in" in tests.out  # without warnings
    again = command(["labnis", "new", "lab", str(folder)], tmp_path)
    assert again.code == 2
    assert "is not empty" in again.err


def test_a_mistake_in_a_labs_file_is_one_message_with_file_and_line(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    assert command(["labnis", "new", "lab", str(folder)], tmp_path).code == 0
    maps = folder / "mylab" / "maps.py"
    maps.write_text(maps.read_text(encoding="utf-8").replace("class GateMap(", "class GateMap(("), encoding="utf-8")
    answer = command(["labnis", "run", "mylab.maps.GateMap", "--dry-run"], folder)
    assert answer.code == 2
    (line,) = answer.err.splitlines()
    assert "maps.py, line 8" in line
    assert "was never closed" in line or "invalid syntax" in line
