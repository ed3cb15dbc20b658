"""A run file or a VISA record from elsewhere chooses no module that is imported."""

import json
from pathlib import Path

import h5py
import pytest

import labnis as product
from labnis.errors import RequestError
from labnis.storage import list_runs
from tests.run.bench import Commands

CANARY = """
from pathlib import Path
Path(__file__).with_name("executed").touch()
from procedures import IVSweep
class Sweep(IVSweep):
    pass
"""


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed module, and the file that it writes when it is imported."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (folder / "canary.py").write_text(CANARY, encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    return folder / "executed"


def run_with(labnis: Commands, folder: Path, **attributes: str) -> Path:
    """The file of a short run, with these attributes changed."""
    assert labnis("run IVSweep --dry-run --set points=20 --record-visa").code == 0
    (run,) = list_runs(folder / "data")
    with h5py.File(run.path, "r+") as file:
        assert file.attrs.keys() >= attributes.keys()
        file.attrs.update(attributes)
    return run.path


def test_a_run_is_not_resumed_by_a_procedure_of_any_module(labnis: Commands, canary: Path, tmp_path: Path) -> None:
    path = run_with(labnis, tmp_path, procedure_class="canary.Sweep", status="failed")
    answer = labnis(f"resume {path} --dry-run")
    assert answer.code == 2
    assert "procedure 'canary.Sweep': its name is from a file" in answer.err
    assert "procedures, labnis.fit" in answer.err
    assert not canary.exists()


def test_neither_figure_nor_refit_imports_an_analysis_of_any_module(
    labnis: Commands, canary: Path, tmp_path: Path
) -> None:
    path = run_with(labnis, tmp_path, analyses='["canary.Sweep"]')
    assert labnis(f"show {path} --figure {tmp_path / 'run.png'}").code == 0
    with pytest.raises(RequestError, match=r"canary\.Sweep.*labnis\.packages"):
        product.refit(path)
    assert not canary.exists()


def test_a_record_is_not_replayed_by_a_procedure_of_any_module(labnis: Commands, canary: Path, tmp_path: Path) -> None:
    run_with(labnis, tmp_path)
    (record,) = (tmp_path / "data").rglob("*.visa.jsonl")
    header, *rest = record.read_text(encoding="utf-8").splitlines()
    changed = json.loads(header)
    changed["procedures"][0]["procedure"] = "canary.Sweep"
    record.write_text("\n".join([json.dumps(changed), *rest, ""]), encoding="utf-8")
    answer = labnis(f"replay {record} --data {tmp_path / 'again'}")
    assert answer.code == 2
    assert "procedure 'canary.Sweep': its name is from a file" in answer.err
    assert not canary.exists()
