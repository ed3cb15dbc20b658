"""What a run knows about itself, and its form as attributes of the file's root."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

import numpy as np

from labnis.storage._configuration import configuration_hash
from labnis.storage._environment import Environment
from labnis.storage._json import json_text, parsed_json
from labnis.storage._paths import new_run_id
from labnis.storage.errors import LayoutError

__all__ = [
    "SCHEMA_VERSION",
    "RunMetadata",
    "Status",
    "ending",
    "from_attributes",
    "to_attributes",
]

# 2: events, configuration hash, instruments, writer; the schema of all columns.
# 3: rows along `point`, a grid of set-points, columns of integers; tags, note, set-points, analyses, context.
SCHEMA_VERSION = 3
Status = Literal["running", "done", "aborted", "failed"]

_JSON = (
    "parameters", "wiring", "station_snapshot", "calibrations", "packages", "instruments",
    "tags", "setpoints", "analyses", "context",
)  # fmt: skip
_TRUTHS = ("simulated", "git_dirty")
_TIMES = ("start", "end")


@dataclass(frozen=True)
class RunMetadata:
    """What is known of a run when it starts.

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
        Name of the cooldown, as the user wrote it; empty if there is none.
    calibrations
        Those used to convert or choose anything in this run.
    seed, truth_text
        Seed and truth file of the twin; None for a real fridge.
    procedure_class
        Dotted path of the procedure's class, by which a run is resumed; empty if nobody would.
    instruments
        Identity of each instrument by role or name, such as its answer to `*IDN?`: what a resumed run re-checks.
    tags, note
        Words to search for, and a comment, as the user wrote them.
    setpoints
        Names of the columns of commanded set-points; `RunWriter` adds those of its grid.
    analyses
        Dotted paths of the analyses' classes.
    context
        All that a fit needs besides the data.

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

    @property
    def configuration_hash(self) -> str:
        """SHA-256 over what has to be the same for two stretches of rows to be one run; see `configuration_hash`."""
        return configuration_hash(self.procedure, self.parameters, self.wiring, self.station_text)


def _stored_text(text: str) -> str:
    """Return `text`, or its JSON form where HDF5 could not hold it: NUL and half surrogates."""
    unsafe = "\0" in text or text.startswith('"') or any("\ud800" <= letter <= "\udfff" for letter in text)
    return json.dumps(text) if unsafe else text


def _read_text(text: str) -> str:
    return str(json.loads(text)) if text.startswith('"') else text


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


def ending(status: Status, reason: str, traceback: str, end: datetime, duration: float | None) -> dict[str, Any]:
    """Attributes of the root that change when the run ends; `duration` (s) is by the monotonic clock."""
    values = {"status": status, "reason": reason, "traceback": traceback, "end": end, "duration": duration}
    return {key: None if value is None else _to_attribute(key, value) for key, value in values.items()}


def from_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Parse attributes, the inverse of `to_attributes`: JSON to mappings, text to times, scalars to Python's.

    What the file does not have, in part because its schema is older, is None; what came with later versions is empty.
    """
    parsed: dict[str, Any] = dict.fromkeys(("end", "duration", "git_dirty", "seed", "truth_text", "configuration_hash"))
    parsed |= {"instruments": {}, "procedure_class": "", "note": "", "context": {}}
    parsed |= {"tags": [], "setpoints": [], "analyses": []}
    for key, value in attributes.items():
        if key in _JSON:
            parsed[key] = parsed_json(value)
        elif key in _TRUTHS:
            parsed[key] = bool(value)
        elif key in _TIMES:
            parsed[key] = datetime.fromisoformat(value)
        elif isinstance(value, str):
            parsed[key] = _read_text(value)
        else:
            parsed[key] = value.item() if isinstance(value, np.generic) else value
    return parsed
