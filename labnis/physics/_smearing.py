"""Thermal smearing as a finite Matsubara sum.

Every NIS integral of the form ∫ Λ'(E) × (thermal step) dE, with Λ analytic in the upper half plane, equals a sum over
the Matsubara frequencies ω_n = (n + ½)·2πkT, at which the integrand has neither the gap-edge singularity nor the
narrow thermal step. The first `TERMS` are summed; the midpoint Euler–Maclaurin expansion of the rest is analytic:

    𝒯[Λ](v) = Λ(z_a) − iH Σ_{n<N} Λ'(z_n) + Σ_k c_k H^{2k} Λ^{(2k)}(z_a)

with H = 2πt, z_n = v + i(γ + (n + ½)H), z_a = v + i(γ + NH), in units of the gap (v = eV/Δ, t = kT/Δ). The real part is
the dissipative quantity (current, heat), the imaginary part its Kramers–Kronig partner. The cost does not depend on
the temperature; at t = 0 the sum vanishes and 𝒯[Λ](v) = Λ(v + iγ). Where the gap edges are 100 kT or more away the
expansion alone is enough (N = 0, Sommerfeld's): then small real parts, deep in the gap, keep all their digits.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "NUMERATORS",
    "TAIL",
    "TERMS",
    "bcs_root",
    "bcs_root_derivatives",
    "needs_terms",
    "polynomial",
    "smear",
    "smear_with_slopes",
]

Complex = NDArray[np.complex128]
Real = NDArray[np.float64]
Derivatives = Callable[[Complex, Sequence[int]], Sequence[Complex]]
"""Derivatives of the orders asked for, at complex energies: what they share is computed once."""

TERMS = 16

# Midpoint Euler–Maclaurin coefficients of H^{2k} Λ^{(2k)}(z_a): −B_{2k}(½)/(2k)! up to the alternating sign that the
# derivative along the imaginary axis brings.
TAIL = {2: 1 / 24, 4: 7 / 5760, 6: 31 / 967680, 8: 127 / 154828800}

# S⁽ⁿ⁾(z) = z^(n mod 2) · P_n(z²) · S^(1−2n), coefficients of P_n from the highest power down.
NUMERATORS = {
    1: (1,),
    2: (-1,),
    3: (3,),
    4: (-12, -3),
    5: (60, 45),
    6: (-360, -540, -45),
    7: (2520, 6300, 1575),
    8: (-20160, -75600, -37800, -1575),
    9: (181440, 952560, 793800, 99225),
}


def bcs_root_derivatives(z: Complex, orders: Sequence[int]) -> list[Complex]:
    """The derivatives of `orders` (0 to 9) of S(z) = √(z−1)·√(z+1), the integral of the BCS density of states.

    For Im z ≥ 0. The first two are accurate in real and imaginary part separately, however small one of them is, so
    that a current at a small voltage keeps its digits.
    """
    root = bcs_root(z)
    square, inverse = z * z, 1 / (root * root)
    derivatives = []
    for order in orders:
        match order:
            case 0:
                derivatives.append(root)
            case 1:
                derivatives.append(_bcs_root_slope(z, root))
            case _:
                numerator = polynomial(NUMERATORS[order], square) * (root * inverse**order)
                derivatives.append(np.asarray(z * numerator if order % 2 else numerator))
    return derivatives


def polynomial(coefficients: Sequence[int], x: Complex) -> Complex:
    """Horner's scheme; numpy.polyval takes three times as long for the few coefficients and small arrays here."""
    highest, *others = coefficients
    value: Complex = np.full_like(x, highest)
    for coefficient in others:
        value *= x
        value += coefficient
    return value


def bcs_root(z: Complex) -> Complex:
    """S = q + ip from q² − p² = Re(z² − 1) and pq = Re z·Im z, each from the branch without cancellation."""
    v, w = z.real, z.imag
    modulus = np.abs(z - 1) * np.abs(z + 1)
    subgap = (1 - v) * (1 + v) + w * w
    with np.errstate(divide="ignore", invalid="ignore"):
        larger = np.sqrt((modulus + np.abs(subgap)) / 2)
        smaller = np.where(larger > 0, np.abs(v) * w / larger, 0.0)
    inside = subgap >= 0
    root = np.empty_like(z)
    root.real = np.copysign(np.where(inside, smaller, larger), v)
    root.imag = np.where(inside, larger, smaller)
    return root


