"""Keithley 2600B series (2601B, 2602B, 2604B, 2611B, 2612B, 2614B, 2634B, 2635B, 2636B; 2602A) as the bias source.

QCoDeS's driver, whose channels `smua` and `smub` fill the role; a station file names one (`channel: smua`). From the
reference manual 2600BS-901-01; **never tried on hardware**. What bites, and what is done about it:

- An earlier user's relative offset, filter, power limit, ranges, four-wire sensing and high capacitance mode stay: all
  are set and read back, and those that would disturb a live output are refused.
- A level beyond a fixed range is accepted while the output is off, and an error only when it goes on.
- In the output-off mode NORMAL the source still drives 0 V, at up to `offlimiti`; OUTPUT_HIGH_Z disconnects.
- QCoDeS's sweeps leave the format REAL32, the sense mode and a buffer that appends behind.
- A sweep of the trigger model that somebody has started runs on, and may leave the output at another level than the
  one that is read; what `abort()` does to the output is not documented. With the output on a sweep is refused, and so
  is an output that is not where its level says.

It does not ramp by itself (`SelfRamping`): the level that is read does not follow a sweep of the trigger model. A
sweep with readings (`BufferedSweep`) is a script that sets the level itself; for 2 s it blocks the interface.
"""

import math
from typing import Any, ClassVar

from qcodes.instrument_drivers.Keithley import Keithley2600 as QcodesKeithley2600

from drivers.answers import register
from drivers.errors import SettingError
from drivers.keithley_2600b_channel import HEADROOM, SourceMeterChannel
from drivers.tsp import TspInstrument, is_constant

__all__ = ["Keithley2600B"]

LARGEST_ERROR = 5e-3  # of a range: far beyond the accuracy of source and reading
LINE_FREQUENCIES = (50.0, 60.0)
SHORTEST_NPLC, LONGEST_NPLC, MOST_AVERAGES = 0.001, 25.0, 100
DIGITS = 10  # of numbers that upstream parameters read
SWEEPING = {"smua": 2, "smub": 4}  # bits of status.operation.sweeping
SINGLE = ("2601B", "2611B", "2635B")
#: Time (s) beyond its integration that a reading may take: ranging and the delays of low ranges.
SETTLING = 3.0


