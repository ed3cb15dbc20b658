"""docs/faults.md: every row has tests, and every file that it names is there and is about something."""

import re
from pathlib import Path

import pytest

from tests.faults.measuring import ROOT

TABLE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
ROWS = {
    int(row[1]): re.findall(r"`([^`]+\.py)`", row[0]) for row in re.finditer(r"^\| (\d+) \|.*$", TABLE, re.MULTILINE)
}


def test_every_row_is_there_but_that_of_the_live_page() -> None:
    assert sorted(ROWS) == [number for number in range(1, 89) if number != 29]


@pytest.mark.parametrize("row", sorted(ROWS))
def test_a_row_names_files_with_tests_in_them(row: int) -> None:
    assert ROWS[row]
    for name in ROWS[row]:
        assert re.search(r"^def test_\w+\(", (ROOT / "tests" / name).read_text(encoding="utf-8"), re.MULTILINE), name


def test_every_file_of_faults_is_in_the_table() -> None:
    here = {f"faults/{path.name}" for path in Path(__file__).parent.glob("test_*.py")}
    named = {name for names in ROWS.values() for name in names}
    assert here - named == {"faults/test_table.py"}
