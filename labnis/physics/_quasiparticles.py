"""Integrals over the quasiparticles of a superconductor with one temperature and one chemical potential µ*.

With E = Δ cosh u, a = Δ/kT and c = (µ* − Δ)/kT, the Fermi function is f = 1/(e^{2a sinh²(u/2) − c} + 1) and

    A = ∫₀^∞ f du,   B = ∫₀^∞ cosh u · f du,   M₀ = ∂A/∂c,   M₁ = ∂B/∂c at fixed a

are the sums in the gap equation and in the density of quasiparticles; D = ∫₀^∞ cosh²u · f du is that in the heat they
carry through a junction. Up to µ* = Δ the trapezoidal rule in u is exact to rounding: the integrand is even and decays
doubly exponentially, and its poles keep away from the axis. Above,
f becomes a step with poles close by; there the thermal smearing of A = arccosh(µ*/Δ) and B = sinh A, which is what
they are at T = 0, is done by the Matsubara sum of the junction's current; D = ½[A + sinh A cosh A] likewise.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from labnis.physics._smearing import smear

__all__ = ["Integrals", "heat", "heat_integral", "integrals"]

Complex = NDArray[np.complex128]
Real = NDArray[np.float64]

# Where the Matsubara sum takes over (c), nodes of the trapezoidal rule, and where its integrand ends (e⁻⁴⁰).
_DEGENERATE = 0.0
_NODES = 48
_REACH = 40.0
# Below this kT/Δ it counts as 0: µ* itself is not known better.
_COLDEST = 1e-14


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


def heat_integral(a: Real, c: Real) -> Real:
    """D of the module's docstring at the same arguments; c may be −inf. To 1e-13 of itself for a ≥ 1 or c ≤ 0."""
    result = np.empty(a.size)
    degenerate = c > _DEGENERATE
    for part, method in ((~degenerate, _heat_trapezoid), (degenerate, _heat_matsubara)):
        if part.any():
            result[part] = method(a[part], c[part])
    return result


def heat(t: Real, potential: Real) -> tuple[Real, Real]:
    """Heat h = ∫ 2E² f dE/√(E²−Δ²) and Δ·∂h/∂Δ in units of Δ², at t = kT/Δ ≥ 0 and µ*/Δ; arrays of one shape.

    Accurate as the integrals that they are made of, plus what the rounding of µ* brings.
    """
    shape, t, potential = t.shape, t.ravel(), potential.ravel()
    result = np.zeros((2, t.size))
    # The density is zero below the gap and at zero temperature.
    warm, sea = (t > _COLDEST) & (potential > -np.inf), (t <= _COLDEST) & (potential > 1)
    if warm.any():
        a, m = 1 / t[warm], potential[warm]
        c = (m - 1) * a
        pairing, _, _, slope = integrals(a, c)
        result[:, warm] = 2 * heat_integral(a, c), 2 * (pairing - a * slope)
    if sea.any():
        m = potential[sea]
        root, pairing = np.sqrt((m - 1) * (m + 1)), np.arccosh(m)
        result[:, sea] = m * root + pairing, 2 * (pairing - m / root)
    return result[0].reshape(shape), result[1].reshape(shape)


def _heat_trapezoid(a: Real, c: Real) -> Real:
    step, excess, occupied = _occupation(a, c)
    occupied[:, 0] /= 2
    return np.asarray(step * np.einsum("ij,ij->i", (1 + excess) ** 2, occupied))


def _heat_matsubara(a: Real, c: Real) -> Real:
    return np.asarray(smear(_cold_heat, c / a, 1 / a, 0.0, gap_edge=0.0).real - _heat_trapezoid(a, -(c + 2 * a)))


def _cold_heat(offset: Complex, orders: Sequence[int]) -> list[Complex]:
    """Derivatives of ½[arccosh z + z S] at z = 1 + offset; the first is z²/S = 1/S + S."""
    found = []
    # Each derivative but the lowest follows from the one below it of 1/S and S.
    for order, cold in zip(orders, _zero_temperature(offset, [max(order - 1, 0) for order in orders]), strict=True):
        arccosh, root, inverse, _ = cold
        found.append(np.asarray((arccosh + (1 + offset) * root) / 2 if order == 0 else root + inverse))
    return found


def _occupation(a: Real, c: Real) -> tuple[Real, Real, Real]:
    """Step of the trapezoidal rule in u, cosh u − 1 and f at its nodes."""
    step = 2 * np.arcsinh(np.sqrt((np.maximum(c, 0) + _REACH) / (2 * a))) / _NODES
    excess = 2 * np.sinh(np.arange(_NODES + 1) * step[:, None] / 2) ** 2
    return step, excess, expit(c[:, None] - a[:, None] * excess)


def _trapezoid(a: Real, c: Real) -> Real:
    step, excess, occupied = _occupation(a, c)
    slope = occupied * (1 - occupied)
    occupied[:, 0] /= 2
    slope[:, 0] /= 2
    total, total_slope = occupied.sum(axis=-1), slope.sum(axis=-1)
    total_excess, excess_slope = (np.einsum("ij,ij->i", excess, f) for f in (occupied, slope))
    return np.asarray(step * np.stack([total, total + total_excess, total_slope, total_slope + excess_slope]))


def _matsubara(a: Real, c: Real) -> Real:
    """Smearing counts, besides the quasiparticles wanted, those at −µ*, whose integrals are small and easy."""
    smeared = smear(_zero_temperature, c / a, 1 / a, 0.0, gap_edge=0.0).real
    smeared[2:] /= a
    mirrored = _trapezoid(a, -(c + 2 * a))
    return np.asarray(smeared + np.array([-1.0, 1.0, 1.0, -1.0])[:, None] * mirrored)


def _zero_temperature(offset: Complex, orders: Sequence[int]) -> list[Complex]:
    """Derivatives of arccosh z, S = √(z²−1), 1/S and z/S at z = 1 + offset, stacked, for each of `orders`.

    Those of 1/S follow from (z² − 1) y' = −z y, differentiated n times: S² y⁽ⁿ⁺¹⁾ = −(2n+1) z y⁽ⁿ⁾ − n² y⁽ⁿ⁻¹⁾.
    """
    z = 1 + offset
    root = np.sqrt(offset) * np.sqrt(offset + 2)
    square = root**2
    inverse = [1 / root]
    for n in range(max(orders)):
        below = n**2 * inverse[n - 1] if n else 0
        inverse.append(-((2 * n + 1) * z * inverse[n] + below) / square)

    def derivatives(order: int) -> Complex:
        if order == 0:
            return np.stack([2 * np.arcsinh(np.sqrt(offset / 2)), root, inverse[0], z * inverse[0]])
        slope = z * inverse[order] + order * inverse[order - 1]
        root_slope = z * inverse[order - 1] + ((order - 1) * inverse[order - 2] if order > 1 else 0)
        return np.stack([inverse[order - 1], root_slope, inverse[order], slope])

    return [derivatives(order) for order in orders]
