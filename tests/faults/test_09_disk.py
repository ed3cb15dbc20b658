"""9 and 10: the disk is full, files may not grow, the data folder is removed or not writable: the whole command.

What becomes of the rows in each case is shown in `test_storage_disk.py`.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from labnis.storage import open_rows, recover
from labnis.storage._journal import RESERVE_BYTES, STEP_BYTES
from tests.faults.file_systems import mounted
from tests.faults.measuring import Lab, remove_rescue_copies
from tests.run.bench import Commands

LIMITED = """\
import resource, sys
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
from labnis.cli import main
main()
"""
SPECTRA = ("--set", "frequencies=20001", "--set", "averages=1", "--set", "sweep_time=1e-3", "--set", "settling_time=0")


def test_files_that_may_not_grow_any_more(lab: Lab) -> None:
    limited = ("-c", LIMITED, str(RESERVE_BYTES + STEP_BYTES))
    words = ("run", "EmittedPowerVsBias", "--yes", "--set", "points=61", *SPECTRA)
    said = lab.ended(lab.start_interpreter(*words, python=limited), 6)
    remove_rescue_copies(said)  # there is one where the disk refused the HDF5 file, too
    assert "File too large" in said
    lab.assert_safe()
    assert lab.ever_on()
    if lab.run_file.with_name(f"{lab.run_file.name}.journal").exists():
        recover(lab.run_file)
    found = open_rows(lab.run_file)
    assert found.attrs["status"] == "failed"
    assert 2 < found.sizes["point"] < 61
    measured = len(lab.sent("analyzer", ":FETC:SAN1?"))
    assert found.sizes["point"] >= measured - 2  # the last one was on its way when the disk refused


def test_a_disk_too_small_for_what_is_planned(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = Commands(monkeypatch, capsys)(
        "run ReflectionVsBias --yes --set points=500000 --set frequencies=100001 --set if_bandwidth=1e6 "
        f"--station {lab.station} --data {lab.data}"
    )
    assert answer.code == 6
    assert "MB left" in answer.err
    assert lab.log == []


def test_the_data_folder_is_removed_in_mid_run(lab: Lab) -> None:
    process = lab.begin_sweep()
    seen = lab.rows()
    shutil.rmtree(lab.data)
    said = lab.ended(process, 6)
    lab.assert_safe()
    found = re.search(r"Rescue copy of the whole run: (\S+\.h5)", said)
    assert found, said
    try:
        rescued = open_rows(found[1])
        assert rescued.sizes["point"] >= seen > 0
        assert rescued.attrs["status"] == "failed"
    finally:
        shutil.rmtree(Path(found[1]).parent)


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "read-only", "ro") as folder:
        yield folder


def refused(lab: Lab, labnis: Commands, data: Path) -> None:
    answer = labnis(f"run IVSweep --yes --station {lab.station} --data {data}")
    assert answer.code == 2, answer.err
    assert str(data) in answer.err
    assert lab.log == []


def test_a_read_only_data_folder(
    lab: Lab, read_only: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(lab, Commands(monkeypatch, capsys), read_only)


def test_a_data_folder_that_cannot_be_made(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(lab, Commands(monkeypatch, capsys), lab.station / "data")  # the station file is no folder


def test_a_disk_that_never_answers_ends_the_run_at_zero(lab: Lab) -> None:
    answer = lab.run(procedure="tests.faults.lab_procedures.DiskHangs", points=4001)
    assert answer.returncode == 6, answer.stderr
    lab.assert_safe()
    assert "the disk has not answered for 1 s" in answer.stderr
    match = re.search(r"Rescue copy of the whole run: (\S+\.h5)", answer.stderr)
    assert match is not None
    copy = Path(match.group(1))
    found = open_rows(copy)
    shutil.rmtree(copy.parent)
    assert found.attrs["status"] == "failed"
    assert found.sizes["point"] > 10
