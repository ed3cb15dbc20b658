"""Front panel of the programs S2VNA and S4VNA, through which Copper Mountain's network analyzers are used.

The program answers on a socket or by HiSLIP, whether the analyzer is connected to it by USB or not (`SYST:READ?`). Only
port 1 is connected to the fridge, as at the panels of Keysight's analyzers.

From the S2VNA and S4VNA SCPI programming manual (binary data by HiSLIP only), that of the TR series (`SDATa` is after
all processing but the format), examples of Copper Mountain, and QCoDeS's driver with its notebook. Assumed: error
numbers, times, preset values, that an IF bandwidth between two is rounded up, and that a trigger without the analyzer
is never answered. The averages of one trigger are as many as the averaging factor while `TRIG:AVER` is on.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sim_instruments.panels.copper_mountain_segments import CopperMountainSegments
from sim_instruments.panels.front_panel import Setting, command
from sim_instruments.panels.keysight_panel import display, frequency_settings, with_aliases
from sim_instruments.panels.scpi_values import Call, Choice, Integer, Number, ScpiError, Switch, encode_values

__all__ = ["CopperMountainM5065Panel", "CopperMountainM5180Panel", "CopperMountainS5048Panel"]

#: Noise of an unconnected receiver (W/Hz), −120 dBm/Hz (assumed).
RECEIVER_NOISE = 1e-15
#: Time (s) of a point beside that of the filter (assumed).
POINT_OVERHEAD = 7e-5
BANDWIDTHS = np.array(
    [step * 10.0**decade for decade in range(5) for step in (1, 1.5, 2, 3, 5, 7)] + [1e5, 1.5e5, 2e5, 3e5]
)
MOST_TRACES = 16
PARAMETERS = Choice("S11", "S12", "S21", "S22")
FORMATS = {"SCOM": "POL", "SMIT": "SMIT", "POL": "POL", "SLIN": "MLIN", "SLOG": "MLOG", "PLIN": "MLIN", "PLOG": "MLOG"}
FORMAT = Choice(
    "MLOGarithmic", "MLINear", "PHASe", "UPHase", "GDELay", "SWR", "REAL", "IMAGinary", "SCOMplex", "SMITh", "POLar",
    "SLINear", "SLOGarithmic", "PLINear", "PLOGarithmic",
)  # fmt: skip


@dataclass
class Trace:
    """One trace: what it measures, how it is processed and shown; `sweeps` were averaged into `data`."""

    parameter: str = "S11"
    format: str = "MLOG"
    delay: float = 0.0
    data: NDArray[np.complex128] | None = None
    sweeps: int = 0


def _band_settings(low: float, high: float) -> tuple[Setting, ...]:
    return frequency_settings("[:SENSe<ch>]", Number(0.0, low, high, "HZ"), Number(0.0, 0.0, high - low, "HZ"))


class CopperMountainPanel(CopperMountainSegments):
    """The program as its VISA session sees it.

    Attributes
    ----------
    connected
        Whether the analyzer is connected to the program.

    """

    band: ClassVar[tuple[float, float]]
    power: ClassVar[Number] = Number(0.0, -55.0, 5.0, "DBM")
    bandwidths = BANDWIDTHS
    settings: ClassVar[tuple[Any, ...]] = (
        Setting(":OUTPut[:STATe]", "output", Switch(True)),
        Setting(":SOURce<ch>:POWer[:LEVel]:SLOPe[:DATA]", "slope", Number(0.0, -2.0, 2.0)),
        Setting(":SOURce<ch>:POWer[:LEVel]:SLOPe:STATe", "slope on", Switch(False)),
        Setting("[:SENSe<ch>]:SWEep:TYPE", "type", Choice("LINear", "LOGarithmic", "SEGMent", "POWer")),
        Setting("[:SENSe<ch>]:SWEep:POINts", "points", Integer(201, 2, 200001)),
        Setting("[:SENSe<ch>]:SWEep:POINt:TIME", "point delay", Number(0.0, 0.0, 0.3, "S")),
        *with_aliases(Setting("[:SENSe<ch>]:BANDwidth[:RESolution]", "bandwidth", Number(1e4, 1.0, 3e5, "HZ"))),
        Setting("[:SENSe<ch>]:AVERage[:STATe]", "averaging", Switch(False)),
        Setting("[:SENSe<ch>]:AVERage:COUNt", "averages", Integer(10, 1, 999)),
        Setting("[:SENSe<ch>]:CORRection:STATe", "correction", Switch(False)),
        Setting("[:SENSe<ch>]:ROSCillator:SOURce", "reference", Choice("INTernal", "EXTernal")),
        Setting(":TRIGger[:SEQuence]:SOURce", "trigger", Choice("INTernal", "EXTernal", "MANual", "BUS")),
        Setting(":TRIGger[:SEQuence]:AVERage", "trigger averages", Switch(False)),
        Setting(":TRIGger[:SEQuence]:POINt", "trigger points", Switch(False)),
        Setting(":INITiate<ch>:CONTinuous", "continuous", Switch(True)),
        Setting(":FORMat:DATA", "data format", Choice("ASCii", "REAL", "REAL32")),
        Setting(":FORMat:BORDer", "byte order", Choice("NORMal", "SWAPped")),
        Setting(":CALCulate<ch>[:SELected]:CORRection:EDELay:DISTance", "distance", Number(0.0)),
        Setting(":CALCulate<ch>[:SELected]:CORRection:EDELay:DISTance:UNIT", "unit", Choice("METer", "FEET", "INCH")),
        Setting(":CALCulate<ch>[:SELected]:SMOothing[:STATe]", "smoothing", Switch(False)),
        Setting(":CALCulate<ch>[:SELected]:CONVersion[:STATe]", "conversion", Switch(False)),
        Setting(
            ":CALCulate<ch>[:SELected]:MATH:FUNCtion", "math", Choice("NORMal", "DIVide", "MULTiply", "ADD", "SUBTract")
        ),
        Setting(":CALCulate<ch>[:SELected]:FILTer[:GATE]:TIME:STATe", "gate", Switch(False)),
        Setting(":CALCulate<ch>[:SELected]:TRANsform:TIME:STATe", "transform", Switch(False)),
    )
    handlers: ClassVar = {
        ":SYSTem:READy?": lambda self, _: f"{self.connected:d}",
        ":SYSTem:PRESet": lambda self, _: self.reset(),
        ":CALCulate<ch>:PARameter:COUNt?": lambda self, _: str(len(self.traces)),
        ":SOURce<ch>:POWer[:LEVel][:IMMediate][:AMPLitude]?": lambda self, _: self.show_number(self.level),
        "[:SENSe<ch>]:AVERage:CLEar": lambda self, _: self._restart(),
    }

    def switch_on(self) -> None:
        """Start as after power-up."""
        self._receiver = np.random.default_rng((self.world.seed, 5065))
        self.connected = True
        super().switch_on()

    def reset(self) -> None:
        """Return to the preset: one trace."""
        super().reset()
        self.traces, self.selected, self.level = [Trace()], 0, self.power.default
        self._initiated, self._for_ever = False, False
        self.state["start"], self.state["stop"] = self.band
        self._couple("start")

    def format_error(self, error: ScpiError) -> str:
        """One entry, without the sign of 0 and without quotes (assumed)."""
        return f"{error.code}, {error.text}"

    # --- couplings ---------------------------------------------------------------------------------------------------

    def setting_changed(self, name: str) -> None:
        """Follow the couplings; a new setting restarts the averages."""
        super().setting_changed(name)
        if name in ("trigger", "trigger averages", "continuous", "data format", "byte order"):
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
            half = min(s["span"] / 2, self.band[1] - s["center"], s["center"] - self.band[0])
            s["start"], s["stop"] = s["center"] - half, s["center"] + half
        s["center"], s["span"] = (s["start"] + s["stop"]) / 2, s["stop"] - s["start"]
        s["bandwidth"] = float(BANDWIDTHS[np.searchsorted(BANDWIDTHS, s["bandwidth"] * (1 - 1e-12))])

    def _restart(self) -> None:
        for trace in self.traces:
            trace.data, trace.sweeps = None, 0

    @command(":SOURce<ch>:POWer[:LEVel][:IMMediate][:AMPLitude]")
    def _set_power(self, call: Call) -> None:
        self.level = call.parse(0, self.power)
        self._restart()

    # --- sweeps ------------------------------------------------------------------------------------------------------

    @property
    def sweep_time(self) -> float:
        """Time of one sweep (s)."""
        parts = self._parts()
        return float(sum(axis.size * (1.2 / bandwidth + POINT_OVERHEAD + wait) for axis, bandwidth, _, wait in parts))

    def _parts(self) -> list[tuple[NDArray[np.float64], float, float | None, float]]:
        """Frequencies (Hz), IF bandwidth (Hz), own power (dBm) and delay per point (s) of each part of a sweep."""
        s = self.state
        if s["type"] == "SEGM":
            return self.segmented()
        axis = np.geomspace if s["type"] == "LOG" else np.linspace
        return [(np.asarray(axis(s["start"], s["stop"], s["points"])), s["bandwidth"], None, s["point delay"])]

    @command(":INITiate<ch>[:IMMediate]")
    def _initiate(self, call: Call) -> None:
        """Wait for one trigger; with the internal one, sweep."""
        if self.state["continuous"]:
            return  # it waits already
        self._initiated = True
        if self.state["trigger"] == "INT":
            self._trigger()

    @command(":TRIGger[:SEQuence]:SINGle")
    def _trigger_single(self, call: Call) -> None:
        """Trigger one sweep, or the averages of one trigger; only if it waits for a trigger of the bus."""
        if self.state["trigger"] != "BUS" or not (self.state["continuous"] or self._initiated):
            raise ScpiError(-211, "Trigger ignored")
        self._trigger()

    def _trigger(self) -> None:
        self._initiated = False
        if not self.connected:
            self._for_ever = True
            return
        both = self.state["averaging"] and self.state["trigger averages"]
        sweeps = int(self.state["averages"]) if both else 1
        self.start_operation(sweeps * self.sweep_time, lambda: self._sweep(sweeps))

    def complete_due_operation(self) -> None:
        """As any panel's; a sweep without the analyzer is never complete."""
        if not self._for_ever:
            super().complete_due_operation()

    def abort_operation(self) -> None:
        """Stop a sweep."""
        self._for_ever = False
        super().abort_operation()

    @command("*OPC?")
    def _complete(self, call: Call) -> str | None:
        if self._for_ever:
            return None
        self.wait_for_operation()
        return "1"

    def frequencies(self) -> NDArray[np.float64]:
        """Frequency of each point (Hz), shape (points,)."""
        return np.concatenate([axis for axis, *_ in self._parts()])

    def _sweep(self, sweeps: int) -> None:
        depth = self.state["averages"] if self.state["averaging"] else 1
        new = min(sweeps, depth)
        for trace in self.traces:
            fresh = np.concatenate([self._measure(trace.parameter, new, *part[:3]) for part in self._parts()])
            old = min(trace.sweeps, depth - new)
            trace.data = fresh if trace.data is None else np.asarray((old * trace.data + new * fresh) / (old + new))
            trace.sweeps = old + new
        if self.overloaded:
            self.report(ScpiError(-300, "Device-specific error;Receiver overload"))  # assumed

    def _measure(
        self, parameter: str, averages: int, frequencies: NDArray[np.float64], bandwidth: float, level: float | None
    ) -> NDArray[np.complex128]:
        """One part of a sweep, at a `level` (dBm) or that of the channel."""
        power = 1e-3 * 10 ** ((self.level if level is None else level) / 10)
        if parameter == "S11" and self.state["output"]:
            return self.world.reflection(frequencies, power, bandwidth / averages)
        scatter = self._receiver.standard_normal((2, len(frequencies)))
        noise = RECEIVER_NOISE * bandwidth / averages
        return np.asarray((scatter[0] + 1j * scatter[1]) * np.sqrt(noise / power / 2))

    # --- traces ------------------------------------------------------------------------------------------------------

    @command(":CALCulate<ch>:PARameter:COUNt")
    def _set_count(self, call: Call) -> None:
        count = round(call.number(0, 1, MOST_TRACES))
        self.traces = self.traces[:count] + [Trace() for _ in range(count - len(self.traces))]
        self.selected = min(self.selected, count - 1)

    def _numbered(self, call: Call) -> Trace:
        channel, number = call.suffixes
        if channel != 1 or not 1 <= number <= len(self.traces):
            raise ScpiError(-114)
        return self.traces[number - 1]

    @command(":CALCulate<ch>:PARameter<n>:DEFine")
    def _define(self, call: Call) -> None:
        trace = self._numbered(call)
        trace.parameter = call.parse(0, PARAMETERS)
        trace.data, trace.sweeps = None, 0

    @command(":CALCulate<ch>:PARameter<n>:DEFine?")
    def _show_parameter(self, call: Call) -> str:
        return self._numbered(call).parameter

    @command(":CALCulate<ch>:PARameter<n>:SELect")
    def _select(self, call: Call) -> None:
        self.selected = self.traces.index(self._numbered(call))

    @command(":CALCulate<ch>:TRACe<n>:FORMat")
    def _set_format(self, call: Call) -> None:
        self._numbered(call).format = call.parse(0, FORMAT)

    @command(":CALCulate<ch>:TRACe<n>:FORMat?")
    def _show_format(self, call: Call) -> str:
        return self._numbered(call).format

    @command(":CALCulate<ch>[:SELected]:CORRection:EDELay:TIME")
    def _set_delay(self, call: Call) -> None:
        self.traces[self.selected].delay = call.parse(0, Number(0.0, -10.0, 10.0, "S"))

    @command(":CALCulate<ch>[:SELected]:CORRection:EDELay:TIME?")
    def _show_delay(self, call: Call) -> str:
        return self.show_number(self.traces[self.selected].delay)

    # --- data --------------------------------------------------------------------------------------------------------

    def _processed(self, trace: Trace) -> NDArray[np.complex128]:
        """Data after everything but the format: delay and smoothing of the selected trace."""
        if trace.data is None and self.state["trigger"] == "INT" and self.state["continuous"] and self.connected:
            self.world.clock.sleep(self.sweep_time)
            self._sweep(1)
        if trace.data is None:
            raise ScpiError(-230)
        data = trace.data * np.exp(2j * np.pi * self.frequencies() * trace.delay)
        return np.convolve(data, np.full(5, 0.2), "same") if self.state["smoothing"] else data

    def encode(self, values: NDArray[np.float64]) -> bytes:
        """`values` in the chosen format and byte order."""
        data_format = {"ASC": "ASC", "REAL": "REAL,64", "REAL32": "REAL,32"}[self.state["data format"]]
        return encode_values(values, data_format, swapped=self.state["byte order"] == "SWAP")

    @command(":CALCulate<ch>:TRACe<n>:DATA:SDATa?")
    def _send_complex(self, call: Call) -> bytes:
        return self.encode(np.ascontiguousarray(self._processed(self._numbered(call))).view(np.float64))

    @command(":CALCulate<ch>:TRACe<n>:DATA:FDATa?")
    def _send_formatted(self, call: Call) -> bytes:
        """Two numbers per point; the second one is 0 where the format has one."""
        trace = self._numbered(call)
        name = FORMATS.get(trace.format, trace.format)
        shown = display(self._processed(trace), self.frequencies(), name, 0.0)
        if len(shown) == self.frequencies().size:
            shown = np.column_stack([shown, np.zeros(len(shown))]).ravel()
        return self.encode(shown)

    @command("[:SENSe<ch>]:FREQuency:DATA?")
    def _send_axis(self, call: Call) -> bytes:
        return self.encode(self.frequencies())


class CopperMountainM5065Panel(CopperMountainPanel):
    """An M5065, 300 kHz to 6.5 GHz."""

    identification = "CMT, M5065, TWIN0050, 25.3.1/2"
    resource = "TCPIP{}::m5065.sim::hislip0::INSTR"
    band = (300e3, 6.5e9)
    settings: ClassVar[tuple[Any, ...]] = _band_settings(*band)


class CopperMountainM5180Panel(CopperMountainPanel):
    """An M5180, 300 kHz to 18 GHz."""

    identification = "CMT, M5180, TWIN0051, 25.3.1/2"
    resource = "TCPIP{}::m5180.sim::hislip0::INSTR"
    band = (300e3, 18e9)
    settings: ClassVar[tuple[Any, ...]] = _band_settings(*band)


class CopperMountainS5048Panel(CopperMountainPanel):
    """An S5048, 20 kHz to 4.8 GHz."""

    identification = "CMT, S5048, TWIN0052, 25.3.1/2"
    resource = "TCPIP{}::s5048.sim::hislip0::INSTR"
    band = (20e3, 4.8e9)
    settings: ClassVar[tuple[Any, ...]] = _band_settings(*band)
