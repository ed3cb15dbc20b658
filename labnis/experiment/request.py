"""Requests: a procedure by name, with parameters by name, checked before anything is opened."""

import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator
from pymeasure.experiment import Procedure
from pymeasure.experiment.parameters import Parameter

import procedures
from labnis.errors import ConfigurationError, RequestError
from labnis.experiment.analysis import load_class
from labnis.experiment.lab_procedures import lab_procedures
from labnis.experiment.preflight import check_request
from labnis.station import StationConfig, read_document
from labnis.storage import LayoutError, checked_tags
from procedures.parameter_values import ProcedureError, set_parameter

__all__ = [
    "QueueEntry",
    "configured_calibration",
    "configured_procedure",
    "find_procedure",
    "procedure_names",
    "read_queue",
    "requested_tags",
    "stored_procedure",
]


def procedure_names() -> list[str]:
    """Names of the procedures in the `procedures` package."""
    found = {name: getattr(procedures, name) for name in procedures.__all__}
    return sorted(
        name
        for name, kind in found.items()
        if inspect.isclass(kind) and issubclass(kind, Procedure) and kind is not procedures.Measurement
    )


def find_procedure(name: str, station: StationConfig | None = None, *, in_file: bool = False) -> type[Procedure]:
    """The procedure class called `name`: one of `procedures`, or any by dotted path (`package.module.Class`).

    Parameters
    ----------
    name
        Name, or dotted path.
    station
        With packages whose procedures are listed where there is none called `name`.
    in_file
        Whether a file names it: then it is imported only from `procedures` and the packages of the station file.

    Raises
    ------
    RequestError
        The message lists the procedures.

    """
    if "." not in name and name not in procedure_names():
        known = [*procedure_names(), *(lab_procedures(station) if station is not None else [])]
        raise RequestError(f"no procedure {name!r}; there are {', '.join(known)}, or a dotted path to a class")
    found = load_class(name if "." in name else f"procedures.{name}", "procedure", in_file=in_file)
    if not issubclass(found, Procedure):
        raise RequestError(f"{name!r} is not a pymeasure Procedure")
    return found


def configured_procedure(kind: type[Procedure], settings: Mapping[str, str]) -> Procedure:
    """An instance of `kind` with `settings` (parameter → text) applied strictly.

    Raises
    ------
    RequestError
        Unknown parameter or a value that is not allowed; the message says what is allowed.

    """
    procedure = kind()
    for name, text in settings.items():
        _set(procedure, name, text)
    _check_complete(procedure)
    return procedure


def stored_procedure(name: str, parameters: Mapping[str, Any], path: Path) -> Procedure:
    """The procedure that the file at `path` names, with its parameters.

    Raises
    ------
    RequestError
        There is no such procedure, or it has not these parameters; the message names the file.

    """
    procedure = find_procedure(name, in_file=True)()
    try:
        procedure.set_parameters(dict(parameters))
    except Exception as error:  # pymeasure's parameters raise what their conversion raises
        raise RequestError(f"{path}: the parameters are not those of {name}: {error}") from error
    return procedure


def requested_tags(tags: str | Iterable[str]) -> tuple[str, ...]:
    """`tags` as a tuple; a text is one tag.

    Raises
    ------
    RequestError
        A tag is empty or has several lines.

    """
    try:
        return checked_tags(tags)
    except LayoutError as error:
        raise RequestError(str(error)) from error


def configured_calibration(settings: Mapping[str, str]) -> list[Procedure]:
    """The steps of the calibration with `settings` applied.

    `name` applies to every step that has the parameter; `Procedure.name` only to that step, and takes precedence.

    Raises
    ------
    RequestError
        As `configured_procedure`, and a name that no step has.

    """
    steps = procedures.CALIBRATION
    shares: dict[str, dict[str, str]] = {kind.__name__: {} for kind in steps}
    for name, text in sorted(settings.items(), key=lambda setting: "." in setting[0]):
        step, _, parameter = name.rpartition(".")
        wanted = [
            kind for kind in steps if kind.__name__ == step or (not step and parameter in kind().parameter_objects())
        ]
        if not wanted:
            known = sorted({p for kind in steps for p in kind().parameter_objects()})
            raise RequestError(
                f"no step of the calibration has a parameter {name!r}; steps are {', '.join(shares)}, "
                f"parameters {', '.join(known)}"
            )
        for kind in wanted:
            shares[kind.__name__][parameter] = text
    return [configured_procedure(kind, shares[kind.__name__]) for kind in steps]


