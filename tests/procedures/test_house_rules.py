"""What holds of every procedure that labnis ships, and of every one a lab adds to the package."""

import inspect
import math
from pathlib import Path

import pytest
from pymeasure.experiment import FloatParameter, Procedure

import procedures
from labnis.experiment.preflight import check_request
from labnis.experiment.recorder import declared_columns
from labnis.experiment.request import configured_calibration, configured_procedure, find_procedure, procedure_names
from labnis.station import load_station
from procedures.bias_sweep import BiasSweep
from tests.run.bench import ROOT

KINDS = [getattr(procedures, name) for name in procedure_names()]


def test_the_package_is_the_real_one_and_not_this_folder() -> None:
    assert Path(procedures.__file__).parent == ROOT / "procedures"
    assert set(procedure_names()) >= {"IVSweep", "ReflectionVsBias", "EmittedPowerVsBias"}


@pytest.mark.parametrize("kind", KINDS)
def test_documented_with_units_and_in_roles_that_the_station_fills(kind: type[BiasSweep]) -> None:
    assert issubclass(kind, Procedure)
    assert inspect.getdoc(kind)
    assert all(inspect.getdoc(getattr(kind, name)) for name in ("startup", "execute"))
    for name, parameter in kind().parameter_objects().items():
        assert parameter.is_set(), f"{name} has no default"
        if isinstance(parameter, FloatParameter):
            assert parameter.units, f"{name} has no unit"
            assert parameter.minimum > -1e9, f"{name} has no lower limit"
    for column in declared_columns(kind()):
        assert column.unit
        assert column.name.isidentifier()
    assert {*kind.REQUIRES, *kind.USES} <= {*load_station(ROOT / "station.yaml").roles, "current", "voltage"}


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_lie_within_the_shipped_limits_and_the_duration_is_known(kind: type[BiasSweep]) -> None:
    procedure = kind()
    check_request(procedure, load_station(ROOT / "station.yaml"))
    assert len(procedure.biases()) == procedure.points
    assert 0 < procedure.get_estimates() < math.inf


def test_the_time_to_go_follows_the_parameters() -> None:
    short = configured_procedure(find_procedure("EmittedPowerVsBias"), {"averages": "1"})
    long = configured_procedure(find_procedure("EmittedPowerVsBias"), {"averages": "100"})
    assert long.get_estimates() == pytest.approx(short.get_estimates() + 61 * 99 * 1.0)


@pytest.mark.parametrize("first", ["points", "IVSweep.points"])
def test_a_setting_for_one_step_counts_more_than_one_for_all(first: str) -> None:
    settings = {"points": "20", "IVSweep.points": "30"}
    ordered = {first: settings[first], **settings}
    assert [step.points for step in configured_calibration(ordered)] == [30, 20, 20]


def test_a_setting_reaches_every_step_that_knows_it_and_no_other() -> None:
    iv, reflection, power = configured_calibration({"averages": "3"})
    assert not hasattr(iv, "averages")
    assert (reflection.averages, power.averages) == (3, 3)
