"""The `instruments:` section: QCoDeS's own schema, and which classes its `type:` may name."""

import importlib.util
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # publishes no types
from jsonschema.exceptions import ValidationError  # type: ignore[import-untyped]  # publishes no types

from labnis.station.document import Document, Location

__all__ = ["ALLOWED_PACKAGES", "allowed", "check_instruments", "is_allowed_type", "refuse_initial_values"]

ALLOWED_PACKAGES = ("drivers.", "qcodes.", "qcodes_contrib_drivers.", "pymeasure.")
"""`type:` imports code; only instrument classes from these packages may be named."""

KEYS = ("type", "address", "port", "init", "parameters", "add_parameters", "enable_forced_reconnect", "driver")
"""Keys of an instrument. With QCoDeS 0.62 and later each other key is a submodule, with its settings as a mapping."""

ELSEWHERE = {
    "address": "write it as `address:` beside `type:`",
    "name": "the instrument's name is its key under instruments",
    "resource": "write the VISA address as `address:` beside `type:`",
    "pyvisa_sim_file": "simulated instruments belong to the twin (`labnis run --dry-run`)",
}
"""Keys of `init:` that would set an address that a dry run does not replace."""


def allowed(packages: Sequence[str]) -> str:
    """The packages whose classes `type:` may name, for messages."""
    return ", ".join([*(package.rstrip(".") for package in ALLOWED_PACKAGES), *packages])


def is_allowed_type(dotted: str, packages: Sequence[str]) -> bool:
    """Whether `type:` may name the class `dotted`; `packages` are the lab's own."""
    allowed = dotted.startswith((*ALLOWED_PACKAGES, *(f"{name}." for name in packages)))
    return allowed and all(part.isidentifier() for part in dotted.split("."))


def _schema_file() -> Path:
    """`qcodes.station.SCHEMA_TEMPLATE_PATH`, without importing QCoDeS, which takes half a second."""
    found = importlib.util.find_spec("qcodes")
    assert found is not None and found.origin is not None  # noqa: S101  # for mypy: labnis depends on it
    return Path(found.origin).parent / "dist" / "schemas" / "station-template.schema.json"


def check_instruments(document: Document, packages: Sequence[str]) -> None:
    """Check the `instruments:` section of `document` without importing anything.

    `packages` are the lab's own, whose classes may be named.

    Raises
    ------
    ConfigurationError
        Naming file, line and key.

    """
    schema = json.loads(_schema_file().read_text(encoding="utf-8"))
    section = {"instruments": document.data["instruments"]}
    problems = sorted(jsonschema.Draft7Validator(schema).iter_errors(section), key=_position(document))
    if problems:
        location, problem = _explain(problems[0])
        raise document.error(location, problem)
    for name, entry in document.data["instruments"].items():
        _check_entry(document, name, entry, packages)


def refuse_initial_values(document: Document, instrument: str, role: str) -> None:
    """Refuse `initial_value` for instruments that move: QCoDeS writes it at opening, which would be a jump.

    Raises
    ------
    ConfigurationError
        Naming file, line and key.

    """
    for location in _places_of("initial_value", document.data["instruments"][instrument]):
        raise document.error(
            ("instruments", instrument, *location),
            f"not allowed for the instrument in role {role}: it moves only by ramps; remove the line",
        )


def _places_of(key: str, section: Mapping[str, Any]) -> Iterator[Location]:
    """Places of `key` in `section` at any depth: QCoDeS 0.62 also reads settings of submodules."""
    for name, value in section.items():
        if name == key:
            yield (name,)
        elif isinstance(value, Mapping):
            yield from ((name, *rest) for rest in _places_of(key, value))


def _check_entry(document: Document, name: str, entry: Mapping[str, Any], packages: Sequence[str]) -> None:
    here: Location = ("instruments", name)
    if not name.isidentifier():
        raise document.error(here, "an instrument's name is made of letters, digits and _, and starts with a letter")
    if not is_allowed_type(entry["type"], packages):
        raise document.error(
            (*here, "type"), f"found {entry['type']!r}; allowed are instrument classes under {allowed(packages)}"
        )
    if "driver" in entry:
        raise document.error((*here, "driver"), "no longer read by QCoDeS; append the class name to `type:`")
    for key, advice in ELSEWHERE.items():
        if key in (entry.get("init") or {}):
            raise document.error((*here, "init", key), f"not allowed here; {advice}")
    if "address" in entry:
        _check_address(document, (*here, "address"), entry["address"])


def _check_address(document: Document, location: Location, address: str) -> None:
    # VISA libraries accept aliases besides resource names, so only impossible addresses are refused here.
    if not re.fullmatch(r"[!-:<-~]+", address):
        raise document.error(
            location,
            f"found {address!r}; allowed are ASCII letters, digits and signs without blanks or semicolons, "
            "e.g. GPIB0::8::INSTR, TCPIP0::10.0.0.5::INSTR, TCPIP0::10.0.0.5::5025::SOCKET",
        )


def _position(document: Document) -> Any:
    return lambda error: document.line(_explain(error)[0])


def _explain(error: ValidationError) -> tuple[Location, str]:
    """Place of a schema error, value found and what is allowed."""
    location: Location = tuple(error.absolute_path)
    match error.validator:
        case "additionalProperties":
            named = error.schema.get("properties", {})
            patterns = error.schema.get("patternProperties", {})
            allowed = ", ".join(named) or "names such as source.voltage, made of letters, digits, _ and dots"
            known = [*(f"^{re.escape(key)}$" for key in named), *patterns]
            key = next(key for key in error.instance if not any(re.search(p, key) for p in known))
            return (*location, key), f"unknown key; allowed are {allowed}"
        case "required":
            missing = next(key for key in error.validator_value if key not in error.instance)
            return (*location, missing), "missing; every instrument needs it"
        case "type" if location[:1] == ("instruments",) and location[2:3] and location[2] not in KEYS:
            return location[:3], f"unknown key; allowed are {', '.join(KEYS)}"
        case "type":
            return location, f"found {error.instance!r}; allowed is {error.validator_value}"
    return location, error.message
