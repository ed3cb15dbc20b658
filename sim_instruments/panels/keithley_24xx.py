"""What the front panels of the Keithley 2400 series and the 6430 have in common.

From the Series 2400 user's manual (2400S-900-01, Rev. K): commands (section 18), error numbers (table B-1), status word
(18-50, 18-51). Current sourcing can be set up but not switched on. Ranges of measurement are queried as 1.05 times the
nominal value, as users of this command set have logged. Assumed: that a compliance below the range leaves the range as
it is, that a range below the level is -221, that a list of functions without concurrency is the last of them, that a
sweep ends at its last level, and a drift without autozero of 1e-3 of the range per hour. Not simulated: data store,
limit tests, source memory, contact check and auto-ohms (resistance is the ratio of voltage and current).
"""

import math
from typing import Any, ClassVar

import numpy as np

from sim_instruments.panels.front_panel import Setting, command
from sim_instruments.panels.keithley_24xx_settings import (
    COMMON,
    HEADROOM,
    MOST_READINGS,
    PROTECTIONS,
    enclosing,
)
from sim_instruments.panels.scpi import ScpiPanel
from sim_instruments.panels.scpi_values import (
    Call,
    Choice,
    ScpiError,
    Switch,
    Text,
    find_mnemonic,
    short_form,
)

__all__ = ["Keithley24xxPanel"]

# Steps of levels (5 µV of 200 mV) and of readings, per range.
SOURCE_STEP, READING_STEP = 2.5e-5, 1e-6
NOT_A_NUMBER, OVERFLOW = 9.91e37, 9.9e37
DRIFT = 1e-3
ELEMENTS = ("VOLTage", "CURRent", "RESistance", "TIME", "STATus")
SHOWN = {"VOLT": '"VOLT:DC"', "CURR": '"CURR:DC"', "RES": '"RES"'}
# Commands that are executed while the trigger model waits.
RELEASING = ("ABOR", "*TRG", "*RST", "SYST:PRES")
TEXTS = {
    -222: "Parameter data out of range",
    802: "OUTPUT blocked by output enable",
    803: "Not permitted with OUTPUT off",
    822: "Too small for sense range",
    824: "Cannot exceed compliance range",
    826: "Attempt to exceed power limit",
}
OVER_RANGE, FILTERED, FRONT, COMPLIANCE, PROTECTION, MATH, NULL = 1, 2, 4, 8, 16, 32, 64
AUTO_OHMS, MEASURES, SOURCES = 1 << 10, {"VOLT": 1 << 11, "CURR": 1 << 12, "RES": 1 << 13}, {"VOLT": 14, "CURR": 15}
RANGE_COMPLIANCE, FOUR_WIRE = 1 << 16, 1 << 22


