"""What network analyzers have in common: checks of a sweep and of its ratios, states that firmware may lack.

A state that an earlier user has left, and that changes the numbers, is set (`choose`, `choose_if_known`). A calibration
and what belongs to it is the user's: it is recorded, stays as it is, and must not change until the data are read
(`record`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from drivers.answers import possible_ratios, register
from drivers.capabilities import Segment
from drivers.errors import CommunicationError, ReadingError
from drivers.trace_analyzer import EDGE, TraceAnalyzer, check_count, check_range

__all__ = ["NetworkAnalyzer", "SweepLimits"]

# Errors of the exchange itself, which a lost answer leaves, too.
QUERY_ERRORS = "-4"


@dataclass(frozen=True)
class SweepLimits:
    """Limits of a sweep: band, power and IF bandwidth from … to (Hz, dBm, Hz), most points and averages."""

    band: tuple[float, float]
    power: tuple[float, float]
    bandwidth: tuple[float, float]
    points: int
    averages: int


class NetworkAnalyzer(TraceAnalyzer):
    """A vector network analyzer of one S-parameter; a mix-in in front of a QCoDeS class, as `TraceAnalyzer`.

    Parameters
    ----------
    name
        Name in the station.
    address
        VISA resource name.
    parameter
        S-parameter that is measured, such as S11 or S21.
    **options
        Passed to QCoDeS (`visalib`, `timeout`, …).

    """

    PORTS: ClassVar[int] = 4
    MODELS: ClassVar[tuple[str, ...]] = ()
    """Beginnings of the models that the class is for, as in the answer to `*IDN?`; others are logged."""

    def __init__(self, name: str, address: str, parameter: str = "S11", **options: Any) -> None:
        if not re.fullmatch(f"S[1-{self.PORTS}][1-{self.PORTS}]", parameter):
            raise ValueError(
                f"parameter is {parameter!r}; allowed are S11 to S{self.PORTS}{self.PORTS}, two port numbers from 1 to "
                f"{self.PORTS}"
            )
        self._known: dict[str, bool] = {}
        super().__init__(name, address, **options)
        self.parameter = parameter
        model = self._identity.split(",")[1].strip() if self._identity.count(",") else ""
        if self.MODELS and not model.startswith(self.MODELS):
            self.log.warning(
                "%s is a %s; its class is for %s: its limits may be others", self.described, model, self.MODELS
            )

    @property
    def source_port(self) -> str:
        """Number of the port whose source is used."""
        return self.parameter[2]

    def check_sweep(self, limits: SweepLimits, sweep: Mapping[str, Any]) -> None:
        """Raise ValueError for an argument of `prepare` that is out of the instrument's range."""
        center, span = sweep["center"], sweep["span"]
        low, high = limits.band
        check_range("span", span, 1.0, high - low, "Hz")
        check_range("center", center, low + span / 2, high - span / 2, "Hz")
        check_count("points", sweep["points"], 2, limits.points)
        check_range("power", sweep["power"], *limits.power, "dBm")
        check_range("if_bandwidth", sweep["if_bandwidth"], *limits.bandwidth, "Hz")
        check_count("averages", sweep["averages"], 1, limits.averages)

    def check_segments(
        self, limits: SweepLimits, segments: Sequence[Segment], most: int, *, power: float, averages: int
    ) -> None:
        """Raise ValueError for arguments of `prepare_segments` that are out of range, of which `most` are possible."""
        check_count("the number of segments", len(segments), 1, most)
        for segment in segments:
            self.check_sweep(limits, segment._asdict() | {"power": power, "averages": averages})
        check_count("the number of points", sum(segment.points for segment in segments), 2, limits.points)

    def require_rising(self, segments: Sequence[Segment]) -> None:
        """Raise ValueError unless each segment begins beyond the end of the one before."""
        for number, (one, other) in enumerate(pairwise(segments), 1):
            end, start = one.center + one.span / 2, other.center - other.span / 2
            if not start > end + EDGE:
                raise ValueError(
                    f"segment {number} ends at {end:.12g} Hz and segment {number + 1} begins at {start:.12g} Hz; "
                    f"allowed are segments in rising order, more than {EDGE:g} Hz apart"
                )

    def choose_band(self, channel: str, *, center: float, span: float, points: int) -> None:
        """Set the band (Hz) and its points below the header `channel`, and read them back."""
        self.apply(f"{channel}FREQ:CENT", center, tolerance=1.0)
        self.apply(f"{channel}FREQ:SPAN", span, tolerance=1.0)
        self.apply(f"{channel}SWE:POIN", int(points))

    # --- states ------------------------------------------------------------------------------------------------------

    def knows(self, query: str) -> bool:
        """Whether the instrument has a state; it is asked once. One that it does not have is not answered.

        Raises
        ------
        CommunicationError
            If it does not answer for another reason: its error queue does not say that the query was rejected.

        """
        if query not in self._known:
            self._known[query] = self._answers(query)
        return self._known[query]

    def _answers(self, query: str) -> bool:
        try:
            self.ask(query)
        except CommunicationError:
            self.lost_step()
            self.regain_step()
            # An unknown header (firmware) or an option that is not installed.
            rejections = [entry for entry in self._drain() if not entry.startswith(QUERY_ERRORS)]
            if not rejections:
                raise
            self.log.info("%s does not have %s (%s): it is not checked", self.described, query, rejections[0])
            return False
        return True

    def choose_if_known(self, command: str, value: str) -> None:
        """As `choose`, where the instrument has that state."""
        if self.knows(f"{command}?"):
            self.choose(command, value)

    def record(self, query: str, what: str) -> None:
        """Read whether `what` is on, which stays as it is; `require_unchanged` compares it again later."""
        if self.knows(query):
            on = self.ask_flag(query)
            self._confirmed[query] = float(on)
            if on:
                self.log.warning("%s applies %s, as an earlier user has set it (%s)", self.described, what, query)

    def state(self, query: str) -> bool | None:
        """Whether a state is on; None if the instrument does not have it."""
        return self.ask_flag(query) if self.knows(query) else None

    def check_hardware(self, query: str, faults: dict[int, str]) -> None:
        """Read a status register.

        Raises
        ------
        ReadingError
            If one of its bits `faults` is set: the data are not those of the settings.

        """
        if not self.knows(query):
            return
        self.distinguish(lambda answer: register(answer) is not None)
        bits = self.again(lambda: self.ask_register(query))
        said = ", ".join(text for bit, text in faults.items() if bits >> bit & 1)
        if said:
            raise ReadingError(
                self.described,
                f"{query} is {bits}: {said}.",
                "The data of this sweep are not valid: check the power, the wiring and the reference, then repeat it.",
            )

    # --- data --------------------------------------------------------------------------------------------------------

    def ratios(self, values: NDArray[np.float64], query: str, power: float) -> NDArray[np.complex128]:
        """Real and imaginary parts in turn as complex numbers, if they can be this parameter at a `power` (dBm).

        Raises
        ------
        ReadingError
            If a value is not possible.

        """
        ratios = np.ascontiguousarray(values).view(np.complex128)
        if not possible_ratios(ratios, reflection=self.parameter[1] == self.source_port, power=power):
            largest = np.max(np.abs(ratios))
            raise self.no_trace(
                query, f"has values of {self.parameter} up to {largest:.3g}, which is not possible at {power:g} dBm"
            )
        return ratios
