"""The procedures that the packages of a station file declare, found in their text.

Importing a module runs it, and a package may contain scripts. So only modules that declare a procedure are imported,
and only to use it.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import procedures
from labnis.station import StationConfig
from labnis.station.packages import package_modules

__all__ = ["lab_procedures"]


def lab_procedures(config: StationConfig) -> list[str]:
    """Dotted paths of the procedures in the packages of the station file: classes derived from a procedure."""
    classes = [found for name in config.packages for found in _classes(config.path.parent, name)]
    known = {"Procedure", *procedures.__all__}
    while new := {name for _, name, bases in classes if bases & known} - known:
        known |= new
    return sorted(f"{module}.{name}" for module, name, bases in classes if bases & known and not name.startswith("_"))


def _classes(folder: Path, package: str) -> Iterator[tuple[str, str, set[str]]]:
    """Module, name and names of the bases of each class of a package; a file that is no Python has none."""
    for file, tree in package_modules(folder, package):
        if isinstance(tree, SyntaxError):
            continue
        parts = file.relative_to(folder).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                yield module, node.name, {ast.unparse(base).rpartition(".")[2] for base in node.bases}
