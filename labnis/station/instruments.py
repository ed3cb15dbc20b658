"""The `instruments:` section: QCoDeS's own schema, which classes its `type:` may name, and what `init:` may contain.

A station file may come from elsewhere, so neither key can load a library: drivers that take the path of one are not
opened, and no path is passed to the others.
"""

import importlib.util
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # publishes no types
from jsonschema.exceptions import ValidationError  # type: ignore[import-untyped]  # publishes no types

from labnis.station.document import Document, Location

__all__ = [
    "ALLOWED_PACKAGES",
    "LONGEST_TIMEOUT",
    "TIMEOUTS_ALLOWED",
    "allowed",
    "check_instruments",
    "is_allowed_type",
    "is_of_packages",
    "refuse_initial_values",
    "refused_visa_library",
]

ALLOWED_PACKAGES = ("drivers", "qcodes.instrument_drivers", "qcodes_contrib_drivers", "pymeasure.instruments")
"""`type:` imports code; only instrument classes from these packages may be named."""

VISA_LIBRARIES = ("@py", "@ivi")
"""Values of `visalib`: names of PyVISA's backends. A path would load any library."""

NAMES_A_LIBRARY = re.compile(
    r"dll|(?:^|_)(?:lib|library|path|file|filename|folder|dir|directory|module|script|executable|plugin|sdk)s?(?:_|$)"
    r"|(?:path|library)$",
    re.IGNORECASE,
)
"""Keys of `init:` whose text would name a library, a program, a file or a folder."""

LOOKS_LIKE_A_PATH = re.compile(r"[/\\]|^~|\.(?:dll|so|dylib|exe|pyd?|ya?ml|json|ini)(?:\.\d+)*$", re.IGNORECASE)
TERMINATOR = re.compile(r"(?:\\[rnt0])+")

LONGEST_TIMEOUT = 30.0
"""Longest VISA timeout (s): a run counts as alive while it waits for an answer."""

TIMEOUTS_ALLOWED = (
    f"allowed are times above 0 and up to {LONGEST_TIMEOUT:g} s, because a run that waits for an answer counts as "
    "alive. For a measurement that takes longer, poll for its end, or declare it: with roles.blocking(seconds)."
)

KEYS = ("type", "address", "port", "init", "parameters", "add_parameters", "enable_forced_reconnect", "driver")
"""Keys of an instrument. With QCoDeS 0.62 and later each other key is a submodule, with its settings as a mapping."""

ELSEWHERE = {
    "address": "write it as `address:` beside `type:`",
    "name": "the instrument's name is its key under instruments",
    "resource": "write the VISA address as `address:` beside `type:`",
    "pyvisa_sim_file": "simulated instruments belong to the twin (`labnis run --dry-run`)",
    "visa_library": "write it as `visalib`",
}
"""Keys of `init:` that would set an address that a dry run does not replace."""


def allowed(packages: Sequence[str]) -> str:
    """The packages whose classes `type:` may name, for messages."""
    return ", ".join([*ALLOWED_PACKAGES, *packages])


def is_allowed_type(dotted: str, packages: Sequence[str]) -> bool:
    """Whether `type:` may name the class `dotted`; `packages` are the lab's own."""
    return is_of_packages(dotted, [*ALLOWED_PACKAGES, *packages]) and all(map(str.isidentifier, dotted.split(".")))


def is_of_packages(dotted: str, packages: Sequence[str]) -> bool:
    """Whether `dotted` is a name within one of `packages`."""
    return dotted.startswith(tuple(f"{name}." for name in packages))


def refused_visa_library(specification: str) -> str:
    """Why `visalib` cannot be `specification`; empty if it can."""
    if specification in VISA_LIBRARIES:
        return ""
    return (
        f"found {specification!r}; allowed are {' and '.join(VISA_LIBRARIES)}. A station file names no library by its "
        "path: leave the key out, and give the path in ~/.pyvisarc or in the environment variable PYVISA_LIBRARY."
    )


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
    _check_init(document, (*here, "init"), entry.get("init") or {}, own=is_of_packages(entry["type"], packages))
    if not is_of_packages(entry["type"], packages):  # what a number means to a lab's own class is not known here
        _check_timeouts(document, here, entry)
    if "address" in entry:
        _check_address(document, (*here, "address"), entry["address"])


def _check_init(document: Document, here: Location, init: Mapping[str, Any], *, own: bool) -> None:
    """Refuse addresses, libraries and paths in `init:`; classes of the lab's `own` packages may take paths."""
    for key, advice in ELSEWHERE.items():
        if key in init:
            raise document.error((*here, key), f"not allowed here; {advice}")
    if "visalib" in init and (refusal := refused_visa_library(str(init["visalib"]))):
        raise document.error((*here, "visalib"), refusal)
    for location, text in _texts_of({key: value for key, value in init.items() if key != "visalib"}):
        named = next((part for part in map(str, location) if NAMES_A_LIBRARY.search(part)), None)
        is_path = LOOKS_LIKE_A_PATH.search(text) and not TERMINATOR.fullmatch(text)
        if not own and (named or is_path):
            raise document.error(
                (*here, *location),
                f"found {text!r}; init: takes numbers, true, false, and text that is no path and names no library or "
                "file. A class that needs one belongs in a package of the lab (labnis.packages).",
            )


def _check_timeouts(document: Document, here: Location, entry: Mapping[str, Any]) -> None:
    """Refuse VISA timeouts, of the instrument or of one of its buses, that are no time or too long."""
    factor, unit = (1e3, "ms") if is_of_packages(entry["type"], ["pymeasure.instruments"]) else (1.0, "s")
    for location, found in _timeouts(entry):
        is_number = isinstance(found, int | float) and not isinstance(found, bool)
        if not (is_number and 0 < found <= factor * LONGEST_TIMEOUT):
            raise document.error((*here, *location), f"found {found!r} (in {unit}); {TIMEOUTS_ALLOWED}")


def _timeouts(entry: Mapping[str, Any]) -> Iterator[tuple[Location, Any]]:
    """Each timeout of an instrument, with its place; QCoDeS's is also a parameter, with an initial value."""
    for location in _places_of("timeout", entry):
        found: Any = entry
        for key in location:
            found = found[key]
        if not isinstance(found, Mapping):
            yield location, found
        elif "initial_value" in found:
            yield (*location, "initial_value"), found["initial_value"]


def _texts_of(section: Any, location: Location = ()) -> Iterator[tuple[Location, str]]:
    """Each text in `section`, at any depth, with its place."""
    if isinstance(section, str):
        yield location, section
    elif isinstance(section, Mapping | list):
        for key, value in section.items() if isinstance(section, Mapping) else enumerate(section):
            yield from _texts_of(value, (*location, key))


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
