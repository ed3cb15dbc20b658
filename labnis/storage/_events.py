"""Events of a run: interlocks, faults, resumptions, steps of the clock, warnings.

An event that is equal to the one before it is counted: one entry with the number of times, and the first and last time.
"""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from labnis.storage._attributes import checked_time, json_text, json_value
from labnis.storage._disk import network_filesystem
from labnis.storage._hdf5 import values_of

__all__ = [
    "ESTIMATE", "NO_FIT", "Event", "HostMonitor", "WaitingEvents", "create_events", "event_from_plain",
    "event_to_plain", "load_events", "new_event", "write_events",
]  # fmt: skip

ESTIMATE = "estimate"
"""Kind of the events that hold a live fit."""
NO_FIT = "no-fit"
"""Kind of the events that say why an analysis has no fit at the end of its run."""

_TEXTS = ("time", "kind", "message", "details", "last")
_CHUNK_EVENTS = 64
# A time server slews by less than 0.5 ms per second; a leap second, 1 s, is worth an event.
STEP_SECONDS = 0.5


@dataclass(frozen=True)
class Event:
    """One event of a run, or several equal ones in a row.

    Attributes
    ----------
    time
        UTC; of several, that of the first.
    monotonic
        Seconds on the computer's monotonic clock, which setting the time does not move; comparable within one boot.
    kind
        One word: interlock, fault, resumed, clock-step, warning, …
    message
        Description in a sentence.
    details
        Values that belong to it, by name.
    count
        How many times it happened in a row.
    last
        UTC of the last time; None if it happened once.

    """

    time: datetime
    monotonic: float
    kind: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)
    count: int = 1
    last: datetime | None = None


class WaitingEvents:
    """Events of a run that is being written, until the next flush takes them.

    The last event stays after it is written, because an equal one changes its count.

    Parameters
    ----------
    written
        Number of entries that the file has already.

    """

    def __init__(self, written: int) -> None:
        self._first = written
        self._events: list[Event] = []
        self._saved: Event | None = None

    def add(self, event: Event) -> None:
        """Add an event, or count it if it is equal to the last one."""
        last = self._events[-1] if self._events else None
        if last is not None and (last.kind, last.message, last.details) == (event.kind, event.message, event.details):
            self._events[-1] = replace(last, count=last.count + 1, last=event.time)
        else:
            self._events.append(event)

    def due(self) -> tuple[int, tuple[Event, ...]]:
        """Number of the first entry that is new or changed, and all entries from there on."""
        saved = int(bool(self._events) and self._events[0] is self._saved)
        return self._first + saved, tuple(self._events[saved:])

    def written(self, first: int, events: Sequence[Event]) -> None:
        """Note that `events`, which `due` returned, are on the disk."""
        if events:
            done = first + len(events) - 1 - self._first
            del self._events[:done]
            self._first += done
            self._saved = events[-1]


def new_event(kind: str, message: str, details: Mapping[str, Any]) -> Event:
    """Make an event with the present time.

    Raises
    ------
    LayoutError
        The details have no form in JSON.

    """
    plain = json.loads(json_text(f"event {kind}: details", details))
    return Event(datetime.now(UTC), time.monotonic(), kind, message, plain)


def event_to_plain(event: Event) -> dict[str, Any]:
    """Plain values of an event. What HDF5 cannot hold, NUL and half surrogates, becomes an escape sequence."""
    kind, message = (
        text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")
        for text in (event.kind, event.message)
    )
    details = json_text("details", event.details)
    last = event.last.isoformat() if event.last else ""
    texts = dict(zip(_TEXTS, (event.time.isoformat(), kind, message, details, last), strict=True))
    return {"monotonic": event.monotonic, "count": event.count, **texts}


