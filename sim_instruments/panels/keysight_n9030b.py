"""Front panel of the Keysight N9030B (PXA) signal analyzer: swept SA and channel power in Spectrum Analyzer mode.

Commands, couplings and status bits follow the X-Series Spectrum Analyzer Mode User's & Programmer's Reference
(N9060-90041); what changes the numbers of a trace is in `keysight_amplitude`. Simplifications: one trace; FFT sweeps
take the time of swept ones; the analyzer's own noise counts as part of
the chain's; phase noise mode is not licensed; the limit of Meas Uncal is the automatic sweep time.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sim_instruments.panels.frequency_band import couple_band
from sim_instruments.panels.front_panel import Handler, Setting, command
from sim_instruments.panels.interrupted_sweeps import NEVER
from sim_instruments.panels.keysight_amplitude import KeysightAmplitudePanel
from sim_instruments.panels.keysight_detectors import noise_response
from sim_instruments.panels.keysight_panel import frequency_settings, in_unit, with_aliases
from sim_instruments.panels.scpi import with_auto
from sim_instruments.panels.scpi_values import Call, Choice, Integer, Number, ScpiError, Switch

__all__ = ["FILTERS", "NOISE_BANDWIDTH_RATIO", "KeysightN9030BPanel"]

MINIMUM_FREQUENCY, MAXIMUM_FREQUENCY = -8e7, 27e9
MINIMUM_SPAN = 10.0
#: Noise bandwidth of a resolution filter over its −3 dB bandwidth.
NOISE_BANDWIDTH_RATIO = 1.0567
#: What BAND:RES? answers, over the −3 dB bandwidth, by BAND:TYPE.
BANDWIDTH_RATIO = {"DB3": 1.0, "DB6": 1.4067, "NOIS": NOISE_BANDWIDTH_RATIO, "IMP": 1.48}
_E24 = (1.0, 1.1, 1.2, 1.3, 1.5, 1.6, 1.8, 2.0, 2.2, 2.4, 2.7, 3.0, 3.3, 3.6, 3.9, 4.3, 4.7, 5.1, 5.6, 6.2, 6.8, 7.5,
        8.2, 9.1)  # fmt: skip
#: −3 dB bandwidths of the resolution filters (Hz).
FILTERS = np.array(
    [step * 10.0**decade for decade in range(7) for step in _E24 if step * 10.0**decade <= 3e6] + [4e6, 5e6, 6e6, 8e6]
)
#: Power at the mixer at which the input stage overloads (W): −10 dBm, for 0 dB attenuation.
OVERLOAD_POWER = 1e-4
PREAMPLIFIER_GAIN_DB = 20.0
#: Bits "Input Overload" and "Uncalibrated" of the questionable integrity register; bits of the questionable register.
INPUT_OVERLOAD, UNCALIBRATED, INTEGRITY_SUMMARY, FREQUENCY_SUMMARY = 16, 8, 512, 32
FREQUENCY = Number(0.0, MINIMUM_FREQUENCY, MAXIMUM_FREQUENCY, "HZ")
SPAN = Number(26.49e9, MINIMUM_SPAN, MAXIMUM_FREQUENCY - MINIMUM_FREQUENCY, "HZ")
TIME = Number(1e-3, 1e-6, 6000.0, "S")


def _measurement_commands(node: str, measurement: str) -> dict[str, Handler]:
    """Commands that select, start and read one measurement."""
    return {
        f":CONFigure:{node}": lambda self, _: self.select(measurement),
        f":CONFigure:{node}:NDEFault": lambda self, _: self.select(measurement),
        f":INITiate:{node}": lambda self, _: self.initiate(measurement),
        f":FETCh:{node}<n>?": lambda self, call: self.result(measurement, call.suffixes[0]),
        f":READ:{node}<n>?": lambda self, call: self.result(measurement, call.suffixes[0], start=True),
    }


class KeysightN9030BPanel(KeysightAmplitudePanel):
    """The signal analyzer as its VISA session sees it."""

    identification = "Keysight Technologies,N9030B,TWIN0003,A.33.03"
    resource = "TCPIP{}::n9030b.sim::inst0::INSTR"
    handlers: ClassVar = {
        ":CONFigure:CATalog?": '"SAN, CHP"',
        ":INSTrument:CATalog?": '"SA 1"',
        **_measurement_commands("SANalyzer", "SAN"),
        **_measurement_commands("CHPower", "CHP"),
        ":CONFigure?": lambda self, _: self.measurement,
        ":INITiate[:IMMediate]": lambda self, _: self.initiate(),
        ":INITiate:REStart": lambda self, _: self.initiate(),
        "[:SENSe]:AVERage[:STATe]?": lambda self, _: "1" if self.state["trace_type"] == "AVER" else "0",
        "[:SENSe]:AVERage:CLEar": lambda self, _: self.setting_changed("averages"),
        ":STATus:QUEStionable:INTegrity:CONDition?": lambda self, _: str(self._condition),
        ":STATus:QUEStionable:CONDition?": lambda self, _: str(self._questionable()),
    }
    options = '"526,B25,EA3,P26"'
    settings: ClassVar[tuple[Any, ...]] = (
        Setting(":INSTrument[:SELect]", "mode", Choice("SA")),
        Setting(":INSTrument:NSELect", "mode_number", Integer(1, 1, 1)),
        Setting(":UNIT:POWer", "unit", Choice("DBM", "DBMV", "DBMA", "V", "W", "A", "DBUV", "DBUA")),
        Setting(":INITiate:CONTinuous", "continuous", Switch(True)),
        *frequency_settings("[:SENSe]", FREQUENCY, SPAN),
        Setting("[:SENSe]:FREQuency:RF:CENTer", "center", FREQUENCY),
        *with_aliases(
            *with_auto(Setting("[:SENSe]:BANDwidth[:RESolution]", "rbw", Number(3e6, 1.0, 12e6, "HZ"))),
            Setting("[:SENSe]:BANDwidth:TYPE", "rbw_type", Choice("DB3", "DB6", "IMPulse", "NOISe")),
            *with_auto(Setting("[:SENSe]:BANDwidth:VIDeo", "vbw", Number(3e6, 1.0, 50e6, "HZ"))),
        ),
        Setting("[:SENSe]:SWEep:POINts", "points", Integer(1001, 1, 100001)),
        *with_auto(Setting("[:SENSe]:SWEep:TIME", "sweep_time", TIME)),
        *with_auto(Setting("[:SENSe]:SWEep:TYPE", "sweep_type", Choice("SWEep", "FFT"))),
        Setting("[:SENSe]:AVERage:COUNt", "averages", Integer(100, 1, 10000)),
        *with_auto(Setting("[:SENSe]:AVERage:TYPE", "average_type", Choice("LOG", "RMS", "SCALar"))),
        Setting(
            "[:SENSe]:DETector[:TRACe<n>]", "detector", Choice("NORMal", "AVERage", "POSitive", "SAMPle", "NEGative")
        ),
        Setting("[:SENSe]:DETector:AUTO", "detector auto", Switch(True)),
        Setting("[:SENSe]:DETector:TRACe<n>:AUTO", "detector auto", Switch(True)),
        Setting(":TRACe<n>:TYPE", "trace_type", Choice("WRITe", "AVERage")),
        Setting("[:SENSe]:POWer[:RF]:ATTenuation", "attenuation", Integer(10, 0, 70)),
        Setting("[:SENSe]:POWer[:RF]:GAIN:BAND", "preamplifier_band", Choice("LOW", "FULL")),
        Setting("[:SENSe]:POWer[:RF]:GAIN[:STATe]", "preamplifier", Switch(False)),
        Setting(":DISPlay:WINDow<n>:TRACe<n>:Y[:SCALe]:RLEVel", "reference_level", Number(0.0, -170.0, 30.0, "DBM")),
        *with_aliases(
            Setting("[:SENSe]:CHPower:BANDwidth:INTegration", "chp_bandwidth", Number(2e6, 100.0, 8e9, "HZ")),
            Setting("[:SENSe]:CHPower:BANDwidth[:RESolution]", "chp_rbw", Number(100e3, 1.0, 8e6, "HZ")),
            Setting("[:SENSe]:CHPower:BANDwidth:VIDeo", "chp_vbw", Number(1e6, 1.0, 50e6, "HZ")),
        ),
        Setting("[:SENSe]:CHPower:FREQuency:SPAN", "chp_span", Number(3e6, 100.0, 8e9, "HZ")),
        Setting("[:SENSe]:CHPower:SWEep:TIME", "chp_sweep_time", TIME),
        Setting("[:SENSe]:CHPower:AVERage:COUNt", "chp_averages", Integer(10, 1, 10000)),
        Setting("[:SENSe]:CHPower:AVERage[:STATe]", "chp_averaging", Switch(True)),
    )
    # Settings that belong to the analyzer rather than to the swept measurement: CONFigure:SANalyzer keeps them.
    _kept = ("mode", "mode_number", "unit", "continuous", "center", "byte_order", "data_format")

    def reset(self) -> None:
        """Return to the factory defaults."""
        super().reset()
        self.measurement = "SAN"
        # By measurement: the trace (W), and the channel's power (dBm) and density (dBm/Hz).
        self._results: dict[str, NDArray[np.float64]] = {}
        self._taken = -np.inf
        self._condition = 0
        self._event = 0
        self._filter = 3e6
        self.state["center"] = 13.255e9
        self._couple_frequencies("span")
        self._couple()

    # --- couplings -----------------------------------------------------------------------------------------------

    def setting_changed(self, name: str) -> None:
        """Follow the couplings; results measured with other settings are deleted."""
        if name in ("start", "stop", "center", "span"):
            self._couple_frequencies(name)
        super().setting_changed(name)
        if name == "rbw":
            self._choose_filter(self.state["rbw"] / BANDWIDTH_RATIO[self.state["rbw_type"]])
        self._couple()
        if name in ("unit", "byte_order", "data_format", "continuous", "mode", "mode_number", "reference_level"):
            return  # settings of the display, not of the measurement
        self._results.clear()
        if self.operation_pending():
            self.start_operation(self._duration(), self._finish_measurement)

    def _couple_frequencies(self, changed: str) -> None:
        """Keep start, stop, center and span consistent, changing those that were not set."""
        limits = {"lowest": MINIMUM_FREQUENCY, "highest": MAXIMUM_FREQUENCY, "smallest_span": MINIMUM_SPAN}
        couple_band(self.state, changed, **limits)

    def _choose_filter(self, bandwidth: float) -> None:
        """Switch to the resolution filter whose −3 dB bandwidth is nearest to `bandwidth` (Hz)."""
        self._filter = float(FILTERS[np.argmin(np.abs(FILTERS - bandwidth))])

    def _couple(self) -> None:
        """Choose what is on automatic."""
        s = self.state
        if s["rbw auto"]:
            self._choose_filter(s["span"] / 106)
        s["rbw"] = self._filter * BANDWIDTH_RATIO[s["rbw_type"]]
        if s["vbw auto"]:
            s["vbw"] = self._filter
        if s["detector auto"]:
            s["detector"] = "AVER" if s["trace_type"] == "AVER" else "NORM"
        if s["average_type auto"]:
            s["average_type"] = "RMS" if s["detector"] == "AVER" else "LOG"
        if s["sweep_type auto"]:
            s["sweep_type"] = "SWE"
        if s["sweep_time auto"]:
            s["sweep_time"] = self._automatic_sweep_time()

    def _automatic_sweep_time(self) -> float:
        """Time (s): a filter of width B needs about 2.5/B to settle at each of span/B steps."""
        return float(min(max(1e-3, 2.5 * self.state["span"] / self._filter**2), TIME.high))

    # --- the swept measurement -----------------------------------------------------------------------------------

    def _sweeps(self) -> int:
        """Sweeps of one measurement."""
        s = self.state
        if self.measurement == "CHP":
            return s["chp_averages"] if s["chp_averaging"] else 1
        return s["averages"] if s["trace_type"] == "AVER" else 1

    def _duration(self) -> float:
        """Time (s) of one measurement, all its sweeps."""
        if self.waits_for_trigger():
            return NEVER
        sweep_time = self.state["chp_sweep_time" if self.measurement == "CHP" else "sweep_time"]
        return float(sweep_time * self._sweeps())

    def frequencies(self) -> NDArray[np.float64]:
        """Frequency of each point (Hz), shape (points,)."""
        return np.linspace(self.state["start"], self.state["stop"], self.state["points"])

    def _take_trace(self) -> NDArray[np.float64]:
        """Powers (W) of a finished swept measurement."""
        s = self.state
        frequencies = self.frequencies() - s["frequency offset"]
        noise_bandwidth = self._filter * (NOISE_BANDWIDTH_RATIO if s["filter shape"] == "GAUS" else 1.0)
        responses = noise_response(
            s["detector"],
            s["average_type"],
            bucket_samples=noise_bandwidth * s["sweep_time"] / max(s["points"] - 1, 1),
            # A one-pole low-pass of width V behind the detector averages B/(π V) samples.
            video_samples=noise_bandwidth / (np.pi * s["vbw"]),
            sweeps=self._sweeps(),
        )
        trace = np.empty(len(frequencies))
        for part in responses:
            density = self.world.power_spectral_density(frequencies[part.points], part.samples, noise_bandwidth)
            density = self.at_the_mixer(density, frequencies[part.points])
            trace[part.points] = density * noise_bandwidth * part.factor
        fast = s["sweep_type"] == "SWE" and s["sweep_time"] < 0.99 * self._automatic_sweep_time()
        self._note_condition(float(np.mean(trace)) / noise_bandwidth * s["span"], UNCALIBRATED if fast else 0)
        return self.shown(trace, frequencies, noise_bandwidth)

    def _take_channel(self) -> NDArray[np.float64]:
        """Integrate the power over CHP:BAND:INT around the center: power (dBm) and density (dBm/Hz)."""
        s = self.state
        bandwidth, span = s["chp_bandwidth"], max(s["chp_span"], s["chp_bandwidth"])
        points = max(2, round(1001 * bandwidth / span))
        samples = s["chp_rbw"] * NOISE_BANDWIDTH_RATIO * s["chp_sweep_time"] * bandwidth / span / points
        frequencies = s["center"] + bandwidth * (np.arange(points) + 0.5 - points / 2) / points
        density = self.world.power_spectral_density(frequencies, max(samples, 1.0) * self._sweeps())
        power = float(np.mean(density)) * bandwidth
        self._note_condition(power)
        return in_unit(np.array([power, power / bandwidth]), "DBM")

    def _note_condition(self, power: float, others: int = 0) -> None:
        """Set `others`, and the overload bit if `power` (W at the input) is too much for the mixer."""
        gain = (PREAMPLIFIER_GAIN_DB if self.state["preamplifier"] else 0.0) - self.state["attenuation"]
        overloaded = self.overloaded or power * 10 ** (gain / 10) > OVERLOAD_POWER
        condition = others | (INPUT_OVERLOAD if overloaded else 0)
        self._event |= condition & ~self._condition
        self._condition = condition

    def _finish_measurement(self) -> None:
        self._taken = self.world.clock.time()
        self._results[self.measurement] = self._take_channel() if self.measurement == "CHP" else self._take_trace()

    def _measured(self) -> NDArray[np.float64]:
        """The result of the last complete measurement."""
        self.wait_for_operation()
        if self.state["continuous"]:
            missing = self._duration() - (self.world.clock.time() - self._taken)
            if self.measurement not in self._results:
                self.world.clock.sleep(self._duration())
            if self.measurement not in self._results or missing <= 0:
                self._finish_measurement()
        if self.measurement not in self._results:
            raise ScpiError(-230)
        return self._results[self.measurement]

    def select(self, measurement: str) -> None:
        """Change the measurement; a running one of another kind is aborted."""
        if measurement != self.measurement:
            self.abort_operation()
            self.measurement = measurement

    def initiate(self, measurement: str = "") -> None:
        """Start `measurement`, by default the selected one."""
        self.select(measurement or self.measurement)
        self._results.clear()
        self.start_operation(self._duration(), self._finish_measurement)

    def result(self, measurement: str, number: int, *, start: bool = False) -> bytes:
        """What READ? and FETCh? answer: frequency and power of each point, or the channel's power and density."""
        if number != 1:
            raise ScpiError(-114)
        self.select(measurement)
        if start:
            self.initiate()
        measured = self._measured()
        if measurement == "CHP":
            return self.encode(measured)
        return self.encode(
            np.column_stack([self.frequencies(), in_unit(measured, self.state["unit"], self.state["impedance"])])
        )

    # --- commands ------------------------------------------------------------------------------------------------

    @command(":CONFigure:SANalyzer")
    def _configure_swept(self, call: Call) -> None:
        kept = {name: self.state[name] for name in self._kept}
        self.reset()
        self.state.update(kept)
        self._couple_frequencies("center")
        self._couple()

    @command(":TRACe[:DATA]?")
    def _trace_data(self, call: Call) -> bytes:
        call.parse(0, Choice("TRACE1"))
        self.select("SAN")
        return self.encode(in_unit(self._measured(), self.state["unit"], self.state["impedance"]))

    @command("[:SENSe]:AVERage[:STATe]")
    def _set_averaging(self, call: Call) -> None:
        self.state["trace_type"] = "AVER" if call.parse(0, Switch(False)) else "WRIT"
        self.setting_changed("trace_type")

    @command("[:SENSe]:FREQuency:TUNE:IMMediate")
    def _autotune(self, call: Call) -> None:
        """Find no carrier above the noise, so that the center does not move."""

    # --- questionable status -------------------------------------------------------------------------------------

    def _questionable(self) -> int:
        return (INTEGRITY_SUMMARY if self._condition else 0) | (FREQUENCY_SUMMARY if self.frequency_condition() else 0)

    @command(":STATus:QUEStionable:INTegrity[:EVENt]?")
    def _integrity_event(self, call: Call) -> str:
        event, self._event = self._event, 0
        return str(event)

    def clear_status(self) -> None:
        """Clear the event registers and the error queue."""
        super().clear_status()
        self._event = 0
