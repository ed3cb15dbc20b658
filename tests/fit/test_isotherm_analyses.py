"""Isotherms of a cooler as a run has them: couplings, cooling power and their budget, from one analysis."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray

from labnis.accuracy import Source
from labnis.fit import FitContext, FitError, FitResult
from labnis.fit.isotherm_analyses import HeatBalance
from labnis.fit.junction.cooling import best_cooling
from labnis.physics.superconductor import bcs_gap
from labnis.reproduction.micro_cooler import cooler

DEVICE = cooler()
BATHS = (0.09, 0.3)
NOISE, LINE_ERROR, THERMOMETER = 1e-12, 8.0, 1.5e-3
LINE = Source("series_resistance@t", "series resistance", "ohm", 20 / 3**0.5, "normal", "t", "series_resistance")
FRIDGE = Source("fridge@t", "thermometer", "K", 2e-3, "normal", "t", "fridge.temperature")
GAIN = Source("current.gain@t", "current gain", "1", 2e-4, "normal", "t", "current.gain")
CONTEXT = FitContext(
    wiring={"series_resistance": 2000.0},
    device={"island": {"volume": 6e-20, "electron_phonon": 1e9}},
    sources=(LINE, FRIDGE, GAIN),
)


def run(baths: tuple[float, ...] = BATHS, points: int = 61) -> xarray.Dataset:
    """What a run records of a cooler whose gap follows the bath; line and thermometer err."""
    random = np.random.default_rng(5)
    voltage = np.linspace(-1.0e-3, 1.0e-3, points)
    current = np.empty((len(baths), points))
    for number, bath in enumerate(baths):
        gap = float(bcs_gap(bath, DEVICE.junction.gap))
        warm = replace(DEVICE, junction=replace(DEVICE.junction, gap=gap))
        current[number] = warm.operating_point(voltage, bath).current
    read = current + NOISE * random.standard_normal(current.shape)
    columns: dict[str, Any] = {
        "device_voltage": voltage + LINE_ERROR * current - 2000.0 * (read - current),
        "current": read,
        "fridge_temperature": np.array(baths)[:, None] + THERMOMETER + 1e-4 * random.standard_normal(current.shape),
    }
    return xarray.Dataset(
        {name: (("stage", "bias"), np.asarray(values)) for name, values in columns.items()},
        {"stage": np.array(baths), "bias": voltage},
    )


@pytest.fixture(scope="module")
def fit() -> FitResult:
    return HeatBalance().fit(run(), CONTEXT, {})


def test_the_results_are_the_true_ones_within_sigma(fit: FitResult) -> None:
    best = best_cooling(DEVICE, 0.09)
    assert DEVICE.andreev is not None
    true = {
        "gap": DEVICE.junction.gap,
        "normal_resistance": DEVICE.junction.resistance,
        "electron_phonon": DEVICE.electron_phonon,
        "kapitza": DEVICE.kapitza,
        "andreev_normal": DEVICE.andreev.scale * DEVICE.andreev.resistance_per_length,
        "maximum_cooling_power": best.power,
        "optimal_bias": best.bias,
        "efficiency": best.efficiency,
        "series_resistance_error": LINE_ERROR,
        "bath_temperature_2": 0.3,
    }
    pulls = {name: (fit[name].value - value) / fit[name].sigma for name, value in true.items() if value is not None}
    assert max(map(abs, pulls.values())) < 4, pulls
    assert not fit.warnings
    assert fit["electron_phonon"].sigma < 0.02 * DEVICE.electron_phonon
    assert fit["bath_temperature_2"].sigma < 0.1 * THERMOMETER


def test_the_expected_current_is_the_measured_one_but_for_noise(fit: FitResult) -> None:
    data = run()
    expected = HeatBalance().predict(fit, data)["current"]
    assert np.std(data["current"].values - expected) < 3 * NOISE


def test_the_budget_has_the_gain_and_not_the_thermometer(fit: FitResult) -> None:
    found = HeatBalance().budgeted(fit, run(), CONTEXT, {})
    assert found.budget is not None
    assert FRIDGE not in found.budget.sources
    parts = dict(zip(found.budget.sources, found.budget.columns[found.names.index("normal_resistance")], strict=True))
    assert abs(parts[GAIN]) == pytest.approx(2e-4 * DEVICE.junction.resistance, rel=0.1)


def test_a_curve_that_is_not_complete_is_left_out() -> None:
    data = run()
    data["current"][1, 40:] = np.nan
    data["current"][0, 3] = np.nan
    with pytest.raises(FitError, match="no temperature of the stage has a complete curve yet"):
        HeatBalance().fit(data, CONTEXT, {})


def test_an_island_of_unknown_volume_is_refused_with_what_to_state() -> None:
    with pytest.raises(FitError, match=r"state labnis\.device\.island"):
        HeatBalance().fit(run(), replace(CONTEXT, device={}), {})


def test_a_parameter_that_is_held_keeps_its_value() -> None:
    assert DEVICE.kapitza is not None
    assert DEVICE.andreev is not None
    scale = DEVICE.andreev.scale
    held = {
        "dynes": DEVICE.junction.dynes,
        "kapitza": DEVICE.kapitza,
        "andreev_normal": scale * DEVICE.andreev.resistance_per_length,
        "andreev_superconductor": scale * DEVICE.andreev.superconductor_resistance_per_length,
        "dephasing_rate": 80e-4 / 1.5e-6**2,
        "leakage_conductance": 0.0,
    }
    context = replace(CONTEXT, fixed=held)
    data = run((0.3,), 41)
    fit = HeatBalance().budgeted(HeatBalance().fit(data, context, {}), data, context, {})
    assert {name: fit[name].value for name in held} == held
    assert all(fit[name].sigma == 0 for name in ("kapitza", "dynes"))
    assert abs(fit["electron_phonon"].value - DEVICE.electron_phonon) < 4 * fit["electron_phonon"].sigma
    assert fit["electron_phonon"].sigma < 0.02 * DEVICE.electron_phonon
