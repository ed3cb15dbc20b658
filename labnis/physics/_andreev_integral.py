"""The energy integral of the Andreev current, by Gauss quadrature between the places where its integrand changes fast.

In units of the gap (x = E/Δ, v = eV/Δ, t = kT/Δ) the current is ∫₀¹ K(x) W(x) dx. The spectral function

    K(x) = [R'_N Re λ_N(x) + R'_S ξ_S(x)] / |1 − (x + iγ)²|

has branch points at x = ±iε, ε = ħD_N/(2 L_φ² Δ), and at 1 and 1 ± iγ; the thermal factor
W(x) = f(x − v) − f(x + v) has poles at ±v ± iπt. Each piece between 0, v and 1 is mapped by a sinh whose scale is the
distance to the nearest of these, so that in the new variable nothing is narrow: the number of nodes does not depend on
v or t, and on ε only logarithmically. The last stretch, of width γ at the gap, takes the fourth root of 1 − x, which
removes ξ_S ∝ (1 − x)^−¼.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

__all__ = ["Spectrum", "integrate", "integrate_parts", "unit_gauss"]

Real = NDArray[np.float64]

# Beyond this many kT from the bias, W is 0 or 1 to double precision.
_WINDOW = 38.0
# At T = 0 the step is given a width that no feature of K resolves.
_COLDEST = 1e-9
_EDGE_ORDER = 16


@cache
def unit_gauss(nodes: int) -> tuple[Real, Real]:
    """Gauss–Legendre nodes and weights on (0, 1)."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    return (x + 1) / 2, w / 2


@dataclass(frozen=True)
class Spectrum:
    """K(x): coherent resistances (ohm) of N and of S at x = 0, ε and the broadening γ; arrays where the gap is one."""

    normal: float
    superconductor: Real
    coherence_energy: Real
    broadening: float

    @property
    def order(self) -> int:
        """Nodes per piece: the mapped length of a piece grows like ln(1/ε), and with it what 1e-9 needs."""
        return max(26, 12 + int(2.7 * np.arcsinh(1 / np.min(self.coherence_energy, initial=1))))

    def __call__(self, below_gap: Real) -> Real:
        """K (ohm) at the distance 1 − x below the gap."""
        # Re (1 − iy)^−½ = √[(1 + r)/2]/r with r = |1 − iy|.
        r = np.sqrt(1 + ((1 - below_gap) / self.coherence_energy[..., None]) ** 2)
        resistance = self.normal * np.sqrt((1 + r) / 2) / r
        if self.superconductor.any():
            resistance = resistance + self.superconductor[..., None] * _decay(below_gap)
        return np.asarray(resistance / self._pair_energy(below_gap))

    def parts(self, below_gap: Real) -> Real:
        """K of coherent resistances of 1 ohm in N, and at x = 0 in S; ε·∂K/∂ε (ohm); stacked."""
        y = (1 - below_gap) / self.coherence_energy[..., None]
        root = (1 - 1j * y) ** -0.5
        pair_energy = self._pair_energy(below_gap)
        normal, superconductor = root.real / pair_energy, _decay(below_gap) / pair_energy
        by_coherence = self.normal * y / 2 * (root**3).imag / pair_energy
        return np.stack([normal, superconductor, by_coherence])

    def _pair_energy(self, below_gap: Real) -> Real:
        """|1 − (x + iγ)²|."""
        above = 2 - below_gap
        return np.asarray(np.sqrt((below_gap**2 + self.broadening**2) * (above**2 + self.broadening**2)))


def _decay(below_gap: Real) -> Real:
    """ξ_S in units of that at x = 0."""
    return np.asarray(1 / np.sqrt(np.sqrt(below_gap * (2 - below_gap))))


def integrate(spectrum: Spectrum, v: Real, t: Real) -> tuple[Real, Real, Real]:
    """∫ K W dx (ohm), and its derivatives with respect to v and to t, at `v` ≥ 0 and `t` ≥ 0, of one shape."""
    cold = np.maximum(t, _COLDEST)
    value, slope_v, slope_t = (np.zeros_like(v) for _ in range(3))
    odd = -np.expm1(-2 * v / cold)
    for below_gap, offset, weight in _pieces(spectrum, v, cold):
        density = weight * spectrum(below_gap)
        a = offset / cold[..., None]
        b = (offset + 2 * v[..., None]) / cold[..., None]
        occupied, empty = expit(-a), expit(b)
        # f(a) − f(b) = (1 − e^{a−b}) f(a) (1 − f(b)): no cancellation at small bias.
        value += odd * np.einsum("...i,...i,...i->...", density, occupied, empty)
        window_a, window_b = occupied * (1 - occupied), empty * (1 - empty)
        slope_v += np.einsum("...i,...i->...", density, window_a + window_b)
        slope_t += np.einsum("...i,...i->...", density, a * window_a - b * window_b)
    return value, slope_v / cold, np.where(t > 0, slope_t / cold, 0.0)


def integrate_parts(spectrum: Spectrum, v: Real, t: Real) -> Real:
    """∫ W dx of `Spectrum.parts`, shape (3, *v.shape), at `v` ≥ 0 and `t` ≥ 0, of one shape."""
    cold = np.maximum(t, _COLDEST)
    total = np.zeros((3, *v.shape))
    odd = -np.expm1(-2 * v / cold)
    for below_gap, offset, weight in _pieces(spectrum, v, cold):
        occupied, empty = expit(-offset / cold[..., None]), expit((offset + 2 * v[..., None]) / cold[..., None])
        total += odd * np.einsum("k...i,...i->k...", spectrum.parts(below_gap), weight * occupied * empty)
    return total


def _pieces(spectrum: Spectrum, v: Real, t: Real) -> Iterator[tuple[Real, Real, Real]]:
    """(1 − x, x − v, weight) of the nodes of every piece, with one more axis than `v`."""
    nodes, weights = unit_gauss(spectrum.order)
    width = min(spectrum.broadening, 0.1)
    top = 1 - width
    pole = np.pi * t
    centre = np.minimum(v, top)
    half = centre / 2
    low = np.maximum(np.minimum(v - _WINDOW * t, top), half)
    high = np.clip(v + _WINDOW * t, centre, top)
    middle = (centre + high) / 2
    coherence = np.broadcast_to(spectrum.coherence_energy, v.shape)
    step = np.minimum(np.hypot(v - centre, pole), np.minimum(np.hypot(centre, coherence), 1 - centre))
    for near, far, scale in (
        (np.zeros_like(v), half, coherence),
        (low, half, 1 - low),
        (centre, low, step),
        (centre, middle, step),
        (high, middle, np.minimum(1 - high, np.hypot(high - v, pole))),
    ):
        length = far - near
        if not length.any():
            continue
        # x = near + length · sinh(Uq)/sinh(U), q from 0 to 1; a piece without fast change is nearly linear.
        reach = np.arcsinh(np.maximum(np.abs(length) / scale, 0.1))[..., None]
        grown = np.exp(reach * nodes)
        unit = length[..., None] / (2 * np.sinh(reach))
        shift = unit * (grown - 1 / grown)
        weight = np.abs(unit) * reach * (grown + 1 / grown) * weights
        yield (1 - near)[..., None] - shift, (near - v)[..., None] + shift, weight
    nodes, weights = unit_gauss(_EDGE_ORDER)
    below_gap = width * nodes**4
    offset = (1 - v)[..., None] - below_gap
    yield np.broadcast_to(below_gap, offset.shape), offset, 4 * width * nodes**3 * weights
