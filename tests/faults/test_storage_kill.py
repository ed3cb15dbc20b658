"""Faults 1, 30 and 31: kill -9 of the writer at a random moment, readers of every kind, resuming the run."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np
import pytest
import xarray

import labnis.storage
from labnis.storage import (
    RunFileError,
    RunInUseError,
    RunMetadata,
    RunWriter,
    list_runs,
    open_run,
    read_events,
    read_fits,
    read_metadata,
    recover,
    resume_differences,
)
from labnis.storage._journal import journal_path

from ..storage.conftest import FREQUENCY, metadata, row, run_factory
from ..storage.power_cut import assert_rows
from ..storage.test_fits import FIT

REPOSITORY = Path(labnis.storage.__file__).parents[2]
CHILD = REPOSITORY / "tests" / "storage" / "child_writer.py"


@contextmanager
def child_writer(data_root: Path) -> Iterator[tuple[subprocess.Popen[str], IO[str], Path]]:
    search = os.pathsep.join(filter(None, (str(REPOSITORY), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": search}
    command = [sys.executable, str(CHILD), str(data_root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout is not None
        try:
            yield child, child.stdout, Path(child.stdout.readline().strip())
        finally:
            child.kill()


def killed(data_root: Path, seed: int) -> tuple[Path, int, int]:
    """File of a run whose writer was killed, rows it had accepted a second before, and rows it had accepted at all."""
    lifetime = random.Random(seed).uniform(1.05, 1.6)  # noqa: S311  # no secret
    accepted: list[float] = []
    with child_writer(data_root) as (child, lines, path):
        while not accepted or accepted[-1] - accepted[0] < lifetime:
            accepted.append(float(lines.readline().split()[1]))
        os.kill(child.pid, signal.SIGKILL)
        moment = time.monotonic()
        rest = [line for line in child.communicate()[0].splitlines() if len(line.split()) == 2]
    return path, sum(when < moment - 1 for when in accepted), len(accepted) + len(rest)


def check_kill(data_root: Path, seed: int) -> None:
    path, promised, accepted = killed(data_root, seed)
    [summary] = list_runs(data_root)
    assert summary.status == "interrupted"
    assert summary.rows >= promised > 0
    assert "has ended; `labnis recover" in summary.reason
    assert recover(path).status == "failed"
    found = open_run(path)
    count = found.sizes["point"]
    # One row may have been on its way to the pipe.
    assert promised <= summary.rows == count <= accepted + 1
    np.testing.assert_array_equal(found.bias, np.arange(count))
    np.testing.assert_array_equal(found.s11[:, 50], np.arange(count) * (1 + 1j))
    run = RunWriter.resume(recover(path))
    assert run.rows == count
    run.append({"bias": float(count), "current": -float(count), "s11": np.full(101, count * (1 + 1j))})
    run.finish("done")
    np.testing.assert_array_equal(open_run(path).bias, np.arange(count + 1))
    assert [run.status for run in list_runs(data_root)] == ["done"]


@pytest.mark.parametrize("seed", range(2))
def test_kill_recover_resume(tmp_path: Path, seed: int) -> None:
    check_kill(tmp_path, seed)


def test_run_of_a_living_process_is_running(tmp_path: Path) -> None:
    with child_writer(tmp_path) as (_, lines, path):
        lines.readline()
        assert [run.status for run in list_runs(tmp_path)] == ["running"]
        with pytest.raises(RunInUseError, match="is writing this run"):
            recover(path)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, "interrupted"),
        ({"writer_host": "elsewhere 0123"}, "running"),
        ({"writer_boot": "another-boot 1"}, "interrupted"),
    ],
)
def test_only_what_is_surely_dead_counts_as_interrupted(tmp_path: Path, change: dict[str, Any], status: str) -> None:
    """Without its journal, as a run copied by hand would be; numbers of another machine's processes say nothing."""
    path, _, _ = killed(tmp_path, 0)
    journal_path(path).unlink()
    with h5py.File(path, "r+") as file:
        for key, value in change.items():
            file.attrs[key] = value
    assert [run.status for run in list_runs(tmp_path)] == [status]
    if status == "running":
        with pytest.raises(RunInUseError, match="on elsewhere"):
            recover(path)
        assert recover(path, writer_is_gone=True).status == "failed"


def test_number_of_a_dead_process_used_again_is_not_taken_for_it(tmp_path: Path) -> None:
    run = run_factory(tmp_path)()
    run.flush()
    with h5py.File(run.path, "r+") as file:
        file.attrs["writer_started"] = file.attrs["writer_started"] - 1000
    journal_path(run.path).rename(tmp_path / "aside")
    assert [one.status for one in list_runs(tmp_path)] == ["interrupted"]
    (tmp_path / "aside").rename(journal_path(run.path))
    run.finish("done")


# --- resuming ---------------------------------------------------------------------------------------------------------


def aborted_run(data_root: Path, **about: object) -> Path:
    run = run_factory(data_root)(**about)
    for index in range(5):
        run.append(row(index))
    run.event("interlock", "too warm", temperature=0.3)
    run.write_fit("iv", FIT)
    run.finish("aborted", "stopped by SIGINT")
    return run.path


