"""One junction: against the defining integrals, closed limits, and properties that hold for every parameter set."""

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.constants import e, h, k

from labnis.physics import NISJunction
from tests.physics import quadrature

GAP = 215e-6
RESISTANCE = 12e3
# What the class promises, relative to the normal-state current V/R.
ACCURACY = 1e-13

junctions = st.builds(
    NISJunction,
    gap=st.floats(100e-6, 1.5e-3),
    resistance=st.floats(100.0, 1e6),
    dynes=st.floats(0.0, 0.05),
)
voltages = st.floats(-4e-3, 4e-3)
temperatures = st.floats(1e-3, 1.0)


@pytest.mark.parametrize("dynes", [0.0, 1e-3, *(pytest.param(dynes, marks=pytest.mark.long) for dynes in (1e-5, 0.05))])
@pytest.mark.parametrize("temperature", [1e-3, 0.1, pytest.param(1.0, marks=pytest.mark.long)])
@pytest.mark.parametrize("reduced_voltage", [1e-6, 0.3, 0.999, 1.0, 1.01, -20.0])
def test_current_agrees_with_quadrature(dynes: float, temperature: float, reduced_voltage: float) -> None:
    junction = NISJunction(GAP, RESISTANCE, dynes)
    voltage = reduced_voltage * GAP
    expected = quadrature.current(junction, voltage, temperature)
    assert abs(junction.current(voltage, temperature) - expected) < ACCURACY * abs(voltage) / RESISTANCE


@pytest.mark.parametrize("dynes", [0.0, 1e-3])
@pytest.mark.parametrize(
    "temperatures", [(0.05, 0.3), *(pytest.param(t, marks=pytest.mark.long) for t in ((0.3, 0.1), (0.1, 0.1)))]
)
@pytest.mark.parametrize("reduced_voltage", [0.0, 0.95, 2.0])
def test_cooling_power_agrees_with_quadrature(
    dynes: float, temperatures: tuple[float, float], reduced_voltage: float
) -> None:
    junction = NISJunction(GAP, RESISTANCE, dynes)
    expected = quadrature.cooling_power(junction, reduced_voltage * GAP, *temperatures)
    accuracy = 5e-15 * (1 + reduced_voltage**2) * GAP**2 / RESISTANCE
    assert abs(junction.cooling_power(reduced_voltage * GAP, *temperatures) - expected) < accuracy


@pytest.mark.parametrize("energy", [-3e-4, -1e-9, 1e-10, 2e-4, 1e-3])
def test_tunnelling_rate_agrees_with_quadrature(energy: float) -> None:
    junction = NISJunction(GAP, RESISTANCE, 1e-3)
    expected = quadrature.tunnelling_rate(junction, energy, 0.1) * e / h
    assert junction.tunnelling_rate(energy, 0.1) == pytest.approx(expected, rel=1e-8)


@given(junctions, voltages, temperatures)
def test_current_is_odd_and_has_the_sign_of_the_voltage(
    junction: NISJunction, voltage: float, temperature: float
) -> None:
    current = float(junction.current(voltage, temperature))
    assert current == -float(junction.current(-voltage, temperature))
    assert current * np.sign(voltage) >= -ACCURACY * abs(voltage) / junction.resistance


@given(junctions, temperatures)
def test_current_rises_with_the_voltage(junction: NISJunction, temperature: float) -> None:
    voltage = np.linspace(-4e-3, 4e-3, 201)
    rise = np.diff(junction.current(voltage, temperature))
    assert rise.min() >= -ACCURACY * 4e-3 / junction.resistance
    assert rise[-1] > 0


@given(junctions, temperatures)
def test_current_far_above_the_gap_is_ohmic(junction: NISJunction, temperature: float) -> None:
    voltage = 100 * junction.gap
    # The excess beyond Ohm's law is −Δ²/2V² at T = 0; what is left is smaller.
    assert junction.current(voltage, temperature) == pytest.approx(voltage / junction.resistance, rel=1e-4)


def test_current_at_zero_temperature_is_the_bcs_one() -> None:
    junction = NISJunction(GAP, RESISTANCE)
    voltage = np.array([-3.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 3.0]) * GAP
    expected = np.sign(voltage) * np.sqrt(np.maximum(voltage**2 - GAP**2, 0)) / RESISTANCE
    np.testing.assert_allclose(junction.current(voltage, 0.0), expected, atol=1e-8 * GAP / RESISTANCE)


def test_current_approaches_its_zero_temperature_value() -> None:
    junction = NISJunction(GAP, RESISTANCE, 1e-3)
    voltage = np.linspace(0, 3, 31) * GAP
    cold = junction.current(voltage, 1e-6)
    np.testing.assert_allclose(cold, junction.current(voltage, 0.0), atol=1e-6 * GAP / RESISTANCE)


