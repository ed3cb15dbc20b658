"""Thermal smearing as a finite Matsubara sum.

Every NIS integral of the form ∫ Λ'(E) × (thermal step) dE, with Λ analytic in the upper half plane, equals a sum over
the Matsubara frequencies ω_n = (n + ½)·2πkT, at which the integrand has neither the gap-edge singularity nor the
narrow thermal step. The first `TERMS` are summed; the midpoint Euler–Maclaurin expansion of the rest is analytic:

    𝒯[Λ](v) = Λ(z_a) − iH Σ_{n<N} Λ'(z_n) + Σ_k c_k H^{2k} Λ^{(2k)}(z_a)

with H = 2πt, z_n = v + i(γ + (n + ½)H), z_a = v + i(γ + NH), in units of the gap (v = eV/Δ, t = kT/Δ). The real part is
the dissipative quantity (current, heat), the imaginary part its Kramers–Kronig partner. The cost does not depend on
the temperature; at t = 0 the sum vanishes and 𝒯[Λ](v) = Λ(v + iγ).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["TAIL", "TERMS", "bcs_root_derivative", "heat_derivative", "smear", "smear_temperature_slope"]

Complex = NDArray[np.complex128]
Real = NDArray[np.float64]
Derivative = Callable[[Complex, int], Complex]

TERMS = 16

# Midpoint Euler–Maclaurin coefficients of H^{2k} Λ^{(2k)}(z_a): −B_{2k}(½)/(2k)! up to the alternating sign that the
# derivative along the imaginary axis brings.
TAIL = {2: 1 / 24, 4: 7 / 5760, 6: 31 / 967680, 8: 127 / 154828800}

# S⁽ⁿ⁾(z) = z^(n mod 2) · P_n(z²) · S^(1−2n), coefficients of P_n from the highest power down.
_NUMERATORS = {
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


def bcs_root_derivative(z: Complex, order: int) -> Complex:
    """The `order`-th derivative (0 to 9) of S(z) = √(z−1)·√(z+1), the integral of the BCS density of states.

    For Im z ≥ 0. The first two are accurate in real and imaginary part separately, however small one of them is, so
    that a current at a small voltage keeps its digits.
    """
    if order == 1:
        return _bcs_root_slope(z)
    root = _bcs_root(z)
    if order == 0:
        return root
    numerator = np.polyval(_NUMERATORS[order], z * z) * root ** (1 - 2 * order)
    return np.asarray(z * numerator if order % 2 else numerator)


def _bcs_root(z: Complex) -> Complex:
    """S = q + ip from q² − p² = Re(z² − 1) and pq = Re z·Im z, each from the branch without cancellation."""
    v, w = z.real, z.imag
    modulus = np.abs(z - 1) * np.abs(z + 1)
    subgap = (1 - v) * (1 + v) + w * w
    with np.errstate(divide="ignore", invalid="ignore"):
        larger = np.sqrt((modulus + np.abs(subgap)) / 2)
        smaller = np.where(larger > 0, np.abs(v) * w / larger, 0.0)
    inside = subgap >= 0
    return np.asarray(np.copysign(np.where(inside, smaller, larger), v) + 1j * np.where(inside, larger, smaller))


def _bcs_root_slope(z: Complex) -> Complex:
    """S' = z/S = [v·q + w·p + i(w·q − v·p)] / |S|², where the last difference equals −2vp / (|z²−1| + |z|² + 1)."""
    v, w = z.real, z.imag
    root = _bcs_root(z)
    q, p = root.real, root.imag
    modulus = np.abs(z - 1) * np.abs(z + 1)
    difference = -2 * v * p / (modulus + np.abs(z) ** 2 + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((v * q + w * p + 1j * difference) / modulus)


def heat_derivative(dynes: float) -> Derivative:
    """Derivatives of L(z) = ½[z·S + arccosh z] − iγS, whose smearing is the heat current; L' = (z − iγ)·z/S."""

    def derivative(z: Complex, order: int) -> Complex:
        if order == 0:
            root = bcs_root_derivative(z, 0)
            return (z * root + np.log(z + root)) / 2 - 1j * dynes * root
        value = (z - 1j * dynes) * bcs_root_derivative(z, order)
        return value if order == 1 else value + (order - 1) * bcs_root_derivative(z, order - 1)

    return derivative


def smear(derivative: Derivative, v: Real, t: Real, dynes: float) -> Complex:
    """𝒯[Λ](v) for Λ given by its derivatives; `v` and `t` of one shape, result of that shape."""
    step = 2 * np.pi * t
    far = v + 1j * (dynes + TERMS * step)
    total = derivative(far, 0)
    warm = step > 0
    if not warm.any():
        return total
    tail = sum(c * step**k * derivative(far, k) for k, c in TAIL.items())
    matsubara = (np.arange(TERMS) + 0.5) * step[..., None]
    near = derivative(v[..., None] + 1j * (dynes + matsubara), 1).sum(axis=-1)
    # At t = 0 the correction is 0, also where the derivatives diverge (γ = 0, v at the gap).
    return total + np.where(warm, tail - 1j * step * near, 0)


def smear_temperature_slope(derivative: Derivative, v: Real, t: Real, dynes: float) -> Complex:
    """∂𝒯[Λ]/∂t, the sum of `smear` differentiated term by term."""
    step = 2 * np.pi * t
    far = v + 1j * (dynes + TERMS * step)
    order = np.arange(TERMS) + 0.5
    nodes = v[..., None] + 1j * (dynes + order * step[..., None])
    near = -1j * derivative(nodes, 1).sum(axis=-1) + step * (order * derivative(nodes, 2)).sum(axis=-1)
    tail = sum(
        c * (k * step ** (k - 1) * derivative(far, k) + 1j * TERMS * step**k * derivative(far, k + 1))
        for k, c in TAIL.items()
    )
    slope = 1j * TERMS * derivative(far, 1) + near + tail
    return np.where(step > 0, 2 * np.pi * slope, 0)
