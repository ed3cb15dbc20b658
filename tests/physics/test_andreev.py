"""The Andreev current: against quadrature of its defining integral, closed limits, and published numbers."""

import math
import warnings
from dataclasses import replace

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.constants import e, hbar, k

from labnis.physics import AndreevChannel, ModelRangeWarning, NISJunction
from tests.physics import micro_cooler
from tests.physics.micro_cooler import COPPER, DIFFUSION, GAP, channel

JUNCTION = NISJunction(GAP, 1900.0, 1e-2)
# What the class promises.
ACCURACY = 1e-8

channels = st.builds(
    AndreevChannel,
    diffusion_constant=st.floats(1e-3, 2e-2),
    coherence_length=st.floats(0.2e-6, 20e-6),
    resistance_per_length=st.floats(1e5, 1e8),
    scale=st.floats(0.1, 2.0),
    superconductor_resistance_per_length=st.floats(0.0, 1e6),
    broadening=st.floats(1e-6, 1e-2),
)
junctions = st.builds(NISJunction, gap=st.floats(150e-6, 300e-6), resistance=st.floats(100, 1e5))
subgap_voltages = st.floats(0.0, 0.8)
temperatures = st.floats(1e-3, 0.5)


@pytest.mark.parametrize("superconductor", [False, True])
@pytest.mark.parametrize("broadening", [1e-6, 1e-4, 1e-2])
@pytest.mark.parametrize("coherence_length", [0.2e-6, 1.5e-6, 50e-6])
def test_current_and_derivatives_agree_with_quadrature(
    superconductor: bool, broadening: float, coherence_length: float
) -> None:
    andreev, junction = replace(channel(coherence_length, superconductor), broadening=broadening), JUNCTION
    for reduced_voltage in (1e-4, 0.05, 0.5, 0.79):
        for temperature in (0.005, 0.09, 0.5):
            voltage, t = reduced_voltage * GAP, k * temperature / e / GAP

            def slope(x: float, v: float, t: float = t) -> float:
                return (_bell((x - v) / t) + _bell((x + v) / t)) / t

            def warmth(x: float, v: float, t: float = t) -> float:
                return ((x - v) / t * _bell((x - v) / t) - (x + v) / t * _bell((x + v) / t)) / t

            scale = andreev.scale / junction.resistance**2
            current = micro_cooler.andreev_current(andreev, junction, voltage, temperature)
            conductance = scale * micro_cooler.andreev_integral(andreev, junction, voltage, slope, t)
            warming = scale * k / e * micro_cooler.andreev_integral(andreev, junction, voltage, warmth, t)
            assert andreev.current(voltage, temperature, junction) == pytest.approx(current, rel=ACCURACY)
            assert andreev.conductance(voltage, temperature, junction) == pytest.approx(conductance, rel=ACCURACY)
            assert andreev.linearised(voltage, temperature, junction).by_temperature == pytest.approx(
                warming, abs=ACCURACY * current / temperature
            )


def _bell(x: float) -> float:
    return 0.25 / math.cosh(x / 2) ** 2 if abs(x) < 700 else 0.0


@pytest.mark.filterwarnings("ignore::labnis.physics.ModelRangeWarning")
@pytest.mark.parametrize(
    ("reduced_voltage", "accuracy"), [(0.9, ACCURACY), (0.95, ACCURACY), (0.9999, 1e-7), (1.0, 1e-7), (2.0, 1e-7)]
)
def test_current_at_the_gap_agrees_with_quadrature(reduced_voltage: float, accuracy: float) -> None:
    for temperature in (0.005, 0.09, 0.5):
        for broadening in (1e-6, 1e-2):
            andreev = replace(channel(), broadening=broadening)
            expected = micro_cooler.andreev_current(andreev, JUNCTION, reduced_voltage * GAP, temperature)
            assert andreev.current(reduced_voltage * GAP, temperature, JUNCTION) == pytest.approx(
                expected, rel=accuracy
            )


