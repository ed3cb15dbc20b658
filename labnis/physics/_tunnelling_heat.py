"""Cooling power of a junction together with its temperature slope, free of the rounding of its large terms.

`NISJunction.cooling_power` is the difference of terms that grow like the square of the outermost Matsubara frequency.
A heat balance near zero bias needs the digits that this costs. Here the normal metal's share is taken out in closed
form: with S(z) = √(z−1)·√(z+1), w = S + z and ω = Im z − γ, the cooling power at fixed v in units of Δ²/(e²R_T) is

    K(v, t) − K(0, t_S),   K(v, t) = 𝒯_t[M](v) + π²t²/6 − (v² − γ²)/2,
    M = ½[ln w − z/w] + (v + iγ)/w,   M' = iω/(wS),

𝒯_t being the Matsubara sum of `_smearing` (M is its heat function L − vS less that of a normal metal).
"""

import numpy as np
from numpy.typing import NDArray

from labnis.physics._smearing import TAIL, TERMS, bcs_root_derivative

__all__ = ["tunnelling_heat"]

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]


def tunnelling_heat(v: Real, t: Real, dynes: float) -> tuple[Real, Real]:
    """(K, ∂K/∂t) at `v` and at `t` > 0, of one shape; K to 5e-15 (1 + v²) for kT < Δ."""
    step = 2 * np.pi * t
    order = np.arange(TERMS) + 0.5
    omega = order * step[..., None]
    z = v[..., None] + 1j * (dynes + omega)
    root = bcs_root_derivative(z, 0)
    inverse = 1 / root
    excess = inverse / (root + z)  # S' − 1
    # −iH Σ M'(z_n), and Σ [−iM'(z_n) + H(n + ½) M''(z_n)], real parts.
    first = np.einsum("...i,...i->...", omega, excess.real)
    second = np.einsum("...i,...i->...", order, excess.real + omega * (inverse**3).imag)

    far = v + 1j * (dynes + TERMS * step)
    derivatives = _derivatives(far, v, dynes)
    value = derivatives[0] + step * first
    slope = 1j * TERMS * derivatives[1] + first + step * second
    for n, c in TAIL.items():
        value = value + c * step**n * derivatives[n]
        slope = slope + c * (n * step ** (n - 1) * derivatives[n] + 1j * TERMS * step**n * derivatives[n + 1])
    normal = np.pi**2 * t**2 / 6 - (v**2 - dynes**2) / 2
    return value.real + normal, 2 * np.pi * slope.real + np.pi**2 * t / 3


def _derivatives(z: Complex, v: Real, dynes: float) -> list[Complex]:
    """M and its derivatives up to the 9th."""
    base = v + 1j * dynes
    distance = z - base
    root = [bcs_root_derivative(z, n) for n in range(10)]
    w = root[0] + z
    excess = 1 / (w * root[0])
    lowest = [(np.log(w) - z / w) / 2 + base / w, distance * excess, excess + distance * root[2]]
    higher = [(n - 1) * root[n - 1] + distance * root[n] for n in range(3, 10)]
    return [*lowest, *higher]
