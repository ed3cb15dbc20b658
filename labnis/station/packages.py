"""A lab's own packages: `labnis: packages: [mylab]` names importable packages beside the station file.

An import finder finds the listed names only. Neither the station's folder nor the working folder is added to
`sys.path`, so that no other file there is ever imported. A class that is named in a file, such as the procedure of a
run that is resumed, is imported only from these packages and from labnis's own procedures and analyses.
"""

import ast
import difflib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from labnis.errors import ConfigurationError

__all__ = ["import_named_in_file", "import_object", "package_modules", "refusal_of", "syntax_errors", "use_packages"]

OURS = ("drivers", "labnis", "procedures", "pyvisa_labnis", "sim_instruments")

NAMED_IN_FILES = ("procedures", "labnis.fit")
"""Packages whose classes any file may name. Other modules of labnis run programs when they are imported."""


class _LabFinder(MetaPathFinder):
    """Finds the listed packages of each station file in use, each in the folder of its file."""

    def __init__(self) -> None:
        self.folders: dict[str, Path] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if path is not None or fullname not in self.folders:  # submodules are found in their package's folder
            return None
        return PathFinder.find_spec(fullname, [str(self.folders[fullname])], target)


_FINDER = _LabFinder()


def refusal_of(name: str, folder: Path) -> str:
    """Why `name` cannot be a package beside the station file in `folder`; empty if it can."""
    if not name.isidentifier():
        return f"found {name!r}; the name of a package is made of letters, digits and _"
    if name in sys.stdlib_module_names or name in sys.builtin_module_names or name in OURS:
        return f"found {name!r}, which is the name of a package of Python or of labnis; choose another one"
    if not any((folder / found).exists() for found in (f"{name}/__init__.py", f"{name}.py")):
        return f"no package {name!r} in {folder}; it needs {name}/__init__.py"
    # Without this module's finder, which would find the lab's package itself. The folder may be the working folder.
    elsewhere = PathFinder.find_spec(name, [path for path in sys.path if Path(path or ".").resolve() != folder])
    if elsewhere is not None:
        return f"found {name!r}, which is the name of an installed package ({elsewhere.origin}); choose another one"
    return ""


def use_packages(names: Sequence[str], folder: Path) -> None:
    """Make `names` importable from `folder`; modules of another folder's package of that name are removed."""
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)
    for name in names:
        known = sys.modules.get(name)
        found = Path(getattr(known, "__file__", None) or ".").resolve()
        if known is not None and found not in (folder / name / "__init__.py", folder / f"{name}.py"):
            for module in [module for module in sys.modules if module == name or module.startswith(f"{name}.")]:
                del sys.modules[module]
        _FINDER.folders[name] = folder


def import_named_in_file(dotted: str) -> Any:
    """The object that a run file, a VISA record or a queue names by its dotted path.

    Its module is one of `procedures` or `labnis.fit`, or of a package of the station files in use, or has been imported
    by the user's own program already. No other module is imported: importing runs it.

    Raises
    ------
    ConfigurationError
        It is in another module; or as `import_object`.

    """
    module = dotted.rpartition(".")[0]
    allowed = (*NAMED_IN_FILES, *_FINDER.folders)
    if not all(map(str.isidentifier, dotted.split("."))):
        raise ConfigurationError("that is no dotted path of a class, such as mylab.maps.GateMap")
    if not dotted.startswith(tuple(f"{name}." for name in allowed)) and module not in sys.modules:
        raise ConfigurationError(
            f"its name is from a file, and files may name classes of {', '.join(allowed)} only; "
            "list its package in the station file (labnis.packages), or import it first in a script"
        )
    return import_object(dotted)


def import_object(dotted: str) -> Any:
    """The object with this dotted path, such as `mylab.maps.GateMap`.

    Raises
    ------
    ConfigurationError
        The message has file and line of an error in the module, or what it lacks.

    """
    module, _, name = dotted.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except AttributeError as error:
        if module in sys.modules and not hasattr(sys.modules[module], name):
            raise ConfigurationError(f"module {module} has no class {name}{_classes_of(module, name)}") from error
        raise ConfigurationError(_told(module, error)) from error
    except Exception as error:  # importing a lab's module may fail in any way
        raise ConfigurationError(_told(module, error)) from error


def _classes_of(module: str, name: str) -> str:
    """Half a sentence on the public classes of `module`, those with names like `name` first."""
    own = [
        key
        for key, kind in vars(sys.modules[module]).items()
        if isinstance(kind, type) and kind.__module__.startswith(module) and not key.startswith("_")
    ]
    near = difflib.get_close_matches(name, own, n=3)
    shown = [*near, *(key for key in own if key not in near)]
    return f"; it has {', '.join(shown[:10])}{', …' * (len(shown) > 10)}" if shown else ""


def package_modules(folder: Path, package: str) -> Iterator[tuple[Path, ast.Module | SyntaxError]]:
    """Each Python file of a lab's `package` in `folder`, and what is in it, or why it is no Python; nothing is run."""
    for file in sorted((folder / package).rglob("*.py")) or [folder / f"{package}.py"]:
        try:
            yield file, ast.parse(file.read_bytes(), filename=str(file))
        except (SyntaxError, ValueError) as error:  # ValueError: null bytes
            yield file, error if isinstance(error, SyntaxError) else SyntaxError(str(error))
        except OSError:  # told, with the name of the package, by what imports it
            continue


def syntax_errors(folder: Path, packages: Sequence[str]) -> Iterator[str]:
    """File, line and reason of each file of the `packages` in `folder` that is no Python."""
    for package in packages:
        for file, found in package_modules(folder, package):
            if isinstance(found, SyntaxError):
                yield f"{file}, line {found.lineno or 1}: {found.msg}"


def _told(module: str, error: Exception) -> str:
    """Sentence with file, line and reason of a failed import of `module`."""
    if isinstance(error, SyntaxError):
        return f"{module} cannot be imported: {error.filename}, line {error.lineno}: {error.msg}"
    reason = f"{type(error).__name__}: {error}" if not isinstance(error, ImportError) else str(error)
    folders = {str(folder) for folder in _FINDER.folders.values()}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if any(frame.filename.startswith(folder) for folder in folders):
            return f"{module} cannot be imported: {frame.filename}, line {frame.lineno}: {reason}"
    return (
        f"{module} cannot be imported: {reason}; install it, correct the name, or list its package in the station file "
        "(labnis.packages)"
    )
