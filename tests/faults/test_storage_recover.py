"""After any damage of the files, `recover` ends soon, destroys nothing, and recovers all readable rows."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from labnis.storage import RunFileError, RunInUseError, RunWriter, list_runs, open_run, read_events, read_fits, recover
from labnis.storage._journal import journal_path

from ..storage.conftest import FREQUENCY, finished, row, run_factory
from ..storage.power_cut import assert_rows
from ..storage.test_fits import FIT

Died = tuple[Path, bytes, bytes]


@pytest.fixture
def new_run(tmp_path: Path) -> Callable[..., RunWriter]:
    return run_factory(tmp_path / "data")


@pytest.fixture
def died(new_run: Callable[..., RunWriter]) -> Died:
    """A run of 300 rows, flushed every 10, whose writer never closed it; its file and journal as bytes."""
    run = new_run()
    for index in range(300):
        run.append(row(index))
        if index % 10 == 9:
            run.flush()
    run.event("interlock", "too warm", temperature=0.3)
    run.write_fit("iv", FIT)
    files = run.path.read_bytes(), journal_path(run.path).read_bytes()
    run.finish("done")
    return run.path, *files


def lay(path: Path, data: bytes, journal: bytes) -> None:
    for name in list(path.parent.iterdir()):
        name.unlink()
    path.write_bytes(data)
    journal_path(path).write_bytes(journal)


def test_a_healthy_file_is_left_alone(new_run: Callable[..., RunWriter]) -> None:
    with finished(new_run()) as run:
        run.append(row(0))
    before = run.path.read_bytes()
    report = recover(run.path)
    assert (report.problem, report.done, report.rows, report.status) == ("", (), 1, "done")
    assert run.path.read_bytes() == before


def test_a_running_run_is_not_touched(new_run: Callable[..., RunWriter]) -> None:
    run = new_run()
    run.append(row(0))
    run.flush()
    before = run.path.read_bytes()
    with pytest.raises(RunInUseError, match=r"process \d+ on .* is writing this run"):
        recover(run.path)
    assert run.path.read_bytes() == before
    run.finish("done")


def test_run_that_died_gets_an_end_and_keeps_everything(died: Died) -> None:
    path, data, journal = died
    lay(path, data, journal)
    report = recover(path, writer_is_gone=True)
    found = open_run(path)
    assert_rows(found, 300)
    assert (report.rows, report.status, report.damaged) == (300, "failed", None)
    assert found.attrs["status"] == "failed"
    assert "the process ended without closing the run" in found.attrs["reason"]
    assert found.attrs["end"] is not None
    assert list(read_fits(path)) == ["iv"]
    assert [event.kind for event in read_events(path)] == ["interlock"]
    assert not journal_path(path).exists()
    assert not recover(path).problem


def test_missing_file_is_made_again_and_listed_before(died: Died, tmp_path: Path) -> None:
    path, data, journal = died
    lay(path, data, journal)
    path.unlink()
    assert [run.run_id for run in list_runs(tmp_path / "data")] == [path.stem.rpartition("-")[2]]
    report = recover(path, writer_is_gone=True)
    assert report.problem == "the file is missing"
    assert_rows(open_run(path), 300)


def test_damaged_file_is_rebuilt_and_the_original_kept(died: Died) -> None:
    path, data, journal = died
    harmed = data[:2000] + bytes(6000) + data[8000:]
    lay(path, harmed, journal)
    report = recover(path, writer_is_gone=True)
    assert report.damaged is not None
    assert report.damaged.read_bytes() == harmed
    assert report.problem.startswith("the file is damaged")
    assert_rows(open_run(path), 300)
    assert list(read_fits(path)) == ["iv"]


def test_silently_wrong_value_is_found_by_the_journal(died: Died) -> None:
    path, data, journal = died
    lay(path, data, journal)
    with h5py.File(path, "r+") as file:
        file["data/current"][17] = 1.0
    report = recover(path, writer_is_gone=True)
    assert "column 'current'" in report.problem
    assert_rows(open_run(path), 300)


def test_somebody_else_emptied_the_file(died: Died) -> None:
    path, data, journal = died
    lay(path, data, journal)
    with h5py.File(path, "w"):
        pass
    recover(path, writer_is_gone=True)
    assert_rows(open_run(path), 300)


def test_damage_without_a_journal_is_reported_and_nothing_touched(died: Died) -> None:
    path, data, _ = died
    journal_path(path).unlink(missing_ok=True)
    path.write_bytes(data[:3000])
    with pytest.raises(RunFileError, match=r"damaged .*it has no journal.*Nothing was changed"):
        recover(path)
    assert path.read_bytes() == data[:3000]


def corrupted(data: bytes, chance: random.Random) -> bytes:
    image = bytearray(data)
    how = chance.choice(("flip", "zero", "noise", "cut"))
    # Most of HDF5's tables are in the first kilobytes.
    start = chance.randrange(chance.choice((200, 4000, len(image))))
    length = chance.choice((1, 8, 512, 4096))
    if how == "cut":
        return bytes(image[:start])
    if how == "flip":
        image[start] ^= 1 << chance.randrange(8)
    elif how == "zero":
        image[start : start + length] = bytes(len(image[start : start + length]))
    else:
        image[start : start + length] = chance.randbytes(len(image[start : start + length]))
    return bytes(image)


def check_corruption(died: Died, seed: int) -> None:
    path, data, journal = died
    chance = random.Random(seed)  # noqa: S311  # no secret
    harmed = corrupted(data, chance)
    lay(path, harmed, journal)
    began = time.monotonic()
    report = recover(path, writer_is_gone=True)
    assert time.monotonic() - began < 10
    found = open_run(path)
    assert_rows(found, 300)
    assert found.sizes["point"] == 300
    np.testing.assert_array_equal(found.frequency, FREQUENCY.values)
    assert read_fits(path)["iv"]["chi2"] == 99.5
    if report.damaged is not None:
        assert report.damaged.read_bytes() == harmed


@pytest.mark.parametrize("part", range(2))
def test_recover_of_corrupted_files_never_hangs_and_loses_nothing(died: Died, part: int) -> None:
    for seed in range(part * 3, part * 3 + 3):
        check_corruption(died, seed)


@pytest.mark.long
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("part", range(4))
def test_recover_of_200_corrupted_files(died: Died, part: int) -> None:
    for seed in range(100 + part * 50, 150 + part * 50):
        check_corruption(died, seed)


def test_damaged_journal_loses_only_what_lies_behind_the_damage(died: Died) -> None:
    """The file is also missing, so only the journal is left; rows lie in it in order, 10 per frame."""
    path, data, journal = died
    lay(path, data, journal)
    used = len(journal.rstrip(b"\0"))
    last = 0
    for part in range(1, 5):
        place = used * part // 5
        for harmed in (journal[:place], journal[:place] + bytes([journal[place] ^ 1]) + journal[place + 1 :]):
            lay(path, b"", harmed)
            path.unlink()
            try:
                report = recover(path, writer_is_gone=True)
            except RunFileError as error:
                assert last == 0, "rows in front of the damage"
                assert "no run can be made of it" in str(error)
                continue
            assert report.rows >= last
            assert report.rows >= (300 * place // used) - 30 or part < 3
            assert report.lost
            assert_rows(open_run(path), last)
        last = report.rows if path.exists() else 0
    assert last > 200


@pytest.mark.parametrize("where", ["rows", "last"])
def test_damaged_journal_beside_a_whole_file_loses_nothing(died: Died, where: str) -> None:
    path, data, journal = died
    # The event and the fit come last.
    place = {"rows": 20_000, "last": len(journal.rstrip(b"\0")) - 900}[where]
    harmed = journal[:place] + b"\xff" + journal[place + 1 :]
    lay(path, data, harmed)
    report = recover(path, writer_is_gone=True)
    assert [event.kind for event in read_events(path)] == ["interlock"]
    assert list(read_fits(path)) == ["iv"]
    assert report.damaged is None
    assert not report.lost
    assert_rows(open_run(path), 300)
    assert path.with_name(f"{path.name}.journal.damaged").read_bytes() == harmed


def test_random_bytes_as_journal(died: Died) -> None:
    path, data, _ = died
    for seed in range(3):
        lay(path, data, random.Random(seed).randbytes(5000))  # noqa: S311  # no secret
        report = recover(path, writer_is_gone=True)
        assert_rows(open_run(path), 300)
        assert "journal is damaged" in report.problem


def test_reading_that_never_ends_is_ended(died: Died, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The child that examines the file hangs in h5py, as it does for some damaged files."""
    path, data, journal = died
    lay(path, data, journal)
    (tmp_path / "hanging").mkdir()
    (tmp_path / "hanging" / "sitecustomize.py").write_text(
        "import h5py\nreal = h5py.File.__init__\n"
        "def hang(self, name, *a, **k):\n"
        "    while str(name).endswith('.h5'): pass\n"
        "    real(self, name, *a, **k)\n"
        "h5py.File.__init__ = hang\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "hanging"))
    began = time.monotonic()
    report = recover(path, writer_is_gone=True)
    assert time.monotonic() - began < 10
    assert "could not be read to its end" in report.problem
    assert_rows(open_run(path), 300)
