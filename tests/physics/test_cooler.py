"""The cooler's steady state: against independent solutions, energy conservation, closed limits and published facts."""

import math
import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labnis.physics import AndreevChannel, NISJunction, NoOperatingPointError, OperatingPoint, SINISCooler
from labnis.physics._heat_balance import Conditions, HeatBalance
from tests.physics import micro_cooler
from tests.physics.micro_cooler import GAP, channel, cooler, largest_term, uncertainty

PAPER = cooler(andreev=channel())
BIAS = np.linspace(0, 500e-6, 101)

coolers = st.builds(
    SINISCooler,
    junction=st.builds(NISJunction, gap=st.just(GAP), resistance=st.floats(100, 1e5), dynes=st.floats(1e-6, 1e-3)),
    volume=st.floats(1e-21, 1e-17),
    electron_phonon=st.floats(1e8, 1e10),
    kapitza=st.none() | st.floats(1e-13, 1e-8),
    andreev=st.none()
    | st.builds(
        AndreevChannel,
        diffusion_constant=st.floats(1e-3, 2e-2),
        coherence_length=st.floats(0.2e-6, 5e-6),
        resistance_per_length=st.floats(1e5, 1e7),
        scale=st.floats(0.1, 2.0),
    ),
    leakage_resistance=st.none() | st.floats(1e6, 1e9),
)
biases = st.lists(st.floats(-600e-6, 600e-6), min_size=1, max_size=5)
baths = st.floats(5e-3, 0.6)


def phonon_slope(cooler: SINISCooler, point: OperatingPoint) -> np.ndarray:
    """Change of the electron–phonon power with T_e."""
    electrons, phonons = point.electron_temperature, point.phonon_temperature
    slope = 5 * cooler.electron_phonon * cooler.volume * electrons**4
    if cooler.kapitza is None:
        return slope
    stiff = 4 * cooler.kapitza * phonons**3
    return slope * stiff / (stiff + 5 * cooler.electron_phonon * cooler.volume * phonons**4)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(coolers, biases, baths)
def test_energy_is_conserved(cooler: SINISCooler, bias: list[float], bath: float) -> None:
    point = cooler.operating_point(bias, bath)
    assert (np.abs(point.imbalance) <= uncertainty(cooler, point)).all()
    if cooler.kapitza is None:
        np.testing.assert_array_equal(point.phonon_temperature, point.bath_temperature)
        return
    # What the phonons take up they pass on.
    flow = cooler.kapitza * (point.phonon_temperature**4 - bath**4)
    one_way = cooler.electron_phonon * cooler.volume * point.electron_temperature**5 + cooler.kapitza * bath**4
    lost = np.abs(point.electron_phonon_power - flow)
    assert (lost <= np.maximum(1e-9 * np.abs(point.electron_phonon_power), 1e-14 * one_way)).all()


@pytest.mark.parametrize("andreev", [None, channel()])
@pytest.mark.parametrize("kapitza", [None, 144e-12])
def test_the_balance_of_the_published_cooler_is_not_limited_by_rounding(
    andreev: AndreevChannel | None, kapitza: float | None
) -> None:
    # Down to where T_e − T_bath is far below the rounding of either.
    bias = np.concatenate([[0.0], np.geomspace(1e-12, 1e-3, 37)])
    for device in (cooler(andreev=andreev, kapitza=kapitza), cooler(leakage_resistance=1e8, kapitza=kapitza)):
        point = device.operating_point(bias, np.array([0.005, 0.01, 0.02, 0.09, 0.23, 0.43])[:, None])
        assert (np.abs(point.imbalance) <= 1e-9 * largest_term(point)).all()
        # Everything is quadratic in a small bias, which only a heat free of rounding is.
        small = point.cooling_power[:, 1:5] / bias[1:5] ** 2
        np.testing.assert_allclose(small, small[:, :1] * np.ones(4), rtol=1e-4)


@settings(max_examples=30, derandomize=True, deadline=None)
@given(coolers, biases, baths, st.floats(1e-4, 2.4))
def test_every_start_leads_to_the_same_state(cooler: SINISCooler, bias: list[float], bath: float, start: float) -> None:
    point = cooler.operating_point(bias, bath)
    other = cooler.operating_point(bias, bath, start=start)
    difference = np.abs(other.electron_temperature - point.electron_temperature)
    allowed = 2 * uncertainty(cooler, point) / phonon_slope(cooler, point)
    assert (difference <= allowed + 1e-12 * point.electron_temperature).all()


@pytest.mark.parametrize("bath", [0.09, 0.23])
def test_steady_state_agrees_with_root_finding_by_quadrature(bath: float) -> None:
    bias = np.array([5e-6, 233e-6, 400e-6])
    point = PAPER.operating_point(bias, bath)
    expected = np.array([micro_cooler.steady_state(PAPER, v, bath) for v in bias])
    np.testing.assert_allclose(point.electron_temperature, expected[:, 0], rtol=1e-8)
    np.testing.assert_allclose(point.phonon_temperature, expected[:, 1], rtol=1e-8)


