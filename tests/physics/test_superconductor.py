"""The superconductor: against the defining integrals over energy, closed forms at T = 0, and the balance of currents.

The integrals depend on Δ/kT and µ*/kT only, and give temperature and density explicitly: ln(Δ₀/Δ) = 2A, kT = Δ/a,
n/(4N(0)Δ₀) = (Δ/Δ₀)·B. So a state is chosen, its temperature and density are computed with 30 digits, and the package
has to find the state again; no equation is solved here.
"""

from dataclasses import replace
from functools import cache

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.constants import e, k
from scipy.integrate import quad

from labnis.physics import (
    ENERGY_CROSSING_DENSITY,
    InjectedSuperconductor,
    NISJunction,
    bcs_gap,
    critical_density,
    critical_temperature,
    gap_at_zero_temperature,
    nonequilibrium_state,
    thermal_density,
)
from labnis.physics._quasiparticles import heat_integral, integrals

GAP = 200e-6
CRITICAL = critical_temperature(GAP)
# A 40 × 7 µm² aluminium junction, 1 µm deep.
LEAD = InjectedSuperconductor(GAP, 1.72e28, 280e-18, 1e-17, 1e7)

relative_temperatures = st.floats(0.01, 0.98)
shares = st.floats(1e-3, 0.999)


def exact_integrals(a: float, c: float, count: int = 4) -> list[mp.mpf]:
    """The first of ∫ f, ∫ cosh u f, ∫ f(1−f) and ∫ cosh u f(1−f) over E = Δ cosh u (so that dE/√(E² − Δ²) = du)."""
    edges = [mp.mpf(max(c, 0) + d) for d in (-60, -20, -8, -2, 0, 2, 8, 20, 60, 100)]
    points = [mp.mpf(0), *(2 * mp.asinh(mp.sqrt(x / (2 * mp.mpf(a)))) for x in edges if x > 0)]
    # Quadrature stops at an absolute error: a tiny occupation has to be taken out.
    scale = mp.exp(min(c, 0))

    @cache  # all integrands are evaluated at the same nodes
    def at(u: mp.mpf) -> tuple[mp.mpf, mp.mpf]:
        energy = mp.cosh(u)
        return energy, 1 / (mp.exp(a * (energy - 1) - c) + 1)

    integrands = (
        lambda energy, f: f,
        lambda energy, f: energy * f,
        lambda energy, f: f * (1 - f),
        lambda energy, f: energy * f * (1 - f),
    )
    return [scale * mp.quad(lambda u, g=g: g(*at(u)) / scale, points) for g in integrands[:count]]


def exact_state(a: float, c: float) -> tuple[float, float, float, float]:
    """(temperature, density, gap, µ*) in K, 1, eV, eV of the state with Δ/kT = a and (µ* − Δ)/kT = c."""
    with mp.workdps(30):
        pairing, density = exact_integrals(a, c, 2)
        gap = mp.exp(-2 * pairing)
        boltzmann = mp.mpf("1.380649e-23") / mp.mpf("1.602176634e-19")
        thermal = mp.mpf(GAP) * gap / a
        values = (thermal / boltzmann, gap * density, GAP * gap, GAP * gap + c * thermal)
        return tuple(float(x) for x in values)


@pytest.mark.parametrize("a", [1e-3, 5.0, 1e3, 1e9])
@pytest.mark.parametrize("c", [-30.0, 0.0, 1e-6, 1.0, 30.0])
def test_integrals_agree_with_quadrature(a: float, c: float) -> None:
    with mp.workdps(30):
        expected = [float(x) for x in exact_integrals(a, c)]
    np.testing.assert_allclose(np.ravel(integrals(np.array([a]), np.array([c]))), expected, rtol=1e-13)


