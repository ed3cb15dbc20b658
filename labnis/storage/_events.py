"""Events of a run: interlocks, faults, resumptions, steps of the clock, warnings."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import h5py
import numpy as np

from labnis.storage._json import json_text

__all__ = ["Event", "append_event", "create_events", "event_from_plain", "event_to_plain", "load_events", "new_event"]

_TEXTS = ("time", "kind", "message", "details")
_CHUNK_EVENTS = 64


@dataclass(frozen=True)
class Event:
    """One event of a run.

    Attributes
    ----------
    time
        UTC.
    monotonic
        Seconds on the computer's monotonic clock, which setting the time does not move; comparable within one boot.
    kind
        One word: interlock, fault, resumed, clock-step, warning, …
    message
        Description in a sentence.
    details
        Values that belong to it, by name.

    """

    time: datetime
    monotonic: float
    kind: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)


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
    texts = dict(zip(_TEXTS, (event.time.isoformat(), kind, message, details), strict=True))
    return {"monotonic": event.monotonic, **texts}


def event_from_plain(plain: Mapping[str, Any]) -> Event:
    """Inverse of `event_to_plain`."""
    when = datetime.fromisoformat(plain["time"])
    return Event(when, float(plain["monotonic"]), plain["kind"], plain["message"], json.loads(plain["details"]))


def create_events(file: Any) -> None:
    """Make the empty group `/events`: one dataset per property of an event, along `monotonic`."""
    group = file.create_group("events")
    group.attrs["NX_class"] = "NXcollection"
    scale = _growing(group, "monotonic", np.dtype(np.float64))
    scale.attrs["units"] = "s"
    scale.make_scale("monotonic")
    for name in _TEXTS:
        _growing(group, name, h5py.string_dtype()).dims[0].attach_scale(scale)


def _growing(group: Any, name: str, dtype: Any) -> Any:
    return group.create_dataset(name, shape=(0,), maxshape=(None,), chunks=(_CHUNK_EVENTS,), dtype=dtype)


def append_event(file: Any, event: Event) -> None:
    """Add one event to `/events`."""
    if "events" not in file:  # version 1
        create_events(file)
    group = file["events"]
    count = len(group["monotonic"])
    for name, value in event_to_plain(event).items():
        group[name].resize(count + 1, axis=0)
        group[name][count] = value


def load_events(file: Any) -> list[Event]:
    """All events in the order in which they happened."""
    if "events" not in file:  # version 1
        return []
    group = file["events"]
    columns = {name: group[name].asstr()[()] for name in _TEXTS} | {"monotonic": group["monotonic"][()]}
    count = min(len(values) for values in columns.values())
    return [event_from_plain({name: values[index] for name, values in columns.items()}) for index in range(count)]
