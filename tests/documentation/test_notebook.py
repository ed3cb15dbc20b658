"""The tutorial, executed in a kernel of its own, and its commands; `make docs` executes every notebook, too."""

import shlex
from pathlib import Path

import pytest

from tests.documentation.pages import DOCS, command, commands_of, executed

pytestmark = pytest.mark.documentation


@pytest.mark.timeout(300)  # a minute on an idle machine
def test_the_tutorial_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = executed(DOCS / "tutorial.md", tmp_path, monkeypatch)
    outputs = [output for cell in notebook.cells for output in cell.outputs]
    shown = [output.data for output in outputs if output.output_type == "execute_result"]
    assert sum("image/png" in data for data in shown) == 2
    assert any("µeV" in data.get("text/html", "") for data in shown)
    assert not any(output.output_type == "stream" and output.name == "stderr" for output in outputs), outputs
    *commands, listed, calibrations = [line for line in commands_of(DOCS / "tutorial.md") if "RUN" not in line]
    for line in commands:
        answer = command(shlex.split(line), tmp_path)
        assert answer.code == 0, answer.err
    assert command(shlex.split(listed), tmp_path).out.count("hysteresis") == 2
    assert "noise_temperature" in command(shlex.split(calibrations), tmp_path).out.replace(" ", "_")
