"""Attributes of a run's file: plain values made of Python's, and parsed and checked again.

Nested values are JSON, times ISO 8601 with their UTC offset, truth values 0 or 1; what is not known has no attribute.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from datetime import date, datetime
from enum import Enum
from pathlib import PurePath
from typing import Any, Literal, get_args

import numpy as np

from labnis.storage.errors import DAMAGE, LayoutError

__all__ = [
    "CHANGING", "SCHEMA_VERSION", "WRITER", "Status", "check_changes", "checked_time", "ending", "from_attributes",
    "json_text", "json_value", "read_attributes", "to_attribute",
]  # fmt: skip

# 2: events, configuration hash, instruments, writer; the schema of all columns.
# 3: rows along `point`, a grid of set-points, columns of integers; tags, note, set-points, analyses, context.
SCHEMA_VERSION = 3
Status = Literal["running", "done", "aborted", "failed"]

# A time outside of these years cannot be that of a measurement, nor be shown in every time zone.
_YEARS = range(1970, 2200)
_DEEPEST = 50

# Attributes by their form. Of those in JSON, the value where a file of an earlier version lacks it.
_JSON: Mapping[str, Any] = {
    "parameters": {}, "wiring": {}, "station_snapshot": {}, "calibrations": [], "packages": {}, "instruments": {},
    "tags": [], "setpoints": [], "analyses": [], "context": {},
}  # fmt: skip
_LISTS_OF_TEXTS = ("tags", "setpoints", "analyses")
_TRUTHS = ("simulated", "git_dirty")
_TIMES = ("start", "end")
_INTEGERS = ("schema_version", "seed", "writer_pid", "number")
_NUMBERS = ("duration", "writer_started")
_TEXTS = (
    "run_id", "procedure", "procedure_class", "cooldown", "status", "reason", "traceback", "station_text",
    "truth_text", "configuration_hash", "note", "git_commit", "git_note", "python", "platform", "host", "writer_host",
    "writer_boot",
)  # fmt: skip
_KINDS: tuple[tuple[tuple[str, ...], Any, str], ...] = (
    (_INTEGERS, int, "a whole number of 64 bits"), (_NUMBERS, (int, float), "a number"), (_TEXTS, str, "text"),
)  # fmt: skip
_KNOWN = frozenset((*_JSON, *_TRUTHS, *_TIMES, *_INTEGERS, *_NUMBERS, *_TEXTS))
# These describe the file, not the measurement.
_LAYOUT_ATTRIBUTES = ("NX_class", "default", "creator", "coordinates")
_OPTIONAL = ("end", "duration", "git_dirty", "seed", "truth_text", "configuration_hash", "number")
# Every version has them, and no file is a run without them.
_REQUIRED = ("schema_version", "run_id", "procedure", "cooldown", "start", "status", "reason", "simulated")

# Attributes that change when the run ends, is resumed or recovered.
WRITER = ("writer_pid", "writer_host", "writer_boot", "writer_started")
CHANGING = ("status", "reason", "traceback", "end", "duration", *WRITER)


def _jsonable(value: Any) -> Any:
    """Convert values of types that `json` does not support."""
    form: Any
    match value:
        case np.generic() | np.ndarray():
            form = value.tolist()
        case complex():
            form = {"real": value.real, "imag": value.imag}
        case date():
            form = value.isoformat()
        case PurePath():
            form = str(value)
        case Enum():
            form = value.value
        case Mapping():
            form = dict(value)
        case _ if is_dataclass(value) and not isinstance(value, type):
            form = asdict(value)
        case _:
            raise TypeError(f"{value!r} of type {type(value).__name__} has no form in JSON")
    return form


def json_text(key: str, value: Any) -> str:
    """JSON of `value` in ASCII, which HDF5 can store for any text in it.

    Raises
    ------
    LayoutError
        The message names `key` and the value that cannot be stored.

    """
    try:
        return json.dumps(value, default=_jsonable)
    except (TypeError, ValueError) as error:
        raise LayoutError(f"{key}: {error}") from error


def json_value(text: str | bytes) -> Any:
    """Inverse of `json_text`, also for text from elsewhere.

    Raises
    ------
    ValueError
        It is no JSON, or nested so deeply that what shows or compares it would fail.

    """
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    parts = [value]
    for _ in range(_DEEPEST):
        nested = [one for one in parts if isinstance(one, dict | list)]
        if not nested:
            return value
        parts = [part for one in nested for part in (one.values() if isinstance(one, dict) else one)]
    raise ValueError(f"it is nested more than {_DEEPEST} times")


def checked_time(value: Any) -> datetime:
    """Parse an ISO 8601 time with its UTC offset.

    Raises
    ------
    ValueError
        It is no such text, has no offset, or is outside of 1970 to 2199.

    """
    try:
        found = datetime.fromisoformat(value)
    except TypeError as error:
        raise ValueError(f"{value!r} is not a time; ISO 8601 text is needed") from error
    if found.utcoffset() is None or found.year not in _YEARS:
        raise ValueError(f"the time {value!r} has no UTC offset or is outside of {_YEARS.start} to {_YEARS.stop - 1}")
    return found


def to_attribute(key: str, value: Any) -> Any:
    if key in _JSON:
        return json_text(key, value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bool):
        return int(value)  # netCDF has no truth values
    return _stored_text(value) if isinstance(value, str) else value


def _stored_text(text: str) -> str:
    """Return `text`, or its JSON form where HDF5 could not hold it: NUL and half surrogates."""
    unsafe = "\0" in text or text.startswith('"') or any("\ud800" <= letter <= "\udfff" for letter in text)
    return json.dumps(text) if unsafe else text


def ending(status: Status, reason: str, traceback: str, end: datetime, duration: float | None) -> dict[str, Any]:
    """Attributes of the root that change when the run ends; `duration` (s) is by the monotonic clock."""
    values = {"status": status, "reason": reason, "traceback": traceback, "end": end, "duration": duration}
    return {key: None if value is None else to_attribute(key, value) for key, value in values.items()}


def from_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Parse attributes, the inverse of `to_attributes`: JSON to mappings, text to times, scalars to Python's.

    What the file lacks, perhaps because its version is older, is None or empty.

    Raises
    ------
    ValueError
        One that every run has is missing, or one is not what it should be; names it.

    """
    if missing := [key for key in _REQUIRED if attributes.get(key) is None]:
        raise ValueError(f"it has no attribute {missing[0]!r}, so it is not a run of labnis")
    lacking = {key: type(empty)() for key, empty in _JSON.items() if key not in attributes}
    parsed: dict[str, Any] = {**dict.fromkeys(_OPTIONAL), **lacking, "procedure_class": "", "note": ""}
    parsed |= {key: _parsed(key, value) for key, value in attributes.items() if value is not None}
    if parsed["status"] not in get_args(Status):
        raise ValueError(f"attribute 'status' is {parsed['status']!r}; allowed are {', '.join(get_args(Status))}")
    writer = [key for key in WRITER if key in parsed]
    if writer and len(writer) < len(WRITER):
        raise ValueError(f"of the attributes {', '.join(WRITER)} it has only {', '.join(writer)}")
    return parsed


