"""What the tests of the documentation share: the commands of a page, and the notebook in it."""

import re
import shlex
from functools import cache
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.run.bench import ROOT, Answer, forked, python

DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(?P<kind>\w+)(?: title=\"(?P<file>[^\"]+)\")?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(?::tags:[^\n]*\n)?(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^ *\$ (.+)$|`(labnis [^`\n]+)`", re.MULTILINE)


@cache
def text_of(page: Path) -> str:
    """Text of a page."""
    return page.read_text(encoding="utf-8")


def commands_of(page: Path) -> list[str]:
    """Every command of a page in its order, of a terminal or within a sentence."""
    return [line or inline for line, inline in COMMAND.findall(text_of(page))]


def command(words: list[str], folder: Path) -> Answer:
    """A line of a terminal, in `folder`."""
    program, *arguments = words
    if program == "labnis":
        return forked(shlex.join(arguments), folder)
    return python(arguments, folder)


def executed(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> nbformat.NotebookNode:
    """The notebook in a page, executed in `folder` by a kernel of its own."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    cells = [nbformat.v4.new_code_cell(cell) for cell in CELL.findall(text_of(page))]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=250, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook
