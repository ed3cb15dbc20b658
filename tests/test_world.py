"""The World: the physics behind every front panel, checked without one."""

import numpy as np
import pytest
from scipy.constants import k
from scipy.signal import find_peaks

from labnis.physics import NISJunction, Resonator
from sim_instruments import SHIPPED_TRUTH, SimulatedClock, load_truth
from sim_instruments.world import World
from tests.fit.measuring import device

FREQUENCY = np.linspace(4.62e9, 4.72e9, 201)
QUIET = {"current_white": 0.0, "voltage_offset": 0.0, "current_offset": 0.0, "temperature_relative": 0.0}


def quiet_world(**changes) -> World:
    """The shipped device without noise and offsets of the room-temperature side."""
    return World(device(**({"noise": QUIET} | changes)), SimulatedClock())


def biased(world: World, level: float, excitation: float = 0.0) -> World:
    """`world` long after its source was set to `level` (V)."""
    world.set_excitation(excitation)
    world.set_source(level=level, output=True, current_limit=1e-3)
    world.clock.sleep(1.0)
    return world


# --- bias line -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [-1e-3, -4e-4, 1e-6, 4.31e-4, 5e-3])
def test_device_and_series_resistance_share_the_bias(bias: float) -> None:
    world = biased(quiet_world(), bias)
    (voltage,) = world.present_state().voltage
    current = world.source_state(1.0).current
    junction = NISJunction(215e-6, 12e3, 1e-4)
    assert current == pytest.approx(float(junction.current(voltage / 2, 0.11)), rel=1e-12)
    assert voltage + 2000.0 * current == pytest.approx(bias, rel=1e-9)


def test_voltage_offset_adds_to_the_bias() -> None:
    offset = device(noise=QUIET | {"voltage_offset": 3e-6})
    world = biased(World(offset, SimulatedClock()), -3e-6)
    assert world.source_state(1.0).current == 0.0
    assert world.source_state(1.0).voltage == -3e-6


def test_line_follows_the_source_with_its_time_constant() -> None:
    world = biased(quiet_world(wiring={"divider": 10.0, "time_constant": 0.02}), 1e-3)
    world.set_source(level=3e-3, output=True, current_limit=1e-3)
    for constants in (0, 1, 2, 3):
        assert world.line_voltage() == pytest.approx(3e-4 - 2e-4 * np.exp(-constants), rel=1e-9)
        world.clock.sleep(0.02)
    world.clock.sleep(1.0)
    assert world.line_voltage() == pytest.approx(3e-4, rel=1e-12)


def test_output_off_discharges_the_line() -> None:
    world = biased(quiet_world(), 1e-3)
    world.set_source(level=1e-3, output=False, current_limit=1e-3)
    world.clock.sleep(1.0)
    assert world.line_voltage() == 0.0
    assert world.source_state(0.02).voltage == 0.0


@pytest.mark.parametrize("level", [5e-3, -5e-3])
def test_current_limit_acts_and_says_so(level: float) -> None:
    world = quiet_world()
    world.set_source(level=level, output=True, current_limit=1e-8)
    world.clock.sleep(1.0)
    state = world.source_state(0.02)
    assert state.limited
    assert state.current == pytest.approx(np.copysign(1e-8, level), rel=1e-6)
    world.set_source(level=level, output=True, current_limit=1e-3)
    world.clock.sleep(1.0)
    assert not world.source_state(0.02).limited


# --- noise -----------------------------------------------------------------------------------------------------------


def spread(values: list[float]) -> float:
    return float(np.std(values, ddof=1))


@pytest.mark.parametrize("integration_time", [1e-3, 0.1])
def test_current_noise_averages_down_with_the_integration_time(integration_time: float) -> None:
    world = biased(World(device(noise={"current_white": 2e-13}), SimulatedClock()), 1e-3)
    readings = [world.source_state(integration_time).current for _ in range(1000)]
    # White noise of one-sided density S seen for a time t has the variance S/2t; 1000 values know it to 4.5 %.
    assert spread(readings) == pytest.approx(2e-13 / np.sqrt(2 * integration_time), rel=0.1)


