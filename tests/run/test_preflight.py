"""What a command says it will do."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pymeasure.experiment import Procedure

from labnis.experiment.preflight import check_room, expected, planned_run
from labnis.station import load_station
from labnis.storage import DiskSpaceError
from procedures import EmittedPowerVsBias, IVSweep

STATION = load_station(Path(__file__).resolve().parents[2] / "station.yaml")
KNOWN = {"gap": 215e-6, "normal_resistance": 12e3, "electron_temperature": 0.1}


def test_a_sweep_is_described_by_its_points_bias_and_time() -> None:
    sweep = IVSweep()
    sweep.set_parameters({"points": 101, "maximum_bias": 1e-3})
    plan = planned_run(sweep, STATION, KNOWN, 0.02)
    assert (plan.name, plan.points, plan.largest_bias) == ("IVSweep", 101, 1e-3)
    assert plan.largest_step == pytest.approx(20e-6)
    assert plan.duration == pytest.approx(101 * sweep.point_duration())


def test_power_in_the_device_is_an_upper_bound_of_the_ohmic_pair() -> None:
    plan = expected(2e-3, STATION, KNOWN, 0.02)
    current = 2e-3 / 26e3
    assert plan.dissipated_power == pytest.approx(current**2 * 24e3)
    # 0.59 (kT/Δ)^{3/2} Δ²/(e²R) per junction, less what a superconductor at the same temperature returns.
    assert plan.cooling_power == pytest.approx(2 * 0.59 * (8.617e-6 / 215e-6) ** 1.5 * 215e-6**2 / 12e3, rel=0.1)


def test_the_electron_temperature_is_where_tunnelling_and_phonons_balance() -> None:
    assert STATION.device.island is not None
    coupling = STATION.device.island.volume * STATION.device.island.electron_phonon
    # Far above the gap half of the power heats the island: P = IV/2 = ΣU(T⁵ − T_bath⁵).
    hot = expected(5e-3, STATION, KNOWN | {"normal_resistance": 1e6}, 0.02)
    assert hot.electron_temperature == pytest.approx((hot.dissipated_power / 2 / coupling) ** 0.2, rel=0.05)
    # At 0.9 Δ per junction it is cooled, from a fridge too warm.
    assert expected(2 * 0.9 * 215e-6, STATION, KNOWN, 0.3).electron_temperature < 0.3
    assert np.isnan(expected(5e-3, STATION, KNOWN, float("nan")).electron_temperature)
    assert np.isnan(
        expected(
            5e-3, STATION.model_copy(update={"device": STATION.device.model_copy(update={"island": None})}), KNOWN, 0.02
        ).electron_temperature
    )
    assert np.isinf(expected(0.02, STATION, KNOWN | {"normal_resistance": 1e3}, 0.02).electron_temperature)


def test_runs_that_do_not_fit_on_the_disk_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = EmittedPowerVsBias()
    check_room([sweep], tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100_000))
    with pytest.raises(DiskSpaceError):
        check_room([sweep], tmp_path)


def test_the_room_that_is_predicted_is_what_a_run_takes_at_most(tmp_path: Path) -> None:
    sweep = EmittedPowerVsBias()
    plan = planned_run(sweep, STATION, {}, 0.02)
    traces = sweep.points * sweep.frequencies * 8
    assert 2 * traces < plan.room < 20 * traces + 10e6


def test_nothing_is_made_up_without_calibrations() -> None:
    plan = planned_run(EmittedPowerVsBias(), STATION, {}, 0.02)
    assert np.isnan([plan.expectation.dissipated_power, plan.expectation.cooling_power]).all()


def test_a_procedure_that_says_nothing_is_described_by_nothing() -> None:
    plan = planned_run(Procedure(), STATION, KNOWN, 0.02)
    assert plan.points is None
    assert np.isnan(plan.duration)


def test_the_largest_step_is_that_of_the_order_in_which_points_are_measured() -> None:
    passes = planned_run(IVSweep(points=11, repeats=2), STATION, {}, 0.02)
    assert passes.largest_step == pytest.approx(2.4e-3)  # from the end of a pass to the beginning of the next
    both = planned_run(IVSweep(points=11, direction="up-down", repeats=2), STATION, {}, 0.02)
    assert both.largest_step == pytest.approx(0.24e-3)
