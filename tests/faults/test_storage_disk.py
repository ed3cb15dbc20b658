"""Faults 7, 9 and 10: a disk that is full, a folder that is removed or read-only, during a run."""

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

import labnis.storage
from labnis.storage import (
    Column,
    DiskSpaceError,
    RunFileError,
    StorageWarning,
    _disk,
    check_free_space,
    estimate_bytes,
    list_runs,
    open_run,
    recover,
)
from labnis.storage._journal import RESERVE_BYTES, STEP_BYTES, journal_path

from ..storage.conftest import COLUMNS, row, run_factory
from ..storage.power_cut import assert_rows
from .file_systems import mounted

REPOSITORY = Path(labnis.storage.__file__).parents[2]
PROGRAM = Path(__file__).with_name("full_disk_writer.py")


def measured_until_full(folder: Path, limit: int = 0) -> tuple[subprocess.CompletedProcess[str], Path, int, str]:
    search = os.pathsep.join(filter(None, (str(REPOSITORY), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(folder), str(limit)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": search},
    )
    path, told, *rest = done.stdout.splitlines()
    accepted, _, message = told.partition(" ")
    return done, Path(path), int(accepted), "\n".join([message, *rest])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    with mounted(tmp_path / "disk", "size=8m") as folder:
        yield folder


def test_full_disk_keeps_every_accepted_row_and_says_how_it_ended(small_disk: Path) -> None:
    done, path, accepted, message = measured_until_full(small_disk)
    assert done.returncode == 6, done.stderr
    assert "No space left" in message
    assert accepted > 500
    found = open_run(path)
    count = found.sizes["point"]
    assert count >= accepted
    np.testing.assert_array_equal(found.s11[:, 100], np.arange(count) * (1 + 1j))
    assert found.attrs["status"] == "failed"
    assert "the disk" in found.attrs["reason"]
    assert not journal_path(path).exists()
    assert not recover(path).problem


def test_file_as_long_as_it_may_be_keeps_every_accepted_row(tmp_path: Path) -> None:
    """Nothing can make the HDF5 file longer here, so it is the journal that has the last rows and the end."""
    limit = RESERVE_BYTES + STEP_BYTES
    done, path, accepted, message = measured_until_full(tmp_path, limit)
    assert done.returncode == 6, done.stderr
    assert "File too large" in message
    assert accepted > 500
    with h5py.File(path) as file:
        assert file["data"].attrs["rows"] > 0
    if journal_path(path).exists():
        assert "All rows are kept in" in message
        recover(path)
    found = open_run(path)
    assert found.sizes["point"] >= accepted
    assert found.attrs["status"] == "failed"


def test_disk_too_full_to_begin_is_reported_and_nothing_left(small_disk: Path) -> None:
    (small_disk / "other").write_bytes(bytes(7_500_000))
    with pytest.raises(DiskSpaceError, match=r"cannot be created: .*No space left"):
        run_factory(small_disk / "data")()
    assert not list(small_disk.rglob("*.h5*"))


def test_room_is_estimated_and_asked_for_beforehand(tmp_path: Path) -> None:
    lengths = {"frequency": 10_001}
    estimate = estimate_bytes(COLUMNS, lengths, 1000)
    data = 1000 * (8 + 8 + 16 * 10_001)
    assert 2 * data < estimate < 2 * data + 20e6
    check_free_space(tmp_path / "not" / "there" / "yet", 1000)
    with pytest.raises(DiskSpaceError, match=r"needs up to 1000000000\.0 MB .* MB left"):
        check_free_space(tmp_path, 10**15)


def test_estimate_is_not_exceeded(tmp_path: Path) -> None:
    run = run_factory(tmp_path)()
    for index in range(5000):
        run.append(row(index))
    run.flush()
    used = sum(file.stat().st_size for file in tmp_path.rglob("*.h5*"))
    assert 0.2 * used < estimate_bytes(COLUMNS, {"frequency": 7}, 5000)
    assert used <= estimate_bytes(COLUMNS, {"frequency": 7}, 5000)
    run.finish("done")
    one = [Column("bias", "V", "Bias")]
    assert estimate_bytes(one, {}, 10**6) - estimate_bytes(one, {}, 0) == 2 * 16 * 10**6


def rescued(message: str) -> Path:
    found = re.search(r"Rescue copy of the whole run: (\S+\.h5)", message)
    assert found, message
    return Path(found[1])


@pytest.fixture
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))


