"""House rules over the whole tree, so that a new driver, procedure or module cannot forget them."""

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymeasure.experiment import FloatParameter, IntegerParameter, ListParameter, Procedure
from qcodes.instrument import Instrument

import drivers
import labnis.fit
import labnis.physics
import procedures
from drivers import roles
from labnis.experiment.request import procedure_names
from labnis.station import load_station, open_station
from labnis.station.role_check import missing_members
from procedures import SweepParameter
from sim_instruments import SHIPPED_TRUTH, open_twin

ROOT = Path(__file__).parents[1]
SHIPPED = ("labnis", "drivers", "procedures", "sim_instruments")
SOURCES = sorted(
    [
        path
        for package in SHIPPED
        for path in (ROOT / package).rglob("*.py")
        if "lab_template" not in path.parts  # files of a lab's folder, by its own rules
    ]
    + [ROOT / "pyvisa_labnis.py"]
)
INSTRUMENT_ROLES = {
    "bias": roles.BiasSource,
    "lockin": roles.LockIn,
    "analyzer": roles.SpectrumAnalyzer,
    "vna": roles.VectorNetworkAnalyzer,
    "fridge": roles.Thermometer,
}


def source_id(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


# --- packages and modules --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", ["labnis.physics", "labnis.fit", "labnis.storage", "labnis.ledger", "labnis.station"])
def test_nobody_goes_round_a_public_door(door: str) -> None:
    room = ROOT / door.replace(".", "/")
    entered = [
        f"{source_id(path)}: {node.module}"
        for path in SOURCES
        if room not in path.parents
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ImportFrom) and re.match(rf"{re.escape(door)}\._", node.module or "")
    ]
    assert not entered, "private modules imported from outside their package"


@pytest.mark.parametrize("path", SOURCES, ids=source_id)
def test_module_is_documented_bounded_and_says_what_it_exports(path: Path) -> None:
    tree = parsed(path)
    docstring = ast.get_docstring(tree) or ""
    assert docstring, "a module says what it is for"
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, "split it"
    assert path.stem not in {"utils", "util", "helpers", "helper", "manager", "common", "misc"}, "name the idea"
    assigned = {t.id for node in tree.body if isinstance(node, ast.Assign) for t in node.targets if hasattr(t, "id")}
    defines = any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in tree.body)
    # Nobody imports a program; alembic reads migrations by the names that it prescribes.
    read_by_name = path.stem != "__main__" and "migrations" not in path.relative_to(ROOT).parts
    assert "__all__" in assigned or not (defines and read_by_name)


@pytest.mark.parametrize("path", SOURCES, ids=source_id)
def test_no_unsafe_construct(path: Path) -> None:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            assert not {"pickle", "dill", "shelve", "marshal"} & set(names), f"line {node.lineno}: unsafe format"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"eval", "exec"}, f"line {node.lineno}"
        if isinstance(node, ast.keyword) and node.arg == "shell":
            assert isinstance(node.value, ast.Constant) and node.value.value is False, f"line {node.value.lineno}"
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"line {node.lineno}: bare except"


# --- drivers ---------------------------------------------------------------------------------------------------------

BASES = {"scpi", "keysight_wire", "keithley_ramp"}


def instruments_of(name: str) -> list[type[Instrument]]:
    """Instrument classes that a module in `drivers` exports."""
    module = importlib.import_module(f"drivers.{name}")
    exported = [getattr(module, name) for name in getattr(module, "__all__", ())]
    return [thing for thing in exported if inspect.isclass(thing) and issubclass(thing, Instrument)]


MODULES = [found.name for found in pkgutil.iter_modules(drivers.__path__) if found.name not in BASES]
DRIVERS = [name for name in MODULES if instruments_of(name)]


@pytest.mark.parametrize("name", DRIVERS)
def test_driver_module_offers_one_documented_instrument(name: str) -> None:
    (instrument,) = instruments_of(name)
    assert instrument.__module__ == f"drivers.{name}"
    assert instrument.__doc__, "a driver says which instrument it is for"
    used = [entry["type"] for entry in load_station(ROOT / "station.yaml").instruments.values()]
    assert f"drivers.{name}.{instrument.__name__}" in used, "the test below finds drivers through station.yaml"


