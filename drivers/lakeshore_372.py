"""Lake Shore 372 resistance bridge as the fridge's thermometer: QCoDeS's driver plus a check of the sensor status."""

from typing import Any

from qcodes.instrument_drivers.Lakeshore import LakeshoreModel372

from drivers.answers import TEMPERATURES, register
from drivers.errors import ReadingError
from drivers.scpi import CheckedInstrument

__all__ = ["LakeShore372"]

# RDGST? bits (manual, "Reading status query"), as on the front panel and in words.
SENSOR_STATUS = {
    1: "CS OVL, current source overload",
    2: "VCM OVL, common mode voltage overload",
    4: "VMIX OVL, mixer overload",
    8: "VDIF OVL, differential voltage overload",
    16: "R. OVER, resistance over range",
    32: "R. UNDER, resistance under range",
    64: "T. OVER, temperature over range",
    128: "T. UNDER, temperature under range",
}


class LakeShore372(CheckedInstrument, LakeshoreModel372):
    """A Lake Shore 372 that fills the role of `drivers.roles.Thermometer`.

    Parameters
    ----------
    name, address
        As for every QCoDeS VISA instrument.
    channel
        Input of the sensor on the device's stage, 1 to 16.

    """

    def __init__(self, name: str, address: str, channel: int = 1, **kwargs: Any) -> None:
        if channel not in range(1, 17):
            raise ValueError(f"{name}: channel is {channel!r}; a Lake Shore 372 has inputs 1 to 16")
        super().__init__(name, address, **kwargs)
        self.stage_channel = channel

    def temperature(self) -> float:
        """Return the temperature (K) of the device's stage.

        Raises
        ------
        ReadingError
            If the sensor's status is not valid, or the reading is not a temperature.

        """
        return self.channel_temperature(self.stage_channel)

    def channel_temperature(self, channel: int) -> float:
        """Return the temperature (K) at input `channel`; raises as `temperature`."""
        return self.again(lambda: self._channel_temperature(channel))

    def _channel_temperature(self, channel: int) -> float:
        """One attempt of `channel_temperature`: status and reading belong together.

        A good status is 0, which is no temperature: the one is never taken for the other.
        """
        self.distinguish(lambda answer: register(answer) is not None)
        status = self.ask_register(f"RDGST? {channel}")
        if status:
            reasons = "; ".join(reason for bit, reason in SENSOR_STATUS.items() if status & bit) or "unknown reason"
            raise ReadingError(
                self.described,
                f"input {channel} has no valid reading: {reasons} (RDGST? {status}).",
                "Check that the input is enabled, its excitation and its range.",
            )
        query = f"KRDG? {channel}"
        kelvin = self.measured(self.ask_number(query), f"temperature of input {channel} ({query})")
        if not kelvin > 0:
            raise ReadingError(
                self.described, f"input {channel} reads {kelvin:g} K, which is not a temperature ({query})."
            )
        low, high = TEMPERATURES
        if not low <= kelvin <= high:
            raise self.unexpected(f"{kelvin:g}", query, f"a temperature from {low:g} to {high:g} K")
        return kelvin

    def next_error(self) -> str | None:
        """Return what the event status register reports as rejected since the last query; None if nothing."""
        status = self.ask_register("*ESR?")
        return f"a rejected command (*ESR? {status})" if status & 48 else None
