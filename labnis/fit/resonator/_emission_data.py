"""Spectra of the emitted power: data that cannot be fitted, and warnings derived from the data."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from labnis.fit.arrays import Bool, Real, real_array
from labnis.fit.resonator._biases import GOOD_BIAS, BiasTraces, refuse_few, refuse_impossible_biases, volts
from labnis.fit.result import FitError, FitResult
from labnis.physics import critical_temperature

__all__ = [
    "HIGH_BIAS",
    "EmissionData",
    "few_high",
    "refuse_impossible",
    "refuse_impossible_conditions",
    "spectra_warnings",
    "without_bursts",
]

#: Lower end (gaps across one junction) of the high biases.
HIGH_BIAS = 3.0

# Values beyond this many standard deviations are bursts, unless there are many.
_OUTLIER, _MOST_OUTLIERS, _ROUNDS = 6.0, 0.1, 3
# A trend of the level is significant beyond this many standard deviations.
_TREND = 4.0
# Explanations whose improvements of χ² differ by less than this factor are both possible.
_ALIKE = 0.6
# How much more than its noise the level may scatter, as a ratio of variances.
_UNSTEADY = 3.0
# Changes of the gain below this many of its standard deviations cause no warning; more where they are taken out, so
# that only what they mean is in doubt.
_NEGLIGIBLE, _NEGLIGIBLE_TAKEN_OUT = 0.3, 1.0
# This many equal values at the end of the range mean clipping, if they are more than twice those next to it.
_CLIPPED, _PILE = 10, 2


@dataclass(frozen=True)
class EmissionData(BiasTraces):
    """Noise spectra at n biases and m frequencies, in the order in which they were measured.

    Attributes
    ----------
    device_voltage
        Voltage across the device (V), shape (n,), in any order.
    frequency
        Frequencies (Hz), shape (m,), increasing.
    spectrum
        Power spectral density at the analyzer (W/Hz), shape (n, m). A common factor, such as mW for W, is
        indistinguishable from gain.
    fridge_temperature
        Temperature of the stage (K) that sets the photon number of the line and the excess bath.
    noise_bandwidth
        Of the analyzer's filter (Hz), which smears the line; 0 where it is not known.

    Raises
    ------
    FitError
        For shapes that do not agree, complex or negative values, frequencies that do not increase.

    """

    traces = "spectrum"

    spectrum: Real
    fridge_temperature: float
    noise_bandwidth: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        spectrum = real_array("spectrum", self.spectrum, advice="give the power density in W/Hz")
        object.__setattr__(self, "spectrum", spectrum)
        object.__setattr__(self, "fridge_temperature", float(self.fridge_temperature))
        super().__post_init__()
        if (spectrum < 0).any():
            raise FitError(
                f"spectrum contains {np.nanmin(spectrum):.4g} and no power density is negative; give W/Hz, which "
                "is 1e-3·10^(p/10) per noise bandwidth for p in dBm"
            )
        if not self.fridge_temperature >= 0:
            raise FitError(f"fridge_temperature is {self.fridge_temperature} K; it must be 0 or more")

    def through_filter(self, density: Real) -> Real:
        """`density`, shape (n, m, …), as the analyzer's filter shows it, to second order of its width.

        The filter is a Gaussian, whose variance is that of its noise bandwidth over √(2π).
        """
        if not self.noise_bandwidth:
            return density
        step = np.diff(self.frequency).reshape(-1, *(1,) * (density.ndim - 2))
        below, above = step[:-1], step[1:]
        slope = np.diff(density, axis=1) / step
        curvature = 2 * np.diff(slope, axis=1) / (below + above)
        seen = density.copy()
        seen[:, 1:-1] += self.noise_bandwidth**2 / (4 * np.pi) * curvature
        return seen

    @property
    def usable(self) -> Bool:
        """Biases at which everything is finite, and the spectrum not 0 everywhere, shape (n,)."""
        return super().usable & self.spectrum.any(axis=1)


def refuse_impossible(data: EmissionData, known: FitResult) -> None:
    """Raise FitError for `data` that do not belong to the `known` device, or are in wrong units."""
    refuse_few(data, "spectra")
    data = data.finite()
    (low, high), resonance = data.frequency[[0, -1]], known["ohmic_frequency"].value
    if not low < resonance < high:
        raise FitError(
            f"the band from {low:.6g} to {high:.6g} Hz does not contain the resonance at {resonance:.6g} Hz; centre "
            "the analyzer there, and give frequency in Hz"
        )
    refuse_impossible_conditions(data, known["gap"].value)
    _refuse_clipped(data.spectrum)


def refuse_impossible_conditions(data: EmissionData, gap: float) -> None:
    """Raise FitError for biases that stay inside the `gap` (eV) or are far too large, or for a fridge above T_c."""
    refuse_impossible_biases(data, gap, "nothing is emitted below 1")
    critical = critical_temperature(gap)
    if not data.fridge_temperature < critical:
        raise FitError(
            f"fridge_temperature is {data.fridge_temperature:.4g} K and the junctions superconduct below "
            f"{critical:.3g} K; give it in K"
        )


def _refuse_clipped(spectrum: Real) -> None:
    """Raise FitError where the extreme values occur too often: noise is rare there even if it is rounded."""
    for what, end, inner in (
        ("largest", spectrum.max(), spectrum[spectrum < spectrum.max()].max(initial=-np.inf)),
        ("smallest", spectrum.min(), spectrum[spectrum > spectrum.min()].min(initial=np.inf)),
    ):
        count = int((spectrum == end).sum())
        if count >= _CLIPPED and count > _PILE * int((spectrum == inner).sum()):
            raise FitError(
                f"{count} of {spectrum.size} values of the spectra equal the {what}, {end:.4g} W/Hz: the analyzer "
                "clips; choose another input range or reference level and measure again"
            )


def spectra_warnings(
    data: EmissionData, emitted: Real, *, gap: float, gain_sigma: float, fewest_high: int, taken_out: bool = False
) -> tuple[str, ...]:
    """Warnings about a fit, derived from finite `data`.

    Parameters
    ----------
    data
        The data that were fitted.
    emitted
        Fitted emission behind the chain (W/Hz), shape (n, m).
    gap
        Of the junctions (eV).
    gain_sigma
        Uncertainty of the gain (dB) that the fit states.
    fewest_high
        Number of high biases that the fit should have.
    taken_out
        Whether the fit takes a change of the level out, as one of the gain.

    """
    found = [*few_high(data, gap, fewest_high)]
    repeated = int((np.diff(data.spectrum, axis=0) == 0).all(axis=1).sum())
    if repeated:
        found.append(
            f"{repeated} of {data.spectrum.shape[0]} spectra repeat the one before: the analyzer did not sweep; wait "
            "for the end of its sweep before reading"
        )
    return (*found, *_unsteady_level(data, emitted, gain_sigma, taken_out=taken_out))


def few_high(data: BiasTraces, gap: float, fewest: int) -> tuple[str, ...]:
    """A warning where fewer than `fewest` biases are high for a `gap` (eV)."""
    high = int((np.abs(data.device_voltage) > data.array.series * HIGH_BIAS * gap).sum())
    if high >= fewest:
        return ()
    return (
        f"{high} of {data.device_voltage.size} biases are high, beyond {volts(HIGH_BIAS * gap, data.array)}, and a "
        f"trustworthy gain needs {fewest}; sweep to {volts(GOOD_BIAS * gap, data.array)}",
    )


class _Trend(NamedTuple):
    """A straight line through the level: change from the smallest to the largest abscissa, and by how much χ² falls."""

    change: float
    improvement: float


def _unsteady_level(data: EmissionData, emitted: Real, gain_sigma: float, *, taken_out: bool) -> tuple[str, ...]:
    """Warning where the noise of the chain changes: it falls under compression, and drifts with the gain.

    Where the change is taken out as one of the gain, half of it is in doubt: the gain is that of the middle of the run,
    which a compression has lowered by half of its largest, and what changes may be the noise temperature.
    """
    seen = _Seen.of(data, emitted)
    level, sigma = seen.level, seen.sigma
    # Neighbouring bins of a real analyzer are alike, so that the level scatters more than independent bins would.
    inflation = max(1.0, float(np.mean(np.diff(level / sigma) ** 2)) / 2)
    by_power = _trend(level, inflation * sigma**2, emitted.mean(axis=1))
    by_order = _trend(level, inflation * sigma**2, np.arange(level.size, dtype=np.float64))
    best = max(by_power, by_order, key=lambda trend: trend.improvement)
    excess = float((((level - level.mean()) / sigma) ** 2).sum()) / (level.size - 1)
    steady = best.improvement < _TREND**2
    change = float(level.std(ddof=1)) if steady else abs(best.change)
    # A change of the noise is taken for emission of the same size.
    # So large is the part of the gain that is lost in a compression, too.
    part = float(seen.noise.sum() / np.ptp(emitted.sum(axis=1)))
    if taken_out:
        part = 1.0 if steady else 0.5
    moved = 10 / np.log(10) * change * part
    least = _NEGLIGIBLE_TAKEN_OUT if taken_out else _NEGLIGIBLE
    if moved < least * gain_sigma or (steady and excess < _UNSTEADY):
        return ()
    size = f"{change * 100:.2g} %, which may move the gain by {moved:.1g} dB"
    if steady:
        return (
            f"the chain's noise varies from spectrum to spectrum by {size}: gain or noise of the chain is unsteady "
            "and the true uncertainties are larger; look at its supplies and temperature",
        )
    return (_trend_warning(by_power, by_order, size),)


def _trend_warning(by_power: _Trend, by_order: _Trend, size: str) -> str:
    """Name the cause of a trend; a sweep in one direction does not separate power from time."""
    improvements = by_power.improvement, by_order.improvement
    if by_power.change < 0 and min(improvements) > _ALIKE * max(improvements):
        return (
            f"the chain's noise falls, with the emitted power or with time, by {size}: the amplifier is compressed, or "
            "its gain drifts; to distinguish, sweep the bias up and down (direction=up-down); then attenuate before "
            "the last amplifiers or let the chain settle"
        )
    if by_power.change < 0 and by_power.improvement > by_order.improvement:
        return (
            f"the chain's noise falls as the emitted power grows, by {size}: the amplifier is compressed and the gain "
            "too low; attenuate before the last amplifiers, or sweep less far"
        )
    return (
        f"the chain's noise drifts in the course of the run by {size}: let the chain settle, or sweep the bias up and "
        "down (direction=up-down), so that a drift averages out"
    )


class _Seen(NamedTuple):
    """Spectra and their expectation with the level of the noise and the height of the line free at each bias.

    `noise` (m,) and `expected` (n, m) are in W/Hz, `counts` (n, m) says which values are no bursts, and `level` with
    its `sigma` (n,) is the relative change of the noise of the chain.
    """

    noise: Real
    expected: Real
    counts: Bool
    level: Real
    sigma: Real

    @classmethod
    def of(cls, data: EmissionData, emitted: Real) -> "_Seen":
        # Medians are robust to spurs and bursts.
        noise = np.median(data.spectrum - emitted, axis=0)
        expected = noise + emitted
        rest = data.spectrum / expected - 1
        background, line = noise / expected, emitted / expected
        # Rounding can make the scatter 0.
        scatter = max(1.4826 * float(np.median(np.abs(rest))), 1e-9)
        change = np.zeros_like(rest)
        for _ in range(_ROUNDS):
            counts = np.abs(rest - change) <= _OUTLIER * scatter
            both, lines = (counts * background * line).sum(axis=1), (counts * line**2).sum(axis=1)
            # At zero bias there is no line.
            divisor = np.where(lines > 0, lines, 1.0)
            alone = counts * (background - (both / divisor)[:, None] * line)
            strength = (alone * background).sum(axis=1)
            level = (alone * rest).sum(axis=1) / strength
            height = (counts * line * (rest - level[:, None] * background)).sum(axis=1) / divisor
            change = level[:, None] * background + height[:, None] * line
        return cls(noise, expected * (1 + change), counts, level, scatter / np.sqrt(strength))


def without_bursts(data: EmissionData, emitted: Real) -> tuple[EmissionData, tuple[str, ...]]:
    """Replace bursts by the values expected from the rest of the same spectrum, and say how many if there are any.

    Only the shape of the emission `emitted` (n, m) is used.
    """
    seen = _Seen.of(data, emitted)
    count = int((~seen.counts).sum())
    # Where many values are far off, the model is wrong rather than the data.
    if count == 0 or count > _MOST_OUTLIERS * seen.counts.size or seen.expected.min() < 0:
        return data, ()
    calm = replace(data, spectrum=np.where(seen.counts, data.spectrum, seen.expected))
    return calm, (
        f"{count} of {seen.counts.size} values of the spectra lie more than {_OUTLIER:g}σ off and were replaced by "
        "values expected from the others",
    )


def _trend(level: Real, variance: Real, abscissa: Real) -> _Trend:
    weight = 1 / variance
    centred = abscissa - np.average(abscissa, weights=weight)
    spread = float((weight * centred**2).sum())
    slope = float((weight * centred * level).sum()) / spread
    return _Trend(slope * float(np.ptp(abscissa)), slope**2 * spread)
