"""One channel of a Keithley 2600B: its output, level and readings; `keithley_2600b` prepares it."""

import math
from collections.abc import Sequence
from functools import partial
from typing import ClassVar, Literal

from qcodes.instrument_drivers.Keithley import Keithley2600Channel as QcodesChannel

from drivers.acquiring import readable
from drivers.answers import marker, number
from drivers.errors import ComplianceError, SettingError
from drivers.roles import SourceReading
from drivers.tsp import TspInstrument

__all__ = ["HEADROOM", "SourceMeterChannel"]

# A range sources up to 101 % of its name and reads to 102 % (reference manual, p. 2-44).
HEADROOM, READABLE = 1.01, 1.03
SOURCE_STEP = 5e-5  # of a range
#: What a message calls the script of a sweep.
SWEEP = "the script of a sweep"
#: Settings that each reading confirms: what is off, and the ranges.
BESIDE = ("measure.autorangei", "measure.rel.enablei", "measure.rel.enablev", "source.rangev", "measure.rangei")
DECADES = tuple(10.0**decade for decade in range(-10, 1))


class SourceMeterChannel(QcodesChannel):
    """A channel of a 2600B that sources voltage and measures current."""

    smallest_compliance = 10e-9
    """Smallest current limit (A); 100 pA at a 2634B, 2635B and 2636B."""
    level_step: ClassVar[float] = 5e-6
    """Step of a level (V) in the lowest range; in the others it is below the tolerance of a level read back."""

    parent: TspInstrument  # type: ignore[assignment]  # with QCoDeS's class, whose methods are not used

    def __init__(self, parent: TspInstrument, name: str, *, four_wire: bool, off_mode: str) -> None:
        super().__init__(parent, name, name)  # type: ignore[arg-type]  # as above
        self._four_wire_leads, self._off_mode = four_wire, off_mode
        self._confirmed: dict[str, float] = {}
        self._ranges = (math.nan, math.nan)
        self._longest_reading = 0.0
        self._swept: list[float] = []  # number of the script, then voltage, current and limit of each level
        self._sweeps, self._sweep_number = False, 0
        self.mains_frequency = math.nan
        model = str(self.model)
        low_voltage, sensitive = model.startswith("260"), model.startswith("263")
        self._voltage_ranges = (0.1, 1.0, 6.0, 40.0) if low_voltage else (0.2, 2.0, 20.0, 200.0)
        lowest = 1e-10 if model in ("2635B", "2636B") else 1e-9 if sensitive else 1e-7
        self._current_ranges = (*(one for one in DECADES if one > 0.9 * lowest), 3.0 if low_voltage else 1.5)
        self._measure_delay = "DELAY_AUTO" if sensitive else "DELAY_OFF"
        self._has_analog_filter = sensitive
        if sensitive:
            self.smallest_compliance = 100e-12

    def _at(self, setting: str) -> str:
        return f"{self.channel}.{setting}"

    def _assign(self, setting: str, value: str | float, *, tolerance: float = 0.0) -> float:
        """Write a setting of this channel, a number or the name of a constant, and read it back."""
        value = self._at(value) if isinstance(value, str) else value
        expression, found = self.parent.assign(self._at(setting), value, tolerance=tolerance)
        self._confirmed[expression] = found
        return found

    def _values(self, *settings: str) -> list[float]:
        return self.parent.values(*map(self._at, settings))

    # --- output -------------------------------------------------------------------------------------------------------

    def output_on(self) -> None:
        """Connect the output at its present level; verified."""
        self.parent.assign(self._at("source.output"), 1.0)

    def output_off(self) -> None:
        """Disconnect the output; verified."""
        self.parent.assign(self._at("source.output"), 0.0)

    def output_enabled(self) -> bool:
        """Whether the output is on, as the instrument answers."""
        return self.parent.again(self._asked_output)

    def _asked_output(self) -> bool:
        (found,) = self._values("source.output")
        if found not in (0.0, 1.0):
            raise self.parent.unexpected(f"{found:g}", self._at("source.output"), "0 or 1")
        return found == 1.0

    # --- level --------------------------------------------------------------------------------------------------------

    @classmethod
    def reading_time(cls, integration_time: float, line_frequency: float) -> float:
        """That of the integration (`drivers.capabilities.TimedReading`)."""
        del line_frequency
        return integration_time

    def set_level(self, voltage: float) -> None:
        """Write one source level (V), once, and read it back in the same message.

        Raises
        ------
        SettingError
            If `voltage` is not a finite number (nothing is sent then), or the instrument refuses it.
        CommunicationError
            If the instrument does not confirm; whether the level was set is then unknown.

        """
        self._set("v", voltage)

    def set_current(self, current: float) -> None:
        """Write one level of the current source (A); as `set_level`."""
        self._set("i", current)

    def _set(self, what: Literal["v", "i"], level: float) -> None:
        """Body of `set_level` and `set_current`."""
        if not math.isfinite(level):
            raise SettingError(self.parent.described, f"a source level of {level} was requested; nothing was sent.")
        name, in_range = self._at(f"source.level{what}"), self._at(f"source.range{what}")
        # A sweep of the trigger model would go on; after `prepare` there is none.
        ended = "" if self._confirmed else f"{self.channel}.abort() "
        found, full = self.parent.values(name, in_range, before=f"{ended}{name} = {level:.10g}")
        if not abs(found - level) <= SOURCE_STEP * full + 1e-9 * abs(level):
            raise self.parent.refused(name, f"{found:.10g}", f"{level:.10g}")

    def level(self) -> float:
        """Query the level of the voltage source (V)."""
        return self._level_of("v", self._voltage_ranges[-1])

    def current_level(self) -> float:
        """Query the level of the current source (A)."""
        return self._level_of("i", self._current_ranges[-1])

    def _level_of(self, what: Literal["v", "i"], largest: float) -> float:
        (answer,) = self._values(f"source.level{what}")
        level = self.parent.measured(answer, f"source level ({self._at(f'source.level{what}')})")
        if abs(level) > HEADROOM * largest:
            raise self.parent.unexpected(f"{level:g}", self._at(f"source.level{what}"), f"at most ±{largest:g}")
        return level

    def sources_current(self) -> bool:
        """Query whether it sources current."""
        (found,) = self.parent.again(lambda: self._values("source.func"))
        if found not in (0.0, 1.0):
            raise self.parent.unexpected(f"{found:g}", self._at("source.func"), "0 or 1")
        return found == 0.0

    # --- readings -----------------------------------------------------------------------------------------------------

    def read(self) -> SourceReading:
        """Measure voltage and current once, in one message, repeated without a usable answer.

        Raises
        ------
        ComplianceError
            If the source is at its current limit.
        OverloadError
            If voltage or current is beyond its range.
        SettingError
            If its ranges are others than those which were prepared, or a relative offset is on.

        """
        with self.parent.waiting(self._longest_reading):
            return self.parent.again(self._asked_reading)

    def _asked_reading(self) -> SourceReading:
        at = self._at
        query = f"local i, v = {at('measure.iv()')}"
        current, voltage, limited, *settings = self.parent.values(
            "i", "v", f"({at('source.compliance')} and 1 or 0)", *map(at, BESIDE), before=query
        )
        ranges = self._checked_ranges(settings)
        return self._reading(query, ranges, voltage, current, limited)

    def _reading(
        self, query: str, ranges: Sequence[float], voltage: float, current: float, limited: float
    ) -> SourceReading:
        """Voltage (V), current (A) and whether it is limited, of an answer to `query`, as a reading in `ranges` (V, A).

        Raises
        ------
        ComplianceError, OverloadError, CommunicationError
            As `read`.

        """
        if limited:
            raise ComplianceError(
                self.parent.described,
                f"is at its limit (current {marker(current) or f'{current:g} A'}, voltage {voltage:g} V).",
                "The voltage at the device is not the one that was set: lower the bias or raise the compliance.",
            )
        reading = SourceReading(
            self.parent.measured(voltage, f"source voltage ({self._at('measure.iv()')})"),
            self.parent.measured(current, f"current ({self._at('measure.iv()')})"),
            *self._ranges,
        )
        if abs(voltage) > READABLE * ranges[0] or abs(current) > READABLE * ranges[1]:
            expected = f"at most {ranges[0]:g} (V) and {ranges[1]:g} (A), its ranges,"
            raise self.parent.unexpected(f"{voltage:g} {current:g}", query, expected)
        return reading

    # --- sweeps -------------------------------------------------------------------------------------------------------

    longest_sweep: ClassVar[int] = 50

    def start_sweep(self, levels: Sequence[float], settling: float) -> None:
        """Send a script that sets `levels` (V), waits for `settling` (s) and reads at each, and prints the readings.

        It changes the level itself, so that the one that is read back is that of the output wherever it ends. While it
        runs nothing else is read; whoever connects then waits for its end, or ends it.

        Raises
        ------
        SettingError
            If the levels are too many, not finite or beyond the range; nothing was sent.
        CommunicationError
            If the bus fails.

        """
        largest = HEADROOM * self._ranges[0]
        if not 1 <= len(levels) <= self.longest_sweep or not all(abs(level) <= largest for level in levels):
            raise SettingError(
                self.parent.described,
                f"a sweep of {len(levels)} levels was requested; 1 to {self.longest_sweep} of up to {largest:g} V are "
                "possible, and nothing was sent.",
            )
        self._sweep_number = self.parent.next_tag()
        script = (
            f"local l = {{{', '.join(f'{level:.10g}' for level in levels)}}} local t = '{self._sweep_number}' "
            f"for k = 1, {len(levels)} do {self._at('source.levelv')} = l[k] delay({settling:.6f}) "
            f"local i, v = {self._at('measure.iv()')} "
            f"t = string.format('%s %.10g %.10g %d', t, v, i, {self._at('source.compliance')} and 1 or 0) end print(t)"
        )
        self._swept, self._sweeps = [], True
        self.parent.write(script)

    def sweep_running(self) -> bool:
        """Wait for the script's readings; it is called after its planned end. False.

        Raises
        ------
        CommunicationError
            If they do not come within the timeout, or are none.

        """
        if self._sweeps:
            with self.parent.waiting(self._longest_reading):
                answer = self.parent.receive_line(SWEEP)
            found = [number(part) for part in answer.split()]
            self._swept = [one for one in found if one is not None]
            if len(self._swept) != len(found) or self._swept[:1] != [self._sweep_number]:
                raise self.parent.unexpected(answer, SWEEP, f"{self._sweep_number} and readings")
            self._sweeps = False
        return False

    def halt_sweep(self) -> None:
        """End the script, if its readings did not come; without effect otherwise.

        Raises
        ------
        CommunicationError
            If the instrument does not answer then.

        """
        if self._sweeps:
            self._sweeps = False
            self.parent.lost_step()
            self.parent.regain_step()  # a device clear, or `abort` on a socket, ends it

    def fetch_sweep(self, count: int) -> list[SourceReading]:
        """The readings of a sweep of `count` levels, up to the first at the limit or beyond a range.

        Raises
        ------
        CommunicationError
            If there is another number of readings.
        SettingError
            As `read`.

        """
        numbers = self._swept[1:]
        if len(numbers) != 3 * count:
            raise self.parent.unexpected(f"{len(numbers)} numbers", SWEEP, f"{count} readings")
        ranges = self._checked_ranges(self._values(*BESIDE))
        return readable(numbers, partial(self._reading, SWEEP, ranges))

    def _checked_ranges(self, settings: Sequence[float]) -> Sequence[float]:
        """The ranges (V, A) among the `settings` beside a reading, if all of these are as prepared."""
        switches, found = settings[:-2], settings[-2:]
        for name, on in zip(BESIDE, switches, strict=False):
            if on and self._confirmed:
                self.parent.lost_step()
                raise SettingError(
                    self.parent.described,
                    f"{self._at(name)} is on; it was switched off.",
                    "It was changed or reset: prepare the measurement again.",
                )
        for now, prepared, unit in zip(found, self._ranges, "VA", strict=True):
            if not math.isclose(now, prepared, rel_tol=1e-3) and not math.isnan(prepared):
                self.parent.lost_step()
                raise SettingError(
                    self.parent.described,
                    f"is in the range {now:g} {unit}; {prepared:g} {unit} was prepared.",
                    "It was changed or reset: prepare the measurement again.",
                )
        return found