def test_lockin_noise_grows_with_the_bandwidth() -> None:
    world = biased(World(device(noise={"current_white": 2e-13}), SimulatedClock()), 0.0)
    readings = np.array([world.lockin_input(4.0) for _ in range(1000)])
    for quadrature in (readings.real, readings.imag):
        assert spread(list(quadrature)) == pytest.approx(2e-13 * 2 * 1e7, rel=0.1)


@pytest.mark.parametrize("samples", [1.0, 25.0, 2500.0])
def test_radiometer_noise_averages_down(samples: float) -> None:
    world = biased(quiet_world(chain={"gain_db": 0.0, "noise_temperature": 5.0}), 0.0)
    frequency = np.linspace(9e9, 9.1e9, 4000)
    relative = world.power_spectral_density(frequency, samples) / (k * 5.0)
    assert relative.mean() == pytest.approx(1.0, abs=5 / np.sqrt(samples * frequency.size))
    assert relative.std() == pytest.approx(1 / np.sqrt(samples), rel=0.1)
    assert relative.min() > 0, "power is never negative"


def test_seed_decides_the_noise() -> None:
    def readings(seed: int) -> list[object]:
        world = World(load_truth(SHIPPED_TRUTH), SimulatedClock())
        world.reset(seed)
        biased(world, 1e-3, excitation=0.01)
        traces = (world.reflection(FREQUENCY, 1e-6, 1e3), world.power_spectral_density(FREQUENCY, 10.0))
        scalars = (world.source_state(0.02), world.lockin_input(1.0), world.temperature("still"))
        return [*scalars, *(trace.tobytes() for trace in traces)]

    first, again, other = readings(5), readings(5), readings(6)
    assert first == again
    assert all(a != b for a, b in zip(first, other, strict=True))


# --- lock-in ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [0.0, 3e-4, 4.6e-4])
def test_first_harmonic_is_that_of_the_current_over_a_cycle(bias: float) -> None:
    sine = 0.2  # 20 µV rms on the line, twice the thermal smearing
    world = biased(quiet_world(), bias, excitation=sine)
    phase = 2 * np.pi * (np.arange(400) + 0.5) / 400
    line = bias + np.sqrt(2) * sine / 1e4 * np.sin(phase)
    current = np.array([float(world.device_state(v).current) for v in line])
    expected = np.sqrt(2) * np.mean(current * np.sin(phase))
    assert world.lockin_input(1.0).real / 1e7 == pytest.approx(expected, rel=2e-3)
    assert world.lockin_input(1.0).imag == 0.0
    assert world.source_state(0.2).current == pytest.approx(current.mean(), rel=2e-3, abs=1e-15)


def test_small_excitation_measures_the_slope_of_the_line() -> None:
    sine = 1e-4
    world = biased(quiet_world(), 4.4e-4, excitation=sine)
    step = 1e-9
    up, down = (float(world.device_state(4.4e-4 + s).current) for s in (step, -step))
    assert world.lockin_input(1.0).real / 1e7 / (sine / 1e4) == pytest.approx((up - down) / (2 * step), rel=1e-4)


# --- microwaves ------------------------------------------------------------------------------------------------------


def test_frequency_of_the_truth_file_is_that_at_zero_bias() -> None:
    world = quiet_world(resonator={"frequency": 4.67e9})
    found = world.device.resonator.resonance_frequency(world.device.junction, 0.0, 0.11)
    assert found == pytest.approx(4.67e9, abs=0.01)
    assert world.device.resonator.frequency - found > 1e5, "the Lamb shift pulls an unbiased device down"


@pytest.mark.parametrize("bias", [0.0, 4.4e-4, 2e-3])
def test_reflection_is_the_devices_conjugated_behind_the_cables(bias: float) -> None:
    changes = {"cable": {"delay": 45e-9, "loss_db": 20.0, "ripple_db": 0.0}, "chain": {"gain_db": 30.0}}
    world = biased(quiet_world(**changes), bias)
    (voltage,) = world.present_state().voltage
    r = world.truth.resonator
    resonator = Resonator(
        world.device.resonator.frequency,
        r.damping_line,
        r.damping_excess,
        r.damping_junction,
        world.device.resonator.fano,  # drawn by seed
    )
    gamma = resonator.reflection(FREQUENCY, NISJunction(215e-6, 12e3, 1e-4), voltage / 2, 0.11)
    expected = 10 ** (10 / 20) * np.exp(-2j * np.pi * FREQUENCY * 45e-9) * gamma.conj()
    np.testing.assert_allclose(world.reflection(FREQUENCY, 1e-3, 1e-9), expected, atol=1e-6)


