"""Keithley DMM6500 multimeter as a meter: QCoDeS's driver with checks of every setting and reading.

From its drivers in QCoDeS, qcodes_contrib_drivers and pymeasure, a page of the reference manual of the DMM7510, which
has the same commands, and programs of users; **never tried on hardware**:

- It must speak SCPI; QCoDeS ends with an error of its own where it speaks TSP or emulates a 2000 or a 34401A.
- A relative offset, math, a unit (dB), a filter, a count of readings or few digits that somebody left change what
  READ? answers.
- Overload is 9.9e37. The ranges reach to 1.2 times their name, those of 1000 V and 3 A not.
- With the input impedance at AUTO it is above 10 Gohm up to the 10 V range; the 10 Mohm of power-up (MOHM10) load a
  source of 1 Mohm by 9 %.
- A buffer that is filled once accepts no reading once it is full. Readings go into defbuffer1, which is set to
  overwrite its oldest ones; no reading of somebody else's is erased on purpose.
- Front or rear terminals are chosen by a switch that the bus only reads: the station file says which. A scanner card is
  behind the rear ones, and its closed channels are in parallel with them.

The mean of several integrations is made by the instrument's repeating filter, each of whole power-line cycles.
"""

import math
import re
from typing import Any, ClassVar, Literal

from qcodes.instrument_drivers.Keithley import Keithley6500
from qcodes.instrument_drivers.Keithley.Keithley_6500 import Keithley6500CommandSetError

from drivers.answers import is_choice
from drivers.errors import InstrumentError, SettingError
from drivers.keithley_language import language_error
from drivers.multimeter import Multimeter

__all__ = ["KeithleyDMM6500"]

OTHER_LANGUAGES = ("TSP", "SCPI2000", "SCPI34401")
# Power-line cycles of one integration (at 60 Hz 15 are possible), and the most that the filter averages.
SHORTEST_NPLC, LONGEST_NPLC, MOST_AVERAGES = 0.0005, 12.0, 100
# Significant digits of a reading in text; with 0, the default, the instrument chooses them.
DIGITS = 10
# Time (s) of one integration beyond its cycles.
OVERHEAD = 0.05
BUSY = ("RUNNING", "WAITING")


