"""The heater of the device's stage: what an instrument must have to fill the role `stage`."""

from typing import Protocol

from drivers.roles import Adjustable

__all__ = ["StageHeater"]


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
