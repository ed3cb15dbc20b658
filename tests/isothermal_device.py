"""The shipped device with electrons of one temperature at every bias, of which everything is known in closed form."""

import re

from ruamel.yaml import YAML

from sim_instruments import SHIPPED_TRUTH, Truth

__all__ = ["ISOTHERMAL_TEXT", "isothermal"]

ISOTHERMAL_TEXT, _ISLANDS = re.subn(
    r"(?<=\nisland:\n)(?:  .*\n)+", "  temperature: 0.110\n", SHIPPED_TRUTH.read_text(encoding="utf-8")
)
"""Its truth file."""
assert _ISLANDS == 1


def isothermal() -> Truth:
    """Its truth."""
    return Truth.model_validate(YAML(typ="safe", pure=True).load(ISOTHERMAL_TEXT))