def _bcs_root_slope(z: Complex, root: Complex) -> Complex:
    """S' = z/S = [v·q + w·p + i(w·q − v·p)] / |S|², where the last difference equals −2vp / (|z²−1| + |z|² + 1)."""
    v, w = z.real, z.imag
    q, p = root.real, root.imag
    modulus = np.abs(z - 1) * np.abs(z + 1)
    difference = -2 * v * p / (modulus + np.abs(z) ** 2 + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.asarray((v * q + w * p + 1j * difference) / modulus)
    edge = modulus == 0
    if edge.any():
        # A sharp gap edge: 1/√(iε) for ε → 0.
        slope.real = np.where(edge, np.inf, slope.real)
        slope.imag = np.where(edge, -np.copysign(np.inf, v), slope.imag)
    return slope


def smear(derivatives: Derivatives, v: Real, t: Real, dynes: float, gap_edge: float = 1.0) -> Complex:
    """𝒯[Λ](v) for Λ given by its derivatives; `v` and `t` of one shape, that of the result or the last axes of it.

    Λ is singular at Re z = ±`gap_edge`.
    """
    step = 2 * np.pi * t
    near = needs_terms(v, t, gap_edge)
    far = v + 1j * (dynes + np.where(near, TERMS * step, 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        value, *even = derivatives(far, (0, *TAIL))
        tail = sum(c * step**k * slope for (k, c), slope in zip(TAIL.items(), even, strict=True))
    # At t = 0 there is no correction, also where the derivatives diverge (γ = 0, v at the gap).
    total = np.array(value + np.where(step > 0, tail, 0))
    if near.any():
        h = step[near]
        nodes = v[near][:, None] + 1j * (dynes + (np.arange(TERMS) + 0.5) * h[:, None])
        total[..., near] -= 1j * h * derivatives(nodes, (1,))[0].sum(axis=-1)
    return total


def smear_with_slopes(v: Real, t: Real, dynes: float) -> tuple[Complex, Complex, Complex]:
    """𝒯[S](v), ∂/∂v and ∂/∂t of it, for S(z) = √(z−1)·√(z+1); `v` and `t` of one shape.

    What the three sums have in common, almost everything, is computed once: fits need all of them at every step.
    """
    step = 2 * np.pi * t
    near = needs_terms(v, t)
    terms = np.where(near, TERMS, 0)
    far = v + 1j * (dynes + terms * step)
    root = bcs_root(far)
    first = _bcs_root_slope(far, root)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1 / (root * root)
        value, by_v, by_t = _tails(far * far, step * inverse)
        value, by_v, by_t = root * value, far * root * inverse * by_v, root * inverse * by_t
    # At t = 0 there is no correction, also where the derivatives diverge (γ = 0, v at the gap).
    warm = step > 0
    total = root + np.where(warm, value, 0)
    slope = first + np.where(warm, by_v, 0)
    # The lower end of the tail moves with the temperature, too.
    warming: Complex = np.where(warm, by_t + 1j * terms * by_v, 0)
    if near.any():
        h, order = step[near], np.arange(TERMS) + 0.5
        nodes = v[near][:, None] + 1j * (dynes + order * h[:, None])
        ones, twos = bcs_root_derivatives(nodes, (1, 2))
        sums = ones.sum(axis=-1)
        total[near] -= 1j * h * sums
        slope[near] -= 1j * h * twos.sum(axis=-1)
        warming[near] += 1j * (TERMS * first[near] - sums) + h * (twos @ order)
    return total, slope, 2 * np.pi * warming


def _tails(square: Complex, ratio: Complex) -> tuple[Complex, Complex, Complex]:
    """Σ c_n P_n r^n, Σ c_n P_{n+1} r^n and Σ n c_n P_n r^{n−1} for r = H/S²: the tails of S and of its slopes.

    Divided by S, zS/S² and S/S².
    """
    value, by_v, by_t = (np.zeros_like(ratio) for _ in range(3))
    ratio_squared = ratio * ratio
    for order in sorted(TAIL, reverse=True):
        even = TAIL[order] * polynomial(NUMERATORS[order], square)
        odd = TAIL[order] * polynomial(NUMERATORS[order + 1], square)
        value = (value + even) * ratio_squared
        by_v = (by_v + odd) * ratio_squared
        by_t = by_t * ratio_squared + order * even * ratio
    return value, by_v, by_t


def needs_terms(v: Real, t: Real, gap_edge: float = 1.0) -> NDArray[np.bool_]:
    """Whether the gap is too near for the expansion alone: its error is 2·10!·(t/|1 − |v||)¹⁰, 7e-14 at this limit."""
    return np.asarray(t > np.abs(gap_edge - np.abs(v)) / 100)
