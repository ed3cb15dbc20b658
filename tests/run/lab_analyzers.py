"""Network analyzers as a lab's own package has them; the twin has no panel of them, so a stand-in fills the role."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qcodes.instrument import Instrument

from drivers.capabilities import Segment


class PlainAnalyzer(Instrument):
    """One that sweeps one band; nothing here opens it."""

    def __init__(self, name: str, address: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)

    def prepare(
        self, *, center: float, span: float, points: int, power: float, if_bandwidth: float, averages: int
    ) -> None:
        raise NotImplementedError

    def frequencies(self) -> NDArray[np.float64]:
        raise NotImplementedError

    def duration(self) -> float:
        raise NotImplementedError

    def start(self) -> None:
        raise NotImplementedError

    def finished(self) -> bool:
        raise NotImplementedError

    def fetch(self) -> NDArray[np.complex128]:
        raise NotImplementedError

    def abort(self) -> None:
        raise NotImplementedError


class SegmentedAnalyzer(PlainAnalyzer):
    """One that sweeps several bands at once."""

    most_segments = 10

    def prepare_segments(self, segments: Sequence[Segment], *, power: float, averages: int) -> None:
        raise NotImplementedError