def test_every_driver_fills_exactly_one_role_with_the_arguments_that_the_role_gives() -> None:
    config = load_station(ROOT / "station.yaml")
    simulated = {"wiring": config.wiring_record(), "instruments": config.simulated_instruments()}
    with open_twin(SHIPPED_TRUTH, seed=1, **simulated) as twin, open_station(config, twin=twin) as station:
        station.open(INSTRUMENT_ROLES)
        for name, role in INSTRUMENT_ROLES.items():
            player = station.source if name == "bias" else getattr(station.roles, name)
            assert [r for r in INSTRUMENT_ROLES.values() if not missing_members(player, r)] == [role], type(player)


# --- procedures ------------------------------------------------------------------------------------------------------

PROCEDURES: list[type[Procedure]] = [getattr(procedures, name) for name in procedure_names()]


@pytest.mark.parametrize("kind", PROCEDURES, ids=lambda k: k.__name__)
def test_procedure_is_documented_and_its_parameters_have_units_and_limits(kind: type[Procedure]) -> None:
    assert kind.__doc__
    for name, parameter in kind().parameter_objects().items():
        assert parameter.name, f"{name}: how the user calls it"
        if isinstance(parameter, ListParameter):
            assert parameter.value in parameter.choices, f"{name}: default outside"
            continue
        if isinstance(parameter, FloatParameter | SweepParameter):
            assert parameter.units, f"{name}: a quantity has a unit"
        else:
            assert isinstance(parameter, IntegerParameter), f"{name}: a number is a quantity or a count"
            assert not parameter.units, f"{name}: a count has no unit"
        if isinstance(parameter, SweepParameter):
            assert parameter.value == (), f"{name}: a list of points replaces even steps where it is given"
            continue
        assert parameter.minimum is not None, f"{name}: too small is refused"
        assert parameter.minimum <= parameter.value <= (parameter.maximum or float("inf")), f"{name}: default outside"


@pytest.mark.parametrize("kind", PROCEDURES, ids=lambda k: k.__name__)
def test_procedure_columns_have_units_and_roles_exist(kind: type[Procedure]) -> None:
    columns = [*kind.DATA_COLUMNS, *kind.TRACES, *(axis for axis, _ in kind.TRACES.values())]
    assert all(re.fullmatch(r"[^()]+ \([^()]+\)", column) for column in columns), columns
    assert set(kind.SETPOINTS) <= set(kind.DATA_COLUMNS)
    assert kind.SIGNAL in columns
    assert kind.ANALYSES
    known = {"current", "voltage", *INSTRUMENT_ROLES}
    assert set(kind.REQUIRES) | set(kind.USES) <= known


# --- physics ---------------------------------------------------------------------------------------------------------

UNIT = re.compile(
    r"\((?:1|V|A|S|K|W|Hz|eV|ohm|1/s|rad/s|W/Hz|A/K|K/V|ohm/m|A per [^)]*)\)"
    r"|in eV|in [AW] per|units of|number|coefficient|Whether"
)


def public_physics() -> Iterator[tuple[str, str]]:
    for name in labnis.physics.__all__:
        thing = getattr(labnis.physics, name)
        if inspect.isfunction(thing):
            yield name, thing.__doc__ or ""
        if inspect.isclass(thing):
            methods = inspect.getmembers(thing, lambda m: inspect.isfunction(m) or isinstance(m, property))
            yield from ((f"{name}.{m}", f.__doc__ or "") for m, f in methods if not m.startswith("_"))


@pytest.mark.parametrize(("name", "docstring"), list(public_physics()), ids=[name for name, _ in public_physics()])
def test_physics_names_its_units(name: str, docstring: str) -> None:
    assert UNIT.search(docstring), f"{name}: in which unit is the result, or of which kind a pure number?"
