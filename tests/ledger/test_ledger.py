"""Cooldowns and calibrations as the experimenter relies on them."""

import dataclasses
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from labnis.ledger import (
    CooldownExistsError,
    InvalidEntryError,
    Ledger,
    LedgerBusyError,
    LedgerUnavailableError,
    NewCalibration,
    NoCooldownError,
    open_ledger,
)


def entry(**changes: Any) -> NewCalibration:
    known: dict[str, Any] = {
        "quantity": "gain",
        "value": 60.25,
        "sigma": 0.08,
        "unit": "dB",
        "run_path": "/data/CD12/run.h5",
        "run_id": "0badcafe",
        "model": "labnis.fit.power",
        "code_version": "abc123",
        "simulated": False,
        "assumed": "cable loss 0.5 dB",
    }
    return NewCalibration(**{**known, **changes})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(file: Path) -> Ledger:
    return open_ledger(file)


def test_a_limit_is_a_result_without_a_value(ledger):
    ledger.start_cooldown("CD12")
    limit = {"value": None, "sigma": None, "limit": 0.055}
    (stored,) = ledger.add_calibrations([entry(quantity="electron_temperature", unit="K", **limit)])
    (found,) = ledger.calibrations(quantity="electron_temperature")
    assert (found.value, found.sigma, found.limit) == (None, None, 0.055) == (stored.value, stored.sigma, stored.limit)
    for wrong in ({"value": None}, {"value": 0.05, "limit": 0.055}, limit | {"limit": float("nan")}):
        with pytest.raises(InvalidEntryError, match="cannot be a calibration"):
            entry(**wrong)


def test_cooldowns_follow_one_another(ledger, file):
    assert ledger.current_cooldown() is None
    ledger.start_cooldown("CD11", note="new wiring µ")
    second = ledger.start_cooldown("CD12")
    assert ledger.current_cooldown() == second
    again = open_ledger(f"sqlite:///{file}")
    first, current = again.cooldowns()
    assert (first.name, first.note, current) == ("CD11", "new wiring µ", second)
    assert first.ended == second.started
    assert second.ended is None
    assert second.started.tzinfo is UTC
    assert abs(datetime.now(UTC) - second.started) < timedelta(minutes=1)


def test_a_name_is_used_once_and_a_refusal_changes_nothing(ledger):
    ledger.start_cooldown("CD11")
    current = ledger.start_cooldown("CD12")
    for name in ("CD11", "CD12"):
        with pytest.raises(CooldownExistsError, match=f"'{name}'.*ledger.db.*another name"):
            ledger.start_cooldown(name)
    assert ledger.current_cooldown() == current


@pytest.mark.parametrize("name", ["", "  ", "a\0b", "a\nb"])
def test_names_that_cannot_be_typed_are_refused(ledger, name):
    with pytest.raises(InvalidEntryError, match="is not a name of a cooldown"):
        ledger.start_cooldown(name)


def test_end(ledger):
    ledger.start_cooldown("CD12")
    assert ledger.end_cooldown().ended is not None
    assert ledger.current_cooldown() is None
    with pytest.raises(NoCooldownError, match="no cooldown is in progress"):
        ledger.end_cooldown()


def test_a_calibration_comes_back_as_it_was_entered(ledger, file):
    ledger.start_cooldown("CD12")
    given = entry(measured=datetime(2026, 3, 1, tzinfo=UTC), conditions='{"wiring": {}}', used='[["reflection", "ab"]]')
    (entered,) = ledger.add_calibrations([given])
    (found,) = open_ledger(file).calibrations()
    assert found == entered
    assert {key: getattr(found, key) for key in dataclasses.asdict(given)} == dataclasses.asdict(given)
    assert found.cooldown == "CD12"
    assert found.created.tzinfo is UTC
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.value = 1.0


def test_without_a_time_of_measurement_it_was_measured_when_it_was_found(ledger):
    ledger.start_cooldown("CD12")
    (found,) = ledger.add_calibrations([entry()])
    assert found.measured == found.created


def test_results_of_one_call_share_a_batch_and_are_entered_all_or_none(ledger):
    ledger.start_cooldown("CD12")
    first = ledger.add_calibrations([entry(), entry(quantity="noise_temperature", unit="K")])
    second = ledger.add_calibrations([entry()])
    assert first[0].batch == first[1].batch != second[0].batch
    assert first[0].created == first[1].created

    def breaks():
        yield entry()
        raise RuntimeError("the fit failed")

    with pytest.raises(RuntimeError):
        ledger.add_calibrations(breaks())
    assert len(ledger.calibrations()) == 3


