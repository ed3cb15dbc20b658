"""Front panel of the Keysight N5222B (PNA) network analyzer: one channel, any number of traces, four ports.

Only port 1 is connected to the fridge. The other ports carry matched loads: every parameter but S11 reads the
receivers' noise floor, as S11 does while the output is off. Simplifications: no calibration, no segment, power or phase
sweeps, no external trigger; `SDATA` is before electrical delay and format, as in the analyzer's data processing chain.
"""

import re
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sim_instruments.panels.front_panel import Setting, command
from sim_instruments.panels.keysight_panel import KeysightPanel, display, frequency_settings, with_aliases
from sim_instruments.panels.scpi import with_auto
from sim_instruments.panels.scpi_values import Call, Choice, Integer, Number, ScpiError, Switch, Text
from sim_instruments.world.clock import SimulatedClock

__all__ = ["KeysightN5222BPanel"]

MINIMUM_FREQUENCY, MAXIMUM_FREQUENCY = 10e6, 26.5e9
#: Noise of an unconnected receiver (W/Hz), −127 dBm/Hz.
RECEIVER_NOISE = 2e-16
#: IF bandwidths the analyzer has (Hz); anything between is rounded up.
IF_BANDWIDTHS = np.array(
    [step * 10.0**decade for decade in range(5) for step in (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)]
    + [1e5, 1.5e5, 2e5, 2.8e5, 3.6e5, 6e5, 1e6, 1.5e6, 2e6, 3e6, 5e6, 7e6, 1e7, 1.5e7]
)
#: Time to step from one point to the next (s), beside 1/IFBW.
POINT_OVERHEAD = 1e-5
POWER = Number(0.0, -95.0, 13.0, "DBM")
FREQUENCY = Number(0.0, MINIMUM_FREQUENCY, MAXIMUM_FREQUENCY, "HZ")
PARAMETER = re.compile(r"S[1-4][1-4]")
FORMAT = Choice("MLOGarithmic", "MLINear", "PHASe", "UPHase", "REAL", "IMAGinary", "POLar", "SMITh", "GDELay", "SWR")
DELAY = Number(0.0, -10.0, 10.0, "S")


@dataclass
class Measurement:
    """One trace: what it measures and how it is shown. `sweeps` were averaged into `data` since the last clear."""

    name: str
    parameter: str
    format: str = "MLOG"
    electrical_delay: float = 0.0
    data: NDArray[np.complex128] | None = None
    sweeps: int = 0


