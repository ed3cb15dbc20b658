"""What a run says about itself comes back as it was given."""

import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import h5py
import numpy as np
import pytest

from drivers.wiring import Wiring
from labnis.storage import LayoutError, RunWriter, collect_environment, open_run, read_metadata

from .conftest import START, finished, metadata

HOSTILE = [
    "../../x",
    "<script>",
    "a;*RST\n",
    "a\0b",
    "x" * 10_000,
    "\u202eabc",
    "CON",
    "nul.h5",
    "",
    "..",
    "試料",
    "\udc80",
    '"a"',
]


def test_round_trip(new_run: Callable[..., RunWriter]) -> None:
    given = {
        "parameters": {"stop": np.float64(1e-3), "list": np.arange(3), "z": 1 + 2j, "none": None, "µ": "γ"},
        "wiring": {"line": Wiring(series_resistance=2e3).model_dump()},
        "station_snapshot": {"big": "x" * 300_000, "path": Path("a/b"), "time": START},
        "station_text": "instruments:\n  keithley: {}\n",
        "calibrations": [{"quantity": "gain", "value": 60.0, "sigma": 0.1}],
        "seed": 7,
        "truth_text": "junction: {}\n",
        "tags": ("good", "sample 7"),
        "note": "after the thermal cycle",
        "analyses": ["labnis.fit.analyses.CurrentVoltage"],
        "context": {"wiring": {"series_resistance": 2e3}, "fridge": None},
    }
    with finished(new_run(**given)) as run:
        pass
    found = read_metadata(run.path)
    assert found["schema_version"] == 3
    assert found["run_id"] == run.run_id
    assert found["procedure"] == "ReflectionVsBias"
    assert found["cooldown"] == "CD12"
    assert found["parameters"] == {
        "stop": 1e-3,
        "list": [0, 1, 2],
        "z": {"real": 1.0, "imag": 2.0},
        "none": None,
        "µ": "γ",
    }
    assert found["wiring"]["line"]["series_resistance"] == 2e3
    assert found["station_snapshot"] == {"big": "x" * 300_000, "path": "a/b", "time": START.isoformat()}
    assert found["station_text"] == given["station_text"]
    for name in ("calibrations", "note", "analyses", "context"):
        assert found[name] == given[name]
    assert (found["tags"], found["setpoints"]) == (["good", "sample 7"], ["bias"])
    assert (found["seed"], found["truth_text"], found["simulated"]) == (7, given["truth_text"], True)
    assert (found["git_commit"], found["git_dirty"], found["packages"]) == ("abc123", True, {"numpy": "2"})
    assert found["start"] == START
    assert found["start"].utcoffset() == START.utcoffset()
    assert found["end"].utcoffset() is not None
    assert abs((found["end"] - datetime.now().astimezone()).total_seconds()) < 60


def test_a_real_run_has_no_seed_and_says_so_in_plain_hdf5(new_run: Callable[..., RunWriter]) -> None:
    with finished(new_run(simulated=False)) as run:
        pass
    found = read_metadata(run.path)
    assert (found["seed"], found["simulated"]) == (None, False)
    assert "seed" not in open_run(run.path).attrs
    with h5py.File(run.path) as file:
        assert not file.attrs["simulated"]
        assert not file["data"].attrs["simulated"]
        assert "seed" not in file.attrs


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_stay_in_the_data_folder_and_are_kept(
    new_run: Callable[..., RunWriter], tmp_path: Path, text: str
) -> None:
    with finished(new_run(cooldown=text, procedure=text, station_text=text)) as run:
        pass
    relative = run.path.relative_to((tmp_path / "data").resolve())
    assert len(relative.parts) == 3
    for part in relative.parts:
        assert set(part) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
        assert 0 < len(part) < 100
        assert part.partition(".")[0].lower() not in ("con", "nul")
    found = read_metadata(run.path)
    assert (found["cooldown"], found["procedure"], found["station_text"]) == (text, text, text)


def test_link_out_of_the_data_folder_is_refused(new_run: Callable[..., RunWriter], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data" / "CD12").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Exception, match="outside the data folder"):
        new_run()
    assert not list((tmp_path / "elsewhere").iterdir())


def test_what_cannot_be_stored_is_refused_before_the_file_exists(
    new_run: Callable[..., RunWriter], tmp_path: Path
) -> None:
    with pytest.raises(LayoutError, match=r"parameters: <object object.*no form in JSON"):
        new_run(parameters={"x": object()})
    with pytest.raises(LayoutError, match="no UTC offset"):
        metadata(start=datetime(2026, 1, 1))  # noqa: DTZ001  # the point of the test
    assert not list(tmp_path.rglob("*.h5"))


def _git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


def test_environment_of_a_checkout(tmp_path: Path) -> None:
    tracked, stray = tmp_path / "a.py", tmp_path / "b.py"
    tracked.touch()
    _git(tmp_path, "init")
    _git(tmp_path, "add", "a.py")
    _git(tmp_path, "commit", "-m", "x")
    clean = collect_environment(tracked)
    assert len(clean.git_commit) == 40
    assert clean.git_dirty is False
    assert clean.packages["h5py"] == h5py.__version__
    stray.touch()
    assert collect_environment(tracked).git_dirty is True
    untracked = collect_environment(stray)
    assert (untracked.git_commit, untracked.git_dirty) == ("unknown", None)
    assert "b.py" in untracked.git_note


def test_environment_outside_a_checkout_or_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = collect_environment(tmp_path / "a.py")
    assert (outside.git_commit, outside.git_dirty) == ("unknown", None)
    assert "not a git" in outside.git_note
    monkeypatch.setenv("PATH", "")
    assert "git is not installed" in collect_environment(tmp_path / "a.py").git_note
