"""Front panel of the Rohde & Schwarz ZNB8, ZNB20 and ZNB40 network analyzers with two ports: any number of channels.

Only port 1 is connected to the fridge, as at the panels of Keysight's analyzers. From the R&S ZNB user manual, from
QCoDeS's driver and its issue 3151 (a CW sweep has no frequency axis: its ends are not answered), and from pyHegel's
driver of a ZNB40 with firmware 2.92 (modes of averaging, bits of the status register, `SDATa` before trace mathematics
and after the delay of the ports). Assumed: error texts, power range, time per point, that a delay of a port acts twice
on a reflection. Not simulated: power and logarithmic sweeps, calibrations, de-embedding.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sim_instruments.panels.front_panel import Setting, command
from sim_instruments.panels.keysight_panel import display
from sim_instruments.panels.rohde_schwarz_channels import (
    FORMAT,
    Channel,
    ChannelSetting,
    Trace,
    channel_settings,
)
from sim_instruments.panels.rohde_schwarz_segments import RohdeSchwarzSegments
from sim_instruments.panels.scpi_values import (
    Call,
    Choice,
    Number,
    ScpiError,
    Switch,
    Text,
    encode_values,
    mnemonic_matches,
)

__all__ = ["RohdeSchwarzZNB8Panel", "RohdeSchwarzZNB20Panel", "RohdeSchwarzZNB40Panel"]

#: Noise of an unconnected receiver (W/Hz), −127 dBm/Hz (assumed).
RECEIVER_NOISE = 2e-16
BANDWIDTHS = np.array([step * 10.0**decade for decade in range(6) for step in (1, 1.5, 2, 3, 5, 7)] + [1e6])
PARAMETERS = ("S11", "S12", "S21", "S22")
#: Bits of the hardware integrity register.
REFERENCE, UNLEVELED, OVERLOAD = 1, 2, 3


class ZNBPanel(RohdeSchwarzSegments):
    """A ZNB as its VISA session sees it; an overload sets a bit of its hardware register."""

    options = "ZNB-B1"  # assumed
    number_format = ".12g"
    band: ClassVar[tuple[float, float]]
    power: ClassVar[Number] = Number(-10.0, -60.0, 25.0, "DBM")
    bandwidths = BANDWIDTHS
    settings: ClassVar[tuple[Any, ...]] = (
        Setting(":FORMat:BORDer", "byte order", Choice("SWAPped", "NORMal")),
        Setting(":OUTPut<n>[:STATe]", "output", Switch(True)),
        Setting(":SYSTem:DISPlay:UPDate", "update", Choice("OFF", "ON", "ONCE")),
        Setting(":SYSTem:ERRor:DISPlay[:STATe]", "tooltip", Switch(False)),
        Setting("[:SENSe<ch>]:ROSCillator[:SOURce]", "reference", Choice("INTernal", "EXTernal")),
    )
    handlers: ClassVar = {
        ":INSTrument:PORT:COUNt?": "2",
        "[:SENSe<ch>]:ROSCillator:EXTernal:FREQuency?": "10000000",
        ":CONFigure:CHANnel:CATalog?": lambda self, _: "'" + ",".join(f"{n},Ch{n}" for n in self.channels) + "'",
        ":CONFigure:TRACe:CATalog?": lambda self, _: (
            "'" + ",".join(f"{i},{name}" for i, name in enumerate(self.trace_names(), 1)) + "'"
        ),
        ":CALCulate<ch>:PARameter:DELete:ALL": lambda self, _: self.channels.clear(),
        ":DISPlay:LAYout": lambda self, call: call.expect(1),
        ":DISPlay:LAYout:GRID": lambda self, call: call.expect(2),
        ":DISPlay[:WINDow<w>]:TRACe<n>:Y[:SCALe]:AUTO": lambda self, call: call.expect(2),
        ":STATus:QUEStionable:INTegrity:HARDware:CONDition?": lambda self, _: str(self.condition),
    }

    def switch_on(self) -> None:
        """Start as after power-up."""
        self._receiver = np.random.default_rng((self.world.seed, 20))
        super().switch_on()

    def reset(self) -> None:
        """Return to the factory defaults: one channel with one trace."""
        super().reset()
        self.condition, self._event = 0, 0
        self.state["data format"] = "ASC"
        self.port_power = {1: self.power.default, 2: self.power.default}
        self.channels: dict[int, Channel] = {}
        self._add_channel(1).traces["Trc1"] = Trace("S21")
        self.channels[1].selected = "Trc1"

    def trace_names(self) -> list[str]:
        """Names of all traces."""
        return [name for channel in self.channels.values() for name in channel.traces]

    def format_error(self, error: ScpiError) -> str:
        """One entry, without the sign of 0."""
        return f'{error.code},"{error.text}"'

    # --- channels ----------------------------------------------------------------------------------------------------

    def _add_channel(self, number: int) -> Channel:
        one = {s.name: s.default for s in channel_settings(*self.band)}
        self.channels[number] = Channel(one)
        return self.channels[number]

    def channel(self, call: Call) -> Channel:
        """The channel of a header's first suffix; it must exist."""
        if call.suffixes[0] not in self.channels:
            raise ScpiError(-114)
        return self.channels[call.suffixes[0]]

    def change_channel(self, setting: ChannelSetting, call: Call) -> None:
        """Execute the command of a setting of a channel."""
        channel = self.channel(call)
        value = call.parse(0, setting.kind)
        state = channel.state
        fixed = state["type"] in ("CW", "POIN")
        if setting.name in ("start", "stop", "center", "span") and fixed:
            raise ScpiError(-200)
        if setting.name == "type" and value == "SEGM":
            self.check_segmented(channel)
        state[setting.name] = value
        self._couple(state, setting.name)
        if setting.name not in ("trigger", "continuous", "measures", "sweeps"):
            self.restart(channel)

    def show_channel(self, setting: ChannelSetting, call: Call) -> str:
        """Answer the query of a setting of a channel; a sweep at a fixed frequency has no ends."""
        channel = self.channel(call)
        state = channel.state
        if setting.name in ("start", "stop", "center", "span") and state["type"] in ("CW", "POIN"):
            raise ScpiError(-200)
        if setting.name == "sweep time":
            return self.show_number(self._sweep_time(channel))
        return setting.kind.show(state[setting.name], self.number_format)

    def _couple(self, state: dict[str, Any], changed: str) -> None:
        if changed in ("center", "span"):
            room = 2 * min(self.band[1] - state["center"], state["center"] - self.band[0])
            half = min(state["span"], room) / 2
            state["start"], state["stop"] = state["center"] - half, state["center"] + half
        elif changed == "start":
            state["stop"] = max(state["stop"], state["start"])
        elif changed == "stop":
            state["start"] = min(state["start"], state["stop"])
        elif changed == "sweep time":
            state["sweep time auto"] = False
        state["center"], state["span"] = (state["start"] + state["stop"]) / 2, state["stop"] - state["start"]
        state["bandwidth"] = float(BANDWIDTHS[np.searchsorted(BANDWIDTHS, state["bandwidth"] * (1 - 1e-12))])

    def _sweep_time(self, channel: Channel) -> float:
        state = channel.state
        fastest = self.fastest(self.parts(channel), channel)
        return fastest if state["sweep time auto"] else max(fastest, state["sweep time"])

    # --- sweeps ------------------------------------------------------------------------------------------------------

    def restart(self, channel: Channel) -> None:
        """Delete what was measured with other settings."""
        for trace in channel.traces.values():
            trace.data, trace.sweeps = None, 0

    @command(":INITiate:CONTinuous:ALL")
    def _set_continuous(self, call: Call) -> None:
        on = call.parse(0, Switch(True))
        for channel in self.channels.values():
            channel.state["continuous"] = on
        self.abort_operation()

    @command(":INITiate<ch>[:IMMediate]")
    def _initiate(self, call: Call) -> None:
        channel = self.channel(call)
        if channel.state["continuous"]:
            raise ScpiError(-213)
        if channel.state["trigger"] == "IMM":
            sweeps = channel.state["sweeps"]
            self.start_operation(sweeps * self._sweep_time(channel), lambda: self._sweep(channel, sweeps))
        else:
            self._busy_until = np.inf

    @command("*WAI")
    def _wait(self, call: Call) -> None:
        self.wait_for_operation()

    @command("*OPC?")
    def _complete(self, call: Call) -> str | None:
        if np.isinf(self._busy_until):
            return None
        self.wait_for_operation()
        return "1"

    def _sweep(self, channel: Channel, sweeps: int) -> None:
        state = channel.state
        depth = state["averages"] if state["averaging"] else 1
        new = min(sweeps, depth)
        for trace in channel.traces.values():
            fresh = np.concatenate([self._measure(channel, trace.parameter, new, *p) for p in self.parts(channel)])
            old = min(trace.sweeps, depth - new)
            trace.data = fresh if trace.data is None else np.asarray((old * trace.data + new * fresh) / (old + new))
            trace.sweeps = old + new
        if self.overloaded:
            self._event |= 1 << OVERLOAD

    def _measure(
        self,
        channel: Channel,
        parameter: str,
        averages: int,
        frequencies: NDArray[np.float64],
        bandwidth: float,
        level: float | None,
    ) -> NDArray[np.complex128]:
        """One part of a sweep, at a `level` (dBm) or that of the port."""
        state = channel.state
        power = 1e-3 * 10 ** ((self.port_power[int(parameter[2])] if level is None else level) / 10)
        if parameter == "S11" and self.state["output"] and state["port on"] and state["measures"]:
            delay = np.exp(4j * np.pi * frequencies * channel.delays[1])
            return np.asarray(self.world.reflection(frequencies, power, bandwidth / averages) * delay)
        scatter = self._receiver.standard_normal((2, len(frequencies)))
        noise = RECEIVER_NOISE * bandwidth / averages
        return np.asarray((scatter[0] + 1j * scatter[1]) * np.sqrt(noise / power / 2))

    @command("[:SENSe<ch>]:AVERage:CLEar")
    def _clear_averages(self, call: Call) -> None:
        self.restart(self.channel(call))

    @command(":STATus:QUEStionable:INTegrity:HARDware[:EVENt]?")
    def _read_event(self, call: Call) -> str:
        event, self._event = self._event | self.condition, 0
        return str(event)

    # --- source and ports --------------------------------------------------------------------------------------------

    @command(":SOURce<ch>:POWer<p>[:LEVel][:IMMediate][:AMPLitude]")
    def _set_power(self, call: Call) -> None:
        channel, port = self.channel(call), self._port(call)
        self.port_power[port] = call.parse(0, self.power)
        self.restart(channel)

    @command(":SOURce<ch>:POWer<p>[:LEVel][:IMMediate][:AMPLitude]?")
    def _show_power(self, call: Call) -> str:
        self.channel(call)
        return self.show_number(self.port_power[self._port(call)])

    def _port(self, call: Call) -> int:
        if call.suffixes[1] not in (1, 2):
            raise ScpiError(-114)
        return call.suffixes[1]

    @command("[:SENSe<ch>]:CORRection:EDELay<p>:TIME")
    def _set_delay(self, call: Call) -> None:
        channel = self.channel(call)
        channel.delays[self._port(call)] = call.parse(0, Number(0.0, -1.0, 1.0, "S"))
        self.restart(channel)

    @command("[:SENSe<ch>]:CORRection:EDELay<p>:TIME?")
    def _show_delay(self, call: Call) -> str:
        return self.show_number(self.channel(call).delays[self._port(call)])

    # --- traces ------------------------------------------------------------------------------------------------------

    @command(":CALCulate<ch>:PARameter:SDEFine")
    def _define(self, call: Call) -> None:
        """Define a trace; a channel that does not exist is made."""
        call.expect(2)
        name, parameter = call.parse(0, Text()), call.parse(1, Text()).upper()
        number = call.suffixes[0]
        elsewhere = [n for k, c in self.channels.items() if k != number for n in c.traces]
        if parameter not in PARAMETERS or name in elsewhere:
            raise ScpiError(-224)
        channel = self.channels.get(number) or self._add_channel(number)
        channel.traces[name], channel.selected = Trace(parameter), name

    def _named(self, call: Call) -> tuple[Channel, str]:
        channel, name = self.channel(call), call.parse(0, Text())
        if name not in channel.traces:
            raise ScpiError(-224)
        return channel, name

    @command(":CALCulate<ch>:PARameter:SELect")
    def _select(self, call: Call) -> None:
        channel, name = self._named(call)
        channel.selected = name

    @command(":CALCulate<ch>:PARameter:SELect?")
    def _show_selected(self, call: Call) -> str:
        return f"'{self.channel(call).selected}'"

    @command(":CALCulate<ch>:PARameter:MEASure?")
    def _show_parameter(self, call: Call) -> str:
        channel, name = self._named(call)
        return f"'{channel.traces[name].parameter}'"

    @command(":CALCulate<ch>:PARameter:CATalog?")
    def _list_traces(self, call: Call) -> str:
        listed = (f"{name},{trace.parameter}" for name, trace in self.channel(call).traces.items())
        return "'" + ",".join(listed) + "'"

    def _selected(self, call: Call) -> tuple[Channel, Trace]:
        channel = self.channel(call)
        if channel.selected not in channel.traces:
            raise ScpiError(-221)
        return channel, channel.traces[channel.selected]

    @command(":CALCulate<ch>:FORMat")
    def _set_format(self, call: Call) -> None:
        self._selected(call)[1].format = call.parse(0, FORMAT)

    @command(":CALCulate<ch>:FORMat?")
    def _show_format(self, call: Call) -> str:
        return self._selected(call)[1].format

    # --- data --------------------------------------------------------------------------------------------------------

    @command(":FORMat[:DATA]")
    def _set_data_format(self, call: Call) -> None:
        name, *length = call.arguments
        if mnemonic_matches("ASCii", name):
            self.state["data format"] = "ASC"
        elif mnemonic_matches("REAL", name) and (length or ["32"])[0] in ("32", "64"):
            self.state["data format"] = "REAL," + (length or ["32"])[0]
        else:
            raise ScpiError(-224)

    @command(":FORMat[:DATA]?")
    def _show_data_format(self, call: Call) -> str:
        return "ASC,0" if self.state["data format"] == "ASC" else str(self.state["data format"])

    def encode(self, values: NDArray[np.float64]) -> bytes:
        """`values` in the chosen format and byte order."""
        return encode_values(values, self.state["data format"], swapped=self.state["byte order"] == "SWAP")

    @command(":CALCulate<ch>:DATA?")
    def _send_data(self, call: Call) -> bytes:
        channel, trace = self._selected(call)
        kind = call.parse(0, Choice("FDATa", "SDATa"))
        self.wait_for_operation()
        if trace.data is None and channel.state["continuous"]:
            self.world.clock.sleep(self._sweep_time(channel))
            self._sweep(channel, 1)
        if trace.data is None:
            raise ScpiError(-230)
        if kind == "SDAT" or trace.format in ("COMP", "ISM"):
            return self.encode(np.ascontiguousarray(trace.data).view(np.float64))
        return self.encode(display(trace.data, self.frequencies(channel), trace.format, 0.0))

    @command(":CALCulate<ch>:DATA:STIMulus?")
    def _send_axis(self, call: Call) -> bytes:
        return self.encode(self.frequencies(self.channel(call)))


