"""Later versions of the fits of a complete run: `/fit/NAME@2`, `@3`, … beside the one that was made with it."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labnis.storage._disk import replaced_file
from labnis.storage._hdf5 import check_fit, check_links, member, members, write_fit
from labnis.storage._journal import journal_path
from labnis.storage._reading import read_metadata
from labnis.storage.errors import RunFileError, RunInUseError

__all__ = ["add_fits", "newest_versions"]

_MARK = "@"


def add_fits(path: Path, fits: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Write `fits` by name beside those of the run, which stay; nothing is lost if the process is killed.

    The change is made in a copy, which then replaces the file. Only one process may do that at a time.

    Returns
    -------
    dict
        Name → name in the file.

    Raises
    ------
    RunInUseError
        The run is not complete: it is being written, or must be recovered first.
    RunFileError
        The file cannot be read or written; it is unchanged.
    LayoutError
        A fit cannot be stored.

    """
    if read_metadata(path)["status"] == "running" or journal_path(path).exists():
        raise RunInUseError(f"{path}: the run is not complete; wait for its end, or `labnis recover {path}`")
    for name, fit in fits.items():
        check_fit(name, fit)
    path = path.resolve()  # a link stays one
    with _alone(path), replaced_file(path) as file:
        check_links(file)
        known = members(member(file, "fit"))
        numbers = {name: max(number for _, number in _versions(known, name)) if name in known else 0 for name in fits}
        stored = {name: f"{name}{_MARK}{number + 1}" if number else name for name, number in numbers.items()}
        for name, fit in fits.items():
            write_fit(file, stored[name], fit)
    return stored


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time: a second copy of the file would replace the first one's."""
    mark = path.with_name(f"{path.name}.refit")
    try:
        mark.touch(exist_ok=False)
    except FileExistsError as error:
        raise RunInUseError(
            f"{path}: another process adds fits to it; if it was killed, remove {mark}. Nothing was changed."
        ) from error
    except OSError as error:
        raise RunFileError(f"{path}: cannot be written: {error.strerror or error}") from error
    try:
        yield
    finally:
        mark.unlink(missing_ok=True)


def newest_versions(names: Iterable[str]) -> dict[str, str]:
    """Name of a fit → the name of its newest version among the `names` in a file, in their order."""
    every = list(names)
    bases = [name for name in every if _split(name)[0] == name]
    return {base: max(_versions(every, base), key=lambda pair: pair[1])[0] for base in bases}


def _versions(names: Iterable[str], base: str) -> list[tuple[str, int]]:
    """All versions of a fit among the `names`, with their numbers."""
    return [(name, number) for name in names for own, number in [_split(name)] if own == base]


def _split(name: str) -> tuple[str, int]:
    """Name of the analysis, and the number of the version, which is 1 without one."""
    base, mark, number = name.rpartition(_MARK)
    return (base, int(number)) if mark and number.isdigit() and int(number) > 1 else (name, 1)
