"""Front panel of Keysight's network analyzers of the PNA and ENA families: one channel, any number of traces.

Only port 1 is connected to the fridge. The other ports carry matched loads: every parameter but S11 reads the
receivers' noise floor, as S11 does while the output is off. Simplifications: a calibration corrects nothing; no
segment, power or phase sweeps; no external trigger comes. `SDATA` is after the error terms and port extensions, before
equation, mathematics, electrical delay, offsets and format (data access map of Keysight's help); on which side of the
fixture simulator it is, is not known.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sim_instruments.panels.front_panel import Setting, command
from sim_instruments.panels.keysight_panel import frequency_settings, with_aliases
from sim_instruments.panels.keysight_pna_segments import KeysightPNASegments
from sim_instruments.panels.keysight_pna_states import DISPLAYED
from sim_instruments.panels.keysight_pna_traces import Measurement
from sim_instruments.panels.scpi import with_auto
from sim_instruments.panels.scpi_values import Call, Choice, Integer, Number, ScpiError, Switch
from sim_instruments.world.clock import SimulatedClock

__all__ = ["KeysightPNAPanel", "band_settings"]

#: Noise of an unconnected receiver (W/Hz), −127 dBm/Hz.
RECEIVER_NOISE = 2e-16
#: IF bandwidths the analyzer has (Hz); anything between is rounded up.
IF_BANDWIDTHS = np.array(
    [step * 10.0**decade for decade in range(5) for step in (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)]
    + [1e5, 1.5e5, 2e5, 2.8e5, 3.6e5, 6e5, 1e6, 1.5e6, 2e6, 3e6, 5e6, 7e6, 1e7, 1.5e7]
)
#: Time to step from one point to the next (s), beside 1/IFBW.
POINT_OVERHEAD = 1e-5
#: Settings that do not restart the averages.
HARMLESS = ("trigger_source", "power_coupled", "group_count", "byte_order", *DISPLAYED)


def band_settings(low: float, high: float) -> tuple[Setting, ...]:
    """Frequencies of a model from `low` to `high` (Hz)."""
    span = Number(0.0, 0.0, high - low, "HZ")
    return (
        *frequency_settings("[:SENSe<ch>]", Number(0.0, low, high, "HZ"), span),
        Setting("[:SENSe<ch>]:FREQuency[:CW]", "cw_frequency", Number(1e9, low, high, "HZ")),
    )


class KeysightPNAPanel(KeysightPNASegments):
    """A network analyzer as its VISA session sees it. An overload leaves an entry in the error queue."""

    ascii_name = "ASC,0"
    #: Source power of a port; `band` has the lowest and highest frequency (Hz).
    power: ClassVar[Number]
    settings: ClassVar[tuple[Any, ...]] = (
        Setting(":OUTPut[:STATe]", "output", Switch(True)),
        *with_aliases(Setting("[:SENSe<ch>]:BANDwidth[:RESolution]", "if_bandwidth", Number(1e5, 1.0, 1.5e7, "HZ"))),
        Setting("[:SENSe<ch>]:AVERage[:STATe]", "averaging", Switch(False)),
        Setting("[:SENSe<ch>]:AVERage:COUNt", "averages", Integer(1, 1, 65536)),
        Setting("[:SENSe<ch>]:AVERage:MODE", "average_mode", Choice("SWEep", "POINt")),
        Setting("[:SENSe<ch>]:SWEep:POINts", "points", Integer(201, 1, 100003)),
        *with_auto(Setting("[:SENSe<ch>]:SWEep:TIME", "sweep_time", Number(0.0, 0.0, 86400.0, "S"))),
        Setting("[:SENSe<ch>]:SWEep:GROups:COUNt", "group_count", Integer(1, 1, 2000000)),
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
        ":SYSTem:FPReset": lambda self, _: self.reset(),
    }

    def switch_on(self) -> None:
        """Start as after power-up."""
        # The noise of receivers without a cable is not that of the World.
        self._receiver = np.random.default_rng((self.world.seed, 5222))
        super().switch_on()

    def reset(self) -> None:
        """Return to the factory defaults."""
        self._waiting = 0
        super().reset()
        self.mode = "CONT"
        self.port_power = dict.fromkeys(range(1, self.ports + 1), self.power.default)
        self.state["start"], self.state["stop"] = self.band
        self._started = self.world.clock.time()
        self._couple("start")

    # --- couplings -----------------------------------------------------------------------------------------------

    def setting_changed(self, name: str) -> None:
        """Follow the couplings; a new setting restarts the averages and a running sweep."""
        super().setting_changed(name)
        if name in HARMLESS:
            return
        self._couple(name)
        self._restart()

    def _couple(self, changed: str) -> None:
        s = self.state
        if changed == "start":
            s["stop"] = max(s["stop"], s["start"])
        elif changed == "stop":
            s["start"] = min(s["start"], s["stop"])
        elif changed in ("center", "span"):
            room = 2 * min(self.band[1] - s["center"], s["center"] - self.band[0])
            half = min(s["span"], room) / 2
            s["start"], s["stop"] = s["center"] - half, s["center"] + half
        s["center"], s["span"] = (s["start"] + s["stop"]) / 2, s["stop"] - s["start"]
        s["if_bandwidth"] = float(IF_BANDWIDTHS[np.searchsorted(IF_BANDWIDTHS, s["if_bandwidth"] * (1 - 1e-12))])
        sweep = [(len(axis), bandwidth) for axis, bandwidth in self._parts()]
        averages = self._readings_per_point()
        fastest = sum(points * (averages / bandwidth + POINT_OVERHEAD + s["dwell"]) for points, bandwidth in sweep)
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
        return np.concatenate([axis for axis, _ in self._parts()])

    def _parts(self) -> list[tuple[NDArray[np.float64], float]]:
        """Frequencies (Hz) and IF bandwidth (Hz) of each part of a sweep."""
        s = self.state
        if s["sweep_type"] == "SEGM":
            return self.swept()
        if s["sweep_type"] == "CW":
            return [(np.full(s["points"], s["cw_frequency"]), s["if_bandwidth"])]
        axis = np.geomspace if s["sweep_type"] == "LOG" else np.linspace
        return [(np.asarray(axis(s["start"], s["stop"], s["points"])), s["if_bandwidth"])]

    def _trigger(self) -> None:
        """Begin the sweeps of a group or a single one; other channels take turns with this one."""
        sweeps = self.state["group_count"] if self.mode == "GRO" else 1
        self._waiting = 0

        def finish() -> None:
            self._sweep(sweeps)
            self.mode = "HOLD"

        one = self.state["sweep_time"] + self.state["sweep_delay"]
        self.start_operation(sweeps * one * (1 + len(self.running_channels)), finish)

    def _await_trigger(self) -> None:
        """Begin at once with the internal trigger; wait for another one, for ever unless it comes."""
        if self.state["trigger_source"] == "IMM":
            self._trigger()
        else:
            self._waiting = 1

    def complete_due_operation(self) -> None:
        """As any panel's; while it waits for a trigger, nothing is complete."""
        if not self._waiting:
            super().complete_due_operation()

    @command("*OPC?")
    def _complete(self, call: Call) -> str | None:
        """No answer while it waits for a trigger."""
        if self._waiting:
            return None
        self.wait_for_operation()
        return "1"

    def _sweep(self, sweeps: int) -> None:
        """Measure all traces `sweeps` times and average as the settings say."""
        averages = self.state["averages"] if self.state["averaging"] else 1
        point_mode = self._readings_per_point() > 1
        depth = 1 if point_mode else averages
        new = min(sweeps, depth)
        narrowing = 1 / (new * (averages if point_mode else 1))
        measured: dict[str, NDArray[np.complex128]] = {}
        for trace in self.traces.values():
            if trace.parameter not in measured:
                measured[trace.parameter] = self._measure(trace.parameter, narrowing)
            fresh = measured[trace.parameter]
            # Sweep averaging keeps the last `depth` sweeps, older ones with decreasing weight.
            old = min(trace.sweeps, depth - new)
            trace.data = fresh if trace.data is None else np.asarray((old * trace.data + new * fresh) / (old + new))
            trace.sweeps = old + new
        if self.overloaded:
            self.report(ScpiError(-300, "Device-specific error;Receiver overload, input power too high"))

    def _measure(self, parameter: str, narrowing: float) -> NDArray[np.complex128]:
        """One S-parameter in the IF bandwidths times `narrowing`, shape (points,)."""
        parts = [self._measure_part(parameter, axis, narrowing * bandwidth) for axis, bandwidth in self._parts()]
        return np.concatenate(parts)

    def _measure_part(
        self, parameter: str, frequencies: NDArray[np.float64], bandwidth: float
    ) -> NDArray[np.complex128]:
        power = 1e-3 * 10 ** (self.port_power[int(parameter[2])] / 10)
        if parameter == "S11" and self.state["output"] and self.port_modes[1] != "OFF":
            return self.world.reflection(frequencies, power, bandwidth) * self.extension(frequencies)
        scatter = self._receiver.standard_normal((2, len(frequencies)))
        return np.asarray((scatter[0] + 1j * scatter[1]) * np.sqrt(RECEIVER_NOISE * bandwidth / power / 2))

    def _data(self, trace: Measurement) -> NDArray[np.complex128]:
        """Complex data of a trace; in continuous mode those of the latest sweep."""
        self.wait_for_operation()
        if self.mode == "CONT":
            self._catch_up(trace)
        if trace.data is None:
            raise ScpiError(-230)
        # With an equation it sends the parameter that was measured last: one of the last port.
        last = f"S{self.ports}{self.ports}"
        return self._measure(last, 1.0) if self.state["equation"] else trace.data

    def _catch_up(self, trace: Measurement) -> None:
        """Take the sweeps that continuous sweeping has finished since the last call; wait for the first one."""
        duration = self.state["sweep_time"]
        finished = int((self.world.clock.time() - self._started) / duration)
        if finished == 0 and trace.data is None:
            self.world.clock.sleep(self._started + duration - self.world.clock.time())
            finished = 1
        if finished:
            self._sweep(finished)
            self._started += finished * duration

    @command("[:SENSe<ch>]:SWEep:MODE")
    def _set_mode(self, call: Call) -> None:
        self._change_mode(call.parse(0, Choice("HOLD", "CONTinuous", "GROups", "SINGle")))
        if self.mode in ("SING", "GRO"):
            self._await_trigger()

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
        if isinstance(self.world.clock, SimulatedClock) and not self._waiting:
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
        if self._waiting or self.operation_pending():
            self.mode = "HOLD"
        self._waiting = 0
        super().abort_operation()

    # --- source --------------------------------------------------------------------------------------------------

    @command(":SOURce<ch>:POWer<port>[:LEVel][:IMMediate][:AMPLitude]")
    def _set_power(self, call: Call) -> None:
        port = self._port(call)
        power: float = call.parse(0, self.power)
        ports = tuple(self.port_power) if self.state["power_coupled"] else (port,)
        self.port_power.update(dict.fromkeys(ports, power))
        self._restart()

    def _port(self, call: Call) -> int:
        channel, port = call.suffixes
        if channel != 1 or port not in self.port_power:
            raise ScpiError(-114)
        return port