@pytest.mark.parametrize("a", [3e-3, 0.05, 0.5, 2.0, 5.0, 12.0, 40.0])
def test_equilibrium_agrees_with_the_gap_equation(a: float) -> None:
    temperature, density, gap, _ = exact_state(a, -a)
    argument = 2e-16 / (1 - temperature / CRITICAL)
    assert bcs_gap(temperature, GAP) == pytest.approx(gap, rel=1e-14 + argument)
    assert thermal_density(temperature, GAP) == pytest.approx(density, rel=1e-13 + argument)


def test_gap_at_the_ends_of_its_range() -> None:
    assert GAP / (k / e * CRITICAL) == pytest.approx(1.763877, rel=1e-6)
    np.testing.assert_array_equal(bcs_gap([CRITICAL, 2 * CRITICAL], GAP), 0.0)
    np.testing.assert_allclose(bcs_gap([0.0, 5e-324, 1e-9, 0.05 * CRITICAL], GAP), GAP, rtol=1e-14)
    # Δ = kT_c π √(8/7ζ(3)) √(1 − T/T_c) = 3.0633 kT_c √…
    near = 1 - 1e-7
    expected = np.pi * np.sqrt(8 / (7 * float(mp.zeta(3)))) * k / e * CRITICAL * np.sqrt(1e-7)
    assert bcs_gap(near * CRITICAL, GAP) == pytest.approx(expected, rel=1e-6)
    assert 0 < bcs_gap(np.nextafter(CRITICAL, 0), GAP) < 1e-7 * GAP
    assert bcs_gap([[0.1], [0.2]], GAP).shape == (2, 1)


def test_gap_falls_with_temperature() -> None:
    assert np.diff(bcs_gap(np.linspace(0.12, 1, 2001) * CRITICAL, GAP)).max() < 0
    assert np.diff(bcs_gap(np.linspace(0, 0.12, 2001) * CRITICAL, GAP)).max() < 1e-14 * GAP


@pytest.mark.parametrize("temperature", [0.0, 5e-324, 0.005, 0.0137, 0.3, 0.9, 1.3])
def test_gap_at_zero_temperature_is_the_one_that_has_this_gap(temperature: float) -> None:
    gap = float(bcs_gap(temperature, GAP))
    found = gap_at_zero_temperature(gap, temperature)
    assert found.value == pytest.approx(GAP, rel=1e-13)
    step = 1e-5

    def change(by_gap: float, by_temperature: float) -> float:
        up, down = (
            gap_at_zero_temperature(gap * (1 + sign * by_gap), temperature * (1 + sign * by_temperature)).value
            for sign in (1, -1)
        )
        return (up - down) / (2 * step)

    assert found.by_gap * gap == pytest.approx(change(step, 0), rel=1e-7)
    assert found.by_temperature * temperature == pytest.approx(change(0, step), abs=1e-7 * GAP)


@pytest.mark.parametrize(
    ("a", "c"),
    # Few quasiparticles, equilibrium, fewer than in equilibrium, and cold seas of them; µ* = Δ is where the method
    # of integration changes.
    [
        *((2000.0, c) for c in (-300.0, -2.0, 0.0, 1e-9, 5.0, 150.0)),
        *((30.0, c) for c in (-45.0, -30.0, -1.0, 0.0, 0.1, 2.9)),
        *((5.0, c) for c in (-12.0, -5.0, -2.0, -0.5, 0.0)),
        (1.0, -1.0),
        (1.0, -0.9),
        (0.15, -0.15),
    ],
)
def test_state_agrees_with_its_integrals(a: float, c: float) -> None:
    temperature, density, gap, potential = exact_state(a, c)
    state = nonequilibrium_state(density, temperature, GAP)
    assert state.gap == pytest.approx(gap, rel=1e-12)
    assert state.chemical_potential == pytest.approx(potential, abs=1e-12 * GAP)