class RohdeSchwarzZNB20Panel(ZNBPanel):
    """A ZNB20, 100 kHz to 20 GHz."""

    identification = "Rohde-Schwarz,ZNB20-2Port,TWIN0045,3.32"
    resource = "TCPIP{}::znb20.sim::inst0::INSTR"
    band = (100e3, 20e9)
    settings: ClassVar[tuple[Any, ...]] = channel_settings(*band)


class RohdeSchwarzZNB8Panel(ZNBPanel):
    """A ZNB8, 9 kHz to 8.5 GHz."""

    identification = "Rohde-Schwarz,ZNB8-2Port,TWIN0046,2.92"
    resource = "TCPIP{}::znb8.sim::inst0::INSTR"
    band = (9e3, 8.5e9)
    power = Number(-10.0, -80.0, 25.0, "DBM")
    settings: ClassVar[tuple[Any, ...]] = channel_settings(*band)


class RohdeSchwarzZNB40Panel(ZNBPanel):
    """A ZNB40, 10 MHz to 40 GHz."""

    identification = "Rohde-Schwarz,ZNB40-2Port,TWIN0047,2.92"
    resource = "TCPIP{}::znb40.sim::inst0::INSTR"
    band = (10e6, 40e9)
    settings: ClassVar[tuple[Any, ...]] = channel_settings(*band)
