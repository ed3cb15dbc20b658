"""Keithley 2450 source-meter as the bias source: QCoDeS's driver with checks of every setting and reading.

Math, a relative offset, another unit than ampere (`:SENS:CURR:UNIT`, of which OHM and WATT are calculated from voltage
and current) and few digits change what `:READ?` answers (reference manuals of the 2450, 2450-901-01 Rev. B, 3-6 and
6-7, and of the 2461, 2461-901-01, section 6, whose commands are the same). **Never tried on hardware.**
"""

import math
from functools import partial
from typing import Any

from qcodes.instrument_drivers.Keithley import Keithley2450 as QcodesKeithley2450

from drivers.acquiring import readable
from drivers.answers import marker, register
from drivers.errors import ComplianceError, InstrumentError
from drivers.keithley_language import language_error
from drivers.keithley_ramp import BUFFER, TriggerModelRamp
from drivers.roles import SourceReading
from drivers.scpi_source import MainsSourceMeter

__all__ = ["Keithley2450"]

# Source status word of a reading (reference manual, bufferVar.sourcestatuses).
SOURCE_LIMITED = 32
# Source ranges (V) and current ranges (A). A range extends 5 % beyond its nominal value; a reading beyond READABLE
# times the range is none.
VOLTAGE_RANGES = tuple(2 * 10.0**decade for decade in range(-2, 3))
CURRENT_RANGES = tuple(10.0**decade for decade in range(-8, 1))
READABLE = 1.1
OTHER_LANGUAGES = ("SCPI2400", "TSP")
# What is asked for of a reading: source voltage, current, status of the source.
ELEMENTS = "SOUR,READ,SOURSTAT"
# What changes the number or the digits of a reading, and stays as somebody has left it.
READINGS: dict[str, float | str] = {
    ":SENS:COUN": 1,
    ":FORM:DATA": "ASC",
    ":FORM:ASC:PREC": 0,  # the instrument chooses, which is all digits of a reading
    ":SENS:CURR:UNIT": "AMP",
    ":SENS:CURR:REL:STAT": False,
    ":CALC:CURR:MATH:STAT": False,
}
# Settings that each reading confirms.
BESIDE = (
    ":SENS:FUNC?",
    ":SENS:CURR:RANG?",
    ":SENS:CURR:RANG:AUTO?",
    ":SENS:CURR:AVER?",
    ":SOUR:VOLT:READ:BACK?",
    *(f"{command}?" for command in READINGS),
)


