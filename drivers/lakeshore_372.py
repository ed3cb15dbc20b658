"""Lake Shore 372 as the fridge's thermometer and as the heater of the device's stage.

QCoDeS's driver plus a check of the sensor status, and the control loop of the sample heater (output 0): its eight
ranges, of 31.6 µA to 100 mA, bound the power at the instrument itself. The warm-up heater has one range, of watts.

One resistance bridge measures all inputs: an input at which the scanner does not stand keeps its last reading, with a
good status, however old. So `SCAN?` belongs to each reading. While the instrument scans, a reading is as old as a scan
lasts at most; that is the sum over all enabled inputs of pause and dwell time.
"""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from qcodes.instrument_drivers.Lakeshore import LakeshoreModel372

from drivers.answers import numbers
from drivers.errors import ReadingError
from drivers.lakeshore import LakeShoreInstrument
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
# OUTMODE: the sample heater, in closed loop, from input {}; off after a power failure, unipolar, unfiltered, 5 s.
CLOSED_LOOP = "5,{},0,0,0,5"


class LakeShore372(LakeShoreInstrument, LakeshoreModel372):
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

    sensor_status: ClassVar[Mapping[int, str]] = SENSOR_STATUS
    range_command: ClassVar[tuple[str, str]] = ("RANGE 0,", "RANGE? 0")
    setpoint_command: ClassVar[tuple[str, str]] = ("SETP 0,", "SETP? 0")
    ramp_command: ClassVar[tuple[str, str]] = ("RAMP 0,", "RAMP? 0")
    highest_range: ClassVar[int] = max(RANGES)

    def __init__(
        self, name: str, address: str, channel: int = 1, maximum_age: float = MAXIMUM_AGE, **kwargs: Any
    ) -> None:
        if channel not in INPUTS:
            raise ValueError(f"{name}: channel is {channel!r}; a Lake Shore 372 has inputs 1 to 16")
        self._maximum_age = checked_maximum_age(name, maximum_age)
        self._scan_time = math.nan  # as it was when the instrument was first seen to scan
        super().__init__(name, address, **kwargs)
        self.stage_channel = channel

    def channel_temperature(self, channel: int) -> float:
        """Return the temperature (K) at input `channel`; raises as `temperature`."""
        return self.again(lambda: self._channel_temperature(channel))

    def _require_measured(self, channel: int | str) -> None:
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
            Even the lowest range may give more, set-points are not in kelvin, or a setting reads back differently.

        """
        powers = {code: current**2 * heater_resistance for code, current in RANGES.items()}
        heater = f"the sample heater, in {heater_resistance:g} ohm,"
        self._range = self._largest_range(powers, maximum_power, heater)
        self.output_off()
        self._set_list("OUTMODE 0,", "OUTMODE? 0", CLOSED_LOOP.format(self.stage_channel))
        query = f"INTYPE? {self.stage_channel}"
        self._require_kelvin(query, self.ask_numbers(query, 6)[-1])
        self._stop_ramping()
