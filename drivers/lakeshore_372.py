"""Lake Shore 372 as the fridge's thermometer and as the heater of the device's stage.

QCoDeS's driver plus a check of the sensor status, and the control loop of the sample heater (output 0): its eight
ranges, of 31.6 µA to 100 mA, bound the power at the instrument itself. The warm-up heater has one range, of watts.

One resistance bridge measures all inputs: an input at which the scanner does not stand keeps its last reading, with a
good status, however old. So `SCAN?` belongs to each reading. While the instrument scans, a reading is as old as a scan
lasts at most; that is the sum over all enabled inputs of pause and dwell time.
"""

import math
from typing import Any

from qcodes.instrument_drivers.Lakeshore import LakeshoreModel372

from drivers.answers import TEMPERATURES, numbers, register
from drivers.errors import ReadingError, SettingError
from drivers.reopening import ReopenedInstrument
from drivers.thermometry import MAXIMUM_AGE, checked_maximum_age

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

INPUTS = range(1, 17)
# Full-scale current (A) of the sample heater in its ranges 1 to 8 (manual, "Heater range command").
RANGES = {1: 31.6e-6, 2: 100e-6, 3: 316e-6, 4: 1e-3, 5: 3.16e-3, 6: 10e-3, 7: 31.6e-3, 8: 100e-3}
KELVIN = 1
# OUTMODE: the sample heater, in closed loop, from input {}; off after a power failure, unipolar, unfiltered, 5 s.
CLOSED_LOOP = "5,{},0,0,0,5"


