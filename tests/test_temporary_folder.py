"""A session of tests leaves nothing in the machine's temporary folder, and says what its tests did not remove."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

TESTS = {
    "tidy": "def test(tmp_path):\n    (tmp_path / 'a').touch()\n    (Path.home() / 'b').touch()\n",
    "untidy": "def test():\n    tempfile.mkdtemp(prefix='forgotten-')\n",
    "failing": "def test(tmp_path):\n    (tmp_path / 'a').touch()\n    raise RuntimeError\n",
    "worker killed": "def test(tmp_path):\n    (tmp_path / 'a').touch()\n    os.kill(os.getpid(), 9)\n",
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


@pytest.mark.parametrize("workers", ["0", "1"])
@pytest.mark.parametrize(("test", "code"), [("tidy", 0), ("failing", 1), ("untidy", 1), ("worker killed", 1)])
def test_nothing_is_left(tmp_path: Path, test: str, code: int, workers: str) -> None:
    if test == "worker killed" and workers == "0":
        pytest.skip("this kills the session itself; the next one removes its folder")
    answer = session(tmp_path, TESTS[test], "-n", workers)
    assert answer.returncode == code, answer.stdout + answer.stderr
    assert not list((tmp_path / "tmp").iterdir())
    assert ("left in the temporary folder by the tests: forgotten-" in answer.stdout) == (test == "untidy")


def test_the_folder_of_a_killed_session_is_removed_by_the_next(tmp_path: Path) -> None:
    killed = session(tmp_path, TESTS["worker killed"], "-n", "0")
    assert killed.returncode == -9
    assert list((tmp_path / "tmp").iterdir())
    answer = session(tmp_path, TESTS["tidy"], "-n", "0")
    assert answer.returncode == 0, answer.stdout
    assert not list((tmp_path / "tmp").iterdir())
