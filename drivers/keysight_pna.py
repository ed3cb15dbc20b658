"""Keysight's PNA and ENA families of network analyzers as vector network analyzers of one complex parameter.

From Keysight's help of the network analyzers (SCPI command tree): `SDATA` is read after the error terms, before trace
mathematics, gating, electrical delay, offsets, smoothing and format, so that those change nothing (data access map).

What others have seen:

- A trigger source that is not the internal one waits for ever (QCoDeS pull request 1244): it is set, and a sweep that
  does not end is an error of `Roles.acquire`.
- Points of a long block were wrong (QCoDeS issue 3054): the length of a block and its end are checked.
- With an equation on a trace, its data are those of the parameter measured last: it is switched off.
"""

import re
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from drivers.capabilities import Segment
from drivers.errors import ReadingError, SettingError
from drivers.network_analyzer import NetworkAnalyzer, SweepLimits
from drivers.trace_analyzer import EDGE, limits_of

__all__ = ["KeysightPNA"]

# Names and parameters of traces. The names are sent back: nothing in them may end a command.
CATALOG = re.compile(r'''"([^"';\x00-\x1f]*)"''')
CHANNELS = re.compile(r'"?(\d+(?:,\d+)*)"?')
#: Bits of the hardware integrity register.
HARDWARE, FAULTS = ":STAT:QUES:INT:HARD:COND?", {1: "phase lock is lost", 2: "the source is not leveled"}
MOST_POINTS = 100_001
#: States that are the user's: query → what they apply.
RECORDED = {
    "correction": (":SENS:CORR:STAT?", "a calibration"),
    "port_extensions": (":SENS:CORR:EXT:STAT?", "port extensions"),
    "fixture": (":CALC:FSIM:STAT?", "a fixture (embedding, de-embedding or port impedances)"),
}


