"""Relative offset and math of the Keithley 2450 and DMM6500: settings of a function, and what they make of a reading.

From the reference manuals of the 2450 (2450-901-01 Rev. B, 3-6 and 6-7) and the 2461 (2461-901-01, 6-19): math follows
the relative offset.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from sim_instruments.panels.front_panel import Setting
from sim_instruments.panels.scpi_values import Choice, Number, Switch

__all__ = ["OVERFLOW", "calculated", "math_settings"]

OVERFLOW = 9.9e37


def math_settings(function: str, header: str) -> Iterator[Setting]:
    """The settings of a `function`, whose header is `header`."""
    at = f"[:SENSe<n>]:{header}:RELative"
    yield Setting(at, f"{function} relative value", Number(0.0, -1e8, 1e8))
    yield Setting(f"{at}:STATe", f"{function} relative", Switch(False))
    at = f":CALCulate<n>:{header}:MATH"
    yield Setting(f"{at}:STATe", f"{function} math", Switch(False))
    yield Setting(f"{at}:FORMat", f"{function} math kind", Choice("PERCent", "MXB", "RECiprocal"))
    yield Setting(f"{at}:MBFactor", f"{function} math b", Number(0.0, -1e12, 1e12))
    yield Setting(f"{at}:MMFactor", f"{function} math m", Number(1.0, -1e12, 1e12))
    yield Setting(f"{at}:PERCent", f"{function} math reference", Number(1.0, -1e12, 1e12))


def calculated(state: Mapping[str, Any], function: str, value: float) -> float:
    """A reading `value` after relative offset and math; an overflow stays one."""
    if abs(value) >= OVERFLOW:
        return value
    if state[f"{function} relative"]:
        value -= state[f"{function} relative value"]
    if not state[f"{function} math"]:
        return value
    if state[f"{function} math kind"] == "MXB":
        return float(state[f"{function} math m"] * value + state[f"{function} math b"])
    if state[f"{function} math kind"] == "REC":
        return float(1 / value) if value else OVERFLOW
    reference = state[f"{function} math reference"]
    return float((value - reference) / reference * 100)
