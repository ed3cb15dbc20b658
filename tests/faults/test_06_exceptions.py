"""6: an exception in the procedure, at any row: zero, and the rows kept as failed, with the traceback."""

import pytest

from labnis.storage import read_metadata
from tests.faults.measuring import Lab

MINE = "tests.faults.lab_procedures"


@pytest.mark.parametrize(
    ("procedure", "rows", "words"),
    [
        ("FailsAtRow", 29, "RuntimeError: the lock-in fell off the table"),
        ("LeavesAtRow", 29, "sys.exit(0) was called in mid-run"),
        ("FailsBeforeTheFirstRow", 0, "RuntimeError: no sample in the fridge"),
    ],
)
def test_an_exception_in_the_procedure(lab: Lab, procedure: str, rows: int, words: str) -> None:
    answer = lab.run(procedure=f"{MINE}.{procedure}")
    assert answer.returncode == 1, answer.stderr
    lab.assert_safe()
    assert lab.ever_on()
    known = read_metadata(lab.run_file)
    assert (known["status"], known["rows"]) == ("failed", rows)
    assert words in known["reason"]
    assert "lab_procedures.py" in known["traceback"]
    assert " failed " in lab.labnis("ls").stdout
