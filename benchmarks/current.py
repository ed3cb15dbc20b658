"""The current of a junction at 1001 voltages, against adaptive quadrature point by point."""

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.constants import e, k
from scipy.integrate import quad

from benchmarks.timing import Line, ratio_line, seconds
from labnis.physics import NISJunction

__all__ = ["current"]

JUNCTION = NISJunction(gap=215e-6, resistance=12e3, dynes=1e-3)
TEMPERATURE = 0.1
VOLTAGE = np.linspace(-1.2e-3, 1.2e-3, 1001)
# The accurate quadrature does every twentieth point; its time is scaled to all.
SAMPLE = VOLTAGE[10::20]

PROMISED, PROMISED_AT_EQUAL_ACCURACY = 150, 1000


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


def _by_accurate_quadrature(voltage: float) -> float:
    """The same to rounding: QUADPACK at its tightest, in intervals that grow away from gap edge and thermal step."""
    v, t = abs(voltage) / JUNCTION.gap, k * TEMPERATURE / e / JUNCTION.gap

    def integrand(energy: float) -> float:
        z = complex(energy, JUNCTION.dynes)
        states = abs((z / ((z - 1) ** 0.5 * (z + 1) ** 0.5)).real)
        # f(E−eV) − f(E+eV) without the difference.
        return states * -math.expm1(-2 * v / t) * _fermi((energy - v) / t) * _fermi(-(energy + v) / t)

    upper = v + 40 * t
    edge = {1 + side * JUNCTION.dynes * 3.0**n for n in range(-1, 7) for side in (-1, 1)}
    step = {v + side * n * t for n in (0, 3, 8, 20) for side in (-1, 1)}
    ends = sorted({0.0, upper, 1.0, *(point for point in edge | step if 0 < point < upper)})
    value = math.fsum(quad(integrand, a, b, epsabs=1e-16, epsrel=1e-13)[0] for a, b in pairwise(ends))
    return float(np.copysign(value * JUNCTION.gap / JUNCTION.resistance, voltage))


def _fermi(x: float) -> float:
    return 1 / (math.exp(x) + 1) if x < 700 else 0.0


def _furthest(values: list[float], voltage: NDArray[np.float64]) -> float:
    """Largest deviation of `values` from ours, in normal-state currents V/R."""
    apart = np.array(values) - JUNCTION.current(voltage, TEMPERATURE)
    biased = voltage != 0
    return float((np.abs(apart / np.where(biased, voltage, 1)) * JUNCTION.resistance)[biased].max())


def current() -> list[Line]:
    """Times and their ratios, and how far the quadratures are off (labnis is tested against 30 digits)."""
    ours, usual, accurate = seconds(
        lambda: JUNCTION.current(VOLTAGE, TEMPERATURE),
        lambda: [_by_quadrature(v) for v in VOLTAGE],
        lambda: [_by_accurate_quadrature(v) for v in SAMPLE],
    )
    accurate *= VOLTAGE.size / SAMPLE.size
    usual_error = _furthest([_by_quadrature(v) for v in VOLTAGE], VOLTAGE)
    accurate_error = _furthest([_by_accurate_quadrature(v) for v in SAMPLE], SAMPLE)
    remark = f"{SAMPLE.size} points, scaled; {accurate_error:.0e} of V/R apart"
    subject = "I(V), 1001 points"
    return [
        Line(f"{subject}, NISJunction.current", f"{ours * 1e3:.2f} ms"),
        Line(f"{subject}, scipy.integrate.quad", f"{usual * 1e3:.0f} ms", f"off by up to {usual_error:.0e} of V/R"),
        ratio_line(usual / ours, PROMISED),
        Line(f"{subject}, quad of equal accuracy", f"{accurate:.1f} s", remark),
        ratio_line(accurate / ours, PROMISED_AT_EQUAL_ACCURACY),
    ]
