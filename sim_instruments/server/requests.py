"""The requests that the control socket accepts, checked before anything is changed."""

import math
from dataclasses import fields
from itertools import pairwise
from typing import Annotated, Literal

import pydantic.dataclasses
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from sim_instruments.server.faults import STRICT, Fault

__all__ = ["LeaveSource", "PlainRequest", "Request", "Temperatures", "parsed"]

HOTTEST = 500.0
"""Highest temperature (K) of a mixing chamber that makes sense."""

LONGEST_SHOWN = 100
"""Characters of a refused value in a message."""


def _kelvin(temperature: float) -> float:
    if not (math.isnan(temperature) or 0 < temperature <= HOTTEST):
        raise ValueError(f"a temperature is above 0 and at most {HOTTEST:g} K; NaN is a reading that fails")
    return temperature


Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Entry = tuple[Seconds, Annotated[float, AfterValidator(_kelvin)] | None]


def _in_order(schedule: tuple[Entry, ...]) -> tuple[Entry, ...]:
    for (before, _), (after, _) in pairwise(schedule):
        if after <= before:
            raise ValueError(f"times must increase, and {after:g} s comes after {before:g} s")
    return schedule


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT)
class PlainRequest:
    """A request without parameters, see `sim_instruments.server.control`."""

    do: Literal["faults", "clear", "source", "shutdown"]


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT)
class LeaveSource:
    """Set the source to `level` (V) and its output relay, without a ramp."""

    do: Literal["leave"]
    level: Annotated[float, Field(allow_inf_nan=False)]
    output: bool


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT)
class Temperatures:
    """Begin a schedule of the mixing chamber: (seconds from now, kelvin); see `DisturbedWorld`."""

    do: Literal["temperatures"]
    schedule: Annotated[tuple[Entry, ...], AfterValidator(_in_order)]


Request = Fault | PlainRequest | LeaveSource | Temperatures

_REQUEST: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="do")])
_KINDS = {"fault": Fault, "leave": LeaveSource, "temperatures": Temperatures}


def parsed(line: bytes) -> Request:
    """The request in one line of JSON.

    Raises
    ------
    ValueError
        It is no request, or one of its values makes no sense; the message has its key and what is allowed.

    """
    try:
        return _REQUEST.validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = [str(part) for part in first["loc"]] or ["request"]
        if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
            allowed = ", ".join(field.name for field in fields(_KINDS.get(where[0], PlainRequest)))
            raise ValueError(f"{'.'.join(where)}: unknown key; allowed are {allowed}") from error
        found = repr(first["input"])
        shown = found if len(found) <= LONGEST_SHOWN else f"{found[:LONGEST_SHOWN]}…"
        raise ValueError(f"{'.'.join(where)}: {first['msg']} (found {shown})") from error