def test_deep_subgap_current_is_thermally_activated() -> None:
    # For eV, kT ≪ Δ and no broadening: I = (Δ/eR)·√(2πkT/Δ)·e^{−Δ/kT}·sinh(eV/kT).
    junction = NISJunction(GAP, RESISTANCE)
    thermal = k / e * 0.1
    voltage = 0.2 * GAP
    t = thermal / GAP
    expected = GAP / RESISTANCE * np.sqrt(2 * np.pi * t) * np.exp(-1 / t) * np.sinh(voltage / thermal)
    current = float(junction.current(voltage, 0.1))
    assert current / (voltage / RESISTANCE) < 1e-7
    assert current == pytest.approx(expected, rel=0.03)  # the next term of the expansion is 3t/8 = 1.5 %


@pytest.mark.parametrize(
    ("parameter", "step"),
    [("voltage", 1e-9), ("temperature", 1e-6), ("gap", 1e-10), ("dynes", 1e-7), ("resistance", 1.0)],
)
def test_derivatives_are_those_of_the_functions(parameter: str, step: float) -> None:
    voltage = np.array([0.2, 0.9, 1.0, 1.3, -2.0]) * GAP

    def shifted(by: float) -> tuple[np.ndarray, np.ndarray]:
        shift = {parameter: by}
        junction = NISJunction(
            GAP + shift.get("gap", 0), RESISTANCE + shift.get("resistance", 0), 1e-3 + shift.get("dynes", 0)
        )
        at, temperature = voltage + shift.get("voltage", 0), 0.1 + shift.get("temperature", 0)
        return junction.current(at, temperature), junction.cooling_power(at, temperature, 0.2)

    (current_up, power_up), (current_down, power_down) = shifted(step), shifted(-step)
    junction = NISJunction(GAP, RESISTANCE, 1e-3)
    current_slope = junction.current_derivative(parameter, voltage, 0.1)
    power_slope = junction.cooling_power_derivative(parameter, voltage, 0.1, 0.2)
    scale = np.abs(current_slope).max()
    np.testing.assert_allclose((current_up - current_down) / (2 * step), current_slope, atol=1e-5 * scale)
    scale = np.abs(power_slope).max()
    np.testing.assert_allclose((power_up - power_down) / (2 * step), power_slope, atol=1e-5 * scale)


def test_best_cooling_is_just_below_the_gap() -> None:
    # kT ≪ Δ: V ≈ (Δ − 0.66 kT)/e, P ≈ (Δ²/e²R)·0.59·(kT/Δ)^{3/2} (cold superconductor).
    junction = NISJunction(GAP, RESISTANCE)
    temperature = 0.05
    thermal = k / e * temperature
    voltage = np.linspace(0.9, 1.0, 2001) * GAP
    power = junction.cooling_power(voltage, temperature, 1e-3)
    best = int(np.argmax(power))
    assert voltage[best] == pytest.approx(GAP - 0.66 * thermal, abs=0.1 * thermal)
    assert power[best] == pytest.approx(GAP**2 / RESISTANCE * 0.59 * (thermal / GAP) ** 1.5, rel=0.03)


@settings(max_examples=30)
@given(junctions, st.floats(-1e-3, 1e-3), st.floats(0.02, 1.0))
def test_tunnelling_obeys_detailed_balance(junction: NISJunction, energy: float, temperature: float) -> None:
    forward = float(junction.tunnelling_rate(energy, temperature))
    backward = float(junction.tunnelling_rate(-energy, temperature))
    assert backward == pytest.approx(forward * np.exp(-energy * e / (k * temperature)), rel=1e-6)


def test_arguments_broadcast() -> None:
    junction = NISJunction(GAP, RESISTANCE, 1e-3)
    shape = (3, 5)
    voltage, temperature = np.linspace(0, 1e-3, 5), np.array([[0.0], [0.1], [0.3]])
    assert junction.current(voltage, temperature).shape == shape
    assert junction.cooling_power(voltage, temperature, 0.1).shape == shape
    assert junction.tunnelling_rate(voltage, temperature).shape == shape
    assert junction.current_derivative("gap", voltage, temperature).shape == shape


