"""The isotherms of the shipped cooler, from the measurement to the results, with instruments that err."""

from pathlib import Path

import numpy as np
import pytest

import labnis
from procedures import IsothermSweep

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parents[2]
SEEDS = range(1, 5)


def pulls(folder: Path, seed: int) -> dict[str, float]:
    """Deviation of each result from its truth, in units of its σ."""
    cooler = ROOT / "sim_instruments" / "micro_cooler.yaml"
    with labnis.open_session(ROOT / "station.yaml", dry_run=True, twin=cooler, seed=seed, data=folder) as session:
        run = session.run(IsothermSweep(points=41))
        assert session.twin is not None
        truth = session.twin.truth
    found = {name: (one.value - truth[name]) / one.sigma for name, one in run.results.items()}
    print(seed, {name: round(float(pull), 2) for name, pull in found.items()})  # noqa: T201  # kept by pytest
    return found


def test_all_results_are_the_true_ones_within_their_uncertainty(tmp_path: Path) -> None:
    found = [pulls(tmp_path / str(seed), seed) for seed in SEEDS]
    sizes = np.abs([list(one.values()) for one in found])
    assert sizes.shape == (len(SEEDS), len(found[0]))
    # A parameter at the limit of its range, as the absent leak, is not Gaussian.
    assert (sizes < 4).all(), found
    assert 0.5 < np.sqrt(np.mean(sizes**2)) < 1.5
