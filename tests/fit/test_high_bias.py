"""The published recipe: right within its σ, whose parts are given, and less precise than the fit of all spectra."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from labnis.fit import EmissionData, FitError, FitResult, ReflectionData, fit_emitted_power, fit_reflection
from labnis.fit.resonator.high_bias import _BandPower, fit_high_bias, gain_uncertainty
from sim_instruments import Truth
from tests.fit.measuring import assert_jacobian, device, emission, fitted_current_voltage, pulls, reflection

DEVICES: dict[str, dict[str, dict[str, Any]]] = {
    "low gain, wide line": {"chain": {"gain_db": 35.0}, "resonator": {"damping_junction": 1e8}},
    "warm line": {"fridge": {"mixing_chamber_temperature": 0.2}, "island": {"temperature": 0.25}},
}


@pytest.fixture(scope="module")
def recipe(spectra: EmissionData, reflection_fit: FitResult, traces: ReflectionData) -> FitResult:
    return fit_high_bias(spectra, prior=reflection_fit, traces=traces)


def statistical(fit: FitResult) -> float:
    """σ of the gain (dB) at given rates."""
    return float(10 / np.log(10) * fit["slope"].sigma / fit["slope"].value)


def test_truth_lies_within_four_sigma(recipe: FitResult, shipped: Truth) -> None:
    found = pulls(recipe, shipped)
    assert set(found) == {"gain", "noise_temperature"}
    assert max(map(abs, found.values())) < 4, found


@pytest.mark.parametrize("changes", DEVICES.values(), ids=DEVICES)
def test_other_devices_lie_within_four_sigma(changes: dict[str, dict[str, Any]]) -> None:
    truth = device(**changes)
    traces = reflection(truth, 4, biases=16, frequencies=101)
    prior = fit_reflection(traces, prior=fitted_current_voltage(truth, 4))
    found = pulls(fit_high_bias(emission(truth, 4, frequencies=101), prior=prior, traces=traces), truth)
    assert max(map(abs, found.values())) < 4, found


@pytest.mark.parametrize(
    "band", [{"span": 30e6}, {"span": 140e6, "frequencies": 15}, {"span": 100e6, "centre": 4.70e9}]
)
def test_band_may_be_narrow_coarse_or_off_centre(
    band: dict[str, Any], reflection_fit: FitResult, traces: ReflectionData, shipped: Truth
) -> None:
    data = emission(shipped, 5, samples=4e5, **band)
    found = pulls(fit_high_bias(data, prior=reflection_fit, traces=traces), shipped)
    assert max(map(abs, found.values())) < 4, found


def test_without_the_correction_the_tails_are_missing(
    spectra: EmissionData, recipe: FitResult, reflection_fit: FitResult, traces: ReflectionData
) -> None:
    published = fit_high_bias(spectra, prior=reflection_fit, traces=traces, whole_line=False)
    # Tails beyond ±70 MHz of a line of 63.5e6/2π Hz full width.
    tails = -10 * np.log10(2 / np.pi * np.arctan(2 * np.pi * 140e6 / 63.5e6))
    assert recipe["gain"].value - published["gain"].value == pytest.approx(tails, rel=0.01)
    assert recipe.assumed["band"].startswith("holds 0.954")
    assert published.assumed["band"] == "holds the whole line"


def test_all_spectra_are_worth_more_than_twice_the_high_biases(
    spectra: EmissionData, reflection_fit: FitResult, traces: ReflectionData
) -> None:
    exact = replace(reflection_fit, covariance=reflection_fit.covariance * 1e-10)
    best = fit_emitted_power(spectra, prior=exact)["gain"].sigma
    assert best < 0.5 * statistical(fit_high_bias(spectra, prior=exact, traces=traces))


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("span", [140e6, 30e6])
def test_scatter_of_both_estimators(
    span: float, reflection_fit: FitResult, traces: ReflectionData, shipped: Truth
) -> None:
    exact = replace(reflection_fit, covariance=reflection_fit.covariance * 1e-10)
    data = [emission(shipped, seed, span=span) for seed in range(200)]
    best = [fit_emitted_power(d, prior=exact) for d in data]
    recipe = [fit_high_bias(d, prior=exact, traces=traces) for d in data]
    values, published = np.array([[fit["gain"].value for fit in fits] for fits in (best, recipe)])
    # 200 repeats know their standard deviation to 5 %.
    assert values.std(ddof=1) == pytest.approx(np.median([fit["gain"].sigma for fit in best]), rel=0.2)
    assert published.std(ddof=1) == pytest.approx(np.median([statistical(fit) for fit in recipe]), rel=0.2)
    assert values.std(ddof=1) < 0.5 * published.std(ddof=1)
    # Both rest on the same rates.
    assert published.mean() == pytest.approx(values.mean(), abs=4 * published.std(ddof=1) / np.sqrt(200))


def test_uncertainty_is_made_up_of_the_stated_shares(
    spectra: EmissionData, recipe: FitResult, reflection_fit: FitResult, traces: ReflectionData
) -> None:
    shares = gain_uncertainty(recipe, spectra, prior=reflection_fit, traces=traces)
    assert set(shares) == {"fit of a₁", "truncation of a₁", "γ_tr", "γ̄_T", "γ_x"}
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert np.hypot.reduce([*shares.values()]) == pytest.approx(recipe["gain"].sigma, rel=1e-3)
    assert shares["fit of a₁"] == pytest.approx(statistical(recipe))
    assert all(name in recipe.report() for name in shares)


def test_error_circle_is_as_wide_as_the_traces_are_noisy(
    spectra: EmissionData, recipe: FitResult, reflection_fit: FitResult, traces: ReflectionData
) -> None:
    draw = np.random.default_rng(3).standard_normal((2, *traces.s11.shape))
    # On resonance at high bias Γ = −1 + (1 + φ)γ_tr/Σ.
    added = 0.05 * np.abs(traces.s11).mean()
    noisy = replace(traces, s11=traces.s11 + added * (draw[0] + 1j * draw[1]) / np.sqrt(2))
    shares = gain_uncertainty(recipe, spectra, prior=reflection_fit, traces=noisy)
    line, excess, junction = 1.6e7, 2.5e6, 4.5e7
    total = line + excess + junction

    def gain(line: float, junction: float) -> float:
        return float(10 * np.log10((line + excess + junction) / (line * junction)))

    def moved(line: float, junction: float) -> float:
        return abs(1.99 + 0.1j) * abs(line / (line + excess + junction) - 1.6e7 / total)

    # The rim of the circle, found by stepping out to it.
    factors = np.linspace(1, 2, 10001)
    by_line = factors[np.argmax([moved(f * line, junction) > 0.05 for f in factors])]
    by_junction = factors[np.argmax([moved(line, f * junction) > 0.05 for f in factors])]
    assert shares["γ_tr"] == pytest.approx(gain(line, junction) - gain(by_line * line, junction), rel=0.15)
    assert shares["γ̄_T"] == pytest.approx(gain(line, junction) - gain(line, by_junction * junction), rel=0.15)


def test_electrons_that_heat_show_in_the_scatter_of_the_excess_rate(
    spectra: EmissionData, junction_fit: FitResult, shipped: Truth
) -> None:
    # An island whose electrons go from the fridge's 10 mK to hundreds; the fit takes one temperature.
    heated = device(island={"temperature": None, "volume": 1e-18, "electron_phonon": 2e9})
    traces = reflection(heated, 2, biases=11, frequencies=101)
    prior = fit_reflection(traces, prior=junction_fit)
    found = fit_high_bias(spectra, prior=prior, traces=traces)
    assert next(iter(gain_uncertainty(found, spectra, prior=prior, traces=traces))) == "γ_x"
    assert abs(pulls(found, shipped)["gain"]) < 2


def test_truncation_counts_where_the_sweep_ends_early(
    reflection_fit: FitResult, traces: ReflectionData, shipped: Truth
) -> None:
    data = emission(shipped, 6, biases=51, frequencies=51)
    near = data.device_voltage < 2e-3
    short = replace(data, device_voltage=data.device_voltage[near], spectrum=data.spectrum[near])
    whole = fit_high_bias(data, prior=reflection_fit, traces=traces)
    shares = [gain_uncertainty(whole, d, prior=reflection_fit, traces=traces) for d in (data, short)]
    assert shares[1]["truncation of a₁"] > 3 * shares[0]["truncation of a₁"]


def test_burst_does_not_move_the_result(
    spectra: EmissionData, recipe: FitResult, reflection_fit: FitResult, traces: ReflectionData
) -> None:
    spoilt = spectra.spectrum.copy()
    spoilt[0, 40] *= 1e3
    spoilt[25, 170] *= 3
    found = fit_high_bias(replace(spectra, spectrum=spoilt), prior=reflection_fit, traces=traces)
    for name in ("gain", "noise_temperature"):
        assert found[name].value == pytest.approx(recipe[name].value, abs=0.1 * recipe[name].sigma)
    assert not found.warnings
    assert found.notes == (
        "2 of 9331 values of the spectra lie more than 6σ off and were replaced by values expected from the others",
    )


def test_many_bursts_are_a_doubt(spectra: EmissionData, reflection_fit: FitResult, traces: ReflectionData) -> None:
    spoilt = spectra.spectrum.copy()
    spoilt[np.random.default_rng(0).random(spoilt.shape) < 0.02] *= 1.3
    found = fit_high_bias(replace(spectra, spectrum=spoilt), prior=reflection_fit, traces=traces)
    assert any("were replaced by values expected from the others" in text for text in found.warnings)
    assert not found.notes


def test_noise_temperature_of_a_chain_whose_gain_bends_over_the_band_is_in_doubt(
    spectra: EmissionData, reflection_fit: FitResult, traces: ReflectionData
) -> None:
    bend = 10 ** (0.3 * np.linspace(-1, 1, spectra.frequency.size) ** 2)
    found = fit_high_bias(replace(spectra, spectrum=spectra.spectrum * bend), prior=reflection_fit, traces=traces)
    assert any("its gain is known there alone: noise_temperature may be off" in text for text in found.warnings)


def test_noise_temperature_without_a_spectrum_at_zero_bias(
    spectra: EmissionData, recipe: FitResult, reflection_fit: FitResult, traces: ReflectionData
) -> None:
    biased = np.abs(spectra.device_voltage) > 1.5e-3
    data = replace(spectra, device_voltage=spectra.device_voltage[biased], spectrum=spectra.spectrum[biased])
    found = fit_high_bias(data, prior=reflection_fit, traces=traces)
    assert found["noise_temperature"].value == pytest.approx(
        recipe["noise_temperature"].value, abs=recipe["noise_temperature"].sigma
    )
    assert any("the nearest at 1.5 mV across the device" in text for text in found.warnings)


def test_jacobian_equals_finite_differences() -> None:
    voltage = np.linspace(0.6, 2.5, 9)
    model = _BandPower(voltage, 3 + voltage, mask=np.ones(9, bool))
    assert_jacobian(model, np.array([1.0, 2.0, -0.1]), np.full(3, 1e-4))


def test_noise_without_emission_is_no_gain(
    spectra: EmissionData, reflection_fit: FitResult, traces: ReflectionData
) -> None:
    dark = np.random.default_rng(1).gamma(4e3, 1 / 4e3, spectra.spectrum.shape) * spectra.spectrum[0].mean()
    with pytest.raises(FitError, match=r"does not rise beyond its noise \(slope"):
        fit_high_bias(replace(spectra, spectrum=dark), prior=reflection_fit, traces=traces)


@pytest.mark.parametrize("decibel", [0.02, 0.2])
def test_a_drift_of_the_gain_is_taken_out(
    decibel: float, spectra: EmissionData, reflection_fit: FitResult, traces: ReflectionData, recipe: FitResult,
    shipped: Truth,
) -> None:  # fmt: skip
    """0.02 dB in the course of the sweep moved the gain by 0.18 dB, and 0.2 dB by 1.6 dB."""
    course = decibel * np.linspace(-0.5, 0.5, 31)[:, None]
    drifting = replace(spectra, spectrum=spectra.spectrum * 10 ** (course / 10))
    found = fit_high_bias(drifting, prior=reflection_fit, traces=traces)
    own = pulls(found, shipped)
    assert max(map(abs, own.values())) < 3, own
    assert found["gain"].value == pytest.approx(recipe["gain"].value, abs=recipe["gain"].sigma)
    assert found["gain"].sigma < recipe["gain"].sigma
    assert any("was measured and taken out" in note for note in found.notes)


def test_traces_below_critical_coupling(
    spectra: EmissionData, reflection_fit: FitResult, traces: ReflectionData
) -> None:
    below = traces.device_voltage < 3e-4
    few = ReflectionData(traces.device_voltage[below], traces.frequency, traces.s11[below])
    with pytest.raises(FitError, match=r"0 of 4 reflection traces lie above critical coupling and 3 are needed"):
        fit_high_bias(spectra, prior=reflection_fit, traces=few)


def test_prior_without_rates_is_named(spectra: EmissionData, junction_fit: FitResult, traces: ReflectionData) -> None:
    with pytest.raises(KeyError, match="has no parameter 'damping_line'"):
        fit_high_bias(spectra, prior=junction_fit, traces=traces)
