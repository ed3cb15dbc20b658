"""The current of a junction at 1001 voltages, against adaptive quadrature point by point."""

import math

import numpy as np
from scipy.constants import e, k
from scipy.integrate import quad

from benchmarks.timing import Line, seconds
from labnis.physics import NISJunction

__all__ = ["current"]

JUNCTION = NISJunction(gap=215e-6, resistance=12e3, dynes=1e-3)
TEMPERATURE = 0.1
VOLTAGE = np.linspace(-1.2e-3, 1.2e-3, 1001)


def _by_quadrature(voltage: float) -> float:
    """I(V) = (1/eR) ∫₀^∞ n_S(E) [f(E−eV) − f(E+eV)] dE by QUADPACK at its default tolerance.

    In units of the gap, cut where the Fermi functions vanish, with the gap edge and the thermal step given to it as
    break points, and in plain floats: nothing makes it slower than it has to be.
    """
    v, t = abs(voltage) / JUNCTION.gap, k * TEMPERATURE / e / JUNCTION.gap

    def integrand(energy: float) -> float:
        z = complex(energy, JUNCTION.dynes)
        states = abs((z / (z * z - 1) ** 0.5).real)
        return states * (_fermi((energy - v) / t) - _fermi((energy + v) / t))

    upper = v + 40 * t
    inside = [point for point in (1.0, v) if 0 < point < upper]
    value, _ = quad(integrand, 0, upper, points=inside, limit=200)
    return float(np.copysign(value * JUNCTION.gap / JUNCTION.resistance, voltage))


def _fermi(x: float) -> float:
    return 1 / (math.exp(x) + 1) if x < 700 else 0.0


def current() -> list[Line]:
    """Times and their ratio, and how far the quadrature is off (labnis is tested against 30 digits)."""
    ours, theirs = seconds(lambda: JUNCTION.current(VOLTAGE, TEMPERATURE), lambda: [_by_quadrature(v) for v in VOLTAGE])
    reference = JUNCTION.current(VOLTAGE, TEMPERATURE)
    error = np.abs(np.array([_by_quadrature(v) for v in VOLTAGE]) - reference)
    biased = VOLTAGE != 0
    relative = (error[biased] / np.abs(VOLTAGE[biased]) * JUNCTION.resistance).max()
    ratio = theirs / ours
    return [
        Line("I(V), 1001 points, NISJunction.current", f"{ours * 1e3:.2f} ms"),
        Line(
            "I(V), 1001 points, scipy.integrate.quad", f"{theirs * 1e3:.0f} ms", f"off by up to {relative:.0e} of V/R"
        ),
        Line("  ratio", f"{ratio:.0f}", "at least 100 is promised" if ratio >= 100 else "TOO SLOW: 100 is promised"),
    ]
