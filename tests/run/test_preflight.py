"""What a command says it will do."""

import math
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from pymeasure.experiment import Procedure

from labnis.errors import ConfigurationError, RequestError
from labnis.experiment.preflight import check_request, check_room, expected, planned_run
from labnis.station import load_station
from labnis.storage import DiskSpaceError
from labnis.ui.terminal import preflight_text
from procedures import EmittedPowerVsBias, IVSweep, Measurement, SweepParameter
from tests.run.bench import BiasLog, Commands, Watcher, dry_session

STATION = load_station(Path(__file__).resolve().parents[2] / "station.yaml")
KNOWN = {"gap": 215e-6, "normal_resistance": 12e3, "electron_temperature": 0.1}


def test_a_sweep_is_described_by_its_points_bias_and_time() -> None:
    sweep = IVSweep()
    sweep.set_parameters({"points": 101, "maximum_bias": 1e-3})
    plan = planned_run(sweep, STATION, KNOWN, 0.02)
    assert (plan.name, plan.points, plan.largest_bias) == ("IVSweep", 101, 1e-3)
    assert plan.largest_step == pytest.approx(20e-6)
    ramps = 4e-3 / STATION.limits.ramp_rate  # to −1 mV, to 1 mV, to zero
    assert plan.duration == pytest.approx(101 * sweep.point_duration() + ramps)


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
    assert np.isinf(expected(0.1, STATION, KNOWN | {"normal_resistance": 1e3}, 0.02).electron_temperature)


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
    assert passes.largest_step == pytest.approx(0.24e-3)  # not the way back between two passes
    both = planned_run(IVSweep(points=11, direction="up-down", repeats=2), STATION, {}, 0.02)
    assert both.largest_step == pytest.approx(0.24e-3)


class BiasTrace(Measurement):
    """Current at a list of biases."""

    REQUIRES: ClassVar[tuple[str, ...]] = ("bias",)
    SETPOINTS: ClassVar[tuple[str, ...]] = ("Bias (V)",)
    DATA_COLUMNS: ClassVar[list[str]] = ["Current (A)"]

    biases = SweepParameter("Bias", units="V", default="0,0,0")

    def startup(self) -> None:
        self.roles.bias.prepare(maximum_bias=max(map(abs, self.biases)), maximum_current=1e-6, integration_time=0.02)

    def execute(self) -> None:
        for (bias,) in self.sweep():
            self.roles.bias.move_to(bias)
            self.record(self.roles.bias.read().current)


class NoAxis(BiasTrace):
    TRACES: ClassVar[dict[str, tuple[str, type]]] = {"S11 (1)": ("Frequency (Hz)", complex)}


class NoParameter(BiasTrace):
    SETPOINTS: ClassVar[tuple[str, ...]] = ("Gate (V)", "Bias (V)")


class NoColumn(BiasTrace):
    def setpoints(self) -> dict[str, Any]:
        return {"Gate (V)": np.zeros(1), **super().setpoints()}


class InformedMap(IVSweep):
    SETPOINTS: ClassVar[tuple[str, ...]] = ("Gate (V)", "Bias (V)")

    def setpoints(self) -> dict[str, Any]:
        return {"Gate (V)": np.zeros(2), **super().setpoints()}


