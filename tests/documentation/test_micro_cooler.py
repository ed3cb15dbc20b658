"""The calibration of the shipped cooler, whose electrons change their temperature, is right, as the documents say."""

import json
from pathlib import Path

import pytest

from sim_instruments import SHIPPED_TRUTH
from tests.run.bench import command, write_station

pytestmark = pytest.mark.documentation


@pytest.mark.timeout(300)  # 45 s alone on one core; other tests run beside it
def test_the_calibration_of_a_cooler_is_right(tmp_path: Path) -> None:
    write_station(tmp_path)
    twin = SHIPPED_TRUTH.with_name("micro_cooler.yaml")
    answer = command(f"calibrate --dry-run --json --twin {twin}", tmp_path)
    assert answer.code == 0, answer.err
    results = json.loads(answer.out)["results"]
    assert len(results) == 11
    # What the curve does not determine is an upper limit.
    limits = {name: results.pop(name) for name, found in dict(results).items() if found["value"] is None}
    assert limits.keys() <= {"electron_temperature"}
    assert all(found["truth"] < found["limit"] < 2 * found["truth"] for found in limits.values())
    off = {name: (found["value"] - found["truth"]) / found["sigma"] for name, found in results.items()}
    assert max(map(abs, off.values())) < 4, off
    assert "warning" not in answer.err
