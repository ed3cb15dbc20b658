"""Metadata of a run: attributes of the file's root, and the comparison of two runs."""

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

import numpy as np
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from labnis.storage._environment import Environment
from labnis.storage._hdf5 import row_count
from labnis.storage._json import checked_time, json_text
from labnis.storage.errors import DAMAGE, LayoutError

__all__ = [
    "CHANGING", "SCHEMA_VERSION", "RunMetadata", "Status", "check_changes", "checked_tags", "ending",
    "from_attributes", "new_run_id", "read_attributes", "read_file_metadata", "resume_differences", "to_attributes",
]  # fmt: skip

# 2: events, configuration hash, instruments, writer; the schema of all columns.
# 3: rows along `point`, a grid of set-points, columns of integers; tags, note, set-points, analyses, context.
SCHEMA_VERSION = 3
Status = Literal["running", "done", "aborted", "failed"]

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
_WRITER = ("writer_pid", "writer_host", "writer_boot", "writer_started")
CHANGING = ("status", "reason", "traceback", "end", "duration", *_WRITER)

# Keys of the station file's `labnis` section without effect on the device: folders and the twin.
_IRRELEVANT = ("data", "ledger", "twin", "visalib")


def new_run_id() -> str:
    """Eight random hexadecimal digits."""
    return secrets.token_hex(4)


def checked_tags(tags: str | Iterable[str]) -> tuple[str, ...]:
    """`tags` as a tuple; a text is one tag.

    Raises
    ------
    LayoutError
        A tag that is empty, has several lines, or is not text.

    """
    found = (tags,) if isinstance(tags, str) else tuple(tags)
    for tag in found:
        if not isinstance(tag, str) or not tag.strip() or tag.splitlines() != [tag]:
            raise LayoutError(f"the tag {tag!r} is not allowed: a tag is text in one line, and not empty")
    return found


@dataclass(frozen=True)
class RunMetadata:
    """Metadata that are known when a run starts.

    Attributes
    ----------
    procedure, parameters
        Name and parameters of the procedure. All mappings here hold what JSON can hold, plus NumPy numbers
        and arrays, complex numbers, times, paths and dataclasses.
    start
        With UTC offset; its date and time name the file.
    environment
        From `collect_environment`.
    simulated
        Whether the instruments were the twin's.
    wiring
        Divider, series resistance and the like, by name.
    station_snapshot, station_text
        State of the instruments, and the text of the station file.
    cooldown
        Name of the cooldown, as given by the user; empty if there is none.
    calibrations
        Calibrations that this run used.
    seed, truth_text
        Seed and truth file of the twin; None for a real fridge.
    instruments
        Identity of each instrument by role or name, such as its answer to `*IDN?`; compared when a run is resumed.
    procedure_class
        Dotted path of the procedure's class, by which a run is resumed; may be empty.
    tags, note
        Words to search for (see `checked_tags`), and a comment, as given by the user.
    setpoints
        Names of the columns of commanded set-points; `RunWriter` adds those of its grid.
    analyses
        Dotted paths of the analyses' classes.
    context
        Everything that a fit needs besides the data.

    """

    procedure: str
    parameters: Mapping[str, Any]
    start: datetime
    environment: Environment
    simulated: bool
    wiring: Mapping[str, Any] = field(default_factory=dict)
    station_snapshot: Mapping[str, Any] = field(default_factory=dict)
    station_text: str = ""
    cooldown: str = ""
    calibrations: Sequence[Mapping[str, Any]] = ()
    seed: int | None = None
    truth_text: str | None = None
    run_id: str = field(default_factory=new_run_id)
    instruments: Mapping[str, Any] = field(default_factory=dict)
    procedure_class: str = ""
    tags: Sequence[str] = ()
    note: str = ""
    setpoints: Sequence[str] = ()
    analyses: Sequence[str] = ()
    context: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.start.utcoffset() is None:
            raise LayoutError(f"start {self.start} has no UTC offset; use datetime.now().astimezone()")
        if not (self.run_id.isascii() and self.run_id.isalnum()):
            raise LayoutError(f"run id {self.run_id!r}: only letters and digits are allowed")
        checked_tags(self.tags)
        for name in ("tags", "setpoints", "analyses"):
            if isinstance(getattr(self, name), str):
                raise LayoutError(f"{name} is {getattr(self, name)!r}; a list of texts is needed")

    @property
    def configuration_hash(self) -> str:
        """SHA-256 of everything that affects the device: procedure, parameters, wiring, station file.

        Comments, order and layout of the station file do not count, nor its folders of data, ledger and twin.
        """
        parts = {name: getattr(self, name) for name in ("procedure", "parameters", "wiring")}
        parts["station"] = _station(self.station_text)
        plain = [json.loads(json_text(name, part)) for name, part in parts.items()]
        text = "\n".join(json.dumps(part, sort_keys=True, separators=(",", ":")) for part in plain)
        return hashlib.sha256(text.encode("ascii")).hexdigest()


