"""Events are as safe as rows, cost the measurement nothing, and repeated ones are counted."""

import time
from collections.abc import Callable

import h5py
import pytest

from labnis.cli.looking import log
from labnis.storage import RunWriter, read_events, recover
from labnis.storage._journal import journal_path

from .conftest import finished, row


def counted(run: RunWriter) -> list[tuple[str, int]]:
    return [(event.message, event.count) for event in read_events(run.path)]


def test_a_thousand_different_events_cost_less_than_a_millisecond_each(new_run: Callable[..., RunWriter]) -> None:
    run = new_run()
    began = time.process_time()
    for number in range(1000):
        run.event("quality", f"reading {number} is invalid")
    run.finish("done")
    assert time.process_time() - began < 1.0
    assert counted(run) == [(f"reading {number} is invalid", 1) for number in range(1000)]


def test_equal_events_in_a_row_are_one_entry_with_count_and_times(new_run: Callable[..., RunWriter]) -> None:
    with finished(new_run()) as run:
        for number in range(300):
            run.event("quality", "the thermometer does not answer", channel=6)
            if number % 70 == 0:
                run.flush()
        run.event("quality", "the thermometer does not answer", channel=7)
        run.event("quality", "the thermometer does not answer", channel=6)
    first, second, third = read_events(run.path)
    assert [event.count for event in (first, second, third)] == [300, 1, 1]
    assert first.last is not None
    assert first.time < first.last <= second.time
    assert second.last is None
    assert second.details == {"channel": 7}


def test_the_log_shows_the_count(new_run: Callable[..., RunWriter], capsys: pytest.CaptureFixture[str]) -> None:
    with finished(new_run()) as run:
        for _ in range(300):
            run.event("quality", "no answer")
    log(str(run.path), data=run.path.parent)
    [line] = capsys.readouterr().out.splitlines()
    assert "quality: no answer  (300 times until 20" in line


def test_the_count_is_safe_from_a_kill(new_run: Callable[..., RunWriter]) -> None:
    run = new_run()
    for _ in range(5):
        run.event("quality", "no answer")
        run.flush()
    journal = journal_path(run.path).read_bytes()
    run.event("quality", "no answer")
    run.finish("done")
    journal_path(run.path).write_bytes(journal)
    run.path.unlink()
    recover(run.path, writer_is_gone=True)
    assert counted(run) == [("no answer", 5)]


def test_a_resumed_run_begins_new_entries(new_run: Callable[..., RunWriter]) -> None:
    run = new_run()
    run.append(row(0))
    run.event("quality", "no answer")
    run.finish("aborted")
    again = RunWriter.resume(recover(run.path))
    for _ in range(2):
        again.event("quality", "no answer")
    again.finish("done")
    assert [(event.kind, event.count) for event in read_events(run.path)] == [
        ("quality", 1), ("resumed", 1), ("quality", 2),
    ]  # fmt: skip


def test_a_file_of_an_earlier_version_is_read_and_continued(new_run: Callable[..., RunWriter]) -> None:
    """It counts no events, and its journal has a frame for each."""
    run = new_run()
    run.append(row(0))
    run.event("warning", "seen")
    run.finish("aborted")
    with h5py.File(run.path, "r+") as file:
        del file["events"]["count"], file["events"]["last"], file.attrs["number"]
    assert counted(run) == [("seen", 1)]
    again = RunWriter.resume(recover(run.path))
    again.event("warning", "again")
    again.event("warning", "again")
    again.finish("done")
    assert counted(run) == [("seen", 1), ("resumed after 1 rows", 1), ("again", 2)]
