"""Stand-ins of a spectrum analyzer and of a vector network analyzer."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from sim_instruments.instruments import SimulatedRole
from sim_instruments.stand_ins.stand_in import Place, StandIn

__all__ = ["NetworkAnalyzer", "SpectrumAnalyzer"]

Number = TypeVar("Number", np.float64, np.complex128)

# Time (s) to step from one point of a network analyzer to the next, beside 1 / IF bandwidth.
POINT_OVERHEAD = 1e-5


class _Analyzer(StandIn, Generic[Number]):
    """A trace that takes time, the mean of all sweeps."""

    def __init__(self, place: Place, role: SimulatedRole) -> None:
        super().__init__(place, role)
        self._axis = np.empty(0)
        self._due: float | None = None
        self._data: NDArray[Number] | None = None

    def _prepared(self, center: float, span: float, points: int) -> None:
        self._prepared_at(np.linspace(center - span / 2, center + span / 2, points))

    def _prepared_at(self, axis: NDArray[np.float64]) -> None:
        self._exchange()
        self._axis = axis
        self._due = self._data = None

    def frequencies(self) -> NDArray[np.float64]:
        """Frequency axis (Hz), shape (points,)."""
        self._exchange()
        return self._axis.copy()

    @abstractmethod
    def duration(self) -> float:
        """Time (s) of an acquisition."""

    @abstractmethod
    def _measure(self) -> NDArray[Number]:
        """The mean of all sweeps, shape (points,)."""

    def start(self) -> None:
        """Begin."""
        self._exchange()
        self._data = None
        self._due = due = self._clock.time() + self.duration()
        self._clock.later(self.duration(), lambda: self._finish(due))

    def _finish(self, due: float) -> None:
        if self._due == due and self._data is None:
            self._data = self._measure()

    def finished(self) -> bool:
        """Whether the data are complete."""
        self._exchange()
        return self._data is not None

    def fetch(self) -> NDArray[Number]:
        """The data, shape (points,); waits until they are complete.

        Raises
        ------
        RuntimeError
            No acquisition was started.

        """
        if self._due is None:
            raise RuntimeError(f"{self.name}: no acquisition was started")
        self._exchange()
        self._clock.sleep(max(0.0, self._due - self._clock.time()))
        self._finish(self._due)
        assert self._data is not None  # noqa: S101  # for mypy: `_finish` measures
        return self._data.copy()

    def abort(self) -> None:
        """End the acquisition."""
        self._exchange()
        self._due = self._data = None


class SpectrumAnalyzer(_Analyzer[np.float64]):
    """A spectrum analyzer; `fetch` returns power spectral density (W/Hz), averaged on the scale of power."""

    def prepare(
        self, *, center: float, span: float, points: int, resolution_bandwidth: float, sweep_time: float, averages: int
    ) -> None:
        """Set the band (Hz), the noise bandwidth (Hz), the time of one sweep (s) and the sweeps averaged."""
        self._prepared(center, span, points)
        self._sweep_time, self._averages = sweep_time, averages
        self.noise_bandwidth = resolution_bandwidth
        self._samples = max(resolution_bandwidth * sweep_time / max(points - 1, 1), 1.0) * averages

    def duration(self) -> float:
        """Time (s) of an acquisition."""
        return self._sweep_time * self._averages

    def _measure(self) -> NDArray[np.float64]:
        return self._world.power_spectral_density(self._axis, self._samples, self.noise_bandwidth)


class Segment(Protocol):
    """One segment of a sweep: center and span (Hz), points, IF bandwidth (Hz)."""

    center: float
    span: float
    points: int
    if_bandwidth: float


class NetworkAnalyzer(_Analyzer[np.complex128]):
    """A vector network analyzer; `fetch` returns the reflection S11 (ratio of amplitudes)."""

    def prepare(
        self, *, center: float, span: float, points: int, power: float, if_bandwidth: float, averages: int
    ) -> None:
        """Set the band (Hz), the source power (dBm), the IF bandwidth (Hz) and the sweeps averaged."""
        self._prepared(center, span, points)
        self._power, self._averages = 1e-3 * 10 ** (power / 10), averages
        self._parts = [(points, if_bandwidth)]

    def prepare_segments(self, segments: Sequence[Segment], *, power: float, averages: int) -> None:
        """Set the bands, their points and IF bandwidths, the source power (dBm) and the sweeps averaged."""
        ends = [(one.center - one.span / 2, one.center + one.span / 2, one.points) for one in segments]
        self._prepared_at(np.concatenate([np.linspace(*each) for each in ends]))
        self._power, self._averages = 1e-3 * 10 ** (power / 10), averages
        self._parts = [(one.points, one.if_bandwidth) for one in segments]

    def duration(self) -> float:
        """Time (s) of an acquisition."""
        return self._averages * sum(points * (1 / bandwidth + POINT_OVERHEAD) for points, bandwidth in self._parts)

    def _measure(self) -> NDArray[np.complex128]:
        ends = np.cumsum([points for points, _ in self._parts])[:-1]
        parts = zip(np.split(self._axis, ends), self._parts, strict=True)
        return np.concatenate(
            [self._world.reflection(axis, self._power, bandwidth / self._averages) for axis, (_, bandwidth) in parts]
        )
