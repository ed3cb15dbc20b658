"""Spectra that cannot be fitted are refused, doubtful ones reported, others neither, by both gain fits."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from labnis.fit import EmissionData, FitError, FitResult, ReflectionData, fit_emitted_power
from labnis.fit.resonator.high_bias import fit_high_bias
from sim_instruments import Truth
from tests.fit.measuring import emission

Fit = Callable[[EmissionData], FitResult]
Rows = NDArray[Any]

UP_AND_DOWN = np.r_[0:31:2, 29:0:-2]


@pytest.fixture(params=["all biases", "high bias"])
def fit(request: pytest.FixtureRequest, reflection_fit: FitResult, traces: ReflectionData) -> Fit:
    if request.param == "all biases":
        return partial(fit_emitted_power, prior=reflection_fit)
    return partial(fit_high_bias, prior=reflection_fit, traces=traces)


def chosen(data: EmissionData, rows: Rows) -> EmissionData:
    return replace(data, device_voltage=data.device_voltage[rows], spectrum=data.spectrum[rows])


def compressed(data: EmissionData, most: float) -> EmissionData:
    """By an amplifier that the largest emission compresses by this fraction, P → P/(1 + P/P_sat)."""
    power = np.trapezoid(data.spectrum, data.frequency, axis=-1)
    return replace(data, spectrum=data.spectrum / (1 + most * (power - power.min()) / np.ptp(power))[:, None])


def drifting(data: EmissionData, change: float) -> EmissionData:
    """With a chain whose noise changes by this fraction in the course of the run."""
    noise = np.median(data.spectrum[np.abs(data.device_voltage) < 4e-4], axis=0)
    return replace(data, spectrum=data.spectrum + change * np.linspace(0, 1, len(data.spectrum))[:, None] * noise)


def unsteady(data: EmissionData, scatter: float) -> EmissionData:
    """With a chain whose gain is another one for each spectrum."""
    draw = np.random.default_rng(1).standard_normal((len(data.spectrum), 1))
    return replace(data, spectrum=data.spectrum * (1 + scatter * draw))


def repeated(data: EmissionData) -> EmissionData:
    rows = np.arange(len(data.spectrum))
    rows[11] = 10
    return replace(data, spectrum=data.spectrum[rows])


SUSPECT: dict[str, tuple[Callable[[EmissionData], EmissionData], str]] = {
    "compressed": (
        lambda d: compressed(d, 0.05),
        "the amplifier is compressed, or its gain drifts; to distinguish, sweep",
    ),
    "compressed, up and down": (
        lambda d: compressed(chosen(d, UP_AND_DOWN), 0.05),
        "falls as the emitted power grows, by 4.* the amplifier is compressed",
    ),
    "noise rises": (lambda d: drifting(d, 0.03), "noise drifts in the course of the run by .* let the chain settle"),
    "noise falls": (lambda d: drifting(d, -0.03), "is compressed, or its gain drifts"),
    "noise rises, up and down": (lambda d: drifting(chosen(d, UP_AND_DOWN), 0.03), "drifts in the course of the run"),
    "noise falls, up and down": (lambda d: drifting(chosen(d, UP_AND_DOWN), -0.03), "drifts in the course of the run"),
    "read twice": (repeated, "1 of 31 spectra repeat the one before: the analyzer did not sweep"),
}


@pytest.mark.parametrize(("spoil", "told"), SUSPECT.values(), ids=SUSPECT)
def test_suspect_spectra_are_reported(
    spoil: Callable[[EmissionData], EmissionData], told: str, fit: Fit, spectra: EmissionData
) -> None:
    found = fit(spoil(spectra)).warnings
    assert any(re.search(told, text) for text in found), found


def test_unsteady_chain_is_reported(spectra: EmissionData, reflection_fit: FitResult) -> None:
    found = fit_emitted_power(unsteady(spectra, 0.02), prior=reflection_fit)
    assert any("varies from spectrum to spectrum by 1." in text for text in found.warnings), found.warnings


@pytest.mark.parametrize("seed", range(4))
def test_ordinary_spectra_are_not_suspect(
    seed: int, reflection_fit: FitResult, traces: ReflectionData, shipped: Truth
) -> None:
    data = emission(shipped, seed, frequencies=101)
    for ordered in (data, chosen(data, UP_AND_DOWN)):
        assert not fit_emitted_power(ordered, prior=reflection_fit).warnings
        assert not fit_high_bias(ordered, prior=reflection_fit, traces=traces).warnings


def test_rounded_spectra_are_not_clipped(fit: Fit, spectra: EmissionData) -> None:
    rounded = replace(spectra, spectrum=10 ** (np.log10(spectra.spectrum).round(2)))
    plain = fit(spectra)["gain"]
    assert fit(rounded)["gain"].value == pytest.approx(plain.value, abs=plain.sigma)


def test_drift_that_does_not_matter_is_not_reported(shipped: Truth, reflection_fit: FitResult) -> None:
    data = drifting(emission(shipped, 1, frequencies=101, samples=3e7), 2e-4)
    assert not any("drift" in text for text in fit_emitted_power(data, prior=reflection_fit).warnings)


def test_too_few_high_biases_are_reported(
    spectra: EmissionData, reflection_fit: FitResult, traces: ReflectionData
) -> None:
    short = chosen(spectra, spectra.device_voltage < 1.5e-3)
    told = r"1 of 10 biases are high, beyond 1.3 mV across the device, and a trustworthy gain needs 3; sweep to 4.3 mV"
    found = fit_emitted_power(short, prior=reflection_fit).warnings
    assert any(re.match(told, text) for text in found), found
    with pytest.raises(FitError, match=r"1 of 10 biases lie beyond 3 gaps and 4 are needed; sweep on to 4.3 mV"):
        fit_high_bias(short, prior=reflection_fit, traces=traces)


IMPOSSIBLE: dict[str, tuple[Callable[[EmissionData], EmissionData], str]] = {
    "nothing": (lambda d: chosen(d, np.zeros(31, bool)), "0 usable spectra are too few; at least 4 biases are needed"),
    "one spectrum": (lambda d: chosen(d, np.arange(1)), "1 usable spectra are too few"),
    "all NaN": (lambda d: replace(d, spectrum=np.full_like(d.spectrum, np.nan)), "0 usable spectra are too few"),
    "all zero": (lambda d: replace(d, spectrum=np.zeros_like(d.spectrum)), "0 usable spectra are too few"),
    "no frequencies": (
        lambda d: replace(d, frequency=d.frequency[:0], spectrum=d.spectrum[:, :0]),
        "0 frequencies are too few; at least 6 are needed",
    ),
    "complex": (
        lambda d: replace(d, spectrum=d.spectrum.astype(complex)),
        "spectrum is complex and real numbers are needed",
    ),
    "in dBm": (
        lambda d: replace(d, spectrum=10 * np.log10(1e3 * d.spectrum)),
        r"spectrum contains -13\d.* no power density is negative; give W/Hz",
    ),
    "falling frequency": (lambda d: replace(d, frequency=d.frequency[::-1]), "frequency does not increase"),
    "frequency in GHz": (
        lambda d: replace(d, frequency=1e-9 * d.frequency),
        r"band from 4.6 to 4.74 Hz does not contain the resonance at 4.670\d*e\+09 Hz; .* frequency in Hz",
    ),
    "voltage in mV": (
        lambda d: replace(d, device_voltage=1e3 * d.device_voltage),
        r"half of the biases are above 5.\d*e\+03 gaps .* give device_voltage in V",
    ),
    "voltage in kV": (
        lambda d: replace(d, device_voltage=1e-3 * d.device_voltage),
        "largest bias is 0.0.* gaps across one junction, and nothing is emitted below 1; sweep to 4.3 mV",
    ),
    "temperature in mK": (
        lambda d: replace(d, fridge_temperature=20.0),
        "fridge_temperature is 20 K and the junctions superconduct below 1.41 K",
    ),
    "clipped": (
        lambda d: replace(d, spectrum=np.minimum(d.spectrum, np.quantile(d.spectrum, 0.98))),
        "187 of 9331 values of the spectra equal the largest, .* the analyzer clips; choose another input range",
    ),
    "below the analyzer's range": (
        lambda d: replace(d, spectrum=np.maximum(d.spectrum, np.quantile(d.spectrum, 0.02))),
        "187 of 9331 values of the spectra equal the smallest",
    ),
    "power that does not change": (lambda d: replace(d, spectrum=np.full_like(d.spectrum, 1e-17)), "."),
}


@pytest.mark.parametrize(("spoil", "told"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_impossible_spectra_are_refused(
    spoil: Callable[[EmissionData], EmissionData], told: str, fit: Fit, spectra: EmissionData
) -> None:
    with pytest.raises(FitError, match=told):
        fit(spoil(spectra))


@pytest.mark.parametrize(
    "order",
    [np.arange(31)[::-1], UP_AND_DOWN, np.random.default_rng(0).permutation(31)],
    ids=["down", "both", "random"],
)
def test_order_of_the_biases_does_not_matter(order: Rows, fit: Fit, spectra: EmissionData) -> None:
    plain, other = fit(spectra), fit(chosen(spectra, order))
    for name in ("gain", "noise_temperature"):
        assert other[name].value == pytest.approx(plain[name].value, abs=0.01 * plain[name].sigma)
        assert other[name].sigma == pytest.approx(plain[name].sigma, rel=0.01)


def test_one_spectrum_without_power_is_left_out(fit: Fit, spectra: EmissionData) -> None:
    spoilt = spectra.spectrum.copy()
    spoilt[7] = 0
    keep = np.arange(31) != 7
    np.testing.assert_array_equal(fit(replace(spectra, spectrum=spoilt)).values, fit(chosen(spectra, keep)).values)
