"""Devices of one junction and arrays: the fits find the values of one junction, whatever the device is made of."""

from typing import Any

import numpy as np
import pytest
import xarray

from labnis.fit import (
    FitContext,
    FitError,
    JunctionArray,
    cooling_power,
    current_voltage_model,
    fit_conductance,
    fit_current_voltage,
    isotherm_temperature,
)
from labnis.fit.analyses import CurrentVoltage, Reflection
from labnis.physics import NISJunction
from sim_instruments import Truth
from sim_instruments.world.device import Device
from tests.fit import measuring
from tests.isothermal_device import isothermal

LINE = measuring.SERIES_RESISTANCE
COOLER = measuring.device(
    island={"temperature": None, "volume": 6e-20, "electron_phonon": 2e9}, fridge={"mixing_chamber_temperature": 0.1}
)
# Left out of the search, which takes long.
ABSENT = dict.fromkeys(("kapitza_resistance", "andreev_normal", "andreev_superconductor", "leakage_conductance"), 0.0)
DEVICES: list[Any] = [1, (6, 2)]


def truth_with(junctions: Any, truth: Truth | None = None) -> Truth:
    return (truth or isothermal()).model_copy(update={"junctions": junctions})


def measured(junctions: Any) -> tuple[np.ndarray, np.ndarray]:
    series = JunctionArray.of(junctions).series
    return measuring.current_voltage(truth_with(junctions), 3, maximum=0.6e-3 * series)


@pytest.mark.parametrize("junctions", DEVICES)
def test_a_current_gives_the_values_of_one_junction(junctions: Any) -> None:
    voltage, current = measured(junctions)
    fit = fit_current_voltage(voltage, current, series_resistance=LINE, junctions=junctions)
    pulls = measuring.pulls(fit, truth_with(junctions))
    assert max(map(abs, pulls.values())) < 4 and not fit.warnings
    assert "normal_resistance is" in fit.assumed["junctions"]
    rest = current - current_voltage_model(fit, voltage)
    assert np.std(rest / (1 + LINE * np.gradient(current, voltage))) == pytest.approx(fit.noise, rel=0.2)
    electrons = isotherm_temperature(voltage, current, fit, noise=fit.noise, series_resistance=LINE)
    found = electrons.electron_temperature[electrons.determined]
    assert np.median(found) == pytest.approx(0.11, rel=0.02)
    # One junction cools from one side.
    truth = Device(truth_with(junctions))
    state = truth.state(np.array([1.8 * 215e-6 / 2 * JunctionArray.of(junctions).series]))
    cooling = cooling_power(electrons, 0.11)
    at = int(np.argmin(np.abs(cooling.device_voltage - state.voltage)))
    assert cooling.power[at] == pytest.approx(float(truth.cooling_power(state)[0]), rel=0.3)


def test_a_conductance_of_an_array() -> None:
    junction, voltage = NISJunction(215e-6, 12e3, 1e-4), np.linspace(-3e-3, 3e-3, 301)
    noise = 1e-8 * np.random.default_rng(1).standard_normal(301)
    conductance = junction.conductance(voltage / 6, 0.11) * 2 / 6 + noise
    fit = fit_conductance(voltage, conductance, excitation=1e-7, junctions=(6, 2), fixed={"voltage_offset": 1e-8})
    assert fit["gap"].value == pytest.approx(215e-6, abs=4 * fit["gap"].sigma)
    assert fit["normal_resistance"].value == pytest.approx(12e3, abs=4 * fit["normal_resistance"].sigma)
    assert (fit["voltage_offset"].value, fit.assumed["voltage_offset"]) == (pytest.approx(1e-8), "1e-08 V, held fixed")


