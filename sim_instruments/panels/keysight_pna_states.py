"""States of Keysight's network analyzers that an earlier user may have left: what they change, and what they do not."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sim_instruments.panels.front_panel import Setting, command
from sim_instruments.panels.keysight_panel import KeysightPanel
from sim_instruments.panels.scpi import with_auto
from sim_instruments.panels.scpi_values import Call, Choice, Integer, Number, ScpiError, Switch

__all__ = ["DISPLAYED", "KeysightPNAStates"]

#: Settings of the display: `SDATA` does not have them, and they restart nothing.
DISPLAYED = ("smoothing", "aperture", "math", "gate", "phase offset", "magnitude offset", "equation")
MODES = Choice("AUTO", "ON", "OFF")


class KeysightPNAStates(KeysightPanel):
    """The states of an analyzer that do not belong to its sweep.

    Attributes
    ----------
    hardware
        Hardware integrity register: bit 1 phase lock lost, bit 2 source not leveled.
    calibration
        State of the error terms: NONE, MAST (measured), INT (interpolated), DELT or INV (not valid).
    measurement_class
        Of channel 1.
    other_channels, running_channels
        Numbers of further channels, and of those of them that sweep, too.

    """

    settings: ClassVar[tuple[Any, ...]] = (
        Setting(":TRIGger[:SEQuence]:SOURce", "trigger_source", Choice("IMMediate", "MANual", "EXTernal")),
        Setting(":TRIGger[:SEQuence]:SCOPe", "trigger_scope", Choice("ALL", "CURRent")),
        Setting(":TRIGger[:SEQuence]:TYPE", "trigger_type", Choice("LEVel", "EDGE")),
        Setting(":TRIGger[:SEQuence]:SLOPe", "trigger_slope", Choice("POSitive", "NEGative")),
        Setting(":CONTrol:SIGNal:TRIGger:ATBA", "trigger before armed", Switch(False)),
        Setting("[:SENSe<ch>]:SWEep:TRIGger:MODE", "trigger_mode", Choice("CHANnel", "SWEep", "POINt", "TRACe")),
        Setting("[:SENSe<ch>]:SWEep:GENeration", "generation", Choice("ANALog", "STEPped")),
        Setting("[:SENSe<ch>]:SWEep:SPEed", "speed", Choice("NORMal", "FAST")),
        *with_auto(Setting("[:SENSe<ch>]:SWEep:DWELl", "dwell", Number(0.0, 0.0, 3600.0, "S"))),
        Setting("[:SENSe<ch>]:SWEep:DWELl:SDELay", "sweep_delay", Number(0.0, 0.0, 3600.0, "S")),
        Setting(":SOURce<ch>:POWer[:LEVel]:SLOPe", "power slope", Number(0.0, -2.0, 2.0)),
        Setting(":SOURce<ch>:POWer[:LEVel]:SLOPe:STATe", "power slope on", Switch(False)),
        Setting("[:SENSe<ch>]:CORRection[:STATe]", "correction", Switch(False)),
        Setting("[:SENSe<ch>]:CORRection:EXTension[:STATe]", "extensions", Switch(False)),
        Setting("[:SENSe<ch>]:CORRection:EXTension:PORT<p>[:TIME]", "extension", Number(0.0, -10.0, 10.0, "S")),
        Setting(":CALCulate<ch>:FSIMulator:STATe", "fixture", Switch(False)),
        Setting("[:SENSe<ch>]:IF:FILTer:AUTO", "filter auto", Switch(True)),
        Setting("[:SENSe<ch>]:FOM[:STATe]", "frequency offset", Switch(False)),
        Setting(":CALCulate<ch>:SMOothing[:STATe]", "smoothing", Switch(False)),
        Setting(":CALCulate<ch>:SMOothing:POINts", "aperture", Integer(3, 1, 100)),
        Setting(":CALCulate<ch>:MATH:FUNCtion", "math", Choice("NORMal", "ADD", "SUBTract", "MULTiply", "DIVide")),
        Setting(":CALCulate<ch>:FILTer[:GATE]:TIME:STATe", "gate", Switch(False)),
        Setting(":CALCulate<ch>:OFFSet:PHASe", "phase offset", Number(0.0, -360.0, 360.0, "DEG")),
        Setting(":CALCulate<ch>:OFFSet:MAGNitude", "magnitude offset", Number(0.0, -100.0, 100.0, "DB")),
        Setting(":CALCulate<ch>:EQUation[:STATe]", "equation", Switch(False)),
    )
    handlers: ClassVar = {
        "[:SENSe<ch>]:CLASs:NAME?": lambda self, _: f'"{self.measurement_class}"',
        ":STATus:QUEStionable:INTegrity:HARDware:CONDition?": lambda self, _: str(self.hardware),
        ":STATus:OPERation:CONDition?": "0",
        ":SYSTem:CHANnels:CATalog?": lambda self, _: '"' + ",".join(map(str, (1, *self.other_channels))) + '"',
        ":SYSTem:CHANnels:HOLD": lambda self, _: self.hold_channels(),
        ":CALCulate<ch>:CORRection[:STATe]:INDicator?": lambda self, _: (
            self.calibration if self.state["correction"] else "NONE"
        ),
        "[:SENSe<ch>]:FOM:RANGe<n>:FREQuency:CW?": lambda self, call: self.show_number(
            self.offset_frequencies.get(call.suffixes[1], 1e9)
        ),
        ":SOURce<ch>:POWer<port>:MODE?": lambda self, call: self.port_modes[self._mode_port(call)],
    }

    mode: str

    def reset(self) -> None:
        """Return to the factory defaults."""
        self.hardware, self.calibration, self.measurement_class = 0, "NONE", "Standard"
        self.offset_frequencies: dict[int, float] = {}
        self.other_channels: tuple[int, ...] = ()
        self.running_channels: tuple[int, ...] = ()
        self.port_modes = dict.fromkeys((1, 2, 3, 4), MODES.default)
        super().reset()

    def hold_channels(self) -> None:
        """Put all channels on hold."""
        self.running_channels = ()
        self.abort_operation()
        self.mode = "HOLD"

    def check_setting(self, name: str, value: Any) -> None:
        """Refuse a correction without error terms (assumed error), and a frequency offset without option 080."""
        if name == "correction" and value and self.calibration == "NONE":
            raise ScpiError(-221, "Settings conflict;there is no calibration")
        if name == "frequency offset" and value and "080" not in self.options:
            raise ScpiError(-241, "Hardware missing")

    def setting_changed(self, name: str) -> None:
        """A dwell time of 0 is the automatic one."""
        super().setting_changed(name)
        if name in ("dwell", "dwell auto"):
            automatic = self.state["dwell auto"] or not self.state["dwell"]
            self.state["dwell auto"] = automatic
            self.state["dwell"] = 0.0 if automatic else self.state["dwell"]

    def _mode_port(self, call: Call) -> int:
        channel, port = call.suffixes
        if channel != 1 or port not in self.port_modes:
            raise ScpiError(-114)
        return port

    @command("[:SENSe<ch>]:FOM:RANGe<n>:FREQuency:CW")
    def _set_offset_frequency(self, call: Call) -> None:
        """Frequency of a source or receiver in the offset mode, which is not simulated."""
        self.offset_frequencies[call.suffixes[1]] = call.parse(0, Number(1e9, 0.0, 1e12, "HZ"))

    @command(":SOURce<ch>:POWer<port>:MODE")
    def _set_port_mode(self, call: Call) -> None:
        self.port_modes[self._mode_port(call)] = call.parse(0, MODES)

    def extension(self, frequencies: NDArray[np.float64]) -> NDArray[np.complex128]:
        """Factor of a reflection at port 1 by the port extensions."""
        delay = 2 * self.state["extension"] if self.state["extensions"] else 0.0
        return np.asarray(np.exp(2j * np.pi * frequencies * delay))

    def processed(self, shown: NDArray[np.float64]) -> NDArray[np.float64]:
        """What is shown, after smoothing and the offset of the magnitude (of logarithmic formats)."""
        if self.state["smoothing"]:
            points = min(self.state["aperture"], len(shown))
            shown = np.convolve(shown, np.full(points, 1 / points), "same")
        return np.asarray(shown + self.state["magnitude offset"])
