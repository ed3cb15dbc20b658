"""The expansions far above the gap, against the exact expressions and the published recipe."""

import numpy as np
import pytest
from scipy.constants import e, hbar, k

from labnis.physics import (
    NISJunction,
    Resonator,
    asymptotic_damping_rate,
    gain_from_slope,
    high_bias_damping_rate,
    high_bias_photon_number,
    high_bias_power,
    noise_temperature,
)

GAP = 215e-6
JUNCTION = NISJunction(GAP, 12e3)
RESONATOR = Resonator(4.67e9, 1.6e7, 2.5e6, 4.5e7)
# Twice the voltage: what is left out must fall by the power of its first term.
VOLTAGES = np.array([10, 20]) * GAP
TEMPERATURE = 0.02


def test_the_damping_rate_lacks_only_the_fourth_order() -> None:
    error = (
        RESONATOR.damping_rate(JUNCTION, VOLTAGES, TEMPERATURE) / high_bias_damping_rate(RESONATOR, GAP, VOLTAGES) - 1
    )
    assert abs(error[0]) < 1e-4
    assert error[0] / error[1] == pytest.approx(16, rel=0.15)


def test_the_photon_number_lacks_only_the_third_order_and_the_photon_energy() -> None:
    exact = RESONATOR.photon_number(JUNCTION, VOLTAGES, TEMPERATURE)
    error = exact - high_bias_photon_number(RESONATOR, GAP, VOLTAGES)
    assert abs(error[0]) < 3e-3
    assert abs(error[1]) < abs(error[0]) / 1.8


def test_the_power_approaches_its_expansion() -> None:
    exact = RESONATOR.emitted_power(JUNCTION, VOLTAGES, TEMPERATURE, line_photons=0.1, excess_photons=0.3)
    expansion = high_bias_power(RESONATOR, GAP, line_photons=0.1, excess_photons=0.3)
    error = exact / expansion(VOLTAGES) - 1
    assert abs(error[0]) < 1e-4
    assert abs(error[1]) < abs(error[0]) / 4
    without_last = exact / expansion._replace(inverse=0.0)(VOLTAGES) - 1
    assert abs(without_last[0]) > 20 * abs(error[0])


def test_slope_and_zero_bias_give_gain_and_noise_back() -> None:
    gain, noise, bandwidth = 10**5.184, 8.3, 140e6
    voltage = np.linspace(8, 25, 50) * GAP
    background = k * noise * bandwidth
    power = gain * (RESONATOR.emitted_power(JUNCTION, voltage, 0.11) + background)
    design = np.stack([voltage, np.ones_like(voltage), 1 / voltage], axis=1)
    (slope, *_), *_ = np.linalg.lstsq(design / np.abs(design).max(axis=0), power, rcond=None)
    found = gain_from_slope(slope / voltage.max(), RESONATOR)
    assert found == pytest.approx(gain, rel=1e-4)
    emitted = float(RESONATOR.emitted_power(JUNCTION, 0.0, 0.11))
    assert noise_temperature(gain * (emitted + background), gain, bandwidth, emitted) == pytest.approx(noise)
    # H eq. 10 as printed takes the device for dark.
    assert noise_temperature(gain * (emitted + background), gain, bandwidth) >= noise


def test_gain_is_the_published_expression() -> None:
    r = RESONATOR
    published = (
        2
        * 3.7e-9
        * (r.damping_junction + r.damping_line + r.damping_excess)
        / (e * r.damping_line * r.damping_junction)
    )
    assert gain_from_slope(3.7e-9, r) == pytest.approx(published, rel=1e-12)


def test_damping_rate_from_the_circuit() -> None:
    """In its ohmic limit a junction is its resistance, divided by the capacitors: energy decays at 2 ω_r Z_r/R'."""
    one = 0.8**2 * 50 / 12e3 * 2 * np.pi * 4.67e9
    assert asymptotic_damping_rate(4.67e9, 50.0, 0.8e-12, 0.2e-12, 12e3) == pytest.approx(2 * one)
    # Parallel RC: Q = R/Z, γ = ω/Q with nothing in between.
    assert asymptotic_damping_rate(4.67e9, 50.0, 1e-12, 0.0, 24e3) * 12e3 / 50 == pytest.approx(2 * np.pi * 4.67e9)


def test_photon_energy_is_that_of_the_expansion() -> None:
    assert RESONATOR.photon_energy * e == pytest.approx(hbar * 2 * np.pi * 4.67e9)
