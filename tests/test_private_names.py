"""labnis uses only public names of its dependencies: private ones change without notice."""

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGES = ("labnis", "drivers", "procedures", "sim_instruments")
OURS = (*PACKAGES, "pyvisa_labnis")
FOLDER = Path(__file__).parents[1]
DOCUMENTED = {"_asdict", "_exit", "_init", "_replace"}
"""Public in spite of their underscore: methods of named tuples, `os._exit`, and the method that PyVISA's documentation
tells a VISA library to override."""
MIGRATIONS = "labnis.ledger.migrations."
"""Only alembic can import them, and they define no class."""
SOURCES = [FOLDER / "pyvisa_labnis.py", *(path for name in PACKAGES for path in sorted((FOLDER / name).rglob("*.py")))]


def private(name: str) -> bool:
    return name.startswith("_") and name != "_" and not name.startswith("__") and name not in DOCUMENTED


def ours(module: str) -> bool:
    return module.partition(".")[0] in OURS


def private_imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Private modules, and private names of modules, that are not labnis's own."""
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(level=0, module=str(module)) if not ours(module):
                dotted = [f"{module}.{alias.name}" for alias in node.names]
            case ast.Import():
                dotted = [alias.name for alias in node.names if not ours(alias.name)]
            case _:
                continue
        yield from ((node.lineno, name) for name in dotted if any(private(part) for part in name.split(".")))


def private_attributes(tree: ast.AST) -> Iterator[tuple[int, str, str]]:
    """Line, object and name of every private attribute that is read, written, overridden or asked for by its text."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) if private(name):
                yield node.lineno, ast.unparse(node.value), name
            case ast.Call(func=ast.Name("getattr" | "setattr" | "hasattr"), args=[owner, ast.Constant(str(name)), *_]):
                if private(name):
                    yield node.lineno, ast.unparse(owner), name


def bound_names(tree: ast.AST) -> Iterator[str]:
    """Names that a piece of source binds: functions, classes, variables, fields, attributes of `self` and `cls`."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Attribute(value=ast.Name("self" | "cls"), attr=name, ctx=ast.Store()):
                yield name


@cache
def classes_of(path: str) -> dict[str, ast.ClassDef]:
    """Classes at the top of a file, by name."""
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


@cache
def names_bound_by(kind: type) -> frozenset[str]:
    """Private names that a class's source gives to itself and to its instances; none where it is written in C."""
    try:
        source = classes_of(inspect.getfile(kind)).get(kind.__name__)
    except (OSError, TypeError):
        return frozenset()
    return frozenset(filter(private, bound_names(source))) if source else frozenset()


def test_no_private_names_of_dependencies_are_imported_or_asked_for() -> None:
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}
    own = {name for tree in trees.values() for name in bound_names(tree)}
    offenders = []
    for path, tree in trees.items():
        where = path.relative_to(FOLDER)
        offenders += [f"{where}:{line}: import of {name}" for line, name in private_imports(tree)]
        offenders += [
            f"{where}:{line}: {owner}.{name}" for line, owner, name in private_attributes(tree) if name not in own
        ]
    assert not offenders, "\n".join(offenders)


def test_no_class_uses_private_names_of_its_foreign_base_classes() -> None:
    modules = [importlib.import_module("pyvisa_labnis")]
    for package in PACKAGES:
        root = importlib.import_module(package)
        modules.append(root)
        modules += [
            importlib.import_module(found.name)
            for found in pkgutil.walk_packages(root.__path__, f"{package}.")
            if not found.name.endswith("__main__") and not found.name.startswith(MIGRATIONS)
        ]
    offenders = []
    for module in modules:
        for kind in vars(module).values():
            if not isinstance(kind, type) or kind.__module__ != module.__name__:
                continue
            foreign = [base for base in kind.__mro__ if not ours(base.__module__) and base is not object]
            source = classes_of(inspect.getfile(kind))[kind.__name__]
            used = {name for _, owner, name in private_attributes(source) if owner in ("self", "cls", "super()")}
            used |= names_bound_by(kind)
            offenders += [
                f"{kind.__module__}.{kind.__qualname__}: {name} of {base.__module__}.{base.__qualname__}"
                for base in foreign
                for name in sorted(used & names_bound_by(base))
            ]
    assert not offenders, "\n".join(offenders)