def event_from_plain(plain: Mapping[str, Any]) -> Event:
    """Inverse of `event_to_plain`; earlier versions have no `count` and `last`.

    Raises
    ------
    KeyError, TypeError, ValueError
        An entry is missing or is not what it should be.

    """
    monotonic, count, last = plain["monotonic"], plain.get("count", 1), plain.get("last", "")
    details = json_value(plain["details"])
    if not math.isfinite(monotonic) or not isinstance(details, dict) or not 1 <= count < 2**63:
        raise ValueError(f"an event has monotonic={monotonic!r}, count={count!r}, details={plain['details']!r}")
    if not (isinstance(plain["kind"], str) and isinstance(plain["message"], str)):
        raise TypeError(f"an event has kind {plain['kind']!r} and message {plain['message']!r}; texts are needed")
    when = checked_time(plain["time"])
    after = checked_time(last) if last else None
    return Event(when, float(monotonic), plain["kind"], plain["message"], details, int(count), after)


def create_events(file: Any) -> None:
    """Make the empty group `/events`: one dataset per property of an event, along `monotonic`."""
    group = file.create_group("events")
    group.attrs["NX_class"] = "NXcollection"
    scale = _growing(group, "monotonic", np.dtype(np.float64))
    scale.attrs["units"] = "s"
    scale.make_scale("monotonic")
    _create_missing(group)


def _create_missing(group: Any) -> None:
    """Make the datasets that the file lacks, along those that it has: earlier versions do not count events."""
    for name in (*_TEXTS, "count"):
        if name not in group:
            dtype = np.dtype(np.int64) if name == "count" else h5py.string_dtype()
            _growing(group, name, dtype, len(group["monotonic"])).dims[0].attach_scale(group["monotonic"])


def _growing(group: Any, name: str, dtype: Any, length: int = 0) -> Any:
    fill = 1 if name == "count" else None
    return group.create_dataset(
        name, shape=(length,), maxshape=(None,), chunks=(_CHUNK_EVENTS,), dtype=dtype, fillvalue=fill
    )


def write_events(file: Any, first: int, events: Sequence[Event]) -> None:
    """Write entries of `/events` from number `first` on; writing the same ones again changes nothing."""
    if "events" not in file:  # version 1
        create_events(file)
    group = file["events"]
    _create_missing(group)
    plain = [event_to_plain(event) for event in events]
    for name in ("monotonic", "count", *_TEXTS):
        group[name].resize(first + len(plain), axis=0)
        group[name][first:] = [entry[name] for entry in plain]


def load_events(file: Any, kind: str | None = None) -> list[Event]:
    """All events, or those of one `kind`, in the order in which they happened.

    Raises
    ------
    KeyError, TypeError, ValueError
        The group is not that of a run.

    """
    if "events" not in file:  # version 1
        return []
    group = file["events"]
    columns = {name: values_of(group[name]) for name in ("monotonic", "count", *_TEXTS) if name in group}
    count = min(len(values) for values in columns.values())
    rows = [index for index in range(count) if kind is None or columns["kind"][index] == kind]
    return [event_from_plain({name: values[index] for name, values in columns.items()}) for index in rows]


class HostMonitor:
    """Detects risks for the run at `path`: a network folder, a step of the wall clock, the loss of the journal.

    It reports events: kind, message and details by name. The network folder is reported at once.
    """

    def __init__(self, path: Path, report: Callable[..., None]) -> None:
        self._report = report
        self._clocks = time.time() - time.monotonic()
        self._rescue: Path | None = None
        if kind := network_filesystem(path):
            message = (
                f"the data folder lies on a network file system ({kind}): whether rows are safe within a second, also "
                "from a power cut, depends on its server; a local data folder is safer"
            )
            report("warning", message, filesystem=kind)

    def check(self, rescue: Path | None) -> None:
        """Report changes since the last call; `rescue` is the folder of the rescue copy, if there is one."""
        # Setting the time does not move the monotonic clock.
        clocks = time.time() - time.monotonic()
        step, self._clocks = clocks - self._clocks, clocks
        if abs(step) >= STEP_SECONDS:
            message = (
                f"the wall clock moved by {step:+.1f} s against the monotonic one: it was set, or the computer slept"
            )
            self._report("clock-step", message, seconds=step)
        if rescue is not None and self._rescue is None:
            self._rescue = rescue
            self._report("warning", f"the run's journal was lost; it continues as a copy in {rescue}")
