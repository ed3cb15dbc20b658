"""Front panel of a Keysight B2912A source-meter with two channels (SCPI command reference B2910-90030, edition 2).

One channel is across the bias line. It also answers the driver of the B2962A, which has the same commands. Current
sourcing can be set up but not switched on. Assumed: what the manual does not say of error numbers, the steps of levels,
not-a-number as the reading with the output off, and that an offset is subtracted from every current.
"""

import math
from typing import Any, ClassVar

from sim_instruments.panels.channel_settings import ChannelSetting, channels_of
from sim_instruments.panels.front_panel import Setting, command
from sim_instruments.panels.scpi import ScpiPanel
from sim_instruments.panels.scpi_values import (
    Call,
    Choice,
    Integer,
    Kind,
    Number,
    ScpiError,
    Switch,
    find_mnemonic,
    short_form,
)

__all__ = ["KeysightB29xxPanel"]

CHANNELS = (1, 2)
RANGES = {"VOLT": (0.2, 2.0, 20.0, 200.0), "CURR": (*(10.0**n for n in range(-8, 1)), 1.5, 3.0)}
LARGEST = {"VOLT": 210.0, "CURR": 3.03}
HEADROOM = {"VOLT": 1.05, "CURR": 1.06}
# Steps of levels and of readings, per range (6½ digits).
STEP = 5e-7
NOT_A_NUMBER, INFINITY = 9.91e37, 9.9e37
COMPLIANCE, OVERFLOW = 2, 1 << 13
ELEMENTS = ("VOLTage", "CURRent", "RESistance", "TIME", "STATus", "SOURce")
TRIGGERS = ("AINT", "BUS", "TIMer", "INT1", "INT2", "LAN", *(f"EXT{n}" for n in range(1, 15)))
WORDS = {"VOLT": "VOLTage", "CURR": "CURRent"}


def _each(header: str, name: str, kind: Kind) -> ChannelSetting:
    return ChannelSetting(header, name, kind, CHANNELS)


def _of_quantity(short: str) -> tuple[ChannelSetting, ...]:
    """Settings of the source and of the measurement of voltage or current."""
    word, most = WORDS[short], LARGEST[short]
    dc = "[:DC]"
    compliance = 100e-6 if short == "CURR" else 2.0
    return (
        _each(f"[:SOURce<n>]:{word}[:LEVel][:IMMediate][:AMPLitude]", f"{short} level", Number(0.0, -most, most)),
        _each(f"[:SOURce<n>]:{word}[:LEVel]:TRIGgered[:AMPLitude]", f"{short} triggered", Number(0.0, -most, most)),
        _each(f"[:SOURce<n>]:{word}:MODE", f"{short} mode", Choice("FIXed", "SWEep", "LIST")),
        _each(f"[:SOURce<n>]:{word}:RANGe", f"{short} range", Number(RANGES[short][0], -most, most)),
        _each(f"[:SOURce<n>]:{word}:RANGe:AUTO", f"{short} range auto", Switch(True)),
        _each(f":SENSe<n>:{word}{dc}:PROTection[:LEVel][:BOTH]", f"{short} limit", Number(compliance, 0.0, most)),
        _each(f":SENSe<n>:{word}{dc}:RANGe[:UPPer]", f"{short} sense", Number(RANGES[short][2], -most, most)),
        _each(f":SENSe<n>:{word}{dc}:RANGe:AUTO", f"{short} sense auto", Switch(True)),
    )


def _of_layer(layer: str) -> tuple[ChannelSetting, ...]:
    short = layer.lower()
    return (
        _each(f":{layer}<n>:ACQuire:SOURce[:SIGNal]", f"{short} source", Choice(*TRIGGERS)),
        _each(f":{layer}<n>:ACQuire:DELay", f"{short} delay", Number(0.0, 0.0, 1e5)),
        _each(f":{layer}<n>:ACQuire:COUNt", f"{short} count", Integer(1, 1, 100_000)),
    )


