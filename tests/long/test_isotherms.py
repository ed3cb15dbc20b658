"""The isotherms of the shipped cooler, from the measurement to the results, with instruments that err."""

from pathlib import Path

import numpy as np
import pytest

import labnis
from labnis.experiment.analysis import analyses_of, true_results
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
        truth = true_results(analyses_of(IsothermSweep), session.twin.truth)
        logged = {c.quantity: c for c in session.ledger.calibrations() if c.run_id == run.run_id}
    assert not run.problem
    assert not run.doubtful
    # Those of secondary analyses, which are in the file, are no calibrations.
    primary = {name: one for name, one in run.results.items() if "." not in name}
    entered = {name: one.limit if one.value is None else one.value for name, one in logged.items()}
    assert entered == {name: one.value if one.limit is None else one.limit for name, one in primary.items()}
    known = {name: one for name, one in run.results.items() if one.limit is None}
    assert all(truth[name] < 2 * run.results[name].limit for name in run.results.keys() - known.keys())
    found = {name: (one.value - truth[name]) / one.sigma for name, one in known.items()}
    print(seed, {name: round(float(pull), 2) for name, pull in found.items()})  # noqa: T201  # kept by pytest
    return found


def test_all_results_are_the_true_ones_within_their_uncertainty(tmp_path: Path) -> None:
    found = [pulls(tmp_path / str(seed), seed) for seed in SEEDS]
    sizes = np.abs([pull for one in found for pull in one.values()])
    assert sizes.size > 9 * len(SEEDS)
    assert (sizes < 4).all(), found
    assert 0.5 < np.sqrt(np.mean(sizes**2)) < 1.5