def test_filters_and_latest(ledger):
    ledger.start_cooldown("CD11")
    ledger.add_calibrations([entry(value=1.0)])
    ledger.start_cooldown("CD12")
    ledger.add_calibrations([entry(value=2.0)])
    ledger.add_calibrations([entry(value=3.0)])
    ledger.add_calibrations([entry(value=4.0, simulated=True)])
    ledger.add_calibrations([entry(value=5.0, quantity="gap", unit="eV")])
    ledger.add_calibrations([entry(value=6.0)], cooldown="CD11")

    def values(**asked):
        return [found.value for found in ledger.calibrations(**asked)]

    assert values() == [1, 2, 3, 4, 5, 6]
    assert values(cooldown="CD11") == [1, 6]
    assert values(cooldown="CD12", quantity="gain", simulated=False) == [2, 3]
    assert values(simulated=True) == [4]
    assert ledger.latest("CD12", simulated=False, quantity="gain").value == 3
    assert ledger.latest("CD12", simulated=True, quantity="gain").value == 4
    assert ledger.latest("CD11", simulated=False, quantity="gap") is None


def test_without_a_cooldown_nothing_can_be_entered(ledger):
    with pytest.raises(NoCooldownError, match="labnis cooldown start"):
        ledger.add_calibrations([entry()])
    with pytest.raises(NoCooldownError, match="'CD99'"):
        ledger.add_calibrations([entry()], cooldown="CD99")


@pytest.mark.parametrize(
    "change", [{"value": float("nan")}, {"sigma": float("inf")}, {"sigma": -1.0}, {"quantity": ""}, {"run_id": ""}]
)
def test_no_calibration_without_a_number_or_an_origin(change):
    with pytest.raises(InvalidEntryError):
        entry(**change)


START = """
import sys
from labnis.ledger import CooldownExistsError, open_ledger
sys.stdin.readline()
try:
    open_ledger(sys.argv[1], wait=60).start_cooldown("CD12", note=sys.argv[2])
    print("won")
except CooldownExistsError as error:
    print("refused", error)
"""


@pytest.mark.faults
def test_of_processes_starting_the_same_cooldown_in_a_new_ledger_one_wins(file):
    command = [sys.executable, "-c", START, f"sqlite:///{file}"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    children = [subprocess.Popen([*command, str(number)], **pipes) for number in range(4)]
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    answers = [child.communicate()[0] for child in children]
    winners = [number for number, answer in enumerate(answers) if answer == "won\n"]
    assert len(winners) == 1, answers
    assert sum("'CD12' exists in the ledger" in answer for answer in answers) == 3, answers
    assert [one.note for one in open_ledger(file).cooldowns()] == [str(winners[0])]


def test_ledger_held_by_another_process_is_busy_and_works_afterwards(file):
    ledger = open_ledger(file, wait=0.05)
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    for attempt in (lambda: ledger.start_cooldown("CD12"), ledger.cooldowns, lambda: open_ledger(file, wait=0.05)):
        with pytest.raises(LedgerBusyError, match=r"ledger\.db: another process"):
            attempt()
    holder.execute("ROLLBACK")
    holder.close()
    assert ledger.start_cooldown("CD12").name == "CD12"


def test_folder_of_a_new_ledger_is_made(tmp_path):
    open_ledger(tmp_path / "a" / "b" / "ledger.db").start_cooldown("CD12")
    assert (tmp_path / "a" / "b" / "ledger.db").is_file()


@pytest.mark.parametrize("bad", ["file/ledger.db", "folder", "text.db"])
def test_a_place_that_cannot_hold_a_ledger_is_named(tmp_path, bad):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.db").write_text("these are notes, not a database, and long enough to be read as one" * 20)
    with pytest.raises(LedgerUnavailableError) as caught:
        open_ledger(tmp_path / bad)
    assert str(tmp_path / bad) in str(caught.value)
    assert (tmp_path / "text.db").read_text().startswith("these are notes")


def test_read_only_ledger_can_be_read_and_says_that_it_cannot_be_written(file):
    open_ledger(file).start_cooldown("CD12")
    ledger = open_ledger(f"sqlite:///file:{file}?mode=ro&uri=true")
    assert ledger.current_cooldown().name == "CD12"
    with pytest.raises(LedgerUnavailableError, match=r"readonly database.*is writable"):
        ledger.start_cooldown("CD13")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg2://me:c4nary%2F%2B%20%C3%A9@127.0.0.1:1/x",
        "nosuchdatabase://me:c4nary%2F%2B%20%C3%A9@host/x",
        "sqlite:////proc/nowhere/x.db?password=c4nary%2F%2B+%C3%A9",
        "://c4nary:c4nary@c4nary",
        "postgresql://me:c4nary@host:c4nary/x",
        "c4nary",
    ],
)
def test_no_secret_of_a_url_is_ever_shown(url):
    with pytest.raises(LedgerUnavailableError) as caught:
        open_ledger(url)
    error: BaseException | None = caught.value
    assert "c4nary" not in str(error)
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None, "a traceback would show the driver's words"


def test_shown_url_has_no_secret(tmp_path):
    ledger = open_ledger(f"sqlite:///file:{tmp_path}/x.db?uri=true&mode=rwc&api_key=c4nary")
    assert ledger.url == f"sqlite:///file:{tmp_path}/x.db?api_key=***&mode=rwc&uri=true"
    ledger.start_cooldown("CD12")
    with pytest.raises(CooldownExistsError) as caught:
        ledger.start_cooldown("CD12")
    assert "c4nary" not in str(caught.value)
