"""What SCPI sources have in common: output, function and leads; levels, ranges and integration of source-meters."""

import math
from collections.abc import Sequence

from drivers.answers import is_choice, register
from drivers.errors import SettingError
from drivers.scpi import CheckedInstrument

__all__ = ["MainsSourceMeter", "ScpiSource", "ScpiSourceMeter"]

SHORTEST_NPLC, LONGEST_NPLC, MOST_AVERAGES = 0.01, 10.0, 100


class ScpiSource(CheckedInstrument):
    """A source of voltage or current with `:OUTP` and `:SOUR:FUNC`; a mix-in, as `CheckedInstrument`."""

    output_command, function_command, leads_command = ":OUTP", ":SOUR:FUNC", ":SENS:REM"
    """Headers; a channel of several has others."""
    four_wire_leads = False
    """Whether the device is connected with sense leads."""

    def output_on(self) -> None:
        """Connect the output at its present level; verified."""
        self.apply(self.output_command, True)

    def output_off(self) -> None:
        """Disconnect the output; verified."""
        self.apply(self.output_command, False)

    def _output_state(self) -> bool:
        return self.again(self._asked_output_state)

    def _asked_output_state(self) -> bool:
        self.distinguish(lambda answer: register(answer) in (0, 1))
        return self.ask_flag(f"{self.output_command}?")

    def sources_current(self) -> bool:
        """Query whether it sources current."""
        return self.again(self._asked_function) == "CURR"

    def _asked_function(self) -> str:
        query = f"{self.function_command}?"
        answer = self.ask(query)
        function = next((one for one in ("VOLT", "CURR") if is_choice(answer, one)), "")
        if not function:
            raise self.unexpected(answer, query, "VOLT or CURR")
        return function

    def _source_voltage(self) -> None:
        """Select voltage sourcing, which switches a current source's output off: refused while that is on."""
        if self.sources_current():
            if self._output_state():
                raise SettingError(
                    self.described,
                    "sources current with its output on; a voltage source is needed.",
                    "Bring the current to zero and switch the output off by hand.",
                )
            self.write(f"{self.function_command} VOLT")
        self._confirmed[f"{self.function_command}?"] = "VOLT"

    def _choose_leads(self) -> None:
        """Two wires or four, as the station file says; not switched while the output is on."""
        query = f"{self.leads_command}?"
        present = self.ask_flag(query)
        if present != self.four_wire_leads:
            if self._output_state():
                raise SettingError(
                    self.described,
                    f"has its output on and {'four' if present else 'two'} wires; the station file says "
                    f"{'four' if self.four_wire_leads else 'two'}.",
                    "Switch the output off, or write four_wire: true or false under init of the instrument.",
                )
            self.apply(self.leads_command, self.four_wire_leads)
        self._confirmed[query] = float(self.four_wire_leads)


