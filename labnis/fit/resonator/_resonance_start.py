"""Start values for a resonance in one complex trace (`labnis.fit.resonator.resonance`), for any background slope.

Everything here is in t, the offset from the middle of the band divided by its span: −½ … ½. The points of a trace need
not be evenly spaced: they are sorted into the cells of an even grid as fine as the finest of them.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.ndimage import median_filter

from labnis.fit.arrays import Complex, Real
from labnis.fit.resonator._spacing import steps_alike
from labnis.fit.result import FitError

__all__ = ["SIGNIFICANT", "Rational", "search", "total_turn", "without_glitches"]

# The largest of some thousand random bumps is 5σ high; anything lower than this may be one.
SIGNIFICANT = 8.0
# Most cells of the grid; in a wide band with a finer part the narrowest poles are then wider than one step.
_MOST_CELLS = 1 << 15


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


def total_turn(t: Real, s11: Complex, by_resonance: float = 0.0) -> float:
    """Angle (rad) by which the phase turns from one end of the rising `t` (n,) to the other, but for glitches.

    Without the part `by_resonance`, in the finest of the steps. Where the steps differ, the finest ones tell how often
    the phase turns in a coarser one.
    """
    products, steps = s11[1:] * s11[:-1].conj(), np.diff(t)
    factors = products / np.maximum(np.abs(products), np.finfo(float).tiny)
    turn = extent = 0.0
    for alike in steps_alike(steps):
        expected = float(steps[alike].mean()) * turn / extent if extent else 0.0
        turn += alike.size * (expected + float(np.angle((factors[alike] * np.exp(-1j * expected)).sum())))
        turn -= 0.0 if extent else by_resonance
        extent += float(steps[alike].sum())
    return turn


def _turns(t: Real, s11: Complex) -> Real:
    """What is left of the background's turn (rad), (candidates,), where its mean is subtracted from `s11`.

    That may contain a full turn by the resonance, or part of one, among the finest of the steps or among the others.
    """
    parts = np.pi * np.arange(3.0)
    if len(steps_alike(np.diff(t))) < 2:
        return np.asarray(parts)
    among_finest = [total_turn(t, s11, -part) for part in parts]
    return np.array([*among_finest, *(among_finest[0] + parts[1:])])


def without_glitches(values: Complex) -> Complex:
    """Replace each point that is far from both its neighbours by the median of the three."""
    calm = median_filter(values.real, 3) + 1j * median_filter(values.imag, 3)
    away = np.abs(values - calm)
    return np.where(away > 10 * np.median(away), calm, values)


def search(t: Real, s11: Complex) -> Rational:
    """The best of poles of all widths anywhere in the band, with a straight line, if it stands out of the noise."""
    even, count, regular = _in_cells(t, s11)
    n = even.size
    # A resonance that turns the phase the other way fits the conjugate.
    growths = 1j * np.stack([_turns(t, s11), _turns(t, s11.conj())])
    flat = np.stack([regular, regular.conj()])[:, None] * np.exp(-growths[..., None] * even)
    centred = even - (count * even).sum() / count.sum()
    line = np.stack([np.ones(n) / np.sqrt(count.sum()), centred / np.sqrt((count * centred**2).sum())])
    rest = (count * (flat - flat @ (count * line).T @ line)).reshape(-1, n)
    # Correlation by FFT: |Σ shape*·data|² over the points, for poles of all widths at all frequencies.
    widths, shapes, powers = _poles(n)
    spectra = np.fft.fft(np.concatenate([rest, count * line]), shapes.shape[-1])
    # One by one: they fit the processor's cache.
    *explained, on_line, on_slope = [np.abs(np.fft.ifft(each * shapes)[:, :n]) ** 2 for each in spectra]
    beyond = np.fft.irfft(np.fft.rfft(count, shapes.shape[-1]) * powers, shapes.shape[-1])[:, :n]
    norm = np.maximum(beyond - on_line - on_slope, 1e-9 * beyond)
    by_line = (np.abs(rest) ** 2 / np.maximum(count, 1)).sum(axis=-1)
    left = by_line[:, None, None] - np.stack(explained) / norm
    row, width, at = np.unravel_index(int(np.argmin(left)), left.shape)
    # Squared steps of noise are exponentially distributed; their median is robust to a narrow resonance.
    variance = float(np.median(np.abs(np.diff(s11)) ** 2)) / (4 * np.log(2))
    if by_line.min() - left.min() < SIGNIFICANT**2 * variance:
        raise FitError(
            "no resonance stands out of the noise: is it within the band, and is s11 made from a phase in radians? "
            "Average more, or move the band"
        )
    if row >= growths.shape[1]:
        raise FitError(
            "the strongest resonance turns the phase in the wrong direction: either none is within the band, or s11 "
            "is complex conjugated (network analyzers count phase as e^{+jωt}), or made from a phase in degrees "
            "(it is the phase in radians that a complex number needs)"
        )
    return Rational.at(complex(even[at], widths[width, 0]), complex(growths[0, row]), t, s11)


def _in_cells(t: Real, s11: Complex) -> tuple[Real, Real, Complex]:
    """An even grid as fine as the finest steps of the rising `t` (n,), how many points are in each cell, their mean."""
    finest = float(np.quantile(np.diff(np.unique(t)), 0.1))
    cells = min(max(t.size, 1 + round(float(np.ptp(t)) / finest)), max(t.size, _MOST_CELLS))
    at = np.rint((t - t[0]) / np.ptp(t) * (cells - 1)).astype(np.intp)
    count = np.bincount(at, minlength=cells).astype(np.float64)
    total = np.bincount(at, s11.real, cells) + 1j * np.bincount(at, s11.imag, cells)
    return np.linspace(-0.5, 0.5, cells), count, np.asarray(total / np.maximum(count, 1.0), np.complex128)


@lru_cache(maxsize=4)  # the traces of a run have the same points
def _poles(n: int) -> tuple[Real, Complex, Complex]:
    """Half widths, shape (widths, 1), the conjugate spectra of 1/(t − pole), and the spectra of 1/|t − pole|²."""
    # From one cell to half of the band.
    widths = 3.0 ** np.arange(np.log(n) / np.log(3))[:, None] / (n - 1)
    size = 1 << (2 * n - 1).bit_length()
    lag = ((np.arange(size) + size // 2) % size - size // 2) / (n - 1)
    return widths, np.fft.fft(1 / (lag - 1j * widths)).conj(), np.fft.rfft(1 / (lag**2 + widths**2))
