"""Yokogawa GS200 (GS210, GS211) as the bias source: QCoDeS's driver with checks of every setting.

It measures nothing: the current is another instrument's (role `current`). Its own current limit is 1 mA at least; a
lower compliance is a limit on the measured current, which labnis watches (`drivers.protection.CoarselyLimited`).

From the user's manual IM GS210-01EN and from what others have seen of it; **never tried on hardware**:

- A range reaches to 1.2 times its nominal value (30 V: to 32 V), and has 5½ digits; further digits of a level are
  dropped, not rounded (0.010999 V becomes 0.010 V on the 1 V range), so a level is written with those it has.
- A level beyond the range, and now and then a good one, is refused, and the output stays as it is (QCoDeS issue 1024):
  each write is read back in the same message, and repeated only where the level is known to be the former one.
- While a program is edited, levels go into the program and not to the output: `:PROG:EDIT:END` comes first.
- A program runs on when its client dies, and a new level does not stop it in all firmware: `:PROG:HOLD` comes first.
"""

import math
from typing import Any, ClassVar

from qcodes.instrument_drivers.yokogawa import YokogawaGS200 as QcodesGS200

from drivers.answers import number, register
from drivers.errors import ComplianceError, SettingError
from drivers.roles import SourceReading
from drivers.scpi_source import ScpiSource

__all__ = ["YokogawaGS200"]

# Range → decimals of a level; V in the mode of a voltage source, A in that of a current source.
DECIMALS = {
    "VOLT": {10e-3: 7, 100e-3: 6, 1.0: 5, 10.0: 4, 30.0: 3},
    "CURR": {1e-3: 8, 10e-3: 7, 100e-3: 6, 200e-3: 6},
}
LARGEST = {"VOLT": 32.0, "CURR": 0.2}
HEADROOM = 1.2
LOW_LIMITER, HIGH_LIMITER = 1 << 10, 1 << 11
# How often a level is written that the instrument has refused, its former one being read back.
ATTEMPTS = 3


