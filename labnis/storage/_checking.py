"""Whether an HDF5 file is whole: asked of a process of its own, as a damaged file can hang or crash the HDF5 library.

Run as a program (`python -m labnis.storage._checking FILE SECONDS`) this reads everything in the file, compares it with
the journal beside it if there is one, and prints what it found as JSON.
"""

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray
from numpy.typing import NDArray

from labnis.storage._columns import layout_to_plain
from labnis.storage._events import load_events
from labnis.storage._journal import JournalReader, journal_path
from labnis.storage._layout import read_fit, read_layout
from labnis.storage._metadata import from_attributes
from labnis.storage._records import AxisValues, Change, Fit, Happening, Head, Record, Rows, coalesced, decoded

__all__ = ["DAMAGE", "Finding", "check"]

# Processor time after which reading counts as hanging.
_SECONDS = 2.0
_BYTES_PER_SECOND = 100e6
# What a damaged file may make HDF5 ask for before it is refused.
_MEMORY_BYTES = 8 << 30
# Of the signals only POSIX has; Windows has neither it nor the limit that sends it.
_SIGXCPU = getattr(signal, "SIGXCPU", 0)
_SLICE_BYTES = 16 << 20
# Attributes that a recovery sets, which may itself be cut short before it removes the journal.
_CHANGED_BY_RECOVERY = ("status", "reason")

# What h5py, h5netcdf and the parsing of attributes raise on a damaged file.
DAMAGE = (OSError, KeyError, ValueError, RuntimeError, TypeError, IndexError, AttributeError, MemoryError)


@dataclass(frozen=True)
class Finding:
    """What the check of a file found.

    Attributes
    ----------
    problem
        Why the file is damaged; empty if it is whole.
    rows
        Rows in the file.
    events
        Events in the file.
    behind, ahead
        Whether the journal has something that the file lacks, and the other way round: a journal that is damaged.

    """

    problem: str
    rows: int = 0
    events: int = 0
    behind: bool = False
    ahead: bool = False


class _DamagedError(Exception):
    """The file can be read, and is not what it must be."""


def check(path: Path, *, patience: int = 2) -> Finding:
    """Examine the run at `path` in a process of its own; ends within seconds whatever the file holds.

    Parameters
    ----------
    path
        The HDF5 file.
    patience
        How many times longer than its processor time it may take by the clock, which also runs while a busy machine
        has no processor for it, and which is all there is on Windows.

    """
    seconds = math.ceil(_SECONDS + path.stat().st_size / _BYTES_PER_SECOND)
    source = str(Path(__file__).resolve().parents[2])
    search = os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH"))))
    try:
        child = subprocess.run(  # noqa: S603  # this very Python, no shell
            [sys.executable, "-m", "labnis.storage._checking", str(path.resolve()), str(seconds)],
            capture_output=True,
            text=True,
            timeout=patience * seconds,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": search},
        )
    except subprocess.TimeoutExpired:
        return Finding(f"it could not be read to its end within {patience * seconds} s")
    if child.returncode < 0 and child.returncode == -_SIGXCPU:
        return Finding(f"it could not be read to its end in {seconds} s")
    if child.returncode < 0:
        return Finding(f"it crashes the HDF5 library (signal {-child.returncode})")
    if child.returncode > 0:
        return Finding(f"reading it fails: {(child.stderr.strip().splitlines() or ['no message'])[-1]}")
    return Finding(**json.loads(child.stdout))


def examine(path: Path) -> Finding:
    """Read everything in the file and compare it with the journal, in this process."""
    try:
        with h5py.File(path, "r") as file:
            rows = _count_rows(file)
            events = len(load_events(file))
            fits = {name: read_fit(group) for name, group in file["fit"].items()}
            attributes = dict(file.attrs)
            from_attributes(attributes)
            # No values yet: whether units, dimensions and scales are such that xarray understands them.
            with xarray.open_dataset(path, group="data", engine="h5netcdf", decode_cf=False):
                pass
            told = _Told()
            if journal_path(path).exists():
                for record in coalesced(_leniently(JournalReader(journal_path(path)))):
                    told.add(file, record, rows)
                ahead = rows > told.rows or events > told.events or not fits.keys() <= told.fits
            else:
                ahead = True
            _read_values(file, min(rows, told.rows))
            return Finding("", rows, events, told.more_than(rows, events, set(fits), attributes), ahead)
    except _DamagedError as error:
        return Finding(str(error))
    except DAMAGE as error:
        return Finding(f"{type(error).__name__}: {error}")


