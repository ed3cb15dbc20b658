"""Rules for every procedure in the package `procedures`."""

import inspect
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pymeasure.experiment import FloatParameter, IntegerParameter, ListParameter

import procedures
from labnis.experiment.preflight import check_request
from labnis.experiment.recorder import declared_columns
from labnis.experiment.request import configured_calibration, configured_procedure, find_procedure, procedure_names
from labnis.station import load_station
from procedures import SweepParameter
from procedures.bias_sweep import BiasSweep
from tests.run.bench import ROOT

KINDS = [getattr(procedures, name) for name in procedure_names()]


def test_the_package_is_the_real_one_and_not_this_folder() -> None:
    assert Path(procedures.__file__).parent == ROOT / "procedures"
    assert set(procedure_names()) >= {"IVSweep", "ReflectionVsBias", "EmittedPowerVsBias"}


def faults_of_parameters(kind: type[BiasSweep]) -> Iterator[str]:
    for name, parameter in kind().parameter_objects().items():
        if not (parameter.is_set() and parameter.name):
            yield f"{name} has no default or no name for the user"
        if isinstance(parameter, ListParameter):
            continue
        quantity = isinstance(parameter, FloatParameter | SweepParameter)
        if quantity != bool(parameter.units) or not (quantity or isinstance(parameter, IntegerParameter)):
            yield f"{name}: a quantity has a unit, a count has none"
        if isinstance(parameter, SweepParameter):
            if parameter.name == "Bias" and parameter.value != ():
                yield f"{name}: a list of points replaces even steps only where it is given"
        elif parameter.minimum is None or parameter.minimum <= -1e9:
            yield f"{name} has no lower limit"
        elif not parameter.minimum <= parameter.value <= (parameter.maximum or math.inf):
            yield f"{name}: the default is outside the limits"


def faults_of_columns(kind: type[BiasSweep]) -> Iterator[str]:
    columns = [*kind.DATA_COLUMNS, *kind.TRACES, *(axis for axis, _ in kind.TRACES.values())]
    yield from (column for column in columns if not re.fullmatch(r"[^()]+ \([^()]+\)", column))
    yield from (column.name for column in declared_columns(kind()) if not (column.unit and column.name.isidentifier()))
    if not set(kind.SETPOINTS) <= set(kind.DATA_COLUMNS) or kind.SIGNAL not in columns:
        yield "SETPOINTS or SIGNAL are not among the columns"


def faults_of_declarations(kind: type[BiasSweep]) -> Iterator[str]:
    if not all(inspect.getdoc(thing) for thing in (kind, kind.startup, kind.execute)):
        yield "not documented"
    if not kind.ANALYSES:
        yield "no analysis"
    unknown = {*kind.REQUIRES, *kind.USES} - {*load_station(ROOT / "station.yaml").roles, "current", "voltage"}
    yield from (f"role {name} is not that of the shipped station" for name in unknown)


def faults_of_defaults(kind: type[BiasSweep]) -> Iterator[str]:
    procedure = kind()
    check_request(procedure, load_station(ROOT / "station.yaml"))
    if len(procedure.biases()) != procedure.points:
        yield "points"
    if not 0 < procedure.get_estimates() < math.inf:
        yield "the duration is not known"


@pytest.mark.parametrize(
    "rule",
    [faults_of_parameters, faults_of_columns, faults_of_declarations, faults_of_defaults],
    ids=lambda rule: rule.__name__,
)
def test_every_procedure_keeps_the_rule(rule: Callable[[type[BiasSweep]], Iterator[str]]) -> None:
    offenders = [f"{kind.__name__}: {fault}" for kind in KINDS for fault in rule(kind)]
    assert not offenders, "\n".join(offenders)


def test_the_time_to_go_follows_the_parameters() -> None:
    short = configured_procedure(find_procedure("EmittedPowerVsBias"), {"averages": "1"})
    long = configured_procedure(find_procedure("EmittedPowerVsBias"), {"averages": "100"})
    assert long.get_estimates() == pytest.approx(short.get_estimates() + 61 * 99 * 1.0)


@pytest.mark.parametrize("first", ["points", "IVSweep.points"])
def test_a_setting_for_one_step_counts_more_than_one_for_all(first: str) -> None:
    settings = {"points": "20", "IVSweep.points": "30"}
    ordered = {first: settings[first], **settings}
    assert [step.points for step in configured_calibration(ordered)] == [30, 20, 20]


def test_a_setting_reaches_every_step_that_has_it_and_no_other() -> None:
    iv, reflection, power = configured_calibration({"averages": "3"})
    assert not hasattr(iv, "averages")
    assert (reflection.averages, power.averages) == (3, 3)