def test_current_agrees_with_high_precision() -> None:
    # QUADPACK itself is a double-precision program: one point with 25 digits.
    andreev, voltage, temperature = channel(superconductor=False), 0.4 * GAP, 0.2
    with mp.workdps(25):
        v, t = mp.mpf(voltage) / mp.mpf(GAP), mp.mpf(k / e) * temperature / mp.mpf(GAP)
        epsilon, broadening = mp.mpf(andreev.coherence_energy) / mp.mpf(GAP), mp.mpf(andreev.broadening)

        def integrand(x: mp.mpf) -> mp.mpf:
            coherent = mp.re((1 - 1j * x / epsilon) ** mp.mpf(-0.5))
            thermal = mp.sinh(v / t) / (mp.cosh(x / t) + mp.cosh(v / t))
            return coherent * thermal / abs(1 - (x + 1j * broadening) ** 2)

        cuts = [0, *(mp.mpf(4) ** n for n in range(-5, 0)), v, *(1 - mp.mpf(4) ** -n for n in range(1, 10)), 1]
        integral = mp.quad(integrand, sorted(cuts))
    scale = andreev.scale * GAP / JUNCTION.resistance**2 * andreev.resistance_per_length * andreev.coherence_length
    assert andreev.current(voltage, temperature, JUNCTION) == pytest.approx(scale * float(integral), rel=1e-9)


@pytest.mark.parametrize("reduced_voltage", [1e-5, 0.1, 0.7])
def test_at_zero_temperature_every_energy_up_to_the_bias_contributes(reduced_voltage: float) -> None:
    def step(x: float, v: float) -> float:
        return float(x < v)

    voltage = reduced_voltage * GAP
    integral = micro_cooler.andreev_integral(channel(), JUNCTION, voltage, step, 1e-9)
    expected = channel().scale * GAP / JUNCTION.resistance**2 * integral
    assert channel().current(voltage, 0.0, JUNCTION) == pytest.approx(expected, rel=ACCURACY)
    assert channel().current(voltage, 1e-6, JUNCTION) == pytest.approx(expected, rel=1e-4)
    assert channel().linearised(voltage, 0.0, JUNCTION).by_temperature == 0


def test_conductance_at_zero_temperature_is_that_of_one_energy() -> None:
    andreev = channel(superconductor=False)
    voltage = np.array([0.0, 1e-3, 0.3, 0.7]) * GAP
    coherent = (andreev.coherence_length**-2 - 2j * voltage * e / (hbar * DIFFUSION)) ** -0.5
    resistance = COPPER * coherent.real / np.abs(1 - (voltage / GAP + 1j * andreev.broadening) ** 2)
    expected = andreev.scale * resistance / JUNCTION.resistance**2
    np.testing.assert_allclose(andreev.conductance(voltage, 0.0, JUNCTION), expected, rtol=ACCURACY)


def coherent_resistance(andreev: AndreevChannel, temperature: float) -> float:
    return float(andreev.conductance(0.0, temperature, JUNCTION) * JUNCTION.resistance**2 / andreev.scale)


def test_coherent_resistance_in_its_limits() -> None:
    # Without dephasing and kT ≪ Δ: 1.69 R'L_T; at T = 0 the coherence length is left.
    coherent = coherent_resistance(channel(1e-2, superconductor=False), 0.01)
    thermal_length = math.sqrt(hbar * DIFFUSION / (2 * math.pi * k * 0.01))
    assert coherent / (COPPER * thermal_length) == pytest.approx(1.69, abs=0.005)
    dephasing = coherent_resistance(channel(1e-7, superconductor=False), 1e-4)
    assert dephasing == pytest.approx(COPPER * 1e-7, rel=1e-4)


def test_coherent_resistance_of_the_published_cooler() -> None:
    np.testing.assert_allclose([COPPER, micro_cooler.ALUMINIUM], [2.08e6, 0.378e6], rtol=2e-3)
    resistance = coherent_resistance(channel(superconductor=False), 0.09)
    assert resistance / COPPER == pytest.approx(0.532e-6, abs=0.001e-6)