def test_trace_turns_as_network_analyzers_show_it() -> None:
    # Analyzers count phase as e^{+jωt}: delay and resonance both turn the phase backwards as the frequency rises.
    world = biased(quiet_world(cable={"delay": 0.0, "loss_db": 0.0, "ripple_db": 0.0}), 0.0)
    s11 = world.reflection(FREQUENCY, 1e-3, 1e-9)
    # At zero bias the line dominates: the resonance winds once around the origin.
    assert np.unwrap(np.angle(s11))[[0, -1]] @ [-1, 1] < -np.pi


def test_cable_has_the_delay_and_ripple_of_the_truth_file() -> None:
    world = biased(quiet_world(cable={"delay": 45e-9, "loss_db": 0.0, "ripple_db": 1.2}), 0.0)
    frequency = np.linspace(6e9, 6.5e9, 5001)  # far from the resonance |Γ| = 1
    s11 = world.reflection(frequency, 1e-3, 1e-12) / 10 ** (51.84 / 20)
    decibel = 20 * np.log10(np.abs(s11))
    assert np.ptp(decibel) == pytest.approx(1.2, rel=0.05)
    assert len(find_peaks(decibel)[0]) > 10
    slope = np.polyfit(frequency, np.unwrap(np.angle(s11)), 1)[0]
    assert -slope / (2 * np.pi) == pytest.approx(45e-9, rel=1e-3)


def test_reflection_noise_is_the_chain_s_over_the_probe_power() -> None:
    world = biased(quiet_world(), 0.0)
    first, second = (world.reflection(FREQUENCY, 1e-6, 100.0) for _ in range(2))
    expected = 10 ** (51.84 / 10) * k * 8.3 * 100.0 / 1e-6
    # Half of the power per quadrature, twice for a difference of two traces.
    assert np.mean(np.abs(first - second) ** 2) == pytest.approx(2 * expected, rel=0.3)


def test_unbiased_cold_device_emits_nothing_and_a_biased_one_a_lorentzian() -> None:
    cold = {"fridge": {"mixing_chamber_temperature": 0.02}, "island": {"temperature": 0.02}}
    chain = {"gain_db": 20.0, "noise_temperature": 1e-3}
    world = biased(quiet_world(chain=chain, **cold), 0.0)
    floor = world.power_spectral_density(FREQUENCY, 1e12)
    np.testing.assert_allclose(floor, 100 * k * 1e-3, rtol=1e-4)
    emitted = biased(world, 5e-3).power_spectral_density(FREQUENCY, 1e12) - floor
    (voltage,) = world.present_state().voltage
    power = world.device.resonator.emitted_power(world.device.junction, voltage / 2, 0.02)
    resonance = float(world.device.resonator.resonance_frequency(world.device.junction, voltage / 2, 0.02))
    width = (1.6e7 + 2.5e6 + 4.5e7) / (2 * np.pi)
    inside = np.arctan(2 * (FREQUENCY[[0, -1]] - resonance) / width) @ [-1, 1] / np.pi
    assert np.trapezoid(emitted, FREQUENCY) == pytest.approx(100 * float(power) * inside, rel=5e-3)


# --- fridge ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "expected"), [("mixing_chamber", 0.010), ("still", 0.85), ("four_kelvin", 3.9), ("fifty_kelvin", 46.0)]
)
def test_thermometers_read_their_stage(stage: str, expected: float) -> None:
    world = quiet_world()
    assert world.temperature(stage) == expected
    noisy = World(device(noise={"temperature_relative": 0.01}), SimulatedClock())
    readings = [noisy.temperature(stage) for _ in range(400)]
    assert np.mean(readings) == pytest.approx(expected, rel=2.5e-3)
    assert spread(readings) == pytest.approx(0.01 * expected, rel=0.2)
