"""33: long runs cost what short ones do per row; and the soak (`make soak`), which shows it at length, works."""

from pathlib import Path

from tests.soak.__main__ import cuts, faults, kills
from tests.soak.kills import Kill
from tests.soak.long_run import long_run
from tests.soak.report import Soak, report

ROWS = 300_000


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    blocks = long_run(tmp_path, ROWS)
    assert blocks[-1].rows == ROWS
    settled = blocks[len(blocks) // 2]
    grown = (blocks[-1].memory - settled.memory) / (blocks[-1].rows - settled.rows)
    # Rows of four numbers kept as Python objects would be several hundred bytes each.
    assert grown < 150, f"{grown:.0f} bytes per row"


def test_one_of_everything_holds(tmp_path: Path) -> None:
    soak = Soak(kills=kills([3]), faults=faults([1]), cuts=cuts([0, 1]), blocks=long_run(tmp_path, 2000))
    assert not soak.problems
    assert "Everything held." in report(soak)


def test_what_does_not_hold_is_reported() -> None:
    told = ("3 rows were acknowledged, 2 are left",)
    lost = Kill(5, "on", first_write=0.2, zero_after=0.5, acknowledged=3, kept=2, resumed=True, problems=told)
    text = report(Soak(kills=[lost]))
    assert "- kill 5: 3 rows were acknowledged, 2 are left" in text
    assert "Everything held." not in text
