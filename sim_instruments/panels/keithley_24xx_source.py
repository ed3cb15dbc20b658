"""The source of the Keithley 2400 series and of the 6430: voltage or current, with a limit of the other one.

From the Series 2400 user's manual (2400S-900-01, Rev. K): section 4 and 18-61 (automatic ohms: the source of current is
selected and set by the range of resistance, table 4-1; +825 for who sets it himself), error numbers (table B-1), ranges
and limits (section 18). Assumed: that a compliance below the range leaves the range as it is, that a range below the
level is -221, that the compliance of voltage has the same rules as that of current, that ranges of voltage matter to
it only while current is sourced, and that current stays sourced after a measurement of resistance.
"""

import math
from typing import Any, ClassVar

from sim_instruments.panels.front_panel import command
from sim_instruments.panels.keithley_24xx_settings import HEADROOM, PROTECTIONS, enclosing
from sim_instruments.panels.scpi import ScpiPanel
from sim_instruments.panels.scpi_values import Call, ScpiError
from sim_instruments.world import SourceState

__all__ = ["OTHER", "TEXTS", "Keithley24xxSource"]

OTHER = {"VOLT": "CURR", "CURR": "VOLT"}
# Steps of levels (5 µV of 200 mV), per range.
SOURCE_STEP = 2.5e-5
# Part of the compliance at which a source of current counts as limited.
AT_LIMIT = 0.999
# Most voltage (V) in the highest range of current.
MOST_AT_FULL_CURRENT = 21.0
# Test current (A) of the automatic ohms, by range (ohm).
TEST_CURRENTS = {20.0: 0.1, 200.0: 0.01, 2e3: 1e-3, 2e4: 1e-4, 2e5: 1e-5, 2e6: 1e-6, 2e7: 1e-6, 2e8: 1e-7}
TEXTS = {
    -222: "Parameter data out of range",
    800: "Illegal with storage active",
    802: "OUTPUT blocked by output enable",
    803: "Not permitted with OUTPUT off",
    822: "Too small for sense range",
    824: "Cannot exceed compliance range",
    825: "Invalid with auto-ohms on",
    826: "Attempt to exceed power limit",
    830: "Invalid with INF ARM:COUNT",
}


