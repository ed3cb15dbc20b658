"""A measurement's grid: which points, in which order, with which rows."""

from typing import Any, ClassVar

import numpy as np
import pytest
from pymeasure.experiment import FloatParameter

from procedures import IVSweep, Measurement, SweepParameter
from procedures.parameter_values import ProcedureError


class GateMap(Measurement):
    """Two set-points, one reading, one trace."""

    SETPOINTS: ClassVar[tuple[str, ...]] = ("Gate (V)", "Bias (V)")
    DATA_COLUMNS: ClassVar[list[str]] = ["Current (A)"]
    TRACES: ClassVar[dict[str, tuple[str, type]]] = {"Spectrum (W/Hz)": ("Frequency (Hz)", float)}

    gates = SweepParameter("Gate", units="V", default="0:1:2")
    biases = SweepParameter("Bias", units="V", default="-1e-3:1e-3:3")

    def execute(self) -> None:
        for gate, bias in self.sweep():
            self.record(gate * bias, [gate, bias])


class Emitted:
    """What a procedure emits, as a Worker would see it."""

    def __init__(self, procedure: Measurement, *, stop_after: int = 10**9) -> None:
        self.records: list[tuple[str, Any]] = []
        procedure.emit = lambda topic, record: self.records.append((topic, record))
        procedure.should_stop = lambda: len(self.of("results")) >= stop_after

    def of(self, topic: str) -> list[Any]:
        return [record for found, record in self.records if found == topic]


def test_a_grid_is_measured_from_the_innermost_set_point_out() -> None:
    procedure = GateMap()
    emitted = Emitted(procedure)
    procedure.execute()
    assert procedure.DATA_COLUMNS == ["Gate (V)", "Bias (V)", "Current (A)"]
    rows = [(row["Gate (V)"], row["Bias (V)"], row["Current (A)"]) for row in emitted.of("results")]
    assert rows == [(0, -1e-3, 0), (0, 0, 0), (0, 1e-3, 0), (1, -1e-3, -1e-3), (1, 0, 0), (1, 1e-3, 1e-3)]
    assert emitted.of("point") == [0, 1, 2, 3, 4, 5]
    assert emitted.of("trace")[3] == {"Spectrum (W/Hz)": [1.0, -1e-3]}
    assert emitted.of("progress")[-1] == pytest.approx(100)


def test_it_begins_where_a_run_is_resumed_and_ends_where_it_is_to_stop() -> None:
    procedure = GateMap()
    procedure.first_point = 2
    emitted = Emitted(procedure, stop_after=3)
    procedure.execute()
    assert emitted.of("point") == [2, 3, 4]


def test_another_number_of_readings_than_columns_is_refused() -> None:
    procedure = GateMap()
    Emitted(procedure)
    for _ in procedure.sweep():
        with pytest.raises(ValueError, match=r"records 1 values where its columns are Current \(A\), Spectrum"):
            procedure.record(1.0)


def test_a_set_point_without_its_parameter_is_named() -> None:
    class Nameless(GateMap):
        SETPOINTS: ClassVar[tuple[str, ...]] = ("Field (T)",)

    with pytest.raises(
        ProcedureError, match=r"Nameless: the set-point 'Field \(T\)' has no SweepParameter .* Bias \(V\), Gate \(V\)"
    ):
        Nameless().setpoints()


def test_a_subclass_has_its_own_set_points_and_not_those_of_its_parent() -> None:
    class GateTrace(GateMap):
        SETPOINTS: ClassVar[tuple[str, ...]] = ("Gate (V)",)

    class Extended(GateMap):
        SETPOINTS: ClassVar[tuple[str, ...]] = ("Gate (V)",)
        DATA_COLUMNS: ClassVar[list[str]] = [*GateMap.DATA_COLUMNS, "Lockin X (V)"]

    class WithReadBias(GateMap):
        SETPOINTS: ClassVar[tuple[str, ...]] = ("Gate (V)",)
        DATA_COLUMNS: ClassVar[list[str]] = ["Bias (V)", "Current (A)"]

    assert GateTrace.DATA_COLUMNS == ["Gate (V)", "Current (A)"]
    assert Extended.DATA_COLUMNS == ["Gate (V)", "Current (A)", "Lockin X (V)"]
    assert WithReadBias.DATA_COLUMNS == ["Gate (V)", "Bias (V)", "Current (A)"]


