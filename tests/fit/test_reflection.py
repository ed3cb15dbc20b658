"""Damping rates and resonance from reflection: unbiased, with stated assumptions, and refused without a resonance."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from labnis.fit import FitError, FitResult, ReflectionData, fit_current_voltage, fit_reflection
from labnis.fit.resonator._traces import Traces
from sim_instruments import Truth
from tests.fit.measuring import (
    SERIES_RESISTANCE,
    assert_jacobian,
    current_voltage,
    device,
    fitted_current_voltage,
    pulls,
    reflection,
)

RESULTS = ("damping_line", "damping_excess", "damping_junction", "resonance_frequency")

DEVICES: dict[str, dict[str, dict[str, Any]]] = {
    "never critically coupled": {"resonator": {"damping_line": 4.8e7, "damping_junction": 1.5e7}},
    "lossy": {"resonator": {"damping_excess": 7.5e6}},
    "cold, transparent": {"island": {"temperature": 0.05}, "junction": {"resistance": 3e3}},
    "broadened": {"junction": {"dynes": 0.01}},
    "no broadening": {"junction": {"dynes": 0.0}},
    "negative cross-talk": {"resonator": {"fano": [1.0, -0.15]}},
}
USUAL = ("never critically coupled", "cold, transparent")
"""The others are fitted by `make test-long`."""


def scaled(prior: FitResult, factor: float) -> FitResult:
    """The same prior with uncertainties `factor` times as large."""
    return replace(prior, covariance=prior.covariance * factor**2)


def within(found: FitResult, expected: FitResult, fraction: float) -> None:
    for name in expected.names:
        assert found[name].value == pytest.approx(expected[name].value, abs=fraction * expected[name].sigma), name


def test_truth_lies_within_four_sigma(reflection_fit: FitResult, shipped: Truth) -> None:
    found = pulls(reflection_fit, shipped)
    assert {"damping_line", "damping_excess", "damping_junction", "resonance_frequency", "fano_imag"} <= set(found)
    assert max(map(abs, found.values())) < 4, found


@pytest.mark.parametrize(
    "name",
    [name if name in USUAL else pytest.param(name, marks=pytest.mark.long) for name in DEVICES],
)
def test_other_devices_lie_within_four_sigma(name: str) -> None:
    truth = device(**DEVICES[name])
    found = pulls(fit_reflection(reflection(truth, 1), prior=fitted_current_voltage(truth, 1)), truth)
    assert max(map(abs, found.values())) < 4, found


@pytest.mark.parametrize("offset", [-40e6, pytest.param(35e6, marks=pytest.mark.long)])
def test_resonance_near_the_edge_of_the_band(offset: float, junction_fit: FitResult, shipped: Truth) -> None:
    found = pulls(fit_reflection(reflection(shipped, 2, centre=4.67e9 + offset), prior=junction_fit), shipped)
    assert max(map(abs, found.values())) < 4, found


def test_without_an_iv_fit_the_junction_is_fitted_too(traces: ReflectionData, shipped: Truth) -> None:
    found = pulls(fit_reflection(traces), shipped)
    assert {"gap", "electron_temperature"} <= set(found)
    assert max(map(abs, found.values())) < 4, found


@pytest.mark.long
def test_rates_scatter_as_their_sigma_says(shipped: Truth, junction_fit: FitResult) -> None:
    fits = [
        fit_reflection(reflection(shipped, seed, biases=15, frequencies=101), prior=junction_fit) for seed in range(12)
    ]
    # γ_tr and γ_x are dominated by the assumption about Re φ, which no repetition can show.
    for name in ("damping_junction", "fano_imag"):
        scatter = np.std([fit[name].value for fit in fits], ddof=1)
        # 12 repeats know their standard deviation to 21 %.
        assert 0.4 < scatter / np.median([fit[name].sigma for fit in fits]) < 1.8, name


def test_jacobian_equals_finite_differences(traces: ReflectionData) -> None:
    values = {
        "damping_line": 1.7e7, "damping_excess": 2e6, "damping_junction": 4e7, "ohmic_frequency": 4.6705e9,
        "fano_real": 1.02, "fano_imag": 0.08, "gap": 214e-6, "electron_temperature": 0.12, "dynes": 2e-4,
        "voltage_offset": 1e-6,
    }  # fmt: skip
    steps = np.array([1e2, 1e2, 1e2, 1e2, 1e-6, 1e-6, 1e-9, 1e-5, 1e-6, 1e-9])
    counts = np.random.default_rng(0).random(traces.s11.shape) < 0.9
    x = np.array([*values.values()])
    model = Traces.of(traces, values).with_mask(np.tile(counts.ravel(), 2))
    assert_jacobian(model, x, steps)
    # With a drift the slopes are those of data that the model describes.
    drifting = replace(traces, s11=model.model(x) * np.exp((0.1 + 0.2j) * np.linspace(-1, 1, 31))[:, None])
    for terms in (1, 2, 30):
        assert_jacobian(Traces.of(drifting, values, terms).with_mask(model.mask), x, steps)


def test_glitches_do_not_move_the_rates(
    traces: ReflectionData, junction_fit: FitResult, reflection_fit: FitResult
) -> None:
    spoilt = traces.s11.copy()
    spoilt[3, 17] *= -50  # a lost lock
    spoilt[20, 100:103] *= 3  # a burst on resonance
    spoilt[:, 150] *= np.exp(2j * np.random.default_rng(0).random(len(spoilt)))  # a spur
    found = fit_reflection(replace(traces, s11=spoilt), prior=junction_fit)
    within(found, reflection_fit, 1.0)
    assert any("were left out" in warning for warning in found.warnings)
    assert not reflection_fit.warnings


def test_prior_enters_with_its_covariance(traces: ReflectionData, junction_fit: FitResult) -> None:
    loose, tight = (fit_reflection(traces, prior=scaled(junction_fit, factor)) for factor in (10.0, 0.1))
    assert tight["gap"].sigma < 0.2 * loose["gap"].sigma
    assert tight["gap"].sigma == pytest.approx(0.1 * junction_fit["gap"].sigma, rel=0.1)


def test_prior_pulls_as_hard_as_it_is_certain(traces: ReflectionData, junction_fit: FitResult) -> None:
    values = junction_fit.values.copy()
    values[junction_fit.names.index("gap")] += 3000 * junction_fit["gap"].sigma
    wrong = replace(junction_fit, values=values)
    certain, vague = fit_reflection(traces, prior=scaled(wrong, 0.01)), fit_reflection(traces, prior=scaled(wrong, 1e4))
    assert certain["gap"].value == pytest.approx(wrong["gap"].value, abs=junction_fit["gap"].sigma)
    # The traces know the gap, too, and overrule a prior that hardly claims anything.
    assert abs(vague["gap"].value - 215e-6) < 4 * vague["gap"].sigma < abs(wrong["gap"].value - 215e-6)


def test_the_resonance_is_that_at_zero_voltage_not_at_a_reading_of_zero(
    traces: ReflectionData, reflection_fit: FitResult, shipped: Truth
) -> None:
    # Within the specification of a source-meter.
    offset = 150e-6
    voltage, current = current_voltage(shipped)
    prior = fit_current_voltage(voltage - offset, current, series_resistance=SERIES_RESISTANCE)
    shifted = replace(traces, device_voltage=traces.device_voltage - offset)
    within(fit_reflection(shifted, prior=prior).select(RESULTS), reflection_fit.select(RESULTS), 0.05)


def test_a_zero_that_drifts_between_two_runs_moves_no_rate_beyond_its_sigma(
    traces: ReflectionData, junction_fit: FitResult, reflection_fit: FitResult
) -> None:
    drifted = replace(traces, device_voltage=traces.device_voltage + 0.58e-6)
    within(fit_reflection(drifted, prior=junction_fit).select(RESULTS), reflection_fit.select(RESULTS), 0.1)
    assert "voltage_zero" in reflection_fit.assumed


def test_a_zero_that_was_held_fixed_does_not_drift(traces: ReflectionData, shipped: Truth) -> None:
    voltage, current = current_voltage(shipped)
    fixed = {"voltage_offset": 0.8e-6}
    prior = fit_current_voltage(voltage, current, series_resistance=SERIES_RESISTANCE, fixed=fixed)
    assert fit_reflection(traces, prior=prior)["voltage_offset"].value == fixed["voltage_offset"]


def test_assumed_fano_factor_is_stated_and_dominates_the_line_rate(
    traces: ReflectionData, junction_fit: FitResult, reflection_fit: FitResult
) -> None:
    assert "1.0 ± 0.02" in reflection_fit.assumed["fano_real"]
    # Only (1 + Re φ)·γ_tr is measured: 0.02 of Re φ is 1 % of γ_tr, and γ_x takes up the difference.
    line, excess = reflection_fit["damping_line"], reflection_fit["damping_excess"]
    assert line.sigma / line.value == pytest.approx(0.01, rel=0.1)
    assert excess.sigma == pytest.approx(line.sigma, rel=0.1)
    # What is given takes the place of the assumption.
    for factor in (0.25, 2.0):
        given = fit_reflection(traces, prior=junction_fit, given={"fano_real": (1.0, 0.02 * factor)})
        assert given["damping_line"].sigma == pytest.approx(factor * line.sigma, rel=0.1)
        assert "1.0 ± 0.02" not in given.assumed["fano_real"]
        assert "given" in given.assumed["fano_real"]
    far = fit_reflection(traces, prior=junction_fit, given={"fano_real": (0.9, 0.01)})
    assert any("fano_real is given as 0.900" in text for text in far.warnings)


def test_start_saves_time_but_is_no_prior(
    traces: ReflectionData, junction_fit: FitResult, reflection_fit: FitResult
) -> None:
    elsewhere = device(resonator={"damping_line": 2e7, "damping_excess": 4e6, "frequency": 4.675e9})
    start = fit_reflection(reflection(elsewhere, 3), prior=junction_fit)
    within(fit_reflection(traces, prior=junction_fit, start=start), reflection_fit, 0.01)


@pytest.mark.long
def test_traces_of_the_wrong_phase_convention_do_not_fit(traces: ReflectionData, junction_fit: FitResult) -> None:
    few = traces.thinned(16, 101)
    with pytest.raises(FitError, match="is the phase that of a network analyzer"):
        fit_reflection(replace(few, s11=few.s11.conj()), prior=junction_fit)


def test_one_broken_trace_is_left_out(traces: ReflectionData, junction_fit: FitResult) -> None:
    spoilt = traces.s11.copy()
    spoilt[7, 40] = complex(np.nan, 0.0)
    keep = np.arange(traces.device_voltage.size) != 7
    found = fit_reflection(replace(traces, s11=spoilt), prior=junction_fit)
    without = ReflectionData(traces.device_voltage[keep], traces.frequency, traces.s11[keep])
    np.testing.assert_array_equal(found.values, fit_reflection(without, prior=junction_fit).values)


def test_background_may_be_anything(traces: ReflectionData, junction_fit: FitResult, reflection_fit: FitResult) -> None:
    draw = np.random.default_rng(0)
    background = draw.uniform(0.5, 2, traces.frequency.size) * np.exp(2j * np.pi * draw.random(traces.frequency.size))
    found = fit_reflection(replace(traces, s11=traces.s11 * background), prior=junction_fit)
    # Only the noise is weighted differently.
    within(found, reflection_fit, 1.5)


@pytest.mark.parametrize("usable", [0, 3])
def test_too_few_traces(traces: ReflectionData, usable: int) -> None:
    spoilt = traces.s11.copy()
    spoilt[usable:] = np.nan
    with pytest.raises(FitError, match=f"{usable} usable traces are too few; at least 4"):
        fit_reflection(replace(traces, s11=spoilt))


def test_shapes_have_to_agree(traces: ReflectionData) -> None:
    with pytest.raises(FitError, match=r"s11 has shape \(31, 200\); \(31, 201\) is needed"):
        replace(traces, s11=traces.s11[:, 1:])


def test_no_bias_dependence(traces: ReflectionData) -> None:
    same = np.broadcast_to(traces.s11[0], traces.s11.shape)
    with pytest.raises(FitError, match="does not depend on the bias"):
        fit_reflection(replace(traces, s11=same))


def test_resonance_far_outside_the_band(shipped: Truth, junction_fit: FitResult) -> None:
    elsewhere = reflection(shipped, centre=7e9)
    with pytest.raises(FitError, match="does not depend on the bias"):
        fit_reflection(elsewhere, prior=junction_fit)


@pytest.mark.parametrize(
    ("volts", "hertz", "told"),
    [(1e3, 1.0, "device_voltage in V"), (1e-3, 1.0, "device_voltage in V"), (1.0, 1e-9, "give it in Hz")],
)
def test_wrong_units(volts: float, hertz: float, told: str, traces: ReflectionData, junction_fit: FitResult) -> None:
    with pytest.raises(FitError, match=told):
        fit_reflection(
            replace(traces, device_voltage=traces.device_voltage * volts, frequency=traces.frequency * hertz),
            prior=junction_fit,
        )


def test_magnitudes_alone(traces: ReflectionData) -> None:
    with pytest.raises(FitError, match="s11 is real"):
        replace(traces, s11=np.abs(traces.s11))


def test_frequencies_have_to_increase(traces: ReflectionData) -> None:
    with pytest.raises(FitError, match="does not increase"):
        replace(traces, frequency=traces.frequency[::-1])


def test_order_of_the_biases_does_not_matter(
    traces: ReflectionData, junction_fit: FitResult, reflection_fit: FitResult
) -> None:
    backwards = replace(traces, device_voltage=traces.device_voltage[::-1], s11=traces.s11[::-1])
    within(fit_reflection(backwards, prior=junction_fit), reflection_fit, 0.1)