def test_resumed_run_keeps_all_and_says_what_happened(tmp_path: Path) -> None:
    path = aborted_run(tmp_path)
    before = read_metadata(path)
    run = RunWriter.resume(recover(path))
    now = read_metadata(path)
    assert (now["status"], now["end"], now["run_id"]) == ("running", None, before["run_id"])
    for index in range(5, 8):
        run.append(row(index))
    run.finish("done")
    assert_rows(open_run(path), 8)
    assert list(read_fits(path)) == ["iv"]
    interlock, resumed = read_events(path)
    assert (interlock.kind, interlock.details) == ("interlock", {"temperature": 0.3})
    assert (resumed.kind, resumed.message) == ("resumed", "resumed after 5 rows")
    assert resumed.details["before"]["reason"] == "stopped by SIGINT"
    done = read_metadata(path)
    assert done["duration"] >= before["duration"]
    assert (done["status"], done["reason"]) == ("done", "")
    assert done["parameters"] == before["parameters"]


def test_resumed_run_that_is_killed_again_loses_nothing(tmp_path: Path) -> None:
    """The journal of the second stretch holds the first as well: the HDF5 file may be missing."""
    path = aborted_run(tmp_path)
    run = RunWriter.resume(recover(path))
    run.append(row(5))
    run.flush()
    journal = journal_path(path).read_bytes()
    run.finish("done")
    path.unlink()
    journal_path(path).write_bytes(journal)
    recover(path, writer_is_gone=True)
    assert_rows(open_run(path), 6)
    assert [event.kind for event in read_events(path)] == ["interlock", "resumed"]
    assert list(read_fits(path)) == ["iv"]


def test_run_may_be_resumed_before_its_axis_is_known(tmp_path: Path) -> None:
    run = run_factory(tmp_path)(axes=())
    run.finish("aborted")
    again = RunWriter.resume(recover(run.path))
    again.add_axis(FREQUENCY)
    again.append(row(0))
    again.finish("done")
    assert_rows(open_run(run.path), 1)


def test_done_run_is_not_resumed(tmp_path: Path) -> None:
    run = run_factory(tmp_path)()
    run.finish("done")
    with pytest.raises(RunFileError, match="is complete and cannot be resumed"):
        RunWriter.resume(recover(run.path))


STATION = "instruments:\n  k: {address: A}  # the source\nlabnis:\n  limits: {maximum_bias: 1.0e-3}\n  data: here\n"


def about(**changes: object) -> RunMetadata:
    given: dict[str, object] = {
        "station_text": STATION,
        "wiring": {"divider": 1.0},
        "instruments": {"bias": {"serial": "0123"}},
    }
    return metadata(**{**given, **changes})


def test_same_configuration_has_the_same_hash_and_no_differences(tmp_path: Path) -> None:
    same = about(station_text=STATION.replace("data: here", "data: there").replace("  # the source", ""))
    path = aborted_run(tmp_path, **{key: getattr(about(), key) for key in ("station_text", "wiring", "instruments")})
    stored = read_metadata(path)
    assert stored["configuration_hash"] == about().configuration_hash == same.configuration_hash
    assert resume_differences(stored, same) == []
    assert resume_differences(stored, replace(same, tags=["better"], note="once more")) == []


