"""Keysight (Agilent) B2900 source-meters as the bias source: B2901A, B2902A, B2911A, B2912A and their B models.

From the SCPI command reference B2910-90030 (edition 2), the user's guide (editions 2 and 5) and the data sheet.
**Never tried on hardware.**

- A reading switches the output on by itself if automatic output-on is set, as it is after a reset: it is switched off,
  again in the same message as each reading.
- To change a range of voltage or current makes an overshoot of up to 250 mV at a high resistance (data sheet): it is
  switched with the output off only.
- A current range does not go beyond the lowest range that covers the compliance.
- `:SOUR:FUNC` is the shape (DC or pulse); what is sourced is `:SOUR:FUNC:MODE`.
- Beyond 2 s an integration is an average of several readings, by the count of the trigger.

Unknown: the lowest compliance of each range, and what a reading answers with the output off.
"""

import math
import re
from typing import Any

from drivers.errors import ComplianceError, OverloadError, ReadingError, SettingError
from drivers.roles import SourceReading
from drivers.scpi_source import ScpiSourceMeter

__all__ = ["KeysightB29xx"]

MODEL = re.compile(r"B29([01])([12])[ABC]?[LC]?")
VOLTAGE_RANGES = (0.2, 2.0, 20.0, 200.0)
CURRENT_RANGES = (*(10.0**decade for decade in range(-7, 1)), 1.5, 3.0)
# Of the B2911 and B2912 only.
LOWEST_CURRENT_RANGE = 1e-8
# A reading beyond this many times its range is none.
READABLE = 1.1
# Bits of the status of a reading (command reference, table 1-2).
COMPLIANCE, PROTECTION, HOT, OVERFLOW = 0b110, 0b11000, 1 << 5, 1 << 13
LARGEST_STATUS = 1 << 21
SHORTEST, LONGEST, MOST_READINGS = 8e-6, 2.0, 1000
ELEMENTS = "VOLT,CURR,STAT"


