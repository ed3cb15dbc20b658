"""Effect of the junctions on the resonator in the fits: equal to that of `labnis.physics`, with its slopes."""

import numpy as np
import pytest

from labnis.fit.resonator._tunnelling import tunnelling, tunnelling_slopes, unequal_warning
from labnis.physics import NISJunction, Resonator

VALUES = {
    "gap": 215e-6,
    "electron_temperature": 0.11,
    "dynes": 1e-4,
    "voltage_offset": 8e-7,
    "ohmic_frequency": 4.67e9,
}
VOLTAGE = np.linspace(-1e-3, 2.4e-3, 69)
STEPS = {"gap": 1e-9, "electron_temperature": 1e-5, "dynes": 1e-6, "voltage_offset": 1e-9, "ohmic_frequency": 1e6}


def test_rates_and_shift_are_those_of_the_physics() -> None:
    found = tunnelling(VALUES, VOLTAGE)
    unit = Resonator(4.67e9, 1.0, 0.0, 1.0)
    at = NISJunction(215e-6, 1.0, 1e-4), (VOLTAGE + 8e-7) / 2, 0.11
    np.testing.assert_allclose(found.damping, unit.damping_rate(*at), rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(found.shift, 2 * np.pi * unit.lamb_shift(*at), rtol=1e-9, atol=1e-13)
    emission = unit.damping_rate(*at) * unit.photon_number(*at)
    np.testing.assert_allclose(found.emission, emission, rtol=1e-9, atol=1e-13)


def test_emission_has_its_limit_where_the_photon_takes_all_of_the_bias() -> None:
    photon = 6.62607015e-34 * 4.67e9 / 1.602176634e-19
    unbiased = VALUES | {"voltage_offset": 0.0}
    at, beside = (float(tunnelling(unbiased, np.array([2 * photon + x])).emission[0]) for x in (0.0, 1e-12))
    assert at == pytest.approx(beside, rel=1e-6)
    assert at > 0


@pytest.mark.parametrize("name", STEPS)
def test_slopes_are_those_of_finite_differences(name: str) -> None:
    step = STEPS[name]
    up, down = (tunnelling(VALUES | {name: VALUES[name] + s}, VOLTAGE) for s in (step, -step))
    for found, high, low in zip(tunnelling_slopes(VALUES, VOLTAGE)[name], up, down, strict=True):
        expected = (high - low) / (2 * step)
        np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())


def test_equal_junctions_are_no_doubt_of_a_gain_that_is_held() -> None:
    assert unequal_warning({}, gain_sigma=0.0) == ()
    assert unequal_warning({"asymmetry": 0.3}, gain_sigma=0.0)
