"""The defining integrals, evaluated directly with 30 digits, without Matsubara sums."""

import mpmath as mp

from labnis.physics import NISJunction

DIGITS = 30


def states(energy: mp.mpf, dynes: mp.mpf) -> mp.mpf:
    """|Re z/√((z − 1)(z + 1))| at z = energy + i·dynes, in units of the gap."""
    if not dynes:
        # The outermost nodes round onto the (integrable) gap edge, where their weight is negligible.
        square = (energy - 1) * (energy + 1)
        return abs(energy) / mp.sqrt(square) if square > 0 else mp.mpf(0)
    z = mp.mpc(energy, dynes)
    return abs(mp.re(z / mp.sqrt((z - 1) * (z + 1))))


def fermi(x: mp.mpf, t: mp.mpf) -> mp.mpf:
    return 1 / (mp.exp(x / t) + 1)


def _breakpoints(lower: mp.mpf, upper: mp.mpf, inside: list[mp.mpf], dynes: mp.mpf) -> list[mp.mpf]:
    """Interval ends at the gap edges, in decades around them down to a broadening, and at thermal steps."""
    distances = [mp.mpf(0)]
    if dynes:
        distances += [mp.mpf(10) ** -n for n in range(0, 8) if mp.mpf(10) ** -n > dynes / 10]
    edges = [sign * (1 + side * d) for sign in (-1, 1) for side in (-1, 1) for d in distances]
    return sorted({lower, upper, *(p for p in (*inside, *edges) if lower < p < upper)})


def current(junction: NISJunction, voltage: float, temperature: float) -> float:
    """I(V) from ∫₀^∞ n_S(E) [f(E−eV) − f(E+eV)] dE."""
    with mp.workdps(DIGITS):
        v, t, dynes = _reduced(junction, voltage, temperature)
        upper = abs(v) + 80 * t
        steps = [abs(v) + n * t for n in (-80, -20, -5, 0, 5, 20)]

        cosh, sinh = mp.cosh(v / t), mp.sinh(v / t)

        def integrand(energy: mp.mpf) -> mp.mpf:
            # The difference of two Fermi functions without cancellation.
            return states(energy, dynes) * sinh / (mp.cosh(energy / t) + cosh)

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
            return (energy - v) * states(energy, dynes) * (fermi(energy - v, t) - fermi(energy, t_s))

        value = mp.quad(integrand, _breakpoints(-reach, reach, steps, dynes))
        return float(value * mp.mpf(junction.gap) ** 2 / junction.resistance)


def tunnelling_rate(junction: NISJunction, energy: float, temperature: float) -> float:
    """F(E)·h/e from ∫ n_S(ε) [1 − f(ε)] f(ε − E) dε, in eV."""
    with mp.workdps(DIGITS):
        v, t, dynes = _reduced(junction, energy, temperature)
        reach = abs(v) + 80 * t
        steps = [v + n * t for n in (-20, -5, 0, 5, 20)] + [n * t for n in (-20, -5, 0, 5, 20)]

        def integrand(eps: mp.mpf) -> mp.mpf:
            return states(eps, dynes) * fermi(-eps, t) * fermi(eps - v, t)

        return float(mp.quad(integrand, _breakpoints(-reach, reach, steps, dynes)) * junction.gap)


def _reduced(junction: NISJunction, voltage: float, temperature: float) -> tuple[mp.mpf, mp.mpf, mp.mpf]:
    boltzmann = mp.mpf("1.380649e-23") / mp.mpf("1.602176634e-19")
    gap = mp.mpf(junction.gap)
    return mp.mpf(voltage) / gap, boltzmann * mp.mpf(temperature) / gap, mp.mpf(junction.dynes)
