"""The notebook of the documentation, executed in a kernel of its own; `make docs` executes the others, too."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.run.bench import ROOT

pytestmark = pytest.mark.documentation

CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(?::tags:[^\n]*\n)?(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.timeout(300)  # half a minute on an idle machine
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    cells = CELL.findall((ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8"))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=100, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.outputs]
    shown = [output.data for output in outputs if output.output_type == "execute_result"]
    assert sum("image/png" in data for data in shown) == 2
    assert any("µeV" in data.get("text/html", "") for data in shown)
    assert not any(output.output_type == "stream" and output.name == "stderr" for output in outputs), outputs