@pytest.mark.parametrize("x", [0.0, 1e-3, 0.1, 0.3, 0.54])
def test_cold_state_has_the_closed_form(x: float) -> None:
    state = nonequilibrium_state(np.exp(-2 * x) * np.sinh(x), 0.0, GAP)
    assert state.gap == pytest.approx(GAP * np.exp(-2 * x), rel=1e-13)
    assert state.chemical_potential == pytest.approx(GAP * np.exp(-2 * x) * np.cosh(x), rel=1e-13)
    slope = -2 * np.exp(-2 * x) / (np.exp(-2 * x) * (np.cosh(x) - 2 * np.sinh(x)))
    assert state.gap_slope == pytest.approx(GAP * slope, rel=1e-10)


@pytest.mark.parametrize("temperature", [1e-9, 1e-6, 1e-3])
def test_cold_state_is_approached(temperature: float) -> None:
    density = np.linspace(0.05, 0.19, 7)
    cold, warm = (nonequilibrium_state(density, t * CRITICAL, GAP) for t in (0.0, temperature))
    np.testing.assert_allclose(warm.gap, cold.gap, rtol=1e-12 + 300 * temperature**2)
    np.testing.assert_allclose(warm.chemical_potential, cold.chemical_potential, rtol=1e-12 + 300 * temperature**2)


def test_equilibrium_is_a_state_like_others() -> None:
    temperature = np.array([0.05, 0.2, 0.5, 0.9, 0.99]) * CRITICAL
    state = nonequilibrium_state(thermal_density(temperature, GAP), temperature, GAP)
    np.testing.assert_allclose(state.gap, bcs_gap(temperature, GAP), rtol=1e-12)
    np.testing.assert_allclose(state.chemical_potential, 0.0, atol=1e-12 * GAP)


def test_no_quasiparticles() -> None:
    state = nonequilibrium_state(0.0, [0.0, 0.1, 1.0], GAP)
    np.testing.assert_allclose(state.gap, GAP, rtol=1e-15)
    np.testing.assert_allclose(state.chemical_potential, [GAP, -np.inf, -np.inf], rtol=1e-15)
    assert state.gap_slope[0] == pytest.approx(-2 * GAP)
    # Few of them shrink the gap by −2 K₀(a)/K₁(a) each.
    a = mp.mpf(GAP) / mp.mpf(k / e * 0.1)
    assert state.gap_slope[1] == pytest.approx(GAP * float(-2 * mp.besselk(0, a) / mp.besselk(1, a)), rel=1e-12)


def density_on_the_gap_curve(gap: float, thermal: float) -> float:
    """n/(4N(0)Δ₀) at a gap and kT (in Δ₀), by bisection for µ* and adaptive quadrature of both integrals."""

    def fermi(u: float, potential: float) -> float:
        return 1 / (np.exp((gap * np.cosh(u) - potential) / thermal) + 1)

    reach = np.arccosh(1 + 45 * thermal / gap)
    low, high = -3.0, 3.0
    for _ in range(45):
        middle = (low + high) / 2
        pairing = quad(fermi, 0, reach, args=(middle,), epsabs=1e-13, limit=200)[0]
        low, high = (middle, high) if 2 * pairing < -np.log(gap) else (low, middle)
    return gap * quad(lambda u: np.cosh(u) * fermi(u, low), 0, reach, epsabs=1e-13, limit=200)[0]


@pytest.mark.parametrize("relative", [0.3, 0.7, 0.95])
def test_critical_density_is_the_largest_one(relative: float) -> None:
    temperature = relative * CRITICAL
    largest = float(critical_density(temperature, GAP))
    critical_gap = float(nonequilibrium_state(largest, temperature, GAP).gap) / GAP
    thermal = k / e * temperature / GAP
    at, above, below = (density_on_the_gap_curve(f * critical_gap, thermal) for f in (1, 1.05, 0.95))
    assert at == pytest.approx(largest, rel=1e-10)
    assert max(above, below) < at


