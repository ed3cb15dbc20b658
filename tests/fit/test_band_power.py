"""Gain and noise temperature from the power in one band."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray
from numpy.typing import NDArray
from scipy.constants import h, k
from scipy.integrate import quad

from labnis.accuracy import Source
from labnis.fit import (
    BandPowerData,
    EmissionData,
    FitContext,
    FitError,
    FitResult,
    ReflectionData,
    band_power_model,
    fit_band_power,
    fit_emitted_power,
    fit_reflection,
)
from labnis.fit.analyses import BandPower
from labnis.fit.resonator._lines import EXCESS_PHOTONS, LINE_PHOTONS, Lines
from labnis.physics import NISJunction, Resonator
from sim_instruments import Truth
from tests.fit.measuring import assert_jacobian, device, emission, fitted_current_voltage, pulls, reflection

VALUES = {
    "gain": 50.0, "noise_temperature": 6.0, "line_photons": 0.4, "excess_photons": 0.7, "damping_line": 1.7e7,
    "damping_excess": 2e6, "damping_junction": 4e7, "ohmic_frequency": 4.6705e9, "gap": 214e-6,
    "electron_temperature": 0.12, "dynes": 2e-4, "voltage_offset": 1e-6,
}  # fmt: skip
PHOTONS = (LINE_PHOTONS, EXCESS_PHOTONS)
UP_AND_DOWN = np.r_[0:31:2, 29:0:-2]
Change = Callable[[BandPowerData], BandPowerData]


def in_band(spectra: EmissionData, low: float = 0.0, high: float = np.inf) -> BandPowerData:
    """The power of spectra between two frequencies (Hz)."""
    band = (spectra.frequency >= low) & (spectra.frequency <= high)
    frequency, spectrum = spectra.frequency[band], spectra.spectrum[:, band]
    first, last = frequency[[0, -1]]
    power = np.trapezoid(spectrum, frequency, axis=-1)
    conditions = (first + last) / 2, last - first, spectra.fridge_temperature
    return BandPowerData(spectra.device_voltage, power, *conditions, time=spectra.time, junctions=spectra.junctions)


def chosen(data: BandPowerData, rows: NDArray[Any] | slice) -> BandPowerData:
    return replace(data, device_voltage=data.device_voltage[rows], band_power=data.band_power[rows])


def louder(data: BandPowerData, decibel: Any) -> BandPowerData:
    return replace(data, band_power=data.band_power * 10 ** (np.asarray(decibel) / 10))


@pytest.fixture(scope="module")
def powers(spectra: EmissionData) -> BandPowerData:
    return in_band(spectra)


@pytest.fixture(scope="module")
def band_fit(powers: BandPowerData, reflection_fit: FitResult) -> FitResult:
    return fit_band_power(powers, prior=reflection_fit)


@pytest.mark.parametrize("bandwidth", [2e6, 20e6, 140e6])
def test_power_is_the_integral_of_the_emitted_spectrum(bandwidth: float) -> None:
    """By quadrature of the spectra of `labnis.physics`, in bands narrower than the line and wider, not centred."""
    voltage, temperature = np.linspace(0, 5e-3, 13), 0.02
    resonator = Resonator(4.6705e9, 1.7e7, 2e6, 4e7)
    junction = NISJunction(214e-6, 1.0, 2e-4)
    center = 4.671e9
    nothing = np.zeros(13)
    data = BandPowerData(voltage, nothing + 1e-12, center, bandwidth, temperature)
    line, excess = (1 / np.expm1(h * 4.6705e9 / (k * temperature)) + VALUES[n] for n in (LINE_PHOTONS, EXCESS_PHOTONS))

    def emitted(bias: float) -> float:
        def density(frequency: float) -> float:
            spectrum = resonator.emitted_spectrum(frequency, junction, bias / 2 + 0.5e-6, 0.12, line, excess)
            return 1e20 * float(spectrum)

        edges = center - bandwidth / 2, center + bandwidth / 2
        return 1e-20 * quad(density, *edges, points=[4.6705e9], epsrel=1e-11, limit=500)[0]

    expected = np.array([emitted(float(bias)) for bias in voltage])
    chain = (k * VALUES["noise_temperature"] + h * 4.6705e9 * VALUES["line_photons"]) * bandwidth
    np.testing.assert_allclose(Lines.of(VALUES, data.ends).in_band(), expected, rtol=1e-7, atol=1e-26)
    fit = FitResult(
        "expected", (*VALUES,), ("1",) * len(VALUES), np.array([*VALUES.values()]), np.eye(len(VALUES)), 1.0, 1, 1.0
    )
    fit = replace(fit, inputs={"fridge_temperature": temperature})
    np.testing.assert_allclose(band_power_model(fit, data), 1e5 * (expected + chain), rtol=1e-8)


def test_jacobian_equals_finite_differences(powers: BandPowerData, reflection_fit: FitResult) -> None:
    steps = np.array([1e-4, 1e-3, 1e-3, 1e-3, 1e2, 1e2, 1e2, 1e3, 1e-9, 1e-5, 1e-6, 1e-9])
    known = ("damping_line", "damping_excess", "damping_junction")
    fit = fit_band_power(powers, prior=reflection_fit)
    for data in (powers, replace(powers, center=4.672e9, bandwidth=8e6)):
        context = FitContext(fridge_temperature=0.02)
        model = BandPower().evaluated(fit, _run(data), context, {"reflection": reflection_fit}).model
        assert {*known} < {*VALUES} == {*fit.names}
        order = [list(VALUES).index(name) for name in fit.names]
        assert_jacobian(model, np.array([*VALUES.values()])[order], steps[order])


def _run(data: BandPowerData) -> xarray.Dataset:
    rows = data.device_voltage.size
    constant = {"center": data.center, "bandwidth": data.bandwidth, "fridge_temperature": data.fridge_temperature}
    columns = {"device_voltage": ("point", data.device_voltage), "band_power": ("point", data.band_power)}
    times = {"time": ("point", data.course)}
    return xarray.Dataset(columns | times | {n: ("point", np.full(rows, value)) for n, value in constant.items()})


@pytest.mark.parametrize("seed", range(4))
def test_truth_lies_within_four_sigma(seed: int, reflection_fit: FitResult, shipped: Truth) -> None:
    spectra = emission(shipped, seed)
    fit, whole = (
        fit_band_power(in_band(spectra), prior=reflection_fit),
        fit_emitted_power(spectra, prior=reflection_fit),
    )
    found = pulls(fit, shipped)
    assert max(map(abs, found.values())) < 4, found
    assert not fit.warnings
    for name in ("gain", "noise_temperature"):
        # Of the same data less cannot say more, but for the scatter of the noise from which σ is estimated.
        assert 0.99 * whole[name].sigma < fit[name].sigma < 3 * whole[name].sigma, name
        assert abs(fit[name].value - whole[name].value) < 3 * fit[name].sigma


@pytest.mark.parametrize(
    ("low", "high"),
    [(4.65e9, 4.69e9), pytest.param(4.66e9, 4.72e9, marks=pytest.mark.long), (4.663e9, 4.677e9)],
)
def test_tails_beyond_the_band_are_corrected_for(
    low: float, high: float, spectra: EmissionData, reflection_fit: FitResult, shipped: Truth
) -> None:
    fit = fit_band_power(in_band(spectra, low, high), prior=reflection_fit)
    found = pulls(fit, shipped)
    assert max(map(abs, found.values())) < 4, found
    assert any("of the line, which is" in note and "beyond the band, and corrected for" in note for note in fit.notes)


def test_a_band_narrower_than_the_line_is_in_doubt(
    spectra: EmissionData, reflection_fit: FitResult, shipped: Truth
) -> None:
    fit = fit_band_power(in_band(spectra, 4.668e9, 4.672e9), prior=reflection_fit)
    assert any(re.match(r"the band, 3\.\d+ MHz, is narrower than the line, ", text) for text in fit.warnings)
    assert max(map(abs, pulls(fit, shipped).values())) < 4


@pytest.mark.long
@pytest.mark.parametrize("name", ["low gain", "quiet", "warm"])
def test_other_devices_lie_within_four_sigma(name: str) -> None:
    changes: dict[str, Any] = {
        "low gain": {"chain": {"gain_db": 35.0}},
        "quiet": {"chain": {"gain_db": 75.0, "noise_temperature": 2.0}},
        "warm": {"fridge": {"mixing_chamber_temperature": 0.2}, "island": {"temperature": 0.25}},
    }
    truth = device(**changes[name])
    prior = fit_reflection(reflection(truth, 4), prior=fitted_current_voltage(truth, 4))
    found = pulls(fit_band_power(in_band(emission(truth, 4)), prior=prior), truth)
    assert max(map(abs, found.values())) < 4, found


@pytest.mark.long
def test_results_scatter_as_their_sigma_says(reflection_fit: FitResult, shipped: Truth) -> None:
    """With the rates and the photons known exactly only the radiometer is left."""
    exact, held = replace(reflection_fit, covariance=reflection_fit.covariance * 1e-10), dict.fromkeys(PHOTONS, 0.0)
    fits = [
        fit_band_power(in_band(emission(shipped, seed, biases=21, frequencies=101)), prior=exact, fixed=held)
        for seed in range(30)
    ]
    for name in ("gain", "noise_temperature"):
        scatter = np.std([fit[name].value for fit in fits], ddof=1)
        # 30 repeats know their standard deviation to 13 %.
        assert 0.6 < scatter / np.median([fit[name].sigma for fit in fits]) < 1.5, name


@pytest.mark.long
def test_whole_calibrations_cover_the_truth(shipped: Truth) -> None:
    """30 of them, with other noise and other imperfections of the device each."""
    found = []
    for seed in range(30):
        traces = reflection(shipped, seed, biases=15, frequencies=101)
        prior = fit_reflection(traces, prior=fitted_current_voltage(shipped, seed))
        fit = fit_band_power(in_band(emission(shipped, seed, biases=21, frequencies=101)), prior=prior)
        assert not fit.warnings
        found.append(pulls(fit, shipped))
    for name in ("gain", "noise_temperature"):
        pull = np.array([one[name] for one in found])
        # The assumed photons and Re φ, which are as assumed in the twin, make it smaller.
        assert np.sqrt(np.mean(pull**2)) < 1.3, (name, pull)
        assert np.abs(pull).max() < 4, (name, pull)


def test_photons_that_nobody_knows_are_in_sigma(
    powers: BandPowerData, reflection_fit: FitResult, band_fit: FitResult
) -> None:
    held = fit_band_power(powers, prior=reflection_fit, fixed={"line_photons": 0.0, "excess_photons": 0.0})
    assert held["noise_temperature"].sigma < 0.7 * band_fit["noise_temperature"].sigma
    assert held["gain"].sigma < band_fit["gain"].sigma
    # Of the losses they are as unknown as before.
    assert band_fit["excess_photons"].sigma > 4
    # A line with photons, of which the chain's noise has as much less: nothing but their σ tells it.
    warm = fit_band_power(powers, prior=reflection_fit, given={"line_photons": (1.0, 0.01)})
    lower = band_fit["noise_temperature"].value - warm["noise_temperature"].value
    assert 0.1 < lower < 3 * band_fit["noise_temperature"].sigma
    for name in ("line_photons", "excess_photons"):
        assert "before the data" in band_fit.assumed[name]
    assert "does not tell a drift of the chain" in band_fit.assumed["gain"]
    assert "flat from 4.600000 GHz to 4.740000 GHz" in band_fit.assumed["band"]


def test_a_known_noise_temperature_may_be_given(
    powers: BandPowerData, reflection_fit: FitResult, shipped: Truth
) -> None:
    held = fit_band_power(powers, prior=reflection_fit, fixed={"noise_temperature": shipped.chain.noise_temperature})
    assert held["noise_temperature"].sigma == 0
    assert abs(pulls(held.select(held.free), shipped)["gain"]) < 4


def test_uncertainty_of_the_rates_is_carried_into_the_gain(
    powers: BandPowerData, reflection_fit: FitResult, band_fit: FitResult
) -> None:
    better = replace(reflection_fit, covariance=reflection_fit.covariance / 100)
    assert fit_band_power(powers, prior=better)["gain"].sigma < 0.5 * band_fit["gain"].sigma


def test_a_known_rate_is_held(powers: BandPowerData, reflection_fit: FitResult, band_fit: FitResult) -> None:
    rate = reflection_fit["damping_line"]
    held = fit_band_power(powers, prior=reflection_fit, fixed={"damping_line": 1.02 * rate.value})
    assert held["damping_line"].sigma == 0
    # Only their product shows.
    assert held["gain"].value - band_fit["gain"].value == pytest.approx(-10 * np.log10(1.02), abs=0.03)


def test_another_fano_factor_moves_the_gain_as_for_spectra(
    traces: ReflectionData, junction_fit: FitResult, spectra: EmissionData, reflection_fit: FitResult
) -> None:
    other = fit_reflection(traces, prior=junction_fit, given={"fano_real": (1.05, 0.02)})
    moved = [
        fit(data, prior=other)["gain"].value - fit(data, prior=reflection_fit)["gain"].value
        for fit, data in ((fit_band_power, in_band(spectra)), (fit_emitted_power, spectra))
    ]
    assert moved[0] == pytest.approx(moved[1], rel=0.05)
    assert abs(moved[0]) > 0.08


def test_a_start_is_no_prior(powers: BandPowerData, reflection_fit: FitResult, band_fit: FitResult) -> None:
    aside = replace(band_fit, values=band_fit.values + 2 * band_fit.sigma)
    again = fit_band_power(powers, prior=reflection_fit, start=aside)
    for name in band_fit.names:
        assert again[name].value == pytest.approx(band_fit[name].value, abs=0.05 * band_fit[name].sigma), name


def test_a_glitch_is_left_out(powers: BandPowerData, reflection_fit: FitResult, band_fit: FitResult) -> None:
    spoilt = powers.band_power.copy()
    spoilt[17] *= 1.5
    data = replace(powers, band_power=spoilt)
    fit = fit_band_power(data, prior=reflection_fit)
    assert fit["gain"].value == pytest.approx(band_fit["gain"].value, abs=band_fit["gain"].sigma)
    assert any("1 of 31 data lie more than 6σ off and were left out; at 2.6" in note for note in fit.notes), fit.notes
    np.testing.assert_array_equal(np.flatnonzero(BandPower().left_out(fit, _run(data))["band_power"]), [17])
    assert BandPower().residuals(fit, _run(data))["band_power"][17] > 100
    assert not fit.warnings


def saturated(data: BandPowerData) -> BandPowerData:
    return replace(data, band_power=np.minimum(data.band_power, np.sort(data.band_power)[-8]))


def compressed(data: BandPowerData) -> BandPowerData:
    part = (data.band_power - data.band_power.min()) / np.ptp(data.band_power)
    return replace(data, band_power=data.band_power / (1 + 0.1 * part))


def drifting(data: BandPowerData) -> BandPowerData:
    return louder(data, np.linspace(0, 0.3, 31))


DOUBTS: dict[str, tuple[Change, str]] = {
    "drift": (
        lambda d: drifting(chosen(d, UP_AND_DOWN)),
        r"look like a drift of the chain's gain by 0\.3\d? dB in the course of the readings, which band power cannot",
    ),
    "drift in one direction": (
        drifting,
        r"changes by 0\.\d+ dB with the time, or with the emitted power: it drifts, or",
    ),
    "compression": (
        lambda d: compressed(chosen(d, UP_AND_DOWN)),
        r"look like a chain that the largest emission compresses by 0\.\d+ dB, and the gain is too low",
    ),
    "ripple": (lambda d: louder(d, 0.05 * np.sin(np.arange(31) / 2)), "neighbouring residuals are alike"),
    "few": (lambda d: chosen(d, slice(0, 31, 5)), "σ rests on the scatter of 7 powers alone"),
    "few high": (lambda d: chosen(d, slice(0, 10)), r"1 of 10 biases are high, beyond 1.3 mV across the device"),
    "no background": (
        lambda d: replace(d, band_power=d.band_power - 0.999 * d.band_power.min()),
        r"noise_temperature is .*, below that of half a photon, 112 mK: is a background",
    ),
    "milliwatts": (lambda d: louder(d, 90), "a gain of 141.9 dB is unusual"),
}


@pytest.mark.parametrize(("spoil", "told"), DOUBTS.values(), ids=DOUBTS)
def test_doubts(spoil: Change, told: str, spectra: EmissionData, reflection_fit: FitResult) -> None:
    """In a band in which a fifth of the power is emitted, so that what is not emission shows."""
    found = fit_band_power(spoil(in_band(spectra, 4.65e9, 4.69e9)), prior=reflection_fit).warnings
    assert any(re.search(told, text) for text in found), found


def test_noise_of_the_meter_is_told(powers: BandPowerData, reflection_fit: FitResult) -> None:
    """Behind a quiet chain: inside the gap, where T_noise comes from, it is largest in proportion to the power."""
    exact, held = replace(reflection_fit, covariance=reflection_fit.covariance * 1e-10), dict.fromkeys(PHOTONS, 0.0)
    fit = fit_band_power(powers, prior=exact, fixed=held)
    values = np.where(np.array(fit.names) == "noise_temperature", 0.3, fit.values)
    voltage = np.linspace(0, 5e-3, 201)
    empty = BandPowerData(voltage, np.ones(201), 4.67e9, 20e6, 0.02)
    power = band_power_model(replace(fit, values=values), empty)
    noise = 0.02 * power.min() * np.random.default_rng(1).standard_normal(201)
    found = fit_band_power(replace(empty, band_power=power + noise), prior=exact, fixed=held)
    told = "the noise is not the same everywhere, as by noise that does not grow with the power, as that of the meter"
    assert any(text.startswith(told) for text in found.warnings), found.warnings


REFUSED: dict[str, tuple[Change, str]] = {
    "three": (lambda d: chosen(d, slice(0, 3)), "3 usable powers are too few; at least 4 biases are needed"),
    "lost": (
        lambda d: replace(d, band_power=np.where(np.arange(31) < 28, np.nan, d.band_power)),
        "3 usable powers are too few.*; 28 of 31 have a power of 0, or a value that is not finite",
    ),
    "inside the gap": (lambda d: chosen(d, np.r_[0, 1, 0, 1]), "nothing is emitted below 1"),
    "millivolts": (lambda d: replace(d, device_voltage=1e3 * d.device_voltage), "give device_voltage in V"),
    "elsewhere": (
        lambda d: replace(d, center=5e9),
        "the band from 4.930000 GHz to 5.070000 GHz does not contain the resonance at 4.67",
    ),
    "clipped": (saturated, "8 of 31 powers equal the largest, .* the meter clips"),
    "falling": (lambda d: replace(d, band_power=d.band_power[::-1]), "does not grow with the emission"),
    "warm": (lambda d: replace(d, fridge_temperature=20.0), "give it in K"),
}


@pytest.mark.parametrize(("spoil", "told"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_fitted_is_refused(
    spoil: Change, told: str, powers: BandPowerData, reflection_fit: FitResult
) -> None:
    with pytest.raises(FitError, match=told):
        fit_band_power(spoil(powers), prior=reflection_fit)


def test_power_that_does_not_rise_beyond_its_noise(powers: BandPowerData, reflection_fit: FitResult) -> None:
    noise = np.random.default_rng(2).standard_normal(31)
    rises = powers.band_power / powers.band_power.min() - 1
    with pytest.raises(FitError, match=r"does not rise above its noise|does not grow with the emission"):
        fit_band_power(replace(powers, band_power=1e-6 * (1 + 0.01 * noise + 1e-4 * rises)), prior=reflection_fit)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"band_power": -60.0 * np.ones(31)}, r"band_power contains -60 and no power is negative: .* From p in dBm"),
        ({"bandwidth": 0.0}, "bandwidth is 0 Hz around a center of 4.67e[+]09 Hz"),
        ({"bandwidth": -1.0}, "bandwidth is -1.0; it must be finite and 0 or more"),
        ({"center": 4.67, "bandwidth": 0.14}, "frequency begins at 4.6; give it in Hz, not in MHz or GHz"),
        ({"device_voltage": np.zeros(30)}, "columns of one dimension and equal length are needed"),
    ],
)
def test_impossible_data(changes: dict[str, Any], told: str, powers: BandPowerData) -> None:
    with pytest.raises(FitError, match=told):
        replace(powers, **changes)


def test_readings_that_are_rounded_are_not_clipped(powers: BandPowerData, reflection_fit: FitResult) -> None:
    rounded = replace(powers, band_power=10 ** np.log10(powers.band_power).round(2))
    found = pulls(fit_band_power(rounded, prior=reflection_fit), device())
    assert abs(found["gain"]) < 4


def test_analysis(powers: BandPowerData, reflection_fit: FitResult, band_fit: FitResult) -> None:
    run, analysis, context = _run(powers), BandPower(), FitContext(fridge_temperature=0.02)
    fit = analysis.fit(run, context, {"reflection": reflection_fit})
    np.testing.assert_array_equal(fit.values, band_fit.values)
    predicted = analysis.predict(fit, run)["band_power"]
    np.testing.assert_allclose(predicted, powers.band_power, rtol=5e-3)
    rest = analysis.residuals(fit, run)["band_power"]
    assert 0.6 < np.std(rest) < 1.4
    assert not analysis.left_out(fit, run)["band_power"].any()
    there = run.rename(point="bias").assign_coords(bias=powers.device_voltage)
    one_more = analysis.sensitivity(fit, there, powers.device_voltage, context, {"reflection": reflection_fit})
    information = one_more.prior + np.einsum("ijk,ijl->kl", one_more.slopes, one_more.slopes).real
    scale = fit.select(one_more.names).sigma
    variance = np.diag(np.linalg.inv(information * np.outer(scale, scale)))
    np.testing.assert_allclose(variance, 1, rtol=0.1)
    with pytest.raises(FitError, match="needs the damping rates"):
        analysis.fit(run, context, {})
    two = run.assign(center=("point", np.r_[4.6e9, np.full(30, 4.67e9)]))
    with pytest.raises(
        FitError, match=r"center is from 4.6e[+]09 to 4.67e[+]09 Hz: the power of a run is fitted in one"
    ):
        analysis.fit(two, context, {"reflection": reflection_fit})


def test_budget(powers: BandPowerData, reflection_fit: FitResult) -> None:
    sources = [
        Source(name, name, unit, size, "normal", "a test", name)
        for name, unit, size in (("analyzer.amplitude", "dB", 0.1), ("analyzer.gain_drift", "dB/h", 0.1))
    ]
    context = FitContext(sources=tuple(sources), fridge_temperature=0.02)
    run, priors = _run(replace(powers, time=100.0 * np.arange(31))), {"reflection": reflection_fit}
    fit = BandPower().budgeted(BandPower().fit(run, context, priors), run, context, priors)
    assert fit.budget is not None
    amplitude, drift = (dict(zip(fit.names, column, strict=True)) for column in fit.budget.columns.T)
    assert amplitude["gain"] == pytest.approx(0.1, rel=0.01)
    assert abs(amplitude["noise_temperature"]) < 0.01
    # Unlike spectra, which measure a drift themselves.
    assert abs(drift["gain"]) > 0.02
    assert fit["gain"].statistical is not None
    assert fit["gain"].systematic == pytest.approx(np.hypot(amplitude["gain"], drift["gain"]), rel=1e-6)