def test_every_part_of_the_state_is_what_it_is_called() -> None:
    device = cooler(andreev=channel(), leakage_resistance=20e6)
    point = device.operating_point(np.array([-380e-6, 100e-6]), 0.09)
    v, electrons, bath = point.device_voltage / 2, point.electron_temperature, point.bath_temperature
    junction = device.junction
    np.testing.assert_allclose(point.quasiparticle_current, junction.current(v, electrons), rtol=1e-12)
    np.testing.assert_array_equal(point.andreev_current, channel().linearised(v, electrons, junction)[0])
    np.testing.assert_allclose(point.leakage_current, point.device_voltage / 20e6, rtol=1e-15)
    np.testing.assert_allclose(point.cooling_power, 2 * junction.cooling_power(v, electrons, bath), rtol=1e-8)
    np.testing.assert_allclose(point.andreev_power, point.andreev_current * point.device_voltage, rtol=1e-15)
    np.testing.assert_allclose(point.leakage_power, point.leakage_current * point.device_voltage, rtol=1e-15)
    np.testing.assert_array_equal(
        point.current, point.quasiparticle_current + point.andreev_current + point.leakage_current
    )
    coupling = 2e9 * micro_cooler.VOLUME * (electrons**5 - point.phonon_temperature**5)
    np.testing.assert_allclose(point.electron_phonon_power, coupling, rtol=1e-12)
    np.testing.assert_array_equal(point.andreev_in_range, [False, True])
    assert cooler().operating_point(1e-3, 0.1).andreev_in_range


def test_slopes_along_the_steady_states_are_those_of_finite_differences() -> None:
    device = cooler(andreev=channel(), leakage_resistance=50e6)
    bath = np.array([0.09, 0.14, 0.23, 0.43])[:, None]
    bias, step = np.linspace(-460e-6, 460e-6, 24), 1e-8
    point = device.operating_point(bias, bath)
    up, down = device.operating_point(bias + step, bath), device.operating_point(bias - step, bath)
    slope = (up.electron_temperature - down.electron_temperature) / (2 * step)
    conductance = (up.current - down.current) / (2 * step)
    error = np.abs(device.temperature_slope(point) - slope)
    assert (error < 1e-4 * np.abs(slope).max(axis=1, keepdims=True)).all()
    np.testing.assert_allclose(device.conductance(point), conductance, rtol=1e-3)


def test_slopes_of_a_device_without_extras_are_those_of_finite_differences() -> None:
    device, step = cooler(kapitza=None), 1e-8
    bias = np.array([50e-6, 300e-6, 410e-6])
    up, down = device.operating_point(bias + step, 0.2), device.operating_point(bias - step, 0.2)
    point = device.operating_point(bias, 0.2)
    slope = (up.electron_temperature - down.electron_temperature) / (2 * step)
    np.testing.assert_allclose(device.temperature_slope(point), slope, rtol=1e-4)
    np.testing.assert_allclose(device.conductance(point), (up.current - down.current) / (2 * step), rtol=1e-4)


def test_without_tunnelling_the_leak_heats_electrons_and_phonons_in_closed_form() -> None:
    device = replace(cooler(leakage_resistance=1e9), junction=NISJunction(GAP, 1e18))
    point = device.operating_point(100e-6, 0.05)
    power = (100e-6) ** 2 / 1e9
    phonons = (0.05**4 + power / 144e-12) ** 0.25
    assert point.phonon_temperature == pytest.approx(phonons, rel=1e-12)
    electrons = (phonons**5 + power / (2e9 * micro_cooler.VOLUME)) ** 0.2
    assert point.electron_temperature == pytest.approx(electrons, rel=1e-9)


def test_at_zero_bias_everything_is_at_the_temperature_of_the_bath() -> None:
    point = PAPER.operating_point(0.0, [0.01, 0.1, 1.0])
    np.testing.assert_allclose(point.electron_temperature, [0.01, 0.1, 1.0], rtol=1e-12)
    np.testing.assert_allclose(point.phonon_temperature, [0.01, 0.1, 1.0], rtol=1e-12)
    assert (point.current == 0).all()


def test_the_state_does_not_depend_on_the_sign_of_the_bias() -> None:
    forward, backward = PAPER.operating_point(BIAS, 0.1), PAPER.operating_point(-BIAS, 0.1)
    np.testing.assert_allclose(forward.electron_temperature, backward.electron_temperature, rtol=1e-9)
    np.testing.assert_allclose(forward.current, -backward.current, rtol=1e-8)


