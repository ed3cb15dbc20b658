"""The defining integrals, evaluated directly with 30 digits, without Matsubara sums."""

import mpmath as mp

from labnis.physics import NISJunction

DIGITS = 30


def _states(energy: mp.mpf, dynes: mp.mpf) -> mp.mpf:
    z = mp.mpc(energy, dynes)
    root = mp.sqrt(z - 1) * mp.sqrt(z + 1)
    # Without broadening the outermost nodes round onto the (integrable) gap edge, where their weight is negligible.
    return abs(mp.re(z / root)) if root != 0 else mp.mpf(0)


def _fermi(x: mp.mpf, t: mp.mpf) -> mp.mpf:
    return 1 / (mp.exp(x / t) + 1)


def _breakpoints(lower: mp.mpf, upper: mp.mpf, inside: list[mp.mpf], dynes: mp.mpf) -> list[mp.mpf]:
    """Interval ends at the gap edges, in decades around them down to their broadening, and at thermal steps."""
    distances = [mp.mpf(0)] + [mp.mpf(10) ** -n for n in range(0, 8) if mp.mpf(10) ** -n > dynes / 10]
    edges = [sign * (1 + side * d) for sign in (-1, 1) for side in (-1, 1) for d in distances]
    return sorted({lower, upper, *(p for p in (*inside, *edges) if lower < p < upper)})


def current(junction: NISJunction, voltage: float, temperature: float) -> float:
    """I(V) from ∫₀^∞ n_S(E) [f(E−eV) − f(E+eV)] dE."""
    with mp.workdps(DIGITS):
        v, t, dynes = _reduced(junction, voltage, temperature)
        upper = abs(v) + 80 * t
        steps = [abs(v) + n * t for n in (-80, -20, -5, 0, 5, 20)]

        def integrand(energy: mp.mpf) -> mp.mpf:
            # The difference of two Fermi functions without cancellation.
            difference = mp.sinh(v / t) / (mp.cosh(energy / t) + mp.cosh(v / t))
            return _states(energy, dynes) * difference

        value = mp.quad(integrand, _breakpoints(mp.mpf(0), upper, steps, dynes))
        return float(value * junction.gap / junction.resistance)


def cooling_power(junction: NISJunction, voltage: float, temperature: float, bath: float) -> float:
    """P from ∫ (E−eV) n_S(E) [f(E−eV, T_N) − f(E, T_S)] dE."""
    with mp.workdps(DIGITS):
        v, t, dynes = _reduced(junction, voltage, temperature)
        _, t_s, _ = _reduced(junction, voltage, bath)
        reach = abs(v) + 80 * max(t, t_s)
        steps = [v + n * t for n in (-80, -20, -5, 0, 5, 20, 80)] + [n * t_s for n in (-80, -20, -5, 0, 5, 20, 80)]

        def integrand(energy: mp.mpf) -> mp.mpf:
            return (energy - v) * _states(energy, dynes) * (_fermi(energy - v, t) - _fermi(energy, t_s))

        value = mp.quad(integrand, _breakpoints(-reach, reach, steps, dynes))
        return float(value * mp.mpf(junction.gap) ** 2 / junction.resistance)


def tunnelling_rate(junction: NISJunction, energy: float, temperature: float) -> float:
    """F(E)·h/e from ∫ n_S(ε) [1 − f(ε)] f(ε − E) dε, in eV."""
    with mp.workdps(DIGITS):
        v, t, dynes = _reduced(junction, energy, temperature)
        reach = abs(v) + 80 * t
        steps = [v + n * t for n in (-20, -5, 0, 5, 20)] + [n * t for n in (-20, -5, 0, 5, 20)]

        def integrand(eps: mp.mpf) -> mp.mpf:
            return _states(eps, dynes) * _fermi(-eps, t) * _fermi(eps - v, t)

        return float(mp.quad(integrand, _breakpoints(-reach, reach, steps, dynes)) * junction.gap)


def _reduced(junction: NISJunction, voltage: float, temperature: float) -> tuple[mp.mpf, mp.mpf, mp.mpf]:
    boltzmann = mp.mpf("1.380649e-23") / mp.mpf("1.602176634e-19")
    gap = mp.mpf(junction.gap)
    return mp.mpf(voltage) / gap, boltzmann * mp.mpf(temperature) / gap, mp.mpf(junction.dynes)
