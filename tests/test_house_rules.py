"""House rules over the whole tree, so that a new driver, procedure or module cannot forget them."""

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from qcodes.instrument import Instrument

import drivers
import labnis.fit
import labnis.physics
from drivers import roles
from labnis.station import load_station, open_station
from labnis.station.role_check import missing_members
from labnis.station.simulated import simulated_instruments
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


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


# --- packages and modules --------------------------------------------------------------------------------------------

DOORS = ("labnis.physics", "labnis.fit", "labnis.storage", "labnis.ledger", "labnis.station", "labnis.ui.monitor")
VAGUE = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}


def test_private_modules_are_imported_only_in_their_package() -> None:
    private = re.compile(rf"({'|'.join(map(re.escape, DOORS))})\._")
    offenders = [
        f"{source_id(path)}: {node.module}"
        for path in SOURCES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ImportFrom) and (found := private.match(node.module or ""))
        if ROOT / found[1].replace(".", "/") not in path.parents
    ]
    assert not offenders, "\n".join(offenders)


def faults_of_module(path: Path) -> Iterator[str]:
    tree = parsed(path)
    if not ast.get_docstring(tree):
        yield "no docstring"
    if len(path.read_text(encoding="utf-8").splitlines()) > 400:
        yield "longer than 400 lines: split it"
    if path.stem in VAGUE:
        yield "name the idea"
    assigned = {t.id for node in tree.body if isinstance(node, ast.Assign) for t in node.targets if hasattr(t, "id")}
    defines = any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in tree.body)
    # Programs are not imported; alembic reads migrations by the names that it prescribes.
    imported = path.stem != "__main__" and "migrations" not in path.relative_to(ROOT).parts
    if defines and imported and "__all__" not in assigned:
        yield "no __all__"


STARTS_PYTHON = {"import_path.py", "control.py"}
"""They leave the working folder out of the import path."""

IMPORTS_BY_NAME = {"labnis/__init__.py", "labnis/cli/__init__.py", "labnis/station/packages.py"}
"""The first two import from fixed lists, the third checks where a name comes from."""


def unsafe_constructs(path: Path) -> Iterator[str]:
    for node in ast.walk(parsed(path)):
        match node:
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                imported = {alias.name for alias in names} | {getattr(node, "module", None)}
                if imported & {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "PickleType"}:
                    yield f"line {node.lineno}: unsafe format"
            case ast.Call(func=ast.Name(id="eval" | "exec" | "compile" | "__import__")):
                yield f"line {node.lineno}: executes text"
            case ast.Attribute(attr="read_pickle" | "to_pickle" | "read_hdf" | "unsafe_load" | "full_load"):
                yield f"line {node.lineno}: unsafe format"
            case ast.keyword(arg="allow_pickle" | "invalid_netcdf", value=value):
                yield f"line {value.lineno}: objects in a file"
            case ast.Call(func=ast.Name(id="YAML"), keywords=keywords) if "typ" not in {k.arg for k in keywords}:
                yield f"line {node.lineno}: YAML without a type"
            case ast.Attribute(attr="open_dataset", value=ast.Name(id="xarray")):
                if "engine=" not in path.read_text(encoding="utf-8"):
                    yield f"line {node.lineno}: xarray tries every engine that is installed"
            case ast.Attribute(value=ast.Name(id="sys"), attr="executable") if path.name not in STARTS_PYTHON:
                yield f"line {node.lineno}: use labnis.import_path.python_program"
            case ast.Attribute(attr="import_module") | ast.Name(id="import_module") if (
                source_id(path) not in IMPORTS_BY_NAME
            ):
                yield f"line {node.lineno}: imports by name"


def unsafe_calls(path: Path) -> Iterator[str]:
    for node in ast.walk(parsed(path)):
        match node:
            case ast.keyword(arg="shell", value=value) if not (
                isinstance(value, ast.Constant) and value.value is False
            ):
                yield f"line {value.lineno}: shell"
            case ast.ExceptHandler(type=None):
                yield f"line {node.lineno}: bare except"


PRINTS = "labnis/ui/output.py"
"""The only module that prints: escaped, in every encoding, also where an output is full or closed."""

PROTOCOLS_ON_PIPES = {"labnis/storage/_recovery.py", "sim_instruments/server/sockets.py"}
"""Their standard output is read by the process that has started them."""


