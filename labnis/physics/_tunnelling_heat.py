"""What tunnelling carries out of the normal metal, and its slopes, free of the rounding of its large terms.

As the smearing of L(z) = ½[z·S + arccosh z] − iγS less v times that of S, the heat is a difference of terms that grow
like the square of the outermost Matsubara frequency; a heat balance near zero bias needs the digits that this costs.
Here the normal metal's share is taken out in closed form: with S(z) = √(z−1)·√(z+1), w = S + z and ω = Im z − γ, the
cooling power in units of Δ²/(e²R_T) is

    K(v, t) − K(0, t_S),   K(v, t) = Re 𝒯_t[M](v) + π²t²/6 − (v² − γ²)/2,
    M = ½[ln w − z/w] + (v + iγ)/w,   M' = iω/(wS),

𝒯_t being the Matsubara sum of `_smearing` (M is L − vS less that of a normal metal), and its slopes are

    ∂K/∂v = Re 𝒯_t[N](v) − v,   ∂K/∂γ = γ − Im 𝒯_t[N](v),   N = M' + 1/w,   N' = iωS''.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from labnis.physics._andreev_integral import unit_gauss
from labnis.physics._smearing import TAIL, TERMS, bcs_root, bcs_root_derivatives, needs_terms, smear

__all__ = ["heat_near_equilibrium", "tunnelling_heat", "tunnelling_heat_slopes"]

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]


# Gauss–Legendre nodes and weights on (0, 1) for v² and for t, and the ranges in which they are exact to 1e-13.
_HALF, _UNIT = unit_gauss(6), unit_gauss(8)
_INSIDE, _EFOLDINGS, _FROZEN = 0.5, 4.0, 1 / 40


def tunnelling_heat(v: Real, t: Real, dynes: float) -> tuple[Real, Real]:
    """(K, ∂K/∂t) at `v` and `t` ≥ 0, of one shape; K to 5e-15 (1 + v²) for kT < Δ."""
    step = 2 * np.pi * t
    order = np.arange(TERMS) + 0.5
    omega = order * step[..., None]
    z = v[..., None] + 1j * (dynes + omega)
    root = bcs_root(z)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1 / root
        excess = inverse / (root + z)  # S' − 1
        # −iH Σ M'(z_n), and Σ [−iM'(z_n) + H(n + ½) M''(z_n)], real parts.
        first = np.einsum("...i,...i->...", omega, excess.real)
        second = np.einsum("...i,...i->...", order, excess.real + omega * (inverse**3).imag)

        far = v + 1j * (dynes + TERMS * step)
        derivatives = _derivatives(far, v, dynes)
        correction = step * first
        slope = 1j * TERMS * derivatives[1] + first + step * second
        for n, c in TAIL.items():
            correction = correction + c * step**n * derivatives[n]
            slope = slope + c * (n * step ** (n - 1) * derivatives[n] + 1j * TERMS * step**n * derivatives[n + 1])
    normal = np.pi**2 * t**2 / 6 - (v**2 - dynes**2) / 2
    # At t = 0 there is no correction, also where the derivatives diverge (γ = 0, v at the gap).
    value = derivatives[0] + np.where(t > 0, correction, 0)
    by_t = np.asarray(np.where(t > 0, slope.real + np.pi * t / 6, 0))
    cold = ~needs_terms(v, t)
    if cold.any():  # nowhere, of a cooler in use
        by_t[cold] = _cold_slope(v[cold], step[cold], dynes)
    return value.real + normal, 2 * np.pi * by_t


def _cold_slope(v: Real, step: Real, dynes: float) -> Real:
    """∂K/∂H far from the gap edges, by the expansion alone: as small as the density of states there."""
    z: Complex = np.asarray(v + 1j * dynes)
    with np.errstate(divide="ignore", invalid="ignore"):
        odd = bcs_root_derivatives(z, [n - 1 for n in TAIL])
        terms = (
            c * n * (n - 1) * step ** (n - 1) * slope.real for (n, c), slope in zip(TAIL.items(), odd, strict=True)
        )
        return np.where(step > 0, sum(terms), 0)


def tunnelling_heat_slopes(v: Real, t: Real, dynes: float) -> tuple[Real, Real]:
    """(∂K/∂v, ∂K/∂γ) at `v` and `t` ≥ 0, of one shape, each to 5e-15 (1 + |v|) for kT < Δ."""

    def derivatives(z: Complex, orders: Sequence[int]) -> list[Complex]:
        distance = 1j * (z.imag - dynes)
        needed = sorted({n for n in orders if n != 1} | {n + 1 for n in orders if n > 0})
        root = dict(zip(needed, bcs_root_derivatives(z, needed), strict=True))

        def derivative(order: int) -> Complex:
            if order == 0:
                # Without the v of 1/w = v + i Im z − S, in which Re S would drown.
                return np.asarray(distance / (root[0] * (root[0] + z)) - root[0] + 1j * z.imag)
            lower = (order - 1) * root[order] if order > 1 else 0
            return np.asarray(lower + distance * root[order + 1])

        return [derivative(order) for order in orders]

    with np.errstate(divide="ignore", invalid="ignore"):
        response = smear(derivatives, v, t, dynes)
    # At a sharp gap edge and t = 0 it is ω = 0 that counts.
    response = np.where(np.isnan(response), 0, response)
    return response.real, dynes - response.imag


def heat_near_equilibrium(v: Real, t_s: Real, rise: Real, dynes: float) -> Real:
    """K(v, t_S + rise) − K(0, t_S), to 1e-14 v² + 1e-14 |rise|, however small they are.

    As the integrals of its slopes, from 0 to v and from t_S to t_S + rise. For |v| > ½, and for a rise over which
    e^{−1/t} changes by e⁴ or more at t > 1/40, it is what `tunnelling_heat` gives.
    """
    t = t_s + rise
    nodes, weights = _HALF
    # ½∫ K_v(√s)/√s ds over s = v²: the slope is odd in v, and its nearest singularities are at v = ±1.
    inside = np.abs(v) <= _INSIDE
    at = np.where(inside, v, 0)[..., None] * np.sqrt(nodes)
    slope = tunnelling_heat_slopes(at, np.broadcast_to(t[..., None], at.shape), dynes)[0]
    by_voltage = at[..., 0] / np.sqrt(nodes[0]) / 2 * np.einsum("i,...i->...", weights / np.sqrt(nodes), slope)
    # Also where e^{−1/t} is negligible at both ends.
    slow = (np.abs(rise) <= _EFOLDINGS * t * t_s) | (np.maximum(t, t_s) < _FROZEN)
    nodes, weights = _UNIT
    at = t_s[..., None] + np.where(slow, rise, 0)[..., None] * nodes
    by_temperature = rise * np.einsum("i,...i->...", weights, tunnelling_heat(np.zeros_like(at), at, dynes)[1])
    if (inside & slow).all():
        return np.asarray(by_voltage + by_temperature)
    zero = np.zeros_like(v)
    biased, warm, cold = (tunnelling_heat(*x, dynes)[0] for x in ((v, t), (zero, t), (zero, t_s)))
    return np.where(inside, by_voltage, biased - warm) + np.where(slow, by_temperature, warm - cold)


def _derivatives(z: Complex, v: Real, dynes: float) -> list[Complex]:
    """M and its derivatives up to the 9th."""
    base = v + 1j * dynes
    distance = z - base
    root = bcs_root_derivatives(z, range(10))
    w = root[0] + z
    excess = 1 / (w * root[0])
    lowest = [(np.log(w) - z / w) / 2 + base / w, distance * excess, excess + distance * root[2]]
    higher = [(n - 1) * root[n - 1] + distance * root[n] for n in range(3, 10)]
    return [*lowest, *higher]
