"""Traces at many biases; how far the biases should extend, and which ones mean a wrong unit."""

from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np

from labnis.fit.arrays import Bool, Real, real_columns
from labnis.fit.junction._array import JunctionArray, Junctions
from labnis.fit.result import FitError

__all__ = [
    "BENT",
    "GOOD_BIAS",
    "JITTER",
    "KERR",
    "PROPORTIONAL",
    "TRACE_JITTER",
    "AtBiases",
    "BiasTraces",
    "check_hertz",
    "gigahertz",
    "refuse_far_biases",
    "refuse_few",
    "refuse_impossible_biases",
    "volts",
]

#: What a fit of a resonance may lack, with its size, and kinds of uneven noise.
BENT = "the resonance looks bent"
KERR = (
    f"{BENT}, as by a frequency that depends on the power in it (a Kerr effect), by about {{:.3g}} Hz at the peak, or "
    "that moved during the trace: repeat it, also with less power"
)
TRACE_JITTER = (
    "the resonance frequency jitters from trace to trace, by about {:.3g} Hz: the true uncertainties are larger; "
    "measure faster, or look for charge noise, vibrations and an unsteady bias"
)
JITTER = "a resonance frequency that jitters from point to point"
PROPORTIONAL = "noise in proportion to the signal"

# Fewest traces, and fewest points of each, for the parameters of a line that the bias changes.
_FEWEST_BIASES, _FEWEST_FREQUENCIES = 4, 6
# Where a sweep should end (gaps): the truncation of a high-bias expansion is negligible there.
GOOD_BIAS = 10.0
# Resonators are above (Hz); frequencies in MHz and GHz are not.
_LOWEST_FREQUENCY = 1e5
# No junction is biased beyond this (gaps); voltages in mV are.
_IMPOSSIBLE_BIAS = 300.0


@dataclass(frozen=True)
class AtBiases:
    """What was measured at n voltages (V) across the device.

    `junctions` are those of the device: 1, 2 (a pair in series) or (series, parallel) of an array. `time` is when each
    was measured (s), shape (n,); by default they are in the order of measurement, evenly spaced.
    """

    device_voltage: Real
    time: Real | None = field(default=None, kw_only=True)
    junctions: Junctions = field(default=2, kw_only=True)

    @property
    def array(self) -> JunctionArray:
        """The junctions of the device."""
        return JunctionArray.of(self.junctions)

    @property
    def course(self) -> Real:
        """Time, or where it is not known order, of each, shape (n,)."""
        return np.arange(self.device_voltage.size, dtype=np.float64) if self.time is None else self.time

    def _check_time(self) -> None:
        """Make numbers of the time; FitError where it has another shape than the voltage."""
        if self.time is not None:
            object.__setattr__(self, "time", real_columns(device_voltage=self.device_voltage, time=self.time)[1])


@dataclass(frozen=True)
class BiasTraces(AtBiases):
    """Traces at n voltages (V) across the device and m increasing frequencies (Hz)."""

    #: Name of the attribute with the traces, shape (n, m).
    traces: ClassVar[str]

    frequency: Real

    def __post_init__(self) -> None:
        for name in ("device_voltage", "frequency"):
            object.__setattr__(self, name, real_columns(**{name: getattr(self, name)})[0])
        found, expected = getattr(self, self.traces).shape, (self.device_voltage.size, self.frequency.size)
        if found != expected:
            raise FitError(f"{self.traces} has shape {found}; {expected} is needed (biases, frequencies)")
        self._check_time()
        if not (np.diff(self.frequency) > 0).all():
            raise FitError("frequency does not increase from one point to the next; sort the traces by frequency")

    @property
    def usable(self) -> Bool:
        """Biases at which everything is finite, shape (n,)."""
        return np.asarray(
            np.isfinite(getattr(self, self.traces)).all(axis=1) & np.isfinite(self.device_voltage + self.course)
        )

    def place(self, datum: int) -> str:
        """Bias and frequency of a value of the traces, by its number in their flat order, in words."""
        bias, at = divmod(datum, self.frequency.size)
        return f"{gigahertz(float(self.frequency[at]))} and {1e3 * self.device_voltage[bias]:.4g} mV"

    def finite(self) -> Self:
        """Return the data at the usable biases."""
        usable = self.usable
        traces = {self.traces: getattr(self, self.traces)[usable]}
        time = None if self.time is None else self.time[usable]
        return replace(self, device_voltage=self.device_voltage[usable], time=time, **traces)


def gigahertz(frequency: float) -> str:
    """A frequency (Hz) in words, to 1 kHz."""
    return f"{1e-9 * frequency:.6f} GHz"


def check_hertz(frequency: Real) -> None:
    """Raise FitError for frequencies (Hz), shape (n,), that no resonator of a network analyzer has."""
    if frequency.size and not frequency.min() > _LOWEST_FREQUENCY:
        raise FitError(f"frequency begins at {frequency.min():.6g}; give it in Hz, not in MHz or GHz")


def volts(energy: float, array: JunctionArray) -> str:
    """Voltage across the device at which each junction has this energy (eV)."""
    return f"{array.series * energy * 1e3:.2g} mV across the device"


def refuse_few(data: BiasTraces, what: str) -> None:
    """Raise FitError where too few of the traces, in words `what`, are usable, or have too few frequencies."""
    every, usable = data.device_voltage.size, int(data.usable.sum())
    if data.frequency.size < _FEWEST_FREQUENCIES:
        raise FitError(
            f"{data.frequency.size} frequencies are too few; at least {_FEWEST_FREQUENCIES} are needed, over the "
            "resonance and both sides of it"
        )
    if usable < _FEWEST_BIASES:
        rest = f"; {every - usable} of {every} have a value that is not finite, or all are 0" if usable < every else ""
        raise FitError(f"{usable} usable {what} are too few; at least {_FEWEST_BIASES} biases are needed{rest}")


def refuse_impossible_biases(data: BiasTraces, gap: float, why: str) -> None:
    """Raise FitError for biases that stay inside the `gap` (eV; `why`), or are far too large."""
    in_gaps = np.abs(data.device_voltage) / (data.array.series * gap)
    if in_gaps.max() < 1:
        raise FitError(
            f"the largest bias is {in_gaps.max():.3g} gaps across one junction, and {why}; "
            f"sweep to {volts(GOOD_BIAS * gap, data.array)}, and give device_voltage in V"
        )
    refuse_far_biases(data, gap)


def refuse_far_biases(data: BiasTraces, gap: float) -> None:
    """Raise FitError for biases that are far too large for a `gap` (eV)."""
    in_gaps = np.abs(data.device_voltage) / (data.array.series * gap)
    if np.median(in_gaps) > _IMPOSSIBLE_BIAS:
        raise FitError(
            f"half of the biases are above {np.median(in_gaps):.3g} gaps across one junction, which is not possible; "
            "give device_voltage in V"
        )
