"""Faults 2 and 3: a kill at every write, and a power cut at any moment, cost at most what was not yet flushed."""

import random
import shutil
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from labnis.storage import open_run, read_events, read_fits, recover
from labnis.storage._journal import JournalReader, journal_path
from labnis.storage._records import journal_state
from labnis.storage._run_file import build_file

from ..storage.conftest import run_factory
from ..storage.power_cut import Recording, assert_rows, laid, recorded_run


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Recording:
    return recorded_run(monkeypatch, run_factory(tmp_path / "data"))


def rows_for_any_reader(path: Path) -> int | None:
    """Rows that plain h5py finds in a file; None if it is not as it should be."""
    try:
        with h5py.File(path) as file:
            rows = int(file["data"].attrs["rows"])
            # Between two writes of one flush a column may be longer than the run says; never shorter.
            np.testing.assert_array_equal(file["data/bias"][:rows], np.arange(rows))
            np.testing.assert_array_equal(file["data/current"][:rows], -np.arange(rows))
    except (OSError, KeyError, RuntimeError, AssertionError):
        return None
    return rows


def test_kill_at_every_write_of_a_whole_run_keeps_all_promised_rows(recording: Recording, tmp_path: Path) -> None:
    assert len(recording.operations) > 300
    seen, broken = 0, []
    for moment in range(len(recording.operations) + 1):
        folder = tmp_path / "after"
        path = laid(folder, recording.after_kill(moment))
        rows = rows_for_any_reader(path)
        if rows is None:
            broken.append(moment)
        else:
            assert rows >= seen, "a reader would lose rows that it saw before"
            seen = rows
        if journal_path(path).exists():
            assert journal_state(path).rows >= recording.promised(moment)
        else:
            assert rows == recording.promised(moment)
        shutil.rmtree(folder)
    assert seen == recording.promised(len(recording.operations)) > 1400
    assert not broken, "a reader or a kill between two writes finds a file that does not open"


def moments(recording: Recording, seed: int) -> tuple[int, random.Random]:
    chance = random.Random(seed)  # noqa: S311  # no secret
    return chance.randrange(1, len(recording.operations) + 1), chance


def test_power_cut_leaves_a_journal_of_all_promised_rows(recording: Recording, tmp_path: Path) -> None:
    for seed in range(40):
        moment, chance = moments(recording, seed)
        folder = tmp_path / str(seed)
        path = laid(folder, recording.after_power_cut(moment, chance))
        if not journal_path(path).exists():
            continue  # the run was finished; `test_recover_after_power_cut` opens its file
        built = folder / "built.h5"
        build_file(JournalReader(journal_path(path)), built)
        assert_rows_if_any(built, recording.promised(moment))
        shutil.rmtree(folder)


def assert_rows_if_any(path: Path, promised: int) -> None:
    run = open_run(path)
    if run.sizes["point"] == promised == 0:
        return
    assert_rows(run, promised)


def recovered(recording: Recording, seed: int, folder: Path) -> float:
    """Recover what a power cut left and check all of it; time (s) that `recover` took."""
    moment, chance = moments(recording, seed)
    path = laid(folder, recording.after_power_cut(moment, chance))
    began = time.monotonic()
    report = recover(path, writer_is_gone=True)
    took = time.monotonic() - began
    assert_rows_if_any(path, recording.promised(moment))
    assert report.rows == open_run(path).sizes["point"]
    assert report.status in ("failed", "done")
    if any(op.kind == "gone" for op in recording.operations[:moment]):
        assert report.status == "done"
        assert len(read_events(path)) == 3
        assert list(read_fits(path)) == ["iv"]
    shutil.rmtree(folder)
    return took


@pytest.mark.parametrize("seed", range(1000, 1006))
def test_recover_after_power_cut(recording: Recording, tmp_path: Path, seed: int) -> None:
    assert recovered(recording, seed, tmp_path / "cut") < 10
