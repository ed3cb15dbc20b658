"""The time that a plan states is the one that the rows take, with slow meters, too."""

import re
from pathlib import Path

import pytest

from labnis import open_run
from labnis.experiment.preflight import check_request, planned_run
from labnis.station import load_station
from labnis.storage import list_runs
from procedures import IVSweep
from tests.run.bench import Commands, fit_only_the_end, write_station
from tests.run.test_every_instrument import COMBINATIONS


@pytest.mark.parametrize(("combination", "lockin"), [*((name, False) for name in COMBINATIONS), ("qdac2", True)])
def test_the_plan_knows_how_long_readings_take(
    combination: str, lockin: bool, labnis: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = COMBINATIONS[combination].read_text(encoding="utf-8")
    if not lockin:
        text = re.sub(r"    lockin: .*\n", "", text)
    file = write_station(tmp_path / combination, text)
    config = load_station(file)
    sweep = IVSweep(points=41)
    check_request(sweep, config)
    planned = planned_run(sweep, config, {}, 0.01).duration
    fit_only_the_end(monkeypatch, rows=1000)
    answer = labnis(f"run IVSweep --dry-run --seed 1 --set points=41 --station '{file}' --data '{tmp_path / 'data'}'")
    assert "no fit" in answer.err + answer.out
    (run,) = list_runs(tmp_path / "data")
    took = open_run(run.path).data["time"].values[[0, -1]] @ [-1, 1] * 41 / 40
    ramps = 2 * 1.2e-3 / config.limits.ramp_rate  # to the first bias and from the last one
    assert planned == pytest.approx(took + ramps, rel=0.1)
