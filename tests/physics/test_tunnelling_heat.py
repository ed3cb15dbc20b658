"""The heat kernel: against quadrature, its own derivatives, and a series near equilibrium."""

import mpmath as mp
import numpy as np
import pytest
from scipy.constants import e, k

from labnis.physics import NISJunction
from labnis.physics._tunnelling_heat import heat_near_equilibrium, tunnelling_heat, tunnelling_heat_slopes
from tests.physics import quadrature

GAP = 215e-6


@pytest.mark.parametrize("dynes", [0.0, 1e-3])
@pytest.mark.parametrize("temperature", [5e-3, 2.0])
@pytest.mark.parametrize("reduced_voltage", [0.3, 1.0, 5.0])
def test_the_heat_agrees_with_quadrature(dynes: float, temperature: float, reduced_voltage: float) -> None:
    junction, bath = NISJunction(GAP, 1.0, dynes), 0.12
    thermal = np.array([temperature, bath]) * k / e / GAP
    heat, _ = tunnelling_heat(np.array([reduced_voltage, 0.0]), thermal, dynes)
    expected = quadrature.cooling_power(junction, reduced_voltage * GAP, temperature, bath) / GAP**2
    assert heat[0] - heat[1] == pytest.approx(expected, abs=5e-15 * (1 + reduced_voltage**2))


@pytest.mark.parametrize("dynes", [0.0, 1e-3])
def test_the_slopes_are_those_of_finite_differences(dynes: float) -> None:
    v, t = np.array([0.0, 1e-3, 0.5, 0.97, 1.0, 1.2, 5.0]), np.array([0.002, 0.03, 0.4])[:, None]
    v, t = np.broadcast_arrays(v, t)
    by_v, by_dynes = tunnelling_heat_slopes(v, t, dynes)
    step = 1e-4 * t
    for slope, change in ((by_v, (step, 0, 0)), (tunnelling_heat(v, t, dynes)[1], (0, step, 0))):
        up, down = (tunnelling_heat(v + s * change[0], t + s * change[1], dynes)[0] for s in (1, -1))
        np.testing.assert_allclose((up - down) / (2 * step), slope, rtol=1e-6, atol=1e-7)
    if dynes:
        up, down = (tunnelling_heat(v, t, dynes * (1 + s))[0] for s in (1e-3, -1e-3))
        np.testing.assert_allclose((up - down) / (2e-3 * dynes), by_dynes, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("t", [0.002, 0.03, 0.4])
def test_both_ways_of_smearing_meet_at_the_limit_between_them(t: float) -> None:
    for sign in (-1, 1):
        v = 1 + sign * 100 * t * (1 + np.array([-1e-10, 1e-10]))
        near = np.full(2, t)
        for value in (*tunnelling_heat(v, near, 1e-4), *tunnelling_heat_slopes(v, near, 1e-4)):
            assert value[0] == pytest.approx(value[1], rel=1e-8, abs=1e-14 * (1 + v[0] ** 2))


@pytest.mark.parametrize(
    ("dynes", "temperature"),
    [(1e-5, 0.005), *(pytest.param(*one, marks=pytest.mark.long) for one in ((1e-3, 0.09), (1e-5, 0.3)))],
)
@pytest.mark.parametrize(("reduced_voltage", "relative_rise"), [(1e-7, 1e-14), (1e-3, -1e-6), (0.4, 0.05)])
def test_near_equilibrium_the_heat_keeps_its_digits(
    dynes: float, temperature: float, reduced_voltage: float, relative_rise: float
) -> None:
    """Against ∫ (E − v) n_S(E) [f(E − v, t) − f(E, t_S)] dE with 40 digits, folded so that nothing cancels."""
    with mp.workdps(40):
        t_s = mp.mpf(float(temperature * k / e / GAP))
        rise = mp.mpf(float(relative_rise * t_s))
        v, t, gamma = mp.mpf(reduced_voltage), t_s + rise, mp.mpf(dynes)

        def states(x: mp.mpf) -> mp.mpf:
            z = mp.mpc(x, gamma)
            return abs(mp.re(z / (mp.sqrt(z - 1) * mp.sqrt(z + 1))))

        def fermi(x: mp.mpf, width: mp.mpf) -> mp.mpf:
            return 1 / (mp.exp(x / width) + 1)

        def integrand(x: mp.mpf) -> mp.mpf:
            forward = (x - v) * (fermi(x - v, t) - fermi(x, t_s))
            return states(x) * (forward + (-x - v) * (fermi(-x - v, t) - fermi(-x, t_s)))

        edges = {1 + side * mp.mpf(10) ** -n for n in range(7) for side in (-1, 1)} | {mp.mpf(1)}
        edges |= {at + n * t_s for at in (0, v) for n in (0, 1, 3, 8, 20, 40)}
        reach = 2 + 90 * t_s
        exact = float(mp.quad(integrand, sorted({mp.mpf(0), reach, *(x for x in edges if 0 < x < reach)})))
    arrays = (np.array([float(x)]) for x in (v, t_s, rise))
    error = abs(heat_near_equilibrium(*arrays, dynes)[0] - exact)
    assert error <= 1e-14 * (reduced_voltage**2 + abs(float(rise)))
