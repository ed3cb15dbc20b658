"""What Lake Shore's bridges and controllers have in common: status and reading of an input, and one control loop.

A reading is used only with a good status, 0, which is no temperature: the one is never taken for the other. The heater
of the loop goes on with the present temperature as set-point, and its range bounds the power at the instrument itself.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from drivers.answers import TEMPERATURES, numbers, register
from drivers.errors import ReadingError, SettingError
from drivers.scpi import CheckedInstrument
from drivers.stage_heater import checked_setpoint

__all__ = ["LakeShoreInstrument"]

KELVIN = 1


class LakeShoreInstrument(CheckedInstrument):
    """A Lake Shore instrument with a sensor on the device's stage, and a heater there (`drivers.stage_heater`)."""

    #: Bits of RDGST?, as on the front panel and in words.
    sensor_status: ClassVar[Mapping[int, str]]
    #: Query of the temperature (K) of an input.
    reading_query: ClassVar[str] = "KRDG? {}"
    #: Command and query of the heater's range, of the set-point and of its ramp, up to the value.
    range_command: ClassVar[tuple[str, str]]
    setpoint_command: ClassVar[tuple[str, str]]
    ramp_command: ClassVar[tuple[str, str]]
    #: Number of the highest range.
    highest_range: ClassVar[int]

    stage_channel: int | str
    _range = 0

    # --- thermometer -------------------------------------------------------------------------------------------------

    def temperature(self) -> float:
        """Return the temperature (K) of the device's stage.

        Raises
        ------
        ReadingError
            The sensor's status is not valid, the reading is not a temperature, or it may be old.

        """
        return self.again(lambda: self._channel_temperature(self.stage_channel))

    def _require_measured(self, channel: int | str) -> None:
        """Refuse an input whose reading may be old; nothing to do where every input has its own converter."""

    def _channel_temperature(self, channel: int | str) -> float:
        """One attempt of a reading: status and reading belong together."""
        self._require_measured(channel)
        self.distinguish(lambda answer: register(answer) is not None)
        status = self.ask_register(f"RDGST? {channel}")
        if status:
            known = self.sensor_status.items()
            reasons = "; ".join(reason for bit, reason in known if status & bit) or "unknown reason"
            raise ReadingError(
                self.described,
                f"input {channel} has no valid reading: {reasons} (RDGST? {status}).",
                "Check that the input is enabled, its excitation and its range.",
            )
        query = self.reading_query.format(channel)
        kelvin = self.measured(self.ask_number(query), f"temperature of input {channel} ({query})")
        if not kelvin > 0:
            raise ReadingError(
                self.described, f"input {channel} reads {kelvin:g} K, which is not a temperature ({query})."
            )
        low, high = TEMPERATURES
        if not low <= kelvin <= high:
            raise self.unexpected(f"{kelvin:g}", query, f"a temperature from {low:g} to {high:g} K")
        return kelvin

    # --- heater of the stage -----------------------------------------------------------------------------------------

    @abstractmethod
    def prepare(self, *, maximum_power: float, heater_resistance: float) -> None:
        """Close the loop in a range of at most `maximum_power` (W); see `drivers.stage_heater.StageHeater`."""

    def _set_list(self, command: str, query: str, values: str) -> None:
        """Write several numbers and read them back."""
        self.write(f"{command}{values}")
        answer = self.ask(query)
        count = len(values.split(","))
        if numbers(answer, count) != numbers(values, count):
            raise self.refused(query, answer.strip()[:80], values)

    def _require_kelvin(self, query: str, units: float) -> None:
        """Refuse a set-point that would be in another unit than kelvin; `units` is what `query` answers."""
        if units != KELVIN:
            raise SettingError(
                self.described,
                f"the unit of input {self.stage_channel} is not kelvin ({query}: {units:g}, and 1 is kelvin), so that "
                "set-points would be other quantities.",
                "Choose kelvin as its preferred unit at the instrument. Nothing was switched on.",
            )

    def _stop_ramping(self) -> None:
        """Switch a ramp of set-points off that was left on."""
        command, query = self.ramp_command
        ramps, rate = self.ask_numbers(query, 2)
        if ramps:
            self.write(f"{command}0,{rate:g}")
            if self.ask_numbers(query, 2)[0]:
                raise self.refused(query, "1", "0")

    def output_on(self) -> None:
        """Switch the heater on, with the present temperature of the stage as set-point: it does not heat yet.

        Raises
        ------
        SettingError
            `prepare` has not chosen its range, or a setting reads back differently.
        ReadingError
            The stage's sensor has no valid reading; the heater stays off.

        """
        if not self._range:
            raise SettingError(self.described, "the range of its heater is not known.", "Call prepare() first.")
        self.set_level(self.temperature())
        self._switch(self._range)

    def output_off(self) -> None:
        """Switch the heater off, and read that back."""
        self._switch(0)

    def _switch(self, code: int) -> None:
        command, query = self.range_command
        self.write(f"{command}{code}")
        found = self.ask_register(query)
        if found != code:
            raise self.refused(query, f"{found}", f"{code}")

    def output_enabled(self) -> bool:
        """Whether the heater is on, as the instrument answers."""
        return self.again(lambda: self.ask_within(self.range_command[1], 0, self.highest_range)) != 0

    def set_level(self, value: float) -> None:
        """Write the set-point (K) of the control loop; raises as `drivers.stage_heater.checked_setpoint`."""
        self.write(f"{self.setpoint_command[0]}{checked_setpoint(value, self.described)}")

    def level(self) -> float:
        """The set-point (K) of the control loop, as read back."""
        query = self.setpoint_command[1]
        return self.measured(self.ask_number(query), f"set-point of the heater ({query})")

    def next_error(self) -> str | None:
        """Return what the event status register reports as rejected since the last query; None if nothing."""
        status = self.ask_register("*ESR?")
        return f"a rejected command (*ESR? {status})" if status & 48 else None