class ScpiSourceMeter(ScpiSource):
    """A source-meter with `:SOUR:VOLT`, `:SOUR:CURR`, and fixed or automatic ranges; a mix-in, as `ScpiSource`."""

    voltage_command, current_command = ":SOUR:VOLT", ":SOUR:CURR"
    """Headers of the levels."""
    headroom = 1.05
    """How far a range extends beyond its nominal value."""
    largest_voltage = largest_current = math.inf
    """Largest levels (V, A)."""
    range_tolerance = 1e-3
    """Largest relative difference between a range as it is read and its nominal value."""

    def _choose_range(self, command: str, largest: float, ranges: Sequence[float]) -> float:
        """Fix the lowest of `ranges` that includes `largest` (V or A), verify it, and return it (V or A)."""
        automatic = self.ask_flag(f"{command}:AUTO?")
        chosen = self._range(command, ranges)
        if automatic or not largest <= chosen <= 10 * largest:
            # A suitable range is not switched, which would disturb a live output.
            self.write(f"{command} {largest:.10g}")
            chosen = self._range(command, ranges)
        if largest > chosen * self.headroom:
            self.check_errors()
            raise SettingError(
                self.described, f"{command}? reads {chosen:g}, which does not include {largest:g}.", "Lower the limits."
            )
        self._confirmed |= {f"{command}:AUTO?": 0.0, f"{command}?": chosen}
        return chosen

    def _range(self, command: str, ranges: Sequence[float]) -> float:
        """The range in use, one of `ranges`."""
        found = self.ask_number(f"{command}?")
        if self._nominal(found, ranges) is None:
            allowed = ", ".join(f"{one:g}" for one in ranges)
            raise self.unexpected(f"{found:g}", f"{command}?", f"one of {allowed}")
        return found

    def _nominal(self, found: float, ranges: Sequence[float]) -> float | None:
        """The one of `ranges` that `found` is, as it was read; None if it is none."""
        return next((one for one in ranges if math.isclose(found, one, rel_tol=self.range_tolerance)), None)

    def _choose_fixed_range(self, command: str, largest: float, ranges: Sequence[float]) -> float:
        """Fix the lowest range that includes `largest` (V or A), or, with the output on, the present one if it does."""
        suitable = [one for one in ranges if largest <= self.headroom * one]
        if not suitable:
            raise SettingError(
                self.described, f"has no range {command} that includes {largest:g}.", f"The largest is {ranges[-1]:g}."
            )
        present = self._range(command, ranges)
        chosen, live = suitable[0], self._output_state()
        if live:
            kept = self._nominal(present, suitable)
            if kept is None:
                raise SettingError(
                    self.described,
                    f"is on in the range {command} {present:g}, which does not include {largest:g}.",
                    "To switch the range makes an overshoot: ramp it to 0 and switch the output off (labnis safe).",
                )
            chosen = kept
        if not live or self.ask_flag(f"{command}:AUTO?"):
            self.write(f"{command} {chosen:.10g}")
        self.require(f"{command}?", chosen, tolerance=self.range_tolerance * chosen)
        self.require(f"{command}:AUTO?", 0)
        return chosen

    def _choose_constant(self, command: str, wanted: str) -> None:
        """A constant level; a sweep, a list or a pulse is replaced with the output off only."""
        found = self.ask(f"{command}?")
        if not is_choice(found, wanted) and self._output_state():
            raise SettingError(
                self.described,
                f"{command}? reads {found.strip()[:80]} with the output on; {wanted} is needed.",
                "Ramp it to 0 and switch the output off first: labnis safe.",
            )
        self.choose(command, wanted)

    @classmethod
    def reading_time(cls, integration_time: float, line_frequency: float) -> float:
        """That of the integration (`drivers.capabilities.TimedReading`)."""
        del line_frequency
        return integration_time

    def set_level(self, voltage: float) -> None:
        """Write one source level (V), once, and return when the instrument has executed it.

        A socket may delay a write by 40 ms and deliver it together with the next: without a query, the steps of a ramp
        would reach the device in groups. Command and query are one message, for the same reason.

        Raises
        ------
        SettingError
            If `voltage` is not a finite number; nothing is sent then.
        CommunicationError
            If the instrument does not confirm; whether the level was set is then unknown.

        """
        self._set(self.voltage_command, voltage, "V")

    def _set(self, command: str, level: float, unit: str) -> None:
        """Body of `set_level` and `set_current`."""
        if not math.isfinite(level):
            raise SettingError(self.described, f"a source level of {level} {unit} was requested; nothing was sent.")
        message = f"{command} {level:.10g};*OPC?"
        if (answer := self.ask(message).strip()) != "1":
            raise self.unexpected(answer, message, "1")

    def level(self) -> float:
        """Query the level of the voltage source (V)."""
        return self._level_of(self.voltage_command, self.largest_voltage, "V")

    def _level_of(self, command: str, largest: float, unit: str) -> float:
        query = f"{command}?"
        (answer,) = self.ask_reading(query)
        level = self.measured(answer, f"source level ({query})")
        if abs(level) > largest:
            raise self.unexpected(f"{level:g}", query, f"at most ±{largest:g} ({unit})")
        return level

    def set_current(self, current: float) -> None:
        """Write one level of the current source (A); as `set_level`."""
        self._set(self.current_command, current, "A")

    def current_level(self) -> float:
        """Query the level of the current source (A)."""
        return self._level_of(self.current_command, self.largest_current, "A")


class MainsSourceMeter(ScpiSourceMeter):
    """A source-meter that integrates over 0.01 to 10 cycles of the mains, and averages beyond; a mix-in."""

    average_command = ":SENS:CURR:AVER"
    """Header of the average in the instrument."""
    line_frequencies: tuple[float, ...] = (50.0, 60.0, 400.0)
    """Possible frequencies of the mains (Hz)."""
    integration_step = 0.0
    """Steps of the integration (cycles), where they are coarse."""
    mains_frequency = math.nan
    """Frequency of the mains (Hz) that the instrument found, in whose cycles `prepare` sets the integration."""

    def _choose_integration_time(self, seconds: float) -> int:
        """Set integration and, for long times, the repeating average; return the number of readings averaged."""
        line_frequency = self.ask_number(":SYST:LFR?")
        if line_frequency not in self.line_frequencies:
            *first, last = (f"{one:g}" for one in self.line_frequencies)
            raise self.unexpected(f"{line_frequency:g}", ":SYST:LFR?", f"{', '.join(first)} or {last} (Hz)")
        self._confirmed[":SYST:LFR?"] = self.mains_frequency = line_frequency
        cycles = seconds * line_frequency
        averages = max(1, math.ceil(cycles / LONGEST_NPLC - 1e-9))
        if not SHORTEST_NPLC <= cycles <= LONGEST_NPLC * MOST_AVERAGES:
            raise SettingError(
                self.described,
                f"an integration time of {seconds:g} s is not possible.",
                f"Allowed are {SHORTEST_NPLC / line_frequency:g} to "
                f"{LONGEST_NPLC * MOST_AVERAGES / line_frequency:g} s.",
            )
        self.apply(":SENS:CURR:NPLC", cycles / averages, tolerance=max(1e-4 * cycles, self.integration_step / 2))
        self._average(averages)
        return averages

    def _average(self, readings: int) -> None:
        """Set the repeating average over this many `readings`; off for one."""
        if readings > 1:
            self.write(f"{self.average_command}:TCON REP")
            self.apply(f"{self.average_command}:COUN", readings)
        self.apply(self.average_command, readings > 1)