def check_changes(attributes: Mapping[str, Any]) -> None:
    """Check new values of attributes of a run; None removes one.

    Raises
    ------
    ValueError
        One is not what it should be, or is needed and would be removed; names it.

    """
    for key, value in attributes.items():
        if value is not None:
            _parsed(key, value)
        elif key in _REQUIRED:
            raise ValueError(f"the attribute {key!r} would be removed")


def _parsed(key: str, value: Any) -> Any:
    """Value of one attribute; raises ValueError, which names it."""
    try:
        if key in _TEXTS and isinstance(value, str) and value.startswith('"'):
            value = json_value(value)  # text that HDF5 cannot hold
        found, needed = _converted(key, value)
    except ValueError as error:
        raise ValueError(f"attribute {key!r}: {error}") from error
    if needed:
        raise ValueError(f"attribute {key!r} is {value!r:.200}; {needed} is needed")
    return found


def _converted(key: str, value: Any) -> tuple[Any, str]:
    """Value in Python's own type, and what is needed instead if it is not that."""
    if key in _JSON:
        found = json_value(value) if isinstance(value, str) else None
        texts = key not in _LISTS_OF_TEXTS or all(isinstance(text, str) for text in found or ())
        kind = type(_JSON[key])
        return found, "" if isinstance(found, kind) and texts else f"JSON of a {kind.__name__}"
    if key in _TIMES:
        return checked_time(value), ""
    if key in _TRUTHS:
        return bool(value), "" if value in (0, 1) else "0 or 1"
    any_kind: tuple[Any, str] = ((str, int, float), "text or a number")
    kinds, needed = next(((kind, needed) for keys, kind, needed in _KINDS if key in keys), any_kind)
    # NaN is not within the limit either.
    of_another_program = key not in _KNOWN and isinstance(value, float)
    fits = isinstance(value, kinds) and (isinstance(value, str) or of_another_program or abs(value) < 2**63)
    return value, "" if fits else needed


def read_attributes(file: Any) -> dict[str, Any]:
    """Attributes of the root that describe the measurement, as Python's own types; truth values are 0 or 1.

    Those of other programs that are neither text nor a number are left out.

    Raises
    ------
    ValueError
        One of labnis's own cannot be read, or is neither text nor a number; names it.

    """
    found: dict[str, Any] = {}
    for key in file.attrs:
        if key in _LAYOUT_ATTRIBUTES:
            continue
        try:
            value = file.attrs[key]
        except DAMAGE as error:
            value = error
        plain = value.item() if isinstance(value, np.generic) else value
        if isinstance(plain, str | int | float):
            found[key] = int(plain) if isinstance(plain, bool) else plain
        elif key in _KNOWN:
            raise ValueError(f"attribute {key!r} is {value!r:.200}; text or a number is needed")
    return found
