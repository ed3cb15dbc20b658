"""Faults 26, 28 and 33: a clock that is set, a network file system, and a very long run."""

import itertools
import time
import tracemalloc
from collections import namedtuple
from pathlib import Path

import pytest

from labnis.storage import Column, RunWriter, StorageWarning, open_run, read_events, read_metadata
from labnis.storage._disk import network_filesystem
from labnis.storage._journal import journal_path

from ..storage.conftest import metadata, row, run_factory

Mount = namedtuple("Mount", "device mountpoint fstype opts")  # as psutil's


@pytest.mark.parametrize("hours", [1, -1])
def test_clock_that_is_set_changes_no_duration_and_is_an_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    real = time.time
    run = run_factory(tmp_path)(flush_interval=0.01)
    run.append(row(0))
    monkeypatch.setattr(time, "time", lambda: real() + hours * 3600)
    deadline = time.monotonic() + 10
    while not (events := read_events(run.path)):
        assert time.monotonic() < deadline
    run.finish("done")
    assert [event.kind for event in events] == ["clock-step"]
    assert events[0].details["seconds"] == pytest.approx(hours * 3600, abs=1)
    assert "moved by" in events[0].message
    assert 0 <= read_metadata(run.path)["duration"] < 60


def test_change_of_summer_time_is_no_step_of_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the name of the hour changes; times in the file carry their offset."""
    monkeypatch.setenv("TZ", "Europe/Helsinki")
    time.tzset()
    run = run_factory(tmp_path)(flush_interval=0.01)
    monkeypatch.setenv("TZ", "Etc/GMT-2")
    time.tzset()
    run.append(row(0))
    run.event("warning", "seen")
    run.finish("done")
    monkeypatch.undo()
    time.tzset()
    found = read_metadata(run.path)
    assert found["end"].utcoffset().total_seconds() == 7200
    assert [event.kind for event in read_events(run.path)] == ["warning"]


def mounted(monkeypatch: pytest.MonkeyPatch, *mounts: Mount) -> None:
    monkeypatch.setattr("psutil.disk_partitions", lambda **_: list(mounts))


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "9p"])
def test_network_file_system_is_warned_of_and_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    mounted(monkeypatch, Mount("/dev/sda", "/", "ext4", "rw"), Mount("server:/x", str(tmp_path), kind, "rw"))
    assert network_filesystem(tmp_path / "not" / "yet") == kind
    with pytest.warns(StorageWarning, match=rf"network file system \({kind}\)"):
        run = run_factory(tmp_path)()
    run.finish("done")
    assert [(event.kind, event.details) for event in read_events(run.path)] == [("warning", {"filesystem": kind})]


def test_local_folder_below_a_network_mount_is_local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted(monkeypatch, Mount("server:/x", "/", "nfs", "rw"), Mount("/dev/sda", str(tmp_path), "xfs", "rw"))
    assert network_filesystem(tmp_path) == ""
    mounted(monkeypatch, Mount("Z:", "/", "NTFS", "rw,remote"))
    assert network_filesystem(tmp_path) == "NTFS"


@pytest.mark.parametrize("rows", [60_000, pytest.param(1_000_000, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
def test_long_run_takes_no_more_memory_or_room_per_row_at_its_end(tmp_path: Path, rows: int) -> None:
    columns = [Column(name, "1", name) for name in ("a", "b", "c")]
    run = RunWriter(tmp_path, metadata(setpoints=()), columns, flush_interval=0.05)
    tracemalloc.start()
    memory, size, journal = [], [], []
    for index in range(rows):
        run.append({"a": float(index), "b": 1.0, "c": 2.0})
        if (index + 1) % (rows // 6) == 0:
            run.flush()
            memory.append(tracemalloc.get_traced_memory()[0])
            size.append(run.path.stat().st_size)
            journal.append(len(journal_path(run.path).read_bytes().rstrip(b"\0")))
    tracemalloc.stop()
    run.finish("done")
    assert max(memory) - memory[0] < 1_000_000
    tenth = rows // 6 * 32  # with `point`
    for sizes, slack in ((size, 4 * 64 * 1024), (journal, 200_000)):
        for before, after in itertools.pairwise(sizes):
            assert tenth - slack <= after - before <= 1.3 * tenth + slack
    assert open_run(run.path).sizes["point"] == rows
