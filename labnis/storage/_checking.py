"""Integrity check of an HDF5 file, made in a child process, as a damaged file can hang or crash the HDF5 library.

As a program (`python -m labnis.storage._checking SECONDS FILE [REFERENCE]`) it reads everything in the file, compares
it with the reference, which was rebuilt from the journal, and prints an IntegrityReport as JSON.
"""

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from labnis.import_path import python_program
from labnis.storage._columns import layout_to_plain
from labnis.storage._events import load_events
from labnis.storage._hdf5 import read_described, read_fit, read_layout, row_count
from labnis.storage._links import check_links
from labnis.storage._metadata import CHANGING, from_attributes, read_attributes
from labnis.storage.errors import DAMAGE, RunFileError

__all__ = ["IntegrityReport", "check", "examine"]

# Processor time after which the child counts as hanging, plus the time for the file's size.
_SECONDS = 2.0
_BYTES_PER_SECOND = 100e6
# Memory limit of the child: a damaged file can make HDF5 ask for any amount.
_MEMORY_BYTES = 8 << 30
# Windows has neither the signal nor the limit that sends it.
_SIGXCPU = getattr(signal, "SIGXCPU", 0)
_SLICE_BYTES = 16 << 20


@dataclass(frozen=True)
class IntegrityReport:
    """Result of the check of a file.

    Attributes
    ----------
    problem
        Why the file is damaged; empty if it is whole.
    has_more
        Whether the file has rows, events or fits that the reference lacks.

    """

    problem: str
    has_more: bool = False


class _DamagedError(Exception):
    """The file can be read, but its content is wrong."""


def check(path: Path, reference: Path | None = None, *, patience: int = 2) -> IntegrityReport:
    """Examine the run at `path` in a child process; ends within seconds whatever the file contains.

    Parameters
    ----------
    path
        The HDF5 file.
    reference
        File that was rebuilt from the run's journal. What both have must be the same, value by value.
    patience
        Limit of the elapsed time, as a multiple of the limit of processor time: on a busy computer the child waits for
        a processor. On Windows it is the only limit.

    """
    files = [path.resolve(), *([reference] if reference is not None else [])]
    seconds = math.ceil(_SECONDS + sum(file.stat().st_size for file in files) / _BYTES_PER_SECOND)
    source = str(Path(__file__).resolve().parents[2])
    search = os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH"))))
    try:
        child = subprocess.run(  # noqa: S603  # this Python, no shell
            python_program("labnis.storage._checking", str(seconds), *map(str, files)),
            capture_output=True,
            text=True,
            timeout=patience * seconds,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": search},
        )
    except subprocess.TimeoutExpired:
        return IntegrityReport(f"it could not be read to its end within {patience * seconds} s")
    if child.returncode < 0 and child.returncode == -_SIGXCPU:
        return IntegrityReport(f"it could not be read to its end in {seconds} s")
    if child.returncode < 0:
        return IntegrityReport(f"it crashes the HDF5 library (signal {-child.returncode})")
    if child.returncode > 0:
        return IntegrityReport(f"reading it fails: {(child.stderr.strip().splitlines() or ['no message'])[-1]}")
    return IntegrityReport(**json.loads(child.stdout))


def examine(path: Path, reference: Path | None = None) -> IntegrityReport:
    """Read everything in the file and compare it with the reference, in this process."""
    import xarray  # noqa: PLC0415  # imports pandas; readers of other runs do not need it

    try:
        with h5py.File(path, "r") as file:
            check_links(file)
            rows, events, fits = _contents(file)
            from_attributes(read_attributes(file))
            # Without values: whether xarray understands units, dimensions and scales.
            with xarray.open_dataset(path, group="data", engine="h5netcdf", decode_cf=False):
                pass
            if reference is None:
                _check_values(file["data"], file["data"])
                return IntegrityReport("")
            with h5py.File(reference, "r") as rebuilt:
                _check_descriptions(file, rebuilt)
                _check_values(file["data"], rebuilt["data"])
                known_rows, known_events, known_fits = _contents(rebuilt)
            has_more = rows > known_rows or events > known_events or not fits <= known_fits
            return IntegrityReport("", has_more)
    except (_DamagedError, RunFileError) as error:
        return IntegrityReport(str(error))
    except DAMAGE as error:
        return IntegrityReport(f"{type(error).__name__}: {error}")


def _contents(file: Any) -> tuple[int, int, set[str]]:
    """Number of rows, number of events, names of the fits, all of which can be read."""
    fits = {name: read_fit(group) for name, group in file["fit"].items()}
    return _count_rows(file), sum(event.count for event in load_events(file)), set(fits)


def _count_rows(file: Any) -> int:
    """Number of rows, the same in every column."""
    data = file["data"]
    rows = row_count(file)
    for name in (str(name) for name in data.attrs["columns"]):
        found = len(data[name]) if name in data else 0
        if found != rows:
            raise _DamagedError(f"column {name!r} has {found} rows, the run has {rows}")
    return rows


def _check_descriptions(file: Any, rebuilt: Any) -> None:
    if layout_to_plain(read_layout(file)) != layout_to_plain(read_layout(rebuilt)):
        raise _DamagedError("the description of the columns is not that of the journal")
    for key, value in rebuilt.attrs.items():
        if key not in CHANGING and not np.array_equal(file.attrs.get(key), value):
            raise _DamagedError(f"attribute {key!r} is not that of the journal")
    for name in file["data"].keys() & rebuilt["data"].keys():
        if read_described(file["data"][name]) != read_described(rebuilt["data"][name]):
            raise _DamagedError(f"column {name!r}: units or long name are not those of the journal")


def _check_values(data: Any, reference: Any) -> None:
    """Read every value of every axis and column, and compare those that the reference has, too."""
    for name, dataset in data.items():
        expected = reference.get(name, dataset)
        if (dataset.dtype, dataset.maxshape) != (expected.dtype, expected.maxshape):
            raise _DamagedError(f"column {name!r}: type or shape is not that of the journal")
        step = max(1, _SLICE_BYTES // max(1, dataset.dtype.itemsize * math.prod(dataset.shape[1:])))
        for first in range(0, len(dataset), step):
            found, wanted = dataset[first : first + step], expected[first : first + step]
            common = min(len(found), len(wanted))
            # As bytes: NaN is a value.
            if found[:common].tobytes() != wanted[:common].tobytes():
                rows = f"rows {first} to {first + common - 1}"
                raise _DamagedError(f"column {name!r}, {rows}: not the values of the journal")


def main() -> None:
    """Check the file within the seconds given on the command line."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource  # noqa: PLC0415  # not on Windows

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[1]), int(sys.argv[1]) + 1))
    sys.stdout.write(json.dumps(asdict(examine(*map(Path, sys.argv[2:])))))
    sys.stdout.flush()
    # Skip the clean-up of a library that has read a damaged file.
    os._exit(0)


if __name__ == "__main__":
    main()
