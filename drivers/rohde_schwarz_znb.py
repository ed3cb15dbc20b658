"""Rohde & Schwarz ZNB4, ZNB8, ZNB20 and ZNB40 network analyzers as a vector network analyzer of one complex parameter.

From the R&S ZNB user manual, QCoDeS's driver and its issues, and pyHegel's driver; **never tried on hardware**:

- QCoDeS's driver resets the instrument when it connects, unless it is told not to: it is.
- Channel 1 is used, with a trace of its own: what others have set at their traces has no effect. A channel 1 that was
  made by an earlier user is taken over with all its settings; other channels stay, and do not sweep meanwhile.
- A CW sweep has no frequency axis: its ends are not answered (QCoDeS issue 3151), so the type of the sweep comes first.
- `SDATa` is before trace mathematics, format and smoothing, but after the electrical delay of the ports: a delay that
  an earlier user has set stays, is logged and watched.
- A sweep in segments, from R&S's example of one for the ZNB, its C++ toolbox and the help of the ZVA: the segments have
  their own bandwidths and powers, which must rise in frequency here; its time is `SEGM:SWE:TIME:SUM?`.
- An overload of a receiver is no error of the queue; it sets a bit of a status register, until that is read.
"""

import re
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from qcodes.instrument_drivers.rohde_schwarz import RohdeSchwarzZNB20

from drivers.answers import register
from drivers.capabilities import Segment
from drivers.errors import OverloadError, ReadingError, SettingError
from drivers.line import IncompleteAnswerError
from drivers.network_analyzer import NetworkAnalyzer, SweepLimits
from drivers.trace_analyzer import EDGE

__all__ = ["RohdeSchwarzZNB"]

CHANNELS = re.compile(r"'([^';\x00-\x1f]*)'")
#: Event register of the hardware, cleared by reading it.
HARDWARE, OVERLOAD = ":STAT:QUES:INT:HARD?", 3
FAULTS = {
    1: "the external reference fails",
    2: "the source is not leveled",
    7: "its temperature is too high",
    9: "the level control is not stable",
}
#: Bands (Hz) and source powers (dBm) of the models, as QCoDeS has them.
BANDS = {"ZNB4": (9e3, 4.5e9), "ZNB8": (9e3, 8.5e9), "ZNB20": (100e3, 20e9), "ZNB40": (10e6, 40e9)}
POWERS = {"ZNB4": (-80.0, 25.0), "ZNB8": (-80.0, 25.0), "ZNB20": (-60.0, 25.0), "ZNB40": (-60.0, 25.0)}
BANDWIDTHS, MOST_POINTS, MOST_AVERAGES = (1.0, 1e6), 100_001, 5000