def test_critical_point_of_a_cold_superconductor() -> None:
    assert critical_density(0.0, GAP) == pytest.approx(1 / (3 * np.sqrt(3)), rel=1e-14)
    assert nonequilibrium_state(1 / (3 * np.sqrt(3)), 0.0, GAP).gap == pytest.approx(GAP / 3, rel=1e-7)


@pytest.mark.parametrize("relative", [0.0, 0.05, 0.5, 0.95])
def test_gap_has_a_square_root_at_the_critical_density(relative: float) -> None:
    temperature = relative * CRITICAL
    below = np.array([1e-6, 1e-8, 1e-10, 0.0])
    state = nonequilibrium_state(critical_density(temperature, GAP) * (1 - below), temperature, GAP)
    rise = state.gap[:-1] - state.gap[-1]
    np.testing.assert_allclose(rise[:-1] / rise[1:], 10.0, rtol=0.03)
    # dΔ/dn grows without bound, as the rise over 2(n_c − n).
    np.testing.assert_allclose(state.gap_slope[1:3] / state.gap_slope[:2], 10.0, rtol=0.06)
    assert state.gap_slope[3] < 10 * state.gap_slope[2] < 0
    # At n_c itself, where rounding leaves six digits, the gap is the limit of the root.
    assert state.gap[3] == pytest.approx((10 * state.gap[2] - state.gap[1]) / 9, rel=1e-6)


def test_superconductor_and_normal_metal_cross_in_energy() -> None:
    # In units of 4N(0)Δ₀²: condensation −1/8 plus ∫µ* dn against ∫µ_N dn = n²/2, µ_N = n/(4N(0)).
    def potential(density: float) -> float:
        return float(nonequilibrium_state(density, 0.0, 1.0).chemical_potential)

    superconducting = -1 / 8 + quad(potential, 0, ENERGY_CROSSING_DENSITY, epsabs=1e-13)[0]
    assert superconducting == pytest.approx(ENERGY_CROSSING_DENSITY**2 / 2, abs=1e-12)
    assert nonequilibrium_state(ENERGY_CROSSING_DENSITY, 0.0, GAP).gap == pytest.approx(GAP / 2, rel=1e-13)
    assert critical_density(0.0, GAP) > ENERGY_CROSSING_DENSITY


@settings(max_examples=40, deadline=None, derandomize=True)
@given(relative_temperatures, st.lists(shares, min_size=2, max_size=6, unique=True))
def test_gap_falls_with_density_along_its_slope(relative: float, drawn: list[float]) -> None:
    temperature = relative * CRITICAL
    density = np.sort(drawn) * critical_density(temperature, GAP)
    state = nonequilibrium_state(density, temperature, GAP)
    assert (np.diff(state.gap) < 0).all()
    assert (state.gap < GAP).all()
    assert (state.gap_slope < 0).all()
    step = 1e-6 * density * np.sqrt(1 - np.sort(drawn))
    up, down = (nonequilibrium_state(density + s, temperature, GAP).gap for s in (step, -step))
    np.testing.assert_allclose((up - down) / (2 * step), state.gap_slope, rtol=1e-4)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.floats(1e-9, 0.9999), st.floats(-300, 0), st.booleans())
def test_every_allowed_density_has_its_state(relative: float, decades: float, near_critical: bool) -> None:
    temperature = relative * CRITICAL
    small = 10 ** (decades / 20 if near_critical else decades)
    density = critical_density(temperature, GAP) * (1 - small if near_critical else small)
    state = nonequilibrium_state(density, temperature, GAP)
    assert 0 < state.gap <= GAP
    assert not np.isnan(state.gap_slope)


def test_too_many_quasiparticles_are_refused() -> None:
    with pytest.raises(ValueError, match=r"density contains 0\.2; no superconducting solution exists above 0\.19245"):
        nonequilibrium_state([0.1, 0.2], 0.0, GAP)
    with pytest.raises(ValueError, match="density contains"):
        nonequilibrium_state(float(critical_density(0.5, GAP)) * (1 + 1e-9), 0.5, GAP)