def test_islands_of_an_array_heat_like_that_of_a_pair() -> None:
    voltage = np.linspace(-1.2e-3, 1.2e-3, 81)
    pair = Device(COOLER).state(voltage)
    array = JunctionArray.of((4, 3))
    whole = Device(truth_with((4, 3), COOLER)).state(voltage / array.voltage)
    np.testing.assert_allclose(whole.current, pair.current / array.current, rtol=1e-9)
    np.testing.assert_allclose(whole.electron_temperature, pair.electron_temperature, rtol=1e-9)
    current = whole.current + 1e-12 * np.random.default_rng(4).standard_normal(81)
    fit = fit_current_voltage(voltage / array.voltage, current, junctions=(4, 3), fixed=ABSENT)
    resistance, truth = fit["electron_phonon_resistance"], COOLER.island
    assert truth.volume is not None and truth.electron_phonon is not None
    assert resistance.value == pytest.approx(1 / truth.volume / truth.electron_phonon, abs=4 * resistance.sigma)
    assert fit["gap"].value == pytest.approx(215e-6, abs=4 * fit["gap"].sigma)


def test_curves_of_a_single_junction_are_along_its_voltage() -> None:
    voltage = np.linspace(-0.6e-3, 0.6e-3, 61)
    current = Device(truth_with(1, COOLER)).state(voltage).current + 1e-12 * np.cos(np.arange(61))
    data = xarray.Dataset({"device_voltage": ("bias", voltage), "current": ("bias", current)}, {"bias": voltage})
    fit = CurrentVoltage().fit(data, FitContext(device={"junctions": 1}, fixed=ABSENT), {}, None)
    assert fit["electron_phonon_resistance"].value > 0
    curves, truth = CurrentVoltage().curves(fit, data), Device(truth_with(1, COOLER))
    state = truth.state(curves["device_voltage"].values)
    np.testing.assert_allclose(curves["electron_temperature"], state.electron_temperature, rtol=0.05)
    largest = float(curves["cooling_power"].max())
    np.testing.assert_allclose(curves["cooling_power"], truth.cooling_power(state), rtol=0, atol=0.03 * largest)
    assert fit["maximum_cooling_power"].value == pytest.approx(largest, rel=0.02)


@pytest.mark.parametrize("junctions", [0, 3, True, (2,), (0, 1), "2"])
def test_what_is_no_device_is_named(junctions: Any) -> None:
    with pytest.raises(FitError, match="it is 1, 2, or"):
        JunctionArray.of(junctions)


def test_the_resonator_of_an_array() -> None:
    truth = truth_with((4, 1))
    frequency = 4.67e9 + np.linspace(-50e6, 50e6, 101)
    world = measuring.switched_on(truth, 7)
    voltage, _, s11 = measuring.swept(world, np.linspace(0, 4e-3, 21), lambda w: w.reflection(frequency, 1e-6, 100.0))
    data = xarray.Dataset(
        {"device_voltage": ("bias", voltage), "s11": (("bias", "frequency"), s11)},
        {"bias": voltage, "frequency": frequency},
    )
    current = measuring.current_voltage(truth, 3, maximum=2.4e-3)
    prior = fit_current_voltage(*current, series_resistance=LINE, junctions=(4, 1))
    context = FitContext(device={"junctions": [4, 1]})
    fit = Reflection().fit(data, context, {"current_voltage": prior}, None)
    assert max(map(abs, measuring.pulls(fit, truth).values())) < 4
    assert "couple alike" in fit.assumed["junctions"]
    expected = Reflection().predict(fit, data)["s11"]
    assert np.abs(expected - s11).std() < 1.1 * fit.noise
    hanger = Reflection().fit(data, FitContext(device={"junctions": [4, 1], "resonator": "hanger"}), {
        "current_voltage": prior}, fit)  # fmt: skip
    assert hanger["damping_line"].value == pytest.approx(fit["damping_line"].value, rel=1e-3)
    assert "half of the coupling rate" in hanger.assumed["port"]
    with pytest.raises(FitError, match="only the sum of its damping rates shows"):
        Reflection().fit(data, FitContext(device={"resonator": "transmission"}), {}, None)