class QueueEntry(BaseModel):
    """One run of a queue.

    Attributes
    ----------
    procedure
        Name, or dotted path.
    set
        Parameter → value.
    tags, note
        Words to search for (a text is one of them), and a comment.

    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    procedure: str
    set: dict[str, str] = {}
    tags: tuple[str, ...] = ()
    note: str = ""

    @field_validator("set", mode="before")
    @classmethod
    def _as_text(cls, settings: Any) -> Any:
        return {name: _text(value) for name, value in settings.items()} if isinstance(settings, dict) else settings

    @field_validator("tags", mode="before")
    @classmethod
    def _as_tags(cls, tags: Any) -> Any:
        return (tags,) if isinstance(tags, str) else tags


def _text(value: Any) -> str:
    """A value of the file as on the command line: the points of a list are separated by commas."""
    if isinstance(value, list) and any(isinstance(part, list | dict) for part in value):
        raise ValueError("a list in a list")
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


FORMS = {
    "procedure": "the name of a procedure",
    "set": "a mapping (parameter: value, or a list of values)",
    "tags": "a text or a list of texts",
    "note": "a text",
}
"""Key of a `QueueEntry` → what is allowed."""


def read_queue(path: Path, config: StationConfig) -> list[tuple[Procedure, QueueEntry]]:
    """Runs listed in the YAML file at `path`: a list of mappings with the keys of `QueueEntry`.

    Returns
    -------
    list
        For every entry its procedure, configured and checked against the limits of the station `config`.

    Raises
    ------
    ConfigurationError
        The message names file, line, entry (from 1) and key.

    """
    document = read_document(path, top=list)
    if not document.data:
        raise document.error((), f"the list is empty; a queue has one entry or more, with the keys {', '.join(FORMS)}")
    entries = []
    for number, written in enumerate(document.data):
        place: list[str] = []
        try:
            entries.append(_queued(written, place, config))
        except (RequestError, ProcedureError) as error:
            line = document.line((number, *place))
            raise ConfigurationError(f"{path}, line {line}, entry {number + 1}: {error}") from error
    return entries


def _queued(written: Any, place: list[str], config: StationConfig) -> tuple[Procedure, QueueEntry]:
    """Procedure and entry of what is `written`; on a RequestError `place` has the keys where it is."""
    try:
        entry = QueueEntry.model_validate(written)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place += [str(key) for key in first["loc"][:1]]
        raise RequestError(_explained(first["type"], place, written)) from error
    place[:] = ["procedure"]
    procedure = find_procedure(entry.procedure, config, in_file=True)()
    for name, text in entry.set.items():
        place[:] = ["set", name]
        _set(procedure, name, text)
    place[:] = ["set"]
    _check_complete(procedure)
    check_request(procedure, config)
    place[:] = ["tags"]
    requested_tags(entry.tags)
    return procedure, entry


def _explained(kind: str, place: list[str], written: Any) -> str:
    """A message for pydantic's error of the `kind` at `place`."""
    keys = f"the keys of an entry are {', '.join(FORMS)}"
    if not place:
        return f"found {written!r}; an entry is a mapping (key: value); {keys}"
    (key,) = place
    if kind == "extra_forbidden":
        return f"{key}: unknown key; {keys}"
    return f"{key}: missing; {keys}" if kind == "missing" else f"{key}: found {written[key]!r}; {FORMS[key]} is needed"


def _check_complete(procedure: Procedure) -> None:
    """Refuse a parameter without a value."""
    missing = [name for name, value in procedure.parameter_values().items() if value is None]
    if missing:
        name = type(procedure).__name__
        raise RequestError(f"{name} needs a value for {', '.join(missing)}; give it as --set {missing[0]}=VALUE")


def _set(procedure: Procedure, name: str, text: str) -> None:
    """Set the parameter `name` from `text`, strictly."""
    objects: dict[str, Parameter] = procedure.parameter_objects()
    if name not in objects:
        known = ", ".join(sorted(objects))
        raise RequestError(f"{type(procedure).__name__} has no parameter {name!r}; it has {known}")
    try:
        set_parameter(procedure, name, text)
    except ProcedureError as error:
        raise RequestError(str(error)) from error
