"""A session of tests leaves nothing in the machine's temporary folder, and says what its tests did not remove."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.faults

ROOT = Path(__file__).parents[1]

TESTS = {
    "tidy": "def test(tmp_path):\n    (tmp_path / 'a').touch()\n    (Path.home() / 'b').touch()\n",
    "untidy": "def test():\n    tempfile.mkdtemp(prefix='forgotten-')\n",
    "failing": "def test_failing(tmp_path):\n    (tmp_path / 'a').touch()\n    raise RuntimeError\n",
    "worker killed": "def test_killing(tmp_path):\n    (tmp_path / 'a').touch()\n    os.kill(os.getpid(), 9)\n",
}


def session(folder: Path, test: str, *options: str) -> "subprocess.CompletedProcess[str]":
    """A session of one test, with this project's conftest, in which `folder` is the machine's temporary folder."""
    (folder / "tests").mkdir(exist_ok=True)
    (folder / "tests" / "test_it.py").write_text(f"import os, tempfile\nfrom pathlib import Path\n\n{test}")
    (folder / "tmp").mkdir(exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", *options, "tests"]
    return subprocess.run(
        command,
        cwd=folder,
        env=environment | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder / "tmp")},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


@pytest.mark.parametrize(
    ("test", "said"),
    [
        (TESTS["tidy"] + TESTS["failing"] + TESTS["worker killed"], ""),
        (TESTS["untidy"], "left in the temporary folder by the tests: forgotten-"),
    ],
    ids=["failing and killed", "untidy"],
)
def test_a_session_with_workers_leaves_nothing(tmp_path: Path, test: str, said: str) -> None:
    answer = session(tmp_path, test, "-n", "1")
    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert not list((tmp_path / "tmp").iterdir())
    assert ("left in the temporary folder" in answer.stdout) == bool(said)
    assert said in answer.stdout


def test_a_session_leaves_nothing_and_removes_the_folder_of_a_killed_one(tmp_path: Path) -> None:
    killed = session(tmp_path, TESTS["worker killed"], "-n", "0")
    assert killed.returncode == -9
    assert list((tmp_path / "tmp").iterdir())
    answer = session(tmp_path, TESTS["tidy"], "-n", "0")
    assert answer.returncode == 0, answer.stdout
    assert not list((tmp_path / "tmp").iterdir())