class YokogawaGS200(ScpiSource, QcodesGS200):
    """A GS200 that fills the role of `drivers.roles.BiasSource`: it sources voltage and measures nothing.

    It says whether it was left as a current source (`drivers.protection.CurrentSourcing`).

    Parameters
    ----------
    name, address
        Of the instrument.
    four_wire
        Whether the device is connected with sense leads.

    """

    smallest_compliance: ClassVar[float] = 1e-3
    """Lowest current limit of its own (A)."""
    largest_voltage = LARGEST["VOLT"]

    def __init__(self, name: str, address: str, four_wire: bool = False, **kwargs: Any) -> None:
        self.four_wire_leads = four_wire
        self._mode, self._in_range = "", math.nan  # as confirmed since the last preparation
        self._present = math.nan  # the last level that was read back
        super().__init__(name, address, **kwargs)
        self.program.load.snapshot_exclude = True  # it has no answer: :PROG:LOAD is no query

    def prepare(
        self, *, maximum_voltage: float, maximum_current: float, compliance: float, integration_time: float
    ) -> None:
        """Choose a fixed range, set the current limit and read everything back; level and output do not change.

        Parameters
        ----------
        maximum_voltage
            Largest future source level (V). A present level beyond it keeps a range that includes it.
        compliance
            Current limit (A); below `smallest_compliance` it is that.
        maximum_current, integration_time
            Without effect: it does not measure.

        Raises
        ------
        SettingError
            If the instrument holds other values, sources current with its output on, or has another range at a level
            other than 0 with its output on.
        RejectedCommandError
            If its error queue has an entry.

        """
        del maximum_current, integration_time
        self._confirmed = {}
        self._end_programs()
        self._source_voltage()
        self._mode = "VOLT"
        largest = max(abs(maximum_voltage), abs(self.level()))
        self._choose_range(largest)
        self.apply(":SOUR:PROT:CURR", max(compliance, self.smallest_compliance), tolerance=0.5e-3)
        self._choose_leads()
        self.check_errors()
        self.require_unchanged("at the end of its preparation")

    def _end_programs(self) -> None:
        """End an edited or running program at the present level; both commands may be refused where there is none."""
        self.write(":PROG:EDIT:END")
        self.write(":PROG:HOLD")
        self.discard_errors()

    def _choose_range(self, largest: float) -> None:
        """Fix the lowest range that includes `largest` (V); a suitable one is not switched while the output is on."""
        ranges = [one for one in DECIMALS["VOLT"] if largest <= min(one * HEADROOM, LARGEST["VOLT"])]
        if not ranges:
            raise SettingError(
                self.described,
                f"{largest:g} V is beyond {LARGEST['VOLT']:g} V, its largest level.",
                "Lower the limits.",
            )
        found = self._asked_range()
        if found != ranges[0]:
            live = self.output_enabled()
            if live and self.level() != 0:
                if found not in ranges:
                    raise SettingError(
                        self.described,
                        f"is on at {self.level():g} V in the range {found:g} V, which does not include {largest:g} V.",
                        "Ramp it to 0 first: labnis safe.",
                    )
            else:
                self.apply(":SOUR:RANG", ranges[0], tolerance=1e-3 * ranges[0])
                found = ranges[0]
        self._in_range, self._confirmed[":SOUR:RANG?"] = found, found

    def _asked_range(self) -> float:
        """The range in use (V or A)."""
        found = self.ask_number(":SOUR:RANG?")
        known = next((one for one in DECIMALS[self._mode] if math.isclose(found, one, rel_tol=1e-3)), None)
        if known is None:
            raise self.unexpected(f"{found:g}", ":SOUR:RANG?", f"one of {', '.join(map(str, DECIMALS[self._mode]))}")
        return known

    # --- output -----------------------------------------------------------------------------------------

    def output_enabled(self) -> bool:
        """Whether the output is on, as the instrument answers."""
        return self._output_state()

    # --- level ------------------------------------------------------------------------------------------

    def set_level(self, voltage: float) -> None:
        """Write one level (V) with the digits of its range, and read it back in the same message.

        Raises
        ------
        SettingError
            If `voltage` is not a finite number (nothing is sent then), or the instrument refuses it.
        CommunicationError
            If it does not answer; whether the level was set is then unknown.

        """
        self._set("VOLT", voltage)

    def _set(self, mode: str, level: float) -> None:
        """Body of `set_level` and `set_current`."""
        if not math.isfinite(level):
            raise SettingError(self.described, f"a source level of {level} was requested; nothing was sent.")
        if self._mode != mode or math.isnan(self._in_range):
            self._end_programs()
            self._mode = mode
            self._in_range = self._asked_range()
        decimals = DECIMALS[mode][self._in_range]
        text, tolerance = f"{level:.{decimals}f}", 0.5 * 10.0**-decimals
        message, before = f":SOUR:LEV {text};:SOUR:LEV?", self._present
        self._present = math.nan
        for _ in range(ATTEMPTS):
            found = self._present = self._checked_level(self.ask(message), message, mode)
            if abs(found - float(text)) <= tolerance:
                return
            if not abs(found - before) <= tolerance:
                break
            self.log.warning("%s refused %s, and is at %g as before", self.described, message, found)
        entry = self.next_error() or "no error"
        raise SettingError(
            self.described,
            f"has the level {found:g} where {text} was written; it reports {entry}.",
            f"Check its range, which was {self._in_range:g}: it may have been changed at the front panel.",
        )

    def _checked_level(self, answer: str, query: str, mode: str) -> float:
        level = number(answer)
        if level is None or not abs(level) <= LARGEST[mode]:
            raise self.unexpected(answer, query, f"a number of at most {LARGEST[mode]:g}")
        return level

    def level(self) -> float:
        """Query the level of the voltage source (V)."""
        return self._level_of("VOLT")

    def _level_of(self, mode: str) -> float:
        query = ":SOUR:LEV?"
        self.distinguish(lambda answer: number(answer) is not None)
        self._present = self._checked_level(self.ask(query), query, mode)
        return self._present

    def set_current(self, current: float) -> None:
        """Write one level of the current source (A); as `set_level`."""
        self._set("CURR", current)

    def current_level(self) -> float:
        """Query the level of the current source (A)."""
        return self._level_of("CURR")

    def read(self) -> SourceReading:
        """The level and its range, in one query, repeated without a usable answer; it measures no current.

        Raises
        ------
        ComplianceError
            If its own current limit acts.
        SettingError
            If its range is another than that which was prepared.

        """
        return self.again(self._asked_reading)

    def _asked_reading(self) -> SourceReading:
        queries = (":SOUR:LEV?", ":SOUR:RANG?", ":STAT:COND?")
        answers = self.ask_each(queries)
        level = self._checked_level(answers[0], queries[0], "VOLT")
        in_range, condition = number(answers[1]), register(answers[2])
        if in_range is None or condition is None:
            raise self.unexpected(";".join(answers), ";".join(queries), "level, range and a register")
        if not math.isclose(in_range, self._in_range, rel_tol=1e-3):
            self.lost_step()
            raise SettingError(
                self.described,
                f"is in the range {in_range:g} V; {self._in_range:g} V was prepared.",
                "It was changed or reset: prepare the measurement again.",
            )
        if condition & (LOW_LIMITER | HIGH_LIMITER):
            raise ComplianceError(
                self.described,
                f"is at its current limit (level {level:g} V).",
                "The voltage at the device is not the one that was set: lower the bias or raise the compliance.",
            )
        return SourceReading(level, math.nan, voltage_range=in_range)