@pytest.mark.parametrize(
    ("procedure", "said"),
    [
        (BiasTrace(biases=""), "BiasTrace: the set-point bias has no points"),
        (
            NoAxis(),
            r"NoAxis: axis_lengths\(\) must return the number of values of 'frequency', the axis of 'S11 \(1\)'",
        ),
        (NoParameter(), r"NoParameter: the set-point 'Gate \(V\)' has no SweepParameter"),
        (NoColumn(), r"NoColumn: setpoints\(\) has gate, which is not in SETPOINTS"),
        (InformedMap(order="information"), "InformedMap: order=information chooses the bias alone, .* are gate, bias"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_measured_as_declared_is_refused(procedure: Measurement, said: str) -> None:
    with pytest.raises(RequestError, match=f"{said}.*No instrument was touched"):
        check_request(procedure, STATION)


def test_a_role_that_the_station_lacks_is_told_with_the_procedure_that_needs_it() -> None:
    kind = type("Gated", (BiasTrace,), {"REQUIRES": ("bias", "gatte")})
    with pytest.raises(
        ConfigurationError, match=r"station\.yaml, line \d+: labnis\.roles\.gatte: missing, but Gated needs"
    ):
        check_request(kind(), STATION)


def test_values_assigned_to_a_procedure_are_converted_or_refused() -> None:
    sweep = IVSweep()
    sweep.maximum_bias = "1e-3"
    sweep.bias_points = [0, 1e-4, 2e-4, 3e-4]  # type: ignore[assignment]  # pymeasure's attributes hold the values
    check_request(sweep, STATION)
    assert (sweep.maximum_bias, sweep.bias_points) == (1e-3, (0.0, 1e-4, 2e-4, 3e-4))
    sweep.points = 12.5
    with pytest.raises(RequestError, match=r"IVSweep.points cannot be 12.5: it must be an integer from 10 to 2000000"):
        check_request(sweep, STATION)


def test_points_at_zero_bias_alone_are_measured(tmp_path: Path, bias: BiasLog) -> None:
    with dry_session(tmp_path, Watcher()) as session:
        run = session.run(BiasTrace())
    assert (run.status, run.rows) == ("done", 3)
    assert bias.left_at_zero
    assert not bias.moved


def test_a_list_of_points_that_is_refused_on_the_command_line_says_why(labnis: Commands) -> None:
    answer = labnis("run IVSweep --dry-run --set bias_points=0:nan:5")
    assert answer.code == 2
    assert answer.err == (
        "labnis: IVSweep.bias_points cannot be '0:nan:5': '0:nan:5': both ends of a segment are finite numbers\n"
    )


class GateMap(Measurement):
    """A map of an own lab: bias at each gate, without a duration."""

    SETPOINTS = ("Gate (V)", "Bias (V)")
    DATA_COLUMNS: ClassVar[list[str]] = ["Current (A)"]
    gates = SweepParameter("Gate", units="V", default="-1:1:5")
    biases = SweepParameter("Bias", units="V", default="-2e-3:2e-3:21")


def test_the_plan_has_a_statement_a_line_with_units_and_nothing_that_is_not_known() -> None:
    config = STATION.model_copy(update={"roles": STATION.roles | {"gate": STATION.roles["bias"]}})
    plan = planned_run(GateMap(), config, {}, 0.02)
    assert math.isnan(plan.duration)
    timed = type("Timed", (GateMap,), {"point_duration": lambda self: 0.05})
    there_and_back = 2e-3 + 5 * 4e-3 + 4 * 4e-3 + 2e-3
    assert planned_run(timed(), config, {}, 0.02).duration == pytest.approx(
        105 * 0.05 + there_and_back / STATION.limits.ramp_rate
    )
    assert plan.largest_step == pytest.approx(0.2e-3)  # not the way back at every gate
    plans = [plan, planned_run(IVSweep(), STATION, {}, 0.02)]
    lines = preflight_text(plans, config, ["bias"], simulated=True).splitlines()
    assert lines[:5] == [
        "GateMap",
        "  points 105",
        "  |bias| up to 2 mV",
        "  between two biases up to 200 µV",
        "  gate: -1 V to 1 V",
    ]
    assert sum(line.startswith("  simulated time: ") for line in lines) == 1
    assert "power in the device: not known, as this cooldown has no normal resistance yet" in lines
    assert not any("?" in line or len(line) > 80 for line in lines if "limits of" not in line)
    (known,) = [planned_run(IVSweep(), STATION, KNOWN, 0.02)]
    assert "  electrons at the largest bias: " in preflight_text([known], STATION, ["bias"], simulated=False)