class Keithley24xxSource(ScpiPanel):
    """The source of a 2400 or of a 6430 across the bias line.

    Attributes
    ----------
    blocked
        Set it as the output-enable line does, or the interlock of a 6430: the output does not go on.
    functions
        What is measured, in short form.
    stepped
        Level (V or A) at which a sweep or a list has the output, in place of the programmed one.

    """

    voltage_ranges: ClassVar[tuple[float, ...]]
    current_ranges: ClassVar[tuple[float, ...]]
    #: Largest compliance (A) in the highest voltage range.
    weakest: ClassVar[float] = math.inf
    #: Terminals that the device is connected to.
    connected: ClassVar[str] = "FRON"

    def switch_on(self) -> None:
        """Start as after power-up."""
        self._terminals = self.wires.terminals(self.world)
        self.blocked = False
        super().switch_on()

    def reset(self) -> None:
        """Return to the defaults: 0 V, output off, current measured."""
        self.functions = ["CURR"]
        self.stepped: float | None = None
        super().reset()
        self.drive()

    def _ranges(self, short: str) -> tuple[float, ...]:
        return self.voltage_ranges if short == "VOLT" else self.current_ranges

    @property
    def sourced(self) -> str:
        """What is sourced, VOLT or CURR."""
        return str(self.state["function"])

    @property
    def level(self) -> float:
        """Level (V or A) of the output, if it is on."""
        programmed: float = self.state[f"{self.sourced} level"]
        return programmed if self.stepped is None else self.stepped

    # --- settings ---------------------------------------------------------------------------------------

    def check_setting(self, name: str, value: Any) -> None:
        """Refuse what contradicts ranges, compliance, power or the automatic ohms."""
        short, _, part = name.partition(" ")
        if short == "CURR" and part in ("level", "triggered", "source range") and self.auto_ohms:
            raise ScpiError(825, TEXTS[825])
        if part in ("level", "triggered") and not self.state[f"{short} source range auto"]:
            if abs(value) > self.state[f"{short} source range"] * HEADROOM:
                raise ScpiError(-222)
        elif part == "source range":
            if abs(self.state[f"{short} level"]) > enclosing(self._ranges(short), value) * HEADROOM:
                raise ScpiError(-221)
        elif part in ("limit", "range") and (short == "CURR" or (short == "VOLT" and self.sourced == "CURR")):
            self._check_limit(short, part, value)
        elif name == "output" and value and self.blocked:
            raise ScpiError(802, TEXTS[802])

    def _check_limit(self, short: str, part: str, value: float) -> None:
        fixed, highest = not self.state[f"{short} range auto"], self._ranges(OTHER[short])[-1]
        if part == "range" and enclosing(self._ranges(short), value) > self.covering(short):
            raise ScpiError(824, TEXTS[824])
        if part == "limit" and fixed and value < 1e-3 * self.state[f"{short} range"] * (1 - 1e-9):
            raise ScpiError(822, TEXTS[822])
        most = self.weakest if short == "CURR" else MOST_AT_FULL_CURRENT
        if part == "limit" and value > most and self.state[f"{OTHER[short]} source range"] == highest:
            raise ScpiError(826, TEXTS[826])

    def covering(self, short: str) -> float:
        """The lowest range (V or A) that covers the compliance."""
        return enclosing(self._ranges(short), self.state[f"{short} limit"])

    def setting_changed(self, name: str) -> None:
        """Choose ranges, and drive the bias line."""
        super().setting_changed(name)
        short, _, part = name.partition(" ")
        if name in ("terminals", "four-wire", "guard", "function"):
            self.state["output"] = False
        elif name == "VOLT protection":
            wanted = self.state[name]
            self.state[name] = next((one for one in PROTECTIONS if wanted <= one), PROTECTIONS[-1])
        elif short in ("VOLT", "CURR") and part in ("range", "source range"):
            self.state[name] = enclosing(self._ranges(short), self.state[name])
        elif part == "limit" and self.state[f"{short} follows"]:
            self.state[f"{short} range"] = self.covering(short)
        elif part == "limit" and self.state[f"{short} range auto"]:
            self.state[f"{short} range"] = min(self.state[f"{short} range"], self.covering(short))
        if name in ("function", "output") or part in ("level", "mode"):
            self.stepped = None
        if name in ("ohms", "RES range", "RES range auto"):
            self.take_over()
        if short in ("VOLT", "CURR"):
            self._settle(short, part)
        self.drive()

    def _settle(self, short: str, part: str) -> None:
        """Choose the source's range, and round the level to its steps; the triggered level follows."""
        level = f"{short} level"
        if self.state[f"{short} source range auto"]:
            self.state[f"{short} source range"] = enclosing(self._ranges(short), self.state[level])
        self.state[level] = self.in_steps(short, self.state[level])
        if part == "level":
            self.state[f"{short} triggered"] = self.state[level]

    def in_steps(self, short: str, level: float) -> float:
        """`level` (V or A) in the steps of the source's range."""
        step: float = self.state[f"{short} source range"] * SOURCE_STEP
        return round(level / step) * step

    # --- automatic ohms ---------------------------------------------------------------------------------

    @property
    def auto_ohms(self) -> bool:
        """Whether the range of resistance sets the source."""
        return "RES" in self.functions and self.state["ohms"] == "AUTO" and self.sourced == "CURR"

    def take_over(self) -> None:
        """Source the test current if resistance is measured automatically; from a source of voltage, switch off."""
        if "RES" not in self.functions or self.state["ohms"] != "AUTO":
            return
        if self.sourced != "CURR":
            self.state |= {"function": "CURR", "output": False}
            self.stepped = None
        self.test_with(float(self.state["RES range"]))

    def test_with(self, resistance: float) -> None:
        """Choose the range (ohm) that includes a `resistance`, with its test current."""
        chosen = enclosing(tuple(TEST_CURRENTS), resistance)
        current = min(TEST_CURRENTS[chosen], self.current_ranges[-1])
        self.state |= {"RES range": chosen, "CURR level": current, "CURR triggered": current}
        self.state["CURR source range"] = enclosing(self.current_ranges, current)
        self.drive()

    # --- output -----------------------------------------------------------------------------------------

    def limit(self, short: str) -> float:
        """Where the output is limited (V or A): at the compliance, or at the end of a fixed range."""
        limit: float = self.state[f"{short} limit"]
        fixed = not self.state[f"{short} range auto"]
        return min(limit, self.state[f"{short} range"] * HEADROOM) if fixed else limit

    def drive(self) -> None:
        """Drive the bias line."""
        on = self.state["output"] and self.at_device()
        if on and self.sourced == "CURR":
            level, limit = self.wires.sourcing_current(self.world, self.level, self.limit("VOLT"))
        else:
            bound = self.state["VOLT protection"]
            level, limit = max(-bound, min(bound, self.level if on else 0.0)), self.limit("CURR")
        self._terminals.set_source(level=level, output=on, current_limit=limit)

    def change_output(self, on: bool) -> None:
        """Switch the output."""
        self.check_setting("output", on)
        self.state["output"] = on
        self.drive()

    def at_device(self) -> bool:
        """Whether the terminals in use are those of the device."""
        return bool(self.state.get("terminals", self.connected) == self.connected)

    def at_terminals(self, duration: float) -> SourceState:
        """What is at the terminals, measured for a `duration` (s)."""
        if not self.at_device():
            if self.sourced == "VOLT":
                return SourceState(self.level, 0.0, limited=False)
            return SourceState(math.copysign(self.limit("VOLT"), self.level), 0.0, limited=True)
        voltage, current = (
            self.state[f"{short} source range" if short == self.sourced else f"{short} range"]
            for short in ("VOLT", "CURR")
        )
        return self._terminals.source_state(duration, voltage, current)

    def limited(self, found: SourceState) -> bool:
        """Whether the compliance, or a fixed range, limits the output."""
        if self.sourced == "CURR" and self.state["output"]:
            return bool(abs(found.voltage) >= AT_LIMIT * self.limit("VOLT"))
        return found.limited

    @command(":SOURce<n>:CLEar[:IMMediate]")
    def _clear_source(self, call: Call) -> None:
        self.state["output"] = False
        self.drive()

    @command("[:SENSe<n>]:CURRent[:DC]:PROTection:TRIPped?", "[:SENSe<n>]:VOLTage[:DC]:PROTection:TRIPped?")
    def _show_tripped(self, call: Call) -> str:
        return f"{self.state['output'] and self.limited(self.at_terminals(0.02)):d}"

    # --- errors -----------------------------------------------------------------------------------------

    def format_error(self, error: ScpiError) -> str:
        """One entry of the queue."""
        sign = "+" if error.code > 0 else ""
        return f'{sign}{error.code},"{TEXTS.get(error.code, error.text)}"'
