"""Integrity check of an HDF5 file, made in a child process, as a damaged file can hang or crash the HDF5 library.

As a program (`python -m labnis.storage._checking FILE SECONDS`) it reads everything in the file, compares it with the
journal beside it if there is one, and prints an IntegrityReport as JSON.
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
from labnis.storage._hdf5 import read_described, read_fit, read_layout
from labnis.storage._journal import JournalReader, journal_path
from labnis.storage._metadata import from_attributes
from labnis.storage._records import (
    AttributesRecord,
    AxisRecord,
    EventRecord,
    FitRecord,
    HeadRecord,
    Record,
    RowsRecord,
    coalesced,
    decoded,
)  # fmt: skip

__all__ = ["DAMAGE", "IntegrityReport", "check"]

# Processor time after which the child counts as hanging, plus the time for the file's size.
_SECONDS = 2.0
_BYTES_PER_SECOND = 100e6
# Memory limit of the child: a damaged file can make HDF5 ask for any amount.
_MEMORY_BYTES = 8 << 30
# Windows has neither the signal nor the limit that sends it.
_SIGXCPU = getattr(signal, "SIGXCPU", 0)
_SLICE_BYTES = 16 << 20
# Attributes that a recovery changes; it may be killed before it removes the journal.
_CHANGED_BY_RECOVERY = ("status", "reason")

# Exceptions of h5py, h5netcdf and the parsing of attributes on a damaged file.
DAMAGE = (OSError, KeyError, ValueError, RuntimeError, TypeError, IndexError, AttributeError, MemoryError)


@dataclass(frozen=True)
class IntegrityReport:
    """Result of the check of a file.

    Attributes
    ----------
    problem
        Why the file is damaged; empty if it is whole.
    rows, events
        Number of rows and events in the file.
    file_lacks
        Whether the journal has something that the file lacks.
    journal_lacks
        Whether the file has something that the journal lacks, which means that the journal is damaged.

    """

    problem: str
    rows: int = 0
    events: int = 0
    file_lacks: bool = False
    journal_lacks: bool = False


class _DamagedError(Exception):
    """The file can be read, but its content is wrong."""


def check(path: Path, *, patience: int = 2) -> IntegrityReport:
    """Examine the run at `path` in a child process; ends within seconds whatever the file contains.

    Parameters
    ----------
    path
        The HDF5 file.
    patience
        Limit of the elapsed time, as a multiple of the limit of processor time: on a busy computer the child waits for
        a processor. On Windows it is the only limit.

    """
    seconds = math.ceil(_SECONDS + path.stat().st_size / _BYTES_PER_SECOND)
    source = str(Path(__file__).resolve().parents[2])
    search = os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH"))))
    try:
        child = subprocess.run(  # noqa: S603  # this Python, no shell
            [sys.executable, "-m", "labnis.storage._checking", str(path.resolve()), str(seconds)],
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


def examine(path: Path) -> IntegrityReport:
    """Read everything in the file and compare it with the journal, in this process."""
    try:
        with h5py.File(path, "r") as file:
            rows = _count_rows(file)
            events = len(load_events(file))
            fits = {name: read_fit(group) for name, group in file["fit"].items()}
            attributes = dict(file.attrs)
            from_attributes(attributes)
            # Without values: whether xarray understands units, dimensions and scales.
            with xarray.open_dataset(path, group="data", engine="h5netcdf", decode_cf=False):
                pass
            journal = _JournalContent()
            journal_lacks = True
            if journal_path(path).exists():
                for record in coalesced(_leniently(JournalReader(journal_path(path)))):
                    journal.add(file, record, rows)
                journal_lacks = rows > journal.rows or events > journal.events or not fits.keys() <= journal.fits
            _read_values(file, min(rows, journal.rows))
            file_lacks = journal.exceeds(rows, events, set(fits), attributes)
            return IntegrityReport("", rows, events, file_lacks, journal_lacks)
    except _DamagedError as error:
        return IntegrityReport(str(error))
    except DAMAGE as error:
        return IntegrityReport(f"{type(error).__name__}: {error}")


def _leniently(reader: JournalReader) -> Iterator[Record]:
    """Records of the journal up to the first that cannot be decoded, which is no damage of the HDF5 file."""
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
class _JournalContent:
    """What the journal contains, compared with the file record by record."""

    rows: int = 0
    events: int = 0
    fits: set[str] = field(default_factory=set)
    more_axes: bool = False
    first_attributes: dict[str, Any] = field(default_factory=dict)
    changed_attributes: dict[str, Any] = field(default_factory=dict)

    def add(self, file: Any, record: Record, rows: int) -> None:
        """Take the next record.

        Raises
        ------
        _DamagedError
            The file, which has `rows` rows, differs from it.

        """
        match record:
            case HeadRecord(attributes=attributes):
                _check_layout(file, record)
                self.first_attributes |= attributes
            case AxisRecord(axis=axis):
                self.more_axes |= axis.name not in file["data"]
                if axis.name in file["data"] and not np.array_equal(file["data"][axis.name][()], axis.values):
                    raise _DamagedError(f"axis {axis.name!r} differs from the journal")
            case RowsRecord():
                _check_rows(file, record, rows)
                self.rows = record.first + record.count
            case EventRecord():
                self.events += 1
            case FitRecord(name=name):
                self.fits.add(name)
            case AttributesRecord(attributes=attributes):
                self.changed_attributes |= attributes

    def exceeds(self, rows: int, events: int, fits: set[str], attributes: Mapping[str, Any]) -> bool:
        """Whether the journal has more than the file, or another end of the run.

        Raises
        ------
        _DamagedError
            They differ in constant attributes.

        """
        for key in self.first_attributes.keys() - self.changed_attributes.keys() - set(_CHANGED_BY_RECOVERY):
            if attributes.get(key) != self.first_attributes[key]:
                raise _DamagedError(f"attribute {key!r} is not that of the journal")
        other_end = any(attributes.get(key) != value for key, value in self.changed_attributes.items())
        more = self.rows > rows or self.events > events or not self.fits <= fits
        return more or self.more_axes or other_end


def _check_layout(file: Any, head: HeadRecord) -> None:
    if layout_to_plain(read_layout(file)) != layout_to_plain(head.layout):
        raise _DamagedError("the description of the columns is not that of the journal")
    for column in head.layout.columns:
        expected = (column.unit, column.long_name)
        if column.name in file["data"] and read_described(file["data"][column.name]) != expected:
            raise _DamagedError(f"column {column.name!r}: units or long name are not those of the journal")


def _check_rows(file: Any, record: RowsRecord, rows: int) -> None:
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
    """Check the file within the seconds given on the command line."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource  # noqa: PLC0415  # not on Windows

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[2]), int(sys.argv[2]) + 1))
    sys.stdout.write(json.dumps(asdict(examine(Path(sys.argv[1])))))
    sys.stdout.flush()
    # Skip the clean-up of a library that has read a damaged file.
    os._exit(0)


if __name__ == "__main__":
    main()
