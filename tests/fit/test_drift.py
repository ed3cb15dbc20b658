"""Drift of gain and phase in the course of a run: measured by the traces, taken out, told."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from labnis.accuracy import Source
from labnis.fit import EmissionData, FitContext, FitResult, ReflectionData, fit_emitted_power, fit_reflection
from labnis.fit.analyses import Reflection
from labnis.fit.resonator._drift import drift_basis, drift_terms, seen_drift
from sim_instruments import Truth
from tests.fit import measuring
from tests.fit.test_budget import of_traces

Real = NDArray[np.float64]

RATES = ("damping_line", "damping_excess", "damping_junction", "resonance_frequency")
POWER = ("gain", "noise_temperature")

# Of a run, from −1/2 to 1/2, and a walk that is not smooth.
COURSE = np.linspace(-0.5, 0.5, 31)
WALK = np.random.default_rng(5).standard_normal(31).cumsum() / 5


def turned(traces: ReflectionData, decibel: Real, degrees: Real) -> ReflectionData:
    """With a network analyzer that drifts by these amounts, each (n,)."""
    return replace(traces, s11=traces.s11 * (10 ** (decibel / 20) * np.exp(1j * np.deg2rad(degrees)))[:, None])


def louder(spectra: EmissionData, decibel: Real) -> EmissionData:
    """With a chain whose gain drifts by these amounts (n,)."""
    return replace(spectra, spectrum=spectra.spectrum * 10 ** (decibel / 10)[:, None])


def assert_good(fit: FitResult, plain: FitResult, truth: Truth, names: tuple[str, ...]) -> None:
    """Pulls and χ² are good, and the results stay where they are without the drift."""
    found = measuring.pulls(fit, truth)
    assert max(abs(found[name]) for name in names) < 2.5, found
    assert abs(fit.chi2 / fit.degrees_of_freedom - 1) < 5 / np.sqrt(fit.degrees_of_freedom)
    for name in names:
        assert fit[name].value == pytest.approx(plain[name].value, abs=0.1 * plain[name].sigma), name
        assert fit[name].sigma == pytest.approx(plain[name].sigma, rel=0.05), name


@pytest.mark.parametrize(
    ("decibel", "degrees", "told"),
    [
        (0.05 * COURSE, 0 * COURSE, "drift by 0.0[45].* dB of amplitude"),
        (0 * COURSE, COURSE, r"drift by (1|0\.9\d?|1\.\d) degrees of phase"),
        (0.2 * COURSE**2, 4 * COURSE**2, "degrees of phase"),
    ],
    ids=["0.05 dB", "1 degree", "a parabola"],
)
def test_a_drift_of_the_network_analyzer_moves_no_rate(
    decibel: Real, degrees: Real, told: str, traces: ReflectionData, junction_fit: FitResult, reflection_fit: FitResult,
    shipped: Truth,
) -> None:  # fmt: skip
    found = fit_reflection(turned(traces, decibel, degrees), prior=junction_fit)
    assert_good(found, reflection_fit, shipped, RATES)
    assert not found.warnings
    assert any("measured and taken out" in note for note in found.notes)
    assert re.search(told, " ".join(found.notes)), found.notes


def test_a_drift_that_is_not_smooth_is_taken_out_and_doubted(
    traces: ReflectionData, junction_fit: FitResult, reflection_fit: FitResult, shipped: Truth
) -> None:
    found = fit_reflection(turned(traces, 0.05 * WALK, WALK), prior=junction_fit)
    assert_good(found, reflection_fit, shipped, RATES)
    assert any("not smooth" in text for text in found.warnings), found.warnings


@pytest.mark.parametrize("decibel", [0.01 * COURSE, -0.01 * COURSE, 0.05 * COURSE, 0.01 * WALK])
def test_a_drift_of_the_gain_moves_neither_gain_nor_noise_temperature(
    decibel: Real, spectra: EmissionData, reflection_fit: FitResult, gain_fit: FitResult, shipped: Truth
) -> None:
    # Its mean over the spectra is no drift, but another gain.
    centred = decibel - decibel.mean()
    assert_good(fit_emitted_power(louder(spectra, centred), prior=reflection_fit), gain_fit, shipped, POWER)


def test_a_drift_of_the_gain_is_told(spectra: EmissionData, reflection_fit: FitResult, gain_fit: FitResult) -> None:
    for decibel in (0.02, -0.05):
        found = fit_emitted_power(louder(spectra, decibel * COURSE), prior=reflection_fit)
        assert any(f"drift of the chain's gain by {abs(decibel)} dB" in note for note in found.notes), found.notes
        assert not found.warnings, "it is taken out, and a compression of that size changes the gain by less than σ"
    assert not any("drift" in note for note in gain_fit.notes)


def test_no_drift_costs_less_than_a_twentieth(
    traces: ReflectionData,
    spectra: EmissionData,
    junction_fit: FitResult,
    reflection_fit: FitResult,
    gain_fit: FitResult,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for where in ("reflection", "emitted_power"):
        monkeypatch.setattr(
            f"labnis.fit.resonator.{where}.with_drift_taken_out", lambda n, solved, *_, **__: solved(0, None)
        )
    rates, power = fit_reflection(traces, prior=junction_fit), fit_emitted_power(spectra, prior=reflection_fit)
    for with_drift, without, names in ((reflection_fit, rates, RATES), (gain_fit, power, POWER)):
        assert drift_terms(with_drift) == 30
        for name in names:
            # The level of each spectrum tells the photons of the line as well, and they the noise temperature.
            largest = 1.1 if name == "noise_temperature" else 1.05
            assert 1 <= with_drift[name].sigma / without[name].sigma < largest, name
            assert with_drift[name].value == pytest.approx(without[name].value, abs=0.3 * without[name].sigma), name


def test_in_a_narrow_band_a_drift_is_fitted_only_where_the_data_show_it(
    shipped: Truth, junction_fit: FitResult
) -> None:
    narrow = measuring.reflection(shipped, span=5e6)
    quiet = fit_reflection(narrow, prior=junction_fit)
    assert drift_terms(quiet) <= 2
    assert any("direction=up-down" in note for note in quiet.notes)
    for drift in (0.05 * COURSE, 0.05 * WALK):
        found = fit_reflection(turned(narrow, drift, 20 * drift), prior=junction_fit)
        pulls = measuring.pulls(found, shipped)
        assert max(abs(pulls[name]) for name in RATES) < 2.5, pulls


def test_sigma_counts_a_drift_that_the_data_may_not_tell(shipped: Truth, reflection_fit: FitResult) -> None:
    """0.008 dB are three times the noise of a drift in this band; 0.03 dB are sure, and are taken out."""
    exact = replace(reflection_fit, covariance=reflection_fit.covariance * 1e-10)
    narrow = measuring.emission(shipped, 1, span=30e6)
    fits = [fit_emitted_power(louder(narrow, drift * COURSE), prior=exact) for drift in (0.0, 0.008, 0.03)]
    quiet, unsure, sure = (fit["gain"] for fit in fits)
    assert [drift_terms(fit) for fit in fits] == [0, 0, 1]
    assert quiet.sigma < 0.7 * sure.sigma < sure.sigma < unsure.sigma
    assert abs(unsure.value - sure.value) < 2 * unsure.sigma


def test_times_and_not_the_order_are_the_course_of_a_drift(shipped: Truth, junction_fit: FitResult) -> None:
    """A pause in the run, in a band so narrow that the drift has to be a straight line."""
    time = np.where(np.arange(31) < 12, 0.0, 400.0) + 4.0 * np.arange(31)
    narrow = measuring.reflection(shipped, span=5e6)
    part = (time - time.mean()) / np.ptp(time)
    drifting = turned(narrow, 0.05 * part, part)
    found = fit_reflection(replace(drifting, time=time), prior=junction_fit)
    pulls = measuring.pulls(found, shipped)
    assert drift_terms(found) == 1
    assert max(abs(pulls[name]) for name in RATES) < 2.5, pulls


@pytest.mark.parametrize("terms", [0, 1, 2, 6])
def test_the_columns_of_a_drift_are_orthonormal_and_have_mean_zero(terms: int) -> None:
    basis = drift_basis(np.array([0.0, 1.0, 2.0, 4.0, 4.5, 9.0, 10.0]), terms)
    assert basis.shape == (7, terms)
    np.testing.assert_allclose(basis.T @ basis, np.eye(terms), atol=1e-12)
    np.testing.assert_allclose(basis.sum(axis=0), 0, atol=1e-12)


def test_what_a_narrow_band_does_not_show_stays_in_the_budget(shipped: Truth, junction_fit: FitResult) -> None:
    narrow, wide = (of_traces(measuring.reflection(shipped, span=span)) for span in (5e6, 1e8))
    stated = Source("vna", "magnitude drift", "dB/h", 1.0, "normal", "a test", "vna.magnitude_drift")
    context, priors = FitContext(sources=(stated,)), {"current_voltage": junction_fit}
    left: list[Mapping[str, Any]] = []
    for data in (narrow, wide):
        fit = Reflection().fit(data, context, priors)
        budget = Reflection().budgeted(fit, data, context, priors)
        left.append({name: abs(budget.contributions(name)["vna"]) / budget[name].statistical for name in RATES})
    assert left[0]["damping_junction"] > 0.1
    assert max(left[1].values()) < 1e-3


def test_a_straight_drift_is_smooth_also_at_the_trace_in_its_middle() -> None:
    """Its factor there is 1 but for rounding, and so is the σ of that factor."""
    course = np.linspace(0, 1, 61)
    straight = drift_basis(course, 1)[:, 0]
    logarithm, sigma = 1e-3 * straight, 1e-5 * np.abs(straight)
    logarithm[30], sigma[30] = 1e-18, 1e-21
    drift = seen_drift(course, logarithm, sigma)
    assert drift is not None
    assert drift.smooth
