"""What the SCPI source-meters of the Keithley 2400 series and the 6430 have in common.

From the Series 2400 user's manual (2400S-900-01, Rev. K), table B-1 and section 18.

- A reading is queried together with the state of the output: with the output off `:READ?` is an error (+803) without an
  answer.
- The status word of each reading says what was sourced and measured, at which terminals and with which leads: it is
  compared with the settings, so that a change at the front panel is found in the same reading.
- A current range does not go beyond the lowest range that covers the compliance (+824), and the compliance is at least
  0.1 % of the range (+822): a lower range is chosen before the compliance, a higher one after it. With the output on,
  no range is switched.
- A range is queried as nominal or as 1.05 times that, depending on the firmware.
- A trigger moves the output to `:SOUR:VOLT:TRIG`, which follows the level when that is written.
- `:SENS:CURR:PROT:RSYN` is not used: users report that it blocks the bus of old 2400s for 10 s.

Unknown: the resolution of the compliance, the longest message, and whether the status of a 6430 has further bits.
"""

import math
import re
from collections.abc import Collection
from typing import Any, ClassVar, Literal

from drivers.answers import is_choice, number, numbers
from drivers.errors import CommunicationError, ComplianceError, OverloadError, ReadingError, SettingError
from drivers.roles import SourceReading
from drivers.scpi_source import MainsSourceMeter

__all__ = ["Keithley24xx"]

# Bits of the status word of a reading (user's manual, 18-50 and 18-51).
OVER_RANGE, FILTERED, FRONT, COMPLIANCE, PROTECTION = 1, 2, 4, 8, 16
MEASURES_VOLTAGE, MEASURES_CURRENT, SOURCES_VOLTAGE, SOURCES_CURRENT = 1 << 11, 1 << 12, 1 << 14, 1 << 15
RANGE_COMPLIANCE, FOUR_WIRE, LARGEST_STATUS = 1 << 16, 1 << 22, 1 << 24
SETTINGS = {
    FILTERED: "average",
    FRONT: "front terminals",
    MEASURES_VOLTAGE: "voltage measured",
    MEASURES_CURRENT: "current measured",
    SOURCES_VOLTAGE: "voltage sourced",
    SOURCES_CURRENT: "current sourced",
    FOUR_WIRE: "four wires",
}
ELEMENTS, FUNCTIONS = "VOLT,CURR,STAT", ("VOLT", "CURR")
# A reading beyond this many times its range is none.
READABLE = 1.1
# A reading is two conversions, each with a reference and a zero.
CONVERSIONS = 6
READING = ":OUTP?;:READ?"
TRIGGER = {":ARM:SOUR?": "IMM", ":ARM:COUN?": "1", ":TRIG:SOUR?": "IMM", ":TRIG:COUN?": "1"}
MODEL = re.compile(r"MODEL (\d{4})(-?LV)?")