class _Channel(SourceMeterChannel):
    """A channel of a 2600B that fills the role of `drivers.roles.BiasSource`: it sources voltage and measures current.

    It says whether it was left as a current source (`drivers.protection.CurrentSourcing`).
    """

    # --- preparation ------------------------------------------------------------------------------------------------

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
            Current limit (A); below `smallest_compliance` it is that.
        integration_time
            Time of one current reading (s); beyond 25 power-line cycles readings are averaged in the instrument.

        Raises
        ------
        SettingError
            If the instrument holds other values, or has its output on with settings that cannot be changed then.
        RejectedCommandError
            If its error queue has an entry.

        """
        self._confirmed = {}
        self.parent.discard_errors()
        self.parent.assign("format.data", "format.ASCII")
        self.parent.assign("format.asciiprecision", DIGITS)
        live = self.output_enabled()
        self._end_sweep(live=live)
        self._source_voltage(live=live)
        self._prepare_readings(integration_time)
        if live:
            self._require_level()
        self._set_at_rest("sense", "SENSE_REMOTE" if self._four_wire_leads else "SENSE_LOCAL", live=live)
        for setting in ("highc", "settling"):
            self._set_at_rest(f"source.{setting}", 0.0, live=live)
        limit = max(compliance, self.smallest_compliance)
        self._assign("source.limiti", limit, tolerance=1e-3 * limit)
        self._assign("source.limitp", 0.0)
        self._assign("source.delay", 0.0)
        self._assign("source.offfunc", "OUTPUT_DCVOLTS")
        self._assign("source.offmode", f"OUTPUT_{self._off_mode.upper()}")
        largest = max(abs(maximum_voltage), abs(self.level()))
        self._ranges = (
            self._choose_source_range(largest, live=live),
            self._choose_range("measure", "i", abs(maximum_current), self._current_ranges),
        )
        self.parent.check_errors()
        self.parent.require_same(self._confirmed, "at the end of its preparation")

    def _prepare_readings(self, integration_time: float) -> None:
        for what in "iv":
            self._assign(f"measure.rel.enable{what}", "REL_OFF")
        self._assign("measure.autozero", "AUTOZERO_AUTO")
        self._assign("measure.delay", self._measure_delay)
        self._assign("measure.delayfactor", 1.0)
        if self._has_analog_filter:
            self._assign("measure.analogfilter", 1.0)
        self._assign("measure.filter.enable", 0.0)
        self._assign("measure.count", 1.0)
        self._choose_integration_time(integration_time)

    def _end_sweep(self, *, live: bool) -> None:
        """End a sweep of the trigger model; not while the output is on, because its level may change then."""
        query = "status.operation.sweeping.condition"
        (found,) = self.parent.values(query)
        sweeping = register(f"{found:g}")
        if sweeping is None:
            raise self.parent.unexpected(f"{found:g}", query, "a register")
        if not sweeping & SWEEPING[self.channel]:
            return
        if live:
            raise SettingError(
                self.parent.described,
                f"runs a sweep of its trigger model at {self.channel} with the output on.",
                f"Wait for its end; {self.channel}.abort() ends it, and may move the output at once.",
            )
        self.parent.write(f"{self.channel}.abort()")

    def _source_voltage(self, *, live: bool) -> None:
        """Select voltage sourcing; refused while a current source is on."""
        if live and self.sources_current():
            raise SettingError(
                self.parent.described,
                f"sources current at {self.channel} with its output on; a voltage source is needed.",
                "Bring the current to zero and switch the output off by hand.",
            )
        self._set_at_rest("source.func", "OUTPUT_DCVOLTS", live=live)

    def _require_level(self) -> None:
        """Check that a live output is at its level, from which ramps start: a sweep may have left it elsewhere."""
        with self.parent.waiting(self._longest_reading):
            level, voltage, full, limited = self.parent.values(
                self._at("source.levelv"),
                self._at("measure.v()"),
                self._at("source.rangev"),
                f"({self._at('source.compliance')} and 1 or 0)",
            )
        if not limited and not abs(voltage - level) <= LARGEST_ERROR * full:
            raise SettingError(
                self.parent.described,
                f"has its output on at {voltage:g} V, and {self._at('source.levelv')} is {level:g} V: a sweep has left "
                "it there.",
                f"Write {self._at('source.levelv')} = {voltage:.3g} by hand, or switch the output off at its front "
                "panel.",
            )

    def _set_at_rest(self, setting: str, value: str | float, *, live: bool) -> None:
        """Set what would disturb a live output: then only checked."""
        named = isinstance(value, str)
        expression = is_constant(self._at(setting), self._at(str(value))) if named else self._at(setting)
        (found,) = self.parent.values(expression)
        if found != (1.0 if isinstance(value, str) else value):
            if live:
                raise SettingError(
                    self.parent.described,
                    f"has its output on and {self._at(setting)} is not {value}.",
                    "Ramp it to 0 and switch the output off first (labnis safe); four_wire under init of it "
                    "says whether there are sense leads.",
                )
            self._assign(setting, value)
        else:
            self._confirmed[expression] = found

    def _choose_source_range(self, largest: float, *, live: bool) -> float:
        """Fix the lowest range that includes `largest` (V); while the output is on, one that includes it stays."""
        if not largest <= HEADROOM * self._voltage_ranges[-1]:
            raise SettingError(
                self.parent.described,
                f"{largest:g} V is beyond {self._voltage_ranges[-1]:g} V, its largest range.",
                "Lower the limits.",
            )
        if not live or self.level() == 0:
            return self._choose_range("source", "v", largest, self._voltage_ranges)
        found = self._range("source.rangev", self._voltage_ranges)
        if largest > HEADROOM * found:
            raise SettingError(
                self.parent.described,
                f"is on at {self.level():g} V in the range {found:g} V, which does not include {largest:g} V.",
                "Ramp it to 0 first: labnis safe.",
            )
        return self._fixed("source", "v", found)

    def _choose_range(self, side: str, what: str, largest: float, ranges: tuple[float, ...]) -> float:
        """Fix the lowest of `ranges` that includes `largest` (V or A), verify it, and return it (V or A)."""
        chosen = next((one for one in ranges if largest <= HEADROOM * one), None)
        if chosen is None:
            raise SettingError(
                self.parent.described,
                f"{self._at(side)}.range{what} has no range for {largest:g}; the largest is {ranges[-1]:g}.",
                "Lower the limits.",
            )
        return self._fixed(side, what, chosen)

    def _fixed(self, side: str, what: str, chosen: float) -> float:
        found = self._range(f"{side}.range{what}", self._current_ranges if what == "i" else self._voltage_ranges)
        if not math.isclose(found, chosen, rel_tol=1e-3):
            self._assign(f"{side}.range{what}", chosen, tolerance=1e-3 * chosen)
        self._assign(f"{side}.autorange{what}", "AUTORANGE_OFF")
        (self._confirmed[self._at(f"{side}.range{what}")],) = self._values(f"{side}.range{what}")
        if not math.isclose(self._confirmed[self._at(f"{side}.range{what}")], chosen, rel_tol=1e-3):
            raise self.parent.refused(self._at(f"{side}.range{what}"), "another range", f"{chosen:g}")
        return chosen

    def _range(self, setting: str, ranges: tuple[float, ...]) -> float:
        """The range in use, one of `ranges`."""
        (found,) = self._values(setting)
        if not any(math.isclose(found, one, rel_tol=1e-3) for one in ranges):
            allowed = ", ".join(f"{one:g}" for one in ranges)
            raise self.parent.unexpected(f"{found:g}", self._at(setting), f"one of {allowed}")
        return found

    def _choose_integration_time(self, seconds: float) -> None:
        """Set integration and, for long times, the instrument's repeating average."""
        (frequency,) = self.parent.values("localnode.linefreq")
        if frequency not in LINE_FREQUENCIES:
            raise self.parent.unexpected(f"{frequency:g}", "localnode.linefreq", "50 or 60 (Hz)")
        self._confirmed["localnode.linefreq"] = self.mains_frequency = frequency
        cycles = seconds * frequency
        if not SHORTEST_NPLC <= cycles <= LONGEST_NPLC * MOST_AVERAGES:
            raise SettingError(
                self.parent.described,
                f"an integration time of {seconds:g} s is not possible.",
                f"Allowed are {SHORTEST_NPLC / frequency:g} to {LONGEST_NPLC * MOST_AVERAGES / frequency:g} s.",
            )
        averages = max(1, math.ceil(cycles / LONGEST_NPLC - 1e-9))
        self._assign("measure.nplc", cycles / averages, tolerance=1e-4 * cycles)
        self._assign("measure.filter.type", "FILTER_REPEAT_AVG")
        self._assign("measure.filter.count", averages)
        self._assign("measure.filter.enable", float(averages > 1))
        self._longest_reading = 2 * seconds + SETTLING