# --- best cooling -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dynes", [0.0, 1e-4, 1e-2])
@pytest.mark.parametrize(
    ("temperature", "superconductor"), [(0.02, 0.02), (0.1, 0.1), (0.1, 0.3), (0.3, 0.3), (0.9, 0.5)]
)
def test_no_bias_cools_better_than_the_optimal_one(dynes: float, temperature: float, superconductor: float) -> None:
    junction = NISJunction(215e-6, 1e3, dynes)
    voltages = np.linspace(0, 1.3 * 215e-6, 5001)
    best = float(junction.cooling_power(voltages, temperature, superconductor).max())
    found = float(junction.maximum_cooling_power(temperature, superconductor))
    assert found >= best - 1e-13 * 215e-6**2 / 1e3
    bias = float(junction.optimal_bias(temperature))
    beside = np.abs([bias - 1e-4 * 215e-6, bias + 1e-4 * 215e-6])
    assert found >= float(junction.cooling_power(beside, temperature, superconductor).max())


def test_optimal_bias_and_power_far_below_the_gap() -> None:
    """Anghel & Pekola: V = (Δ − 0.66 kT)/e, P = 0.59 Δ² (kT/Δ)^{3/2}/(e²R) less what the superconductor returns."""
    junction = NISJunction(215e-6, 1e3)
    temperature = np.array([0.01, 0.03])
    t = k * temperature / e / 215e-6
    assert (215e-6 - junction.optimal_bias(temperature)) / (215e-6 * t) == pytest.approx([0.66, 0.66], abs=0.01)
    power = junction.maximum_cooling_power(temperature, 0.01) * 1e3 / 215e-6**2
    assert power / t**1.5 == pytest.approx([0.59, 0.59], abs=0.01)
    returned = power - junction.maximum_cooling_power(temperature, 0.3) * 1e3 / 215e-6**2
    t_s = k * 0.3 / e / 215e-6
    assert returned == pytest.approx(np.sqrt(2 * np.pi * t_s) * np.exp(-1 / t_s), rel=0.15)


def test_where_nothing_cools_zero_is_the_best_bias() -> None:
    junction = NISJunction(215e-6, 1e3, dynes=1e-2)
    assert junction.optimal_bias(0.02) == 0
    assert junction.maximum_cooling_power(0.02, 0.3) < 0
    assert junction.maximum_cooling_power(0.02, 0.02) == pytest.approx(0, abs=1e-25)


def test_optimal_bias_broadcasts() -> None:
    junction = NISJunction(215e-6, 1e3)
    temperatures = np.array([0.05, 0.1, 0.2])
    found = junction.maximum_cooling_power(temperatures, np.array([[0.1], [0.3]]))
    assert found.shape == (2, 3)
    alone = junction.cooling_power(junction.optimal_bias(0.2), 0.2, 0.3)
    assert found[1, 2] == pytest.approx(alone, rel=1e-12)


# --- quasiparticles out of equilibrium --------------------------------------------------------------------------------


def excess_heat(potential: float, temperature: float) -> float:
    """∫_Δ^∞ 2E² (f_µ* − f_0) dE/√(E²−Δ²) in units of Δ², with E = Δ cosh u."""
    with mp.workdps(30):
        t = mp.mpf(k) * mp.mpf(temperature) / mp.mpf(e) / mp.mpf(GAP)
        m = mp.mpf(potential) / mp.mpf(GAP)
        edges = [
            mp.mpf(1),
            *(at + n * t for at in (1, m, 0) for n in (-40, -10, -3, 0, 1, 3, 10, 40, 80) if at + n * t > 1),
        ]

        def integrand(u: mp.mpf) -> mp.mpf:
            energy = mp.cosh(u)
            return 2 * energy**2 * (1 / (mp.exp((energy - m) / t) + 1) - 1 / (mp.exp(energy / t) + 1))

        return float(mp.quad(integrand, sorted({mp.acosh(x) for x in edges})))


@pytest.mark.parametrize("temperature", [0.01, 0.1, 0.9])
@pytest.mark.parametrize("reduced_potential", [-0.5, 0.4, 0.97, 1.0, 1.2])
def test_heat_of_excess_quasiparticles_agrees_with_quadrature(temperature: float, reduced_potential: float) -> None:
    potential = reduced_potential * GAP
    for dynes in (0.0, 1e-3):
        junction = NISJunction(GAP, RESISTANCE, dynes)
        cooling, equilibrium = (
            junction.cooling_power(0.9 * GAP, 0.1, temperature, chemical_potential=mu) for mu in (potential, 0.0)
        )
        expected = excess_heat(potential, temperature)
        error = (equilibrium - cooling) * RESISTANCE / GAP**2 - expected
        assert abs(error) < 5e-15 + 1e-12 * abs(expected)


