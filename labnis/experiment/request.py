"""Requests: a procedure by name, with parameters by name, checked before anything is opened."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator
from pymeasure.experiment import Procedure
from pymeasure.experiment.parameters import Parameter

import procedures
from labnis.errors import RequestError
from labnis.experiment.analysis import load_class
from labnis.station import read_document
from procedures.parameter_values import ProcedureError, set_parameter

__all__ = ["configured_calibration", "configured_procedure", "find_procedure", "procedure_names", "read_queue"]


def procedure_names() -> list[str]:
    """Names of the procedures in the `procedures` package."""
    found = {name: getattr(procedures, name) for name in procedures.__all__}
    return sorted(
        name
        for name, kind in found.items()
        if inspect.isclass(kind) and issubclass(kind, Procedure) and kind is not procedures.Measurement
    )


def find_procedure(name: str) -> type[Procedure]:
    """The procedure class called `name`: one of `procedures`, or any by dotted path (`package.module.Class`).

    Raises
    ------
    RequestError
        The message lists the procedures.

    """
    if "." not in name and name not in procedure_names():
        raise RequestError(
            f"no procedure {name!r}; there are {', '.join(procedure_names())}, or a dotted path to a class"
        )
    found = load_class(name if "." in name else f"procedures.{name}", "procedure")
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
    objects: dict[str, Parameter] = procedure.parameter_objects()
    for name, text in settings.items():
        if name not in objects:
            raise RequestError(f"{kind.__name__} has no parameter {name!r}; it has {', '.join(sorted(objects))}")
        try:
            set_parameter(procedure, name, text)
        except ProcedureError as error:
            raise RequestError(str(error)) from error
    missing = [name for name, value in procedure.parameter_values().items() if value is None]
    if missing:
        raise RequestError(
            f"{kind.__name__} needs a value for {', '.join(missing)}; give it as --set {missing[0]}=VALUE"
        )
    return procedure


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
        Words to search for, and a comment.

    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    procedure: str
    set: dict[str, str] = {}
    tags: tuple[str, ...] = ()
    note: str = ""

    @field_validator("set", mode="before")
    @classmethod
    def _as_text(cls, settings: Any) -> Any:
        return {name: str(value) for name, value in settings.items()} if isinstance(settings, dict) else settings


def read_queue(path: Path) -> list[QueueEntry]:
    """Runs listed in the YAML file at `path`: a list of mappings with the keys of `QueueEntry`.

    Raises
    ------
    ConfigurationError
        The message names file, line and key.

    """
    document = read_document(path, top=list)
    entries = []
    for number, entry in enumerate(document.data):
        try:
            entries.append(QueueEntry.model_validate(entry))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            allowed = ", ".join(QueueEntry.model_fields)
            raise document.error((number, *first["loc"]), f"{first['msg']}; the keys are {allowed}") from error
    return entries
