"""Keys of earlier station files, read as what they are called now."""

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
"""Gain (V/A) that earlier files had where they gave none."""


def migrated(section: dict[str, Any], path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The `labnis:` section with today's keys, and the lines that the station file should have instead of its own.

    The lines are empty, and nothing is changed, where the file has no old keys. Otherwise one warning tells them.
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
        if changed:  # a file that has only this old key is read without a warning
            changed["device"] = now["device"]
    if not changed:
        return now, ()
    lines = ("labnis:", *(f"  {line}" for line in _yaml(changed)))
    warnings.warn(
        f"{path} has keys of an earlier version; write instead\n" + "\n".join(lines), LabnisWarning, stacklevel=4
    )
    return now, lines


def _old_amplifier(roles: dict[str, Any], wiring: dict[str, Any]) -> bool:
    """Whether the amplifier is described as in earlier files, or not at all where the lock-in has always had one."""
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
