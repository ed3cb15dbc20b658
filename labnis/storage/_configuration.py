"""What must be the same for two stretches of rows to be one run."""

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from labnis.storage._json import canonical_text, parsed_json
from labnis.storage.errors import LayoutError

if TYPE_CHECKING:
    from labnis.storage._metadata import RunMetadata

__all__ = ["configuration_hash", "resume_differences"]

# Of the station file's key `labnis`: where data go and how the twin is made change nothing at the device.
_IRRELEVANT = ("data", "ledger", "twin", "visalib")


def configuration_hash(
    procedure: str, parameters: Mapping[str, Any], wiring: Mapping[str, Any], station_text: str
) -> str:
    """SHA-256 over what a run does at the device: procedure, parameters, wiring, station file.

    Comments, order and layout of the station file do not count, nor where it puts data, ledger and twin.
    """
    parts = {"procedure": procedure, "parameters": parameters, "wiring": wiring, "station": _station(station_text)}
    text = "\n".join(canonical_text(name, part) for name, part in parts.items())
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def resume_differences(stored: Mapping[str, Any], now: "RunMetadata") -> list[str]:
    """Every reason why a run must not be resumed with `now`, one sentence each; an empty list if there is none.

    Compared are procedure, parameters, wiring and station file (what `configuration_hash` covers), the cooldown,
    whether the instruments are simulated, and the instruments' identities.

    Parameters
    ----------
    stored
        The run's metadata, from `read_metadata`.
    now
        What a run started now would say of itself.

    """
    before: dict[str, Any] = {
        **{key: stored[key] for key in ("procedure", "cooldown", "simulated", "parameters", "wiring", "instruments")},
        "station file": _station(stored["station_text"]),
    }
    after: dict[str, Any] = {
        **{key: getattr(now, key) for key in before if key != "station file"},
        "station file": _station(now.station_text),
    }
    return _differences("", *(parsed_json(canonical_text("configuration", side)) for side in (before, after)))


def _station(text: str) -> Any:
    """What counts of a station file; its bare text where that is nothing a station file could be."""
    try:
        found = YAML(typ="safe", pure=True).load(text)
        canonical_text("station file", found)
    except (YAMLError, LayoutError):
        return text
    if not isinstance(found, dict) or not isinstance(found.get("labnis"), dict):
        return found
    ours = {key: value for key, value in found["labnis"].items() if key not in _IRRELEVANT}
    return {**found, "labnis": ours}


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
