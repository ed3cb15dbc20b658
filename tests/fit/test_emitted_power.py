"""Gain and noise temperature from emitted spectra."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.constants import k

from labnis.fit import EmissionData, FitError, FitResult, fit_emitted_power, fit_reflection
from labnis.fit.resonator._drift import drift_basis
from labnis.fit.resonator._lines import Spectra
from sim_instruments import Truth
from tests.fit.measuring import assert_jacobian, device, emission, fitted_current_voltage, pulls, reflection

DEVICES: dict[str, dict[str, dict[str, Any]]] = {
    "low gain": {"chain": {"gain_db": 35.0}},
    "high gain, quiet chain": {"chain": {"gain_db": 75.0, "noise_temperature": 2.0}},
    "never critically coupled": {"resonator": {"damping_line": 4.8e7, "damping_junction": 1.5e7}},
    "warm line": {"fridge": {"mixing_chamber_temperature": 0.2}, "island": {"temperature": 0.25}},
}


def test_truth_lies_within_four_sigma(gain_fit: FitResult, shipped: Truth) -> None:
    found = pulls(gain_fit, shipped)
    assert max(map(abs, found.values())) < 4, found
    assert gain_fit["gain"].sigma < 0.1


@pytest.mark.parametrize(
    "name", [name if name == "warm line" else pytest.param(name, marks=pytest.mark.long) for name in DEVICES]
)
def test_other_devices_lie_within_four_sigma(name: str) -> None:
    truth = device(**DEVICES[name])
    prior = fit_reflection(reflection(truth, 4), prior=fitted_current_voltage(truth, 4))
    found = pulls(fit_emitted_power(emission(truth, 4), prior=prior), truth)
    assert max(map(abs, found.values())) < 4, found


@pytest.mark.parametrize(("bias", "bin_", "factor"), [(11, 149, 10.0), (11, 149, 28.0), (0, 150, 100.0)])
def test_a_burst_in_one_bin_is_left_out(
    bias: int, bin_: int, factor: float, spectra: EmissionData, reflection_fit: FitResult, gain_fit: FitResult
) -> None:
    spectrum = spectra.spectrum.copy()
    spectrum[bias, bin_] *= factor
    fit = fit_emitted_power(replace(spectra, spectrum=spectrum), prior=reflection_fit)
    assert abs(fit["gain"].value - gain_fit["gain"].value) < 0.1 * gain_fit["gain"].sigma
    assert any("1 of" in note and "left out" in note for note in fit.notes)
    assert not fit.warnings


def test_jacobian_equals_finite_differences(spectra: EmissionData) -> None:
    values = {
        "gain": 51.5, "damping_line": 1.7e7, "damping_excess": 2e6, "damping_junction": 4e7,
        "ohmic_frequency": 4.6705e9, "gap": 214e-6, "electron_temperature": 0.12, "dynes": 2e-4, "voltage_offset": 1e-6,
    }  # fmt: skip
    steps = np.array([1e-4, 1e2, 1e2, 1e2, 1e2, 1e-9, 1e-5, 1e-6, 1e-9])
    counts = np.random.default_rng(0).random(spectra.spectrum.shape) < 0.9
    expected = spectra.spectrum.mean(axis=0) * np.ones((31, 1))
    x = np.array([*values.values()])
    model = Spectra(spectra, tuple(values), expected, mask=counts.ravel(), drift=drift_basis(spectra.course, 0))
    assert_jacobian(model, x, steps)
    assert_jacobian(replace(model, data=replace(spectra, noise_bandwidth=1e6)), x, steps)
    # With a drift the slopes are those of data that the model describes.
    drifting = replace(spectra, spectrum=model.model(x) * np.exp(0.1 * np.linspace(-1, 1, 31))[:, None])
    for terms in (1, 2, 30):
        assert_jacobian(replace(model, data=drifting, drift=drift_basis(spectra.course, terms)), x, steps)


def test_spurs_and_bursts_do_not_move_the_gain(
    spectra: EmissionData, gain_fit: FitResult, reflection_fit: FitResult
) -> None:
    spoilt = spectra.spectrum.copy()
    spoilt[12, 40] *= 1e3  # a burst
    spoilt[:, 170] *= 1 + np.random.default_rng(0).random(len(spoilt))  # a spur that comes and goes
    found = fit_emitted_power(replace(spectra, spectrum=spoilt), prior=reflection_fit)
    for name in ("gain", "noise_temperature"):
        assert found[name].value == pytest.approx(gain_fit[name].value, abs=gain_fit[name].sigma)
    assert any("were left out" in note for note in found.notes)
    assert not gain_fit.warnings


@pytest.mark.parametrize("offset", [-50e6, pytest.param(30e6, marks=pytest.mark.long)])
def test_band_need_not_be_centred(offset: float, reflection_fit: FitResult, shipped: Truth) -> None:
    found = pulls(fit_emitted_power(emission(shipped, 5, centre=4.67e9 + offset), prior=reflection_fit), shipped)
    assert max(map(abs, found.values())) < 4, found


def test_the_filter_of_the_analyzer_smears_the_line_and_not_the_gain(reflection_fit: FitResult, shipped: Truth) -> None:
    exact = replace(reflection_fit, covariance=reflection_fit.covariance * 1e-10)
    smeared = emission(shipped, 5, biases=9, samples=1e7, noise_bandwidth=2e6)
    sharp = emission(shipped, 5, biases=9, samples=1e7)
    gains = [
        fit_emitted_power(data, prior=exact, fixed={"line_photons": 0.0, "excess_photons": 0.0})["gain"].value
        for data in (sharp, smeared, replace(smeared, noise_bandwidth=0.0))
    ]
    assert gains[1] == pytest.approx(gains[0], abs=3e-3)  # dB
    assert abs(gains[2] - gains[0]) > 1e-2  # without the filter in the model


def test_a_filter_as_wide_as_the_line_is_in_doubt(reflection_fit: FitResult, shipped: Truth) -> None:
    wide = emission(shipped, 5, biases=9, noise_bandwidth=8e6)
    found = fit_emitted_power(wide, prior=reflection_fit)
    assert any("the noise bandwidth of the analyzer, 8 MHz, is not small against the line" in w for w in found.warnings)


@pytest.mark.long
def test_gain_scatters_as_its_sigma_says(reflection_fit: FitResult, shipped: Truth) -> None:
    # With the rates known exactly only the radiometer is left.
    exact = replace(reflection_fit, covariance=reflection_fit.covariance * 1e-10)
    fits = [fit_emitted_power(emission(shipped, seed, biases=9, samples=100), prior=exact) for seed in range(15)]
    for name in ("gain", "noise_temperature"):
        scatter = np.std([fit[name].value for fit in fits], ddof=1)
        # 15 repeats know their standard deviation to 19 %.
        assert 0.5 < scatter / np.median([fit[name].sigma for fit in fits]) < 1.7, name


def test_uncertainty_of_the_rates_is_carried_into_the_gain(
    spectra: EmissionData, reflection_fit: FitResult, gain_fit: FitResult
) -> None:
    better = replace(reflection_fit, covariance=reflection_fit.covariance / 100)
    assert fit_emitted_power(spectra, prior=better)["gain"].sigma < 0.35 * gain_fit["gain"].sigma


def test_gain_and_noise_temperature_make_up_the_measured_floor(spectra: EmissionData, gain_fit: FitResult) -> None:
    gain = 10 ** (gain_fit["gain"].value / 10)
    floor = gain * k * gain_fit["noise_temperature"].value
    assert floor == pytest.approx(spectra.spectrum[0].mean(), rel=5e-3)


def test_one_broken_spectrum_is_left_out(spectra: EmissionData, reflection_fit: FitResult) -> None:
    spoilt = spectra.spectrum.copy()
    spoilt[5, 17] = np.nan
    keep = np.arange(spectra.device_voltage.size) != 5
    found = fit_emitted_power(replace(spectra, spectrum=spoilt), prior=reflection_fit)
    without = replace(spectra, device_voltage=spectra.device_voltage[keep], spectrum=spectra.spectrum[keep])
    np.testing.assert_array_equal(found.values, fit_emitted_power(without, prior=reflection_fit).values)


@pytest.mark.parametrize("usable", [0, 3])
def test_too_few_spectra(spectra: EmissionData, reflection_fit: FitResult, usable: int) -> None:
    spoilt = spectra.spectrum.copy()
    spoilt[usable:] = np.nan
    with pytest.raises(FitError, match=f"{usable} usable spectra are too few; at least 4"):
        fit_emitted_power(replace(spectra, spectrum=spoilt), prior=reflection_fit)


def test_shapes_have_to_agree(spectra: EmissionData) -> None:
    with pytest.raises(FitError, match=r"spectrum has shape \(30, 301\); \(31, 301\) is needed"):
        replace(spectra, spectrum=spectra.spectrum[1:])


@pytest.mark.parametrize("temperature", [-0.01, float("nan")])
def test_impossible_fridge_temperature(spectra: EmissionData, temperature: float) -> None:
    with pytest.raises(FitError, match="fridge_temperature is"):
        replace(spectra, fridge_temperature=temperature)


def test_power_that_falls_with_the_bias(spectra: EmissionData, reflection_fit: FitResult) -> None:
    with pytest.raises(FitError, match="does not grow"):
        fit_emitted_power(replace(spectra, spectrum=spectra.spectrum[::-1]), prior=reflection_fit)


def test_band_without_the_resonance(reflection_fit: FitResult, shipped: Truth) -> None:
    with pytest.raises(FitError, match=r"band from 6.93e\+09 to 7.07e\+09 Hz does not contain the resonance at 4.67"):
        fit_emitted_power(emission(shipped, 1, centre=7e9), prior=reflection_fit)


def test_prior_without_rates_is_named(spectra: EmissionData, junction_fit: FitResult) -> None:
    with pytest.raises(KeyError, match="has no parameter 'damping_line'"):
        fit_emitted_power(spectra, prior=junction_fit)


def test_start_is_no_prior(spectra: EmissionData, reflection_fit: FitResult) -> None:
    fit = fit_emitted_power(spectra, prior=reflection_fit)
    aside = replace(fit, values=fit.values + 3 * np.sqrt(np.diag(fit.covariance)))
    again = fit_emitted_power(spectra, prior=reflection_fit, start=aside)
    for name in fit.names:
        assert again[name].value == pytest.approx(fit[name].value, abs=0.02 * fit[name].sigma)
