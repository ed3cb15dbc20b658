"""The stable states of Owen & Scalapino's µ* model, everything in units of the gap Δ₀ at T = 0 and of 4 N(0) Δ₀.

A state is described by its gap and by c = (µ* − Δ)/kT. On the curve of the gap equation, ℓ = ln(Δ₀/Δ) = 2A with the
integrals A, B, M₀, M₁ of the quasiparticles, the density (Δ/Δ₀)·B grows as the gap shrinks, up to the critical point,
and falls beyond it. The small number is the loss of gap, 1 − Δ/Δ₀; that is what the equations are solved for.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import k0e

from labnis.physics._quasiparticles import Integrals, heat_integral, integrals

__all__ = ["BranchState", "branch_state", "cold_state", "critical_point", "on_branch", "warm_state"]

Real = NDArray[np.float64]

_MAXIMUM_STEPS = 60
# The smallest density that is computed with; the gap does not know the difference.
_VANISHING = 1e-250
# Relative accuracy of the integrals: what is smaller is noise.
_NOISE = 2e-14


def cold_state(n: Real) -> Real:
    """Δ/Δ₀ and µ*/Δ₀ and dΔ/dn/Δ₀ at T = 0: y³ − y + 2n = 0, the root between 1/√3 and 1."""
    y = 2 / np.sqrt(3) * np.cos(np.arccos(np.maximum(-np.sqrt(27) * n, -1)) / 3)
    with np.errstate(divide="ignore"):
        return np.stack([y**2, (y + y**3) / 2, -4 * y / np.maximum(3 * y**2 - 1, 0)])


def warm_state(n: Real, t: Real, critical_gap: Real, largest: Real) -> Real:
    """The same at T > 0, by Newton's method for the loss of gap.

    What is solved is √(1 − n/n_c) = its value at the density wanted: almost linear in the loss of gap, also at the
    critical point where n itself turns round.
    """
    wanted = np.maximum(n, _VANISHING)
    target = np.sqrt(1 - wanted / largest)
    edge = 1 - critical_gap
    loss = edge * (wanted / largest) / (1 + target)
    c = None
    for _ in range(_MAXIMUM_STEPS):
        c, offset, i = _on_gap_curve(loss, t, c)
        a = (1 - loss) / t
        density = (1 - loss) * (i.b + i.m1 * offset)
        excess = wanted - density
        height = np.sqrt(np.maximum(1 - density / largest, 0))
        slope = _density_slope(a, i)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = excess / slope * 2 * height / (height + target)
        # At the critical density the start is exact and the slope is noise.
        step = np.where((np.abs(excess) < _NOISE * wanted) | (target == 0), 0, step)
        step = np.where((loss + step > edge) | ~(slope > 0), (edge - loss) / 2, step)
        step = np.maximum(step, -loss / 2)
        c = c + offset - _along_gap_curve(a, i) * np.log1p(-step / (1 - loss))
        loss = loss + step
        if (np.abs(step) < 1e-8 * loss).all() and (np.abs(offset) < 1e-8 * i.a / i.m0).all():
            break
    else:
        raise ArithmeticError("the gap at a given density did not converge")
    gap = 1 - loss
    with np.errstate(divide="ignore"):
        gap_slope = -1 / np.maximum(slope, 0)
    return np.stack([gap, np.where(n > 0, gap + t * c, -np.inf), gap_slope])


class BranchState(NamedTuple):
    """A state at T > 0: c = (µ* − Δ)/kT, the density and its derivative by the loss of gap, and the excess heat.

    This is by how much ∫ 2E² f dE/√(E²−Δ²) exceeds its value for µ* = 0, in units of Δ² (not Δ₀²); `excess_slope` is
    the derivative of it, Δ included, by the loss of gap, again in Δ².
    """

    c: Real
    density: Real
    density_slope: Real
    excess_heat: Real
    excess_slope: Real


def on_branch(loss: Real, t: Real) -> BranchState:
    """The states with a given `loss` > 0 of gap at `t` = kT/Δ₀ > 0."""
    c, offset, _ = _on_gap_curve(loss, t, None, 1e-8)
    return branch_state(1 - loss, t, c + offset)


def branch_state(gap: Real, t: Real, c: Real) -> BranchState:
    """The states with `gap` and `c` that obey the gap equation at `t` = kT/Δ₀ > 0."""
    a = gap / t
    i, equilibrium = integrals(a, c), integrals(a, -a)
    # With h = 2Δ²D: ∂h/∂Δ = 2Δ(A − aM₁) at fixed µ*, and by parts 2D − A = a(M₃ − M₁), M₂ = B/a + M₀.
    along = 2 * ((i.b / a + i.m0) * (_along_gap_curve(a, i) - a) - i.a + a * i.m1)
    slope = along + 2 * (equilibrium.a - a * equilibrium.m1)
    excess = 2 * (heat_integral(a, c) - heat_integral(a, -a))
    return BranchState(c, gap * i.b, _density_slope(a, i), excess, slope / gap)


def _density_slope(a: Real, i: Integrals) -> Real:
    """e^ℓ dn/dℓ along the gap curve, [M₁/2 − a(M₁² − M₀²)]/M₀; at T = 0 the critical point is tanh A = ½."""
    return i.m1 / i.m0 / 2 - a * (i.m1 / i.m0 - 1) * (i.m1 + i.m0)


def _on_gap_curve(loss: Real, t: Real, c: Real | None, tolerance: float = 1e-4) -> tuple[Real, Real, Integrals]:
    """The c where A = ℓ/2 to a relative `tolerance`, what is left to the next order, and the integrals there.

    ln A is concave in c and below ln[e^{a+c} K₀(a)], so that Newton's method converges from any start.
    """
    a, x = (1 - loss) / t, -np.log1p(-loss) / 2
    least = np.log(x / k0e(a))
    if c is None:
        # Few quasiparticles, or a cold sea of them, A = arccosh(µ*/Δ).
        c = np.where(least > 0, 2 * a * np.sinh(x / 2) ** 2, least)
    for _ in range(_MAXIMUM_STEPS):
        c = np.maximum(c, least)
        i = integrals(a, c)
        error = np.log(x / i.a)
        offset = i.a / i.m0 * error
        if (np.abs(error) < tolerance).all():
            return c, offset, i
        c = c + offset
    raise ArithmeticError("the gap equation did not converge")


def _along_gap_curve(a: Real, i: Integrals) -> Real:
    """dc/dℓ, from dℓ/2 = M₀ dc + a (M₁ − M₀) dℓ."""
    return (0.5 - a * (i.m1 - i.m0)) / i.m0


def critical_point(t: Real, equilibrium_gap: Real) -> tuple[Real, Real]:
    """Gap and density where the density is largest, for each reduced temperature; the equilibrium gap is known."""
    gap, density = np.full(t.shape, 1 / 3), np.full(t.shape, 1 / np.sqrt(27))
    warm = t > 0
    if warm.any():
        gap[warm], density[warm] = _warm_critical_point(t[warm], equilibrium_gap[warm])
    return gap, density


def _warm_critical_point(t: Real, equilibrium_gap: Real) -> tuple[Real, Real]:
    """The zero of `_stability`, by the Illinois variant of regula falsi."""
    # Equilibrium is stable for all T < T_c, a gap of 1/200 of that is not.
    upper = np.minimum(equilibrium_gap, 1 - 1e-9)
    lower = upper / 200
    at_lower = _stability(lower, t, None)[0]
    at_upper, _, c, slope = _stability(upper, t, None)
    gap, was_stable = upper, np.ones(t.shape, dtype=bool)
    for _ in range(_MAXIMUM_STEPS):
        previous, gap = gap, (lower * at_upper - upper * at_lower) / (at_upper - at_lower)
        value, density, c, slope = _stability(gap, t, c + slope * np.log(previous / gap))
        stable = value > 0
        stuck = stable == was_stable
        at_lower = np.where(stable, np.where(stuck, at_lower / 2, at_lower), value)
        at_upper = np.where(stable, value, np.where(stuck, at_upper / 2, at_upper))
        lower, upper = np.where(stable, lower, gap), np.where(stable, gap, upper)
        was_stable = stable
        if (np.abs(gap - previous) < 1e-9 * gap).all():
            return gap, density
    raise ArithmeticError("the critical density did not converge")


def _stability(gap: Real, t: Real, c: Real | None) -> tuple[Real, Real, Real, Real]:
    """½ − tanh A at T = 0 and its counterpart at finite temperature, positive where stable; n; c and dc/dℓ."""
    a = gap / t
    c, offset, i = _on_gap_curve(1 - gap, t, c, 1e-11)
    return _density_slope(a, i) * i.m0 / i.m1, gap * (i.b + i.m1 * offset), c, _along_gap_curve(a, i)
