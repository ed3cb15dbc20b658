"""Lake Shore 372 as the fridge's thermometer and as the heater of the device's stage.

QCoDeS's driver plus a check of the sensor status and of the scanner (`drivers.lakeshore_bridge`), and the control loop
of the sample heater (output 0): its eight ranges, of 31.6 µA to 100 mA, bound the power at the instrument itself. The
warm-up heater has one range, of watts.
"""

from typing import ClassVar

from qcodes.instrument_drivers.Lakeshore import LakeshoreModel372

from drivers.lakeshore_bridge import LakeShoreBridge

__all__ = ["LakeShore372"]

# OUTMODE: the sample heater, in closed loop, from input {}; off after a power failure, unipolar, unfiltered, 5 s.
CLOSED_LOOP = "5,{},0,0,0,5"


class LakeShore372(LakeShoreBridge, LakeshoreModel372):
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

    model: ClassVar[str] = "Lake Shore 372"
    range_command: ClassVar[tuple[str, str]] = ("RANGE 0,", "RANGE? 0")
    setpoint_command: ClassVar[tuple[str, str]] = ("SETP 0,", "SETP? 0")
    ramp_command: ClassVar[tuple[str, str]] = ("RAMP 0,", "RAMP? 0")

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
        self._choose_range(maximum_power, heater_resistance)
        self.output_off()
        self._set_list("OUTMODE 0,", "OUTMODE? 0", CLOSED_LOOP.format(self.stage_channel))
        query = f"INTYPE? {self.stage_channel}"
        self._require_kelvin(query, self.ask_numbers(query, 6)[-1])
        self._stop_ramping()