@settings(max_examples=40, derandomize=True)
@given(channels, junctions, subgap_voltages, temperatures)
def test_current_is_odd_and_has_the_sign_of_the_voltage(
    andreev: AndreevChannel, junction: NISJunction, reduced_voltage: float, temperature: float
) -> None:
    voltage = reduced_voltage * junction.gap
    current = float(andreev.current(voltage, temperature, junction))
    assert current == -float(andreev.current(-voltage, temperature, junction))
    assert current > 0 or voltage / junction.gap < 1e-300
    assert andreev.conductance(voltage, temperature, junction) > 0


@settings(max_examples=20, derandomize=True)
@given(channels, junctions, temperatures)
def test_conductance_peaks_at_zero_bias_and_falls_with_temperature(
    andreev: AndreevChannel, junction: NISJunction, temperature: float
) -> None:
    # Up to a fifth of the gap, where the gap edge does not count yet.
    cold = min(temperature, 0.1 * junction.gap * e / k / 2)
    andreev = AndreevChannel(andreev.diffusion_constant, 1.5e-6, andreev.resistance_per_length)
    conductance = andreev.conductance(np.linspace(0, 0.2, 11) * junction.gap, cold, junction)
    assert conductance.argmax() == 0
    assert andreev.conductance(0.0, cold / 2, junction) > conductance[0]


def test_above_its_range_the_model_depends_on_the_broadening() -> None:
    sharp, blunt = (replace(channel(), broadening=broadening) for broadening in (1e-6, 1e-3))
    inside = sharp.current(0.7 * GAP, 0.1, JUNCTION) / blunt.current(0.7 * GAP, 0.1, JUNCTION)
    assert inside == pytest.approx(1, abs=0.01)
    with pytest.warns(ModelRangeWarning):
        outside = sharp.current(GAP, 0.1, JUNCTION) / blunt.current(GAP, 0.1, JUNCTION)
    assert outside > 1.3


def test_one_warning_per_call_names_the_range() -> None:
    with pytest.warns(ModelRangeWarning, match=r"above 0\.8 of the gap") as caught:
        channel().current(np.linspace(0, 1, 11) * GAP, 0.1, JUNCTION)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        channel().current(np.linspace(-0.8, 0.8, 11) * GAP, 0.1, JUNCTION)
        channel().linearised(GAP, 0.1, JUNCTION)
    with pytest.warns(ModelRangeWarning):
        channel().conductance(0.0, 3.0, JUNCTION)


def test_arguments_broadcast() -> None:
    current = channel().current(np.zeros((3, 1)), np.full(4, 0.1), JUNCTION)
    assert current.shape == (3, 4)
    assert (current == 0).all()
    assert channel().conductance([], 0.1, JUNCTION).shape == (0,)


def test_a_sharp_gap_is_refused() -> None:
    with pytest.raises(ValueError, match="broadening"):
        replace(channel(), broadening=0.0)


@pytest.mark.parametrize("gap", [None, 1.7e-4])
def test_slopes_by_the_device_are_those_of_differences(gap: float | None) -> None:
    channel = AndreevChannel(80e-4, 1.5e-6, 2.08e6, 0.49, 0.378e6)
    junction = NISJunction(215e-6, 1.9e3, 1e-4)
    v, t = np.linspace(-2.1e-4, 2.1e-4, 12), 0.12
    slopes = channel.slopes(v, t, junction, gap=gap)

    def change(name: str, step: float) -> NDArray[np.float64]:
        up, down = (replace(channel, **{name: getattr(channel, name) + size}) for size in (step, -step))
        return (up.linearised(v, t, junction, gap=gap).current - down.linearised(v, t, junction, gap=gap).current) / (
            2 * step
        )

    at = gap or junction.gap
    by_gap = (
        channel.linearised(v, t, junction, gap=at + 1e-9).current
        - channel.linearised(v, t, junction, gap=at - 1e-9).current
    ) / 2e-9
    for found, expected in (
        (slopes.by_normal * channel.scale, change("resistance_per_length", 1e3)),
        (slopes.by_superconductor * channel.scale, change("superconductor_resistance_per_length", 1e3)),
        (slopes.by_length / channel.coherence_length, change("coherence_length", 1e-9)),
        (slopes.by_gap, by_gap),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max())