class KeysightN5222BPanel(KeysightPanel):
    """The network analyzer as its VISA session sees it. An overload leaves an entry in the error queue."""

    identification = "Keysight Technologies,N5222B,TWIN0004,A.17.20.06"
    resource = "TCPIP{}::n5222b.sim::inst0::INSTR"
    options = '"419,080,093"'
    ascii_name = "ASC,0"
    settings: ClassVar[tuple[Any, ...]] = (
        Setting(":OUTPut[:STATe]", "output", Switch(True)),
        *with_aliases(Setting("[:SENSe<ch>]:BANDwidth[:RESolution]", "if_bandwidth", Number(1e5, 1.0, 1.5e7, "HZ"))),
        Setting("[:SENSe<ch>]:AVERage[:STATe]", "averaging", Switch(False)),
        Setting("[:SENSe<ch>]:AVERage:COUNt", "averages", Integer(1, 1, 65536)),
        Setting("[:SENSe<ch>]:AVERage:MODE", "average_mode", Choice("SWEep", "POINt")),
        *frequency_settings("[:SENSe<ch>]", FREQUENCY, Number(0.0, 0.0, MAXIMUM_FREQUENCY - MINIMUM_FREQUENCY, "HZ")),
        Setting("[:SENSe<ch>]:FREQuency[:CW]", "cw_frequency", Number(1e9, MINIMUM_FREQUENCY, MAXIMUM_FREQUENCY, "HZ")),
        Setting("[:SENSe<ch>]:SWEep:POINts", "points", Integer(201, 1, 100003)),
        *with_auto(Setting("[:SENSe<ch>]:SWEep:TIME", "sweep_time", Number(0.0, 0.0, 86400.0, "S"))),
        Setting("[:SENSe<ch>]:SWEep:TYPE", "sweep_type", Choice("LINear", "LOGarithmic", "CW")),
        Setting("[:SENSe<ch>]:SWEep:GROups:COUNt", "group_count", Integer(1, 1, 2000000)),
        Setting(":TRIGger[:SEQuence]:SOURce", "trigger_source", Choice("IMMediate", "MANual", "EXTernal")),
        Setting(":SOURce<ch>:POWer:COUPle", "power_coupled", Switch(True)),
    )

    handlers: ClassVar = {
        ":INITiate<ch>:CONTinuous": lambda self, call: self._change_mode(
            "CONT" if call.parse(0, Switch(True)) else "HOLD"
        ),
        ":INITiate<ch>:CONTinuous?": lambda self, _: "1" if self.mode == "CONT" else "0",
        "[:SENSe<ch>]:AVERage:CLEar": lambda self, _: self._restart(),
        ":SOURce<ch>:POWer<port>[:LEVel][:IMMediate][:AMPLitude]?": lambda self, call: self.show_number(
            self.port_power[self._port(call)]
        ),
        ":CALCulate<ch>:PARameter:SELect?": lambda self, _: f'"{self._trace().name}"',
        ":CALCulate<ch>:PARameter:DELete:ALL": lambda self, _: self.traces.clear(),
        ":DISPlay[:WINDow<w>]:TRACe<n>:NEW": lambda self, _: self._add(
            f"CH1_S11_{max(self.traces, default=0) + 1}", "S11"
        ),
        ":CALCulate<ch>:FORMat?": lambda self, _: self._trace().format,
        ":CALCulate<ch>:CORRection:EDELay[:TIME]?": lambda self, _: self.show_number(self._trace().electrical_delay),
        ":SYSTem:FPReset": lambda self, _: self.reset(),
    }

    def switch_on(self) -> None:
        """Start as after power-up."""
        # The noise of receivers without a cable is not that of the World.
        self._receiver = np.random.default_rng((self.world.seed, 5222))
        super().switch_on()

    def reset(self) -> None:
        """Return to the factory defaults."""
        super().reset()
        self.traces: dict[int, Measurement] = {1: Measurement("CH1_S11_1", "S11")}
        self.selected = 1
        self.mode = "CONT"
        self.port_power = dict.fromkeys((1, 2, 3, 4), POWER.default)
        self.state["start"], self.state["stop"] = MINIMUM_FREQUENCY, MAXIMUM_FREQUENCY
        self._started = self.world.clock.time()
        self._couple("start")

    # --- couplings -----------------------------------------------------------------------------------------------

    def setting_changed(self, name: str) -> None:
        """Follow the couplings; a new setting restarts the averages and a running sweep."""
        if name in ("trigger_source", "power_coupled", "group_count", "byte_order"):
            return
        super().setting_changed(name)
        self._couple(name)
        self._restart()

    def _couple(self, changed: str) -> None:
        s = self.state
        if changed == "start":
            s["stop"] = max(s["stop"], s["start"])
        elif changed == "stop":
            s["start"] = min(s["start"], s["stop"])
        elif changed in ("center", "span"):
            room = 2 * min(MAXIMUM_FREQUENCY - s["center"], s["center"] - MINIMUM_FREQUENCY)
            half = min(s["span"], room) / 2
            s["start"], s["stop"] = s["center"] - half, s["center"] + half
        s["center"], s["span"] = (s["start"] + s["stop"]) / 2, s["stop"] - s["start"]
        s["if_bandwidth"] = float(IF_BANDWIDTHS[np.searchsorted(IF_BANDWIDTHS, s["if_bandwidth"] * (1 - 1e-12))])
        fastest = s["points"] * (self._readings_per_point() / s["if_bandwidth"] + POINT_OVERHEAD)
        s["sweep_time"] = fastest if s["sweep_time auto"] else max(s["sweep_time"], fastest)

    def _readings_per_point(self) -> int:
        point_mode = self.state["averaging"] and self.state["average_mode"] == "POIN"
        return int(self.state["averages"]) if point_mode else 1

    def _restart(self) -> None:
        """Delete what was measured with other settings."""
        for trace in self.traces.values():
            trace.data, trace.sweeps = None, 0
        self._started = self.world.clock.time()
        if self.operation_pending():
            self._trigger()

    # --- sweeps --------------------------------------------------------------------------------------------------

    def frequencies(self) -> NDArray[np.float64]:
        """Frequency of each point (Hz), shape (points,)."""
        s = self.state
        if s["sweep_type"] == "CW":
            return np.full(s["points"], s["cw_frequency"])
        axis = np.geomspace if s["sweep_type"] == "LOG" else np.linspace
        return np.asarray(axis(s["start"], s["stop"], s["points"]))

    def _trigger(self) -> None:
        sweeps = self.state["group_count"] if self.mode == "GRO" else 1

        def finish() -> None:
            self._sweep(sweeps)
            self.mode = "HOLD"

        self.start_operation(sweeps * self.state["sweep_time"], finish)

    def _sweep(self, sweeps: int) -> None:
        """Measure all traces `sweeps` times and average as the settings say."""
        averages = self.state["averages"] if self.state["averaging"] else 1
        point_mode = self._readings_per_point() > 1
        depth = 1 if point_mode else averages
        bandwidth = self.state["if_bandwidth"] / (averages if point_mode else 1)
        new = min(sweeps, depth)
        measured: dict[str, NDArray[np.complex128]] = {}
        for trace in self.traces.values():
            if trace.parameter not in measured:
                measured[trace.parameter] = self._measure(trace.parameter, bandwidth / new)
            fresh = measured[trace.parameter]
            # Sweep averaging keeps the last `depth` sweeps, older ones with decreasing weight.
            old = min(trace.sweeps, depth - new)
            trace.data = fresh if trace.data is None else np.asarray((old * trace.data + new * fresh) / (old + new))
            trace.sweeps = old + new
        if self.overloaded:
            self.report(ScpiError(-300, "Device-specific error;Receiver overload, input power too high"))

    def _measure(self, parameter: str, bandwidth: float) -> NDArray[np.complex128]:
        """One S-parameter in the noise `bandwidth` (Hz), shape (points,)."""
        frequencies = self.frequencies()
        power = 1e-3 * 10 ** (self.port_power[int(parameter[2])] / 10)
        if parameter == "S11" and self.state["output"]:
            return self.world.reflection(frequencies, power, bandwidth)
        scatter = self._receiver.standard_normal((2, len(frequencies)))
        return np.asarray((scatter[0] + 1j * scatter[1]) * np.sqrt(RECEIVER_NOISE * bandwidth / power / 2))

    def _trace(self) -> Measurement:
        if self.selected not in self.traces:
            raise ScpiError(-221, "Settings conflict;no measurement selected")
        return self.traces[self.selected]

    def _data(self) -> NDArray[np.complex128]:
        """Complex data of the selected trace; in continuous mode those of the latest sweep."""
        self.wait_for_operation()
        if self.mode == "CONT":
            self._catch_up()
        data = self._trace().data
        if data is None:
            raise ScpiError(-230)
        return data

    def _catch_up(self) -> None:
        """Take the sweeps that continuous sweeping has finished since the last call; wait for the first one."""
        duration = self.state["sweep_time"]
        finished = int((self.world.clock.time() - self._started) / duration)
        if finished == 0 and self._trace().data is None:
            self.world.clock.sleep(self._started + duration - self.world.clock.time())
            finished = 1
        if finished:
            self._sweep(finished)
            self._started += finished * duration

    @command("[:SENSe<ch>]:SWEep:MODE")
    def _set_mode(self, call: Call) -> None:
        self._change_mode(call.parse(0, Choice("HOLD", "CONTinuous", "GROups", "SINGle")))
        if self.mode in ("SING", "GRO") and self.state["trigger_source"] == "IMM":
            self._trigger()

    def _change_mode(self, mode: str) -> None:
        self.abort_operation()
        self.mode = mode
        self._started = self.world.clock.time()

    @command("[:SENSe<ch>]:SWEep:MODE?")
    def _show_mode(self, call: Call) -> str:
        """The mode, for a client that polls until a sweep has ended.

        Simulated time passes only while a caller sleeps, and a client that polls sleeps: its query lets the sweep
        finish. In real time the query takes no time.
        """
        if isinstance(self.world.clock, SimulatedClock):
            self.wait_for_operation()
        self.complete_due_operation()
        return self.mode

    @command(":INITiate<ch>[:IMMediate]")
    def _initiate(self, call: Call) -> None:
        if self.state["trigger_source"] != "MAN":
            raise ScpiError(-213)
        self._trigger()

    def abort_operation(self) -> None:
        """Stop a triggered sweep, and sweeping with it."""
        if self.operation_pending():
            self.mode = "HOLD"
        super().abort_operation()

    # --- source --------------------------------------------------------------------------------------------------

    @command(":SOURce<ch>:POWer<port>[:LEVel][:IMMediate][:AMPLitude]")
    def _set_power(self, call: Call) -> None:
        port = self._port(call)
        power: float = call.parse(0, POWER)
        ports = (1, 2, 3, 4) if self.state["power_coupled"] else (port,)
        self.port_power.update(dict.fromkeys(ports, power))
        self._restart()

    def _port(self, call: Call) -> int:
        channel, port = call.suffixes
        if channel != 1 or port not in self.port_power:
            raise ScpiError(-114)
        return port

    # --- traces --------------------------------------------------------------------------------------------------

    def _by_name(self, name: str) -> int:
        for number, trace in self.traces.items():
            if trace.name == name:
                return number
        raise ScpiError(-224, f"Illegal parameter value;no measurement {name}")

    def _add(self, name: str, parameter: str) -> None:
        if not PARAMETER.fullmatch(parameter.upper()) or any(t.name == name for t in self.traces.values()):
            raise ScpiError(-224)
        number = next(n for n in range(1, len(self.traces) + 2) if n not in self.traces)
        self.traces[number] = Measurement(name, parameter.upper())

    @command(":CALCulate<ch>:PARameter:CATalog[:EXTended]?")
    def _list_traces(self, call: Call) -> str:
        listed = ",".join(f"{trace.name},{trace.parameter}" for trace in self.traces.values())
        return f'"{listed or "NO CATALOG"}"'

    @command(":CALCulate<ch>:PARameter:SELect")
    def _select_name(self, call: Call) -> None:
        self.selected = self._by_name(call.parse(0, Text()))

    @command(":CALCulate<ch>:PARameter:MNUMber[:SELect]")
    def _select_number(self, call: Call) -> None:
        number = int(call.number(0))
        if number not in self.traces:
            raise ScpiError(-224)
        self.selected = number

    @command(":CALCulate<ch>:PARameter:MNUMber[:SELect]?")
    def _show_selected_number(self, call: Call) -> str:
        self._trace()
        return str(self.selected)

    @command(":CALCulate<ch>:PARameter[:DEFine]:EXTended")
    def _define(self, call: Call) -> None:
        call.expect(2)
        self._add(call.parse(0, Text()), call.parse(1, Text()))

    @command(":CALCulate<ch>:PARameter:MODify:EXTended")
    def _modify(self, call: Call) -> None:
        parameter = call.parse(0, Text()).upper()
        if not PARAMETER.fullmatch(parameter):
            raise ScpiError(-224)
        self._trace().parameter = parameter
        self._restart()

    @command(":CALCulate<ch>:PARameter:DELete[:NAME]")
    def _delete(self, call: Call) -> None:
        del self.traces[self._by_name(call.parse(0, Text()))]

    @command(":DISPlay[:WINDow<w>]:TRACe<n>[:STATe]")
    def _show_trace(self, call: Call) -> None:
        """Show a trace on the screen, without effect on its data."""
        if call.suffixes[1] not in self.traces:
            raise ScpiError(-114)
        call.parse(0, Switch(True))

    @command(":DISPlay[:WINDow<w>]:TRACe<n>:FEED")
    def _feed_trace(self, call: Call) -> None:
        """Show a trace on the screen, without effect on its data."""
        self._by_name(call.parse(0, Text()))

    # --- data ----------------------------------------------------------------------------------------------------

    @command(":CALCulate<ch>:FORMat")
    def _set_display_format(self, call: Call) -> None:
        self._trace().format = call.parse(0, FORMAT)

    @command(":CALCulate<ch>:CORRection:EDELay[:TIME]")
    def _set_delay(self, call: Call) -> None:
        self._trace().electrical_delay = call.parse(0, DELAY)

    @command(":CALCulate<ch>:DATA?")
    def _send_data(self, call: Call) -> bytes:
        kind: Any = call.parse(0, Choice("FDATA", "SDATA"))
        data = self._data()
        if kind == "SDATA":
            return self.encode(np.ascontiguousarray(data).view(np.float64))
        trace = self._trace()
        return self.encode(display(data, self.frequencies(), trace.format, trace.electrical_delay))

    @command(":CALCulate<ch>:X[:VALues]?", "[:SENSe<ch>]:X[:VALues]?")
    def _send_axis(self, call: Call) -> bytes:
        if self.state["sweep_type"] == "CW":
            return self.encode(np.linspace(0, self.state["sweep_time"], self.state["points"]))
        return self.encode(self.frequencies())
