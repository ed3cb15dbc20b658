"""The current alone: the Matsubara sum of `_smearing` for S(z) = √(z−1)·√(z+1), in real arithmetic.

Currents are computed more often than anything else, and of S' = z/S at the Matsubara frequencies z = v + iω only the
imaginary part counts,

    Im S' = −2 v p / [|z²−1| (|z²−1| + |z|² + 1)],   p = Im S,   p² = (|z²−1| + 1 − v² + ω²)/2,

which is an eighth of the work. Above the gap p² is a small difference, but there the current is large.
"""

import numpy as np
from numpy.typing import NDArray

from labnis.physics._smearing import NUMERATORS, TAIL, TERMS, bcs_root, needs_terms, polynomial

__all__ = ["smeared_current"]

Complex = NDArray[np.complex128]
Real = NDArray[np.float64]


def smeared_current(v: Real, t: Real, dynes: float) -> Real:
    """Re 𝒯_t[S](v), the current in Δ/(eR_T); as the real part of `smear`, to 1e-13 of `v`."""
    step = 2 * np.pi * t
    near = needs_terms(v, t)
    far = v + 1j * (dynes + np.where(near, TERMS * step, 0))
    root = bcs_root(far)
    with np.errstate(divide="ignore", invalid="ignore"):
        tail = _tail(far, root, step)
    # At t = 0 there is no correction, also where the derivatives diverge (γ = 0, v at the gap).
    total = np.array(root.real + np.where(step > 0, tail, 0))
    if near.any():
        total[near] -= _terms(v[near], step[near], dynes)
    return total


def _tail(z: Complex, root: Complex, step: Real) -> Real:
    """Re Σ c_n Hⁿ S⁽ⁿ⁾(z), with S⁽ⁿ⁾ = P_n(z²) S^{1−2n} summed like a polynomial in (H/S²)²."""
    square, ratio = z * z, (step / (root * root)) ** 2
    total = np.zeros_like(z)
    for order in sorted(TAIL, reverse=True):
        total = (total + TAIL[order] * polynomial(NUMERATORS[order], square)) * ratio
    return np.asarray((root * total).real)


def _terms(v: Real, step: Real, dynes: float) -> Real:
    """−H Σ Im S' over the Matsubara frequencies, for one-dimensional `v` and `step`."""
    squared = (dynes + (np.arange(TERMS) + 0.5) * step[:, None]) ** 2
    # |z−1|², |z+1|², and |z²−1|, their geometric mean; in place, as allocating these arrays takes longer than the sum.
    below, above = squared + ((1 - v) ** 2)[:, None], squared + ((1 + v) ** 2)[:, None]
    modulus = np.sqrt(below * above)
    below += above
    below /= 2
    below += modulus
    below *= modulus
    squared += ((1 - v) * (1 + v))[:, None]
    squared += modulus
    np.maximum(squared, 0, out=squared)
    np.divide(np.sqrt(squared, out=squared), below, out=below)
    return np.asarray(np.sqrt(2) * v * step * below.sum(axis=-1))
