"""Integrals over the quasiparticles of a superconductor with one temperature and one chemical potential µ*.

With E = Δ cosh u, a = Δ/kT and c = (µ* − Δ)/kT, the Fermi function is f = 1/(e^{2a sinh²(u/2) − c} + 1) and

    A = ∫₀^∞ f du,   B = ∫₀^∞ cosh u · f du,   M₀ = ∂A/∂c,   M₁ = ∂B/∂c at fixed a

are the sums in the gap equation and in the density of quasiparticles. Up to µ* = Δ the trapezoidal rule in u is
exact to rounding: the integrand is even and decays doubly exponentially, and its poles keep away from the axis. Above,
f becomes a step with poles close by; there the thermal smearing of A = arccosh(µ*/Δ) and B = sinh A, which is what
they are at T = 0, is done by the Matsubara sum of the junction's current.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from labnis.physics._smearing import smear

__all__ = ["Integrals", "integrals"]

Complex = NDArray[np.complex128]
Real = NDArray[np.float64]

# Where the Matsubara sum takes over (c), nodes of the trapezoidal rule, and where its integrand ends (e⁻⁴⁰).
_DEGENERATE = 0.0
_NODES = 48
_REACH = 40.0


class Integrals(NamedTuple):
    """A, B, M₀ and M₁ of the module's docstring, each accurate to 1e-13 of itself."""

    a: Real
    b: Real
    m0: Real
    m1: Real


def integrals(a: Real, c: Real) -> Integrals:
    """The four integrals at a = Δ/kT > 0 and c = (µ* − Δ)/kT, one-dimensional arrays of one length."""
    degenerate = c > _DEGENERATE
    result = np.empty((4, a.size))
    for part, method in ((~degenerate, _trapezoid), (degenerate, _matsubara)):
        if part.any():
            result[:, part] = method(a[part], c[part])
    return Integrals(*result)


def _trapezoid(a: Real, c: Real) -> Real:
    step = 2 * np.arcsinh(np.sqrt((np.maximum(c, 0) + _REACH) / (2 * a))) / _NODES
    excess = 2 * np.sinh(np.arange(_NODES + 1) * step[:, None] / 2) ** 2  # cosh u − 1
    occupied = expit(c[:, None] - a[:, None] * excess)
    slope = occupied * (1 - occupied)
    occupied[:, 0] /= 2
    slope[:, 0] /= 2
    total, total_slope = occupied.sum(axis=-1), slope.sum(axis=-1)
    total_excess, excess_slope = (np.einsum("ij,ij->i", excess, f) for f in (occupied, slope))
    return np.asarray(step * np.stack([total, total + total_excess, total_slope, total_slope + excess_slope]))


def _matsubara(a: Real, c: Real) -> Real:
    """Smearing counts, besides the quasiparticles wanted, those at −µ*, whose integrals are small and easy."""
    smeared = smear(_zero_temperature, c / a, 1 / a, 0.0).real
    smeared[2:] /= a
    mirrored = _trapezoid(a, -(c + 2 * a))
    return np.asarray(smeared + np.array([-1.0, 1.0, 1.0, -1.0])[:, None] * mirrored)


def _zero_temperature(offset: Complex, order: int) -> Complex:
    """The `order`-th derivatives of arccosh z, S = √(z²−1), 1/S and z/S at z = 1 + offset, stacked.

    Those of 1/S follow from (z² − 1) y' = −z y, differentiated n times: S² y⁽ⁿ⁺¹⁾ = −(2n+1) z y⁽ⁿ⁾ − n² y⁽ⁿ⁻¹⁾.
    """
    z = 1 + offset
    root = np.sqrt(offset) * np.sqrt(offset + 2)
    inverse = [np.zeros_like(root), 1 / root]  # y⁽⁻¹⁾ enters with weight 0 only
    for n in range(order):
        inverse.append(-((2 * n + 1) * z * inverse[-1] + n**2 * inverse[-2]) / root**2)
    slope = z * inverse[-1] + order * inverse[-2]
    if order == 0:
        return np.stack([2 * np.arcsinh(np.sqrt(offset / 2)), root, inverse[-1], slope])
    root_slope = z * inverse[-2] + ((order - 1) * inverse[-3] if order > 1 else 0)
    return np.stack([inverse[-2], root_slope, inverse[-1], slope])