@pytest.mark.parametrize("temperature", [0.0, 0.05, 0.3, 1.0])
def test_no_current_leaves_equilibrium(temperature: float) -> None:
    assert LEAD.gap(0.0, temperature) == pytest.approx(float(bcs_gap(temperature, GAP)), rel=1e-13)
    thermal = LEAD.density_scale * thermal_density(temperature, GAP)
    assert LEAD.quasiparticle_density(0.0, temperature) == pytest.approx(float(thermal), rel=1e-14)


@pytest.mark.parametrize("lead", [LEAD, replace(LEAD, outflow=0.0), replace(LEAD, recombination=0.0)])
@pytest.mark.parametrize("temperature", [0.0, 0.3])
def test_injection_balances_recombination_and_outflow(lead: InjectedSuperconductor, temperature: float) -> None:
    current = np.array([1e-9, 1e-6, 1e-3])
    density = lead.quasiparticle_density(current, temperature)
    thermal = lead.density_scale * thermal_density(temperature, GAP)
    loss = lead.recombination * (density**2 - thermal**2) + lead.outflow * (density - thermal)
    np.testing.assert_allclose(e * lead.volume * loss, current, rtol=1e-6)  # n² − n_th² cancels at 1 nA


@pytest.mark.parametrize("temperature", [0.0, 0.1, 0.334, 1.0])
def test_gap_under_injection(temperature: float) -> None:
    largest = float(LEAD.critical_current(temperature))
    current = np.linspace(0.0, 1.0, 41) * largest
    gap = LEAD.gap(current, temperature)
    assert (np.diff(gap) < 0).all()
    state = nonequilibrium_state(
        LEAD.quasiparticle_density(current, temperature) / LEAD.density_scale * (1 - 1e-14), temperature, GAP
    )
    np.testing.assert_allclose(gap, state.gap, rtol=1e-6)
    inner, step = current[1:-1], 1e-5 * largest
    slope = (LEAD.gap(inner + step, temperature) - LEAD.gap(inner - step, temperature)) / (2 * step)
    np.testing.assert_allclose(LEAD.gap_derivative(inner, temperature), slope, rtol=1e-4)
    assert LEAD.gap_derivative(largest, temperature) < 1e3 * slope.min()


def test_current_beyond_the_critical_one_is_refused() -> None:
    largest = float(LEAD.critical_current(0.3))
    with pytest.raises(ValueError, match=rf"current contains .*; no superconducting solution exists above {largest}"):
        LEAD.gap([0.0, 1.001 * largest], 0.3)
    with pytest.raises(ValueError, match="no superconducting solution"):
        LEAD.gap_derivative(2 * largest, 0.3)


def test_faster_removal_bears_more_current() -> None:
    limit = float(LEAD.critical_current(0.3))
    for name in ("volume", "recombination", "outflow"):
        better = replace(LEAD, **{name: 2 * getattr(LEAD, name)})
        assert limit < better.critical_current(0.3) <= 2 * limit * (1 + 1e-12)
        assert better.gap(limit, 0.3) > LEAD.gap(limit, 0.3)


