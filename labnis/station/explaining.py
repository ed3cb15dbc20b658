"""What is wrong with a value of the station file, in plain words."""

import re
from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from labnis.errors import ConfigurationError
from labnis.station.document import Document, Location
from labnis.station.sections import LabnisSection

__all__ = ["explained"]

NEEDED = {
    "tuple_type": "a list, such as [a, b]",
    "list_type": "a list, such as [a, b]",
    "too_long": "a list of two entries",
    "missing": "a list of two entries",
    "string_type": "text",
    "string_too_short": "text that is not empty",
    "string_pattern_mismatch": "ROLE.QUANTITY, such as fridge.temperature",
    "float_type": "a number",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "model_type": "a mapping (key: value)",
    "dict_type": "a mapping (key: value)",
}
"""Pydantic's name of a problem → what is needed there."""

UNITS = {
    **dict.fromkeys(("maximum_bias", "maximum_step"), "V"),
    **dict.fromkeys(("fridge_pause", "fridge_abort"), "K"),
    "ramp_rate": "V/s",
    "compliance": "A",
    **dict.fromkeys(("fridge_stale", "unresponsive"), "s"),
    "series_resistance": "ohm",
    "probe_attenuation": "dB",
    "volume": "m³",
}
"""Key → unit of its number, for messages."""

PREFIXES = {"": 1.0, "p": 1e-12, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9}


def explained(
    document: Document, written: Any, prefix: Location, model: type[BaseModel], error: ValidationError
) -> ConfigurationError:
    """Error for the first problem: place, value found and what is allowed; `prefix` is the place of `written`."""
    problems = error.errors(include_input=False, include_url=False)
    # A misspelt key is both unknown and missing; "unknown" is more helpful.
    first = min(problems, key=lambda problem: problem["type"] != "extra_forbidden")
    found, place = written, first["loc"]
    for depth, key in enumerate(first["loc"]):
        if not _has(found, key):  # a key that is missing; else pydantic's name of an alternative
            place = first["loc"][: depth + (first["type"] == "missing" and isinstance(key, str))]
            break
        found = found[key]
    location: Location = (*prefix, *place)
    fields = ", ".join(_fields_at(model, place[:-1]))
    match first["type"]:
        case "extra_forbidden":
            problem = f"unknown key; allowed are {fields}"
        case "missing" if isinstance(first["loc"][-1], str):
            problem = f"missing; the keys here are {fields}"
        case "value_error":
            problem = str(first["ctx"]["error"])
        case _ if location[-1] == "ledger":
            problem = "found something other than text; a SQLAlchemy URL is needed"
        case "float_type" if isinstance(found, str):
            problem = f"found {found!r}; {_number_needed(found, str(location[-1]), written)}"
        case _:
            alternatives = [one for one in problems if one["loc"][: len(place)] == place]
            needed = dict.fromkeys(NEEDED.get(one["type"], "") for one in alternatives)
            message = first["msg"].replace("Input should", "it should")
            problem = f"found {found!r}; " + (message if "" in needed else f"{' or '.join(needed)} is needed")
    return document.error(location, problem)


def _has(node: Any, key: int | str) -> bool:
    return key in node if isinstance(node, dict) else isinstance(node, list) and key in range(len(node))


def _fields_at(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """Keys allowed at `location` in the section that `model` describes."""
    section: Any = model
    for key in location:
        if isinstance(key, int):  # a place in a list, whose entries have the list's keys
            continue
        annotation = section.model_fields[key].annotation if key in section.model_fields else None
        section = next((kind for kind in _kinds(annotation) if issubclass(kind, BaseModel)), section)
    hidden = {"kind", "role_amplifiers"} if section is not model or model is LabnisSection else {"role_amplifiers"}
    return [name for name in section.model_fields if name not in hidden]


def _kinds(annotation: Any) -> list[type]:
    """The classes that an annotation names, at any depth."""
    if isinstance(annotation, type):
        return [annotation]
    return [kind for part in get_args(annotation) for kind in _kinds(part)]


def _number_needed(text: str, key: str, section: dict[str, Any]) -> str:
    """What is needed in place of `text`, which is no number, at `key`; `section` may name the `unit` of a role."""
    unit = UNITS.get(key, section.get("unit"))
    asked = f"a number{f' in {unit}' if unit else ''} is needed, without unit and quotes"
    written = re.fullmatch(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([pnuµmkMG]?)(\D*)", text)
    if written is None or written[3] not in ("", unit or written[3]):
        return f"{asked}, such as 1.0e-3"
    return f"{asked}: {float(written[1]) * PREFIXES[written[2]]:.6g}"
