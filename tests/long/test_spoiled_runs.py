"""A swapped or spoiled answer at every query of a run, one after the other."""

from pathlib import Path

import pytest

from tests.run.bench import BiasLog, Commands, bias, labnis, write_station  # noqa: F401  # two of them are fixtures
from tests.run.spoiled_runs import KINDS, RUNS, SpoiledRuns, without_fits


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("procedure", RUNS)
def test_no_spoiled_answer_makes_a_wrong_number(
    procedure: str,
    labnis: Commands,  # noqa: F811  # the fixture
    bias: BiasLog,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_fits(monkeypatch)
    write_station(tmp_path)
    runs = SpoiledRuns(procedure, labnis, bias, tmp_path)
    told = []
    for at in range(len(runs.undisturbed.spoiler.queries)):
        told += runs.problems(KINDS[at % len(KINDS)], at)
    assert not told, "\n".join(told)