def _leniently(reader: JournalReader) -> Iterator[Record]:
    """Records of the journal as far as it makes sense; what does not says nothing about the HDF5 file."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        yield from decoded(reader)


def _count_rows(file: Any) -> int:
    """Number of rows, the same in every column."""
    data = file["data"]
    rows = int(data.attrs["rows"])
    for name in (str(name) for name in data.attrs["columns"]):
        found = len(data[name]) if name in data else 0
        if found != rows:
            raise _DamagedError(f"column {name!r} has {found} rows, the run has {rows}")
    return rows


def _read_values(file: Any, first: int) -> None:
    """Read every value of every axis, and of the columns from row `first` on."""
    data = file["data"]
    columns = {str(name) for name in data.attrs["columns"]}
    for name in data:
        dataset = data[name]
        step = max(1, _SLICE_BYTES // max(1, dataset.dtype.itemsize * math.prod(dataset.shape[1:])))
        for start in range(first if name in columns else 0, dataset.shape[0], step):
            dataset[start : start + step]


@dataclass
class _Told:
    """What the journal tells of the run, compared with the file record by record."""

    rows: int = 0
    events: int = 0
    fits: set[str] = field(default_factory=set)
    lacking_axis: bool = False
    begun: dict[str, Any] = field(default_factory=dict)
    changed: dict[str, Any] = field(default_factory=dict)

    def add(self, file: Any, record: Record, rows: int) -> None:
        """Take the next record.

        Raises
        ------
        _DamagedError
            The file, which has `rows` rows, has something else in its place.

        """
        match record:
            case Head(attributes=attributes):
                _check_described(file, record)
                self.begun |= attributes
            case AxisValues(axis=axis):
                self.lacking_axis |= axis.name not in file["data"]
                if axis.name in file["data"] and not np.array_equal(file["data"][axis.name][()], axis.values):
                    raise _DamagedError(f"axis {axis.name!r} differs from the journal")
            case Rows():
                _check_rows(file, record, rows)
                self.rows = record.first + record.count
            case Happening():
                self.events += 1
            case Fit(name=name):
                self.fits.add(name)
            case Change(attributes=attributes):
                self.changed |= attributes

    def more_than(self, rows: int, events: int, fits: set[str], attributes: Mapping[str, Any]) -> bool:
        """Whether the journal tells more than the file, or another end of the run.

        Raises
        ------
        _DamagedError
            They differ in what never changes.

        """
        for key in self.begun.keys() - self.changed.keys() - set(_CHANGED_BY_RECOVERY):
            if attributes.get(key) != self.begun[key]:
                raise _DamagedError(f"attribute {key!r} is not that of the journal")
        other_state = any(attributes.get(key) != value for key, value in self.changed.items())
        more = self.rows > rows or self.events > events or not self.fits <= fits
        return more or self.lacking_axis or other_state


def _check_described(file: Any, head: Head) -> None:
    data = file["data"]
    if layout_to_plain(read_layout(file)) != layout_to_plain(head.layout):
        raise _DamagedError("the description of the columns is not that of the journal")
    for column in head.layout.columns:
        told = (column.unit, column.long_name)
        if column.name in data and tuple(data[column.name].attrs[key] for key in ("units", "long_name")) != told:
            raise _DamagedError(f"column {column.name!r}: units or long name are not those of the journal")


def _check_rows(file: Any, record: Rows, rows: int) -> None:
    count = max(0, min(record.count, rows - record.first))
    for name, values in record.block.items() if count else ():
        found = file["data"][name][record.first : record.first + count]
        same = found.dtype == values.dtype and found.shape == values[:count].shape
        # As integers: NaN is a value.
        if not (same and np.array_equal(_bits(found), _bits(values[:count]))):
            last = record.first + count - 1
            raise _DamagedError(f"column {name!r}, rows {record.first} to {last}: not the values of the journal")


def _bits(values: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(values).reshape(-1).view(np.uint64)


def main() -> None:
    """Examine the file named on the command line, within the seconds named behind it."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource  # noqa: PLC0415  # not on Windows

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[2]), int(sys.argv[2]) + 1))
    sys.stdout.write(json.dumps(asdict(examine(Path(sys.argv[1])))))
    sys.stdout.flush()
    # A library that was fed a damaged file is not asked to tidy up.
    os._exit(0)


if __name__ == "__main__":
    main()
