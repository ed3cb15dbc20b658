"""The AC resistance bridges of Lake Shore (370, 372): one bridge, and a scanner in front of its sixteen inputs.

An input at which the scanner does not stand keeps its last reading, with a good status, however old. So `SCAN?` belongs
to each reading. While the instrument scans, a reading is as old as a scan lasts at most; that is the sum over all
enabled inputs of pause and dwell time.
"""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from drivers.answers import numbers
from drivers.errors import ReadingError
from drivers.lakeshore import LakeShoreInstrument
from drivers.stage_heater import largest_range
from drivers.thermometry import MAXIMUM_AGE, checked_maximum_age

__all__ = ["RANGES", "LakeShoreBridge"]

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
#: Full-scale current (A) of the sample heater in its ranges 1 to 8 (manual, "Heater range command").
RANGES = {1: 31.6e-6, 2: 100e-6, 3: 316e-6, 4: 1e-3, 5: 3.16e-3, 6: 10e-3, 7: 31.6e-3, 8: 100e-3}


class LakeShoreBridge(LakeShoreInstrument):
    """A bridge with a scanner, and a sample heater with eight ranges.

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
    highest_range: ClassVar[int] = max(RANGES)
    #: Name of the model, for messages.
    model: ClassVar[str]

    def __init__(
        self, name: str, address: str, channel: int = 1, maximum_age: float = MAXIMUM_AGE, **kwargs: Any
    ) -> None:
        if channel not in INPUTS:
            raise ValueError(f"{name}: channel is {channel!r}; a {self.model} has inputs 1 to 16")
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

    def _choose_range(self, maximum_power: float, heater_resistance: float) -> None:
        """Note the highest range that gives at most `maximum_power` (W) in `heater_resistance` (ohm)."""
        powers = {code: current**2 * heater_resistance for code, current in RANGES.items()}
        heater = f"the sample heater, in {heater_resistance:g} ohm,"
        self._range = largest_range(powers, maximum_power, heater, self.described)
