"""The cooler of Rajauria et al. (arXiv:0810.3980), and its steady state by quadrature and scipy.optimize.root.

The quadratures use no Matsubara sums or mapped Gauss nodes: QUADPACK gets the defining integrals in plain
floats, cut into intervals wherever the integrand changes fast.
"""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
from scipy.constants import e, hbar, k
from scipy.integrate import quad
from scipy.optimize import root

from labnis.physics import AndreevChannel, NISJunction, OperatingPoint, SINISCooler, wire_resistance_per_length

GAP = 215e-6
DIFFUSION = 80e-4
VOLUME = 4e-6 * 0.3e-6 * 0.05e-6
COPPER = wire_resistance_per_length(DIFFUSION, 1.56e47, 0.3e-6 * 0.05e-6)
ALUMINIUM = wire_resistance_per_length(DIFFUSION, 2.15e47, 1.5e-6 * 0.04e-6)


def channel(coherence_length: float = 1.5e-6, superconductor: bool = True, scale: float = 0.49) -> AndreevChannel:
    return AndreevChannel(
        DIFFUSION, coherence_length, COPPER, scale, superconductor_resistance_per_length=superconductor * ALUMINIUM
    )


def cooler(
    *,
    dynes: float = 1e-5,
    andreev: AndreevChannel | None = None,
    kapitza: float | None = 144e-12,
    leakage_resistance: float | None = None,
) -> SINISCooler:
    """The paper's cooler, its resistance being that of one junction; γ is not known from the paper."""
    return SINISCooler(NISJunction(GAP, 1900.0, dynes), VOLUME, 2e9, kapitza, andreev, leakage_resistance)


def largest_term(point: OperatingPoint) -> np.ndarray:
    terms = (point.cooling_power, point.electron_phonon_power, point.andreev_power, point.leakage_power)
    return np.max(np.abs(terms), axis=0)


def uncertainty(cooler: SINISCooler, point: OperatingPoint) -> np.ndarray:
    """What the class promises of the balance."""
    junction = cooler.junction
    rounding = 2e-15 * (junction.gap**2 + (point.device_voltage / 2) ** 2) / junction.resistance
    return np.maximum(1e-9 * largest_term(point), rounding)


def _fermi(x: float) -> float:
    return 1 / (math.exp(x) + 1) if x < 700 else 0.0


def _pieces(points: set[float], lower: float, upper: float) -> list[tuple[float, float]]:
    ends = sorted({lower, upper, *(p for p in points if lower < p < upper)})
    return list(pairwise(ends))


def _thermal_steps(v: float, t: float) -> set[float]:
    return {v + sign * n * t for n in (0, 2, 6, 15, 40) for sign in (-1, 1)}


def andreev_integral(
    channel: AndreevChannel,
    junction: NISJunction,
    voltage: float,
    thermal: Callable[[float, float], float],
    width: float,
) -> float:
    """(1/Δ)∫₀^Δ [R'_N Re λ_N + R'_S ξ_S] |F_S|² thermal(E, eV) dE (ohm); energies in units of Δ, kT is `width`."""
    v = voltage / junction.gap
    epsilon = channel.coherence_energy / junction.gap
    diffusion = channel.superconductor_diffusion_constant or channel.diffusion_constant
    xi = math.sqrt(hbar * diffusion / (2 * junction.gap * e))

    def pair(x: float) -> float:
        return 1 / abs(1 - (x + 1j * channel.broadening) ** 2)

    def normal(x: float) -> float:
        coherent = (channel.coherence_length * (1 - 1j * x / epsilon) ** -0.5).real
        return channel.resistance_per_length * coherent * pair(x) * thermal(x, v)

    def superconducting(x: float) -> float:
        # Without its singular factor (1 − x)^−¼, which QUADPACK's weight supplies.
        coherent = xi * (1 + x) ** -0.25
        return channel.superconductor_resistance_per_length * coherent * pair(x) * thermal(x, v)

    cuts = {epsilon * 4.0**n for n in range(-2, 9)} | _thermal_steps(v, width)
    cuts |= {1 - channel.broadening * 4.0**n for n in range(-2, 10)}
    total = 0.0
    for a, b in _pieces({c for c in cuts if 0 < c < 1}, 0.0, 1.0):
        total += quad(normal, a, b, epsrel=1e-12, epsabs=0)[0]
        if channel.superconductor_resistance_per_length:
            if b == 1:
                total += quad(superconducting, a, b, weight="alg", wvar=(0, -0.25), epsrel=1e-12, epsabs=0)[0]
            else:
                total += quad(lambda x: superconducting(x) * (1 - x) ** -0.25, a, b, epsrel=1e-12, epsabs=0)[0]
    return total


def andreev_current(channel: AndreevChannel, junction: NISJunction, voltage: float, temperature: float) -> float:
    t = k * temperature / e / junction.gap

    def thermal(x: float, v: float) -> float:
        return _fermi((x - v) / t) - _fermi((x + v) / t)

    scale = channel.scale * junction.gap / junction.resistance**2
    return scale * andreev_integral(channel, junction, voltage, thermal, t)


def cooling_power(junction: NISJunction, voltage: float, temperature: float, bath: float) -> float:
    v, t, t_s = voltage / junction.gap, k * temperature / e / junction.gap, k * bath / e / junction.gap

    def integrand(x: float) -> float:
        z = complex(x, junction.dynes)
        states = abs((z / ((z - 1) ** 0.5 * (z + 1) ** 0.5)).real)
        return (x - v) * states * (_fermi((x - v) / t) - _fermi(x / t_s))

    reach = v + 40 * max(t, t_s)
    cuts = _thermal_steps(v, t) | _thermal_steps(0, t_s)
    cuts |= {side * (1 + sign * d) for side in (-1, 1) for sign in (-1, 1) for d in (0, 1e-5, 1e-3, 0.1)}
    pieces = _pieces(cuts, -reach, reach)
    integral = sum(quad(integrand, a, b, epsrel=1e-10, epsabs=1e-15, limit=200)[0] for a, b in pieces)
    return float(integral * junction.gap**2 / junction.resistance)


def steady_state(cooler: SINISCooler, device_voltage: float, bath: float) -> tuple[float, float]:
    """(T_e, T_ph) from both heat balances, in units of what the phonons carry at 1 K, by scipy.optimize.root."""
    assert cooler.andreev is not None
    assert cooler.kapitza is not None
    andreev, junction, kapitza = cooler.andreev, cooler.junction, cooler.kapitza
    coupling, v = cooler.electron_phonon * cooler.volume, device_voltage / 2

    def balance(temperatures: tuple[float, float]) -> tuple[float, float]:
        electrons, phonons = abs(temperatures[0]), abs(temperatures[1])
        to_phonons = coupling * (electrons**5 - phonons**5)
        cooling = 2 * cooling_power(junction, v, electrons, bath)
        heating = device_voltage * andreev_current(andreev, junction, v, electrons)
        scale = coupling * bath**5
        return (cooling + to_phonons - heating) / scale, (to_phonons - kapitza * (phonons**4 - bath**4)) / scale

    found = root(balance, (bath, bath), tol=1e-10)
    return abs(float(found.x[0])), abs(float(found.x[1]))
