"""Read back all that is needed to go on with a run."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from labnis.storage._checking import DAMAGE
from labnis.storage._columns import RunLayout
from labnis.storage._events import load_events
from labnis.storage._layout import read_fit, read_layout
from labnis.storage._metadata import SCHEMA_VERSION, from_attributes
from labnis.storage._records import AxisValues, Fit, Happening, Head, Record, Rows
from labnis.storage._recovery import recover
from labnis.storage.errors import RunFileError

__all__ = ["ResumableRun", "resumable"]

_BLOCK_BYTES = 16 << 20
# Attributes that the layout sets by itself.
_OF_LAYOUT = ("NX_class", "default", "creator", "coordinates")


@dataclass(frozen=True)
class ResumableRun:
    """A run that ended before it was done, and how it stands."""

    path: Path
    run_id: str
    layout: RunLayout
    attributes: dict[str, Any]
    rows: int
    status: str
    reason: str
    end: Any
    duration: float | None

    def records(self) -> Iterator[Record]:
        """Every record that makes this run, for a new journal."""
        yield Head(self.layout, self.attributes)
        for axis in self.layout.axes.values():
            yield AxisValues(self.layout, axis)
        with h5py.File(self.path, "r") as file:
            yield from self._rows(file["data"])
            for event in load_events(file):
                yield Happening(event)
            for name, group in file["fit"].items():
                yield Fit(name, read_fit(group))

    def _rows(self, data: Any) -> Iterator[Record]:
        names = [column.name for column in self.layout.columns]
        step = max(1, _BLOCK_BYTES // self.layout.row_bytes)
        for first in range(0, self.rows, step):
            end = min(self.rows, first + step)
            yield Rows(first, 0.0, {name: data[name][first:end] for name in names})


def resumable(path: Path) -> ResumableRun:
    """Recover the run at `path` if it has to be, and read how it stands.

    Raises
    ------
    RunInUseError
        A process is still writing it.
    RunFileError
        It is done already, or it cannot be read.

    """
    recover(path)
    try:
        with h5py.File(path, "r") as file:
            known = from_attributes(file.attrs)
            if known["status"] == "done":
                raise RunFileError(f"{path}: the run is done; there is nothing to resume. Start a new one.")
            if known["schema_version"] != SCHEMA_VERSION:
                raise RunFileError(f"{path}: written by an earlier version of labnis, whose runs cannot be resumed")
            layout = read_layout(file)
            plain = {key: value for key, value in file.attrs.items() if key not in _OF_LAYOUT}
            attributes = {k: v.item() if isinstance(v, np.generic) else v for k, v in plain.items()}
            rows = int(file["data"].attrs["rows"])
    except DAMAGE as error:
        raise RunFileError(f"{path}: cannot be read as a run: {error}") from error
    names = ("run_id", "status", "reason", "end", "duration")
    return ResumableRun(path, layout=layout, attributes=attributes, rows=rows, **{n: known[n] for n in names})
