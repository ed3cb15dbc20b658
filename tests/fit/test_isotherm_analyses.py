"""Isotherms of a cooler as a run has them: couplings, cooling power and their budget, from one analysis."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray

from labnis.accuracy import Source
from labnis.fit import FitContext, FitError, FitResult
from labnis.fit.isotherm_analyses import HeatBalance
from labnis.fit.junction._resolution import CommonError, resolution
from labnis.fit.junction.cooling import best_cooling
from labnis.fit.temperature_and_gap_analysis import TemperatureAndGapCurves
from labnis.physics import SINISCooler
from labnis.physics.superconductor import bcs_gap
from labnis.reproduction.micro_cooler import cooler

DEVICE = cooler()
PROBE = replace(DEVICE, kapitza=None, andreev=None)
BATHS = (0.09, 0.3)
NOISE, LOCKIN_NOISE, LINE_ERROR, GAIN_ERROR, THERMOMETER = 1e-12, 3e-7, 8.0, 0.004, 1.5e-3
RESISTANCE, EXCITATION = 2000.0, 1e-7
LINE = Source("series_resistance@t", "series resistance", "ohm", 20 / 3**0.5, "normal", "t", "series_resistance")
FRIDGE = Source("fridge@t", "thermometer", "K", 2e-3, "normal", "t", "fridge.temperature")
GAIN = Source("current.gain@t", "current gain", "1", 2e-4, "normal", "t", "current.gain")
LOCKIN = Source("lockin.gain@t", "gain of the lock-in", "1", 5e-3, "normal", "t", "conductance.gain")
CONTEXT = FitContext(
    wiring={"series_resistance": RESISTANCE},
    device={"island": {"volume": 6e-20, "electron_phonon": 1e9}},
    sources=(LINE, FRIDGE, GAIN, LOCKIN),
)


def run(
    baths: tuple[float, ...] = BATHS, points: int = 61, device: SINISCooler = DEVICE, *, lockin: bool = True
) -> xarray.Dataset:
    """What a run records of a cooler whose gap follows the bath; line, lock-in and thermometer err."""
    random = np.random.default_rng(5)
    voltage = np.linspace(-1.0e-3, 1.0e-3, points)
    current, conductance = np.empty((2, len(baths), points))
    for number, bath in enumerate(baths):
        gap = float(bcs_gap(bath, device.junction.gap))
        warm = replace(device, junction=replace(device.junction, gap=gap))
        point = warm.operating_point(voltage, bath)
        current[number], conductance[number] = point.current, warm.conductance(point)
    read = current + NOISE * random.standard_normal(current.shape)
    whole = (1 + GAIN_ERROR) * conductance / (1 + (RESISTANCE + LINE_ERROR) * conductance)
    whole += LOCKIN_NOISE * random.standard_normal(current.shape)
    columns: dict[str, Any] = {
        "device_voltage": voltage + LINE_ERROR * current - RESISTANCE * (read - current),
        "current": read,
        "fridge_temperature": np.array(baths)[:, None] + THERMOMETER + 1e-4 * random.standard_normal(current.shape),
    }
    if lockin:
        columns |= {
            "conductance": whole / (1 - RESISTANCE * whole),
            "excitation": np.full(current.shape, EXCITATION),
        }
    return xarray.Dataset(
        {name: (("stage", "bias"), np.asarray(values)) for name, values in columns.items()},
        {"stage": np.array(baths), "bias": voltage},
    )


@pytest.fixture(scope="module")
def fit() -> FitResult:
    return HeatBalance().budgeted(HeatBalance().fit(run(), CONTEXT, {}), run(), CONTEXT, {})


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
        "conductance_gain_error": GAIN_ERROR,
        "bath_temperature_2": 0.3,
    }
    known = [name for name in fit.names if name not in fit.limits]
    sigma = dict(zip(fit.names, fit.sigma, strict=True))
    pulls = {name: (fit[name].value - true[name]) / sigma[name] for name in true if name in known}
    assert len(pulls) > 9
    assert max(map(abs, pulls.values())) < 4, pulls
    assert not fit.warnings
    assert sigma["electron_phonon"] < 0.02 * DEVICE.electron_phonon
    assert sigma["bath_temperature_2"] < 0.1 * THERMOMETER


def test_current_and_conductance_are_the_measured_ones_but_for_noise(fit: FitResult) -> None:
    data = run()
    assert fit.residuals.size == 2 * data["current"].size
    expected = HeatBalance().predict(fit, data)
    assert np.std(data["current"].values - expected["current"]) < 3 * NOISE
    subgap = np.abs(data["bias"].values) < 250e-6
    rest = (data["conductance"].values - expected["conductance"])[:, subgap]
    assert 0.6 * LOCKIN_NOISE < np.std(rest) < 1.5 * LOCKIN_NOISE


def test_what_is_stated_of_the_lock_in_changes_only_its_gain(fit: FitResult) -> None:
    assert fit.budget is not None
    column = fit.budget.columns[:, list(fit.budget.sources).index(LOCKIN)]
    of_gain = fit.names.index("conductance_gain_error")
    # Which the fit measures: what is stated of it is no uncertainty of that.
    assert column[of_gain] == pytest.approx(0.0, abs=0.02 * LOCKIN.standard)
    others = np.abs(np.delete(column / np.where(fit.sigma > 0, fit.sigma, np.inf), of_gain))
    assert others.max() < 0.02


def test_the_budget_has_the_gain_of_the_current_and_the_thermometer(fit: FitResult) -> None:
    assert fit.budget is not None
    by_source = {source.uid: column for source, column in zip(fit.budget.sources, fit.budget.columns.T, strict=True)}
    assert abs(by_source[GAIN.uid][fit.names.index("normal_resistance")]) == pytest.approx(
        2e-4 * DEVICE.junction.resistance, rel=0.1
    )
    # The curves know the baths better than the thermometer does, whose part is in the covariance already.
    share = by_source[FRIDGE.uid][fit.names.index("bath_temperature_1")] / FRIDGE.standard
    assert 0 < share < 0.2
    assert fit["bath_temperature_1"].systematic < fit["bath_temperature_1"].sigma


def test_the_curves_are_the_true_ones_at_each_bath(fit: FitResult) -> None:
    curves = HeatBalance().curves(fit, run())
    assert curves.sizes["stage"] == len(BATHS)
    for number, bath in enumerate(BATHS):
        gap = float(bcs_gap(bath, DEVICE.junction.gap))
        warm = replace(DEVICE, junction=replace(DEVICE.junction, gap=gap))
        here = curves.isel(stage=number)
        point = warm.operating_point(here["device_voltage"].values, bath)
        for name in ("electron_temperature", "cooling_power"):
            off = (here[name].values - getattr(point, name))[1:] / here[f"{name}_sigma"].values[1:]
            assert np.abs(off).max() < 4, (name, bath)


def test_temperature_and_gap_by_points_agree_with_the_heat_balance(fit: FitResult) -> None:
    data, priors, analysis = run(), {"heat_balance": fit}, TemperatureAndGapCurves()
    found = analysis.budgeted(analysis.fit(data, CONTEXT, priors), data, CONTEXT, priors)
    ratio = found["temperature_ratio"]
    assert abs(ratio.value - 1) < 4 * ratio.sigma < 0.02
    assert abs(found["gap"].value - DEVICE.junction.gap) < 4 * found["gap"].sigma
    assert found["gap"].systematic == pytest.approx(fit["gap"].systematic)
    curves = analysis.curves(found, data)
    for number, bath in enumerate(BATHS):
        gap = float(bcs_gap(bath, DEVICE.junction.gap))
        warm, here = replace(DEVICE, junction=replace(DEVICE.junction, gap=gap)), curves.isel(stage=number)
        true = warm.operating_point(here["device_voltage"].values, bath).electron_temperature
        known = np.isfinite(here["electron_temperature"].values)
        assert known.sum() > 5
        for name, value in (("electron_temperature", true[known]), ("gap", gap)):
            off = (here[name].values[known] - value) / here[f"{name}_sigma"].values[known]
            assert np.abs(off).max() < 4.5, (name, bath)


@pytest.mark.long
def test_a_probe_lacks_what_its_curves_do_not_show() -> None:
    data = run(points=41, device=PROBE)
    fit = HeatBalance().fit(data, CONTEXT, {})
    assert "kapitza" not in fit.names
    assert re.search(r"none, phonons are at the bath's temperature; above \S+ W/K⁴ \(95 %\)", fit.assumed["kapitza"])
    for name in ("andreev_normal", "andreev_superconductor", "leakage_conductance"):
        assert fit.limits[name] > 0
        assert "<" in str(fit[name])
    assert DEVICE.andreev is not None
    assert fit.limits["andreev_normal"] < DEVICE.andreev.scale * DEVICE.andreev.resistance_per_length
    off = fit["electron_phonon"].value - PROBE.electron_phonon
    assert abs(off) < 4 * fit["electron_phonon"].sigma < 0.08 * PROBE.electron_phonon
    assert np.isfinite(HeatBalance().predict(fit, data)["conductance"]).all()


def test_a_rounding_error_that_all_curves_have_in_common_is_no_structure() -> None:
    # At three temperatures; the common error is up to four times as large as the noise.
    random, place = np.random.default_rng(3), np.tile(np.arange(2000), 3)
    change = np.tile(np.linspace(0.0, 4.0, 2000), 3)
    rows = random.standard_normal(6000) + change * random.standard_normal(2000)[place]
    whitened = CommonError.of(place, change).removed(rows).reshape(3, 2000)
    assert np.var(whitened) == pytest.approx(1.0, abs=0.06)
    assert abs(np.corrcoef(whitened)[np.triu_indices(3, 1)]).max() < 0.07
    np.testing.assert_allclose(
        CommonError.of(place, change).removed(np.stack([rows, 2 * rows], axis=-1))[:, 1], 2 * whitened.ravel()
    )


@pytest.mark.parametrize("step", [1e-8, 2e-8, 5e-7, 1e-6])
def test_the_resolution_of_readings(step: float) -> None:
    readings = np.random.default_rng(1).uniform(-1e-3, 1e-3, 41)
    assert resolution(np.rint(readings / step) * step) == pytest.approx(step)
    assert resolution(readings) == 0


def test_a_live_fit_waits_for_the_next_curve(fit: FitResult) -> None:
    assert HeatBalance().fit(run(), CONTEXT, {}, fit) is fit


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
    data = run((0.3,), 41, lockin=False)
    fit = HeatBalance().budgeted(HeatBalance().fit(data, context, {}), data, context, {})
    assert {name: fit[name].value for name in held} == held
    assert all(fit[name].sigma == 0 for name in ("kapitza", "dynes"))
    assert abs(fit["electron_phonon"].value - DEVICE.electron_phonon) < 4 * fit["electron_phonon"].sigma
    assert fit["electron_phonon"].sigma < 0.02 * DEVICE.electron_phonon


def test_an_offset_of_the_voltmeter_moves_no_other_result(fit: FitResult) -> None:
    offset = Source("offset@t", "offset", "V", 86.6e-6, "normal", "t", "voltage.offset")
    found = HeatBalance().budgeted(fit, run(), replace(CONTEXT, sources=(offset,)), {})
    assert found.budget is not None
    moved = dict(zip(found.names, found.budget.columns[:, 0] / fit.sigma, strict=True))
    assert abs(moved.pop("voltage_offset")) > 1e4
    assert max(map(abs, moved.values())) < 1e-5