class KeysightB29xxPanel(ScpiPanel):
    """A B2912A with one of its channels across the bias line."""

    identification = "Keysight Technologies,B2912A,TWIN0009,3.4.2011.5100"
    resource = "USB{}::0x0957::0x8E18::MY51140001::0::INSTR"
    number_format = "+.6E"
    settings: ClassVar[tuple[Any, ...]] = (
        Setting(":FORMat[:DATA]", "format", Choice("ASCii", "REAL")),
        Setting(":FORMat:BORDer", "byte order", Choice("NORMal", "SWAPped")),
        Setting(":SYSTem:LFRequency", "line frequency", Integer(50, 50, 60)),
        _each(":OUTPut<n>[:STATe]", "output", Switch(False)),
        _each(":OUTPut<n>:ON:AUTO", "on auto", Switch(True)),
        _each(":OUTPut<n>:OFF:AUTO", "off auto", Switch(False)),
        _each(":OUTPut<n>:OFF:MODE", "off mode", Choice("NORMal", "ZERO", "HIZ")),
        _each(":OUTPut<n>:PROTection[:STATe]", "protection", Switch(False)),
        _each("[:SOURce<n>]:FUNCtion:MODE", "function", Choice("VOLTage", "CURRent")),
        _each("[:SOURce<n>]:FUNCtion[:SHAPe]", "shape", Choice("DC", "PULSe")),
        _each(":SENSe<n>:REMote", "four-wire", Switch(False)),
        _each(":SENSe<n>:CURRent[:DC]:APERture", "aperture", Number(2e-3, 8e-6, 2.0)),
        _each(":CALCulate<n>:MATH:STATe", "math", Switch(False)),
        _each(":CALCulate<n>:OFFSet:STATe", "offset on", Switch(False)),
        _each(":CALCulate<n>:OFFSet", "offset", Number(0.0)),
        *(setting for short in WORDS for setting in _of_quantity(short)),
        *(setting for layer in ("ARM", "TRIGger") for setting in _of_layer(layer)),
    )
    handlers: ClassVar = {
        ":FORMat:ELEMents:SENSe?": lambda self, _: ",".join(self.elements),
        ":SENSe<n>:FUNCtion[:ON]?": lambda self, call: self.show_functions(call),
        ":ABORt[:ALL]": lambda self, _: self.abort_operation(),
        ":READ[:SCALar]?": lambda self, call: self.read(call, self.elements, switches_on=True),
        ":MEASure?": lambda self, call: self.read(call, self.elements),
        ":MEASure:VOLTage[:DC]?": lambda self, call: self.read(call, ("VOLT",)),
        ":MEASure:CURRent[:DC]?": lambda self, call: self.read(call, ("CURR",)),
        ":MEASure:RESistance?": lambda self, call: self.read(call, ("RES",)),
    }

    def switch_on(self) -> None:
        """Start as after power-up."""
        self._terminals = self.wires.terminals(self.world)
        super().switch_on()

    def reset(self) -> None:
        """Return to the defaults: 0 V, outputs off, automatic ranges, automatic output-on."""
        self.elements: tuple[str, ...] = ("VOLT", "CURR", "RES", "TIME", "STAT", "SOUR")
        self.functions = {channel: ["VOLT", "CURR"] for channel in CHANNELS}
        self.overshoots = 0
        super().reset()
        self._drive()

    # --- source -----------------------------------------------------------------------------------------

    def check_setting(self, name: str, value: Any) -> None:
        """Refuse a level beyond its fixed range, a range below the level, and a current source that goes on."""
        what, _, number = name.rpartition(" ")
        short, _, part = what.partition(" ")
        fixed = part == "level" and not self.state[f"{short} range auto"][int(number)]
        if fixed and abs(value) > self.state[f"{short} range"][int(number)] * HEADROOM[short]:
            raise ScpiError(-222)
        below = part == "range" and abs(self.state[f"{short} level"][int(number)]) > self._including(short, value)
        if below or (what == "output" and value and self.state["function"][int(number)] == "CURR"):
            raise ScpiError(-221)

    def _including(self, short: str, value: float) -> float:
        """Largest value in the lowest range that includes `value`."""
        return self._enclosing(short, value) * HEADROOM[short]

    def _enclosing(self, short: str, value: float) -> float:
        ranges = RANGES[short]
        return next((one for one in ranges if abs(value) <= one * HEADROOM[short] * (1 + 1e-9)), ranges[-1])

    def setting_changed(self, name: str) -> None:
        """Choose ranges, and drive the bias line."""
        what, _, number = name.rpartition(" ")
        short, _, part = what.partition(" ")
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
            ranges[channel] = self._enclosing(short, ranges[channel])
        elif part == "sense":
            self.state[f"{short} sense auto"][channel] = False
        if self.state[f"{short} range auto"][channel]:
            ranges[channel] = self._enclosing(short, level[channel])
        self.overshoots += ranges[channel] != before and self.state["output"][channel]
        step = STEP * ranges[channel]
        level[channel] = round(level[channel] / step) * step
        # A measurement does not use ranges beyond the one that covers the compliance.
        sense, limit = self.state[f"{short} sense"], self.state[f"{short} limit"][channel]
        sense[channel] = min(self._enclosing(short, sense[channel]), self._enclosing(short, limit))

    def _drive(self) -> None:
        channel = self.wires.output
        on = self.state["output"][channel] and self.state["function"][channel] == "VOLT"
        self._terminals.set_source(
            level=self.state["VOLT level"][channel], output=on, current_limit=self.state["CURR limit"][channel]
        )

    # --- measurement ------------------------------------------------------------------------------------

    @command(":FORMat:ELEMents:SENSe")
    def _set_elements(self, call: Call) -> None:
        call.expect(1, len(ELEMENTS))
        named = {find_mnemonic(ELEMENTS, text) for text in call.arguments}
        self.elements = tuple(short_form(one) for one in ELEMENTS if one in named)

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

    @command(":SENSe<n>:CURRent[:DC]:PROTection:TRIPped?")
    def _show_tripped(self, call: Call) -> str:
        (channel,), _ = channels_of(call, CHANNELS)
        return f"{self._measured(channel)['STAT'] == COMPLIANCE:d}"

    def read(self, call: Call, elements: tuple[str, ...], *, switches_on: bool = False) -> str:
        """Measure once, or as often as the trigger counts if it `switches_on` an output as well."""
        channels, _ = channels_of(call if call.suffixes else Call((1,), call.arguments), CHANNELS)
        found = []
        for channel in channels:
            if switches_on and self.state["on auto"][channel] and not self.state["output"][channel]:
                self.state["output"][channel] = True
                self._drive()
            count = self.state["trigger count"][channel] if switches_on else 1
            for _ in range(count):
                self.world.clock.sleep(self.state["aperture"][channel] + self.state["trigger delay"][channel])
                values = self._measured(channel)
                found += [self.show_number(values[element]) for element in elements]
        return ",".join(found)

    def _measured(self, channel: int) -> dict[str, float]:
        """Every element of a reading."""
        ranges = self.state["VOLT range"][channel], self.state["CURR sense"][channel]
        values = dict.fromkeys(("VOLT", "CURR", "RES"), NOT_A_NUMBER)
        values |= {"TIME": self.world.clock.time(), "STAT": 0.0, "SOUR": self.state["VOLT level"][channel]}
        if not self.state["output"][channel]:
            return values
        if channel != self.wires.output:
            return values | {"VOLT": self.state["VOLT level"][channel], "CURR": 0.0}
        state = self._terminals.source_state(self.state["aperture"][channel], *ranges)
        current = state.current - self.state["offset"][channel] * self.state["offset on"][channel]
        for name, value, full_scale in (("VOLT", state.voltage, ranges[0]), ("CURR", current, ranges[1])):
            if name not in self.functions[channel]:
                continue
            beyond = abs(value) > full_scale * HEADROOM[name] and not self.state[f"{name} sense auto"][channel]
            values["STAT"] += OVERFLOW * (beyond and not values["STAT"])
            values[name] = math.copysign(INFINITY, value) if beyond else value
        if state.limited:
            values["STAT"] += COMPLIANCE
        values["RES"] = state.voltage / current if current else INFINITY
        return values
