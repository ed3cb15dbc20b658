"""Keys of earlier station files, translated to the present ones."""

import copy
import io
import warnings
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from labnis.errors import LabnisWarning

__all__ = ["migrated"]

AMPLIFIER = "preamplifier"
"""Name of the one current amplifier that earlier station files could have."""

EARLIER_GAIN = 1e7
"""Default gain (V/A) of earlier files."""


def migrated(section: dict[str, Any], path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The `labnis:` section with the present keys, and the lines that replace the old ones.

    Without old keys the lines are empty and nothing is changed. Otherwise one warning shows them.
    """
    now = copy.deepcopy(section)
    changed: dict[str, Any] = {}
    roles, wiring = now.get("roles"), now.get("wiring")
    if isinstance(roles, dict) and isinstance(wiring, dict) and _old_amplifier(roles, wiring):
        reading = wiring.pop("current_reading", "source")
        wiring["amplifiers"] = {AMPLIFIER: {"gain": wiring.pop("current_amplifier_gain", EARLIER_GAIN)}}
        lockin = roles.get("lockin")
        if isinstance(lockin, str):
            roles["lockin"] = {"instrument": lockin, "amplifier": AMPLIFIER}
            if reading == "amplifier":
                roles["current"] = {"instrument": lockin, "channel": "aux1", "amplifier": AMPLIFIER}
        changed |= {"roles": roles, "wiring": wiring}
    if "island" in now and "device" not in now:
        now["device"] = {"island": now.pop("island")}
        if changed:  # a file with only this old key gets no warning
            changed["device"] = now["device"]
    if not changed:
        return now, ()
    lines = ("labnis:", *(f"  {line}" for line in _yaml(changed)))
    warnings.warn(
        f"{path} has keys of an earlier version; write instead\n" + "\n".join(lines), LabnisWarning, stacklevel=4
    )
    return now, lines


def _old_amplifier(roles: dict[str, Any], wiring: dict[str, Any]) -> bool:
    """Whether the amplifier is described as in earlier files, or not at all, as for the lock-in of earlier files."""
    if "current_amplifier_gain" in wiring or "current_reading" in wiring:
        return "amplifiers" not in wiring
    return isinstance(roles.get("lockin"), str) and "amplifiers" not in wiring


def _yaml(section: dict[str, Any]) -> list[str]:
    text = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = None
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # in the order of the file
    yaml.width = 4096
    yaml.dump(section, text)
    return text.getvalue().splitlines()
