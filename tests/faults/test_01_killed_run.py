"""1: kill -9 of the run at a random moment: the guardian zeroes, nothing acknowledged is lost."""

import time

import pytest

from sim_instruments.server import largest_rate
from tests.faults.measuring import RAMP_RATE, Lab, chance, kill, wait_for


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_a_random_moment(lab: Lab, seed: int) -> None:
    process = lab.begin_sweep()
    time.sleep(chance(seed).uniform(0.0, 1.5))  # the moment itself is what is random here
    acknowledged = lab.rows()
    killed = kill(process)
    lab.assert_safe(killed)
    assert lab.rows() >= acknowledged
    first_write = next(point.time for point in lab.trajectory(killed))
    assert first_write - killed <= 1.0
    assert lab.attributes()["simulated"]
    log = lab.run_file.with_suffix(".log")
    wait_for(lambda: "the run died; the bias was" in log.read_text(encoding="utf-8"))


def test_killed_before_anything_was_set(lab: Lab) -> None:
    process = lab.start_interpreter("run", "IVSweep", "--yes")
    kill(process)
    assert lab.source() == {"level": 0.0, "output": False}


def test_the_harness_detects_a_jump(lab: Lab) -> None:
    # The oracle must be able to fail: a source that is set by hand without a ramp breaks the rate.
    lab.control(do="leave", level=2e-3, output=True)
    assert largest_rate(lab.trajectory(), window=0.1) > RAMP_RATE / 2
