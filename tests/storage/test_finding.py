"""Listing and finding runs, and the data folder itself."""

from datetime import timedelta
from pathlib import Path

import h5py
import pytest

from labnis.storage import (
    DataRootError,
    RunFileError,
    RunNotFoundError,
    check_data_root,
    find_run,
    list_runs,
    open_run,
    read_fits,
)

from .conftest import START, finished, row


def test_list_is_in_order_and_complete(new_run, tmp_path):
    running = new_run(run_id="aaaa0000", cooldown="Z")
    with finished(
        new_run(run_id="bbbb0000", start=START + timedelta(hours=30), cooldown="B/2", simulated=False)
    ) as run:
        run.append(row(0))
        run.append(row(1))
    broken = tmp_path / "data" / "CD12" / "2026-03-04" / "000000-IVSweep-dead0000.h5"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(run.path.read_bytes()[:5000])
    empty = broken.with_name("000001-IVSweep-dead0001.h5")
    empty.touch()
    found = list_runs(tmp_path / "data")
    running.finish("done")
    assert [(one.run_id, one.status, one.rows) for one in found] == [
        ("aaaa0000", "running", 0),
        ("bbbb0000", "done", 2),
        ("dead0000", "unreadable", 0),
        ("dead0001", "unreadable", 0),
    ]
    assert (found[1].cooldown, found[1].procedure, found[1].simulated) == ("B/2", "ReflectionVsBias", False)
    assert found[1].start == START + timedelta(hours=30)
    assert str(broken) in found[2].reason
    assert "truncated" in found[2].reason


def test_runs_are_found_by_their_tags(new_run, tmp_path):
    for run_id, tags in (("a", ["good", "sample 7"]), ("b", ["good"]), ("c", [])):
        new_run(run_id=run_id, tags=tags, note=f"note {run_id}").finish("done")
    (tmp_path / "data" / "CD12" / "2026-03-04" / "000001-IVSweep-dead0001.h5").touch()

    def found(*tags: str) -> list[str]:
        return [run.run_id for run in list_runs(tmp_path / "data", tags=tags)]

    assert (found(), found("good"), found("good", "sample 7")) == (["a", "b", "c", "dead0001"], ["a", "b"], ["a"])
    assert found("absent") == []
    [run] = list_runs(tmp_path / "data", tags=["sample 7"])
    assert (run.tags, run.note) == (("good", "sample 7"), "note a")


def test_foreign_hdf5_file_is_listed_as_unreadable(new_run, tmp_path):
    with finished(new_run()) as run:
        pass
    with h5py.File(run.path.with_name("000000-x-ffff.h5"), "w") as file:
        file.create_group("data").attrs["rows"] = 3
    assert [one.status for one in list_runs(tmp_path / "data")] == ["done", "unreadable"]


def test_opening_what_is_no_run_names_the_file(tmp_path):
    text = tmp_path / "notes.h5"
    text.write_text("not HDF5")
    for path in (text, tmp_path / "absent.h5", tmp_path):
        for read in (open_run, read_fits):
            with pytest.raises(RunFileError, match=str(path)):
                read(path)


def test_find_by_path_id_and_prefix(new_run, tmp_path):
    root = tmp_path / "data"
    paths = {}
    for run_id in ("abcd0000", "abce0000", "abc", "12340000"):
        with finished(new_run(run_id=run_id)) as run:
            paths[run_id] = run.path
    assert find_run(root, "1").resolve() == paths["12340000"]
    assert find_run(root, "abcd").resolve() == paths["abcd0000"]
    assert find_run(root, "abc").resolve() == paths["abc"], "an exact id wins over longer ones"
    assert find_run(root, str(paths["abcd0000"])) == paths["abcd0000"]
    assert find_run(root, str(paths["abcd0000"].relative_to(root.resolve()))).resolve() == paths["abcd0000"]
    with pytest.raises(RunNotFoundError, match=r"3 runs .*'ab'(.|\n)*abcd0000(.|\n)*abce0000"):
        find_run(root, "ab")
    with pytest.raises(RunNotFoundError, match=r"no run has the id 'zz'(.|\n)*12340000"):
        find_run(root, "zz")
    with pytest.raises(RunNotFoundError, match="no such file"):
        find_run(root, "x/y.h5")


def test_data_folder_is_made_if_missing_and_left_clean(tmp_path):
    root = check_data_root(tmp_path / "a" / "b")
    assert root.is_dir()
    assert not list(root.iterdir())


@pytest.mark.parametrize("bad", ["file", "file/below", "nul\0byte", "x" * 5000])
def test_unusable_data_folder_says_which_and_what_to_do(tmp_path, bad):
    (tmp_path / "file").touch()
    with pytest.raises(DataRootError, match=r"cannot be written there: (.|\n)*Choose another folder") as caught:
        check_data_root(tmp_path / bad)
    assert str(tmp_path / bad) in str(caught.value)


def test_no_data_folder_to_list(tmp_path):
    with pytest.raises(DataRootError, match="no such folder"):
        list_runs(Path(tmp_path / "absent"))