class Keithley2600B(TspInstrument, QcodesKeithley2600):
    """A Keithley 2600B whose channels fill the role of `drivers.roles.BiasSource`.

    Attributes
    ----------
    channel_names, channel_class
        Its channels (`drivers.capabilities.HasChannels`); a 2601B, for example, has the first one only.

    Parameters
    ----------
    name, address
        Of the instrument.
    four_wire
        Whether the device is connected with sense leads.
    off_mode
        What an output does that is off: `high_z`, disconnected, or `normal`, 0 V.

    """

    channel_names: ClassVar[tuple[str, ...]] = ("smua", "smub")
    channel_class: ClassVar[type] = _Channel

    def __init__(
        self, name: str, address: str, four_wire: bool = False, off_mode: str = "high_z", **kwargs: Any
    ) -> None:
        if off_mode not in ("high_z", "normal"):
            raise ValueError(f"off_mode is {off_mode!r}; high_z and normal are possible")
        super().__init__(name, address, **kwargs)
        self.channels = []
        for channel in self.channel_names:
            self.submodules.pop(channel)
            self.instrument_modules.pop(channel)
            if channel == "smub" and self.model in SINGLE:
                continue  # QCoDeS has two channels of each model
            own = _Channel(self, channel, four_wire=four_wire, off_mode=off_mode)
            self.add_submodule(channel, own)
            self.channels.append(own)
