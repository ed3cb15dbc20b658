"""Electron temperature and cooling power along the bias, from a fit of the current."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from labnis.fit import FitResult, fit_current_voltage
from labnis.fit.junction.cooling_curves import EXTREMES, cooling, extremes_along, parameters_of, with_extremes
from sim_instruments import Truth
from sim_instruments.world.device import Device, DeviceState
from tests.fit.cooling import micro_cooler
from tests.fit.measuring import SERIES_RESISTANCE, current_voltage

LARGEST = 1e-3


@pytest.fixture(scope="module")
def cooler() -> Truth:
    return micro_cooler(kapitza=None)


@pytest.fixture(scope="module")
def fit(cooler: Truth) -> FitResult:

    return fit_current_voltage(*current_voltage(cooler, 0, points=101), series_resistance=SERIES_RESISTANCE)


def test_extremes_are_those_of_the_device(cooler: Truth, fit: FitResult) -> None:
    device, found = Device(cooler), with_extremes(fit, LARGEST)
    at = cooling(fit, LARGEST)

    def extreme(height: Callable[[DeviceState], NDArray[np.float64]]) -> float:
        gap, accuracy = cooler.junction.gap, {"xatol": 1e-10}
        outcome = minimize_scalar(
            lambda v: -float(height(device.state(np.array([v])))[0]),
            bounds=(1.9 * gap, 2.02 * gap),
            method="bounded",
            options=accuracy,
        )
        return -float(outcome.fun)

    lowest, largest = found["lowest_electron_temperature"], found["maximum_cooling_power"]
    assert abs(lowest.value + extreme(lambda state: -state.electron_temperature)) < 4 * lowest.sigma
    assert abs(largest.value - extreme(device.cooling_power)) < 4 * largest.sigma
    # As fine a grid as a figure needs does not show the lowest temperature of electrons this cold.
    assert at.temperature.min() > found["lowest_electron_temperature"].value


@pytest.mark.parametrize("name", ["normal_resistance", "dynes", "electron_temperature", "electron_phonon_resistance"])
def test_slopes_are_those_of_differences(fit: FitResult, name: str) -> None:
    # Of what may be 0 there are no differences to both sides.
    fit = replace(fit, values=np.where(np.array(fit.names) == "dynes", 1e-5, fit.values))
    index, curves = fit.names.index(name), cooling(fit, LARGEST)
    step = 1e-4 * fit[name].value * (np.arange(len(fit.names)) == index)
    up, down = (cooling(replace(fit, values=fit.values + sign * step), LARGEST) for sign in (1, -1))
    for slopes, more, less in (
        (curves.temperature_slopes, up.temperature, down.temperature),
        (curves.power_slopes, up.power, down.power),
    ):
        expected = (more - less) / (2 * step[index])
        np.testing.assert_allclose(slopes[:, index], expected, atol=1e-3 * np.abs(expected).max())


def test_extremes_follow_the_parameters_and_are_no_parameters_themselves(fit: FitResult) -> None:
    found = with_extremes(fit, LARGEST)
    assert found.names == (*fit.names, *EXTREMES)
    assert parameters_of(found).names == fit.names
    whole = extremes_along(found, LARGEST)
    np.testing.assert_allclose(whole(fit.values), found.values, rtol=1e-12)
    # By linear propagation, σ of an extreme is that of its gradient.
    step = 1e-3 * fit["electron_phonon_resistance"].sigma * (np.array(fit.names) == "electron_phonon_resistance")
    moved = with_extremes(replace(fit, values=fit.values + step), LARGEST)
    for name in EXTREMES:
        change = moved[name].value - found[name].value
        assert whole(fit.values + step)[found.names.index(name)] - found[name].value == pytest.approx(change, rel=0.05)


def test_electrons_of_one_temperature_have_it_at_every_bias() -> None:
    truth = Truth.model_validate(micro_cooler().model_dump() | {"island": {"temperature": 0.11}})

    fit = fit_current_voltage(*current_voltage(truth, 0, points=101), series_resistance=SERIES_RESISTANCE)
    curves = cooling(fit, LARGEST)
    np.testing.assert_allclose(curves.temperature, fit["electron_temperature"].value, rtol=1e-6)
    found = with_extremes(fit, LARGEST)
    assert found["lowest_electron_temperature"].sigma == pytest.approx(fit["electron_temperature"].sigma, rel=1e-3)
    largest = Device(truth).junction.maximum_cooling_power(0.11, 0.11)
    assert abs(found["maximum_cooling_power"].value - 2 * largest) < 4 * found["maximum_cooling_power"].sigma


@pytest.mark.parametrize(
    ("island", "warmest", "name"),
    [
        # A leak heats it: the electrons are coldest without bias, where nothing is known of them but the limit.
        ({"electron_phonon_resistance": 1.4e9, "leakage_conductance": 8.9e-8}, 0.048, "lowest_electron_temperature"),
        # At 4 mK it has nothing to cool, at the limit a little.
        ({"electron_phonon_resistance": 1.6e9}, 0.040, "maximum_cooling_power"),
    ],
)
def test_an_extreme_is_limited_by_that_of_the_warmest_electrons(
    island: dict[str, float], warmest: float, name: str
) -> None:
    junctions = {"gap": 215e-6, "normal_resistance": 40e3, "electron_temperature": 0.004, "dynes": 1e-4}
    values = junctions | {"voltage_offset": 0.0, "current_offset": 0.0} | island
    sigmas = np.array([1e-4 * abs(value) for value in values.values()])
    fit = FitResult("m", tuple(values), ("1",) * len(values), np.array([*values.values()]), np.diag(sigmas**2))
    found = with_extremes(replace(fit, limits={"electron_temperature": warmest}), LARGEST)[name]
    warm = np.array([warmest if key == "electron_temperature" else value for key, value in values.items()])
    assert found.limit is not None
    assert found.limit == pytest.approx(with_extremes(replace(fit, values=warm), LARGEST)[name].value, rel=2e-3)
