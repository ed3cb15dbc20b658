"""The calibration of the shipped cooler, whose electrons change their temperature, is right, as the documents say."""

import json
from pathlib import Path

import numpy as np
import pytest

import labnis
from sim_instruments import SHIPPED_TRUTH
from tests.run.bench import command, write_station

pytestmark = pytest.mark.documentation


@pytest.mark.timeout(300)  # 45 s alone on one core; other tests run beside it
def test_the_calibration_of_a_cooler_is_right(tmp_path: Path) -> None:
    write_station(tmp_path)
    twin = SHIPPED_TRUTH.with_name("micro_cooler.yaml")
    answer = command(f"calibrate --dry-run --json --twin {twin}", tmp_path)
    assert answer.code == 0, answer.err
    report = json.loads(answer.out)
    results = report["results"]
    assert len(results) == 11
    # What the curve does not determine is an upper limit.
    limits = {name: results.pop(name) for name, found in dict(results).items() if found["value"] is None}
    assert limits.keys() <= {"electron_temperature"}
    assert all(found["truth"] < found["limit"] < 2 * found["truth"] for found in limits.values())
    off = {name: (found["value"] - found["truth"]) / found["sigma"] for name, found in results.items()}
    assert max(map(abs, off.values())) < 4, off
    assert "warning" not in answer.err
    # T_e(V): Andreev current warms the island, and near the gap tunnelling cools it; beside the truth all along.
    curve = labnis.open_run(report["runs"][0]).curves["current_voltage"]
    voltage, temperature, sigma, truth = (
        curve[name].values
        for name in ("device_voltage", *(f"electron_temperature{end}" for end in ("", "_sigma", "_truth")))
    )
    coldest = temperature.argmin()
    assert temperature[0] + 3 * sigma[0] < temperature[:coldest].max()
    assert voltage[coldest] == pytest.approx(2 * 215e-6, rel=0.03)
    assert temperature[coldest] < 0.25 * temperature[0]
    assert (np.abs(temperature - truth) < 4 * sigma).all()
