"""One channel of a QDAC-II as bias source; `drivers.qdac2` has the instrument and what is known of it."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from qcodes_contrib_drivers.drivers.QDevil.QDAC2 import (  # type: ignore[import-untyped]  # it has no types
    QDac2Channel as ContribChannel,
)

from drivers.answers import is_choice, number, numbers
from drivers.errors import OverloadError, SettingError
from drivers.roles import SourceReading
from drivers.unswitched_output import UnswitchedOutput

__all__ = ["FILTERS", "QDac2Channel"]

# Voltage range → what it is called (V), and how far the converter may be from the level that was sent (V).
VOLTAGE_RANGES = {"LOW": 2.0, "HIGH": 10.0}
CONVERTER_ERROR = 1e-5
# Current range → what it measures (A); a reading beyond this share of it is taken for the end of the range.
CURRENT_RANGES = {"LOW": 150e-9, "HIGH": 10e-3}
USABLE = 0.95
FILTERS = ("DC", "MED", "HIGH")
SHORTEST_APERTURE, LONGEST_APERTURE, MOST_READINGS = 3e-4, 1.0, 1000
# A slew rate (V/s) from which on a level is there before the answer to its query.
FAST_SLEW = 1e4


class QDac2Channel(UnswitchedOutput, ContribChannel):  # type: ignore[misc]  # see above
    """One channel, which fills the role of `drivers.roles.BiasSource`: it sources voltage and measures its current."""

    smallest_compliance: ClassVar[float] = math.inf
    """It has no current limit of its own."""
    largest_voltage = VOLTAGE_RANGES["HIGH"]
    """Largest level (V)."""

    def __init__(self, parent: Any, name: str, channum: int) -> None:
        super().__init__(parent, name, channum)
        self._dac = parent
        self._source, self._sense = f":SOUR{channum}", f":SENS{channum}"
        self._ranges = ("", "")  # of voltage and current, as prepared
        self._fixed = False  # whether its mode was seen to be FIXed since the connection

    @property
    def described(self) -> str:
        """Name and address, for messages."""
        return f"{self._dac.described}, channel {self.number}"

    def prepare(
        self, *, maximum_voltage: float, maximum_current: float, compliance: float, integration_time: float
    ) -> None:
        """Choose the ranges, end what others left running, and read everything back; the level does not change.

        Parameters
        ----------
        maximum_voltage
            Largest future level (V). A present level beyond it keeps a range that includes it.
        maximum_current
            Largest current (A) to be measured: it chooses the low range up to 140 nA.
        compliance
            Without effect: it has no current limit.
        integration_time
            Of one reading (s); beyond 1 s readings are averaged.

        Raises
        ------
        SettingError
            If it holds other values, or would have to switch a range or a filter at a level other than 0.
        RejectedCommandError
            If its error queue has an entry.

        """
        del compliance
        dac = self._dac
        dac.begin_preparation()
        self._require_at_rest()
        self._end_generators()
        level = self.level()
        at_zero = abs(level) <= CONVERTER_ERROR
        voltage = self._choose_voltage_range(max(abs(maximum_voltage), abs(level)), at_zero=at_zero)
        self._choose_filter(at_zero=at_zero)
        current = self._choose_current_range(maximum_current, at_zero=at_zero)
        self._choose_integration_time(integration_time)
        dac.check_errors()
        dac.require_unchanged("at the end of its preparation")
        self._ranges = (voltage, current)
        found = self.level()
        if abs(found - level) > 2 * CONVERTER_ERROR:
            raise SettingError(
                self.described,
                f"went from {level:g} V to {found:g} V while it was prepared.",
                "A list or another program moved it: look for what else uses the instrument.",
            )

    def _require_at_rest(self) -> None:
        """Without a level on its way, which a faster slew rate would make a jump."""
        mode = self._mode()
        self._fixed = mode == "FIX"
        present, last = self._levels()
        if self._fixed and abs(present - last) > CONVERTER_ERROR:
            raise SettingError(
                self.described,
                f"is at {present:g} V on its way to {last:g} V with the slew rate that was set.",
                "Wait until it is there, or write the level where it is.",
            )
        if not self._fixed and abs(present) > CONVERTER_ERROR:
            raise SettingError(
                self.described,
                f"is in the mode {mode} at {present:g} V.",
                "Ramp it to 0 first: labnis safe.",
            )

    def _mode(self) -> str:
        query = f"{self._source}:VOLT:MODE?"
        answer = self._dac.ask(query)
        found = next((one for one in ("FIX", "LIST", "SWE") if is_choice(answer, one)), None)
        if found is None:
            raise self._dac.unexpected(answer, query, "FIX, LIST or SWE")
        return found

    def _take_over(self) -> None:
        """Stop lists, sweeps and waveforms of this channel at the present level, and make it a constant source."""
        dac = self._dac
        dac.write(f"{self._source}:ALL:ABOR")
        mode = self._mode()
        present, last = self._levels()
        if mode != "FIX":
            # The fixed level acts only with the next command: so it is the present one.
            dac.write(f"{self._source}:VOLT {present:.8g}")
            dac.choose(f"{self._source}:VOLT:MODE", "FIX")
        if mode != "FIX" or abs(present - last) <= CONVERTER_ERROR:
            dac.write(f"{self._source}:VOLT:SLEW INF")  # at rest: a level on its way would jump
        self._fixed = True

    def _end_generators(self) -> None:
        """As `_take_over`, with its triggers, delays and slew rate; read back."""
        dac = self._dac
        self._take_over()
        dac.choose(f"{self._source}:VOLT:MODE", "FIX")
        dac.write(f"{self._source}:DC:INIT:CONT OFF")
        dac.choose(f"{self._source}:DC:TRIG:SOUR", "IMM")
        dac.apply(f"{self._source}:DC:DEL", 0)
        query = f"{self._source}:VOLT:SLEW?"
        slew = number(answer := dac.ask(query))
        if slew is None or not slew >= FAST_SLEW:
            raise SettingError(
                self.described,
                f"has the slew rate {answer.strip()[:80]} (V/s) after {self._source}:VOLT:SLEW INF.",
                "Set none at the instrument: every level would be late.",
            )

    def in_use(self, query: str, choices: Sequence[str]) -> str:
        """Which of `choices` a setting is."""
        answer = self._dac.ask(query)
        found = next((one for one in choices if is_choice(answer, one)), None)
        if found is None:
            raise self._dac.unexpected(answer, query, " or ".join(choices))
        return found

    def _choose(self, command: str, choice: str, choices: Sequence[str], *, at_zero: bool, keeps: bool) -> str:
        """Set one of `choices`, at 0 V only; a present one that is not wanted stays if the channel `keeps` it."""
        found = self.in_use(f"{command}?", choices)
        if found != choice and at_zero:
            self._dac.choose(command, choice)
            return choice
        if found != choice and not keeps:
            raise SettingError(
                self.described,
                f"has {command} {found} at {self.level():g} V; {choice} is needed.",
                "It is switched at 0 V only: ramp it to 0 first (labnis safe).",
            )
        self._dac.confirm(f"{command}?", found)
        return found

    def _choose_voltage_range(self, largest: float, *, at_zero: bool) -> str:
        command = f"{self._source}:RANG"
        wide = self.limit("HIGH")
        if largest > wide:
            raise SettingError(self.described, f"{largest:g} V is beyond {wide:g} V, its largest level.", "Lower it.")
        choice = "LOW" if largest <= self.limit("LOW") else "HIGH"
        return self._choose(command, choice, tuple(VOLTAGE_RANGES), at_zero=at_zero, keeps=choice == "LOW")

    def limit(self, name: str) -> float:
        """Largest level (V) of a range, of either sign, as the instrument says."""
        query = f"{self._source}:RANG:{name}:{{}}?"
        nominal = VOLTAGE_RANGES[name]
        low: float = self._dac.ask_within(query.format("MIN"), -1.2 * nominal, -0.5 * nominal)
        high: float = self._dac.ask_within(query.format("MAX"), 0.5 * nominal, 1.2 * nominal)
        return min(-low, high)

    def _choose_filter(self, *, at_zero: bool) -> None:
        self._choose(f"{self._source}:FILT", self._dac.output_filter, FILTERS, at_zero=at_zero, keeps=False)

    def _choose_current_range(self, largest: float, *, at_zero: bool) -> str:
        if abs(largest) > CURRENT_RANGES["HIGH"]:
            raise SettingError(
                self.described,
                f"{largest:g} A is beyond {CURRENT_RANGES['HIGH']:g} A, its largest current.",
                "Lower it.",
            )
        choice = "LOW" if abs(largest) <= CURRENT_RANGES["LOW"] else "HIGH"
        return self._choose(
            f"{self._sense}:RANG", choice, tuple(CURRENT_RANGES), at_zero=at_zero, keeps=choice == "LOW"
        )

    def _choose_integration_time(self, seconds: float) -> None:
        if not SHORTEST_APERTURE <= seconds <= LONGEST_APERTURE * MOST_READINGS:
            raise SettingError(
                self.described,
                f"an integration time of {seconds:g} s is not possible.",
                f"Allowed are {SHORTEST_APERTURE:g} to {LONGEST_APERTURE * MOST_READINGS:g} s.",
            )
        self._readings = max(1, math.ceil(seconds / LONGEST_APERTURE - 1e-9))
        self._seconds = seconds
        self._dac.write(f"{self._sense}:ABOR")
        self._dac.apply(f"{self._sense}:APER", seconds / self._readings, tolerance=2e-3 * seconds)
        self._dac.apply(f"{self._sense}:COUN", self._readings)
        self._dac.apply(f"{self._sense}:DEL", 0)

    # --- level ------------------------------------------------------------------------------------------

    @classmethod
    def reading_time(cls, integration_time: float, line_frequency: float) -> float:
        """That of the integration (`drivers.capabilities.TimedReading`)."""
        del line_frequency
        return integration_time

    def set_level(self, voltage: float) -> None:
        """Write one level (V), and read it back in the same message.

        Raises
        ------
        SettingError
            If `voltage` is not a finite number (nothing is sent then), or the instrument refuses it.
        CommunicationError
            If it does not answer; whether the level was set is then unknown.

        """
        if not math.isfinite(voltage):
            raise SettingError(self.described, f"a source level of {voltage} was requested; nothing was sent.")
        if not self._fixed:
            self._take_over()
        message = f"{self._source}:VOLT {voltage:.8g};{self._source}:VOLT:LAST?"
        answer = self._dac.ask(message)
        found = number(answer)
        if found is None:
            raise self._dac.unexpected(answer, message, "a number (V)")
        if abs(found - voltage) > max(1e-6 * abs(voltage), 1e-8):
            entry = self._dac.next_error() or "no error"
            raise SettingError(
                self.described,
                f"has the level {found:g} V where {voltage:.8g} V was written; it reports {entry}.",
                "Check its range and limits: they may have been changed by another program.",
            )

    def _levels(self) -> tuple[float, float]:
        """What the converter has and what was sent last (V)."""
        queries = (f"{self._source}:VOLT?", f"{self._source}:VOLT:LAST?")
        answers = self._dac.ask_each(queries)
        found = [number(answer) for answer in answers]
        present, last = found
        if present is None or last is None or not max(abs(present), abs(last)) <= 1.2 * VOLTAGE_RANGES["HIGH"]:
            raise self._dac.unexpected(";".join(answers), ";".join(queries), "two levels of at most 12 V")
        return present, last

    def level(self) -> float:
        """Query the level (V): the one that was sent if the converter has it, within 10 µV; else the converter's."""
        self._dac.distinguish(lambda answer: answer.count(";") == 1)
        present, last = self._levels()
        return last if abs(present - last) <= CONVERTER_ERROR else present

    def read(self) -> SourceReading:
        """Measure the current; with the level, and again if there is no usable answer.

        Raises
        ------
        OverloadError
            If the current is at the end of its range.
        SettingError
            If its ranges are not those that were prepared.

        """
        found: SourceReading = self._dac.again(self._asked_reading)
        return found

    def _asked_reading(self) -> SourceReading:
        dac, query = self._dac, f":READ{self.number}?"
        voltage, current = self._ranges
        if not voltage:
            raise SettingError(self.described, "was not prepared; nothing was measured.", "Prepare it first.")
        state = (f"{self._source}:RANG?", f"{self._sense}:RANG?", f"{self._source}:VOLT:MODE?")
        answers = dac.ask_each(state)
        for asked, answer, known in zip(state, answers, (voltage, current, "FIX"), strict=True):
            if not is_choice(answer, known):
                dac.lost_step()
                raise SettingError(
                    self.described,
                    f"{asked} reads {answer.strip()[:80]}; {known} was prepared.",
                    "It was changed or reset: prepare the measurement again.",
                )
        with dac.waiting(2 * self._seconds + 1):
            answer = dac.ask(query)
        found = numbers(answer, self._readings)
        if found is None:
            raise dac.unexpected(answer, query, f"{self._readings} current(s)")
        for value in found:
            dac.measured(value, f"current ({query})")
        largest = max(found, key=abs)
        if abs(largest) > USABLE * CURRENT_RANGES[current]:
            raise OverloadError(
                self.described,
                f"current is {largest:g} A in the range {current}, which may be the end of the range.",
                "It reads no more beyond its range: raise the maximum current, or lower the bias.",
            )
        return SourceReading(
            self.level(), math.fsum(found) / len(found), VOLTAGE_RANGES[voltage], CURRENT_RANGES[current]
        )