class RohdeSchwarzZNB(NetworkAnalyzer, RohdeSchwarzZNB20):
    """The QCoDeS driver without its reset, filling the role `VectorNetworkAnalyzer`; see `NetworkAnalyzer`.

    QCoDeS's channels (`add_channel`) work, too; they are channels of the instrument from number 1 on.

    Raises
    ------
    ValueError
        If `parameter` is not an S-parameter of four ports.
    SettingError
        If it is none of these models.
    CommunicationError
        If the instrument does not answer or the answer cannot be read; every method may raise it.

    """

    MODELS = tuple(BANDS)
    most_segments: ClassVar[int] = 100
    """Most segments of a sweep; the instruments allow more."""
    BEGIN, END = ":INIT1:IMM", ":ABOR"

    def __init__(self, name: str, address: str, parameter: str = "S11", **options: Any) -> None:
        never: dict[str, Any] = {"init_s_params": False, "reset_channels": False}
        problem = ""
        try:
            super().__init__(name, address, parameter, **never, **options)
        except RuntimeError as error:  # of QCoDeS: a model that it does not know
            problem = str(error).rstrip(".")
        self._model = "".join(self._identity.split(",")[1:2]).split("-")[0].strip()
        if problem or self._model not in BANDS:
            raise SettingError(
                f"{name} ({address})",
                f"it cannot be used: {problem or f'it is a {self._model[:40]!r}'}.",
                f"Models are {', '.join(self.MODELS)}.",
            )
        self.start = self.begin
        self.add_parameter(
            "correction",
            get_cmd=lambda: self.state(":SENS1:CORR:STAT?"),
            docstring="Whether a calibration is on in channel 1.",
        )
        for port in "12":
            self.add_parameter(
                f"delay{port}",
                get_cmd=lambda port=port: self.ask_number(f":SENS1:CORR:EDEL{port}:TIME?"),
                unit="s",
                docstring=f"Electrical delay at port {port} in channel 1, which the data have.",
            )

    def _line(self) -> str:
        """One line of an answer with its end, which QCoDeS's parameters expect."""
        line = super()._line()
        if self.visa_handle.read_termination:  # of a socket
            return f"{line}\n"
        if not line.endswith("\n"):
            raise IncompleteAnswerError(f"{line[:80]!r} is not complete: the line feed is missing")
        return line

    def prepare(
        self, *, center: float, span: float, points: int, power: float, if_bandwidth: float, averages: int
    ) -> None:
        """Set up the sweep of channel 1, read every setting back, and switch the source on after its power is verified.

        Parameters
        ----------
        center, span
            Band (Hz).
        points
            Points of the sweep, 2 to 100001.
        power
            Source power at the port (dBm).
        if_bandwidth
            IF bandwidth (Hz), one of the instrument's: 1, 1.5, 2, 3, 5, 7 × 10ⁿ up to 1 MHz.
        averages
            Sweeps averaged, 1 to 5000.

        Raises
        ------
        ValueError
            An argument is out of range; nothing is sent then.
        SettingError
            The instrument did not accept a setting.
        RejectedCommandError
            Its error queue has an entry.

        """
        sweep = {"center": center, "span": span, "points": points, "power": power, "averages": averages}
        self.check_sweep(self._limits(), sweep | {"if_bandwidth": if_bandwidth})
        self.begin_preparation()
        self._select_trace()
        self._choose_states()
        self.choose_band(":SENS1:", center=center, span=span, points=points)
        self.apply(":SENS1:BAND", if_bandwidth, tolerance=1e-6 * if_bandwidth)
        duration = averages * self._prepare_source(power, averages, ":SENS1:SWE:TIME?", points / if_bandwidth, points)
        self.end_preparation(":SENS1:", center=center, span=span, points=int(points), duration=duration)

    def prepare_segments(self, segments: Sequence[Segment], *, power: float, averages: int) -> None:
        """As `prepare`, for several bands in one sweep (`drivers.capabilities.SegmentedSweep`).

        Parameters
        ----------
        segments
            Center and span (Hz), points and IF bandwidth (Hz) of each, in rising order.
        power, averages
            As of `prepare`.

        Raises
        ------
        ValueError
            There is no segment, there are more than `most_segments`, they overlap, or an argument is out of range;
            nothing is sent then.
        SettingError, RejectedCommandError
            As `prepare`.

        """
        self.check_segments(self._limits(), segments, self.most_segments, power=power, averages=averages)
        self.require_rising(segments)
        self.begin_preparation()
        self._select_trace()
        self._choose_states()
        self.write(":SENS1:SEGM:DEL:ALL")
        axes = [self._add_segment(number, segment, power) for number, segment in enumerate(segments, 1)]
        self.require(":SENS1:SEGM:COUN?", len(segments))
        self.check_errors()  # states that are asked for later, and that it may not have, empty the queue
        for control in (":SENS1:SEGM:SWE:DWEL:CONT", ":SENS1:SEGM:SWE:TIME:CONT"):
            self.choose_if_known(control, "0")
        self.choose(":SENS1:SWE:TYPE", "SEGM")
        readings = sum(segment.points / segment.if_bandwidth for segment in segments)
        points = sum(segment.points for segment in segments)
        sweep_time = self._prepare_source(power, averages, ":SENS1:SEGM:SWE:TIME:SUM?", readings, points)
        self.confirm_preparation(np.concatenate(axes), averages * sweep_time)

    def _add_segment(self, number: int, segment: Segment, power: float) -> NDArray[np.float64]:
        """Add a segment with a `power` (dBm); its frequencies as the instrument reads back its ends."""
        header = f":SENS1:SEGM{number}"
        self.write(f"{header}:ADD")
        self.choose(f"{header}:STAT", "1")
        # A start beyond the stop moves the stop: the start comes first.
        start = self.apply(f"{header}:FREQ:STAR", segment.center - segment.span / 2, tolerance=EDGE)
        stop = self.apply(f"{header}:FREQ:STOP", segment.center + segment.span / 2, tolerance=EDGE)
        self.apply(f"{header}:SWE:POIN", int(segment.points))
        self.apply(f"{header}:BWID", segment.if_bandwidth, tolerance=1e-6 * segment.if_bandwidth)
        self.apply(f"{header}:POW", power, tolerance=0.01)
        return np.linspace(start, stop, int(segment.points))

    def _limits(self) -> SweepLimits:
        return SweepLimits(BANDS[self._model], POWERS[self._model], BANDWIDTHS, MOST_POINTS, MOST_AVERAGES)

    def _prepare_source(self, power: float, averages: int, query: str, readings: float, points: int) -> float:
        """Set power and averages, then switch the source on; return the time of one sweep (s), which `query` asks for.

        One sweep takes `readings` (s), the points' reciprocal IF bandwidths, and the instrument's overhead.
        """
        self.apply(f":SOUR1:POW{self.source_port}", power, tolerance=0.01)
        self.apply(":SENS1:AVER:COUN", int(averages))
        self.apply(":SENS1:SWE:COUN", int(averages))
        self._record_states()
        self.choose(f":SOUR1:POW{self.source_port}:STAT", "1")
        self.choose(":OUTP1", "1")
        sweep_time = self.ask_within(query, 0.2 * readings, 20 * readings + 0.01 * points + 10.0)
        self._confirmed[query] = sweep_time
        return sweep_time

    def _select_trace(self) -> None:
        """Select the driver's own trace; its definition makes channel 1, where there is none."""
        self.write(":INIT:CONT:ALL OFF")
        name = f"labnis_{self.parameter}"
        query = ":CONF:TRAC:CAT?"
        answer = self.again(lambda: self.ask(query))
        listed = CHANNELS.fullmatch(answer.strip())
        if listed is None:
            raise self.unexpected(answer, query, "a list of traces")
        if name not in listed[1].split(","):
            self.write(f":CALC1:PAR:SDEF '{name}','{self.parameter}'")
        self.write(f":CALC1:PAR:SEL '{name}'")
        self._confirmed[":CALC1:PAR:SEL?"] = name
        measured = f":CALC1:PAR:MEAS? '{name}'"
        found = self.again(lambda: self.ask(measured)).strip().strip("'\"")
        if found != self.parameter:
            raise self.refused(measured, found[:80], self.parameter)
        self._confirmed[measured] = self.parameter

    def _choose_states(self) -> None:
        """Set what an earlier user may have left: triggers, sweep, averaging, source, filters, byte order."""
        self.choose(":SENS1:SWE:TYPE", "LIN")
        self.choose(":CONF:CHAN1:MEAS", "1")
        self.choose(":INIT1:CONT", "0")
        self.choose(":TRIG1:SOUR", "IMM")
        self.choose_if_known(":SENS1:SWE:GEN", "STEP")
        self.choose(":SENS1:SWE:TIME:AUTO", "1")
        self.apply(":SENS1:SWE:DWEL", 0.0)
        self.choose(":SENS1:AVER", "1")
        self.choose(":SENS1:AVER:MODE", "RED")
        self.choose(":SENS1:BAND:SEL", "NORM")
        self.choose(":FORM:BORD", "NORM")
        for header in (":CALC1:SMO", ":CALC1:FILT:TIME:STAT", ":CALC1:TRAN:TIME:STAT", ":CALC1:MATH:STAT"):
            self.choose_if_known(header, "0")

    def _record_states(self) -> None:
        """What belongs to a calibration stays: it is logged, and must not change."""
        self.record(":SENS1:CORR:STAT?", "a calibration")
        for port in sorted({self.parameter[1], self.source_port}):
            self.record(f":CALC1:TRAN:VNET:SEND:DEEM{port}?", f"de-embedding at port {port}")
            self.record(f":CALC1:TRAN:VNET:SEND:EMB{port}?", f"embedding at port {port}")
            query = f":SENS1:CORR:EDEL{port}:TIME?"
            self._confirmed[query] = delay = self.ask_within(query, -1.0, 1.0)
            if delay:
                self.log.warning("%s applies an electrical delay of %g s at port %s", self.described, delay, port)

    def begin(self) -> None:
        """Begin the sweeps and return at once."""
        self.require_preparation()
        self.write(":SENS1:AVER:CLE")
        self.write(f":CALC1:PAR:SEL '{self._confirmed[':CALC1:PAR:SEL?']}'")
        self.again(lambda: self.ask_register(HARDWARE))  # clears it
        super().begin()

    def fetch(self) -> NDArray[np.complex128]:
        """Return the averaged complex parameter.

        Returns
        -------
        Ratio of amplitudes, with the electrical delays of the ports that were recorded, shape (points,); phases count
        as e^{+jωt}.

        Raises
        ------
        OverloadError
            If the receivers were overloaded or a value is an over-range marker.
        ReadingError
            If the block is incomplete, or has values that are not numbers or not possible; if the source was not
            leveled, or the reference failed.
        SettingError
            If a setting changed since `prepare`, from the front panel or by a reset.
        RejectedCommandError
            If the sweep left an entry in the error queue.

        """
        self.require_preparation()
        query = ":CALC1:DATA? SDAT"
        self.write(":FORM REAL,64")
        try:
            values = self.again(lambda: self.ask_block(query, 2 * len(self._axis), ">f8"))
        finally:
            self.write(":FORM ASC,0")  # as QCoDeS's own methods expect it
        self.check_errors()
        self._check_hardware()
        self.require_unchanged("after the measurement")
        return self.ratios(values, query, float(self._confirmed[f":SOUR1:POW{self.source_port}?"]))

    def _check_hardware(self) -> None:
        """Read the event register once: reading it clears it, so that a lost answer is an error."""
        self.distinguish(lambda answer: register(answer) is not None)
        bits = self.ask_register(HARDWARE)
        if bits >> OVERLOAD & 1:
            raise OverloadError(
                self.described, f"{HARDWARE} is {bits}: a receiver was overloaded.", "Reduce the power at its input."
            )
        if said := ", ".join(text for bit, text in FAULTS.items() if bits >> bit & 1):
            raise ReadingError(
                self.described, f"{HARDWARE} is {bits}: {said}.", "The data are not valid: remove the cause, repeat it."
            )
