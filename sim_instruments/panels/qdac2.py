"""Front panel of a QDevil (Quantum Machines) QDAC-II: 24 voltage sources, each with a current sensor.

The commands are those of the drivers of qcodes_contrib_drivers, pyHegel and qkit, and of what these say of the
hardware; the manual itself was not available. Assumed: the error numbers and texts beyond `0, "No error"`, the limits
of the ranges, the clipping of lists, the answers to unknown headers, the level where an aborted list leaves the output.

Quirks that are simulated: there is no output switch; the query of the level gives the converter's own value, some µV
from the one that was sent, which `:LAST?` gives; levels in a list are clipped to the range without an error; a current
beyond the low range reads as the end of that range; the level moves along a slew rate.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from sim_instruments.panels.block_data import block_values
from sim_instruments.panels.channel_settings import ChannelSetting, channels_of
from sim_instruments.panels.front_panel import Setting, command
from sim_instruments.panels.scpi import ScpiPanel
from sim_instruments.panels.scpi_values import Call, Choice, Integer, Kind, Number, ScpiError, Switch

__all__ = ["QDac2Panel"]

CHANNELS = range(1, 25)
OUTPUTS = range(1, 6)
RANGES = {"LOW": 2.0, "HIGH": 10.0}
# Step of the converter as a share of the whole range, 24 bits.
STEP = 2 / 2**24
# Current (A) at which a reading stays.
SATURATION = {"LOW": 150e-9, "HIGH": 10e-3}
# Time (s) between two levels along a slew rate (assumed).
SLEW_STEP, FASTEST_SLEW = 10e-3, 2e7
TRIGGERS = ("IMMediate", "HOLD", "BUS", *(f"INT{n}" for n in range(1, 15)), *(f"EXT{n}" for n in range(1, 5)))
GENERATORS = ("SINE", "SQUare", "TRIangle", "AWG")


class _Slew(Number):
    """A slew rate (V/s); `inf` is none."""

    def parse(self, text: str) -> float:
        """Value for `text`."""
        return math.inf if text.strip().upper() in ("INF", "INFINITY") else super().parse(text)


def _of_channel(header: str, name: str, kind: Kind) -> ChannelSetting:
    return ChannelSetting(header, name, kind, CHANNELS)


def _of_generator(word: str) -> tuple[ChannelSetting, ...]:
    """Settings that the generator of a waveform has."""
    head, short = f"SOURce<n>:{word}", word.lower()
    return (
        _of_channel(f"{head}:TRIGger:SOURce", f"{short} trigger", Choice(*TRIGGERS)),
        _of_channel(f"{head}[:VOLTage]:SPAN", f"{short} span", Number(0.2, 0.0, 20.0)),
        _of_channel(f"{head}[:VOLTage]:OFFSet", f"{short} offset", Number(0.0, -10.0, 10.0)),
        _of_channel(f"{head}:FREQuency", f"{short} frequency", Number(1e3, 0.01, 200e3)),
        _of_channel(f"{head}:COUNt", f"{short} count", Integer(-1, -1, 1_000_000)),
        _of_channel(f"{head}:POLarity", f"{short} polarity", Choice("NORMal", "INVerted")),
        _of_channel(f"{head}[:VOLTage]:SLEW", f"{short} slew", _Slew(math.inf, 0.01, FASTEST_SLEW)),
        _of_channel(f"{head}:INITiate:CONTinuous", f"{short} continuous", Switch(False)),
        _of_channel(f"{head}:DELay", f"{short} delay", Number(0.0, 0.0, 3600.0)),
    )


def _levels(call: Call) -> list[float]:
    """Levels (V) of a list: numbers, or a block of them in single precision, least significant byte first."""
    if len(call.arguments) == 1 and call.arguments[0].startswith("#"):
        return block_values(call.arguments[0], "<f4")
    return [call.number(n) for n in range(len(call.arguments))]


class QDac2Panel(ScpiPanel):
    """A QDAC-II with one of its channels across the bias line."""

    identification = "QDevil, QDAC-II, TWIN0007, 13-1.57"
    resource = "TCPIP{}::192.168.8.17::5025::SOCKET"
    number_format = ".8g"
    settings: ClassVar[tuple[Any, ...]] = (
        Setting(":SYSTem:LFRequency", "line frequency", Integer(50, 50, 60)),
        _of_channel("SOURce<n>[:VOLTage]:RANGe", "range", Choice("HIGH", "LOW")),
        _of_channel("SOURce<n>[:VOLTage]:FILTer[:LOWPass]", "filter", Choice("HIGH", "MEDium", "DC")),
        _of_channel("SOURce<n>:RENHancement", "enhanced", Switch(False)),
        _of_channel("SOURce<n>[:DC]:VOLTage:MODE", "mode", Choice("FIXed", "LIST", "SWEep")),
        _of_channel("SOURce<n>[:DC]:VOLTage:SLEW", "slew", _Slew(math.inf, 0.01, FASTEST_SLEW)),
        _of_channel("SOURce<n>[:DC]:VOLTage:TRIGgered", "triggered level", Number(0.0, -10.0, 10.0)),
        _of_channel("SOURce<n>:DC:TRIGger:SOURce", "dc trigger", Choice(*TRIGGERS)),
        _of_channel("SOURce<n>:DC:DELay", "dc delay", Number(0.0, 0.0, 3600.0)),
        _of_channel("SOURce<n>:DC:INITiate:CONTinuous", "dc continuous", Switch(False)),
        _of_channel("SOURce<n>[:DC]:LIST:DWELl", "dwell", Number(1e-3, 1e-6, 3600.0)),
        _of_channel("SOURce<n>[:DC]:LIST:DIRection", "direction", Choice("UP", "DOWN")),
        _of_channel("SOURce<n>[:DC]:LIST:COUNt", "count", Integer(1, -1, 1_000_000)),
        _of_channel("SOURce<n>[:DC]:LIST:TMODe", "list trigger mode", Choice("AUTO", "STEPped")),
        _of_channel("SENSe<n>[:CURRent]:RANGe", "current range", Choice("HIGH", "LOW")),
        _of_channel("SENSe<n>[:CURRent]:APERture", "aperture", Number(0.02, 3e-4, 1.0)),
        _of_channel("SENSe<n>[:CURRent]:DELay", "reading delay", Number(0.0, 0.0, 3600.0)),
        _of_channel("SENSe<n>[:CURRent]:COUNt", "readings", Integer(1, -1, 1_000_000)),
        _of_channel("SENSe<n>:TRIGger:SOURce", "reading trigger", Choice(*TRIGGERS)),
        _of_channel("SENSe<n>:INITiate:CONTinuous", "reading continuous", Switch(False)),
        *(setting for word in GENERATORS for setting in _of_generator(word)),
        ChannelSetting("OUTPut:TRIGger<n>:WIDTh", "width", Number(1e-5, 1e-6, 1.0), OUTPUTS),
        ChannelSetting("OUTPut:TRIGger<n>:POLarity", "polarity", Choice("NORMal", "INVerted"), OUTPUTS),
        ChannelSetting("OUTPut:TRIGger<n>:DELay", "delay", Number(0.0, 0.0, 3600.0), OUTPUTS),
        ChannelSetting("OUTPut:TRIGger<n>:SOURce", "source", Choice(*TRIGGERS), OUTPUTS),
    )
    handlers: ClassVar = {
        ":SYSTem:COMMunicate:LAN:MAC?": '"04916200TWIN"',
        "TRACe:CATalog?": "",
        "TRACe:REMove:ALL": lambda self, call: call.expect(0),
        "TINTernal": lambda self, call: call.expect(1),
        "SOURce<n>[:VOLTage]:RANGe:LOW:MINimum?": lambda self, call: self._limits(call, -RANGES["LOW"]),
        "SOURce<n>[:VOLTage]:RANGe:LOW:MAXimum?": lambda self, call: self._limits(call, RANGES["LOW"]),
        "SOURce<n>[:VOLTage]:RANGe:HIGH:MINimum?": lambda self, call: self._limits(call, -RANGES["HIGH"]),
        "SOURce<n>[:VOLTage]:RANGe:HIGH:MAXimum?": lambda self, call: self._limits(call, RANGES["HIGH"]),
    }

    def switch_on(self) -> None:
        """Start as after power-up: all channels at 0 V."""
        self._terminals = self.wires.terminals(self.world)
        super().switch_on()

    def reset(self) -> None:
        """Return to the defaults."""
        self.last = dict.fromkeys(CHANNELS, 0.0)
        self.present = dict.fromkeys(CHANNELS, 0.0)
        self.lists: dict[int, list[float]] = {channel: [] for channel in CHANNELS}
        self.running: dict[int, object] = {}
        self.waveforms: set[tuple[int, str]] = set()
        self._data: dict[int, list[float]] = {channel: [] for channel in CHANNELS}
        super().reset()
        self._drive()

    def interrupted(self) -> None:
        """Keep an unread answer, as a socket does."""

    def unterminated(self) -> None:
        """Do nothing: on a socket the instrument does not see that its client waits."""

    def format_error(self, error: ScpiError) -> str:
        """One entry: `0, "No error"`."""
        return f'{error.code}, "{error.text}"'

    def setting_changed(self, name: str) -> None:
        """Act on the range and the mode of a channel."""
        super().setting_changed(name)
        setting, _, number = name.rpartition(" ")
        if setting == "range":  # a level beyond the new range is clipped (assumed)
            self._move(int(number), self.present[int(number)])
        if name.startswith("mode "):
            channel = int(number)
            self.running.pop(channel, None)
            if self.state["mode"][channel] == "FIX":
                self._move(channel, self.last[channel])
        if name.startswith("dc trigger ") and self.state["dc trigger"][int(number)] == "IMM":
            self._start(int(number), armed=self.state["dc continuous"][int(number)])

    # --- source -----------------------------------------------------------------------------------------

    def _limit(self, channel: int) -> float:
        return RANGES[self.state["range"][channel]]

    def _drive(self) -> None:
        """Drive the bias line with the channel that is connected to it; there is no switch."""
        self._terminals.set_source(level=self.present[self.wires.output], output=True, current_limit=math.inf)

    def _move(self, channel: int, level: float) -> None:
        """Set the converter, which has steps."""
        limit = self._limit(channel)
        step = STEP * limit
        self.present[channel] = round(min(max(level, -limit), limit) / step) * step
        if channel == self.wires.output:
            self._drive()

    @command("SOURce<n>[:DC]:VOLTage[:LEVel][:IMMediate][:AMPLitude]")
    def _set_level(self, call: Call) -> None:
        channels, arguments = channels_of(call, CHANNELS)
        for channel in channels:
            limit = self._limit(channel)
            level = Call((), arguments).parse(0, Number(0.0, -limit, limit))
            self.last[channel] = level
            if self.state["mode"][channel] == "FIX":
                self.running[channel] = run = object()
                self._along(channel, run)

    def _along(self, channel: int, run: object) -> None:
        """Move along the slew rate to the level."""
        if self.running.get(channel) is not run:
            return
        missing = self.last[channel] - self.present[channel]
        most = self.state["slew"][channel] * SLEW_STEP
        self._move(channel, self.present[channel] + min(max(missing, -most), most))
        if abs(missing) > most:
            self.world.clock.later(SLEW_STEP, lambda: self._along(channel, run))

    @command("SOURce<n>[:DC]:VOLTage[:LEVel][:IMMediate][:AMPLitude]?")
    def _show_level(self, call: Call) -> str:
        return self._each(call, self.present)

    @command("SOURce<n>[:DC]:VOLTage[:LEVel][:IMMediate][:AMPLitude]:LAST?")
    def _show_last(self, call: Call) -> str:
        return self._each(call, self.last)

    def _limits(self, call: Call, limit: float) -> str:
        return self._each(call, dict.fromkeys(CHANNELS, limit))

    def _each(self, call: Call, values: dict[int, float]) -> str:
        channels, arguments = channels_of(call, CHANNELS)
        Call((), arguments).expect(0)
        return ",".join([self.show_number(values[channel]) for channel in channels])

    # --- generators -------------------------------------------------------------------------------------

    @command("SOURce<n>[:DC]:LIST:VOLTage")
    def _set_list(self, call: Call) -> None:
        self.lists[self._channel(call)] = _levels(call)

    @command("SOURce<n>[:DC]:LIST:VOLTage:APPend")
    def _append(self, call: Call) -> None:
        self.lists[self._channel(call)] += _levels(call)

    @command("SOURce<n>[:DC]:LIST:VOLTage?")
    def _show_list(self, call: Call) -> str:
        return ",".join([self.show_number(level) for level in self.lists[self._channel(call)]])

    @command("SOURce<n>[:DC]:LIST:POINts?")
    def _show_points(self, call: Call) -> str:
        return str(len(self.lists[self._channel(call)]))

    def _channel(self, call: Call) -> int:
        (channel,), _ = channels_of(Call(call.suffixes, ()), CHANNELS)
        return channel

    @command("SOURce<n>:DC:INITiate")
    def _initiate(self, call: Call) -> None:
        self._start(self._channel(call), armed=True)

    def _start(self, channel: int, *, armed: bool) -> None:
        """Run the list of a channel whose trigger is immediate."""
        ready = self.state["mode"][channel] == "LIST" and self.lists[channel]
        if armed and ready and self.state["dc trigger"][channel] == "IMM":
            self.running[channel] = run = object()
            levels = self.lists[channel][:: 1 if self.state["direction"][channel] == "UP" else -1]
            self._step(channel, run, levels * max(self.state["count"][channel], 1))

    def _step(self, channel: int, run: object, levels: Sequence[float]) -> None:
        if self.running.get(channel) is not run or not levels:
            return
        self._move(channel, levels[0])
        self.world.clock.later(self.state["dwell"][channel], lambda: self._step(channel, run, levels[1:]))

    @command("SOURce<n>:DC:ABORt")
    def _abort_dc(self, call: Call) -> None:
        """Stop a list at its present level (assumed)."""
        self.running.pop(self._channel(call), None)

    @command("SOURce<n>:ALL:ABORt")
    def _abort_all(self, call: Call) -> None:
        self._abort_dc(call)
        self.waveforms = {(channel, word) for channel, word in self.waveforms if channel != self._channel(call)}

    @command("SOURce<n>:SINE:INITiate")
    def _start_sine(self, call: Call) -> None:
        self.waveforms.add((self._channel(call), "SINE"))

    @command("SOURce<n>:SINE:ABORt")
    def _abort_sine(self, call: Call) -> None:
        self.waveforms.discard((self._channel(call), "SINE"))

    # --- current sensor ---------------------------------------------------------------------------------

    @command("SENSe<n>[:CURRent]:NPLCycles")
    def _set_cycles(self, call: Call) -> None:
        channels, arguments = channels_of(call, CHANNELS)
        cycles = Call((), arguments).parse(0, Number(1.0, 1 / 60, 100.0))
        for channel in channels:
            self.state["aperture"][channel] = cycles / self.state["line frequency"]

    @command("SENSe<n>[:CURRent]:NPLCycles?")
    def _show_cycles(self, call: Call) -> str:
        """Whole cycles (assumed, as a driver reads integers)."""
        return str(round(self.state["aperture"][self._channel(call)] * self.state["line frequency"]))

    @command("READ<n>[:CURRent]?")
    def _read(self, call: Call) -> str:
        """Measure at once, on every channel that is named."""
        channels, _ = channels_of(call, CHANNELS)
        self.world.clock.sleep(
            max(
                max(self.state["readings"][one], 1) * (self.state["reading delay"][one] + self.state["aperture"][one])
                for one in channels
            )
        )
        found = []
        for channel in channels:
            self._data[channel] = [self._current(channel) for _ in range(max(self.state["readings"][channel], 1))]
            found += self._data[channel]
        return ",".join([self.show_number(value) for value in found])

    def _current(self, channel: int) -> float:
        aperture, most = self.state["aperture"][channel], SATURATION[self.state["current range"][channel]]
        if channel != self.wires.output:
            return 0.0
        return min(max(self._terminals.source_state(aperture).current, -most), most)

    @command("FETCh<n>[:CURRent]?", "SENSe<n>:DATA:REMove?")
    def _fetch(self, call: Call) -> str:
        channel = self._channel(call)
        found, self._data[channel] = self._data[channel], []
        return ",".join([self.show_number(value) for value in found])

    @command("SENSe<n>:DATA:POINts?")
    def _show_available(self, call: Call) -> str:
        return str(len(self._data[self._channel(call)]))

    @command("SENSe<n>:DATA:LAST?")
    def _show_last_current(self, call: Call) -> str:
        return self.show_number((self._data[self._channel(call)] or [0.0])[-1])

    @command("SENSe<n>:NCLeft?")
    def _show_cycles_left(self, call: Call) -> str:
        self._channel(call)
        return "0"

    @command("SENSe<n>:ABORt", "SENSe<n>:INITiate")
    def _stop_readings(self, call: Call) -> None:
        self._channel(call)
