"""Current of two junctions whose resistances differ, with its slopes, and what a fit with equal ones lacks."""

import numpy as np
from scipy.constants import e, k

from labnis.fit.arrays import Real
from labnis.fit.models import Suspect
from labnis.physics import NISJunction, UnequalPair

__all__ = ["ASYMMETRY", "unequal_slopes", "unequal_suspect"]

#: The parameter (R₁ − R₂)/(R₁ + R₂).
ASYMMETRY = "asymmetry"
# The current changes with the square of the asymmetry, and hardly beyond up to this one.
_SMALL = 0.1


def unequal_slopes(junction: NISJunction, asymmetry: float, voltage: Real, temperature: float) -> list[Real]:
    """∂I by gap, resistance, temperature, Dynes parameter, voltage and asymmetry, each of the shape of `voltage` (V).

    From differentiating i(V₁)/(1 + a) = i(V₂)/(1 − a) = I at V₁ + V₂ = `voltage` across both; see `UnequalPair`.
    """
    larger, smaller = 1 + asymmetry, 1 - asymmetry
    first = UnequalPair(junction, asymmetry).voltage(voltage, temperature)
    (i1, along1, by1), (i2, along2, by2) = (_slopes(junction, v, temperature) for v in (first, voltage - first))
    stiff = smaller * along1 + larger * along2
    # Both are 0 deep in the gap without broadening.
    stiff = np.where(stiff > 0, stiff, 1.0)
    found = [(p1 + along1 * (larger * p2 - smaller * p1) / stiff) / larger for p1, p2 in zip(by1, by2, strict=True)]
    by_asymmetry = along1 * (i1 + i2) / stiff / larger - i1 / larger**2
    return [*found, np.asarray(along1 * along2 / stiff), np.asarray(by_asymmetry)]


def unequal_suspect(junction: NISJunction, voltage: Real, temperature: Real | float, weight: Real) -> Suspect:
    """Unequal junctions as something that residuals, which have this `weight`, lack; its size is a²."""
    pair, equal = UnequalPair(junction, _SMALL), junction.current(voltage / 2, temperature)
    change = (equal - pair.current(voltage, temperature)) / _SMALL**2 * weight
    text = "it looks like two unequal junctions, with ((R1 − R2)/(R1 + R2))² of about {:.2g}: give asymmetry as 0 ± 0.3"
    return Suspect(text, change[:, None], (0.0, 0.5))


def _slopes(junction: NISJunction, voltage: Real, temperature: float) -> tuple[Real, Real, list[Real]]:
    """Current of one junction, ∂/∂V, and ∂ by gap, resistance, temperature and Dynes parameter."""
    gap, resistance = junction.gap, junction.resistance
    v, t = voltage / gap, k / e * temperature / gap
    s, s_v, s_t = junction.complex_response_with_slopes(voltage, temperature)
    current = gap * s.real / resistance
    by = [
        (s - v * s_v - t * s_t).real / resistance,
        -current / resistance,
        k / e * s_t.real / resistance,
        -gap * s_v.imag / resistance,
    ]
    return current, s_v.real / resistance, by
