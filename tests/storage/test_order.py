"""Runs are in the order in which they were begun, whatever the wall clock shows."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import h5py
import pytest

from labnis.cli.measuring import _newest_unfinished
from labnis.storage import (
    RunNotFoundError,
    RunWriter,
    StorageWarning,
    _folder,
    find_run,
    list_runs,
    read_events,
    read_metadata,
    recover,
)
from labnis.storage._folder import take_number
from labnis.storage._journal import journal_path

from .conftest import START, row

Factory = Callable[..., RunWriter]
AN_HOUR = timedelta(hours=1)


def aborted(new_run: Factory, run_id: str, start: datetime = START) -> Path:
    run = new_run(run_id=run_id, start=start)
    run.append(row(0))
    run.finish("aborted")
    return run.path


def ids(data: Path) -> list[str]:
    return [run.run_id for run in list_runs(data)]


def test_after_the_clock_went_back_the_newest_run_is_still_the_last_one(new_run: Factory, tmp_path: Path) -> None:
    data = tmp_path / "data"
    aborted(new_run, "first")
    with pytest.warns(StorageWarning, match="the run before this one started at .* the clock was set back"):
        second = aborted(new_run, "second", START - AN_HOUR)
    assert ids(data) == ["first", "second"]
    assert [run.number for run in list_runs(data)] == [1, 2]
    assert _newest_unfinished(data).resolve() == second
    assert [event.kind for event in read_events(second)] == ["warning"]
    with pytest.raises(RunNotFoundError, match=r"first .*\n.*second "):
        find_run(data, "absent")


def test_runs_of_earlier_versions_come_first_by_their_start(new_run: Factory, tmp_path: Path) -> None:
    data = tmp_path / "data"
    old = [aborted(new_run, f"old{hours}", START + hours * AN_HOUR) for hours in (1, 2)]
    for path in old:
        with h5py.File(path, "r+") as file:
            del file.attrs["number"]
    for counter in (data / ".order").iterdir():
        counter.unlink()
    with pytest.warns(StorageWarning, match="set back"):
        aborted(new_run, "new", START)
    assert ids(data) == ["old1", "old2", "new"]


def test_a_lost_counter_continues_behind_the_runs(new_run: Factory, tmp_path: Path) -> None:
    for number in range(3):
        aborted(new_run, str(number))
    for counter in (tmp_path / "data" / ".order").iterdir():
        counter.unlink()
    aborted(new_run, "3")
    assert [run.number for run in list_runs(tmp_path / "data")] == [1, 2, 3, 4]


def test_runs_that_begin_at_once_get_different_numbers(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        taken = [number for number, _ in pool.map(lambda _: take_number(tmp_path, START), range(200))]
    assert sorted(taken) == sorted(set(taken))
    assert len(list((tmp_path / ".order").iterdir())) == 1


def test_a_number_whose_file_a_faster_run_has_removed_is_not_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = _folder._last

    def overtaken(folder: Path) -> tuple[int, datetime | None] | None:
        found = last(folder)
        if found is not None and found[0] == 1:
            monkeypatch.setattr(_folder, "_last", last)
            assert take_number(tmp_path, START)[0] == 2
        return found

    monkeypatch.setattr(_folder, "_last", overtaken)
    assert take_number(tmp_path, START)[0] == 1
    assert [path.name for path in (tmp_path / ".order").iterdir()] == ["000000002"]


@pytest.mark.parametrize("hours", [-1, 1])
def test_times_in_a_file_agree_although_the_clock_was_set(
    new_run: Factory, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """In a run that ends, and in one that is killed."""
    real = time.time
    run = new_run(start=datetime.now().astimezone())
    monkeypatch.setattr(time, "time", lambda: real() + hours * 3600)
    run.append(row(0))
    run.flush()
    journal = journal_path(run.path).read_bytes()
    run.finish("done")
    known = read_metadata(run.path)
    lasted = (known["end"] - known["start"]).total_seconds()
    assert 0 <= known["duration"] <= lasted < 60
    journal_path(run.path).write_bytes(journal)
    run.path.unlink()
    recover(run.path, writer_is_gone=True)
    known = read_metadata(run.path)
    assert 0 <= (known["end"] - known["start"]).total_seconds() < 60


def test_a_run_that_is_resumed_after_the_clock_went_back_ends_after_it_started(
    new_run: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = datetime.now().astimezone() + AN_HOUR
    path = aborted(new_run, "a", start)
    with pytest.warns(StorageWarning, match="the run was written at .*, and later it is"):
        again = RunWriter.resume(recover(path))
    again.finish("done")
    known = read_metadata(path)
    assert known["end"] >= start
    assert [event.kind for event in read_events(path)] == ["resumed", "warning"]


def test_recover_of_an_older_journal_never_ends_a_run_before_its_start(
    new_run: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its times are those of a wall clock that was set back."""
    run = new_run()
    monkeypatch.setattr(run, "_began_at", (START - AN_HOUR).timestamp())
    run.append(row(0))
    run.flush()
    journal = journal_path(run.path).read_bytes()
    run.finish("done")
    journal_path(run.path).write_bytes(journal)
    report = recover(run.path, writer_is_gone=True)
    assert read_metadata(run.path)["end"] == START
    assert ", by a clock that was set back" in report.reason
