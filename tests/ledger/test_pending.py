"""Ledger entries of a ledger that is not available: saved, entered once, never twice."""

from pathlib import Path

import pytest

from labnis.ledger import Ledger, NewCalibration, enter_pending, keep_pending, open_ledger

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


def test_a_half_written_file_is_not_an_entry(tmp_path: Path, ledger: Ledger) -> None:
    path = keep_pending(tmp_path, ENTRIES, cooldown="run3", batch="00000001")
    path.rename(path.with_suffix(".part"))
    assert enter_pending(tmp_path, ledger) == (0, [])
    assert ledger.calibrations("run3") == []