class KeithleyDMM6500(Multimeter, Keithley6500):
    """A DMM6500 that fills the role of `drivers.roles.Meter` and is prepared as a `RangedMeter`.

    Parameters
    ----------
    name, address
        Of the instrument.
    terminals
        The input terminals that the device is connected to: `front` or `rear`.

    Raises
    ------
    SettingError
        If the instrument has another command language than SCPI.

    """

    models: ClassVar[tuple[str, ...]] = ("DMM6500",)
    sensed: ClassVar[dict[str, str]] = {"V": "VOLT:DC", "A": "CURR:DC"}
    current_ranges: ClassVar[tuple[float, ...]] = (1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 3.0)
    read_query: ClassVar[str] = ':READ? "defbuffer1",READ'
    emulation: ClassVar[str] = ""

    def __init__(self, name: str, address: str, terminals: Literal["front", "rear"] = "front", **kwargs: Any) -> None:
        try:
            super().__init__(name, address, terminals=terminals, **kwargs)
        except Keithley6500CommandSetError as error:
            try:
                raise language_error(self, OTHER_LANGUAGES) from error
            except InstrumentError:
                self.close()
                raise

    def _set_up(self, unit: Literal["A", "V"], chosen: float, integration_time: float) -> None:
        function = self.sensed[unit]
        at = f":SENS:{function}"
        self.write(":ABOR")
        self.discard_errors()
        self._check_idle()
        self._check_terminals()
        self._choose_function(function)
        self.apply(f"{at}:RANG", chosen, tolerance=1e-3 * chosen)
        self.require(f"{at}:RANG:AUTO?", 0.0)
        mains = self._mains()
        cycles, averages = self._cycles(integration_time, mains)
        self.apply(f"{at}:NPLC", cycles, tolerance=1e-3 * cycles)
        self._choose_filter(at, averages)
        # In step with the mains less than a cycle would always be the same part of it.
        self.apply(f"{at}:LINE:SYNC", cycles >= 1)
        self.apply(f"{at}:AZER", True)
        self.apply(f"{at}:DEL:AUTO", True)
        if unit == "V":
            self.choose(f"{at}:INP", "AUTO")
        self.apply_together({query[:-1]: value for query, value in self._changing(unit).items()})
        self._choose_answer()
        self._beside = (
            ":SENS:FUNC?", f"{at}:RANG?", f"{at}:RANG:AUTO?", f"{at}:AVER?", ":SENS:COUN?", ":ROUT:TERM?",
            ":FORM:ASC:PREC?", *self._changing(unit), *((f"{at}:INP?",) if unit == "V" else ()),
        )  # fmt: skip
        self._duration = averages * (2 * (cycles + 1) / mains + OVERHEAD)

    def _changing(self, unit: Literal["A", "V"]) -> dict[str, float | str]:
        function = self.sensed[unit]
        found: dict[str, float | str] = {f":SENS:{function}:REL:STAT?": 0, f":CALC:{function}:MATH:STAT?": 0}
        return found | ({f":SENS:{function}:UNIT?": "VOLT"} if unit == "V" else {})

    def _check_idle(self) -> None:
        """Whether the trigger model has ended: a scan, or readings on an external trigger."""
        state = self.ask(":TRIG:STAT?").strip()
        if state.upper().startswith(BUSY):
            raise SettingError(
                self.described,
                f"its trigger model is {state[:80]} after :ABOR; readings would be mixed with its own.",
                "End it at the front panel (press TRIGGER for two seconds, Abort Trigger Model).",
            )

    def _check_terminals(self) -> None:
        """As for every multimeter, and whether channels of a scanner card are in parallel with the rear terminals."""
        super()._check_terminals()
        if self._terminals != "rear" or is_choice(self.ask(":SYST:CARD1:IDN?"), "EMPTY SLOT"):
            return
        closed = self.ask(":ROUT:CLOS?").strip()
        if re.search(r"\d", closed):
            raise SettingError(
                self.described,
                f"its scanner card has channels closed ({closed[:80]}), in parallel with the rear terminals.",
                "Open them (:ROUT:OPEN:ALL, or at the front panel), or use the front terminals.",
            )

    @classmethod
    def reading_time(cls, integration_time: float, line_frequency: float) -> float:
        """Each integration begins in step with the mains, and is followed by one of zero (`TimedReading`)."""
        cycles = integration_time * line_frequency * (1 - 1e-9)
        averages = max(1, math.ceil(cycles / LONGEST_NPLC))
        each = math.ceil(cycles / averages) if cycles > 1 else cycles
        return averages * (2 * each + (each >= 1)) / line_frequency

    def _cycles(self, seconds: float, mains: float) -> tuple[float, int]:
        """Power-line cycles of one integration, whole ones from one on, and the number of integrations."""
        needed = seconds * mains * (1 - 1e-9)
        if not 0 < needed <= LONGEST_NPLC * MOST_AVERAGES:
            raise self._impossible_time(seconds, LONGEST_NPLC * MOST_AVERAGES / mains)
        if needed <= 1:
            return max(seconds * mains, SHORTEST_NPLC), 1
        averages = math.ceil(needed / LONGEST_NPLC)
        return float(math.ceil(needed / averages)), averages

    def _choose_filter(self, at: str, averages: int) -> None:
        """The mean of `averages` integrations, without a window, or no filter."""
        if averages > 1:
            self.choose(f"{at}:AVER:TCON", "REP")
            self.apply(f"{at}:AVER:COUN", averages)
            self.apply(f"{at}:AVER:WIND", 0.0)
        self.apply(f"{at}:AVER", averages > 1)

    def _choose_answer(self) -> None:
        """One reading for each READ?, as text with all its digits, into a buffer that is never full."""
        self.apply(":SENS:COUN", 1)
        self.choose(":FORM:DATA", "ASC")
        self.apply(":FORM:ASC:PREC", DIGITS)
        if not is_choice(self.ask(":TRAC:FILL:MODE?"), "CONT"):
            self.write(":TRAC:FILL:MODE CONT")
        self.require_choice(":TRAC:FILL:MODE?", "CONT")
