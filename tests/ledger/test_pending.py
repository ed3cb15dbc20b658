"""Ledger entries of a ledger that is not available: saved, entered once, never twice."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from labnis.ledger import Ledger, LedgerUnavailableError, NewCalibration, enter_pending, keep_pending, open_ledger

ENTRIES = [
    NewCalibration(
        quantity=quantity,
        value=value,
        sigma=0.1,
        unit=unit,
        run_path="/data/run.h5",
        run_id="0a1b2c3d",
        model="model",
        code_version="0.1",
        simulated=False,
    )
    for quantity, value, unit in (("gain", 51.8, "dB"), ("noise_temperature", 8.3, "K"))
]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = open_ledger(tmp_path / "ledger.sqlite")
    made.start_cooldown("run3")
    return made


def test_what_waits_is_entered_as_it_was(tmp_path: Path, ledger: Ledger) -> None:
    keep_pending(tmp_path, ENTRIES, cooldown="run3", batch="00000001")
    assert enter_pending(tmp_path, ledger) == (1, [])
    found = ledger.calibrations("run3")
    assert [(c.quantity, c.value, c.batch) for c in found] == [
        ("gain", 51.8, "00000001"),
        ("noise_temperature", 8.3, "00000001"),
    ]


def test_nothing_is_entered_twice(tmp_path: Path, ledger: Ledger) -> None:
    path = keep_pending(tmp_path, ENTRIES, cooldown="run3", batch="00000001")
    kept = path.read_bytes()
    enter_pending(tmp_path, ledger)
    path.write_bytes(kept)  # as if the process had been killed between entering and removing
    assert enter_pending(tmp_path, ledger) == (0, [])
    assert len(ledger.calibrations("run3")) == 2
    assert not path.exists()


def test_it_keeps_the_time_at_which_it_was_found_and_its_device(tmp_path: Path, ledger: Ledger) -> None:
    ledger.of_device("A7").start_cooldown("run3")
    before = datetime.now(UTC)
    keep_pending(tmp_path, ENTRIES, cooldown="run3", batch="00000001", device="A7")
    after = datetime.now(UTC)
    enter_pending(tmp_path, ledger)  # by a command with the station file of another device
    entered = ledger.calibrations()
    assert {c.device for c in entered} == {"A7"}
    assert all(before <= c.created <= after for c in entered)


def test_a_file_of_an_earlier_version_is_entered_with_the_time_at_which_it_was_saved(
    tmp_path: Path, ledger: Ledger
) -> None:
    path = keep_pending(tmp_path, ENTRIES, cooldown="run3", batch="00000001")
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["created"], content["device"]
    path.write_text(json.dumps(content), encoding="utf-8")
    saved = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    os.utime(path, (saved.timestamp(), saved.timestamp()))
    assert enter_pending(tmp_path, ledger) == (1, [])
    assert {c.created for c in ledger.calibrations()} == {saved}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "EOF"),
        ("[]", "object"),
        ('{"cooldown": "run3", "batch": "b", "entries": []}', "entries"),
        ('{"cooldown": "run3", "batch": "b", "entries": [{"quantity": "gain"}]}', "entries.0.value: Field required"),
        ("{}", "cooldown: Field required"),
    ],
)
def test_a_damaged_file_is_named_stays_and_does_not_block_the_others(
    tmp_path: Path, ledger: Ledger, content: str, reason: str
) -> None:
    folder = keep_pending(tmp_path, ENTRIES, cooldown="run3", batch="00000001").parent
    (folder / "00000000-damaged.json").write_text(content, encoding="utf-8")
    unknown = keep_pending(tmp_path, ENTRIES, cooldown="run4", batch="00000002")
    entered, problems = enter_pending(tmp_path, ledger)
    assert entered == 1
    assert len(ledger.calibrations("run3")) == 2
    assert len(problems) == 2
    assert any("00000000-damaged.json" in said and reason in said for said in problems), problems
    assert any(str(unknown) in said and "no cooldown is called 'run4'" in said for said in problems), problems
    assert sorted(folder.glob("*.json")) == [folder / "00000000-damaged.json", unknown]


def test_results_that_can_be_neither_saved_nor_entered_are_said(tmp_path: Path) -> None:
    (tmp_path / "pending-ledger").touch()
    with pytest.raises(LedgerUnavailableError, match=r"pending-ledger.*cannot be saved.*They are in the run's file"):
        keep_pending(tmp_path, ENTRIES, cooldown="run3", batch="00000001")


def test_a_half_written_file_is_not_an_entry(tmp_path: Path, ledger: Ledger) -> None:
    path = keep_pending(tmp_path, ENTRIES, cooldown="run3", batch="00000001")
    path.rename(path.with_suffix(".part"))
    assert enter_pending(tmp_path, ledger) == (0, [])
    assert ledger.calibrations("run3") == []