class KeysightB29xx(ScpiSourceMeter):
    """A channel of a B2900 that fills the role of `drivers.roles.BiasSource`: it sources voltage and measures current.

    It says whether it was left as a current source (`drivers.protection.CurrentSourcing`).

    Parameters
    ----------
    name, address
        Of the instrument.
    channel
        1, or 2 of the models with two channels.
    four_wire
        Whether the device is connected with sense leads.

    Raises
    ------
    SettingError
        If it is another instrument, or has no such channel.

    """

    default_terminator = "\n"
    largest_voltage = ScpiSourceMeter.headroom * VOLTAGE_RANGES[-1]
    largest_current = ScpiSourceMeter.headroom * CURRENT_RANGES[-1]
    _ranges = (math.nan, math.nan)  # of voltage (V) and current (A), as `prepare` has chosen them
    _readings, _seconds = 1, math.nan

    def __init__(self, name: str, address: str, channel: int = 1, four_wire: bool = False, **kwargs: Any) -> None:
        self.four_wire_leads = four_wire
        self._channel = channel
        self.output_command = f":OUTP{channel}"
        self.function_command = f":SOUR{channel}:FUNC:MODE"
        self.leads_command = f":SENS{channel}:REM"
        self.voltage_command, self.current_command = f":SOUR{channel}:VOLT", f":SOUR{channel}:CURR"
        super().__init__(name, address, **{"terminator": "\n", **kwargs})
        self.connect_message()
        found = MODEL.search(self._identity)
        if found is None or not 1 <= channel <= int(found[2]):
            raise SettingError(
                self.described,
                f"identifies itself as {self._identity[:80]!r}; a B2900 with a channel {channel} is needed.",
                "Check address and channel.",
            )
        sensitive = found[1] == "1"
        self._current_ranges = (LOWEST_CURRENT_RANGE, *CURRENT_RANGES) if sensitive else CURRENT_RANGES
        self.add_parameter(
            "voltage", unit="V", get_cmd=self.level, set_cmd=self.set_level, docstring="Level of the voltage source."
        )
        self.add_parameter(
            "output_state", get_cmd=self.output_enabled, docstring="Whether the output is on, queried each time."
        )

    def output_enabled(self) -> bool:
        """Whether the output is on, as the instrument answers."""
        return self._output_state()

    def prepare(
        self, *, maximum_voltage: float, maximum_current: float, compliance: float, integration_time: float
    ) -> None:
        """Choose fixed ranges, write the compliance and read everything back; level and output do not change.

        Parameters
        ----------
        maximum_voltage
            Largest future source level (V). A present level beyond it keeps a range that includes it.
        maximum_current
            Largest current (A) to be measured, at most the compliance.
        compliance
            Current limit (A).
        integration_time
            Time of one current reading (s); beyond 2 s several readings are averaged.

        Raises
        ------
        SettingError
            If the instrument holds other values, sources current with its output on, or would have to change a range
            with its output on.
        RejectedCommandError
            If its error queue has an entry.

        """
        self._confirmed = {}
        self.discard_errors()
        self._end_others()
        self._source_voltage()
        self._choose_leads()
        largest = max(abs(maximum_voltage), abs(self.level()))
        voltage_range = self._choose_fixed_range(f"{self.voltage_command}:RANG", largest, VOLTAGE_RANGES)
        sense = f":SENS{self._channel}:CURR"
        self.apply(f"{sense}:PROT", compliance, tolerance=1e-3 * compliance)
        current_range = self._choose_fixed_range(f"{sense}:RANG", abs(maximum_current), self._current_ranges)
        self._ranges = (voltage_range, current_range)
        self._choose_integration_time(integration_time)
        self._choose_elements()
        self.check_errors()
        self.require_unchanged("at the end of its preparation")

    def _end_others(self) -> None:
        """End sweeps, pulses, triggers and arithmetic that others left; nothing of it changes the level."""
        channel = self._channel
        self.write(f":ABOR (@{channel})")
        self.apply(f":OUTP{channel}:ON:AUTO", False)
        self.apply(f":OUTP{channel}:OFF:AUTO", False)
        self._choose_constant(f":SOUR{channel}:VOLT:MODE", "FIX")
        self._choose_constant(f":SOUR{channel}:FUNC:SHAP", "DC")
        self.apply(f":CALC{channel}:MATH:STAT", False)
        self.apply(f":CALC{channel}:OFFS:STAT", False)
        for layer in ("ARM", "TRIG"):
            self.choose(f":{layer}{channel}:ACQ:SOUR", "AINT")
            self.apply(f":{layer}{channel}:ACQ:DEL", 0)
            self.apply(f":{layer}{channel}:ACQ:COUN", 1)

    def _choose_integration_time(self, seconds: float) -> None:
        if not SHORTEST <= seconds <= LONGEST * MOST_READINGS:
            raise SettingError(
                self.described,
                f"an integration time of {seconds:g} s is not possible.",
                f"Allowed are {SHORTEST:g} to {LONGEST * MOST_READINGS:g} s.",
            )
        self._readings = max(1, math.ceil(seconds / LONGEST - 1e-9))
        self._seconds = seconds
        self.apply(f":SENS{self._channel}:CURR:APER", seconds / self._readings, tolerance=1e-2 * seconds)
        self.apply(f":TRIG{self._channel}:ACQ:COUN", self._readings)

    def _choose_elements(self) -> None:
        """A reading is voltage, current and status, as text."""
        self.write(f':SENS{self._channel}:FUNC:ON "VOLT","CURR"')
        self.choose(":FORM", "ASC")
        self.write(f":FORM:ELEM:SENS {ELEMENTS}")
        answer = self.ask(":FORM:ELEM:SENS?")
        if answer.strip().upper() != ELEMENTS:
            raise self.refused(":FORM:ELEM:SENS?", answer.strip()[:80], ELEMENTS)
        self._confirmed[":FORM:ELEM:SENS?"] = ELEMENTS

    def read(self) -> SourceReading:
        """Measure voltage and current, in one query, repeated without a usable answer.

        Raises
        ------
        ComplianceError
            If the source is at its current limit.
        OverloadError
            If voltage or current is beyond its range.
        ReadingError
            If a protection has switched the output off.
        SettingError
            If an offset or math is on, or its range is another, since it was prepared.

        """
        return self.again(self._asked_reading)

    def _asked_reading(self) -> SourceReading:
        # Without the first command a reading would switch on an output that is off, after a reset.
        query = f":OUTP{self._channel}:ON:AUTO OFF;:READ:ARR? (@{self._channel})"
        calc, sense = f":CALC{self._channel}", f":SENS{self._channel}:CURR"
        settings = (f"{calc}:OFFS:STAT?", f"{calc}:MATH:STAT?", f"{sense}:RANG?", f"{sense}:RANG:AUTO?")
        beside = tuple(setting for setting in settings if setting in self._confirmed)
        with self.waiting(2 * self._seconds + 1 if math.isfinite(self._seconds) else 0.0):
            found = self.ask_reading(query, 3 * self._readings, beside)
        rows = [found[at : at + 3] for at in range(0, len(found), 3)]
        voltages, currents = [], []
        for voltage, current, status in rows:
            if not (status.is_integer() and 0 <= status < LARGEST_STATUS):
                raise self.unexpected(f"{voltage:g},{current:g},{status:g}", query, "voltage, current and a status")
            self._check_status(int(status), voltage)
            voltages.append(self.measured(voltage, "voltage (:READ:ARR?)"))
            currents.append(self.measured(current, "current (:READ:ARR?)"))
            if abs(voltage) > READABLE * self._ranges[0] or abs(current) > READABLE * self._ranges[1]:
                raise self.unexpected(
                    f"{voltage:g},{current:g}", query, f"at most {self._ranges[0]:g} (V) and {self._ranges[1]:g} (A)"
                )
        return SourceReading(math.fsum(voltages) / len(rows), math.fsum(currents) / len(rows), *self._ranges)

    def _check_status(self, status: int, voltage: float) -> None:
        if status & COMPLIANCE:
            raise ComplianceError(
                self.described,
                f"is at its current limit (status {status}, voltage {voltage:g} V).",
                "The voltage at the device is not the one that was set: lower the bias or raise the compliance.",
            )
        if status & OVERFLOW:
            raise OverloadError(
                self.described,
                f"reads beyond its range (status {status}).",
                "Choose a higher range, or check the device.",
            )
        if status & (PROTECTION | HOT):
            raise ReadingError(
                self.described,
                f"reports a protection or its temperature (status {status}); its output may be off.",
                "Look at its front panel.",
            )