def peak_memory(calculate: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        calculate()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_grows_with_the_number_of_points_and_no_faster() -> None:
    few, many = (peak_memory(lambda n=n: PAPER.operating_point(np.linspace(0, 5e-4, n), 0.09)) for n in (300, 3000))
    assert many < 10.5 * few
    assert many / 3000 < 6000
    junction = NISJunction(GAP, 1e3)
    few, many = (peak_memory(lambda n=n: junction.current(np.linspace(0, 1e-3, n), 0.1)) for n in (1000, 10_000))
    assert many < 10.5 * few
    # The optimal bias takes 120 kB for each of the temperatures that are treated together, and little for the others.
    few, many = (peak_memory(lambda n=n: junction.optimal_bias(np.linspace(0.01, 0.5, n))) for n in (256, 1024))
    assert many < 1.1 * few


def test_the_number_of_steps_hardly_depends_on_the_temperature(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluated = []
    evaluate = HeatBalance._evaluate

    def counting(balance: HeatBalance, at: Conditions, returned: np.ndarray, t: np.ndarray) -> object:
        evaluated.append(t.size)
        return evaluate(balance, at, returned, t)

    monkeypatch.setattr(HeatBalance, "_evaluate", counting)
    steps = []
    for bath in (0.3, 0.09, 0.02, 0.005):
        evaluated.clear()
        PAPER.operating_point(BIAS, bath)
        steps.append(sum(evaluated) / BIAS.size)
    assert max(steps) < 1.6 * min(steps)
    assert max(steps) < 8


def test_bias_and_bath_broadcast() -> None:
    point = PAPER.operating_point(np.zeros((3, 1)), [0.1, 0.2])
    assert point.electron_temperature.shape == point.current.shape == point.imbalance.shape == (3, 2)
    assert PAPER.operating_point(1e-4, 0.1).electron_temperature.shape == ()
    assert PAPER.operating_point([], 0.1).current.shape == (0,)
    with pytest.raises(ValueError, match="broadcast"):
        PAPER.operating_point([0.0, 1e-4], [0.1, 0.2, 0.3])


def test_a_device_heated_beyond_the_model_is_an_error_that_names_the_point() -> None:
    with pytest.raises(NoOperatingPointError, match=r"device_voltage = 0\.02 V, bath_temperature = 0\.1 K.*kT = Δ"):
        PAPER.operating_point([1e-4, 0.02], 0.1)


def test_impossible_coolers_and_baths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"bath_temperature contains 0\.0; it must be above 0 and below 1\.414 K"):
        PAPER.operating_point(0.0, 0.0)


# The shapes of the curves in R (Rajauria et al., arXiv:0810.3980); its numbers are compared in tests/reproduction.


def test_electrons_at_90_mk_first_warm_and_then_cool() -> None:
    # R fig. 6. With γ → 0 and disorder in both electrodes the warmest point is 116 mK at 233 µV.
    bias = np.linspace(0, 430e-6, 861)
    temperature = PAPER.operating_point(bias, 0.09).electron_temperature
    below_gap = bias < 350e-6
    warmest = int(np.argmax(np.where(below_gap, temperature, 0)))
    assert temperature[warmest] == pytest.approx(0.116, abs=0.0005)
    assert bias[warmest] == pytest.approx(233e-6, abs=1e-6)
    assert (np.diff(temperature[: warmest + 1]) > 0).all()
    coldest = int(np.argmin(temperature))
    assert (np.diff(temperature[warmest : coldest + 1]) < 0).all()
    assert temperature[coldest] < 0.03
    assert bias[coldest] == pytest.approx(2 * GAP, rel=0.02)


@pytest.mark.parametrize("leakage_resistance", [6e6, 10e6, 100e6])
def test_a_linear_leak_does_not_mimic_the_andreev_current(leakage_resistance: float) -> None:
    # Measure: rms of the logarithm of the currents' ratio, 10 to 340 µV, where subgap current is seen at 90 mK. What
    # counts as the same is what half or twice the scale M would do, a factor of 2.
    bias = np.linspace(10e-6, 340e-6, 67)
    andreev = PAPER.operating_point(bias, 0.09)
    leaky_device = cooler(leakage_resistance=leakage_resistance)
    leaky = leaky_device.operating_point(bias, 0.09)
    assert np.sqrt(np.mean(np.log(leaky.current / andreev.current) ** 2)) > math.log(2)
    # And the shape is wrong: a leak has no conductance peak at zero bias.
    zero_and_middle = np.array([1e-6, 100e-6])
    peak = PAPER.conductance(PAPER.operating_point(zero_and_middle, 0.09))
    flat = leaky_device.conductance(leaky_device.operating_point(zero_and_middle, 0.09))
    assert peak[1] / peak[0] < 0.5
    assert flat[1] / flat[0] >= 1