def test_instruments_of_other_steps_of_a_calibration_do_not_count(tmp_path: Path) -> None:
    more = {**about().instruments, "vna": {"serial": "7"}}
    path = aborted_run(tmp_path, station_text=STATION, wiring=about().wiring, instruments=more)
    assert resume_differences(read_metadata(path), about()) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"parameters": {"points": 12}}, "parameters: points was 11 and is 12 now"),
        ({"wiring": {"divider": 2.0}}, "wiring: divider was 1.0 and is 2.0 now"),
        ({"wiring": {}}, "wiring: divider was 1.0 and is not given now"),
        ({"cooldown": "CD13"}, "cooldown was 'CD12' and is 'CD13' now"),
        ({"instruments": {"bias": {"serial": "9999"}}}, "instruments: bias: serial was '0123' and is '9999' now"),
        (
            {"station_text": STATION.replace("1.0e-3", "2.0e-3")},
            "station file: labnis: limits: maximum_bias was 0.001 and is 0.002 now",
        ),
    ],
)
def test_what_differs_is_named(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    path = aborted_run(tmp_path, **{key: getattr(about(), key) for key in ("station_text", "wiring", "instruments")})
    assert resume_differences(read_metadata(path), about(**change)) == [told]
    part = next(iter(change))
    same_hash = about(**change).configuration_hash == about().configuration_hash
    assert same_hash == (part in ("cooldown", "instruments"))


# --- readers ----------------------------------------------------------------------------------------------------------

READERS = {
    "h5py": """
with h5py.File(path) as file:
    rows = int(file["data"].attrs["rows"])
    values = file["data/bias"][:rows]
""",
    "xarray": """
with xarray.open_dataset(path, group="data", engine="h5netcdf") as found:
    rows = int(found.attrs["rows"])
    values = found.bias.values[:rows]
""",
    "silx": """
with silx.io.open(path) as file:
    rows = int(file["data"].attrs["rows"])
    values = file["data/bias"][:rows]
""",
}

LOOP = """
import sys, h5py, numpy as np
{imports}
path, reads = sys.argv[1], int(sys.argv[2])
seen = failed = done = 0
while done < reads or seen < 500:
    done += 1
    try:
{body}
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        failed += 1
        print(repr(error), file=sys.stderr)
        continue
    assert rows >= seen and (values == np.arange(rows)).all(), (rows, seen, values)
    seen = rows
print(seen, failed, done)
"""


@pytest.mark.parametrize("reader", ["h5py", "xarray", "silx"])
def test_readers_of_every_kind_disturb_nothing_and_see_whole_rows(tmp_path: Path, reader: str) -> None:
    """Each is a process of its own that opens the growing file again and again, without any special flag."""
    if reader == "silx":
        pytest.importorskip("silx.io")
    imports = {"h5py": "", "xarray": "import xarray", "silx": "import silx.io"}[reader]
    body = "".join(f"        {line}\n" for line in READERS[reader].strip().splitlines())
    reads = {"h5py": 1000, "xarray": 150, "silx": 300}[reader]
    with child_writer(tmp_path) as (child, lines, path):
        command = [sys.executable, "-c", LOOP.format(imports=imports, body=body), str(path), str(reads)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as looking:
            while looking.poll() is None:
                lines.readline()
            out, err = looking.communicate()
        assert looking.returncode == 0, err
        _, failed, done = map(int, out.split())
        assert child.poll() is None, "the writer must not mind"
    # A reader that meets the writer within the fraction of a millisecond in which it replaces bytes tries again.
    assert failed <= done / 100, err


@pytest.mark.parametrize("how", ["locks", "holds", "copies"])
def test_reader_that_locks_holds_or_copies_the_file_does_not_stop_the_writer(tmp_path: Path, how: str) -> None:
    script = {
        "locks": "import fcntl; f = open(path, 'rb+'); fcntl.flock(f, fcntl.LOCK_EX)",
        "holds": "import h5py; f = h5py.File(path, locking=True); f['data/bias'][:]",
        "copies": "import shutil; [shutil.copy(path, path + '.copy') for _ in range(50)]",
    }[how]
    run = run_factory(tmp_path / "data")()
    run.append(row(0))
    run.flush()
    command = [sys.executable, "-c", f"import sys; path = sys.argv[1]; {script}; print('has it', flush=True); input()"]
    command.append(str(run.path))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == "has it"
        for index in range(1, 200):
            run.append(row(index))
            run.flush()
        run.finish("done")
        other.communicate("\n")
    assert_rows(open_run(run.path), 200)


@pytest.mark.parametrize("how", ["opens and locks", "holds", "copies", "renames a copy over nothing"])
def test_a_thousand_times_does_not_disturb_the_writer(tmp_path: Path, how: str) -> None:
    """… while it writes: in another process, as fast as it can."""
    script = {
        "opens and locks": "f = open(path, 'rb+'); fcntl.flock(f, fcntl.LOCK_EX); f.read(4096); f.close()",
        "holds": "held.append(h5py.File(path, locking=True)) if n % 10 == 0 and len(held) < 100 else held[-1]['data']",
        "copies": "shutil.copy(path, path + '.copy')",
        "renames a copy over nothing": "shutil.copy(path, path + '.copy'); os.replace(path + '.copy', path + '.other')",
    }[how]
    program = f"""
import fcntl, h5py, os, shutil, sys
path, held, failed = sys.argv[1], [], 0
print("begins", flush=True)
for n in range(1000):
    try:
        {script}
    except (OSError, KeyError, IndexError, RuntimeError) as error:
        failed += 1
print(failed, flush=True)
"""
    run = run_factory(tmp_path / "data")()
    run.append(row(0))
    run.flush()
    slowest, count = 0.0, 1
    with subprocess.Popen([sys.executable, "-c", program, str(run.path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "begins\n"
        while other.poll() is None or count < 50:
            began = time.monotonic()
            run.append(row(count))
            slowest = max(slowest, time.monotonic() - began)
            run.flush()
            count += 1
        failed = int(other.stdout.read())
    run.finish("done")
    assert_rows(open_run(run.path), count)
    assert failed <= 10
    assert slowest < 0.1  # `append` does not wait; a loaded machine may be slow


def test_events_are_there_for_plain_programs_too(tmp_path: Path) -> None:
    path = aborted_run(tmp_path)
    with h5py.File(path) as file:
        assert file["events/kind"].asstr()[:].tolist() == ["interlock"]
        assert file["events/time"].asstr()[0].endswith("+00:00")
    with xarray.open_dataset(path, group="events", engine="h5netcdf") as events:
        assert events["message"].values.tolist() == ["too warm"]
    with xarray.open_dataset(path, group="data", engine="h5netcdf") as data:
        assert data.sizes["point"] == 5