@pytest.mark.parametrize("name", ["REQUIRES", "USES", "SETPOINTS", "DATA_COLUMNS", "ANALYSES"])
def test_a_text_in_place_of_a_tuple_is_refused(name: str) -> None:
    with pytest.raises(
        ProcedureError, match=rf"Careless.{name} is the text 'bias'; write a tuple: {name} = \('bias',\)"
    ):
        type("Careless", (GateMap,), {name: "bias"})


class Weighted(GateMap):
    """One parameter of each kind."""

    weight = FloatParameter("Weight", units="kg", minimum=0.0)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"gates": None}, "Weighted.gates cannot be None: it has no value"),
        ({"gates": 0.5}, "Weighted.gates cannot be 0.5: a text start:stop:points or a sequence of numbers is needed"),
        ({"gates": "0:1"}, "Weighted.gates cannot be '0:1': '0:1' is neither a segment"),
        ({"weight": float("nan")}, "Weighted.weight cannot be nan: it must be a number from 0 to 1e.09 kg"),
        ({"weight": -1.0}, "Weighted.weight cannot be -1.0: it must be a number from 0 to 1e.09 kg"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_with_the_name_of_its_parameter(
    settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(ProcedureError, match=said):
        Weighted(**settings)


def test_no_number_is_rounded_to_an_integer() -> None:
    assert IVSweep(points=np.float64(12)).points == 12
    with pytest.raises(ProcedureError, match=r"IVSweep.points cannot be 12.5: it must be an integer from 10"):
        IVSweep(points=12.5)


@pytest.mark.parametrize("repeats", [1, 3])
def test_up_down_goes_there_and_back_in_every_pass(repeats: int) -> None:
    sweep = IVSweep(points=11, direction="up-down", repeats=repeats)
    Emitted(sweep)
    outer = ("Repeat (1)",) if repeats > 1 else ()
    assert tuple(sweep.setpoints()) == (*outer, "Direction (1)", "Bias (V)")
    biases = [point[-1] for point in sweep.sweep()]
    there = np.linspace(-1.2e-3, 1.2e-3, 11)
    np.testing.assert_array_equal(biases, np.tile(np.concatenate([there, there[::-1]]), repeats))
    directions = [point[-2] for point in sweep.sweep()]
    np.testing.assert_array_equal(directions, np.tile(np.repeat([1.0, -1.0], 11), repeats))
    assert sorted(sweep.order_of_points()) == list(range(22 * repeats))


def test_down_is_the_grid_the_other_way_round() -> None:
    sweep = IVSweep(points=11, direction="down")
    Emitted(sweep)
    assert tuple(sweep.setpoints()) == ("Bias (V)",)
    np.testing.assert_array_equal([bias for (bias,) in sweep.sweep()], IVSweep(points=11).biases()[::-1])


def test_listed_points_replace_even_steps() -> None:
    sweep = IVSweep(bias_points="-1e-3:-4e-4:4,-3e-4:3e-4:31,4e-4:1e-3:4")
    assert sweep.biases().size == 39
    assert sweep.largest_bias() == 1e-3
    assert sweep.get_estimates() == pytest.approx(39 * sweep.point_duration())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"order": "information", "direction": "down"}, "direction and repeats have no meaning"),
        ({"order": "information", "repeats": 2}, "direction and repeats have no meaning"),
        ({"bias_points": "0,1e-3"}, "bias_points has 2 points; at least 4"),
        ({"bias_points": "0,0,0,0"}, "all bias points are at 0 V"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(settings: dict[str, Any], said: str) -> None:
    assert said in IVSweep(**settings).refusal()
