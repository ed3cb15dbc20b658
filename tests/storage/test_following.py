"""Runs that are followed while they grow: only what is new is read, and rows are thinned out."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray

from labnis.storage import FollowedFolder, FollowedRun, RunFileError, RunWriter, Status, list_runs, open_run
from tests.storage.conftest import finished, row


def test_a_followed_run_is_what_open_run_reads(new_run: Callable[..., RunWriter]) -> None:
    run = new_run()
    followed = FollowedRun(run.path)
    assert followed.read().rows == 0
    for number in range(11):
        run.append(row(number))
        if number % 4 == 0:
            run.flush()
            assert followed.read().rows == number + 1
    run.event("warning", "a warning")
    run.finish("done")
    state = followed.read()
    xarray.testing.assert_equal(state.data(), open_run(run.path))
    assert (state.metadata["status"], state.rows, state.step) == ("done", 11, 1)
    assert [event.message for event in state.events] == ["a warning"]
    assert state.last == {"point": 10, "bias": 10.0, "current": -10.0}
    assert followed.read() is state, "nothing has changed"


@pytest.mark.parametrize("at_once", [True, False])
def test_many_rows_are_thinned_out_evenly_however_they_come(new_run: Callable[..., RunWriter], at_once: bool) -> None:
    run = new_run()
    followed = FollowedRun(run.path)
    with finished(run):
        for number in range(9001):
            run.append(row(number))
            if not at_once and number % 700 == 0:
                run.flush()
                followed.read()
    state = followed.read()
    assert (state.rows, state.step) == (9001, 8)
    np.testing.assert_array_equal(state.columns["bias"], np.arange(0, 9001, 8))
    assert state.columns["s11"].shape == (1126, 7)
    assert state.last["bias"] == 9000
    assert state.data().sizes["point"] == 1126


def test_a_run_whose_process_died_is_interrupted(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.storage.child_writer", str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    path = Path(child.stdout.readline().strip())
    folder = FollowedFolder(tmp_path)
    followed = FollowedRun(path)
    while followed.read().rows < 10:
        assert child.stdout.readline()
    assert [run.status for run in folder.runs()] == ["running"]
    child.kill()
    child.communicate()
    state = followed.read()
    assert state.metadata["status"] == "interrupted"
    assert "labnis recover" in state.metadata["reason"]
    assert state.rows >= 10
    assert folder.runs() == list_runs(tmp_path)
    assert followed.read() is state


@pytest.mark.parametrize("status", ["done", "failed"])
def test_the_list_of_a_folder_follows_it(tmp_path: Path, new_run: Callable[..., RunWriter], status: Status) -> None:
    folder = FollowedFolder(tmp_path / "data")
    first = new_run()
    assert [run.status for run in folder.runs()] == ["running"]
    first.finish(status)
    with finished(new_run()):
        assert folder.runs() == list_runs(tmp_path / "data")
    (first.path.parent / "000000-broken-00000000.h5").write_bytes(b"no HDF5")
    assert folder.runs() == list_runs(tmp_path / "data")
    first.path.unlink()
    assert len(folder.runs()) == 2


def test_a_file_that_is_no_run_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.h5"
    broken.write_bytes(b"no HDF5")
    with pytest.raises(RunFileError, match=r"broken\.h5"):
        FollowedRun(broken).read()
