"""What the front panels of the Keithley 2400 series and the 6430 have in common: readings and their triggers.

From the Series 2400 user's manual (2400S-900-01, Rev. K): commands (section 18), one-shot measurements (17-2, 17-5),
setups (16-4), status word (18-50, 18-51). That `:MEASure:CURRent?` sets the compliance to its default was seen by users
(basil issue 121). Ranges of measurement are queried as 1.05 times the nominal value, as users of this command set have
logged. Assumed: that a list of functions without concurrency is the last of them, that the automatic ohms find their
range within one reading, that a setup is recalled with the output off, and a drift without autozero of 1e-3 of the
range per hour. Not simulated: limit tests, contact check and mathematics. A measurement that does not wait for a
trigger ends before the next message is executed.
"""

import copy
import math
from typing import Any, ClassVar

import numpy as np

from sim_instruments.panels.front_panel import Handler, Setting, command
from sim_instruments.panels.keithley_24xx_settings import COMMON, HEADROOM, MOST_READINGS, enclosing
from sim_instruments.panels.keithley_24xx_source import OTHER, TEXTS
from sim_instruments.panels.keithley_24xx_store import Keithley24xxStore
from sim_instruments.panels.keithley_24xx_sweeps import Keithley24xxSweeps
from sim_instruments.panels.scpi_values import Call, Choice, ScpiError, Switch, Text, find_mnemonic, short_form
from sim_instruments.panels.stored_readings import Reading

__all__ = ["Keithley24xxPanel"]

# Steps of readings, per range.
READING_STEP = 1e-6
NOT_A_NUMBER, OVERFLOW = 9.91e37, 9.9e37
DRIFT = 1e-3
# Ranges of resistance that the automatic ohms try for one reading.
TRIALS = 8
SETUPS = 5
ELEMENTS = ("VOLTage", "CURRent", "RESistance", "TIME", "STATus")
SHOWN = {"VOLT": '"VOLT:DC"', "CURR": '"CURR:DC"', "RES": '"RES"'}
# Commands that are executed while the trigger model waits.
RELEASING = ("ABOR", "*TRG", "*RST", "SYST:PRES")
OVER_RANGE, FILTERED, FRONT, COMPLIANCE, PROTECTION, MATH, NULL = 1, 2, 4, 8, 16, 32, 64
AUTO_OHMS, MEASURES, SOURCES = 1 << 10, {"VOLT": 1 << 11, "CURR": 1 << 12, "RES": 1 << 13}, {"VOLT": 14, "CURR": 15}
RANGE_COMPLIANCE, FOUR_WIRE = 1 << 16, 1 << 22


