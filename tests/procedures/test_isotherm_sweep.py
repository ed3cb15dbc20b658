"""The estimated duration of a sweep over temperatures is what the procedure waits for, also while the stage cools."""

from types import SimpleNamespace

import pytest

from procedures import IsothermSweep
from sim_instruments import SHIPPED_TRUTH, SimulatedClock, load_truth
from sim_instruments.world.heated_stage import StageHeat


def waited(sweep: IsothermSweep, first: float) -> float:
    """Time (s) until the simulated stage has settled at each of the sweep's temperatures after the first."""
    clock, fridge = SimulatedClock(), load_truth(SHIPPED_TRUTH).fridge
    heat = StageHeat(fridge, clock.time(), first**2, 0.0, None)

    def temperature() -> float:
        return heat.temperature(clock.time())

    sweep.roles = SimpleNamespace(clock=clock, fridge=SimpleNamespace(temperature=temperature))  # type: ignore[assignment]
    begin = clock.time()
    for kelvin in sweep.temperatures[1:]:
        heat = heat.changed(clock.time(), 1.0 if kelvin else 0.0, kelvin or None)
        sweep.settle_stage(kelvin)
    return clock.time() - begin


@pytest.mark.parametrize("temperatures", ["0.32,0.23,0.14", "0.32,0.1", "0.14,0.23,0.32", "0.1,0.3,0.2"])
def test_the_estimate_has_the_relaxation_of_the_stage(temperatures: str) -> None:
    sweep = IsothermSweep(temperatures=temperatures)
    level = IsothermSweep(temperatures=temperatures.partition(",")[0])
    beside = (len(sweep.temperatures) - 1) * (level.get_estimates() - level.stage_settling)
    estimated = sweep.get_estimates() - level.get_estimates() - beside
    assert estimated == pytest.approx(waited(sweep, sweep.temperatures[0]), rel=0.1)


def test_without_a_heater_the_estimate_is_at_least_what_is_waited_for_and_ends_with_the_patience() -> None:
    sweep = IsothermSweep(temperatures="0.32,0")
    alone = IsothermSweep(temperatures="0.32")
    curve = alone.get_estimates() - alone.stage_settling
    estimated = sweep.get_estimates() - alone.get_estimates() - curve
    assert waited(sweep, 0.32) <= estimated <= sweep.stage_patience + sweep.stage_settling
