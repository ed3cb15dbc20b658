"""Copper Mountain's network analyzers, through the program S2VNA or S4VNA, as analyzers of one complex parameter.

From the S2VNA and S4VNA SCPI programming manual, that of the TR series, examples of Copper Mountain, and QCoDeS's
driver; **never tried on hardware**:

- The program answers `*IDN?` and keeps its last data while the analyzer is not connected to it: `SYST:READ?` is queried
  before and after each sweep.
- A sweep begins by a trigger of the bus, one trigger for all averages (`TRIG:AVER`). `*OPC?` would block until its end.
- Binary data come by HiSLIP, not by a socket (by the manual; not so in an example): the data are text on both.
- `SDATa` is after electrical delay, smoothing, mathematics, conversion and gating of the trace: the electrical delay
  stays, is logged and watched, the others are switched off.
- A sweep in segments is set by one table (`SEGM:DATA`), as in the manual of the TR series, the help of TRVNA, and
  programs of users of S2VNA; it is read back whole. All segments have the power of the channel.
- The time of a sweep cannot be queried: it is estimated, as 1.5 times the reciprocal IF bandwidth per point.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from drivers.answers import OVERFLOW, is_choice, numbers
from drivers.capabilities import Segment
from drivers.errors import OverloadError, ReadingError
from drivers.network_analyzer import NetworkAnalyzer, SweepLimits
from drivers.trace_analyzer import EDGE, TIMEOUT_MARGIN, limits_of

__all__ = ["CopperMountain"]

READY = ":SYST:READ?"
BANDWIDTHS, MOST_POINTS, MOST_AVERAGES, MOST_TRACES = (1.0, 3e5), 200_001, 999, 16
POINT_TIME = 2e-4  # s, beside that of the filter
#: Beginning of a table of segments: ends, and IF bandwidths beside the points, but no powers, delays and times.
TABLE = (5, 0, 1, 0, 0, 0)
LONGEST_NUMBER = 40  # bytes of a number and its comma


class CopperMountain(NetworkAnalyzer):
    """A mix-in in front of one of QCoDeS's classes of this maker; see `NetworkAnalyzer`."""

    PORTS: ClassVar[int] = 2
    BEGIN, END = ":TRIG:SING", ":ABOR"
    most_segments: ClassVar[int] = 30
    """Most segments of a sweep; the program may allow more."""

    def __init__(self, name: str, address: str, parameter: str = "S11", **options: Any) -> None:
        self._trace = 0  # number of the trace that is used
        super().__init__(name, address, parameter, **options)
        # QCoDeS calls the lowest frequency `start`; in the role it begins an acquisition.
        self.remove_parameter("start")
        vars(self)["start"] = self.begin
        self.add_parameter(
            "ready",
            get_cmd=lambda: self.ask_flag(READY),
            docstring="Whether the analyzer is connected to its program.",
        )
        self.add_parameter(
            "correction", get_cmd=lambda: self.state(":SENS1:CORR:STAT?"), docstring="Whether a calibration is on."
        )

    def require_ready(self) -> None:
        """Raise ReadingError if the analyzer is not connected to its program, which answers nevertheless."""
        self.distinguish(lambda answer: answer.strip() in ("0", "1"))
        if not self.again(lambda: self.ask_flag(READY)):
            raise ReadingError(
                self.described,
                f"the program answers, but its analyzer is not ready ({READY} answers 0).",
                "Switch the analyzer on and connect it by USB to the computer where the program runs.",
            )

    def prepare(
        self, *, center: float, span: float, points: int, power: float, if_bandwidth: float, averages: int
    ) -> None:
        """Set up the sweep of channel 1, read every setting back, and switch the source on after its power is verified.

        Parameters
        ----------
        center, span
            Band (Hz).
        points
            Points of the sweep, 2 to 200001.
        power
            Source power (dBm).
        if_bandwidth
            IF bandwidth (Hz), one of the instrument's: 1, 1.5, 2, 3, 5, 7 × 10ⁿ up to 300 kHz.
        averages
            Sweeps averaged, 1 to 999.

        Raises
        ------
        ValueError
            An argument is out of range; nothing is sent then.
        ReadingError
            The analyzer is not connected to its program.
        SettingError
            The instrument did not accept a setting.
        RejectedCommandError
            Its error queue has an entry.

        """
        sweep = {"center": center, "span": span, "points": points, "power": power, "averages": averages}
        self.check_sweep(self._limits(), sweep | {"if_bandwidth": if_bandwidth})
        self._prepare_trace()
        self.choose(":SENS1:SWE:TYPE", "LIN")
        self.choose_band(":SENS1:", center=center, span=span, points=points)
        self.apply(":SENS1:BWID", if_bandwidth, tolerance=1e-6 * if_bandwidth)
        sweeps = self._prepare_source(power, averages)
        duration = sweeps * points * (1.5 / if_bandwidth + POINT_TIME)
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
        ReadingError, SettingError, RejectedCommandError
            As `prepare`.

        """
        self.check_segments(self._limits(), segments, self.most_segments, power=power, averages=averages)
        self.require_rising(segments)
        self._prepare_trace()
        axis = self._choose_segments(segments)
        self.choose(":SENS1:SWE:TYPE", "SEGM")
        sweeps = self._prepare_source(power, averages)
        once = sum(segment.points * (1.5 / segment.if_bandwidth + POINT_TIME) for segment in segments)
        self.confirm_preparation(axis, sweeps * once)

    def _choose_segments(self, segments: Sequence[Segment]) -> NDArray[np.float64]:
        """Write the table of segments and read it back; the frequencies by the ends as read back."""
        wanted = [float(number) for number in (*TABLE, len(segments))]
        for one in segments:
            wanted += [one.center - one.span / 2, one.center + one.span / 2, float(one.points), one.if_bandwidth]
        self.write(f":SENS1:SEGM:DATA {','.join(f'{number:.12g}' for number in wanted)}")
        query = ":SENS1:SEGM:DATA?"
        answer = self.again(lambda: self.ask(query))
        found = numbers(answer, len(wanted))
        if found is None:
            raise self.unexpected(answer, query, f"{len(wanted)} numbers")
        table = np.array(found[len(TABLE) + 1 :]).reshape(-1, 4)
        allowed = np.array(wanted[len(TABLE) + 1 :]).reshape(-1, 4)
        tolerance = np.broadcast_to([EDGE, EDGE, 0.0, 0.0], table.shape) + [0.0, 0.0, 0.0, 1e-6] * allowed
        if found[: len(TABLE) + 1] != wanted[: len(TABLE) + 1] or np.any(np.abs(table - allowed) > tolerance):
            raise self.refused(query, answer.strip()[:200], ",".join(f"{number:.12g}" for number in wanted)[:200])
        self._confirmed[query] = answer.strip().lstrip("+")
        return np.concatenate([np.linspace(start, stop, round(count)) for start, stop, count, _ in table])

    def _limits(self) -> SweepLimits:
        limits: Any = self  # of QCoDeS's class
        band, powers = (limits.min_freq, limits.max_freq), limits_of(limits.power)
        return SweepLimits(band, powers, BANDWIDTHS, MOST_POINTS, MOST_AVERAGES)

    def _prepare_trace(self) -> None:
        """First part of a preparation: the trace, and all states that do not belong to a band."""
        self.begin_preparation()
        self.require_ready()
        self._select_trace()
        self._choose_states()

    def _prepare_source(self, power: float, averages: int) -> int:
        """Set power and averages, then switch the source on; return how many sweeps one acquisition has."""
        self.apply(":SOUR1:POW", power, tolerance=0.05)
        self.apply(":SENS1:AVER:COUN", int(averages))
        self.record(":SENS1:CORR:STAT?", "a calibration")
        query = ":CALC1:CORR:EDEL:TIME?"
        self._confirmed[query] = delay = self.ask_within(query, -10.0, 10.0)
        if delay:
            self.log.warning("%s applies an electrical delay of %g s to the trace", self.described, delay)
        self.choose(":OUTP:STAT", "1")
        # With a calibration of both ports, it sweeps in both directions.
        return int(averages) * (2 if self._confirmed.get(":SENS1:CORR:STAT?") else 1)

    def _select_trace(self) -> None:
        """Select the first trace that measures `parameter`; define one more if there is none."""
        count = round(self.again(lambda: self.ask_within(":CALC1:PAR:COUN?", 1, MOST_TRACES)))
        self._trace = next((n for n in range(1, count + 1) if self._measures(n)), count + 1)
        if self._trace > count:
            self.apply(":CALC1:PAR:COUN", self._trace)
            self.choose(f":CALC1:PAR{self._trace}:DEF", self.parameter)
        self._confirmed[f":CALC1:PAR{self._trace}:DEF?"] = self.parameter
        self.write(f":CALC1:PAR{self._trace}:SEL")

    def _measures(self, number: int) -> bool:
        return is_choice(self.again(lambda: self.ask(f":CALC1:PAR{number}:DEF?")), self.parameter)

    def _choose_states(self) -> None:
        """Set what an earlier user may have left: triggers, sweep, averaging, source, processing of the trace."""
        self.choose(":TRIG:SOUR", "BUS")
        self.choose(":INIT1:CONT", "1")
        self.choose_if_known(":TRIG:POIN", "0")
        self.choose(":TRIG:AVER", "1")
        self.apply(":SENS1:SWE:POIN:TIME", 0.0)
        self.choose(":SENS1:AVER:STAT", "1")
        self.choose(":FORM:DATA", "ASC")
        self.choose_if_known(":SOUR1:POW:SLOP:STAT", "0")
        for header, off in (
            (":CALC1:SMO", "0"),
            (":CALC1:CONV", "0"),
            (":CALC1:MATH:FUNC", "NORM"),
            (":CALC1:FILT:TIME:STAT", "0"),
            (":CALC1:TRAN:TIME:STAT", "0"),
        ):
            self.choose_if_known(header, off)

    def begin(self) -> None:
        """Begin the sweeps and return at once."""
        self.require_preparation()
        self.require_ready()
        self.write(f":CALC1:PAR{self._trace}:SEL")
        self.write(":SENS1:AVER:CLE")
        super().begin()

    def finished(self) -> bool:
        """Whether the sweeps are complete; the program may answer only then."""
        with self.waiting(self._duration + TIMEOUT_MARGIN):
            return super().finished()

    def fetch(self) -> NDArray[np.complex128]:
        """Return the averaged complex parameter.

        Returns
        -------
        Ratio of amplitudes, with the electrical delay that was recorded, shape (points,); phases count as e^{+jωt}.

        Raises
        ------
        OverloadError
            If a value is an over-range marker, or the error queue reports an overload.
        ReadingError
            If the analyzer is not connected any more, or values are not numbers or not possible.
        SettingError
            If a setting changed since `prepare`, in the program or by a reset.
        RejectedCommandError
            If the sweep left an entry in the error queue.

        """
        self.require_preparation()
        query = f":CALC1:TRAC{self._trace}:DATA:SDAT?"
        count = 2 * len(self._axis)
        with self.expecting(count * LONGEST_NUMBER), self.waiting(TIMEOUT_MARGIN):
            values = np.array(self.again(lambda: self.ask_reading(query, count)))
        if not np.all(np.isfinite(values)):
            raise self.no_trace(query, "has values that are not numbers")
        if np.any(np.abs(values) >= OVERFLOW):
            raise OverloadError(self.described, f"{query!r} has over-range markers.", "Reduce the power at its input.")
        self.write(f":CALC1:PAR{self._trace}:SEL")  # its delay is compared
        self.check_errors()
        self.require_ready()
        self.require_unchanged("after the measurement")
        return self.ratios(values, query, float(self._confirmed[":SOUR1:POW?"]))