@pytest.mark.usefixtures("_temporary")
def test_folder_removed_in_mid_run_leaves_a_rescue_copy_of_everything(tmp_path: Path) -> None:
    run = run_factory(tmp_path / "data")()
    for index in range(5):
        run.append(row(index))
    run.flush()
    shutil.rmtree(tmp_path / "data")
    for index in range(5, 8):
        run.append(row(index))
    with pytest.raises(RunFileError, match=r"No such file.*All rows are kept in the rescue copy .*labnis-rescue-"):
        run.flush()
    with pytest.raises(RunFileError) as told:
        run.finish("failed", "the data folder is gone")
    copy = rescued(str(told.value))
    assert copy.is_relative_to(tmp_path / "temporary")
    found = open_run(copy)
    assert_rows(found, 8)
    assert found.attrs["reason"] == "the data folder is gone"


@pytest.mark.usefixtures("_temporary")
def test_removed_folder_is_reported_by_the_next_append(tmp_path: Path) -> None:
    run = run_factory(tmp_path / "data")(flush_interval=0.01)
    shutil.rmtree(tmp_path / "data")
    wait = threading.Event()
    with pytest.raises(RunFileError, match="rescue copy"):  # until it is noticed
        for index in range(2000):
            run.append(row(index))
            wait.wait(0.005)
    accepted = run.rows
    with pytest.raises(RunFileError) as told, pytest.warns(StorageWarning, match="journal was lost"):
        wait.wait(0.1)
        run.finish("failed", "gone")
    assert_rows(open_run(rescued(str(told.value))), accepted)


@pytest.mark.usefixtures("_temporary")
def test_read_only_disk_in_mid_run_leaves_a_rescue_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_factory(tmp_path / "data")()
    run.append(row(0))
    run.flush()
    put = _disk.put

    def refuse(file: io.FileIO, offset: int, data: bytes) -> None:
        if str(file.name).startswith(str(tmp_path / "data")):
            raise OSError(30, "Read-only file system")
        put(file, offset, data)

    monkeypatch.setattr(_disk, "put", refuse)
    run.append(row(1))
    with pytest.raises(RunFileError) as told:
        run.finish("failed", "read-only")
    assert "Read-only file system" in str(told.value)
    assert_rows(open_run(rescued(str(told.value))), 2)
    assert [one.rows for one in list_runs(tmp_path / "data")] == [1]


@pytest.mark.usefixtures("_temporary")
def test_disk_that_fails_everywhere_says_so_and_keeps_the_rows_for_another_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_factory(tmp_path / "data")()
    put = _disk.put

    def fail(file: io.FileIO, offset: int, data: bytes) -> None:
        raise OSError(5, "Input/output error")

    run.append(row(0))
    monkeypatch.setattr(_disk, "put", fail)
    with pytest.raises(RunFileError, match=r"Input/output error.*Neither can a rescue copy"):
        run.finish("failed")
    monkeypatch.setattr(_disk, "put", put)
    run.finish("failed", "came back")
    assert_rows(open_run(run.path), 1)


@pytest.mark.parametrize("ending", ["", "raise ValueError('boom')", "import os, signal; os.kill(os.getpid(), 15)"])
def test_program_that_ends_without_finish_ends_by_itself_and_keeps_its_rows(tmp_path: Path, ending: str) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from tests.storage.conftest import row, run_factory\n"
        "run = run_factory(Path(sys.argv[2]))(flush_interval=5.0)\n"
        "[run.append(row(index)) for index in range(7)]\n"
    )
    command = [sys.executable, "-c", script + ending, str(REPOSITORY), str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    assert done.returncode == {"": 0, "r": 1, "i": -15}[ending[:1]], done.stderr
    [summary] = list_runs(tmp_path)
    assert summary.status == "interrupted"
    assert summary.rows == (0 if done.returncode == -15 else 7)
    assert recover(summary.path).rows == summary.rows
