"""A disk that never answers, such as a network folder whose server is away: told, bounded, and the rows are saved."""

import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from labnis.storage import RunFileError, RunWriter, _time_limit, open_run, read_metadata, recover
from tests.storage.conftest import COLUMNS, FREQUENCY, metadata, row

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for the paths of open files in /proc")

PATIENCE = 0.4


class Disk:
    """The disk of a folder, whose answers may be held back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.answers = threading.Event()
        self.answers.set()
        self._sync = os.fdatasync

    def sync(self, descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().is_relative_to(self.folder):
            self.answers.wait()
        self._sync(descriptor)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    monkeypatch.setattr(_time_limit, "ANSWERS_WITHIN", PATIENCE)
    found = Disk(tmp_path / "data")
    monkeypatch.setattr(os, "fdatasync", found.sync)
    yield found
    found.answers.set()


@pytest.fixture
def run(disk: Disk) -> RunWriter:
    disk.folder.mkdir()
    writer = RunWriter(disk.folder, metadata(), COLUMNS, axes=[FREQUENCY], flush_interval=0.05)
    for index in range(3):
        writer.append(row(index))
    writer.flush()
    return writer


def append_until_refused(run: RunWriter, first: int) -> tuple[int, RunFileError]:
    """Number of rows when one is refused, and the refusal."""
    deadline = time.monotonic() + 20.0
    for index in range(first, 100_000):
        try:
            run.append(row(index))
        except RunFileError as error:
            return index, error
        assert time.monotonic() < deadline
        time.sleep(0.01)
    raise AssertionError("never refused")


def test_rows_are_refused_and_the_whole_run_is_saved_elsewhere(disk: Disk, run: RunWriter) -> None:
    disk.answers.clear()
    rows, refusal = append_until_refused(run, 3)
    assert "the disk has not answered" in str(refusal)
    begun = time.monotonic()
    with pytest.raises(RunFileError, match="has not answered"):
        run.flush()
    with pytest.raises(RunFileError, match="Rescue copy of the whole run") as caught:
        run.finish("failed", "RunFileError: the disk has not answered")
    assert time.monotonic() - begun < 10 * PATIENCE
    match = re.search(r"Rescue copy of the whole run: (.*\.h5)", str(caught.value))
    assert match is not None
    copy = Path(match.group(1))
    assert read_metadata(copy)["rows"] == rows
    assert read_metadata(copy)["status"] == "failed"
    with open_run(copy) as data:
        assert list(data["bias"].values) == [float(index) for index in range(rows)]


def test_what_was_on_the_disk_is_still_there(disk: Disk, run: RunWriter) -> None:
    disk.answers.clear()
    append_until_refused(run, 3)
    with pytest.raises(RunFileError):
        run.finish("failed")
    disk.answers.set()
    for thread in threading.enumerate():
        if thread.name.startswith("labnis-"):
            thread.join(10.0)
    assert recover(run.path, writer_is_gone=True).rows >= 3


def test_a_disk_that_is_slow_loses_nothing(disk: Disk, run: RunWriter) -> None:
    disk.answers.clear()
    threading.Timer(PATIENCE / 2, disk.answers.set).start()
    for index in range(3, 30):
        run.append(row(index))
    run.finish("done")
    assert read_metadata(run.path)["rows"] == 30
    assert read_metadata(run.path)["status"] == "done"
