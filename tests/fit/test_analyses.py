"""The shipped analyses: from a run's dataset to the fit, and back to the values that the fit expects."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray

from labnis.fit import EmissionData, Estimate, FitContext, FitError, FitResult, ReflectionData
from labnis.fit.analyses import Conductance, CurrentVoltage, EmittedPower, Reflection
from sim_instruments import Truth
from tests.fit import measuring
from tests.fit.test_conductance import SINE

CONTEXT = FitContext({"series_resistance": measuring.SERIES_RESISTANCE}, fridge_temperature=0.02)


def assert_white(residuals: np.ndarray, noise: float) -> None:
    """Residuals have the size of the noise, and neighbours do not correlate."""
    rest = residuals.ravel() / noise
    assert np.std(rest) == pytest.approx(1, rel=5 / np.sqrt(rest.size))
    assert abs(np.mean(rest[1:] * rest[:-1])) < 5 / np.sqrt(rest.size)
    assert abs(np.mean(rest)) < 5 / np.sqrt(rest.size)


@pytest.fixture(scope="module")
def sweep(shipped: Truth) -> xarray.Dataset:
    """An I–V curve with lock-in, up and down, on a grid; the way down is stored by rising bias."""
    biases, wiring = np.linspace(-1.2e-3, 1.2e-3, 121), measuring.WIRING
    time = np.stack([np.arange(121.0), 121 + np.arange(121.0)[::-1]])
    rows = [
        measuring.swept(measuring.switched_on(shipped, seed, SINE), biases, lambda world: world.lockin_input(2.5))
        for seed in (1, 2)
    ]
    voltage, current, read = (np.stack(column) for column in zip(*rows, strict=True))
    columns = {
        "device_voltage": voltage,
        "current": current,
        "conductance": np.vectorize(lambda reading: wiring.device_conductance(reading, SINE))(read),
        "time": time,
        "excitation": np.full((2, 121), SINE / wiring.excitation_divider),
    }
    dims = ("direction", "bias")
    return xarray.Dataset(
        {name: (dims, values) for name, values in columns.items()}, {"direction": ["up", "down"], "bias": biases}
    )


@pytest.mark.parametrize(("analysis", "column"), [(CurrentVoltage(), "current"), (Conductance(), "conductance")])
def test_rows_that_are_over_range_are_told_as_that(analysis: Any, column: str, sweep: xarray.Dataset) -> None:
    inside = np.abs(sweep["bias"]) < 0.4e-3
    over_range = sweep.assign({column: sweep[column].where(inside)})
    rows, lost = 2 * inside.size, 2 * int((~inside).sum())
    with pytest.raises(FitError, match=f"^{lost} of {rows} points have no finite reading, .* over-range"):
        analysis.fit(over_range, CONTEXT, {}, None)


def test_a_fit_of_what_is_not_over_range_says_so(sweep: xarray.Dataset, shipped: Truth) -> None:
    inside = np.abs(sweep["bias"]) < 0.6e-3
    fit = CurrentVoltage().fit(sweep.assign(current=sweep["current"].where(inside)), CONTEXT, {}, None)
    assert max(map(abs, measuring.pulls(fit, shipped).values())) < 4
    assert [note for note in fit.notes if "have no finite reading" in note and "the fit is of the others" in note]


UNFINISHED = {
    "a few points": (-1.2e-3, -1.1e-3, "only 6 of 121 points have a reading: too few for an I–V fit, which needs 10;"),
    "above the gap": (-1.2e-3, -0.7e-3, "from -1.2 mV to -700 µV: the fit needs the curve down to 0 V;"),
    "at the edge": (-1.2e-3, -0.3e-3, "from -1.2 mV to -300 µV: the fit needs the curve down to 0 V;"),
    "inside the gap": (0.0, 0.4e-3, "from 0 V to 400 µV: the sweep has not come beyond the gap;"),
    "just beyond the gap": (0.0, 0.5e-3, "from 0 V to 500 µV: the sweep has not come beyond the gap;"),
}


@pytest.mark.parametrize("analysis", [CurrentVoltage(), Conductance()])
@pytest.mark.parametrize(("first", "last", "told"), UNFINISHED.values(), ids=UNFINISHED)
def test_a_sweep_that_was_interrupted_before_it_shows_the_gap_is_not_fitted(
    first: float, last: float, told: str, analysis: Any, sweep: xarray.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = sweep.sel(direction="up")
    bias = np.round(way["bias"], 9)
    upwards = way if first < 0 else way.where(bias >= 0, drop=True)
    interrupted = upwards.where((bias >= first) & (bias <= last))

    def fitted(*_: Any, **__: Any) -> FitResult:
        raise AssertionError("it was fitted")

    monkeypatch.setattr(type(analysis), "fit_curve", staticmethod(fitted))
    with pytest.raises(FitError, match=f"{re.escape(told)} `labnis resume` continues the run, "):
        analysis.fit(interrupted, CONTEXT, {}, None)


def test_a_sweep_that_was_interrupted_later_is_fitted(sweep: xarray.Dataset, shipped: Truth) -> None:
    way = sweep.sel(direction="up")
    for some in (way.where(way["bias"] < 0.1e-3), sweep.where(sweep["direction"] == "up")):
        fit = CurrentVoltage().fit(some, CONTEXT, {}, None)
        assert max(map(abs, measuring.pulls(fit, shipped).values())) < 4


def test_an_early_interrupted_sweep_of_a_known_gap_is_fitted(sweep: xarray.Dataset, shipped: Truth) -> None:
    way = sweep.sel(direction="up")
    held = replace(CONTEXT, fixed={"gap": 215e-6, "electron_temperature": 0.11, "dynes": 1e-4, "voltage_offset": 0.0})
    fit = CurrentVoltage().fit(way.where(way["bias"] < -0.6e-3), held, {}, None)
    assert fit["normal_resistance"].value == pytest.approx(12e3, rel=0.01)


@pytest.mark.parametrize(("analysis", "column"), [(CurrentVoltage(), "current"), (Conductance(), "conductance")])
def test_curve_on_a_grid(analysis: Any, column: str, sweep: xarray.Dataset, shipped: Truth) -> None:
    gaps = sweep.where((sweep["bias"] != sweep["bias"][7]) | (sweep["direction"] == "up"))
    fit = analysis.fit(gaps, CONTEXT, {}, None)
    assert max(map(abs, measuring.pulls(fit, shipped).values())) < 4
    assert not fit.warnings
    predicted = analysis.predict(fit, gaps)[column]
    assert predicted.shape == gaps[column].shape
    assert np.isnan(predicted[1, 7])
    assert np.isfinite(predicted).sum() == 241
    rest = np.asarray(gaps[column] - predicted)
    share = 1 / (1 + measuring.SERIES_RESISTANCE * gaps["conductance"].values)
    weighted = rest * share ** (1 if column == "current" else 2)
    assert_white(weighted[np.isfinite(weighted)], fit.noise)
    turned = gaps.transpose("bias", "direction")
    np.testing.assert_allclose(analysis.predict(fit, turned)[column], predicted.T)
    assert analysis.predict(FitResult.from_json(fit.as_json()), gaps)[column] == pytest.approx(predicted, nan_ok=True)


def test_conductance_without_a_lock_in(sweep: xarray.Dataset) -> None:
    with pytest.raises(FitError, match="no lock-in conductance"):
        Conductance().fit(sweep.drop_vars("conductance"), CONTEXT, {}, None)
    with pytest.raises(FitError, match="no lock-in conductance"):
        Conductance().fit(sweep.assign(conductance=sweep["conductance"] * np.nan), CONTEXT, {}, None)


def test_missing_column_is_named(sweep: xarray.Dataset) -> None:
    with pytest.raises(FitError, match=r"no column 'current'; it has .*device_voltage"):
        CurrentVoltage().fit(sweep.drop_vars("current"), CONTEXT, {}, None)


def _with_gap(data: dict[str, Any], voltage: np.ndarray, frequency: np.ndarray) -> xarray.Dataset:
    """Traces by commanded bias, of which the last was not measured."""
    biases = np.linspace(0, 1, voltage.size + 1)
    columns = {"device_voltage": (("bias",), np.append(voltage, np.nan))}
    for name, values in data.items():
        missing = np.full((1, frequency.size), np.nan).astype(values.dtype)
        columns[name] = (("bias", "frequency"), np.concatenate([values, missing]))
    return xarray.Dataset(columns, {"bias": biases, "frequency": frequency})


def test_reflection(traces: ReflectionData, junction_fit: FitResult, reflection_fit: FitResult) -> None:
    run = _with_gap({"s11": traces.s11}, traces.device_voltage, traces.frequency)
    analysis = Reflection()
    fit = analysis.fit(run, CONTEXT, {"current_voltage": junction_fit}, None)
    np.testing.assert_allclose(fit.values, reflection_fit.values)
    predicted = analysis.predict(fit, run)["s11"]
    assert np.isnan(predicted[-1]).all()
    rest = traces.s11 - predicted[:-1]
    assert_white(np.concatenate([rest.real, rest.imag], axis=None), fit.noise)
    biases = run["bias"].values[:4]
    assert analysis.sensitivity(fit, run, biases, CONTEXT, {"current_voltage": junction_fit}).slopes.shape[0] == 4


def test_emitted_power(spectra: EmissionData, reflection_fit: FitResult, gain_fit: FitResult) -> None:
    run = _with_gap({"spectrum": spectra.spectrum}, spectra.device_voltage, spectra.frequency)
    power = np.append(np.trapezoid(spectra.spectrum, spectra.frequency, axis=-1), np.nan)
    run = run.assign(band_power=("bias", power), fridge_temperature=("bias", np.full(power.size, 0.02)))
    analysis = EmittedPower()
    fit = analysis.fit(run, CONTEXT, {"reflection": reflection_fit}, None)
    np.testing.assert_array_less(np.abs(fit.values - gain_fit.values), 1e-4 * gain_fit.sigma)
    predicted = analysis.predict(fit, run)
    assert_white(spectra.spectrum / predicted["spectrum"][:-1] - 1, fit.noise)
    assert predicted["band_power"].shape == power.shape
    np.testing.assert_allclose(predicted["band_power"][:-1], power[:-1], rtol=0.01)
    with pytest.raises(FitError, match="needs the damping rates"):
        analysis.fit(run, CONTEXT, {}, None)
    assert analysis.truth({"gain": 50.0, "gap": 2e-4}) == {"gain": 50.0}


def test_fixed_parameter_goes_through_the_context(sweep: xarray.Dataset, shipped: Truth) -> None:
    fixed = FitContext(CONTEXT.wiring, fixed={"dynes": shipped.junction.dynes})
    fit = CurrentVoltage().fit(sweep, fixed, {}, None)
    assert (fit["dynes"].value, fit["dynes"].sigma) == (shipped.junction.dynes, 0.0)
    assert "held fixed" in fit.assumed["dynes"]
    assert max(abs(pull) for name, pull in measuring.pulls(fit.select(fit.free), shipped).items()) < 4
    with pytest.raises(FitError, match="'damping' cannot be held fixed; the parameters are gap, normal_resistance"):
        CurrentVoltage().fit(sweep, FitContext(fixed={"damping": 1.0}), {}, None)


def test_fixed_parameter_of_the_chain(
    traces: ReflectionData, spectra: EmissionData, sweep: xarray.Dataset, shipped: Truth
) -> None:
    """A parameter that one fit holds is exact for those that build on it."""
    context = FitContext(CONTEXT.wiring, fixed={"dynes": shipped.junction.dynes})
    junction = CurrentVoltage().fit(sweep, context, {}, None)
    run = _with_gap({"s11": traces.s11}, traces.device_voltage, traces.frequency)
    reflection = Reflection().fit(run, CONTEXT, {"current_voltage": junction}, None)
    held = Reflection().fit(run, FitContext(fixed={"damping_excess": 3e6}), {"current_voltage": junction}, None)
    assert held["damping_excess"] == Estimate(3e6, 0.0, "1/s")
    assert reflection["dynes"].sigma == 0
    run = _with_gap({"spectrum": spectra.spectrum}, spectra.device_voltage, spectra.frequency)
    gain = EmittedPower().fit(run, CONTEXT, {"reflection": reflection}, None)
    assert gain["dynes"].sigma == 0
    for fit in (reflection, gain):
        assert max(map(abs, measuring.pulls(fit.select(fit.free), shipped).values())) < 4
    held = EmittedPower().fit(run, FitContext(fixed={"gain": gain["gain"].value}), {"reflection": reflection}, None)
    assert held["gain"].sigma == 0
    assert held["noise_temperature"].value == pytest.approx(gain["noise_temperature"].value, rel=1e-3)


def test_context_comes_back_from_json() -> None:
    assert FitContext.from_json(CONTEXT.as_json()) == CONTEXT
    unknown = FitContext.from_json(FitContext({"divider": 1.0}).as_json())
    assert np.isnan(unknown.fridge_temperature)
    assert unknown.series_resistance == 0