class LakeShore372(ReopenedInstrument, LakeshoreModel372):
    """A Lake Shore 372 that fills the roles of `drivers.roles.Thermometer` and `drivers.stage_heater.StageHeater`.

    Parameters
    ----------
    name, address
        As for every QCoDeS VISA instrument.
    channel
        Input of the sensor on the device's stage, 1 to 16.
    maximum_age
        Longest scan (s): the age of a reading while the instrument scans.

    """

    def __init__(
        self, name: str, address: str, channel: int = 1, maximum_age: float = MAXIMUM_AGE, **kwargs: Any
    ) -> None:
        if channel not in INPUTS:
            raise ValueError(f"{name}: channel is {channel!r}; a Lake Shore 372 has inputs 1 to 16")
        self._maximum_age = checked_maximum_age(name, maximum_age)
        self._scan_time = math.nan  # as it was when the instrument was first seen to scan
        super().__init__(name, address, **kwargs)
        self.stage_channel = channel
        self._range = 0

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
        """One attempt of `channel_temperature`: scanner, status and reading belong together.

        A good status is 0, which is no temperature: the one is never taken for the other.
        """
        self._require_measured(channel)
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

    def _require_measured(self, channel: int) -> None:
        """Refuse an input at which the scanner does not stand, and one that it comes to too rarely."""
        self.distinguish(lambda answer: numbers(answer, 2) is not None)
        answer = self.ask("SCAN?")
        found = numbers(answer, 2)
        if found is None or found[0] not in INPUTS or found[1] not in (0, 1):
            raise self.unexpected(answer, "SCAN?", "an input, and 0 or 1")
        if not found[1] and found[0] != channel:
            raise ReadingError(
                self.described,
                f"input {channel} is not measured, and its reading is old: the scanner stands at input {found[0]:.0f} "
                f"(SCAN? {answer.strip()}).",
                "Switch autoscan on at the instrument, or scan to this input.",
            )
        if found[1] and math.isnan(self._scan_time):
            self._scan_time = self._time_of_scan()
        if found[1] and self._scan_time > self._maximum_age:
            raise ReadingError(
                self.described,
                f"a scan of all enabled inputs lasts {self._scan_time:g} s, so that a reading may be as old; "
                f"maximum_age is {self._maximum_age:g} s.",
                "Disable inputs that are not used, shorten their dwell times, or allow a larger maximum_age in init.",
            )

    def _time_of_scan(self) -> float:
        """Time (s) of a scan of all enabled inputs."""
        total = 0.0
        for channel in INPUTS:
            query = f"INSET? {channel}"
            enabled, dwell, pause, *_ = self.ask_numbers(query, 5)
            if enabled not in (0, 1) or not (1 <= dwell <= 200 and 3 <= pause <= 200):
                raise self.unexpected(f"{enabled:g},{dwell:g},{pause:g},…", query, "0 or 1, dwell and pause time (s)")
            total += enabled * (dwell + pause)
        return total

    # --- heater of the stage -----------------------------------------------------------------------------------------

    def prepare(self, *, maximum_power: float, heater_resistance: float) -> None:
        """Close the loop of the sample heater and the stage's sensor, in a range of at most `maximum_power` (W).

        A heater that is on is switched off first. PID values stay as they were set at the instrument.

        Parameters
        ----------
        maximum_power
            Most power that the range may give.
        heater_resistance
            Of the heater (ohm).

        Raises
        ------
        SettingError
            Even the lowest range may give more, or a setting reads back differently.

        """
        allowed = [code for code, current in RANGES.items() if current**2 * heater_resistance <= maximum_power]
        if not allowed:
            least = RANGES[1] ** 2 * heater_resistance
            raise SettingError(
                self.described,
                f"the lowest range of the sample heater gives up to {least:.3g} W in {heater_resistance:g} ohm, more "
                f"than maximum_power ({maximum_power:g} W).",
                "Nothing was switched on.",
            )
        self._range = max(allowed)
        self.output_off()
        mode = CLOSED_LOOP.format(self.stage_channel)
        self.write(f"OUTMODE 0,{mode}")
        answer = self.ask("OUTMODE? 0")
        if numbers(answer, 6) != numbers(mode, 6):
            raise self.refused("OUTMODE? 0", answer.strip()[:80], mode)
        self._prepare_setpoint()

    def _prepare_setpoint(self) -> None:
        """Set-points are temperatures, and hold at once: neither ohms nor a ramp of the instrument is left behind."""
        query = f"INTYPE? {self.stage_channel}"
        units = self.ask_numbers(query, 6)[-1]
        if units != KELVIN:
            raise SettingError(
                self.described,
                f"the unit of input {self.stage_channel} is not kelvin ({query}: {units:g}, and 1 is kelvin), so that "
                "set-points would be resistances.",
                "Choose kelvin as its preferred unit at the instrument. Nothing was switched on.",
            )
        ramps, rate = self.ask_numbers("RAMP? 0", 2)
        if ramps:
            self.write(f"RAMP 0,0,{rate:g}")
            if self.ask_numbers("RAMP? 0", 2)[0]:
                raise self.refused("RAMP? 0", "1", "0")

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
        self.write(f"RANGE 0,{code}")
        found = self.ask_register("RANGE? 0")
        if found != code:
            raise self.refused("RANGE? 0", f"{found}", f"{code}")

    def output_enabled(self) -> bool:
        """Whether the heater is on, as the instrument answers."""
        return self.again(lambda: self.ask_within("RANGE? 0", 0, max(RANGES))) != 0

    def set_level(self, value: float) -> None:
        """Write the set-point (K) of the control loop."""
        if not (math.isfinite(value) and TEMPERATURES[0] <= value <= TEMPERATURES[1]):
            raise SettingError(
                self.described,
                f"a set-point of {value:g} K was requested; {TEMPERATURES[0]:g} to {TEMPERATURES[1]:g} K are possible.",
                "Nothing was sent.",
            )
        self.write(f"SETP 0,{value:.6g}")

    def level(self) -> float:
        """The set-point (K) of the control loop, as read back."""
        return self.measured(self.ask_number("SETP? 0"), "set-point of the heater (SETP? 0)")

    def next_error(self) -> str | None:
        """Return what the event status register reports as rejected since the last query; None if nothing."""
        status = self.ask_register("*ESR?")
        return f"a rejected command (*ESR? {status})" if status & 48 else None
