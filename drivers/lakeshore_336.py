"""Lake Shore 336 as the fridge's thermometer and as the heater of the device's stage.

QCoDeS's driver plus a check of the sensor status, and the control loop of output 1. Each of its four inputs has its own
converter, so every reading is new. A thermometer for 0.3 K and above, with current reversal; it has no excitation low
enough for a mixing chamber. From QCoDeS's driver and its simulation, and from the manuals of the models 331 and 340,
which have the same commands; **never tried on hardware**:

- The power of a heater's ranges is 1 %, 10 % and 100 % of that at the largest current, as on a 331. HTRSET has that
  current. `prepare` changes neither it nor the resistance that the instrument assumes; it takes the range that fits.
- Set-points are in the preferred unit of the input, which may be °C or ohm: `prepare` refuses that.
- No source at hand says how many values HTRSET of a 336 has. QCoDeS's driver expects five, as on a 335, and the panel
  has four, without the type of the output: the last three are the same, and both are understood. The current of code 4
  is not known for certain either; the largest one of any model is taken for it.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from qcodes.instrument_drivers.Lakeshore import LakeshoreModel336

from drivers.answers import numbers
from drivers.errors import SettingError
from drivers.lakeshore import LakeShoreInstrument
from drivers.stage_heater import largest_range

__all__ = ["LakeShore336"]

INPUTS = ("A", "B", "C", "D")
# Fraction of the largest power in ranges 1 to 3.
FRACTIONS = {1: 0.01, 2: 0.1, 3: 1.0}
# HTRSET: largest current (A) by its code; 0 is the user's own. A bound: the highest one of any output with that code.
CURRENTS = {1: 0.707, 2: 1.0, 3: 1.141, 4: 2.0}
USER, LARGEST = 0, 2.0
# Queried by QCoDeS with HTRSET? and HTR? of all outputs; 3 and 4, which give a voltage, do not answer these.
OF_HEATERS = {
    "output_type",
    "output_heater_resistance",
    "output_max_current",
    "output_max_user_current",
    "output_display",
    "output",
}
# OUTMODE: closed loop, from input {}, off after a power failure.
CLOSED_LOOP = "1,{},0"


class LakeShore336(LakeShoreInstrument, LakeshoreModel336):
    """A Lake Shore 336 that fills the roles of `drivers.roles.Thermometer` and `drivers.stage_heater.StageHeater`.

    Parameters
    ----------
    name, address
        As for every QCoDeS VISA instrument.
    channel
        Input of the sensor on the device's stage, A to D.

    """

    sensor_status: ClassVar[Mapping[int, str]] = {
        1: "invalid reading",
        2: "old reading",
        16: "temperature under range",
        32: "temperature over range",
        64: "sensor units zero",
        128: "sensor units over range",
    }
    range_command: ClassVar[tuple[str, str]] = ("RANGE 1,", "RANGE? 1")
    setpoint_command: ClassVar[tuple[str, str]] = ("SETP 1,", "SETP? 1")
    ramp_command: ClassVar[tuple[str, str]] = ("RAMP 1,", "RAMP? 1")
    highest_range: ClassVar[int] = max(FRACTIONS)

    def __init__(self, name: str, address: str, channel: str = "A", **kwargs: Any) -> None:
        if channel not in INPUTS:
            raise ValueError(f"{name}: channel is {channel!r}; a Lake Shore 336 has inputs A to D")
        super().__init__(name, address, **kwargs)
        self.stage_channel = channel
        for output in (self.output_3, self.output_4):
            for name_of_setting in OF_HEATERS & output.parameters.keys():  # another QCoDeS has others
                output.parameters[name_of_setting].snapshot_exclude = True

    def channel_temperature(self, channel: str) -> float:
        """Return the temperature (K) at input `channel`; raises as `temperature`."""
        return self.again(lambda: self._channel_temperature(channel))

    def prepare(self, *, maximum_power: float, heater_resistance: float) -> None:
        """Close the loop of output 1 and the stage's sensor, in a range of at most `maximum_power` (W).

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
        current = self._largest_current()
        powers = {code: fraction * current**2 * heater_resistance for code, fraction in FRACTIONS.items()}
        heater = f"output 1, with up to {current:g} A (HTRSET? 1) in {heater_resistance:g} ohm,"
        self._range = largest_range(powers, maximum_power, heater, self.described)
        self.output_off()
        self._set_list("OUTMODE 1,", "OUTMODE? 1", CLOSED_LOOP.format(1 + INPUTS.index(str(self.stage_channel))))
        query = f"INTYPE? {self.stage_channel}"
        self._require_kelvin(query, self.ask_numbers(query, 5)[-1])
        self._stop_ramping()

    def _largest_current(self) -> float:
        """The largest current (A) of output 1, as set at the instrument."""
        query = "HTRSET? 1"
        answer = self.ask(query)
        found = numbers(answer, 4) or numbers(answer, 5)
        if found is None:
            raise self.unexpected(answer, query, "4 or 5 numbers")
        code, current, _ = found[-3:]
        if code != USER:
            current = CURRENTS.get(int(code), 0.0)
        if not 0 < current <= LARGEST:
            raise SettingError(
                self.described,
                f"the largest current of output 1 is not known ({query}: {answer.strip()[:40]}).",
                "Set heater resistance and largest current at the instrument. Nothing was switched on.",
            )
        return current