class Keithley2450(MainsSourceMeter, TriggerModelRamp, QcodesKeithley2450):
    """A Keithley 2450 that fills the role of `drivers.roles.BiasSource`: it sources voltage and measures current.

    It ramps by itself, also with a reading at each level (`drivers.capabilities.BufferedSweep`), and says whether it
    was left as a current source (`drivers.protection.CurrentSourcing`).

    `output_enabled()` is a parameter, as in QCoDeS; it queries the instrument each time.

    Raises
    ------
    SettingError
        If the instrument has another command language than SCPI.

    """

    largest_voltage = MainsSourceMeter.headroom * VOLTAGE_RANGES[-1]
    largest_current = MainsSourceMeter.headroom * CURRENT_RANGES[-1]
    _ranges = (math.nan, math.nan)  # of voltage (V) and current (A), as `prepare` has chosen them

    def __init__(self, name: str, address: str, **kwargs: Any) -> None:
        super().__init__(name, address, **kwargs)
        if "output_enabled" not in self.parameters:  # QCoDeS adds none of its parameters in another language
            try:
                raise language_error(self, OTHER_LANGUAGES)
            except InstrumentError:
                self.close()
                raise
        self.remove_parameter("output_enabled")
        self.output_enabled = self.add_parameter(
            "output_enabled",
            get_cmd=self._output_state,
            set_cmd=lambda on: self.apply(":OUTP", bool(on)),
            docstring="Whether the output is on, queried each time; any answer but 0 or 1 is an error.",
        )
        for module in self.submodules.values():
            if "user_number" in module.parameters:
                # Without a number a snapshot queries `DELay:USERNone?`, which the instrument rejects.
                module.parameters["user_number"].set(1)

    def prepare(
        self, *, maximum_voltage: float, maximum_current: float, compliance: float, integration_time: float
    ) -> None:
        """Choose fixed ranges, write the compliance and read everything back; level and output do not change.

        Parameters
        ----------
        maximum_voltage
            Largest future source level (V). A present level beyond it keeps a range that includes it.
        maximum_current
            Largest current (A) to be measured.
        compliance
            Current limit (A).
        integration_time
            Time of one current reading (s); beyond 10 power-line cycles readings are averaged in the instrument.

        Raises
        ------
        SettingError
            If the instrument holds other values, or sources current with its output on.
        RejectedCommandError
            If its error queue has an entry.

        """
        self._confirmed = {}
        self.discard_errors()
        self._source_voltage()
        self.write(':SENS:FUNC "CURR"')
        self._confirmed[":SENS:FUNC?"] = "CURR:DC"
        largest = max(abs(maximum_voltage), abs(self.level()))
        voltage_range = self._choose_range(":SOUR:VOLT:RANG", largest, VOLTAGE_RANGES)
        self.apply(":SOUR:VOLT:ILIM", compliance, tolerance=1e-3 * compliance)
        self._ranges = (voltage_range, self._choose_range(":SENS:CURR:RANG", abs(maximum_current), CURRENT_RANGES))
        self._choose_integration_time(integration_time)
        self.apply(":SOUR:VOLT:READ:BACK", True)
        self.apply_together(READINGS)
        self.check_errors()
        self.require_unchanged("at the end of its preparation")

    def read(self) -> SourceReading:
        """Measure voltage and current once, in one query, repeated without a usable answer.

        Raises
        ------
        ComplianceError
            If the source is at its current limit.
        OverloadError
            If voltage or current is beyond its range.
        SettingError
            If a setting that a reading depends on changed since it was prepared.

        """
        return self.again(self._asked_reading)

    def fetch_sweep(self, count: int) -> list[SourceReading]:
        """The readings of a sweep of `count` levels, up to the first at the current limit or beyond a range.

        Raises
        ------
        CommunicationError
            If the buffer holds another number of readings, or an answer is none.
        SettingError
            As `read`.

        """
        stored = f':TRAC:ACT? "{BUFFER}"'
        if (number := self.again(lambda: self.ask_number(stored))) != count:
            raise self.unexpected(f"{number:g}", stored, f"{count}, one for each level,")
        query = f':TRAC:DATA? 1,{count},"{BUFFER}",{ELEMENTS}'
        numbers = self.again(lambda: self.ask_reading(query, 3 * count, self._beside()))
        return readable(numbers, partial(self._reading, query))

    def _asked_reading(self) -> SourceReading:
        query = f':READ? "{BUFFER}",{ELEMENTS}'
        return self._reading(query, *self.ask_reading(query, 3, self._beside()))

    def _beside(self) -> tuple[str, ...]:
        return tuple(query for query in BESIDE if query in self._confirmed)

    def _reading(self, query: str, voltage: float, current: float, status: float) -> SourceReading:
        """Voltage (V), current (A) and source status of an answer to `query` as a reading."""
        answer = f"{voltage:g},{current:g},{status:g}"
        word = register(f"{status:g}")
        if word is None:
            raise self.unexpected(answer, query, "voltage, current and a status word")
        if word & SOURCE_LIMITED:
            raise ComplianceError(
                self.described,
                f"is at its current limit (current {marker(current) or f'{current:g} A'}, voltage {voltage:g} V).",
                "The voltage at the device is not the one that was set: lower the bias or raise the compliance.",
            )
        command = query.partition(" ")[0]
        reading = SourceReading(
            self.measured(voltage, f"source voltage ({command})"),
            self.measured(current, f"current ({command})"),
            *self._ranges,
        )
        if abs(voltage) > READABLE * reading.voltage_range or abs(current) > READABLE * reading.current_range:
            raise self.unexpected(
                answer, query, f"at most {reading.voltage_range:g} (V) and {reading.current_range:g} (A), its ranges,"
            )
        return reading