def prints(path: Path) -> Iterator[str]:
    if source_id(path) in {PRINTS, *PROTOCOLS_ON_PIPES}:
        return
    for node in ast.walk(parsed(path)):
        match node:
            case ast.Call(func=ast.Name(id="print" | "Console" as name)):
                yield f"line {node.lineno}: {name}(); use {PRINTS}"
            case ast.Attribute(attr="echo" | "secho" as name, value=ast.Name(id="typer" | "click")):
                yield f"line {node.lineno}: {name}; use {PRINTS}"
            case ast.Attribute(attr="write", value=ast.Attribute(attr="stdout" | "stderr")):
                yield f"line {node.lineno}: writes to a standard stream; use {PRINTS}"


@pytest.mark.parametrize(
    "rule", [faults_of_module, unsafe_constructs, unsafe_calls, prints], ids=lambda rule: rule.__name__
)
def test_every_module_keeps_the_rule(rule: Callable[[Path], Iterator[str]]) -> None:
    offenders = [f"{source_id(path)}: {fault}" for path in SOURCES for fault in rule(path)]
    assert not offenders, "\n".join(offenders)


def test_every_function_in_the_table_of_one_bias_value_exists() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `([\w/]+\.py)` \| `(?:(\w+)\.)?(\w+)` \|", text, re.MULTILINE)
    assert len(named) > 10
    offenders = []
    for name, owner, function in named:
        (path,) = (folder / name for folder in (ROOT, ROOT / "labnis") if (folder / name).exists())
        classes = [node for node in parsed(path).body if isinstance(node, ast.ClassDef) and node.name == owner]
        defined = (classes[0] if classes else parsed(path)).body if bool(classes) == bool(owner) else []
        if not any(isinstance(node, ast.FunctionDef) and node.name == function for node in defined):
            offenders.append(f"{name}: {owner or 'module'} has no {function}")
    assert not offenders, "\n".join(offenders)


# --- drivers ---------------------------------------------------------------------------------------------------------

BASES = {
    "acquiring",
    "answers",
    "bounded_read",
    "copper_mountain",
    "keithley_24xx",
    "keithley_2600b_channel",
    "keithley_language",
    "keithley_ramp",
    "keysight_344xx",
    "keysight_pna",
    "trace_analyzer",
    "lakeshore",
    "lakeshore_bridge",
    "line",
    "multimeter",
    "network_analyzer",
    "noise_analyzer",
    "qdac2_channel",
    "rohde_schwarz_spectrum",
    "scpi",
    "scpi_source",
    "sr86x",
    "srs_lockin",
    "thermometry",
    "tsp",
    "unchanged_opening",
    "unswitched_output",
    "web_line",
}


def instruments_of(name: str) -> list[type[Instrument]]:
    """Instrument classes that a module in `drivers` exports."""
    module = importlib.import_module(f"drivers.{name}")
    exported = [getattr(module, name) for name in getattr(module, "__all__", ())]
    return [thing for thing in exported if inspect.isclass(thing) and issubclass(thing, Instrument)]


MODULES = [found.name for found in pkgutil.iter_modules(drivers.__path__) if found.name not in BASES]
DRIVERS = [name for name in MODULES if instruments_of(name)]


def test_every_driver_module_has_one_documented_instrument_that_is_used_or_tested_by_itself() -> None:
    used = {entry["type"] for entry in load_station(ROOT / "station.yaml").instruments.values()}
    offenders = []
    for name in DRIVERS:
        found = instruments_of(name)
        tested = (ROOT / f"tests/drivers/test_{name}_driver.py").is_file()
        own = [kind for kind in found if (tested or f"drivers.{name}.{kind.__name__}" in used) and kind.__doc__]
        if len(found) != 1 or own != found:
            offenders.append(f"drivers.{name}: {found}")
    assert not offenders, "\n".join(offenders)


def test_every_driver_fills_exactly_one_role_with_the_arguments_that_the_role_gives() -> None:
    config = load_station(ROOT / "station.yaml")
    simulated = {"wiring": config.wiring_record(), "instruments": simulated_instruments(config)}
    with open_twin(SHIPPED_TRUTH, seed=1, **simulated) as twin, open_station(config, twin=twin) as station:
        station.open(INSTRUMENT_ROLES)
        for name, role in INSTRUMENT_ROLES.items():
            player = station.source if name == "bias" else getattr(station.roles, name)
            player = getattr(player, "_player", player)  # within the checks of the role
            assert [r for r in INSTRUMENT_ROLES.values() if not missing_members(player, r)] == [role], type(player)


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


def test_physics_names_its_units() -> None:
    offenders = [name for name, docstring in public_physics() if not UNIT.search(docstring)]
    assert not offenders, "without the unit of the result, or the kind of a pure number: " + ", ".join(offenders)