@pytest.mark.parametrize(
    ("temperature", "quasiparticles", "resistance", "current", "power", "gap"),
    [
        (0.093, True, 2.4, 4.9e-6, 27.6e-12, 0.998),
        (0.093, False, 10.8e-3, 0.99e-3, 5.9e-9, 0.844),
        (0.334, True, 0.42, 48e-6, 1.30e-9, 0.986),
        (0.334, False, 2.3e-3, 3.5e-3, 164e-9, 0.615),
    ],
)
def test_maximum_cooling_power_with_its_own_injection(
    temperature: float, quasiparticles: bool, resistance: float, current: float, power: float, gap: float
) -> None:
    """The table in docs/physics.md: over all barriers and biases, R_T = Δ·i(v)/I with the current i of a unit junction.

    With the heat of the quasiparticles and, as an upper bound, without it.
    """
    bath, unit = 0.334, NISJunction(1.0, 1.0)
    injected = np.geomspace(1e-6, 0.999 * float(LEAD.critical_current(bath)), 300)[:, None]
    left = LEAD.gap(injected, bath)
    potential = LEAD.chemical_potential(injected, bath) * quasiparticles
    voltage = 1 - np.linspace(0, 4, 81) * k / e * temperature / GAP
    drawn = unit.current(voltage, temperature / left)
    cooling = unit.cooling_power(voltage, temperature / left, bath / left, chemical_potential=potential / left)
    total = injected * left * cooling / drawn
    best = np.unravel_index(np.argmax(total), total.shape)
    assert 0 < best[0] < injected.size - 1
    assert 0 < best[1] < voltage.size - 1
    assert total[best] == pytest.approx(power, rel=0.01)
    assert left[best[0], 0] / GAP == pytest.approx(gap, abs=0.005)
    assert injected[best[0], 0] == pytest.approx(current, rel=0.03)
    assert (left * drawn / injected)[best] == pytest.approx(resistance, rel=0.03)


def test_injection_raises_the_chemical_potential() -> None:
    current = np.linspace(0, 1, 21) * LEAD.critical_current(0.334)
    potential = LEAD.chemical_potential(current, 0.334)
    assert potential[0] == pytest.approx(0, abs=1e-12 * GAP)
    density = LEAD.quasiparticle_density(current[:-1], 0.334) / LEAD.density_scale
    np.testing.assert_allclose(potential[:-1], nonequilibrium_state(density, 0.334, GAP).chemical_potential, rtol=1e-9)
    assert potential[1] > 0.5 * GAP


@pytest.mark.parametrize("a", [1e-2, 5.0, 1e3, 1e9])
@pytest.mark.parametrize("c", [-30.0, 0.0, 1e-6, 1.0, 30.0])
def test_heat_integral_agrees_with_quadrature(a: float, c: float) -> None:
    with mp.workdps(30):
        edges = [mp.mpf(max(c, 0) + d) for d in (-60, -20, -8, -2, 0, 2, 8, 20, 60, 100)]
        points = [mp.mpf(0), *(2 * mp.asinh(mp.sqrt(x / (2 * mp.mpf(a)))) for x in edges if x > 0)]
        scale = mp.exp(min(c, 0))
        expected = scale * mp.quad(lambda u: mp.cosh(u) ** 2 / (mp.exp(a * (mp.cosh(u) - 1) - c) + 1) / scale, points)
    assert heat_integral(np.array([a]), np.array([c]))[0] == pytest.approx(
        float(expected), rel=1e-13 if a > 1 else 1e-12
    )


def test_arguments_broadcast() -> None:
    current, temperature = np.linspace(0, 1e-4, 5), np.array([[0.0], [0.1], [0.3]])
    assert LEAD.gap(current, temperature).shape == (3, 5)
    assert LEAD.gap_derivative(current, temperature).shape == (3, 5)
    assert LEAD.quasiparticle_density(current, temperature).shape == (3, 5)
    assert LEAD.critical_current(temperature).shape == (3, 1)
    assert LEAD.gap(1e-4, 0.1).shape == ()
    assert LEAD.gap(np.empty(0), 0.1).shape == (0,)
    with pytest.raises(ValueError, match="broadcast"):
        LEAD.gap([0.0, 1e-6], [0.1, 0.2, 0.3])


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="outflow is 0 and so is recombination"):
        replace(LEAD, recombination=0.0, outflow=0.0)
    for call in (lambda: nonequilibrium_state(0.1, 2.0, GAP), lambda: LEAD.gap(0.0, 2.0)):
        with pytest.raises(ValueError, match=r"temperature contains 2\.0; it must be at most 1\.3"):
            call()
