"""What Rohde & Schwarz's analyzers FSV and FSW share as spectrum analyzers that measure noise power density.

From the manuals 1176.7510.02 (FSVA/FSV), 1178.8520.02 (FSV3000) and 1173.9411.02 (FSW); **never tried on hardware**:

- The RMS detector averages power, but the trace average is logarithmic after a preset: both together read too low, by
  an amount that no correction knows. `AVER:TYPE POW` averages powers.
- In an FFT sweep the sweep time has another meaning; with the type AUTO the instrument chooses it.
- The input impedance 75 ohm adds 1.76 dB to all levels, in dBm too.
- Traces are sent as 32-bit numbers, least significant byte first; there is no command for another byte order. The
  manuals do not say so: R&S's own examples and many programs read them like this.
- The manuals do not state the noise bandwidth of the Gaussian filters: it is taken as that of an ideal Gaussian,
  1.0645 times the 3 dB bandwidth. Filters come in steps of 1, 2, 3 and 5.
- `CORR:TRAN:STAT OFF` switches off the selected transducer factor; others that are active at the same time stay.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from drivers.answers import is_choice
from drivers.errors import OverloadError
from drivers.noise_analyzer import Condition, NoiseAnalyzer
from drivers.trace_analyzer import check_count, check_range

__all__ = ["GAUSSIAN", "RohdeSchwarzSpectrum"]

#: Noise bandwidth of a Gaussian filter over its 3 dB bandwidth.
GAUSSIAN = math.sqrt(math.pi / math.log(16))
OVERLOAD, LATCHED = ":STAT:QUES:POW:COND?", ":STAT:QUES:POW?"
# RF overload, IF overload; input disconnected for its protection (FSW, FSV3000).
OVERLOAD_BITS, DISCONNECTED = 1 | 4, 8
FREQUENCY = ":STAT:QUES:FREQ:COND?"
OVEN_COLD, UNLOCKED, NO_REFERENCE = 1, 2, 256
# Largest part by which the filter may differ from the one that was requested: they come in steps of up to 2.
FILTER_STEP = 0.5
HIGHEST = 90e9
WIDEST_FILTER, WIDEST_VIDEO = 10e6, 10e6
AC_COUPLED = 10e6
# Another application takes up to this time (s) to start.
MODE_CHANGE = 60.0
PREAMPLIFIERS = ("B22", "B23", "B24")
LOWER = "Increase the attenuation or the reference level, or switch the preamplifier off."
#: Parameters of QCoDeS: name, header, unit.
NUMBERS = (
    ("center", ":FREQ:CENT", "Hz"),
    ("span", ":FREQ:SPAN", "Hz"),
    ("resolution_bandwidth", ":BAND", "Hz"),
    ("video_bandwidth", ":BAND:VID", "Hz"),
    ("sweep_time", ":SWE:TIME", "s"),
    ("sweep_points", ":SWE:POIN", ""),
    ("sweep_count", ":SWE:COUN", ""),
    ("reference_level", ":DISP:TRAC:Y:RLEV", "dBm"),
    ("attenuation", ":INP:ATT", "dB"),
)
WORDS = (("detector", ":DET"), ("trace_mode", ":DISP:TRAC:MODE"), ("sweep_type", ":SWE:TYPE"))


class RohdeSchwarzSpectrum(NoiseAnalyzer):
    """An FSV or FSW that fills the role `SpectrumAnalyzer`.

    Each sweep is a swept one with the RMS detector, the sweeps are averaged as powers, and the trace is read in dBm; it
    is divided by the noise bandwidth of a Gaussian filter. Attenuation, preamplifier and reference level are not
    changed, but must not change between `prepare` and `fetch`.

    Parameters
    ----------
    name
        Name in the station.
    address
        VISA resource name.
    **options
        Passed to QCoDeS (`visalib`, `timeout`, …).

    Raises
    ------
    CommunicationError
        If the instrument does not answer or the answer cannot be read; every method may raise it.

    """

    BEGIN, END = ":INIT:IMM", ":ABOR"
    MOST_POINTS: ClassVar[int]
    MOST_SWEEPS: ClassVar[int]
    CONDITIONS: ClassVar[Sequence[Condition]] = (
        Condition(
            OVERLOAD,
            DISCONNECTED,
            "its input disconnected to protect it",
            "Reduce the power at its input, then connect the input again: :INP:ATT:PROT:RES.",
            OverloadError,
        ),
        Condition(OVERLOAD, OVERLOAD_BITS, "an input overload", LOWER, OverloadError),
        Condition(LATCHED, OVERLOAD_BITS | DISCONNECTED, "an input overload", LOWER, OverloadError),
        Condition(FREQUENCY, UNLOCKED, "its local oscillator unlocked", "Have it repaired if this happens again."),
        Condition(
            FREQUENCY,
            NO_REFERENCE,
            "no external frequency reference",
            "Connect the external reference, or select the internal one.",
        ),
        Condition(FREQUENCY, OVEN_COLD, "a reference oscillator that was still cold", "Let it warm up.", None),
    )

    def __init__(self, name: str, address: str, **options: Any) -> None:
        super().__init__(name, address, **{"terminator": "\n"} | options)
        for parameter, header, unit in NUMBERS:
            self.add_parameter(parameter, unit=unit, get_cmd=f"{header}?", set_cmd=f"{header} {{}}", get_parser=float)
        for parameter, header in WORDS:
            self.add_parameter(parameter, get_cmd=f"{header}?", set_cmd=f"{header} {{}}", get_parser=str.strip)
        self.connect_message()
        installed = self.ask("*OPT?")
        self._has_preamplifier = any(option in installed for option in PREAMPLIFIERS)

    def prepare(
        self, *, center: float, span: float, points: int, resolution_bandwidth: float, sweep_time: float, averages: int
    ) -> None:
        """Set up the noise measurement and read every setting back.

        Parameters
        ----------
        center, span
            Band (Hz).
        points
            Points of the trace, from 101.
        resolution_bandwidth
            Noise bandwidth (Hz). The instrument has filters in steps of 1, 2, 3 and 5 and takes the nearest one, see
            `noise_bandwidth`.
        sweep_time
            Time of one sweep (s), at least 1 ms.
        averages
            Sweeps averaged.

        Raises
        ------
        ValueError
            An argument is out of range; nothing is sent then.
        SettingError
            The instrument did not accept a setting.
        RejectedCommandError
            Its error queue has an entry.

        """
        check_range("span", span, 10.0, HIGHEST, "Hz")
        check_range("center", center, span / 2, HIGHEST - span / 2, "Hz")
        check_count("points", points, 101, self.MOST_POINTS)
        check_range("resolution_bandwidth", resolution_bandwidth, 1.0, WIDEST_FILTER, "Hz")
        check_range("sweep_time", sweep_time, 1e-3, 16_000.0, "s")
        check_count("averages", averages, 1, self.MOST_SWEEPS)

        self.begin_preparation()
        if not is_choice(self.ask(":INST:SEL?"), "SAN"):
            with self.waiting(MODE_CHANGE):
                self.choose(":INST:SEL", "SAN")
        self.require_choice(":INST:SEL?", "SAN")
        # One message per setting: a rejected one must not affect others.
        self.switch_off(":SWE:MODE", "AUTO")
        self.choose(":INIT:CONT", "0")
        self.choose(":TRIG:SOUR", "IMM")
        self.switch_off(":SWE:EGAT")
        self.switch_off(":INP:SEL", "RF")
        self.require_direct_coupling(center - span / 2, AC_COUPLED)
        self.choose(":FORM", "REAL,32")
        self._show_power_at_the_input()
        self.choose(":DISP:TRAC:MODE", "AVER")
        self.choose(":DET", "RMS")
        self.choose(":AVER:TYPE", "POW")
        self.choose(":SWE:TYPE", "SWE")
        self.choose(":BAND:TYPE", "NORM")
        self.apply(":FREQ:CENT", center, tolerance=1.0)
        self.apply(":FREQ:SPAN", span, tolerance=1.0)
        self.apply(":SWE:POIN", int(points))
        self.apply(":SWE:COUN", int(averages))
        filter_width = resolution_bandwidth / GAUSSIAN
        self.noise_bandwidth = GAUSSIAN * self.apply(":BAND", filter_width, tolerance=FILTER_STEP * filter_width)
        video = min(10 * filter_width, WIDEST_VIDEO)  # a narrow video filter averages voltages
        self.apply(":BAND:VID", video, tolerance=FILTER_STEP * video)
        duration = averages * self.apply(":SWE:TIME", sweep_time, tolerance=0.01 * sweep_time)
        self.record(":INP:ATT?")
        self.record(":DISP:TRAC:Y:RLEV?")
        if self._has_preamplifier:
            self.record(":INP:GAIN:STAT?")
        self.ask_register(LATCHED)  # clear overloads of earlier sweeps
        self.end_preparation(":", center=center, span=span, points=int(points), duration=duration)

    def _show_power_at_the_input(self) -> None:
        """The trace in dBm at the input connector, at its true frequencies: no offsets, factors, smoothing or math."""
        self.choose(":DISP:TRAC:Y:SPAC", "LOG")
        self.choose(":UNIT:POW", "DBM")
        self.apply(":DISP:TRAC:Y:RLEV:OFFS", 0.0)
        self.switch_off(":INP:IMP", "50")
        self.switch_off(":CORR:TRAN:STAT")
        self.switch_off(":CORR:STAT")  # normalization of a tracking generator
        self.switch_off(":POW:NCOR")
        self.switch_off(":FREQ:OFFS")
        self.switch_off(":CALC:MATH:STAT")
        self.switch_off(":DISP:TRAC:SMO")

    def fetch(self) -> NDArray[np.float64]:
        """Return the mean of the sweeps.

        Returns
        -------
        W/Hz at the input connector, shape (points,).

        Raises
        ------
        OverloadError
            On an input overload, a disconnected input or an over-range marker.
        ReadingError
            If the block is incomplete or has values that are not possible, or the local oscillator had no reference.
        SettingError
            If a setting changed since `prepare`, from the front panel or by a reset.
        RejectedCommandError
            If the sweep left an entry in the error queue.

        """
        self.require_preparation()
        query = ":TRAC? TRACE1"
        levels = self.again(lambda: self.ask_block(query, len(self._axis), "<f4"))
        self.require_trace()
        return self.densities(1e-3 * 10 ** np.clip(levels / 10, -100.0, 100.0), query)
