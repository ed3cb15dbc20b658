"""labnis's procedures run unchanged under pymeasure's own Worker, as its ManagedWindow would run them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pymeasure.experiment import Procedure, Results
from pymeasure.experiment.workers import Worker

from labnis.experiment.twin import twin_of
from labnis.station import OpenStation, load_station, open_station
from procedures import EmittedPowerVsBias, IVSweep, ReflectionVsBias
from procedures.bias_sweep import BiasSweep
from tests.run.bench import BiasLog

ROLES = ("bias", "lockin", "analyzer", "vna", "fridge")


@pytest.fixture
def open_dry(tmp_path: Path, station: Path) -> Iterator[OpenStation]:
    config = load_station(station)
    with twin_of(config, tmp_path / "truth.yaml", 1) as twin, open_station(config, twin=twin) as opened:
        opened.open(ROLES)
        yield opened


@pytest.mark.parametrize("kind", [IVSweep, ReflectionVsBias, EmittedPowerVsBias])
def test_the_worker_writes_the_declared_columns(
    kind: type[BiasSweep], bias: BiasLog, open_dry: OpenStation, tmp_path: Path
) -> None:
    procedure = kind(points=11)
    procedure.roles = open_dry.roles
    results = Results(procedure, str(tmp_path / "results.csv"))
    worker = Worker(results)
    worker.start()
    worker.join(60)
    assert not worker.is_alive()
    assert procedure.status == Procedure.FINISHED
    lines = [line for line in Path(results.data_filename).read_text().splitlines() if not line.startswith("#")]
    assert lines[0].split(",") == kind.DATA_COLUMNS
    rows = [[float(cell) for cell in line.split(",")] for line in lines[1:]]
    columns = dict(zip(kind.DATA_COLUMNS, zip(*rows, strict=True), strict=True))
    np.testing.assert_array_equal(columns["Bias (V)"], procedure.biases())
    assert columns["Bias reading (V)"] == pytest.approx(columns["Bias (V)"], abs=1e-5)
    currents = list(columns["Current (A)"])
    assert currents == sorted(currents)


def test_closing_the_station_takes_the_bias_to_zero(bias: BiasLog, station: Path, tmp_path: Path) -> None:
    config = load_station(station)
    with twin_of(config, tmp_path / "truth.yaml", 1) as twin, open_station(config, twin=twin) as opened:
        opened.open(ROLES)
        procedure = IVSweep(points=11)
        procedure.roles = opened.roles
        worker = Worker(Results(procedure, str(tmp_path / "results.csv")))
        worker.start()
        worker.join(60)
        assert bias.moved
    assert bias.left_at_zero
