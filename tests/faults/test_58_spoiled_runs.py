"""58: one swapped or spoiled answer at queries of all kinds during whole runs of each procedure."""

from pathlib import Path

import pytest

from tests.run.bench import BiasLog, Commands, bias, labnis, write_station  # noqa: F401  # two of them are fixtures
from tests.run.spoiled_runs import OF_PYMEASURE, PYMEASURE, RUNS, SpoiledRuns, sampled, without_fits

COUNT = 60


@pytest.mark.timeout(600)
@pytest.mark.parametrize("procedure", RUNS)
def test_a_spoiled_answer_never_makes_a_wrong_number(
    procedure: str,
    labnis: Commands,  # noqa: F811  # the fixture
    bias: BiasLog,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_fits(monkeypatch)
    write_station(tmp_path)
    runs = SpoiledRuns(procedure, labnis, bias, tmp_path)
    told = [
        problem for kind, at in sampled(runs.undisturbed.spoiler.queries, COUNT) for problem in runs.problems(kind, at)
    ]
    assert not told, "\n".join(told)


@pytest.mark.timeout(600)
def test_a_spoiled_answer_of_another_librarys_driver_never_makes_a_wrong_number(
    labnis: Commands,  # noqa: F811  # the fixture
    bias: BiasLog,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_fits(monkeypatch)
    write_station(tmp_path)
    runs = SpoiledRuns("IVSweep", labnis, bias, tmp_path, PYMEASURE)
    queries, told = runs.undisturbed.spoiler.queries, []
    for at in range(len(queries)):
        for kind in OF_PYMEASURE[at % 2 :: 2]:
            # A number of the lock-in in place of another is possible.
            if kind != "swapped" or queries[at][0] == "keithley":
                told += runs.problems(kind, at)
    assert not told, "\n".join(told)
