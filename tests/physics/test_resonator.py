"""The resonator and the bath of the junctions: sum rules, limits and an independent Kramers–Kronig integral."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.constants import h, hbar
from scipy.integrate import quad

from labnis.physics import NISJunction, Resonator, reflection_coefficient, thermal_photon_number
from tests.physics import quadrature

JUNCTION = NISJunction(215e-6, 12e3, 1e-4)
RESONATOR = Resonator(4.67e9, 1.6e7, 2.5e6, 4.5e7, 0.99 + 0.1j)
TEMPERATURE = 0.11
VOLTAGE = np.array([0.0, 0.1, 0.2, 0.215, 0.25, 0.6, 2.0]) * 1e-3


def test_damping_rate_is_the_sum_over_tunnelling_rates() -> None:
    w = RESONATOR.photon_energy
    omega = 2 * np.pi * RESONATOR.frequency
    total = sum(
        photon * JUNCTION.tunnelling_rate(direction * VOLTAGE + photon * w, TEMPERATURE)
        for photon in (-1, 1)
        for direction in (-1, 1)
    )
    expected = RESONATOR.damping_junction * np.pi / omega * total
    np.testing.assert_allclose(RESONATOR.damping_rate(JUNCTION, VOLTAGE, TEMPERATURE), expected, rtol=1e-9)


@pytest.mark.parametrize("voltage", [0.0, 0.2e-3, 0.6e-3])
def test_damping_rate_and_photon_number_agree_with_quadrature_of_the_tunnelling_rate(voltage: float) -> None:
    # H eqs. 1 and 2 with F(E) from its defining integral.
    junction, w = NISJunction(215e-6, 12e3, 1e-3), RESONATOR.photon_energy
    absorbed, emitted = (
        sum(quadrature.tunnelling_rate(junction, side * voltage + photon * w, TEMPERATURE) for side in (-1, 1))
        for photon in (1, -1)
    )
    # γ_T = γ̄_T (π/ω_r) Σ ℓ F, and F = (e/h)·quadrature with all energies in eV.
    rate = RESONATOR.damping_junction * (absorbed - emitted) / (2 * w)
    assert RESONATOR.damping_rate(junction, voltage, TEMPERATURE) == pytest.approx(rate, rel=1e-9)
    photons = emitted / (absorbed - emitted)
    assert RESONATOR.photon_number(junction, voltage, TEMPERATURE) == pytest.approx(photons, rel=1e-8)


def test_a_sharp_gap_at_zero_temperature_neither_absorbs_nor_emits() -> None:
    np.testing.assert_array_equal(RESONATOR.photon_number(NISJunction(215e-6, 12e3), [0.0, 1e-4], 0.0), 0.0)


def test_unbiased_junction_is_a_bath_at_its_own_temperature() -> None:
    photons = RESONATOR.photon_number(JUNCTION, 0.0, TEMPERATURE)
    assert photons == pytest.approx(float(thermal_photon_number(RESONATOR.frequency, TEMPERATURE)), rel=1e-9)


@pytest.mark.parametrize("voltage", [0.0, 0.5, 0.97, 1.1, 3.0])
def test_lamb_shift_agrees_with_the_principal_value_integral(voltage: float) -> None:
    # ω_r − ω_r⁰ = −P∫ dω/2π [γ(ω)/(ω−ω_r) + γ(ω)/(ω+ω_r) − 2γ(ω)/ω] with γ(ω) ∝ I(V + ħω/e) − I(V − ħω/e). The ohmic
    # part of γ contributes nothing; the rest falls off, and the bracket is 2ω_r² / [ω(ω − ω_r)(ω + ω_r)].
    junction = NISJunction(215e-6, 12e3, 1e-2)
    temperature = 0.15
    bias = voltage * junction.gap
    w = RESONATOR.photon_energy

    def excess(energy: float) -> float:
        up, down = junction.current([bias + energy, bias - energy], temperature) * junction.resistance
        return float(up - down - 2 * energy) / (2 * w)

    def weight(energy: float) -> float:
        return excess(energy) * 2 * w**2 / (energy * (energy + w))

    gap = junction.gap
    near = quad(weight, 1e-3 * w, 2 * w, weight="cauchy", wvar=w, limit=500, epsabs=1e-9)[0]
    near += quad(lambda x: weight(x) / (x - w), 0, 1e-3 * w, epsabs=1e-12)[0]
    points = sorted({abs(gap - bias), gap + bias, 3 * gap} - {0.0})
    far = quad(
        lambda x: weight(x) / (x - w), 2 * w, 50 * gap, points=[p for p in points if 2 * w < p < 50 * gap],
        limit=2000, epsabs=1e-9,
    )[0]  # fmt: skip
    far += quad(lambda x: weight(x) / (x - w), 50 * gap, 5000 * gap, limit=500)[0]
    expected = -RESONATOR.damping_junction * (near + far) / (2 * np.pi) / (2 * np.pi)
    assert RESONATOR.lamb_shift(junction, bias, temperature) == pytest.approx(expected, rel=1e-5, abs=1.0)


def test_lamb_shift_has_the_signs_of_the_experiment() -> None:
    shift = RESONATOR.lamb_shift(JUNCTION, np.array([0.0, JUNCTION.gap, 50 * JUNCTION.gap]), TEMPERATURE)
    assert shift[0] < 0 < shift[1]
    assert abs(shift[2]) < 1e-4 * shift[1]


def test_spectrum_integrates_to_the_emitted_power() -> None:
    frequency = RESONATOR.frequency + np.linspace(-3e9, 3e9, 600_001)
    spectrum = RESONATOR.emitted_spectrum(frequency, JUNCTION, 1e-3, TEMPERATURE, 0.01, 0.02)
    power = RESONATOR.emitted_power(JUNCTION, 1e-3, TEMPERATURE, 0.01, 0.02)
    # The Lorentzian's tails beyond ±3 GHz hold a fraction 2·γ_Σ/(2π·2π·3 GHz).
    assert np.trapezoid(spectrum, frequency) == pytest.approx(float(power), rel=2e-3)


def test_power_flows_from_the_hotter_bath() -> None:
    cold = float(RESONATOR.photon_number(JUNCTION, 0.0, 0.02))
    assert RESONATOR.emitted_power(JUNCTION, 0.0, 0.02, line_photons=cold, excess_photons=cold) == pytest.approx(0.0)
    assert RESONATOR.emitted_power(JUNCTION, 0.0, 0.02, line_photons=1.0, excess_photons=cold) < 0
    assert RESONATOR.emitted_power(JUNCTION, 1e-3, 0.02, line_photons=cold, excess_photons=cold) > 0


def test_reflection_vanishes_at_critical_coupling() -> None:
    fano = 0.97 + 0.08j
    line = 2e7
    internal = fano.real * line
    detuning = -fano.imag * line / 2
    assert abs(reflection_coefficient(detuning, line, internal, fano)) < 1e-12


@given(st.floats(-1e9, 1e9), st.floats(1e5, 1e8), st.floats(0, 1e8))
def test_a_passive_resonator_reflects_no_more_than_it_gets(detuning: float, line: float, internal: float) -> None:
    assert abs(reflection_coefficient(detuning, line, internal)) <= 1 + 1e-12


def test_reflection_follows_bias() -> None:
    frequency = np.linspace(4.6e9, 4.74e9, 201)
    traces = RESONATOR.reflection(frequency, JUNCTION, VOLTAGE[:, None], TEMPERATURE)
    assert traces.shape == (VOLTAGE.size, frequency.size)
    deepest = frequency[np.abs(traces).argmin(axis=1)]
    resonance = RESONATOR.resonance_frequency(JUNCTION, VOLTAGE, TEMPERATURE)
    width = (RESONATOR.damping_line + RESONATOR.damping_excess) / (2 * np.pi)
    assert np.abs(deepest[:3] - resonance[:3]).max() < width


def test_thermal_photon_number() -> None:
    assert thermal_photon_number(4.67e9, 0.0) == 0
    assert thermal_photon_number(1e6, 1.0) == pytest.approx(1.380649e-23 / (h * 1e6) - 0.5, rel=1e-6)
    assert hbar * 2 * np.pi == pytest.approx(h)
