"""Start values for a resonance in one complex trace (`labnis.fit.resonator.resonance`), for any background slope.

Everything here is in t, the offset from the middle of the band divided by its span: −½ … ½.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.ndimage import median_filter

from labnis.fit.arrays import Complex, Real
from labnis.fit.result import FitError

__all__ = ["SIGNIFICANT", "Rational", "phase_steps", "search", "without_glitches"]

# The largest of some thousand random bumps is 5σ high; anything lower than this may be one.
SIGNIFICANT = 8.0


@dataclass(frozen=True)
class Rational:
    """The model in four complex numbers, e^{g·t}·(constant + residue/(t − pole)), t being offset/span.

    It is analytic in all four, so four complex columns make a Gauss–Newton step. The pole's real part is the resonance
    frequency, its imaginary part half of the full width.
    """

    pole: complex
    growth: complex
    constant: complex
    residue: complex

    @classmethod
    def at(cls, pole: complex, growth: complex, t: Real, s11: Complex) -> "Rational":
        """Constant and residue that fit `s11`, shape of `t`, best."""
        flat, shape = s11 * np.exp(-growth * t), 1 / (t - pole)
        constant, residue = np.linalg.lstsq(np.stack([np.ones_like(shape), shape], axis=-1), flat, rcond=None)[0]
        return cls(pole, growth, constant, residue)

    def refined(self, t: Real, s11: Complex) -> "Rational":
        """One damped step towards `s11`, shape of `t`."""
        shape = 1 / (t - self.pole)
        gamma = self.constant + self.residue * shape
        slopes = np.stack([np.ones_like(shape), shape, self.residue * shape**2, t * gamma], axis=-1)
        constant, residue, pole, growth = np.linalg.lstsq(slopes, s11 * np.exp(-self.growth * t), rcond=None)[0]
        # At most half of the width, so that it never changes its sign.
        pole *= min(1.0, 0.5 * self.pole.imag / max(abs(pole), 1e-300))
        growth *= min(1.0, 1 / max(abs(growth), 1e-300))
        return Rational(self.pole + pole, self.growth + growth, constant, residue)


def phase_steps(values: Complex) -> Complex:
    """Phase factor from each point to the next, normalised."""
    products = values[1:] * values[:-1].conj()
    return np.asarray(products / np.maximum(np.abs(products), np.finfo(float).tiny))


def without_glitches(values: Complex) -> Complex:
    """Replace each point that is far from both its neighbours by the median of the three."""
    calm = median_filter(values.real, 3) + 1j * median_filter(values.imag, 3)
    away = np.abs(values - calm)
    return np.where(away > 10 * np.median(away), calm, values)


def search(t: Real, s11: Complex) -> Rational:
    """The best of poles of all widths anywhere in the band, with a straight line, if it stands out of the noise."""
    n = t.size
    even = np.linspace(-0.5, 0.5, n)
    regular = np.interp(even, t, s11)
    # The mean slope of the phase, already subtracted, may contain a full turn by the resonance, or part of one.
    growths = 1j * np.pi * np.arange(3)
    # A resonance that turns the phase the other way fits the conjugate.
    flat = np.stack([regular, regular.conj()])[:, None] * np.exp(-growths[:, None] * even)
    line = np.stack([np.ones(n) / np.sqrt(n), even / np.linalg.norm(even)])
    rest = (flat - flat @ line.T @ line).reshape(-1, n)
    # Correlation by FFT: |Σ shape*·data|² over the band, for poles of all widths at all frequencies.
    widths, shapes, beyond = _poles(n)
    spectra = np.fft.fft(np.concatenate([rest, line]), shapes.shape[-1])
    # One by one: they fit the processor's cache.
    *explained, on_line, on_slope = [np.abs(np.fft.ifft(each * shapes)[:, :n]) ** 2 for each in spectra]
    norm = beyond + beyond[:, ::-1] - beyond[:, :1] - on_line - on_slope
    by_line = (np.abs(rest) ** 2).sum(axis=-1)
    left = by_line[:, None, None] - np.stack(explained) / norm
    row, width, at = np.unravel_index(int(np.argmin(left)), left.shape)
    # Squared steps of noise are exponentially distributed; their median is robust to a narrow resonance.
    variance = float(np.median(np.abs(np.diff(s11)) ** 2)) / (4 * np.log(2))
    if by_line.min() - left.min() < SIGNIFICANT**2 * variance:
        raise FitError(
            "no resonance stands out of the noise: is it within the band, and is s11 made from a phase in radians? "
            "Average more, or move the band"
        )
    if row >= growths.size:
        raise FitError(
            "the strongest resonance turns the phase in the wrong direction: either none is within the band, or s11 "
            "is complex conjugated (network analyzers count phase as e^{+jωt}), or made from a phase in degrees "
            "(it is the phase in radians that a complex number needs)"
        )
    return Rational.at(complex(even[at], widths[width, 0]), complex(growths[row]), t, s11)


@lru_cache(maxsize=4)  # the traces of a run have the same points
def _poles(n: int) -> tuple[Real, Complex, Real]:
    """Half widths, shape (widths, 1), the conjugate spectra of 1/(t − pole), and Σ 1/|t − pole|² to one side."""
    # From one point to half of the band.
    widths = 3.0 ** np.arange(np.log(n) / np.log(3))[:, None] / (n - 1)
    size = 1 << (2 * n - 1).bit_length()
    lag = ((np.arange(size) + size // 2) % size - size // 2) / (n - 1)
    return widths, np.fft.fft(1 / (lag - 1j * widths)).conj(), np.cumsum(1 / (lag[:n] ** 2 + widths**2), axis=1)