# --- attributes -------------------------------------------------------------------------------------------------------


def to_attributes(metadata: RunMetadata) -> dict[str, Any]:
    """Attributes of the root at the start of the run; a value that is not known (None) has no attribute."""
    values: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        **{name: getattr(metadata, name) for name in metadata.__dataclass_fields__ if name != "environment"},
        **asdict(metadata.environment),
        "configuration_hash": metadata.configuration_hash,
        "status": "running",
        "reason": "",
    }
    return {key: _to_attribute(key, value) for key, value in values.items() if value is not None}


def _to_attribute(key: str, value: Any) -> Any:
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
    return {key: None if value is None else _to_attribute(key, value) for key, value in values.items()}


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
    writer = [key for key in _WRITER if key in parsed]
    if writer and len(writer) < len(_WRITER):
        raise ValueError(f"of the attributes {', '.join(_WRITER)} it has only {', '.join(writer)}")
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
            value = json.loads(value)  # text that HDF5 cannot hold
        found, needed = _converted(key, value)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"attribute {key!r}: {error}") from error
    if needed:
        raise ValueError(f"attribute {key!r} is {value!r:.200}; {needed} is needed")
    return found


def _converted(key: str, value: Any) -> tuple[Any, str]:
    """Value in Python's own type, and what is needed instead if it is not that."""
    if key in _JSON:
        found = json.loads(value) if isinstance(value, str) else None
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


def read_file_metadata(file: Any) -> dict[str, Any]:
    """Parsed attributes of an open HDF5 file, and its number of `rows`.

    Raises
    ------
    ValueError, KeyError
        They are not those of a run.
    RunFileError
        `/data` is in another file.

    """
    return from_attributes(read_attributes(file)) | {"rows": row_count(file)}


# --- configuration ----------------------------------------------------------------------------------------------------


def resume_differences(stored: Mapping[str, Any], now: RunMetadata) -> list[str]:
    """Every reason why a run must not be resumed with `now`, one sentence each; an empty list if there is none.

    Compared are procedure, parameters, wiring and station file (as in `configuration_hash`), the cooldown, whether
    the instruments are simulated, and their identities. Tags and notes do not count.

    Parameters
    ----------
    stored
        The run's metadata, from `read_metadata`.
    now
        Metadata of a run started now.

    """
    keys = ("procedure", "cooldown", "simulated", "parameters", "wiring", "instruments")
    before = {**{key: stored[key] for key in keys}, "station file": _station(stored["station_text"])}
    after = {**{key: getattr(now, key) for key in keys}, "station file": _station(now.station_text)}
    return _differences("", *(json.loads(json_text("configuration", side)) for side in (before, after)))


def _station(text: str) -> Any:
    """The relevant content of a station file; its bare text where it cannot be parsed."""
    try:
        found = YAML(typ="safe", pure=True).load(text)
        json_text("station file", found)
    except (YAMLError, LayoutError):
        return text
    if not isinstance(found, dict) or not isinstance(found.get("labnis"), dict):
        return found
    relevant = {key: value for key, value in found["labnis"].items() if key not in _IRRELEVANT}
    return {**found, "labnis": relevant}


def _differences(where: str, before: Any, after: Any) -> list[str]:
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return [] if before == after else [f"{where} was {before!r} and is {after!r} now"]
    found = []
    for key in sorted(before.keys() | after.keys()):
        name = f"{where}: {key}" if where else key
        if key not in after:
            found.append(f"{name} was {before[key]!r} and is not given now")
        elif key not in before:
            found.append(f"{name} is {after[key]!r} now and was not given")
        else:
            found += _differences(name, before[key], after[key])
    return found
