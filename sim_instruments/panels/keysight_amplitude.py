"""What changes the numbers of a trace of an X-Series signal analyzer: input, corrections, offsets, math, trigger, gate.

From the X-Series Spectrum Analyzer Mode User's & Programmer's Reference (N9060-90041): noise floor extension p. 673,
reference level offset p. 211, filter type p. 254, trace types p. 512, trace math p. 865, alignments p. 2104,
corrections p. 2418. Not read there: the headers of external gain, normalization, calibrator and gate.

Assumed: the loss of the AC coupling below 10 MHz, the noise bandwidth of a flat-top filter and the noise that the
noise floor extension subtracts. Of the corrections only set 1 exists, of the functions of trace math only the offset
has an effect, and nothing ever triggers a sweep.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sim_instruments.panels.front_panel import Setting, command
from sim_instruments.panels.interrupted_sweeps import InterruptedSweepsPanel
from sim_instruments.panels.keysight_panel import KeysightPanel
from sim_instruments.panels.scpi_values import Call, Choice, Number, ScpiError, Switch

__all__ = ["KeysightAmplitudePanel"]

Floats = NDArray[np.float64]

#: Noise density (W/Hz) of the analyzer itself, at its input.
OWN_NOISE = 4e-19
# Smallest part of the signal that the noise floor extension leaves.
LEAST_LEFT = 1e-3
AC_CORNER = 10e6
DECIBELS = Number(0.0, -327.6, 327.6, "DB")
UNLOCKED, REFERENCE_MISSING = 2, 1024
# Settings that neither *RST nor a preset changes.
LASTING = (
    "external gain", "corrections", "correction 1", "floor extension", "adaptive extension", "coupling", "impedance",
    "input", "calibrator", "align", "reference",
)  # fmt: skip
UNITS = {"LOG": "DBM", "LIN": "V"}
TRIGGERS = Choice("IMMediate", "VIDeo", "LINE", "EXTernal1", "EXTernal2", "RFBurst", "FRAMe")


class KeysightAmplitudePanel(InterruptedSweepsPanel, KeysightPanel):
    """The part of a signal analyzer between its connector and the numbers of its trace.

    Attributes
    ----------
    reference_connected
        Whether there is a signal at the reference input.

    """

    settings: ClassVar[tuple[Any, ...]] = (
        Setting(":DISPlay:WINDow<n>:TRACe<n>:Y[:SCALe]:SPACing", "scale", Choice("LOGarithmic", "LINear")),
        Setting(":DISPlay:WINDow<n>:TRACe<n>:Y[:SCALe]:RLEVel:OFFSet", "level offset", DECIBELS),
        Setting(":DISPlay:WINDow<n>:TRACe<n>:Y[:SCALe]:RLEVel:OFFSet:STATe", "level offset on", Switch(False)),
        Setting("[:SENSe]:CORRection:SA[:RF]:GAIN", "external gain", Number(0.0, -81.9, 81.9, "DB")),
        Setting("[:SENSe]:CORRection:CSET:ALL[:STATe]", "corrections", Switch(False)),
        Setting("[:SENSe]:CORRection:CSET<n>[:STATe]", "correction 1", Switch(False)),
        Setting("[:SENSe]:CORRection:NOISe:FLOor", "floor extension", Switch(True)),
        Setting("[:SENSe]:CORRection:NOISe:FLOor:ADAPtive", "adaptive extension", Switch(True)),
        Setting("[:SENSe]:CORRection:IMPedance[:INPut][:MAGNitude]", "impedance", Number(50.0, 50.0, 75.0, "OHM")),
        Setting("[:SENSe]:FREQuency:OFFSet", "frequency offset", Number(0.0, -5e11, 5e11, "HZ")),
        Setting(":CALCulate:NTData[:STATe]", "normalized", Switch(False)),
        Setting(":TRACe<n>:UPDate[:STATe]", "updating", Switch(True)),
        Setting(":TRACe<n>:DISPlay[:STATe]", "displayed", Switch(True)),
        Setting("[:SENSe]:FEED", "input", Choice("RF", "AREFerence", "EMIXer")),
        Setting("[:SENSe]:FEED:AREFerence", "calibrator", Choice("OFF", "REF50", "REF4800")),
        Setting(":INPut:COUPling", "coupling", Choice("AC", "DC")),
        Setting(":TRIGger[:SEQuence]:SOURce", "trigger", TRIGGERS),
        Setting("[:SENSe]:SWEep:EGATe[:STATe]", "gated", Switch(False)),
        Setting("[:SENSe]:BANDwidth:SHAPe", "filter shape", Choice("GAUSsian", "FLATtop")),
        Setting(":CALibration:AUTO", "align", Choice("ON", "LIGHt", "PARTial", "OFF")),
        Setting("[:SENSe]:ROSCillator:SOURce:TYPE", "reference", Choice("SENSe", "INTernal", "EXTernal")),
    )
    handlers: ClassVar = {
        ":STATus:QUEStionable:FREQuency:CONDition?": lambda self, _: str(self.frequency_condition()),
        "[:SENSe]:ROSCillator:SOURce?": lambda self, _: self._reference(),
        ":CALCulate:NTData:STORe:REF": lambda self, _: self._store_reference(),
    }

    def switch_on(self) -> None:
        """Start as after power-up."""
        self.state = {}
        self.reference_connected = False
        self._correction: tuple[Floats, Floats] = (np.zeros(1), np.zeros(1))
        super().switch_on()

    def reset(self) -> None:
        """Return to the factory defaults, but for the settings that a preset does not change."""
        lasting = {name: self.state[name] for name in LASTING if name in self.state}
        super().reset()
        self.state |= lasting
        self._math, self._math_offset = "OFF", 0.0
        self._held: Floats | None = None
        self._normal: Floats | None = None

    # --- settings ----------------------------------------------------------------------------------------------------

    def check_setting(self, name: str, value: Any) -> None:
        """Refuse normalization without a stored reference; let the band follow a frequency offset."""
        super().check_setting(name, value)
        if name == "normalized" and value and self._normal is None:
            raise ScpiError(-221)
        if name == "frequency offset":
            for shifted in ("center", "start", "stop"):
                self.state[shifted] += value - self.state[name]

    def setting_changed(self, name: str) -> None:
        """Follow the couplings."""
        super().setting_changed(name)
        s = self.state
        if name == "scale":
            s["unit"] = UNITS[s["scale"]]
        elif name == "level offset":
            s["level offset on"] = True
        elif name == "correction 1":
            s["corrections"] = s["corrections"] or s["correction 1"]
        elif name == "floor extension":
            s["adaptive extension"] = False
        elif name == "calibrator":
            s["input"] = "RF" if s["calibrator"] == "OFF" else "AREF"
        elif name == "input" and s["input"] == "RF":
            s["calibrator"], s["impedance"] = "OFF", 50.0
        elif name == "trace_type":
            s["updating"] = s["displayed"] = True

    @command(":CALCulate:MATH")
    def _set_math(self, call: Call) -> None:
        """`TRACE1,LOFF,TRACE2,TRACE3,-6,0`: function, operands, offset (dB) and reference of a trace."""
        call.expect(2, 6)
        call.parse(0, Choice("TRACE1"))
        function = call.parse(1, Choice("OFF", "PDIFference", "PSUM", "LOFFset", "LDIFference"))
        self._math_offset = call.optional(4, Number(0.0, -100.0, 100.0, "DB"))
        self._math = function
        self.setting_changed("math")

    @command(":CALCulate:MATH?")
    def _show_math(self, call: Call) -> str:
        call.parse(0, Choice("TRACE1"))
        return f"{self._math},TRACE5,TRACE6,{self.show_number(self._math_offset)},{self.show_number(0.0)}"

    @command("[:SENSe]:CORRection:CSET<n>:DATA")
    def _set_correction(self, call: Call) -> None:
        """Pairs of frequency (Hz) and correction (dB)."""
        if len(call.arguments) < 2 or len(call.arguments) % 2:
            raise ScpiError(-109)
        pairs = np.array([call.number(index) for index in range(len(call.arguments))]).reshape(-1, 2)
        self._correction = pairs[:, 0], pairs[:, 1]
        self.setting_changed("correction data")

    def _store_reference(self) -> None:
        if self._held is None:
            raise ScpiError(-221)
        self._normal = self._held

    # --- the trace ---------------------------------------------------------------------------------------------------

    def at_the_mixer(self, density: Floats, frequencies: Floats) -> Floats:
        """What of the `density` (W/Hz) at the connector the analyzer sees, at true `frequencies` (Hz)."""
        if self.state["input"] != "RF":
            return np.full_like(density, OWN_NOISE)
        if self.state["coupling"] == "AC":
            return np.asarray(density * np.minimum(np.abs(frequencies) / AC_CORNER, 1.0) ** 2)
        return density

    def shown(self, trace: Floats, frequencies: Floats, noise_bandwidth: float) -> Floats:
        """The powers (W) of a new trace as it is shown; `frequencies` (Hz) are the true ones."""
        s, decibels = self.state, np.zeros(len(trace))
        if not s["updating"] and self._held is not None and len(self._held) == len(trace):
            return self._held
        if s["floor extension"]:
            trace = np.maximum(trace - OWN_NOISE * noise_bandwidth, LEAST_LEFT * trace)
        if s["level offset on"]:
            decibels += s["level offset"]
        if s["corrections"] and s["correction 1"]:
            decibels += np.interp(frequencies, *self._correction)
        if self._math == "LOFF":
            decibels += self._math_offset
        trace = trace * 10 ** ((decibels - s["external gain"]) / 10)
        if s["normalized"] and self._normal is not None and len(self._normal) == len(trace):
            trace = 1e-3 * trace / self._normal  # a ratio, shown as if it were relative to 1 mW
        self._held = trace
        return trace

    # --- reference -------------------------------------------------------------------------------------------------

    def _reference(self) -> str:
        kind = self.state["reference"]
        if kind == "SENS":
            return "EXT" if self.reference_connected else "INT"
        return str(kind)

    def frequency_condition(self) -> int:
        """The questionable frequency register."""
        missing = self.state["reference"] == "EXT" and not self.reference_connected
        return UNLOCKED | REFERENCE_MISSING if missing else 0
