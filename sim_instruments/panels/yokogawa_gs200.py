"""Front panel of a Yokogawa GS200 voltage and current source (user's manual IM GS210-01EN), without its option /MON.

What the manual does not say is marked as assumed below.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from sim_instruments.panels.front_panel import Setting, command
from sim_instruments.panels.scpi import ScpiPanel
from sim_instruments.panels.scpi_values import Call, Choice, Integer, Number, ScpiError, Switch, Text

__all__ = ["YokogawaGS200Panel"]

RANGES = {"VOLT": (10e-3, 100e-3, 1.0, 10.0, 30.0), "CURR": (1e-3, 10e-3, 100e-3, 200e-3)}
# Largest level of each range, and its step.
LARGEST = {"VOLT": (12e-3, 120e-3, 1.2, 12.0, 32.0), "CURR": (1.2e-3, 12e-3, 120e-3, 200e-3)}
STEPS = {"VOLT": (100e-9, 1e-6, 10e-6, 100e-6, 1e-3), "CURR": (10e-9, 100e-9, 1e-6, 1e-6)}
UNITS = {"V": "VOLT", "A": "CURR"}
# Time (s) between two levels along a slope (assumed).
SLOPE_STEP, ROUNDING = 10e-3, 1e-9
# Part of the voltage limit at which a source of current counts as limited.
AT_LIMIT = 0.999
# Bits of the extended event register.
SOURCE_CHANGED, END_OF_STEP, END_OF_PROGRAM, READY, LOW_LIMITER, HIGH_LIMITER = 32, 64, 128, 256, 1024, 2048


@dataclass(frozen=True)
class _Step:
    """One step of a program: level (V or A), range, function."""

    level: float
    range: float
    function: str


class YokogawaGS200Panel(ScpiPanel):
    """A GS200 across the bias line."""

    identification = "YOKOGAWA,GS210,TWIN0006,2.02"
    resource = "USB{}::0x0B21::0x0039::91W000001::0::INSTR"
    options = "NONE"  # assumed
    number_format = "+.5E"
    settings: ClassVar[tuple[Any, ...]] = (
        Setting(":OUTPut[:STATe]", "output", Switch(False)),
        Setting(":SOURce:FUNCtion", "function", Choice("VOLTage", "CURRent")),
        Setting(":SOURce:PROTection:VOLTage", "voltage limit", Number(30.0, 1.0, 30.0)),
        Setting(":SOURce:PROTection:CURRent", "current limit", Number(0.2, 1e-3, 0.2)),
        Setting(":SENSe:REMote", "four-wire", Switch(False)),
        Setting(":SENSe:GUARd", "guard", Switch(False)),
        Setting(":PROGram:REPeat", "repeat", Switch(False)),
        Setting(":PROGram:INTerval", "interval", Number(1.0, 0.1, 3600.0)),
        Setting(":PROGram:SLOPe", "slope", Number(1.0, 0.0, 3600.0)),
        Setting(":PROGram:TRIGger", "program trigger", Choice("NORMal", "MEND")),
        Setting(":ROUTe:BNCOut", "bnc out", Choice("TRIGger", "OUTPut", "READy")),
        Setting(":ROUTe:BNCIn", "bnc in", Choice("TRIGger", "OUTPut")),
        Setting(":STATus:ENABle", "enabled", Integer(0, 0, 65535)),
    )
    handlers: ClassVar = {
        ":SYSTem:LFRequency?": lambda self, _: f"{self.world.wiring.line_frequency:.0f}",
        ":SYSTem:REMote": lambda self, call: call.expect(0),
        ":SYSTem:LOCal": lambda self, call: call.expect(0),
        ":SOURce:RANGe?": lambda self, _: self.show_number(self.range),
        ":SOURce:LEVel[:FIXed]?": lambda self, _: self.show_number(self.level),
        ":SOURce:LEVel:AUTO?": lambda self, _: self.show_number(self.level),
        ":STATus:CONDition?": lambda self, _: str(self._condition()),
        ":PROGram:COUNt?": lambda self, _: str(self._count),
    }

    def switch_on(self) -> None:
        """Start as after power-up."""
        self._terminals = self.wires.terminals(self.world)
        self._program: list[_Step] = []
        self._editing = False
        super().switch_on()

    def reset(self) -> None:
        """Return to the defaults: 0 V in the 1 V range (assumed), output off."""
        self._running: object | None = None
        self._count, self._event = 1, 0
        self.level, self.range = 0.0, 1.0
        super().reset()
        self._drive()

    # --- source -----------------------------------------------------------------------------------------

    def check_setting(self, name: str, value: Any) -> None:
        """Refuse another function while the output is on (assumed)."""
        if name == "function" and value != self.state["function"] and self.state["output"]:
            raise ScpiError(-221)

    def setting_changed(self, name: str) -> None:
        """Drive the bias line; another function begins at 0, in its second highest range (assumed)."""
        super().setting_changed(name)
        if name == "function" and self.range not in RANGES[self.state["function"]]:
            self.level, self.range = 0.0, RANGES[self.state["function"]][2]
        if name == "output" and not self.state["output"]:
            self._running = None
        self._drive()

    def _in_range(self, table: Mapping[str, tuple[float, ...]]) -> float:
        """The entry of the present range in a table by function and range."""
        function = self.state["function"]
        return table[function][RANGES[function].index(self.range)]

    def _drive(self) -> None:
        level, limit, output = self.level, self.state["current limit"], self.state["output"]
        if self.state["function"] == "CURR":
            level = 0.0
            if output:
                level, limit = self.wires.sourcing_current(self.world, self.level, self.state["voltage limit"])
        self._terminals.set_source(level=level, output=output, current_limit=limit)

    def _set(self, level: float) -> None:
        """The level, without the digits that its range does not have."""
        step = self._in_range(STEPS)
        self.level = int(level / step + math.copysign(1e-6, level)) * step
        self._event |= SOURCE_CHANGED
        self._drive()

    @command(":SOURce:RANGe")
    def _set_range(self, call: Call) -> None:
        call.expect(1)
        ranges = RANGES[self.state["function"]]
        at, text = ranges.index(self.range), call.arguments[0].upper()
        if text in ("UP", "DOWN"):
            chosen = ranges[min(max(at + (1 if text == "UP" else -1), 0), len(ranges) - 1)]
        else:
            number = call.parse(0, Number(ranges[0], ranges[0], ranges[-1], self.state["function"][0]))
            chosen = next(one for one in ranges if number <= one * (1 + 1e-9))
        before, self.range = self.range, chosen
        if abs(self.level) > self._in_range(LARGEST) * (1 + 1e-9):  # assumed: the range stays
            self.range = before
            raise ScpiError(-221)
        self._set(self.level)

    @command(":SOURce:LEVel[:FIXed]")
    def _set_level(self, call: Call) -> None:
        largest = self._in_range(LARGEST) * (1 + 1e-9)
        self._take(call.parse(0, Number(0.0, -largest, largest, self.state["function"][0])), self.range)

    @command(":SOURce:LEVel:AUTO")
    def _set_level_and_range(self, call: Call) -> None:
        function = self.state["function"]
        largest = LARGEST[function][-1]
        level = call.parse(0, Number(0.0, -largest, largest, function[0]))
        self._take(
            level, next(r for r, most in zip(RANGES[function], LARGEST[function], strict=True) if abs(level) <= most)
        )

    def _take(self, level: float, in_range: float) -> None:
        """Take a level in a range as the next step of the program, or as that of the source."""
        if self._editing:
            self._program.append(_Step(level, in_range, self.state["function"]))
            return
        self._running, self.range = None, in_range
        self._set(level)

    # --- program ----------------------------------------------------------------------------------------

    @command(":PROGram:EDIT:STARt")
    def _begin_editing(self, call: Call) -> None:
        call.expect(0)
        self._editing, self._program = True, []

    @command(":PROGram:EDIT:END")
    def _end_editing(self, call: Call) -> None:
        call.expect(0)
        self._editing = False

    @command(":PROGram:MEMory")
    def _set_memory(self, call: Call) -> None:
        """Steps as lines of level, range and function."""
        call.expect(1)
        self._program = [_step(line) for line in call.parse(0, Text()).replace("\\n", "\n").splitlines() if line]

    @command(":PROGram:MEMory?")
    def _show_memory(self, call: Call) -> str:
        units = {function: unit for unit, function in UNITS.items()}
        lines = [f"{self.show_number(s.level)},{self.show_number(s.range)},{units[s.function]}" for s in self._program]
        return '"' + "\\n".join(lines) + '"'

    @command(":PROGram:RUN")
    def _run(self, call: Call) -> None:
        """Run the program from its first step; not with the output off."""
        call.expect(0)
        if not (self.state["output"] and self._program):
            raise ScpiError(-221)
        self._running, self._count = object(), 1
        self._begin_step(self._running)

    @command(":PROGram:HOLD")
    def _hold(self, call: Call) -> None:
        """Stop at the present level."""
        call.expect(0)
        self._running = None

    def _begin_step(self, run: object) -> None:
        step = self._program[self._count - 1]
        if (step.range, step.function) != (self.range, self.state["function"]):
            self.range = step.range  # without a slope
            self._set(step.level)
        self._along(run, self.level, step.level, self.world.clock.time())

    def _along(self, run: object, start: float, end: float, began: float) -> None:
        """Follow the slope to the end of the step."""
        if run is not self._running:
            return  # stopped since
        slope, interval = self.state["slope"], self.state["interval"]
        elapsed = self.world.clock.time() - began
        self._set(start + (end - start) * (min(elapsed / slope, 1.0) if slope else 1.0))
        if slope - elapsed > ROUNDING:
            self.world.clock.later(min(SLOPE_STEP, slope - elapsed), lambda: self._along(run, start, end, began))
        else:
            self.world.clock.later(max(interval - elapsed, 0.0), lambda: self._end_step(run))

    def _end_step(self, run: object) -> None:
        if run is not self._running:
            return
        self._event |= END_OF_STEP
        last = self._count >= len(self._program)
        if last and not self.state["repeat"]:
            self._event |= END_OF_PROGRAM
            self._running, self._count = None, 1
            return
        self._count = 1 if last else self._count + 1
        self._begin_step(run)

    # --- status -----------------------------------------------------------------------------------------

    def _condition(self) -> int:
        """Limiters that act, and whether it is ready for a program."""
        found = self._terminals.source_state(0.02)
        limited = found.limited
        if self.state["function"] == "CURR":
            limited = abs(found.voltage) >= AT_LIMIT * self.state["voltage limit"]
        limiter = (LOW_LIMITER if self.level < 0 else HIGH_LIMITER) if self.state["output"] and limited else 0
        return limiter | (READY if self._running is None else 0)

    @command(":STATus:EVENt?")
    def _read_event(self, call: Call) -> str:
        call.expect(0)
        event, self._event = self._event | self._condition(), 0
        return str(event)

    def clear_status(self) -> None:
        """Clear the event registers and the error queue."""
        super().clear_status()
        self._event = 0

    def format_error(self, error: ScpiError) -> str:
        """One entry, without the sign of 0."""
        return f'{error.code},"{error.text}"'


def _step(line: str) -> _Step:
    """One line of a program. Raises ScpiError."""
    parts = [part.strip() for part in line.split(",")]
    if len(parts) != 3 or parts[2].upper() not in UNITS:
        raise ScpiError(-222)
    function = UNITS[parts[2].upper()]
    found = Number(0.0).parse(parts[1])
    if not any(abs(found - one) < 1e-9 for one in RANGES[function]):
        raise ScpiError(-222)
    at = min(range(len(RANGES[function])), key=lambda n: abs(RANGES[function][n] - found))
    largest = LARGEST[function][at] * (1 + 1e-9)
    return _Step(Number(0.0, -largest, largest).parse(parts[0]), RANGES[function][at], function)
