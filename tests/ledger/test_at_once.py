"""Several processes, or stations, with one ledger."""

import multiprocessing
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from labnis.ledger import CooldownExistsError, LedgerBusyError, LedgerError, open_ledger
from labnis.ledger._database import Database
from tests.ledger.test_ledger import entry

TOGETHER = 24


def _start(url: str, number: int, at: float, folder: Path) -> None:
    """Open the ledger at the moment `at`, start a cooldown, and write what became of it."""
    time.sleep(max(0.0, at - time.monotonic()))
    try:
        open_ledger(url).start_cooldown("CD12", note=str(number))
        answer = "won"
    except LedgerError as error:
        answer = f"{type(error).__name__}: {error}"
    (folder / f"{number}.txt").write_text(answer, encoding="utf-8")


@pytest.mark.faults
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes that start at the same time are forks")
def test_of_processes_that_open_a_new_ledger_at_the_same_time_none_fails(url: str, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    at = time.monotonic() + 0.5
    children = [context.Process(target=_start, args=(url, n, at, tmp_path)) for n in range(TOGETHER)]
    for child in children:
        child.start()
    for child in children:
        child.join(90)
    answers = [(tmp_path / f"{n}.txt").read_text(encoding="utf-8") for n in range(TOGETHER)]
    assert answers.count("won") == 1, answers
    others = [answer for answer in answers if answer != "won"]
    assert all(answer.startswith("CooldownExistsError: cooldown 'CD12' exists") for answer in others), answers
    (started,) = open_ledger(url).cooldowns()
    assert started.note == str(answers.index("won"))


def test_two_stations_with_one_ledger_do_not_share_the_current_cooldown(url: str) -> None:
    one, other = open_ledger(url, device="A7"), open_ledger(url, device="B2")
    first = one.start_cooldown("CD12")
    assert other.current_cooldown() is None
    second = other.start_cooldown("CD12")  # its own, of the same name
    assert (one.current_cooldown(), other.current_cooldown()) == (first, second)
    assert [c.device for c in one.cooldowns()] == ["A7", "B2"]
    other.end_cooldown()
    assert one.current_cooldown() == first
    with pytest.raises(CooldownExistsError, match=r"cooldown 'CD12' exists.* for device 'A7'"):
        one.start_cooldown("CD12")


def test_a_calibration_of_one_device_is_never_the_latest_of_another(url: str) -> None:
    one, other = open_ledger(url, device="A7"), open_ledger(url, device="B2")
    for ledger in (one, other):
        ledger.start_cooldown("CD12")
    (mine,) = one.add_calibrations([entry(analysis="emitted_power")])
    (theirs,) = other.add_calibrations([entry(analysis="emitted_power", value=61.0)])
    assert (mine.device, theirs.device) == ("A7", "B2")
    assert one.latest("CD12", simulated=False, analysis="emitted_power") == mine
    assert other.latest("CD12", simulated=False, quantity="gain") == theirs
    assert open_ledger(url).latest("CD12", simulated=False, quantity="gain") is None
    assert one.calibrations() == [mine, theirs]


def test_the_cooldown_of_dry_runs_does_not_end_one_that_has_started_in_the_meantime(url: str) -> None:
    ledger = open_ledger(url)
    current = ledger.start_cooldown("CD12")
    made = ledger.closed_cooldown("dry-run", note="dry runs")
    assert made.ended == made.started
    assert ledger.closed_cooldown("dry-run") == made
    assert ledger.current_cooldown() == current


def test_results_are_entered_once_with_the_time_at_which_they_were_found(url: str) -> None:
    ledger = open_ledger(url)
    ledger.start_cooldown("CD12")
    found = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    (first,) = ledger.add_calibrations([entry()], batch="0123abcd", created=found)
    assert first.created == found
    assert ledger.add_calibrations([entry()], batch="0123abcd") == []
    assert len(ledger.add_calibrations([entry(run_id="1badcafe")], batch="0123abcd")) == 1
    assert len(ledger.calibrations()) == 2


def test_a_process_that_writes_keeps_others_waiting_for_a_bounded_time(url: str) -> None:
    ledger = open_ledger(url, wait=0.2)
    holder = Database(url, wait=60)
    with holder.transaction("writing") as session:
        session.connection()
        with pytest.raises(LedgerBusyError, match=r"ledger \w+.*another process is writing to it"):
            ledger.start_cooldown("CD12")
        assert ledger.cooldowns() == []  # reading goes on
    holder.close()
    assert ledger.start_cooldown("CD12").name == "CD12"
