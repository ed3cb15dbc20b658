"""Lake Shore 370 as the fridge's thermometer and as the heater of the device's stage.

No package has a driver of it. It is the predecessor of the 372, with other commands for the same: RDGK? in place of
KRDG?, HTRRNG, SETP and RAMP without the number of an output, CSET and CMODE for the loop. From the programs of several
labs (frappy, LabRAD, Palladium, pyHegel); **never tried on hardware**:

- GPIB or RS-232 (9600 baud, 7 data bits, odd parity, 1 stop bit); no network. Answers end with CR LF.
- CSET has input, filter, unit (1: K, 2: ohm), delay (s), display (1: current), highest range, and the resistance of the
  heater. The highest range is written as well, so that the instrument itself refuses a higher one.
- The answer to CSET? is taken to have the values that CSET has, in their order; no source at hand shows one.
- Some firmware answers RAMP? with a sign after the number ("0.1:"). Only its first value, on or off, is used.
"""

from typing import Any, ClassVar

from qcodes.instrument import VisaInstrument

from drivers.errors import SettingError
from drivers.lakeshore_bridge import LakeShoreBridge
from drivers.thermometry import MAXIMUM_AGE

__all__ = ["LakeShore370"]

# CSET: input {}, unfiltered, kelvin, 5 s, display of the current, highest range {}, resistance {}.
LOOP = "{},0,1,5,1,{},{:.6g}"
CLOSED = 1


class LakeShore370(LakeShoreBridge, VisaInstrument):
    """A Lake Shore 370 that fills the roles of `drivers.roles.Thermometer` and `drivers.stage_heater.StageHeater`.

    Parameters
    ----------
    name, address
        As for every QCoDeS VISA instrument.
    channel
        Input of the sensor on the device's stage, 1 to 16.
    maximum_age
        Longest scan (s): the age of a reading while the instrument scans.

    """

    model: ClassVar[str] = "Lake Shore 370"
    reading_query: ClassVar[str] = "RDGK? {}"
    range_command: ClassVar[tuple[str, str]] = ("HTRRNG ", "HTRRNG?")
    setpoint_command: ClassVar[tuple[str, str]] = ("SETP ", "SETP?")
    ramp_command: ClassVar[tuple[str, str]] = ("RAMP ", "RAMP?")

    def __init__(
        self, name: str, address: str, channel: int = 1, maximum_age: float = MAXIMUM_AGE, **kwargs: Any
    ) -> None:
        super().__init__(name, address, channel, maximum_age, **({"terminator": "\r\n"} | kwargs))
        self.connect_message()

    def prepare(self, *, maximum_power: float, heater_resistance: float) -> None:
        """Close the loop of the heater and the stage's sensor, in a range of at most `maximum_power` (W).

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
            Even the lowest range may give more, a ramp was left on, or a setting reads back differently.

        """
        self._choose_range(maximum_power, heater_resistance)
        self.output_off()
        self._set_list("CSET ", "CSET?", LOOP.format(self.stage_channel, self._range, heater_resistance))
        self.apply("CMODE", CLOSED)
        answer = self.ask("RAMP?").strip()
        if answer.partition(",")[0] != "0":
            raise SettingError(
                self.described,
                f"a ramp of the set-point is on (RAMP? {answer[:40]}).",
                "Switch it off at the instrument. Nothing was switched on.",
            )