class Keithley24xx(MainsSourceMeter):
    """A source-meter with the commands of the 2400 series; a mix-in in front of an upstream class."""

    level_step: ClassVar[float] = 5e-6
    """Step of a level (V) in the lowest range; in the others it is below the tolerance of a level read back."""

    leads_command = ":SYST:RSEN"
    average_command = ":SENS:AVER"
    line_frequencies = (50.0, 60.0)
    integration_step = 0.01
    range_tolerance = 0.06
    voltage_ranges: tuple[float, ...] = (200.0,)
    """Ranges (V) of the model."""
    current_ranges: tuple[float, ...] = (1.0,)
    """Ranges (A) of the model."""
    has_terminals: ClassVar[bool] = True
    """Whether it has terminals at its front, which can be selected."""
    terminals: Literal["front", "rear"] | None = None
    """Terminals that the device is connected to; None for those that are selected."""
    status_settings: ClassVar[int] = sum(SETTINGS)
    """Bits of the status word that are compared with the settings."""
    _ranges = (math.nan, math.nan)  # of voltage (V) and current (A), as `prepare` has chosen them
    _seconds = 0.0
    _expected_status: int | None = None

    @property
    def largest_voltage(self) -> float:  # type: ignore[override]  # depends on the model
        """Largest level of the voltage source (V)."""
        return self.headroom * self.voltage_ranges[-1]

    @property
    def largest_current(self) -> float:  # type: ignore[override]
        """Largest level of the current source (A)."""
        return self.headroom * self.current_ranges[-1]

    def _require_model(self, models: Collection[str]) -> str:
        """The model, which is one of `models`; the connection to another instrument is closed."""
        found = MODEL.search(self._identity.upper())
        model = found[1] + ("-LV" if found[2] else "") if found else ""
        if model not in models:
            other = SettingError(
                self.described,
                f"identifies itself as {self._identity[:80]!r}; one of {', '.join(models)} is needed.",
                "Check its address and type in the station file.",
            )
            self.close()
            raise other
        return model

    def _replaced(self, name: str, unit: str, get: Any, write: Any, **options: Any) -> Any:
        """A parameter in place of one of upstream that rounds, or that reads something else."""
        self.remove_parameter(name)
        return self.add_parameter(name, unit=unit, get_cmd=get, set_cmd=write, **options)

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
            If the instrument holds other values, sources current with its output on, or would have to change a range,
            terminals or leads with its output on.
        RejectedCommandError
            If its error queue has an entry.

        """
        self._confirmed = {}
        self._expected_status = None
        self.write(":ABOR")
        self.discard_errors()
        self._source_voltage()
        self._choose_leads()
        if self.has_terminals:
            self._choose_terminals()
        self._end_others()
        self._choose_functions()
        largest = max(abs(maximum_voltage), abs(self.level()))
        self._check_protection(largest)
        voltage_range = self._choose_fixed_range(f"{self.voltage_command}:RANG", largest, self.voltage_ranges)
        self._ranges = (voltage_range, self._choose_limit(compliance, abs(maximum_current)))
        averages = self._choose_integration_time(integration_time)
        self._seconds = CONVERSIONS * integration_time
        self._choose_elements()
        self.check_errors()
        self.require_unchanged("at the end of its preparation")
        self._expected_status = (
            MEASURES_VOLTAGE
            + MEASURES_CURRENT
            + SOURCES_VOLTAGE
            + FILTERED * (averages > 1)
            + FRONT * (self._confirmed.get(":ROUT:TERM?") == "FRON")
            + FOUR_WIRE * self.four_wire_leads
        )

    @classmethod
    def reading_time(cls, integration_time: float, line_frequency: float) -> float:
        """Voltage and current, each with a reference and a zero (`drivers.capabilities.TimedReading`)."""
        del line_frequency
        return CONVERSIONS * integration_time

    def _choose_terminals(self) -> None:
        """Front or rear, as the station file says; not switched while the output is on, which it would switch off."""
        query = ":ROUT:TERM?"
        answer = self.ask(query).strip().upper()
        present = {"FRON": "front", "FRONT": "front", "REAR": "rear"}.get(answer)
        if present is None:
            raise self.unexpected(answer, query, "FRON or REAR")
        wanted = self.terminals or present
        if wanted != present:
            if self._output_state():
                raise SettingError(
                    self.described,
                    f"has its output on at the {present} terminals; the station file says {wanted}.",
                    "Switch the output off, or write the right terminals under init of the instrument.",
                )
            self.choose(":ROUT:TERM", wanted[:4].upper())
        self._confirmed[query] = wanted[:4].upper()

    def _end_others(self) -> None:
        """End sweeps, triggers, delays and arithmetic that others left; nothing of it changes the level."""
        self._choose_constant(f"{self.voltage_command}:MODE", "FIX")
        self.apply(":SOUR:CLE:AUTO", False)
        for layer in (":ARM", ":TRIG"):
            self.apply(f"{layer}:COUN", 1)
            self.choose(f"{layer}:SOUR", "IMM")
        self.apply(":TRIG:DEL", 0)
        self.apply(":SOUR:DEL", 0)
        self.require(":SOUR:DEL:AUTO?", 0)
        for command in (":CALC:STAT", ":CALC2:NULL:STAT"):
            self.apply(command, False)
        self.apply(":SYST:AZER", True)
        level = self.level()
        if self.ask_number(f"{self.voltage_command}:TRIG?") != level:
            self.write(f"{self.voltage_command}:TRIG {level:.10g}")
            pending = self.ask_number(f"{self.voltage_command}:TRIG?")
            if pending != level:
                raise self.refused(f"{self.voltage_command}:TRIG?", f"{pending:g}", f"{level:g}")

    def _choose_functions(self) -> None:
        """Voltage and current are measured, and no resistance, whose automatic mode takes the source over."""
        mode = ":SENS:RES:MODE"
        if "RES" in self.ask(":SENS:FUNC?").upper():
            if self.ask(f"{mode}?").strip().upper().startswith("AUTO") and self._output_state():
                raise SettingError(
                    self.described,
                    "measures resistance with its automatic source, and its output is on.",
                    "Switch its output off by hand; it then begins at the level of its voltage source.",
                )
            self.choose(mode, "MAN")
        self.apply(":SENS:FUNC:CONC", True)
        self.write(':SENS:FUNC:OFF "RES"')
        self.write(':SENS:FUNC "VOLT","CURR"')
        answer = self.ask(":SENS:FUNC?").strip().upper()
        named = [part.strip("\"' ").removesuffix(":DC") for part in answer.split(",")]
        if sorted(named) != sorted(FUNCTIONS):
            raise self.refused(":SENS:FUNC?", answer[:80], '"VOLT","CURR"')
        self._confirmed[":SENS:FUNC?"] = answer.strip("\"'")

    def _check_protection(self, largest: float) -> None:
        """A limit on the voltage that somebody has set stays: it protects a device."""
        query = f"{self.voltage_command}:PROT?"
        limit = self.ask_number(query)
        if not limit >= largest:
            raise SettingError(
                self.described,
                f"limits its voltage to {limit:g} V ({query}); {largest:g} V are needed.",
                f"Raise that limit by hand ({query[:-1]}), or lower the limits of the station file.",
            )
        self._confirmed[query] = limit

    def _choose_limit(self, compliance: float, maximum: float) -> float:
        """Write the compliance (A) and fix the range for a `maximum` current (A), which is returned (A)."""
        command = ":SENS:CURR:RANG"
        suitable = [one for one in self.current_ranges if maximum <= self.headroom * one]
        covering = [one for one in self.current_ranges if compliance <= self.headroom * one]
        if not suitable or not covering or suitable[0] > covering[0]:
            raise SettingError(
                self.described,
                f"has no range for {maximum:g} A with a compliance of {compliance:g} A.",
                f"Its ranges go to {self.current_ranges[-1]:g} A, and to the lowest one that covers the compliance.",
            )
        if not self._output_state() and self._range(command, self.current_ranges) > suitable[0] * self.headroom:
            self.write(f"{command} {suitable[0]:.10g}")
        self.apply(":SENS:CURR:PROT", compliance, tolerance=1e-3 * compliance)
        return self._choose_fixed_range(command, maximum, self.current_ranges)

    def _choose_elements(self) -> None:
        """A reading is voltage, current and status, as text."""
        self.choose(":FORM", "ASC")
        self.write(f":FORM:ELEM {ELEMENTS}")
        self.require_choice(":FORM:ELEM?", ELEMENTS)

    def read(self) -> SourceReading:
        """Measure voltage and current once, in one query, repeated without a usable answer.

        Raises
        ------
        ComplianceError
            If the source is at its current limit.
        OverloadError
            If voltage or current is beyond its range.
        SettingError
            If it was measured with other settings than `prepare` made.
        ReadingError
            If the output is off, or a protection limits it.

        """
        return self.again(self._asked_reading)

    def _asked_reading(self) -> SourceReading:
        self.distinguish(lambda answer: answer.strip() == "0" or numbers(answer.partition(";")[2], 3) is not None)
        try:
            with self.waiting(2 * self._seconds + 1):
                answer = self.ask(READING)
        except CommunicationError:
            self._check_trigger()
            raise
        on, _, values = answer.strip().partition(";")
        if on == "0" and not values:
            self.discard_errors()
            raise ReadingError(
                self.described,
                "has its output off; it measures nothing then.",
                "It was reset, or switched off by hand, by its output-enable line or its temperature.",
            )
        if not values:  # +830: no reading with an infinite count
            self._check_trigger()
        found = numbers(values, 3)
        if number(on) != 1 or found is None or not (found[2].is_integer() and 0 <= found[2] < LARGEST_STATUS):
            raise self.unexpected(answer, READING, "1;voltage,current,status")
        voltage, current = found[:2]
        self._check_status(int(found[2]), voltage, current)
        reading = SourceReading(
            self.measured(voltage, "voltage (:READ?)"), self.measured(current, "current (:READ?)"), *self._ranges
        )
        if abs(voltage) > READABLE * reading.voltage_range or abs(current) > READABLE * reading.current_range:
            raise self.unexpected(
                answer, READING, f"at most {reading.voltage_range:g} (V) and {reading.current_range:g} (A), its ranges,"
            )
        return reading

    def _check_trigger(self) -> None:
        """Tell a trigger that does not come, and that would have to be waited for at each attempt."""
        queries = tuple(TRIGGER)
        for query, answer in zip(queries, self.ask_each(queries), strict=True):
            if not is_choice(answer, TRIGGER[query]):
                raise SettingError(
                    self.described,
                    f"does not answer {READING!r}, and {query} reads {answer.strip()[:80]}; "
                    f"{TRIGGER[query]} was set before.",
                    "It waits for a trigger, or measures many times: prepare the measurement again.",
                )

    def _check_status(self, status: int, voltage: float, current: float) -> None:
        """Raise what the `status` of a reading says against it."""
        if self._expected_status is not None and (other := (status ^ self._expected_status) & self.status_settings):
            changed = ", ".join(name for bit, name in SETTINGS.items() if bit & other)
            raise SettingError(
                self.described,
                f"has measured with other settings than before (status {status}: {changed}).",
                "It was changed at its front panel, or by another program: prepare the measurement again.",
            )
        if status & (COMPLIANCE | RANGE_COMPLIANCE):
            raise ComplianceError(
                self.described,
                f"is at its current limit (current {current:g} A, voltage {voltage:g} V, status {status}).",
                "The voltage at the device is not the one that was set: lower the bias, or raise compliance and "
                "range, which limits the current, too.",
            )
        if status & OVER_RANGE:
            raise OverloadError(
                self.described,
                f"reads beyond its range (status {status}).",
                "Choose a higher range, or check the device.",
            )
        if status & PROTECTION:
            raise ReadingError(
                self.described,
                f"is at the limit of its voltage ({self.voltage_command}:PROT, status {status}).",
                "Raise that limit by hand, or lower the bias.",
            )
