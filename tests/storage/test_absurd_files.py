"""Files that are whole by their checksums but absurd: a RunFileError names them, or the fault is told.

Each case changes the frames of a good journal, whose checksums are then right, or a good HDF5 file.
"""

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from labnis.storage import (
    RunFileError,
    RunWriter,
    list_runs,
    open_rows,
    open_run,
    read_events,
    read_fits,
    read_metadata,
    recover,
)

from .absurd import FILES, JOURNALS, LINKS, ROWS_IN_ALL, Frames, lay, order, two_runs

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Frames]:
    data = tmp_path_factory.mktemp("made") / "data"
    return data, *two_runs(data)


@pytest.fixture
def neighbours(tmp_path: Path, made: tuple[Path, Path, Frames]) -> tuple[Path, Frames]:
    """A good run in a data folder, and beside it the path and the frames of one whose process died."""
    data, path, frames = made
    shutil.copytree(data, tmp_path / "data")
    return tmp_path / "data" / path.relative_to(data), frames


def told(call: Callable[[], Any], path: Path) -> str:
    """What `call` tells of the file; nothing if it succeeds."""
    try:
        call()
    except RunFileError as error:
        assert str(path) in str(error)
        return str(error)
    return ""


def assert_rows_in_place(path: Path) -> None:
    table = open_rows(path)
    np.testing.assert_array_equal(table["current"], -np.arange(table.sizes["point"]))


@pytest.mark.parametrize("case", JOURNALS)
def test_an_absurd_journal_is_told_and_ends_nothing_else(neighbours: tuple[Path, Frames], case: str) -> None:
    path, frames = neighbours
    change, words = JOURNALS[case]
    lay(path, change(frames))
    listed = list_runs(path.parents[2])
    assert {run.path for run in listed} >= {path}
    assert [run.status for run in listed if run.run_id == "good"] == ["done"]
    found = [run.reason for run in listed if run.path == path]
    found += [told(lambda read=read: read(path), path) for read in (open_run, read_metadata, read_events, read_fits)]

    def recovered() -> None:
        report = recover(path, writer_is_gone=True)
        found.extend([report.lost, report.problem, *report.done])
        assert_rows_in_place(path)
        if case != "events missing":
            assert report.lost or told(lambda: open_run(path), path)

    found.append(told(recovered, path))
    assert words in " ".join(found)


def test_a_gap_in_the_journal_beside_a_whole_file_costs_nothing(neighbours: tuple[Path, Frames]) -> None:
    path, frames = neighbours
    whole = path.read_bytes()
    lay(path, order(0, 1, 2, 3, 6, 7)(frames))
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        file.attrs["writer_pid"] = 2**30
    report = recover(path, writer_is_gone=True)
    assert "rows 20 to 39 are missing" in report.problem
    assert report.rows == ROWS_IN_ALL
    assert_rows_in_place(path)


# --- HDF5 files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", FILES)
def test_an_absurd_file_is_named_and_ends_nothing_else(neighbours: tuple[Path, Frames], case: str) -> None:
    path, _ = neighbours
    change, words = FILES[case]
    with h5py.File(path, "r+") as file:
        change(file)
    listed = list_runs(path.parents[2])
    assert [run.status for run in listed if run.run_id == "good"] == ["done"]
    reads = (open_run, open_rows, read_metadata, read_events, read_fits)
    found = [told(lambda read=read: read(path), path) for read in reads]
    found += [run.reason for run in listed if run.path == path]
    # The values of a fit are judged where it is used.
    assert words in " ".join(found) if case != "fit of text" else True


def test_an_error_that_is_kept_keeps_no_other_thread_from_files(neighbours: tuple[Path, Frames]) -> None:
    path, _ = neighbours
    with h5py.File(path, "r+") as file:
        FILES["fit of nothing"][0](file)
    with pytest.raises(RunFileError) as kept:
        read_fits(path)
    good = next(run.path for run in list_runs(path.parents[2]) if run.run_id == "good")
    # A daemon: if the lock of h5py were kept, it would wait for as long as the traceback lives.
    reader = threading.Thread(target=read_metadata, args=(good,), daemon=True)
    reader.start()
    reader.join(10)
    assert not reader.is_alive(), kept.value


def test_an_odd_attribute_of_another_program_disturbs_nothing(neighbours: tuple[Path, Frames]) -> None:
    path, _ = neighbours
    with h5py.File(path, "r+") as file:
        file.attrs["thumbnail"] = np.zeros((4, 4))
        file.attrs["nothing"] = h5py.Empty("f8")
        file.attrs["by"] = "another program"
    assert open_run(path).attrs["by"] == "another program"
    assert {run.status for run in list_runs(path.parents[2])} == {"done"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
@pytest.mark.parametrize("name", ["000000-x-pipe.h5", "000000-x-pipe.h5.journal"])
def test_what_is_no_ordinary_file_is_never_waited_for(neighbours: tuple[Path, Frames], name: str) -> None:
    path, _ = neighbours
    os.mkfifo(path.with_name(name))
    assert sorted(run.status for run in list_runs(path.parents[2])) == ["done", "done", "unreadable"]


# --- what leads out of the file ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", LINKS)
def test_what_leads_out_of_the_file_is_refused(neighbours: tuple[Path, Frames], tmp_path: Path, case: str) -> None:
    path, _ = neighbours
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["secret"] = np.arange(60.0)
    before = secret.read_bytes()
    change, words = LINKS[case]
    with h5py.File(path, "r+") as file:
        change(file, secret)
        file.attrs["status"] = "aborted"  # could be resumed
    assert words in told(lambda: open_run(path), path)
    assert words in told(lambda: read_events(path), path)
    assert words in told(lambda: read_fits(path), path)
    assert words in told(lambda: RunWriter.resume(recover(path)), path)
    assert secret.read_bytes() == before
