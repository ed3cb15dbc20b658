"""The promises while a run is being measured: on disk within a second, readable, not lost by a kill."""

import io
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import h5py
import numpy as np
import pytest
import xarray

import labnis.storage
from labnis.storage import RunFileError, RunWriter, _disk, list_runs, open_run, read_fits

from .conftest import FREQUENCY, row
from .test_fits import FIT

pytestmark = pytest.mark.faults

REPOSITORY = Path(labnis.storage.__file__).parents[2]


@contextmanager
def child_writer(data_root: Path) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    command = [sys.executable, str(Path(__file__).with_name("child_writer.py")), str(data_root)]
    search = os.pathsep.join(filter(None, (str(REPOSITORY), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": search}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout is not None
        try:
            yield child, child.stdout
        finally:
            child.kill()


def rows_seen(path: Path) -> int:
    with h5py.File(path) as file:
        return int(file["data"].attrs["rows"])


def test_row_is_on_disk_within_a_second_while_the_measurement_waits(new_run):
    run = new_run(flush_interval=0.2)
    open_run(run.path)  # the first reading of a process loads parts of xarray, which takes a second on a busy computer
    run.append(row(0))
    appended = time.monotonic()
    tick = threading.Event()
    while open_run(run.path).sizes["point"] == 0:
        assert time.monotonic() - appended < 1, "the row is not on disk after 1 s"
        tick.wait(0.005)
    assert open_run(run.path).attrs["status"] == "running"
    run.finish("done")


def test_file_is_complete_between_any_two_flushes(new_run):
    run = new_run(axes=())
    for index in range(-1, 40):
        if index == 0:
            run.add_axis(FREQUENCY)
        if index >= 0:
            run.append(row(index))
            run.flush()
        with h5py.File(run.path) as file:
            assert len(file["data/bias"]) == file["data"].attrs["rows"] == index + 1
        with xarray.open_dataset(run.path, group="data", engine="h5netcdf") as found:
            np.testing.assert_array_equal(found.current, -np.arange(index + 1))
            if index >= 0:
                np.testing.assert_array_equal(found.s11[:, -1], np.arange(index + 1) * (1 + 2j))
    run.finish("done")


@pytest.mark.parametrize("locking", [True, False])
def test_a_reader_that_holds_the_file_in_this_process_disturbs_nothing(new_run, locking):
    run = new_run()
    run.append(row(0))
    run.flush()
    with h5py.File(run.path, locking=locking) as held:
        assert held["data/bias"][:].tolist() == [0]
        for index in range(1, 50):
            run.append(row(index))
            run.flush()
        run.write_fit("iv", FIT)
        run.finish("done")
        assert held["data/bias"][:].tolist() == [0]
    assert open_run(run.path).bias.values.tolist() == list(range(50))
    assert list(read_fits(run.path)) == ["iv"]


def test_a_reader_in_another_process_never_reads_wrong_or_fewer_rows(tmp_path):
    with child_writer(tmp_path) as (child, lines):
        path = Path(lines.readline().strip())
        seen = 0
        # 100 readings, and then until the run grew visibly under them.
        readings = 0
        while readings < 100 or seen < 500:
            found = open_run(path)
            readings += 1
            count = found.sizes["point"]
            assert count >= seen
            seen = count
            np.testing.assert_array_equal(found.bias, np.arange(count))
            np.testing.assert_array_equal(found.s11[:, 100], np.arange(count) * (1 + 1j))
            assert child.poll() is None
            for _ in range(20):
                lines.readline()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.faults
def test_kill_loses_no_row_accepted_more_than_a_second_before(tmp_path, seed):
    lifetime = random.Random(seed).uniform(1.1, 2.5)  # noqa: S311  # no secret
    accepted: list[tuple[int, float]] = []
    with child_writer(tmp_path) as (child, lines):
        path = Path(lines.readline().strip())
        while not accepted or accepted[-1][1] - accepted[0][1] < lifetime:
            index, moment = lines.readline().split()
            accepted.append((int(index), float(moment)))
        child.kill()
        killed = time.monotonic()
        child.wait()
    promised = sum(moment < killed - 1 for _, moment in accepted)
    assert promised > 0
    with h5py.File(path) as file:
        rows = int(file["data"].attrs["rows"])
        assert rows >= promised
        assert file.attrs["status"] == "running"
        np.testing.assert_array_equal(file["data/bias"][:rows], np.arange(rows))
        np.testing.assert_array_equal(file["data/current"][:rows], -np.arange(rows))
        np.testing.assert_array_equal(file["data/s11"][:rows, 50], np.arange(rows) * (1 + 1j))
    # The journal may be one flush ahead.
    assert [run.rows >= rows for run in list_runs(tmp_path)] == [True]


@pytest.mark.parametrize("more", [1, 10, 1300])
def test_a_kill_at_any_write_of_a_flush_leaves_old_or_new_rows(new_run, monkeypatch, tmp_path, more):
    """Replay every prefix of the writes that one flush sends to the disk; 1300 rows need new chunks."""
    run = new_run()
    for index in range(50):
        run.append(row(index))
    run.flush()
    image = bytearray(run.path.read_bytes())
    writes: list[tuple[int, bytes]] = []
    put = _disk.put

    def record(file: io.FileIO, offset: int, data: bytes) -> None:
        if file.name == run.path:
            writes.append((offset, data))
        put(file, offset, data)

    monkeypatch.setattr(_disk, "put", record)
    for index in range(50, 50 + more):
        run.append(row(index))
    run.finish("done")
    writes = [(offset, data) for offset, data in writes if data]
    assert len(writes) > 8
    copy = tmp_path / "copy.h5"
    for offset, data in writes:
        image.extend(bytes(max(0, offset + len(data) - len(image))))
        image[offset : offset + len(data)] = data
        copy.write_bytes(image)
        found = open_run(copy)
        assert found.sizes["point"] in (50, 50 + more)
        assert found.attrs["status"] in ("running", "done")
        np.testing.assert_array_equal(found.current, -np.arange(found.sizes["point"]))
        np.testing.assert_array_equal(found.s11[:, 6], np.arange(found.sizes["point"]) * (1 + 2j))


def test_disk_that_takes_no_more_is_reported_by_the_next_append_and_recovered_from(new_run, monkeypatch):
    """The disk refuses new space for a while; rows are kept, told about, and written once it gives way."""
    full = threading.Event()
    full.set()
    tried = threading.Event()
    put = _disk.put

    def refuse(file, offset, data):
        if data and full.is_set() and file.name == run.path and offset >= len(before):
            put(file, offset, data[:10])
            tried.set()
            raise OSError(28, "No space left on device")
        put(file, offset, data)

    run = new_run(flush_interval=0.01)
    before = run.path.read_bytes()
    monkeypatch.setattr(_disk, "put", refuse)
    run.append(row(0))
    assert tried.wait(10)
    with pytest.raises(RunFileError, match=f"{run.path}: cannot be written: .*No space left.*disk's space"):
        append_until_told(run)
    with pytest.raises(RunFileError, match="No space left"):
        run.finish("failed")
    assert run.path.read_bytes() == before
    full.clear()
    accepted = run.rows
    run.finish("failed", "disk was full")
    found = open_run(run.path)
    assert found.current.values.tolist() == [-index for index in range(accepted)]
    assert (found.attrs["status"], found.attrs["reason"]) == ("failed", "disk was full")


def append_until_told(run: RunWriter) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        run.append(row(run.rows))


def test_folder_removed_in_mid_run_is_reported_with_its_path(new_run):
    run = new_run()
    run.append(row(0))
    run.path.rename(run.path.with_suffix(".gone"))
    with pytest.raises(RunFileError, match=f"{run.path}: cannot be written: .*No such file"):
        run.flush()
    run.path.with_suffix(".gone").rename(run.path)
    run.finish("done")
    assert open_run(run.path).sizes["point"] == 1


def test_a_run_that_ends_badly_keeps_its_rows_and_the_reason(new_run):
    run = new_run()
    run.append(row(0))
    run.finish("failed", "ValueError: boom", traceback="in line 7")
    found = open_run(run.path)
    assert found.sizes["point"] == 1
    attributes = [found.attrs[name] for name in ("status", "reason", "traceback")]
    assert attributes == ["failed", "ValueError: boom", "in line 7"]
