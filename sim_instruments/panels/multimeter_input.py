"""What there is at the input of a multimeter, and how the names of its functions are spelled."""

from collections.abc import Mapping
from typing import Literal

from sim_instruments.panels.scpi_values import ScpiError, mnemonic_matches
from sim_instruments.world.fridge import World
from sim_instruments.world.truth import Signal
from sim_instruments.world.wires import Wires

__all__ = ["OVERFLOW", "metered_input", "named_function"]

OVERFLOW = 9.9e37
"""What it reads beyond its range."""


def metered_input(world: World, wires: Wires, measures: Literal["VOLT", "CURR"], seconds: float, held: float) -> float:
    """What there is at the front terminals (V or A) while one reading integrates for `seconds` in a range `held`.

    A meter that measures the other quantity than what it is connected to reads nothing.
    """
    signal = wires.signal or Signal(gain=world.wiring.gain())
    direct = signal.of == "current" and signal.gain == 1.0
    if measures != ("CURR" if direct else "VOLT"):
        return 0.0
    return world.metered(1 / (2 * seconds), signal, held)


def named_function(spelled: Mapping[str, str], text: str) -> str:
    """The function that `text` names in long or short form; `spelled` has SCPI notation → function.

    Raises
    ------
    ScpiError
        -224.

    """
    given = text.strip().split(":")
    for notation, function in spelled.items():
        nodes = notation.split(":")
        if len(nodes) == len(given) and all(map(mnemonic_matches, nodes, given)):
            return function
    raise ScpiError(-224)
