"""Front panel of a Keysight B2912A source-meter with two channels (SCPI command reference B2910-90030, edition 2).

One channel is across the bias line. It also answers the driver of the B2962A, which has the same commands. Assumed:
what the manual does not say of error numbers, the steps of levels, not-a-number as the reading with the output off,
that an offset is subtracted from every current, and that the low terminal may be switched at any time. Triggers come
by themselves or from the timer; one from elsewhere is taken to be there at once, and a measurement ends before the next
message is executed. Not simulated: infinite counts, limit tests, mathematics, the digital port and program memory.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from sim_instruments.panels.channel_settings import channels_of
from sim_instruments.panels.front_panel import Handler, Setting, command
from sim_instruments.panels.keysight_b29xx_data import NOT_A_NUMBER, KeysightB29xxData
from sim_instruments.panels.keysight_b29xx_settings import (
    CHANNELS,
    HEADROOM,
    STEP,
    WORDS,
    each,
    of_layer,
    of_quantity,
)
from sim_instruments.panels.keysight_b29xx_sweeps import KeysightB29xxSweeps, enclosing
from sim_instruments.panels.scpi_values import Call, Choice, Integer, Number, ScpiError, Switch
from sim_instruments.panels.stored_readings import Reading

__all__ = ["KeysightB29xxPanel"]

INFINITY = 9.9e37
COMPLIANCE, OVERFLOW = 2, 1 << 13
# Part of the compliance at which a source of current counts as limited.
AT_LIMIT = 0.999


class KeysightB29xxPanel(KeysightB29xxData, KeysightB29xxSweeps):
    """A B2912A with one of its channels across the bias line."""

    identification = "Keysight Technologies,B2912A,TWIN0009,3.4.2011.5100"
    resource = "USB{}::0x0957::0x8E18::MY51140001::0::INSTR"
    number_format = "+.6E"
    settings: ClassVar[tuple[Any, ...]] = (
        Setting(":FORMat:BORDer", "byte order", Choice("NORMal", "SWAPped")),
        Setting(":SYSTem:LFRequency", "line frequency", Integer(50, 50, 60)),
        each(":OUTPut<n>[:STATe]", "output", Switch(False)),
        each(":OUTPut<n>:ON:AUTO", "on auto", Switch(True)),
        each(":OUTPut<n>:OFF:AUTO", "off auto", Switch(False)),
        each(":OUTPut<n>:OFF:MODE", "off mode", Choice("NORMal", "ZERO", "HIZ")),
        each(":OUTPut<n>:LOW", "low terminal", Choice("GROund", "FLOat")),
        each(":OUTPut<n>:PROTection[:STATe]", "protection", Switch(False)),
        each("[:SOURce<n>]:FUNCtion:MODE", "function", Choice("VOLTage", "CURRent")),
        each("[:SOURce<n>]:FUNCtion[:SHAPe]", "shape", Choice("DC", "PULSe")),
        each(":SENSe<n>:REMote", "four-wire", Switch(False)),
        each(":SENSe<n>:CURRent[:DC]:APERture", "aperture", Number(2e-3, 8e-6, 2.0)),
        each(":CALCulate<n>:MATH:STATe", "math", Switch(False)),
        each(":CALCulate<n>:OFFSet:STATe", "offset on", Switch(False)),
        each(":CALCulate<n>:OFFSet", "offset", Number(0.0)),
        *(setting for short in WORDS for setting in of_quantity(short)),
        *(setting for layer in ("ARM", "TRIGger") for setting in of_layer(layer)),
    )
    handlers: ClassVar[dict[str, str | Handler]] = {
        ":SENSe<n>:FUNCtion[:ON]?": lambda self, call: self.show_functions(call),
        ":ABORt[:ALL]": lambda self, _: self.abort_operation(),
        ":ABORt:ACQuire": lambda self, _: self.abort_operation(),
        ":ABORt:TRANsient": lambda self, _: self.abort_operation(),
        ":IDLE<n>[:ALL]?": "1",
        ":IDLE<n>:ACQuire?": "1",
        ":IDLE<n>:TRANsient?": "1",
        ":INITiate[:IMMediate][:ALL]": lambda self, call: self.run(self.named(call)),
        ":INITiate[:IMMediate]:ACQuire": lambda self, call: self.run(self.named(call), steps=False),
        ":INITiate[:IMMediate]:TRANsient": lambda self, call: self.run(self.named(call), measures=False),
        ":MEASure?": lambda self, call: self.spot(call, self.elements),
        ":MEASure:VOLTage[:DC]?": lambda self, call: self.spot(call, ("VOLT",)),
        ":MEASure:CURRent[:DC]?": lambda self, call: self.spot(call, ("CURR",)),
        ":MEASure:RESistance?": lambda self, call: self.spot(call, ("RES",)),
    }

    def switch_on(self) -> None:
        """Start as after power-up."""
        self._terminals = self.wires.terminals(self.world)
        super().switch_on()

    def reset(self) -> None:
        """Return to the defaults: 0 V, outputs off, automatic ranges, automatic output-on."""
        self.functions = {channel: ["VOLT", "CURR"] for channel in CHANNELS}
        self.overshoots = 0
        super().reset()
        self._drive()

    # --- source -----------------------------------------------------------------------------------------

    def check_setting(self, name: str, value: Any) -> None:
        """Refuse a level beyond its fixed range, and a range below the level."""
        super().check_setting(name, value)
        what, _, number = name.rpartition(" ")
        short, _, part = what.partition(" ")
        fixed = part == "level" and not self.state[f"{short} range auto"][int(number)]
        if fixed and abs(value) > self.state[f"{short} range"][int(number)] * HEADROOM[short]:
            raise ScpiError(-222)
        held = part == "range" and abs(self.state[f"{short} level"][int(number)])
        if held and held > enclosing(short, value) * HEADROOM[short]:
            raise ScpiError(-221)

    def setting_changed(self, name: str) -> None:
        """Choose ranges, and drive the bias line."""
        what, _, number = name.rpartition(" ")
        short, _, part = what.partition(" ")
        if what in ("function", "output") or part in ("level", "mode"):
            self.stepped.pop(int(number), None)
        if what == "function":
            self.state["output"][int(number)] = False
        elif short in WORDS and part in ("level", "range", "range auto", "sense", "limit"):
            self._settle(short, part, int(number))
        elif not number.isdigit():
            super().setting_changed(name)
        self._drive()

    def _settle(self, short: str, part: str, channel: int) -> None:
        ranges, level = self.state[f"{short} range"], self.state[f"{short} level"]
        before = ranges[channel]
        if part == "range":
            self.state[f"{short} range auto"][channel] = False
            ranges[channel] = enclosing(short, ranges[channel])
        elif part == "sense":
            self.state[f"{short} sense auto"][channel] = False
        if self.state[f"{short} range auto"][channel]:
            ranges[channel] = enclosing(short, level[channel])
        self.overshoots += ranges[channel] != before and self.state["output"][channel]
        step = STEP * ranges[channel]
        level[channel] = round(level[channel] / step) * step
        # A measurement does not use ranges beyond the one that covers the compliance.
        sense, limit = self.state[f"{short} sense"], self.state[f"{short} limit"][channel]
        sense[channel] = min(enclosing(short, sense[channel]), enclosing(short, limit))

    def _level(self, channel: int) -> float:
        """Level (V or A) of the output of a channel, if it is on."""
        programmed: float = self.state[f"{self.state['function'][channel]} level"][channel]
        return self.stepped.get(channel, programmed)

    def _drive(self) -> None:
        channel = self.wires.output
        on, level = self.state["output"][channel], self._level(channel)
        limit = self.state["CURR limit"][channel]
        if self.state["function"][channel] == "CURR":
            limits = self.state["VOLT limit"][channel]
            level, limit = self.wires.sourcing_current(self.world, level, limits) if on else (0.0, limit)
        self._terminals.set_source(level=level, output=on, current_limit=limit)

    # --- measurement ------------------------------------------------------------------------------------

    @command(":SENSe<n>:FUNCtion[:ON]")
    def _set_functions(self, call: Call) -> None:
        (channel,), arguments = channels_of(call, CHANNELS)
        self.functions[channel] = [text.strip("\"'").upper()[:4] for text in arguments]

    def show_functions(self, call: Call) -> str:
        """The functions that are on."""
        (channel,), _ = channels_of(call, CHANNELS)
        return ",".join([f'"{one}"' for one in self.functions[channel]])

    @command(":SENSe<n>:CURRent[:DC]:NPLCycles")
    def _set_cycles(self, call: Call) -> None:
        (channel,), arguments = channels_of(call, CHANNELS)
        cycles = Call((), arguments).parse(0, Number(0.1, 4e-4, 120.0))
        self.state["aperture"][channel] = cycles / self.state["line frequency"]

    @command(":SENSe<n>:CURRent[:DC]:NPLCycles?")
    def _show_cycles(self, call: Call) -> str:
        (channel,), _ = channels_of(call, CHANNELS)
        return self.show_number(self.state["aperture"][channel] * self.state["line frequency"])

    @command(":SENSe<n>:CURRent[:DC]:PROTection:TRIPped?", ":SENSe<n>:VOLTage[:DC]:PROTection:TRIPped?")
    def _show_tripped(self, call: Call) -> str:
        (channel,), _ = channels_of(call, CHANNELS)
        return f"{self._measured(channel)['STAT'] == COMPLIANCE:d}"

    def run(self, channels: Sequence[int], *, steps: bool = True, measures: bool = True) -> None:
        """Go through the levels and measure, as often as the triggers count; outputs go on if they may."""
        levels = {channel: self.levels(channel) if steps else [] for channel in channels}
        for channel in channels:
            self.data[channel] = []
            self.state["output"][channel] |= self.state["on auto"][channel]
        self._drive()
        begun = self.world.clock.time()
        for number in range(max(self._count(channel, measures=measures) for channel in channels)):
            due = [channel for channel in channels if number < self._count(channel, measures=measures)]
            for channel in due:
                if levels[channel] and number < self._count(channel, measures=False):
                    self.step_to(channel, levels[channel][number % len(levels[channel])])
            self._drive()
            timers = [
                number * self.state["trigger timer"][one] for one in due if self.state["trigger source"][one] == "TIM"
            ]
            self.world.clock.sleep(max(0.0, begun + max(timers, default=0.0) - self.world.clock.time()))
            self.world.clock.sleep(
                max(self.state["aperture"][one] * measures + self.state["trigger delay"][one] for one in due)
            )
            for channel in due if measures else []:
                self.keep(channel, self._measured(channel))
        for channel in channels:
            self.state["output"][channel] &= not self.state["off auto"][channel]
        self._drive()

    def _count(self, channel: int, *, measures: bool) -> int:
        """Number of triggers of a channel: of its measurements or of its source."""
        part = "" if measures else "transient "
        return int(self.state[f"trigger {part}count"][channel] * self.state[f"arm {part}count"][channel])

    def spot(self, call: Call, elements: tuple[str, ...]) -> str | bytes:
        """Measure once, without triggers; the outputs stay as they are."""
        channels = self.named(call)
        for channel in channels:
            self.world.clock.sleep(self.state["aperture"][channel] + self.state["trigger delay"][channel])
            self.data[channel] = [self._measured(channel)]
        return self.fetched(channels, elements, every=False)

    def _measured(self, channel: int) -> Reading:
        """Every element of a reading."""
        sourced, level = self.state["function"][channel], self._level(channel)
        values = dict.fromkeys(("VOLT", "CURR", "RES"), NOT_A_NUMBER)
        values |= {"TIME": self.world.clock.time(), "STAT": 0.0, "SOUR": level}
        if not self.state["output"][channel]:
            return values
        if channel != self.wires.output:  # nothing is connected
            if sourced == "VOLT":
                return values | {"VOLT": level, "CURR": 0.0}
            open_circuit = math.copysign(self.state["VOLT limit"][channel], level)
            return values | {"VOLT": open_circuit, "CURR": 0.0, "STAT": float(COMPLIANCE)}
        ranges = [self.state[f"{one} {'range' if one == sourced else 'sense'}"][channel] for one in WORDS]
        state = self._terminals.source_state(self.state["aperture"][channel], *ranges)
        current = state.current - self.state["offset"][channel] * self.state["offset on"][channel]
        for name, value, full_scale in (("VOLT", state.voltage, ranges[0]), ("CURR", current, ranges[1])):
            if name not in self.functions[channel]:
                continue
            beyond = abs(value) > full_scale * HEADROOM[name] and not self.state[f"{name} sense auto"][channel]
            values["STAT"] += OVERFLOW * (beyond and not values["STAT"])
            values[name] = math.copysign(INFINITY, value) if beyond else value
        limited = state.limited
        if sourced == "CURR":
            limited = abs(state.voltage) >= AT_LIMIT * self.state["VOLT limit"][channel]
        values["STAT"] += COMPLIANCE * limited
        values["RES"] = state.voltage / current if current else INFINITY
        return values
