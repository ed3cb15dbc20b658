"""Traces at many biases; how far the biases should extend, and which ones mean a wrong unit."""

from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np

from labnis.fit.arrays import Bool, Real, real_columns
from labnis.fit.result import FitError

__all__ = ["GOOD_BIAS", "BiasTraces", "refuse_impossible_biases", "volts"]

# Where a sweep should end (gaps): the truncation of a high-bias expansion is negligible there.
GOOD_BIAS = 10.0
# No junction is biased beyond this (gaps); voltages in mV are.
_IMPOSSIBLE_BIAS = 300.0


@dataclass(frozen=True)
class BiasTraces:
    """Traces at n voltages (V) across the SINIS pair and m increasing frequencies (Hz).

    `time` is when each was measured (s), shape (n,); by default they are in the order of measurement, evenly spaced.
    """

    #: Name of the attribute with the traces, shape (n, m).
    traces: ClassVar[str]

    device_voltage: Real
    frequency: Real
    time: Real | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("device_voltage", "frequency"):
            object.__setattr__(self, name, real_columns(**{name: getattr(self, name)})[0])
        found, expected = getattr(self, self.traces).shape, (self.device_voltage.size, self.frequency.size)
        if found != expected:
            raise FitError(f"{self.traces} has shape {found}; {expected} is needed (biases, frequencies)")
        if self.time is not None:
            object.__setattr__(self, "time", real_columns(device_voltage=self.device_voltage, time=self.time)[1])
        if not (np.diff(self.frequency) > 0).all():
            raise FitError("frequency does not increase from one point to the next; sort the traces by frequency")

    @property
    def course(self) -> Real:
        """Time, or where it is not known order, of each trace, shape (n,)."""
        return np.arange(self.device_voltage.size, dtype=np.float64) if self.time is None else self.time

    @property
    def usable(self) -> Bool:
        """Biases at which everything is finite, shape (n,)."""
        return np.asarray(
            np.isfinite(getattr(self, self.traces)).all(axis=1) & np.isfinite(self.device_voltage + self.course)
        )

    def finite(self) -> Self:
        """Return the data at the usable biases."""
        usable = self.usable
        traces = {self.traces: getattr(self, self.traces)[usable]}
        time = None if self.time is None else self.time[usable]
        return replace(self, device_voltage=self.device_voltage[usable], time=time, **traces)


def volts(energy: float) -> str:
    """Voltage across the device at which each junction has this energy (eV)."""
    return f"{2 * energy * 1e3:.2g} mV across the device"


def refuse_impossible_biases(device_voltage: Real, gap: float, why: str) -> None:
    """Raise FitError for biases (V, across the pair) that stay inside the `gap` (eV; `why`), or are far too large."""
    in_gaps = np.abs(device_voltage) / (2 * gap)
    if in_gaps.max() < 1:
        raise FitError(
            f"the largest bias is {in_gaps.max():.3g} gaps across one junction, and {why}; "
            f"sweep to {volts(GOOD_BIAS * gap)}, and give device_voltage in V"
        )
    if np.median(in_gaps) > _IMPOSSIBLE_BIAS:
        raise FitError(
            f"half of the biases are above {np.median(in_gaps):.3g} gaps across one junction, which is not possible; "
            "give device_voltage in V"
        )