class Keithley24xxPanel(ScpiPanel):
    """A source-meter of the 2400 series across the bias line.

    Attributes
    ----------
    blocked
        Set it as the output-enable line does, or the interlock of a 6430: the output does not go on.

    """

    number_format = "+.6E"
    voltage_ranges: ClassVar[tuple[float, ...]]
    current_ranges: ClassVar[tuple[float, ...]]
    #: Largest compliance (A) in the highest voltage range.
    weakest: ClassVar[float] = math.inf
    #: Terminals that the device is connected to.
    connected: ClassVar[str] = "FRON"
    handlers: ClassVar = {
        ":SYSTem:LFRequency?": lambda self, _: f"{self.world.wiring.line_frequency:.0f}",
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
        ":MEASure?": lambda self, _: self.measure_now(None),
        ":MEASure:VOLTage[:DC]?": lambda self, _: self.measure_now("VOLT"),
        ":MEASure:CURRent[:DC]?": lambda self, _: self.measure_now("CURR"),
        ":MEASure:RESistance?": lambda self, _: self.measure_now("RES"),
        ":TRIGger[:SEQuence<n>]:CLEar": lambda self, _: None,
        ":SYSTem:KEY": lambda self, call: call.expect(1),
        "*TRG": lambda self, call: call.expect(0),
    }
    settings: ClassVar[tuple[Any, ...]] = COMMON

    def switch_on(self) -> None:
        """Start as after power-up."""
        self._terminals = self.wires.terminals(self.world)
        self.blocked = False
        super().switch_on()

    def reset(self) -> None:
        """Return to the defaults: 0 V, output off, automatic ranges, current measured, five elements."""
        self.elements: tuple[str, ...] = ("VOLT", "CURR", "RES", "TIME", "STAT")
        self.functions = ["CURR"]
        self.data_format = "ASC"
        self.autozero, self._zeroed_at = True, self.world.clock.time()
        self.sample: list[dict[str, float]] = []
        super().reset()
        self._drive()

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
            answers = [b";".join([*begun, self._encoded().encode("latin-1")])] if awaited else []
        self.abort_operation()
        for each in (message, *held):
            answers += super().execute(each)
        return answers

    # --- source -----------------------------------------------------------------------------------------

    def _ranges(self, short: str) -> tuple[float, ...]:
        return self.voltage_ranges if short == "VOLT" else self.current_ranges

    def check_setting(self, name: str, value: Any) -> None:
        """Refuse what contradicts ranges, compliance or power, and a current source that goes on."""
        short, _, part = name.partition(" ")
        if part in ("level", "triggered") and not self.state[f"{short} source range auto"]:
            if abs(value) > self.state[f"{short} source range"] * HEADROOM:
                raise ScpiError(-222)
        elif part == "source range":
            if abs(self.state[f"{short} level"]) > enclosing(self._ranges(short), value) * HEADROOM:
                raise ScpiError(-221)
        elif name in ("CURR limit", "CURR range"):
            self._check_limit(part, value)
        elif name == "output" and value:
            if self.blocked:
                raise ScpiError(802, TEXTS[802])
            if self.state["function"] == "CURR":
                raise ScpiError(-221)
        elif name in ("arm count", "trigger count"):
            other = self.state["trigger count" if name == "arm count" else "arm count"]
            if math.isfinite(value) and math.isfinite(other) and value * other > MOST_READINGS:
                raise ScpiError(-221)

    def _check_limit(self, part: str, value: float) -> None:
        fixed = not self.state["CURR range auto"]
        if part == "range" and enclosing(self.current_ranges, value) > self._covering():
            raise ScpiError(824, TEXTS[824])
        if part == "limit" and fixed and value < 1e-3 * self.state["CURR range"] * (1 - 1e-9):
            raise ScpiError(822, TEXTS[822])
        if part == "limit" and value > self.weakest and self.state["VOLT source range"] == self.voltage_ranges[-1]:
            raise ScpiError(826, TEXTS[826])

    def _covering(self) -> float:
        """The lowest current range (A) that covers the compliance."""
        return enclosing(self.current_ranges, self.state["CURR limit"])

    def setting_changed(self, name: str) -> None:
        """Choose ranges, and drive the bias line."""
        super().setting_changed(name)
        short, _, part = name.partition(" ")
        if name in ("terminals", "four-wire", "guard", "function"):
            self.state["output"] = False
        elif name == "VOLT protection":
            wanted = self.state[name]
            self.state[name] = next((one for one in PROTECTIONS if wanted <= one), PROTECTIONS[-1])
        elif name == "concurrent":
            self.functions = self.functions[:1]
        elif short in ("VOLT", "CURR") and part in ("range", "source range"):
            self.state[name] = enclosing(self._ranges(short), self.state[name])
        elif name == "CURR limit" and self.state["CURR follows"]:
            self.state["CURR range"] = self._covering()
        elif name == "CURR limit" and self.state["CURR range auto"]:
            self.state["CURR range"] = min(self.state["CURR range"], self._covering())
        if short in ("VOLT", "CURR"):
            self._settle(short, part)
        self._drive()

    def _settle(self, short: str, part: str) -> None:
        """Choose the source's range, and round the level to its steps; the triggered level follows."""
        level = f"{short} level"
        if self.state[f"{short} source range auto"]:
            self.state[f"{short} source range"] = enclosing(self._ranges(short), self.state[level])
        step = self.state[f"{short} source range"] * SOURCE_STEP
        self.state[level] = round(self.state[level] / step) * step
        if part == "level":
            self.state[f"{short} triggered"] = self.state[level]

    def current_limit(self) -> float:
        """Current (A) at which the output is limited: the compliance, or the end of a fixed range."""
        limit: float = self.state["CURR limit"]
        return limit if self.state["CURR range auto"] else min(limit, self.state["CURR range"] * HEADROOM)

    def _drive(self) -> None:
        on = self.state["output"] and self.at_device()
        bound = self.state["VOLT protection"]
        level = max(-bound, min(bound, self.state["VOLT level"]))
        self._terminals.set_source(level=level, output=on, current_limit=self.current_limit())

    def at_device(self) -> bool:
        """Whether the terminals in use are those of the device."""
        return bool(self.state.get("terminals", self.connected) == self.connected)

    @command(":SOURce<n>:CLEar[:IMMediate]")
    def _clear_source(self, call: Call) -> None:
        self.state["output"] = False
        self._drive()

    # --- measurement ------------------------------------------------------------------------------------

    def show_setting(self, setting: Setting, call: Call) -> str:
        """As of any panel; a range of measurement is shown with its headroom."""
        if setting.name in ("VOLT range", "CURR range") and not call.arguments:
            return self.show_number(self.state[setting.name] * HEADROOM)
        return super().show_setting(setting, call)

    def set_functions(self, functions: list[str]) -> None:
        """Measure these."""
        self.functions = [one for one in SHOWN if one in functions]

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

    @command("[:SENSe<n>]:CURRent[:DC]:PROTection:TRIPped?", "[:SENSe<n>]:VOLTage[:DC]:PROTection:TRIPped?")
    def _show_tripped(self, call: Call) -> str:
        return f"{self.state['output'] and self._terminals.source_state(0.02).limited:d}"

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
        immediate = self.state["arm source"] == "IMM" and self.state["trigger source"] == "IMM"
        if not immediate or not math.isfinite(self.state["arm count"]):
            self.waiting, self._awaited = True, answers
            return None
        self._measure_all()
        return self.answer() if answers else None

    def measure_now(self, function: str | None) -> str | bytes | None:
        """Measure with the trigger and the output that `:MEASure?` sets itself."""
        if function:
            self.set_functions([*self.functions, function] if self.state["concurrent"] else [function])
        self.state |= {"arm source": "IMM", "trigger source": "IMM", "arm count": 1, "trigger count": 1}
        self.change_output(True)
        return self.trigger(answers=True)

    def change_output(self, on: bool) -> None:
        """Switch the output."""
        self.check_setting("output", on)
        self.state["output"] = on
        self._drive()

    def _measure_all(self) -> None:
        before = self.state["output"]
        self.state["VOLT level"] = self.state["VOLT triggered" if self.state["VOLT mode"] == "FIX" else "VOLT stop"]
        self.change_output(True)
        readings = int(self.state["arm count"] * self.state["trigger count"])
        self.sample = [self._measured() for _ in range(readings)]
        self.change_output(before and not self.state["clear auto"])

    def _measured(self) -> dict[str, float]:
        """Every element of one reading, which takes its time."""
        conversions = max(1, len(self.functions)) * (3 if self.autozero else 1)
        self.world.clock.sleep(self.state["delay"] + self.state["trigger delay"] + conversions * self.duration())
        ranges = self.state["VOLT source range"], self.state["CURR range"]
        found = self._terminals.source_state(self.duration(), *ranges)
        away = not self.at_device()
        values = dict.fromkeys(("RES", "CURR"), NOT_A_NUMBER) | {"VOLT": self.state["VOLT level"]}
        values["TIME"] = self.world.clock.time()
        beyond = False
        for short, value in (("VOLT", found.voltage), ("CURR", 0.0 if away else found.current)):
            if short in self.functions and not (away and short == "VOLT"):
                values[short], over = self._digitised(short, value)
                beyond |= over
        if "RES" in self.functions:
            values["RES"] = found.voltage / found.current if found.current else OVERFLOW
        values["STAT"] = self._status(limited=found.limited, beyond=beyond)
        return values

    def _digitised(self, short: str, value: float) -> tuple[float, bool]:
        """A reading in its range, and whether it is beyond that."""
        full_scale = self.state["VOLT source range"]
        if short == "CURR":
            if self.state["CURR range auto"]:
                self.state["CURR range"] = min(enclosing(self.current_ranges, value), self._covering())
            full_scale = self.state["CURR range"]
        if not self.autozero:
            value += DRIFT * full_scale * (self.world.clock.time() - self._zeroed_at) / 3600
        if abs(value) > full_scale * HEADROOM * 1.005:
            return math.copysign(OVERFLOW, value), True
        step = full_scale * READING_STEP
        return round(value / step) * step, False

    def _status(self, *, limited: bool, beyond: bool) -> float:
        real = self.state["CURR limit"] <= self.current_limit()
        word = OVER_RANGE * beyond + FILTERED * self.filtered() + FRONT * (self.state.get("terminals") != "REAR")
        word += (COMPLIANCE if real else RANGE_COMPLIANCE) * limited
        word += PROTECTION * (abs(self.state["VOLT level"]) > self.state["VOLT protection"])
        word += MATH * self.state["math"] + NULL * self.state["null"]
        word += AUTO_OHMS * (self.state["ohms"] == "AUTO") + sum(MEASURES[one] for one in self.functions)
        return float(word + (1 << SOURCES[self.state["function"]]) + FOUR_WIRE * self.state["four-wire"])

    def answer(self) -> str | bytes:
        """The readings in the sample buffer."""
        if not self.sample:
            raise ScpiError(-230)
        return self._encoded() if self.data_format == "ASC" else self._encoded().encode("latin-1")

    def _encoded(self) -> str:
        values = [reading[element] for reading in self.sample for element in self.elements]
        if self.data_format == "ASC":
            return ",".join([self.show_number(value) for value in values])
        order = "<" if (self.state["byte order"] == "SWAP") != (self.data_format == "SRE") else ">"
        return (b"#0" + np.array(values, dtype=f"{order}f4").tobytes()).decode("latin-1")

    # --- errors -----------------------------------------------------------------------------------------

    def format_error(self, error: ScpiError) -> str:
        """One entry of the queue."""
        sign = "+" if error.code > 0 else ""
        return f'{sign}{error.code},"{TEXTS.get(error.code, error.text)}"'