class Keithley24xxPanel(Keithley24xxStore, Keithley24xxSweeps):
    """A source-meter of the 2400 series across the bias line."""

    functions: list[str]
    number_format = "+.6E"
    handlers: ClassVar[dict[str, str | Handler]] = {
        ":SYSTem:LFRequency?": lambda self, _: self.line_frequency(),
        ":FORMat[:DATA]?": lambda self, _: self.data_format,
        ":FORMat:ELEMents[:SENSe<n>]?": lambda self, _: ",".join(self.elements),
        "[:SENSe<n>]:FUNCtion[:ON]?": lambda self, _: ",".join([SHOWN[one] for one in self.functions]),
        "[:SENSe<n>]:FUNCtion:OFF:ALL": lambda self, _: self.set_functions([]),
        "[:SENSe<n>]:FUNCtion:ALL": lambda self, _: self.set_functions(list(SHOWN)),
        "[:SENSe<n>]:FUNCtion:ON:ALL": lambda self, _: self.set_functions(list(SHOWN)),
        ":SYSTem:AZERo[:STATe]?": lambda self, _: f"{self.autozero:d}",
        ":SYSTem:BEEPer[:IMMediate]": lambda self, call: call.expect(2),
        ":SYSTem:PRESet": lambda self, _: self.reset(),
        ":READ?": lambda self, _: self.trigger(answers=True),
        ":INITiate[:IMMediate]": lambda self, _: self.trigger(answers=False),
        ":FETCh?": lambda self, _: self.answer(),
        "[:SENSe<n>]:DATA[:LATest]?": lambda self, _: self.latest(),
        ":MEASure?": lambda self, _: self.measure_now(None),
        ":MEASure:VOLTage[:DC]?": lambda self, _: self.measure_now("VOLT"),
        ":MEASure:CURRent[:DC]?": lambda self, _: self.measure_now("CURR"),
        ":MEASure:RESistance?": lambda self, _: self.measure_now("RES"),
        ":CONFigure:VOLTage[:DC]": lambda self, _: self.configure("VOLT"),
        ":CONFigure:CURRent[:DC]": lambda self, _: self.configure("CURR"),
        ":CONFigure:RESistance": lambda self, _: self.configure("RES"),
        ":CONFigure?": lambda self, _: ",".join([SHOWN[one] for one in self.functions]),
        ":SYSTem:TIME:RESet": lambda self, _: self.reset_time(),
        ":TRIGger[:SEQuence<n>]:CLEar": lambda self, _: None,
        ":SYSTem:KEY": lambda self, call: call.expect(1),
        "*TRG": lambda self, call: call.expect(0),
    }
    settings: ClassVar[tuple[Any, ...]] = COMMON

    def switch_on(self) -> None:
        """Start as after power-up, with default setups."""
        self._setups: dict[int, dict[str, Any]] = {}
        self.reset_time()
        super().switch_on()

    def reset(self) -> None:
        """Return to the defaults: 0 V, output off, automatic ranges, current measured, five elements."""
        self.elements: tuple[str, ...] = ("VOLT", "CURR", "RES", "TIME", "STAT")
        self.data_format = "ASC"
        self.autozero, self._zeroed_at = True, self.world.clock.time()
        self.sample: list[Reading] = []
        super().reset()

    def reset_time(self) -> None:
        """Begin the timestamps at 0 again."""
        self._timed_from = self.world.clock.time()

    def line_frequency(self) -> str:
        """Frequency of the mains (Hz): what was found when it was switched on, or what somebody has set."""
        found = f"{self.world.wiring.line_frequency:.0f}"
        return found if self.state["line frequency auto"] else str(self.state["line frequency"])

    def abort_operation(self) -> None:
        """Return to idle."""
        super().abort_operation()
        self.waiting, self._awaited = False, False
        self._held: list[str] = []
        self._begun: list[bytes] = []

    def device_clear(self) -> None:
        """Return to idle, too."""
        super().device_clear()
        self.abort_operation()

    def execute(self, message: str) -> list[bytes]:
        """Execute a message; while the trigger model waits, only what releases it."""
        if not self.waiting:
            answers = super().execute(message)
            if self.waiting:
                self._begun, answers = answers, []
            return answers
        if not message.strip().lstrip(":").upper().startswith(RELEASING):
            self._held.append(message)
            return []
        held, triggered = self._held, message.strip().upper().startswith("*TRG")
        answers = []
        if triggered and math.isfinite(self.state["arm count"]):
            begun = self._begun
            awaited = self._awaited
            self.abort_operation()
            self._measure_all()
            found = self.encoded(self.sample)
            found = found.encode() if isinstance(found, str) else found
            answers = [b";".join([*begun, found])] if awaited else []
        self.abort_operation()
        for each in (message, *held):
            answers += super().execute(each)
        return answers

    def check_setting(self, name: str, value: Any) -> None:
        """As of the source; not more readings than there is memory for."""
        super().check_setting(name, value)
        if name in ("arm count", "trigger count"):
            other = self.state["trigger count" if name == "arm count" else "arm count"]
            if math.isfinite(value) and math.isfinite(other) and value * other > MOST_READINGS:
                raise ScpiError(-221)

    def setting_changed(self, name: str) -> None:
        """As of the source."""
        super().setting_changed(name)
        if name == "concurrent":
            self.functions = self.functions[:1]

    # --- setups -----------------------------------------------------------------------------------------

    @command("*SAV")
    def _save(self, call: Call) -> None:
        self._setups[int(call.number(0, 0, SETUPS - 1))] = copy.deepcopy(
            {
                name: getattr(self, name)
                for name in ("state", "functions", "elements", "data_format", "autozero", "lists")
            }
        )

    @command("*RCL")
    def _recall(self, call: Call) -> None:
        setup = self._setups.get(int(call.number(0, 0, SETUPS - 1)))
        self.reset()
        for name, value in copy.deepcopy(setup or {}).items():
            setattr(self, name, value)
        self.change_output(False)

    # --- measurement ------------------------------------------------------------------------------------

    def show_setting(self, setting: Setting, call: Call) -> str:
        """As of any panel; a range of measurement is shown with its headroom."""
        if setting.name in ("VOLT range", "CURR range") and not call.arguments:
            return self.show_number(self.state[setting.name] * HEADROOM)
        return super().show_setting(setting, call)

    def set_functions(self, functions: list[str]) -> None:
        """Measure these; resistance takes over the source if it is automatic."""
        before, self.functions = self.functions, [one for one in SHOWN if one in functions]
        if "RES" in self.functions and "RES" not in before:
            self.take_over()

    def _named(self, call: Call) -> list[str]:
        call.expect(1, 3)
        texts = [call.parse(index, Text()).upper().removesuffix(":DC") for index in range(len(call.arguments))]
        return [short_form(find_mnemonic(("VOLTage", "CURRent", "RESistance"), text)) for text in texts]

    @command("[:SENSe<n>]:FUNCtion[:ON]")
    def _add_functions(self, call: Call) -> None:
        named = self._named(call)
        self.set_functions([*self.functions, *named] if self.state["concurrent"] else named[-1:])

    @command("[:SENSe<n>]:FUNCtion:OFF")
    def _remove_functions(self, call: Call) -> None:
        named = self._named(call)
        self.set_functions([one for one in self.functions if one not in named])

    @command(":SYSTem:AZERo[:STATe]")
    def _set_autozero(self, call: Call) -> None:
        self._zeroed_at = self.world.clock.time()
        if call.arguments != ("ONCE",):
            self.autozero = call.parse(0, Switch(True))

    @command(":FORMat[:DATA]")
    def _set_format(self, call: Call) -> None:
        call.expect(1, 2)
        self.data_format = call.parse(0, Choice("ASCii", "REAL", "SREal"))

    @command(":FORMat:ELEMents[:SENSe<n>]")
    def _set_elements(self, call: Call) -> None:
        call.expect(1, len(ELEMENTS))
        named = {find_mnemonic(ELEMENTS, text) for text in call.arguments}
        self.elements = tuple(short_form(one) for one in ELEMENTS if one in named)

    def duration(self) -> float:
        """Time (s) of one conversion, averages included."""
        return float(self.state["nplc"] * self.averages() / self.world.wiring.line_frequency)

    def filtered(self) -> bool:
        """Whether a filter is on."""
        return bool(self.state["filter"])

    def averages(self) -> int:
        """Number of conversions that a reading needs."""
        return int(self.state["filter count"]) if self.state["filter"] else 1

    def trigger(self, *, answers: bool) -> str | bytes | None:
        """Run the trigger model, or wait for its event."""
        if not self.state["output"] and not self.state["clear auto"]:
            raise ScpiError(803, TEXTS[803])
        immediate = self.state["arm source"] in ("IMM", "TIM") and self.state["trigger source"] == "IMM"
        if answers and not math.isfinite(self.state["arm count"]):
            raise ScpiError(830, TEXTS[830])
        if not immediate or not math.isfinite(self.state["arm count"]):
            self.waiting, self._awaited = True, answers
            return None
        self._measure_all()
        return self.answer() if answers else None

    def configure(self, function: str | None) -> None:
        """Prepare one measurement of a function with its defaults, and switch the output on."""
        names: tuple[str, ...] = ("arm source", "trigger source", "arm count", "trigger count")
        if function:
            names += tuple(f"{function} {what}" for what in ("limit", "range", "range auto", "follows"))
            names += ("ohms", "offset compensation") if function == "RES" else ()
        self.state |= {one.name: one.default for one in self._settings() if one.name in names}
        if function:
            self.set_functions([*self.functions, function] if self.state["concurrent"] else [function])
            if function == "RES":
                self.take_over()
        self.change_output(True)

    def _settings(self) -> list[Setting]:
        """All settings of the panel."""
        return [one for kind in type(self).__mro__ for one in vars(kind).get("settings", ())]

    def measure_now(self, function: str | None) -> str | bytes | None:
        """Measure with the trigger and the output that `:MEASure?` sets itself."""
        self.configure(function)
        return self.trigger(answers=True)

    def _measure_all(self) -> None:
        before, begun = self.state["output"], self.world.clock.time()
        each = int(self.state["trigger count"])
        self.change_output(True)
        self.sample = []
        for number, _ in enumerate(self.steps(int(self.state["arm count"]) * each)):
            if self.state["arm source"] == "TIM" and number % each == 0:
                due = begun + number // each * self.state["arm timer"]
                self.world.clock.sleep(max(0.0, due - self.world.clock.time()))
            self.sample.append(self._measured())
            self.store(self.sample[-1])
            if self.state["abort"] != "NEV" and int(self.sample[-1]["STAT"]) & (COMPLIANCE | RANGE_COMPLIANCE):
                break
        self.change_output(before and not self.state["clear auto"])

    def _measured(self) -> Reading:
        """Every element of one reading, which takes its time."""
        conversions = max(1, len(self.functions)) * (3 if self.autozero else 1)
        self.world.clock.sleep(self.state["delay"] + self.state["trigger delay"] + conversions * self.duration())
        found = self.at_terminals(self.duration())
        for _ in range(TRIALS if self.auto_ohms and self.state["RES range auto"] else 0):
            before = self.state["RES range"]
            self.test_with(abs(found.voltage / found.current) if found.current else math.inf)
            if self.state["RES range"] == before:
                break
            found = self.at_terminals(self.duration())
        values = dict.fromkeys(("VOLT", "RES", "CURR"), NOT_A_NUMBER) | {self.sourced: self.level}
        values["TIME"] = self.world.clock.time() - self._timed_from
        beyond = False
        for short, value in (("VOLT", found.voltage), ("CURR", found.current)):
            if short in self.functions:
                values[short], over = self._digitised(short, value)
                beyond |= over
        if "RES" in self.functions:
            values["RES"] = found.voltage / found.current if found.current else OVERFLOW
        values["STAT"] = self._status(limited=self.limited(found), beyond=beyond)
        return values

    def _digitised(self, short: str, value: float) -> tuple[float, bool]:
        """A reading in its range, which is that of the source for what is sourced, and whether it is beyond that."""
        if short != self.sourced and self.state[f"{short} range auto"]:
            self.state[f"{short} range"] = min(enclosing(self._ranges(short), value), self.covering(short))
        full_scale = self.state[f"{short} source range" if short == self.sourced else f"{short} range"]
        if not self.autozero:
            value += DRIFT * full_scale * (self.world.clock.time() - self._zeroed_at) / 3600
        if abs(value) > full_scale * HEADROOM * 1.005:
            return math.copysign(OVERFLOW, value), True
        step = full_scale * READING_STEP
        return round(value / step) * step, False

    def _status(self, *, limited: bool, beyond: bool) -> float:
        other = OTHER[self.sourced]
        real = self.state[f"{other} limit"] <= self.limit(other)
        word = OVER_RANGE * beyond + FILTERED * self.filtered() + FRONT * (self.state.get("terminals") != "REAR")
        word += (COMPLIANCE if real else RANGE_COMPLIANCE) * limited
        word += PROTECTION * (self.sourced == "VOLT" and abs(self.level) > self.state["VOLT protection"])
        word += MATH * self.state["math"] + NULL * self.state["null"]
        word += AUTO_OHMS * (self.state["ohms"] == "AUTO") + sum(MEASURES[one] for one in self.functions)
        return float(word + (1 << SOURCES[self.sourced]) + FOUR_WIRE * self.state["four-wire"])

    def answer(self) -> str | bytes:
        """The readings in the sample buffer."""
        if not self.sample:
            raise ScpiError(-230)
        return self.encoded(self.sample)

    def latest(self) -> str | bytes:
        """The latest reading."""
        if not self.sample:
            raise ScpiError(-230)
        return self.encoded(self.sample[-1:])

    def encoded(self, readings: list[Reading]) -> str | bytes:
        """`readings`, in their elements, as text or as bytes."""
        values = [reading[element] for reading in readings for element in self.elements]
        if self.data_format == "ASC":
            return ",".join([self.show_number(value) for value in values])
        order = "<" if (self.state["byte order"] == "SWAP") != (self.data_format == "SRE") else ">"
        return b"#0" + np.array(values, dtype=f"{order}f4").tobytes()