def test_a_cold_sea_of_quasiparticles_returns_its_heat_in_closed_form() -> None:
    junction, x = NISJunction(GAP, RESISTANCE), np.array([0.0, 0.5, 1.0, 1.3, 2.0])
    with_sea = junction.cooling_power(0.5 * GAP, 0.05, 0.0, chemical_potential=x * GAP)
    expected = [0, 0, 0, *(x[3:] * np.sqrt(x[3:] ** 2 - 1) + np.arccosh(x[3:]))]
    returned = (junction.cooling_power(0.5 * GAP, 0.05, 0.0) - with_sea) * RESISTANCE / GAP**2
    np.testing.assert_allclose(returned, expected, atol=1e-14)
    # And this is the limit of low temperatures.
    cold = junction.cooling_power(0.5 * GAP, 0.05, 1e-9, chemical_potential=x * GAP)
    np.testing.assert_allclose(cold, with_sea, atol=1e-4 * GAP**2 / RESISTANCE)


def test_without_quasiparticles_no_heat_returns() -> None:
    junction = NISJunction(GAP, RESISTANCE)
    for superconductor in (0.0, 0.3, 0.8):
        empty = junction.cooling_power(0.9 * GAP, 0.1, superconductor, chemical_potential=-np.inf)
        assert empty == pytest.approx(
            float(junction.cooling_power(0.9 * GAP, 0.1, 0.0)), abs=1e-14 * GAP**2 / RESISTANCE
        )
    best = junction.maximum_cooling_power(0.1, 0.3, chemical_potential=[-np.inf, 0.0, 0.5 * GAP])
    assert (np.diff(best) < 0).all()
    assert best[1] == junction.maximum_cooling_power(0.1, 0.3)


@pytest.mark.parametrize("parameter", ["voltage", "temperature", "gap", "dynes", "resistance"])
@pytest.mark.parametrize(("superconductor", "reduced_potential"), [(0.2, 0.8), (0.05, 1.1), (0.0, 1.1)])
def test_derivatives_with_excess_quasiparticles(
    parameter: str, superconductor: float, reduced_potential: float
) -> None:
    values = {"voltage": 0.9 * GAP, "temperature": 0.1, "gap": GAP, "dynes": 1e-3, "resistance": RESISTANCE}
    potential = reduced_potential * GAP

    def power(**changed: float) -> float:
        at = values | changed
        junction = NISJunction(at["gap"], at["resistance"], at["dynes"])
        return float(
            junction.cooling_power(at["voltage"], at["temperature"], superconductor, chemical_potential=potential)
        )

    step = 1e-5 * values[parameter]
    expected = (power(**{parameter: values[parameter] + step}) - power(**{parameter: values[parameter] - step})) / (
        2 * step
    )
    slope = NISJunction(GAP, RESISTANCE, 1e-3).cooling_power_derivative(
        parameter, 0.9 * GAP, 0.1, superconductor, chemical_potential=potential
    )
    assert slope == pytest.approx(expected, rel=1e-5, abs=1e-9 * GAP**2 / RESISTANCE / values[parameter])


# --- far from the gap edges, in the cold ------------------------------------------------------------------------------


@pytest.mark.parametrize("reduced_voltage", [1e-9, 0.01, 0.5, 3.0])
def test_cold_currents_keep_all_their_digits(reduced_voltage: float) -> None:
    # Above |1 − eV/Δ| = 100 kT the broadened states alone count, and the current is known relative to itself.
    junction, temperature = NISJunction(GAP, RESISTANCE, 1e-6), 0.01
    expected = quadrature.current(junction, reduced_voltage * GAP, temperature)
    assert junction.current(reduced_voltage * GAP, temperature) == pytest.approx(expected, rel=1e-12)


def test_slopes_of_the_cooling_power_computed_together_are_those_computed_alone() -> None:
    junction = NISJunction(215e-6, 1.9e3, 1e-4)
    v, t, t_s = np.meshgrid(np.linspace(-4e-4, 4e-4, 7), [0.05, 0.3], [0.02, 0.25], indexing="ij")
    by_v, by_t, by_t_s, by_dynes = junction.cooling_power_slopes(v, t, t_s)
    np.testing.assert_allclose(by_v, junction.cooling_power_derivative("voltage", v, t, t_s), rtol=1e-12)
    np.testing.assert_allclose(by_t, junction.cooling_power_derivative("temperature", v, t, t_s), rtol=1e-12)
    np.testing.assert_allclose(by_dynes, junction.cooling_power_derivative("dynes", v, t, t_s), rtol=1e-9)
    warmer, colder = (junction.cooling_power(v, t, t_s + step) for step in (1e-5, -1e-5))
    np.testing.assert_allclose(by_t_s, (warmer - colder) / 2e-5, rtol=1e-4, atol=1e-6 * np.abs(by_t_s).max())
