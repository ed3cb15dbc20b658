"""Front panel of a Rohde & Schwarz FSV or FSW in its spectrum application.

From the manuals 1176.7510.02 (FSVA/FSV, status registers p. 593 to 598, formats p. 914), 1173.9411.02 (FSW, p. 579 and
585 traces and averaging, 762 to 764 status registers) and 1178.8520.02 (FSV3000, p. 367 reference level offset).

Assumed, because those pages were not read: the steps 1, 2, 3 and 5 of the filters and which one is taken, the automatic
sweep time, the duration of an FFT sweep, the levels at which the inputs overload, the loss of the AC coupling, the
noise that noise cancellation subtracts, and the header -113 of options that are not installed. Simplifications: one
trace, one channel, one marker; nothing triggers a sweep.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gammaln

from sim_instruments.panels.frequency_band import couple_band
from sim_instruments.panels.front_panel import Setting, command
from sim_instruments.panels.interrupted_sweeps import NEVER, InterruptedSweepsPanel
from sim_instruments.panels.keysight_detectors import Response, noise_response
from sim_instruments.panels.keysight_panel import frequency_settings, in_unit
from sim_instruments.panels.scpi import with_auto
from sim_instruments.panels.scpi_values import (
    Call,
    Choice,
    Integer,
    Number,
    ScpiError,
    Switch,
    encode_values,
    mnemonic_matches,
)

__all__ = ["GAUSSIAN", "TOO_FAST", "RohdeSchwarzSpectrumPanel"]

Floats = NDArray[np.float64]

#: Noise bandwidth of a Gaussian filter over its 3 dB bandwidth.
GAUSSIAN = float(np.sqrt(np.pi / np.log(16)))
HIGHEST, SMALLEST_SPAN = 26.5e9, 10.0
FILTERS = np.array([step * 10.0**decade for decade in range(7) for step in (1, 2, 3, 5)] + [1e7])
OWN_NOISE = 1e-18
LEAST = 1e-23
AC_CORNER = 10e6
#: Impedances 75 and 50 ohm differ by this factor in power (1.76 dB).
MATCHING_PAD = 1.5
FFT_WIDTH = 10e6
# Power (W) at the mixer that overloads it, and at the connector that disconnects it.
OVERLOAD_POWER, DESTRUCTIVE_POWER = 1e-3, 1.0
RF_OVERLOAD, IF_OVERLOAD, DISCONNECTED, TOO_FAST, NO_REFERENCE = 1, 4, 8, 2, 256
TIME = Number(1e-3, 1e-6, 16_000.0, "S")
FREQUENCY = Number(HIGHEST / 2, 0.0, HIGHEST, "HZ")
DECIBELS = Number(0.0, -200.0, 200.0, "DB")
# Words of detectors and averaging that Keysight and R&S spell differently.
DETECTORS = {"APE": "NORM", "POS": "POS", "NEG": "NEG", "SAMP": "SAMP", "AVER": "AVER"}
SCALES = {"VID": "LOG", "LIN": "SCAL", "POW": "RMS"}


def _averaged_powers(samples: float, scale: str) -> float:
    """Mean of powers that each average `samples` noise samples, over the true power, when averaged on `scale`."""
    if scale == "POW":
        return 1.0
    if scale == "VID":
        return float(np.exp(digamma(samples)) / samples)
    return float(np.exp(2 * (gammaln(samples + 0.5) - gammaln(samples))) / samples)


class RohdeSchwarzSpectrumPanel(InterruptedSweepsPanel):
    """The analyzer as its VISA session sees it.

    Attributes
    ----------
    reference_connected
        Whether there is a signal at the reference input.

    """

    number_format = ".12G"
    settings: ClassVar[tuple[Any, ...]] = (
        Setting(":INSTrument[:SELect]", "mode", Choice("SAN", "SANalyzer", "IQ", "PNO")),
        Setting("[:SENSe]:SWEep:MODE", "sweep mode", Choice("AUTO", "LIST", "ESPectrum")),
        Setting(":INITiate<n>:CONTinuous", "continuous", Switch(True)),
        *frequency_settings("[:SENSe]", FREQUENCY, Number(HIGHEST, SMALLEST_SPAN, HIGHEST, "HZ")),
        Setting("[:SENSe]:FREQuency:OFFSet", "frequency offset", Number(0.0, -1e11, 1e11, "HZ")),
        *with_auto(Setting("[:SENSe]:BANDwidth[:RESolution]", "rbw", Number(1e7, 1.0, 1e7, "HZ"))),
        *with_auto(Setting("[:SENSe]:BANDwidth:VIDeo", "vbw", Number(1e7, 1.0, 1e7, "HZ"))),
        Setting("[:SENSe]:BANDwidth[:RESolution]:TYPE", "filter", Choice("NORMal", "CFILter", "RRC", "P5")),
        *with_auto(Setting("[:SENSe]:SWEep:TIME", "sweep time", TIME)),
        Setting("[:SENSe]:SWEep:TYPE", "sweep type", Choice("AUTO", "SWE", "FFT")),
        Setting("[:SENSe]:SWEep:COUNt", "sweeps", Integer(0, 0, 32767)),
        Setting("[:SENSe]:AVERage<n>:COUNt", "sweeps", Integer(0, 0, 32767)),
        Setting("[:SENSe]:AVERage<n>:TYPE", "averaging", Choice("VIDeo", "LINear", "POWer")),
        Setting("[:SENSe]:DETector<n>[:FUNCtion]", "detector",
                Choice("APEak", "POSitive", "NEGative", "SAMPle", "RMS", "AVERage")),
        Setting("[:SENSe]:DETector<n>[:FUNCtion]:AUTO", "detector auto", Switch(True)),
        Setting(":DISPlay[:WINDow<n>]:TRACe<n>:MODE", "trace mode",
                Choice("WRITe", "AVERage", "MAXHold", "MINHold", "VIEW", "BLANk")),
        Setting(":DISPlay[:WINDow<n>]:TRACe<n>:SMOothing[:STATe]", "smoothing", Switch(False)),
        Setting(":DISPlay[:WINDow<n>]:TRACe<n>:Y:SPACing", "scale", Choice("LOGarithmic", "LINear", "LDB")),
        Setting(":DISPlay[:WINDow<n>]:TRACe<n>:Y[:SCALe]:RLEVel", "level", Number(0.0, -130.0, 30.0, "DBM")),
        Setting(":DISPlay[:WINDow<n>]:TRACe<n>:Y[:SCALe]:RLEVel:OFFSet", "level offset", DECIBELS),
        Setting(":UNIT<n>:POWer", "unit", Choice("DBM", "V", "A", "W", "DBUV", "DBMV", "DBUA")),
        Setting(":CALCulate<n>:UNIT:POWer", "unit", Choice("DBM", "V", "A", "W", "DBUV", "DBMV", "DBUA")),
        Setting(":CALCulate<n>:MATH:STATe", "math", Switch(False)),
        Setting(":INPut:SELect", "input", Choice("RF", "DIQ")),
        Setting(":INPut:COUPling", "coupling", Choice("AC", "DC")),
        Setting(":INPut:IMPedance", "impedance", Integer(50, 50, 75)),
        *with_auto(Setting(":INPut:ATTenuation", "attenuation", Number(10.0, 0.0, 75.0, "DB"))),
        Setting(":INPut:GAIN:STATe", "preamplifier", Switch(False)),
        Setting("[:SENSe]:CORRection:TRANsducer:STATe", "transducer", Switch(False)),
        Setting("[:SENSe]:POWer:NCORrection", "noise cancellation", Switch(False)),
        Setting(":TRIGger<n>[:SEQuence]:SOURce", "trigger", Choice("IMMediate", "EXTern", "VIDeo", "IFPower")),
        Setting("[:SENSe]:SWEep:EGATe", "gated", Switch(False)),
        Setting("[:SENSe]:ROSCillator:SOURce", "reference", Choice("INTernal", "EXTernal", "EAUTo")),
        Setting(":SYSTem:DISPlay:UPDate", "display", Switch(True)),
        Setting(":CALCulate<n>:MARKer<n>[:STATe]", "marker", Switch(False)),
        Setting(":CALCulate<n>:MARKer<n>:X", "marker position", Number(HIGHEST / 2, 0.0, HIGHEST, "HZ")),
    )  # fmt: skip
    handlers: ClassVar = {
        ":INITiate<n>[:IMMediate]": lambda self, _: self.initiate(),
        ":INITiate<n>:CONMeas": lambda self, _: self.initiate(),
        ":SYSTem:PRESet": lambda self, _: self.reset(),
        ":SYSTem:LOCal": lambda self, call: call.expect(0),
        ":STATus:QUEStionable:POWer:CONDition?": lambda self, _: str(self._overload),
        ":STATus:QUEStionable:FREQuency:CONDition?": lambda self, _: str(self._frequency_condition()),
        ":TRACe<n>[:DATA]?": lambda self, call: self.trace_data(call),
        ":CALCulate<n>:MARKer<n>:MAXimum[:PEAK]": lambda self, _: self._to_peak(),
        ":CALCulate<n>:MARKer<n>:Y?": lambda self, _: self.show_number(float(self._shown_levels()[self._marked()])),
        ":FORMat[:DATA]?": lambda self, _: self.data_format,
    }

    def switch_on(self) -> None:
        """Start as after power-up."""
        self.reference_connected = self._disconnected = False
        super().switch_on()

    def reset(self) -> None:
        """Return to the factory defaults."""
        super().reset()
        self.points = 1001
        self.data_format = "ASC,0"
        self._overload = self._overloaded_since = 0
        self._transducer = 0.0
        self._trace: Floats | None = None
        self._couple("span")

    # --- settings ----------------------------------------------------------------------------------------------------

    def check_setting(self, name: str, value: Any) -> None:
        """Let the band follow a frequency offset."""
        super().check_setting(name, value)
        if name == "frequency offset":
            for shifted in ("center", "start", "stop"):
                self.state[shifted] += value - self.state[name]

    def setting_changed(self, name: str) -> None:
        """Follow the couplings; a viewed trace stays, others are measured anew."""
        super().setting_changed(name)
        if name in ("scale", "unit", "display", "marker", "marker position", "continuous"):
            return
        self._couple(name)
        if self.state["trace mode"] != "VIEW":
            self._trace = None
        if self.operation_pending():
            self.start_operation(self.duration(), self._measure)

    def _couple(self, changed: str) -> None:
        s = self.state
        if changed in ("start", "stop", "center", "span"):
            couple_band(s, changed, lowest=0.0, highest=HIGHEST, smallest_span=SMALLEST_SPAN)
        wanted = s["span"] / 100 if s["rbw auto"] else s["rbw"]
        s["rbw"] = float(FILTERS[np.argmin(np.abs(np.log(FILTERS / wanted)))])
        if s["vbw auto"]:
            s["vbw"] = s["rbw"]
        if s["sweep time auto"]:
            s["sweep time"] = self._automatic_sweep_time()
        if s["detector auto"]:
            s["detector"] = {"AVER": "SAMP", "MAXH": "POS", "MINH": "NEG"}.get(s["trace mode"], "APE")

    def _automatic_sweep_time(self) -> float:
        return float(min(max(1e-3, 2.5 * self.state["span"] / self.state["rbw"] ** 2), TIME.high))

    @command("[:SENSe]:SWEep:POINts")
    def _set_points(self, call: Call) -> None:
        self.points = round(call.parse(0, Number(1001.0, 101.0, float(self.most_points))))
        self.setting_changed("points")

    @command("[:SENSe]:SWEep:POINts?")
    def _show_points(self, call: Call) -> str:
        return str(self.points)

    @command(":FORMat[:DATA]")
    def _set_format(self, call: Call) -> None:
        call.expect(1, 2)
        name, *length = call.arguments
        if mnemonic_matches("ASCii", name):
            self.data_format = "ASC,0"
        elif mnemonic_matches("REAL", name) and (length or ["32"])[0] in ("32", "64"):
            self.data_format = "REAL," + (length or ["32"])[0]
        else:
            raise ScpiError(-224)

    @command("[:SENSe]:CORRection:TRANsducer:DATA")
    def _set_transducer(self, call: Call) -> None:
        """A factor that is flat here: frequency and level (dB) of one point."""
        self._transducer = call.number(1, -200.0, 200.0)

    # --- sweeps ------------------------------------------------------------------------------------------------------

    def sweeps(self) -> int:
        """Sweeps of one measurement; a count of 0 is one sweep in single sweep mode."""
        return max(int(self.state["sweeps"]), 1)

    def duration(self) -> float:
        """Time (s) of one measurement, all its sweeps."""
        if self.waits_for_trigger():
            return NEVER
        s = self.state
        parts = 1.0 if s["sweep type"] != "FFT" else float(np.ceil(s["span"] / FFT_WIDTH))
        return float(s["sweep time"] * parts * self.sweeps())

    def initiate(self) -> None:
        """Start a measurement."""
        if self.state["trace mode"] != "VIEW":
            self._trace = None
        self.start_operation(self.duration(), self._measure)

    def _responses(self, samples: float) -> tuple[Response, ...]:
        s = self.state
        sweeps = self.sweeps() if s["trace mode"] == "AVER" else 1
        if s["detector"] == "RMS":
            factor = _averaged_powers(samples, s["averaging"]) if sweeps > 1 else 1.0
            return (Response(slice(None), factor, samples * sweeps),)
        return noise_response(
            DETECTORS[s["detector"]],  # type: ignore[arg-type]  # of the words of `Detector`
            SCALES[s["averaging"]],  # type: ignore[arg-type]  # of the words of `AverageType`
            bucket_samples=samples,
            video_samples=self._noise_bandwidth() / (np.pi * s["vbw"]),
            sweeps=sweeps,
        )

    def _noise_bandwidth(self) -> float:
        return float(self.state["rbw"] * (GAUSSIAN if self.state["filter"] == "NORM" else 1.0))

    def frequencies(self) -> Floats:
        """Frequency of each point (Hz) as shown."""
        return np.linspace(self.state["start"], self.state["stop"], self.points)

    def _measure(self) -> None:
        """Take a trace of powers (W), as they are shown."""
        s = self.state
        if s["trace mode"] == "VIEW" and self._trace is not None:
            return
        axis, bandwidth = self.frequencies() - s["frequency offset"], self._noise_bandwidth()
        trace = np.empty(self.points)
        for part in self._responses(max(bandwidth * s["sweep time"] / (self.points - 1), 1.0)):
            density = self.world.power_spectral_density(axis[part.points], part.samples, bandwidth)
            if s["coupling"] == "AC":
                density = density * np.minimum(axis[part.points] / AC_CORNER, 1.0) ** 2
            trace[part.points] = density * bandwidth * part.factor
        self._note_overload(float(np.mean(trace)) / bandwidth * s["span"])
        if self._disconnected or s["input"] != "RF":
            trace = np.full(self.points, OWN_NOISE * bandwidth)
        if s["noise cancellation"]:
            trace = np.maximum(trace - OWN_NOISE * bandwidth, 1e-3 * trace)
        decibels = s["level offset"] + (self._transducer if s["transducer"] else 0.0)
        trace = np.maximum(trace, LEAST)
        self._trace = trace * 10 ** (decibels / 10) * (MATCHING_PAD if s["impedance"] == 75 else 1.0)

    def _note_overload(self, power: float) -> None:
        """Set the bits of the power register for `power` (W) at the connector."""
        s = self.state
        if power > DESTRUCTIVE_POWER and self.protects_input:
            self._disconnected = True
        gain = (20.0 if s["preamplifier"] else 0.0) - s["attenuation"]
        too_much = self.overloaded or power * 10 ** (gain / 10) > OVERLOAD_POWER
        bits = RF_OVERLOAD if too_much else 0
        if power > 1e-3 * 10 ** ((s["level"] + 5) / 10):
            bits |= IF_OVERLOAD
        self._overload = DISCONNECTED if self._disconnected else bits
        self._overloaded_since |= self._overload

    def _shown_levels(self) -> Floats:
        """The trace in the unit chosen; in continuous mode the latest."""
        self.wait_for_operation()
        if self._trace is None and self.state["continuous"]:
            self.world.clock.sleep(self.duration())
            self._measure()
        if self._trace is None:
            raise ScpiError(-230)
        return in_unit(self._trace, self.state["unit"])

    def trace_data(self, call: Call) -> bytes:
        """What TRACe? answers."""
        call.parse(0, Choice("TRACE1"))
        name = "ASC" if self.data_format.startswith("ASC") else self.data_format
        return encode_values(self._shown_levels(), name, swapped=True)

    def _marked(self) -> int:
        return int(np.argmin(np.abs(self.frequencies() - self.state["marker position"])))

    def _to_peak(self) -> None:
        self.state["marker"] = True
        self.state["marker position"] = float(self.frequencies()[np.argmax(self._shown_levels())])

    # --- status ------------------------------------------------------------------------------------------------------

    most_points: ClassVar[int]
    #: Whether it disconnects its input from too much power.
    protects_input: ClassVar[bool] = False

    @command(":STATus:QUEStionable:POWer[:EVENt]?")
    def _power_event(self, call: Call) -> str:
        call.expect(0)
        event, self._overloaded_since = self._overloaded_since, 0
        return str(event)

    def _frequency_condition(self) -> int:
        return NO_REFERENCE if self.state["reference"] == "EXT" and not self.reference_connected else 0

    def too_fast(self) -> bool:
        """Whether the sweep time is too low for the filter."""
        return bool(self.state["sweep time"] < 0.99 * self._automatic_sweep_time())

    def format_error(self, error: ScpiError) -> str:
        """One entry, without the sign of 0."""
        return f'{error.code},"{error.text}"'