class KeysightPNA(NetworkAnalyzer):
    """A mix-in in front of one of QCoDeS's classes of this family; see `NetworkAnalyzer`."""

    BEGIN, END = ":SENS:SWE:MODE GRO", ":ABOR;:SENS:SWE:MODE HOLD"
    BY_NUMBER: ClassVar[bool] = False
    """Whether data are queried by the number of the measurement, as newer models want."""
    most_segments: ClassVar[int] = 200
    """Most segments of a sweep; the instruments allow more."""

    def __init__(self, name: str, address: str, parameter: str = "S11", **options: Any) -> None:
        super().__init__(name, address, parameter, **options)
        self._put_off.clear()  # it would select the trace that is selected
        # QCoDeS calls the lowest frequency `start`; in the role it begins an acquisition.
        self.remove_parameter("start")
        vars(self)["start"] = self.begin
        for state, (query, what) in RECORDED.items():
            self.add_parameter(state, get_cmd=lambda query=query: self.state(query), docstring=f"Whether {what} is on.")

    def prepare(
        self, *, center: float, span: float, points: int, power: float, if_bandwidth: float, averages: int
    ) -> None:
        """Set up the sweep, read every setting back, and switch the source on after its power is verified.

        Parameters
        ----------
        center, span
            Band (Hz).
        points
            Points of the sweep, 2 to 100001.
        power
            Source power at the port (dBm).
        if_bandwidth
            IF bandwidth (Hz), one of the instrument's: 1, 1.5, 2, 3, 5, 7 × 10ⁿ up to 100 kHz.
        averages
            Sweeps averaged, 1 to 65536.

        Raises
        ------
        ValueError
            An argument is out of range; nothing is sent then.
        SettingError
            The instrument did not accept a setting, or its channel 1 is not one of S-parameters.
        RejectedCommandError
            Its error queue has an entry.

        """
        sweep = {"center": center, "span": span, "points": points, "power": power, "averages": averages}
        self.check_sweep(self._limits(), sweep | {"if_bandwidth": if_bandwidth})
        self._prepare_channel()
        self.choose(":SENS:SWE:TYPE", "LIN")
        self.choose_band(":SENS:", center=center, span=span, points=points)
        self.apply(":SENS:BAND", if_bandwidth, tolerance=1e-6 * if_bandwidth)
        duration = averages * self._prepare_source(power, averages, points / if_bandwidth, points)
        self.end_preparation(":SENS:", center=center, span=span, points=int(points), duration=duration)

    def prepare_segments(self, segments: Sequence[Segment], *, power: float, averages: int) -> None:
        """As `prepare`, for several bands in one sweep (`drivers.capabilities.SegmentedSweep`).

        Parameters
        ----------
        segments
            Center and span (Hz), points and IF bandwidth (Hz) of each; they may overlap.
        power, averages
            As of `prepare`.

        Raises
        ------
        ValueError
            There is no segment, there are more than `most_segments`, or an argument is out of range; nothing is sent
            then.
        SettingError, RejectedCommandError
            As `prepare`.

        """
        self.check_segments(self._limits(), segments, self.most_segments, power=power, averages=averages)
        self._prepare_channel()
        self.write(":SENS:SEGM:DEL:ALL")
        self.choose(":SENS:SEGM:ARB", "1")  # or else a segment would move its neighbours
        self.choose(":SENS:SEGM:BWID:CONT", "1")
        self.choose(":SENS:SEGM:POW:CONT", "0")
        axes = [self._add_segment(number, segment) for number, segment in enumerate(segments, 1)]
        self.require(":SENS:SEGM:COUN?", len(segments))
        self.choose(":SENS:SWE:TYPE", "SEGM")
        readings = sum(segment.points / segment.if_bandwidth for segment in segments)
        points = sum(segment.points for segment in segments)
        self.confirm_preparation(
            np.concatenate(axes), averages * self._prepare_source(power, averages, readings, points)
        )

    def _add_segment(self, number: int, segment: Segment) -> NDArray[np.float64]:
        """Add a segment; its frequencies as the instrument reads back its ends."""
        header = f":SENS:SEGM{number}"
        self.write(f"{header}:ADD")
        self.choose(header, "1")
        self.apply(f"{header}:SWE:POIN", int(segment.points))
        self.apply(f"{header}:BWID", segment.if_bandwidth, tolerance=1e-6 * segment.if_bandwidth)
        start = self.apply(f"{header}:FREQ:STAR", segment.center - segment.span / 2, tolerance=EDGE)
        stop = self.apply(f"{header}:FREQ:STOP", segment.center + segment.span / 2, tolerance=EDGE)
        return np.linspace(start, stop, int(segment.points))

    def _limits(self) -> SweepLimits:
        limits: Any = self  # of QCoDeS's class
        band, powers = (limits.min_freq, limits.max_freq), limits_of(limits.power)
        return SweepLimits(band, powers, (1.0, 15e6), MOST_POINTS, 65_536)

    def _prepare_channel(self) -> None:
        """First part of a preparation: the trace, and all states that do not belong to a band."""
        self.begin_preparation()
        self._require_s_parameters()
        self._select_parameter()
        self.choose(":SENS:SWE:MODE", "HOLD")
        self._hold_other_channels()
        self._choose_states()

    def _prepare_source(self, power: float, averages: int, readings: float, points: int) -> float:
        """Set power and averages, then switch the source on; return the time of one sweep (s).

        One sweep takes `readings` (s), the points' reciprocal IF bandwidths, and the instrument's overhead.
        """
        self.apply(f":SOUR:POW{self.source_port}", power, tolerance=0.01)
        self.apply(":SENS:AVER:COUN", int(averages))
        self.apply(":SENS:SWE:GRO:COUN", int(averages))
        for query, what in RECORDED.values():
            self.record(query, what)
        self.choose_if_known(f":SOUR:POW{self.source_port}:MODE", "AUTO")
        self.choose(":OUTP", "1")
        sweep_time = self.ask_within(":SENS:SWE:TIME?", 0.2 * readings, 10 * readings + 0.01 * points + 10.0)
        self._confirmed[":SENS:SWE:TIME?"] = sweep_time
        return sweep_time

    def _require_s_parameters(self) -> None:
        query = ":SENS:CLAS:NAME?"
        if self.knows(query):
            found = self.again(lambda: self.ask(query)).strip()
            if found.strip('"').upper() != "STANDARD":
                raise SettingError(
                    self.described,
                    f"its channel 1 is of the measurement class {found[:80]} ({query}); Standard is needed.",
                    "Save what is needed of it, then preset the instrument.",
                )

    def _hold_other_channels(self) -> None:
        """Stop other channels, which would take turns with this one."""
        query = ":SYST:CHAN:CAT?"
        if not self.knows(query):
            return
        answer = self.again(lambda: self.ask(query))
        listed = CHANNELS.fullmatch(answer.strip())
        if listed is None:
            raise self.unexpected(answer, query, "a list of channels")
        if listed[1] != "1":
            self.log.warning("%s has the channels %s: all are put on hold", self.described, listed[1])
            self.write(":SYST:CHAN:HOLD")

    def _choose_states(self) -> None:
        """Set what an earlier user may have left: triggers, sweep, averaging, source, filters, byte order."""
        self.choose(":TRIG:SOUR", "IMM")
        self.choose_if_known(":TRIG:SCOP", "ALL")
        self.choose_if_known(":SENS:SWE:TRIG:MODE", "CHAN")
        self.choose_if_known(":SENS:SWE:GEN", "STEP")
        self.choose_if_known(":SENS:SWE:SPE", "NORM")
        self.choose_if_known(":SENS:SWE:DWEL:AUTO", "1")
        if self.knows(":SENS:SWE:DWEL:SDEL?"):
            self.apply(":SENS:SWE:DWEL:SDEL", 0.0)
        self.choose(":SENS:SWE:TIME:AUTO", "1")
        self.choose(":SENS:AVER:MODE", "SWE")
        self.choose(":SENS:AVER", "1")
        self.choose(":FORM:BORD", "NORM")
        self.choose_if_known(":SOUR:POW:SLOP:STAT", "0")
        self.choose_if_known(":SENS:IF:FILT:AUTO", "1")
        self.choose_if_known(":SENS:FOM", "0")
        self.choose_if_known(":CALC:EQU", "0")

    def _select_parameter(self) -> None:
        """Select the trace that measures `parameter`; define one if there is none."""
        traces = self.again(self._catalog)
        name = next((name for name, parameter in traces if parameter == self.parameter), "")
        if not name:
            name = f"labnis_{self.parameter}"
            self.write(f":CALC:PAR:DEF:EXT '{name}','{self.parameter}'")
        self.write(f":CALC:PAR:SEL '{name}'")
        self._confirmed[":CALC:PAR:SEL?"] = name
        if self.BY_NUMBER:
            self._confirmed[":CALC:PAR:MNUM?"] = self.ask_within(":CALC:PAR:MNUM?", 1, 2000)

    def get_trace_catalog(self) -> str:
        """As upstream's; while connecting the selected trace only: upstream selects each to learn its number."""
        catalog: str = super().get_trace_catalog()  # type: ignore[misc]  # of QCoDeS's class
        if not self._opening:
            return catalog
        selected = self.ask(":CALC:PAR:SEL?").strip().strip('"')
        listed = catalog.split(",")
        at = listed.index(selected) if selected in listed[::2] else 0
        return ",".join(listed[at : at + 2])

    def _catalog(self) -> list[tuple[str, str]]:
        """Name and parameter of each trace."""
        answer = self.ask(":CALC:PAR:CAT:EXT?")
        catalog = CATALOG.fullmatch(answer.strip())
        listed = catalog[1].split(",") if catalog else []
        if listed == ["NO CATALOG"]:
            return []
        if not listed or len(listed) % 2:
            raise self.unexpected(answer, ":CALC:PAR:CAT:EXT?", "a list of traces")
        return list(zip(listed[::2], listed[1::2], strict=True))

    def begin(self) -> None:
        """Begin the sweeps and return at once."""
        self.require_preparation()
        self.write(":SENS:AVER:CLE")
        # QCoDeS's own methods may have selected another trace.
        self.write(f":CALC:PAR:SEL '{self._confirmed[':CALC:PAR:SEL?']}'")
        super().begin()

    def fetch(self) -> NDArray[np.complex128]:
        """Return the averaged complex parameter.

        Returns
        -------
        Ratio of amplitudes without electrical delay, shape (points,); phases count as e^{+jωt}.

        Raises
        ------
        OverloadError
            If the receivers were overloaded or a value is an over-range marker.
        ReadingError
            If the block is incomplete, or has values that are not numbers or not possible; if the source was not
            leveled or locked, or the calibration is not valid for this sweep.
        SettingError
            If a setting changed since `prepare`, from the front panel or by a reset.
        RejectedCommandError
            If the sweep left an entry in the error queue.

        """
        self.require_preparation()
        # QCoDeS's own methods read 32-bit numbers: their format is restored.
        number = f"{self._confirmed.get(':CALC:PAR:MNUM?', 1):.0f}"
        query = f":CALC:MEAS{number}:DATA:SDAT?" if self.BY_NUMBER else ":CALC:DATA? SDATA"
        self.write(":FORM REAL,64")
        try:
            values = self.again(lambda: self.ask_block(query, 2 * len(self._axis), ">f8"))
        finally:
            self.write(":FORM REAL,32")
        self.check_errors()
        self.check_hardware(HARDWARE, FAULTS)
        self._check_calibration()
        self.require_unchanged("after the measurement")
        return self.ratios(values, query, float(self._confirmed[f":SOUR:POW{self.source_port}?"]))

    def _check_calibration(self) -> None:
        """Log an interpolated calibration; one that is not valid for this sweep is an error."""
        query = ":CALC:CORR:IND?"
        if not self._confirmed.get(RECORDED["correction"][0]) or not self.knows(query):
            return
        level = self.again(lambda: self.ask(query)).strip()
        if level.upper().startswith("INV"):
            raise ReadingError(
                self.described,
                f"its calibration is not valid for this sweep ({query} answers {level[:20]}).",
                "Calibrate it for this band, or switch the correction off.",
            )
        if not level.upper().startswith("MAST"):
            self.log.warning("%s: the correction of this sweep is %s (%s)", self.described, level[:20], query)
