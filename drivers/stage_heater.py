"""The heater of the device's stage: what an instrument must have to fill the role `stage`, and what bounds it."""

import math
from collections.abc import Mapping
from typing import Protocol, TypeVar

from drivers.answers import TEMPERATURES
from drivers.errors import SettingError
from drivers.roles import Adjustable

__all__ = ["StageHeater", "checked_setpoint", "largest_range"]

Range = TypeVar("Range", int, float)


class StageHeater(Adjustable, Protocol):
    """A control loop that holds the device's stage at a temperature with a heater; its level is the set-point (K)."""

    def prepare(self, *, maximum_power: float, heater_resistance: float) -> None:
        """Close the loop so that the heater (ohm) gives at most `maximum_power` (W); read back. It goes off."""

    def output_on(self) -> None:
        """Switch the heater on, with the present temperature of the stage as set-point."""

    def output_off(self) -> None:
        """Switch the heater off."""

    def output_enabled(self) -> bool:
        """Whether the heater is on, as the instrument answers."""


def largest_range(powers: Mapping[Range, float], maximum_power: float, heater: str, described: str) -> Range:
    """Return the highest range whose power (W) is at most `maximum_power`.

    Parameters
    ----------
    powers
        Range → most power (W) that it gives.
    maximum_power
        Most power (W) that is allowed.
    heater, described
        The heater, and name and address of the instrument, for the message.

    Raises
    ------
    SettingError
        There is none.

    """
    allowed = [code for code, power in powers.items() if power <= maximum_power]
    if not allowed:
        raise SettingError(
            described,
            f"the lowest range of {heater} gives up to {min(powers.values()):.3g} W, more than maximum_power "
            f"({maximum_power:g} W).",
            "Nothing was switched on.",
        )
    return max(allowed)


def checked_setpoint(value: float, described: str) -> str:
    """Return a set-point (K) as text for the instrument `described`.

    Raises
    ------
    SettingError
        It is no temperature of a fridge.

    """
    low, high = TEMPERATURES
    if not (math.isfinite(value) and low <= value <= high):
        raise SettingError(
            described,
            f"a set-point of {value:g} K was requested; {low:g} to {high:g} K are possible.",
            "Nothing was sent.",
        )
    return f"{value:.6g}"
