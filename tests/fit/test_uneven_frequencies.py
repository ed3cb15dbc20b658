"""Traces whose frequencies are not evenly spaced: the results of evenly spaced ones, with fewer points."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from labnis.fit import FitResult, ReflectionData, fit_reflection
from labnis.fit.information import expected_variance, most_informative, thinned
from labnis.fit.resonator._rates_start import _active_region
from labnis.fit.resonator._resonance_start import total_turn
from labnis.fit.resonator._spacing import band_median, densest_part, represented
from labnis.fit.resonator.reflection import reflection_sensitivity
from labnis.fit.resonator.resonance import fit_resonance
from sim_instruments import Truth
from tests.fit.measuring import pulls, reflection, swept, switched_on
from tests.fit.test_resonance import Measured, straight

RESULTS = ("damping_line", "damping_excess", "damping_junction", "resonance_frequency", "fano_imag")
CENTRE, SPAN, LINE = 4.67e9, 400e6, 80e6


def segmented(
    centre: float = CENTRE, *, span: float = SPAN, line: float = LINE, points: int = 161, wing: int = 20
) -> NDArray[np.float64]:
    """A dense part of so many `points`, and `wing` points at each side of it."""
    step = (span - line) / 2 / wing
    dense, outside = np.linspace(centre - line / 2, centre + line / 2, points), step * np.arange(1, wing + 1)
    return np.concatenate([dense[0] - outside[::-1], dense, dense[-1] + outside])


def traces_at(frequency: NDArray[np.float64], truth: Truth, seed: int = 0) -> ReflectionData:
    world = switched_on(truth, 1000 + seed)
    voltage, _, s11 = swept(world, np.linspace(0, 2.4e-3, 31), lambda w: w.reflection(frequency, 1e-6, 100.0))
    return ReflectionData(voltage, frequency, s11)


@pytest.fixture(scope="module")
def even(shipped: Truth) -> ReflectionData:
    """As dense as the dense part of the segments, over the whole band."""
    return reflection(shipped, span=SPAN, frequencies=801)


@pytest.fixture(scope="module")
def even_fit(even: ReflectionData, junction_fit: FitResult) -> FitResult:
    return fit_reflection(even, prior=junction_fit)


@pytest.fixture(scope="module")
def segments(even: ReflectionData) -> ReflectionData:
    """The same readings, of which 16 of 17 are left out in the wings."""
    kept = np.zeros(801, bool)
    kept[320:481] = True
    kept[0:320:17] = kept[480:801:17] = True
    return replace(even, frequency=even.frequency[kept], s11=even.s11[:, kept])


@pytest.fixture(scope="module")
def segmented_fit(segments: ReflectionData, junction_fit: FitResult) -> FitResult:
    return fit_reflection(segments, prior=junction_fit)


def test_a_quarter_of_the_readings_gives_the_same_rates_and_sigma(
    segments: ReflectionData, even_fit: FitResult, segmented_fit: FitResult, shipped: Truth
) -> None:
    assert segments.frequency.size < 801 / 4
    assert not segmented_fit.warnings
    for name in RESULTS:
        found, expected = segmented_fit[name], even_fit[name]
        assert found.value == pytest.approx(expected.value, abs=expected.sigma), name
        assert found.sigma == pytest.approx(expected.sigma, rel=0.06), name
    assert max(map(abs, pulls(segmented_fit, shipped).values())) < 4


def test_the_same_points_spread_evenly_know_less(
    segmented_fit: FitResult, junction_fit: FitResult, shipped: Truth
) -> None:
    spread = fit_reflection(reflection(shipped, span=SPAN, frequencies=201), prior=junction_fit)
    # Four times as far apart; the assumption about Re φ dominates the other two rates.
    for name in ("damping_junction", "resonance_frequency"):
        assert spread[name].sigma > 1.8 * segmented_fit[name].sigma, name


def test_a_sweep_in_segments_of_its_own(junction_fit: FitResult, shipped: Truth) -> None:
    fit = fit_reflection(traces_at(segmented(), shipped, 4), prior=junction_fit)
    assert max(map(abs, pulls(fit, shipped).values())) < 4
    assert not fit.warnings
    assert not fit.notes


def test_the_region_that_depends_on_the_bias_is_found_in_hertz_and_not_in_points(
    even: ReflectionData, segments: ReflectionData
) -> None:
    (centre, width), (expected, expected_width) = _active_region(segments.conjugate()), _active_region(even.conjugate())
    assert centre == pytest.approx(expected, abs=0.05 * expected_width / (2 * np.pi))
    assert width == pytest.approx(expected_width, rel=0.1)


@pytest.mark.parametrize("offset", [-150e6, 150e6])
def test_a_resonance_among_the_coarse_points_is_found_and_told(
    offset: float, junction_fit: FitResult, shipped: Truth
) -> None:
    fit = fit_reflection(traces_at(segmented(CENTRE + offset, span=500e6), shipped), prior=junction_fit)
    assert max(map(abs, pulls(fit, shipped).values())) < 4
    (note,) = fit.notes
    assert "the resonance is outside the densest part of the frequencies" in note
    assert "centred on 4.67" in note
    assert not fit.warnings


def test_a_resonance_at_the_edge_of_the_band_is_doubtful_in_segments_too(
    junction_fit: FitResult, shipped: Truth
) -> None:
    fit = fit_reflection(traces_at(segmented(CENTRE + SPAN / 2 - 4e6), shipped), prior=junction_fit)
    assert [text for text in fit.warnings if "has one side of it only" in text]


def test_glitches_in_every_segment_are_left_out(
    segments: ReflectionData, segmented_fit: FitResult, junction_fit: FitResult
) -> None:
    spoilt = segments.s11.copy()
    spoilt[3, 4] *= -50
    spoilt[12, 100] *= 20
    spoilt[25, -3] *= 1j
    fit = fit_reflection(replace(segments, s11=spoilt), prior=junction_fit)
    assert any("left out" in text for text in (*fit.notes, *fit.warnings))
    for name in RESULTS:
        assert fit[name].value == pytest.approx(segmented_fit[name].value, abs=0.3 * segmented_fit[name].sigma), name


def test_the_next_bias_is_chosen_as_well(
    even: ReflectionData,
    segments: ReflectionData,
    even_fit: FitResult,
    segmented_fit: FitResult,
    junction_fit: FitResult,
) -> None:
    """The amplitude far from the resonance is that of most of the band, though not of most points."""
    biases = np.linspace(0, 2.4e-3, 61)
    pairs = ((even, even_fit), (segments, segmented_fit))
    by_even, by_segments = (reflection_sensitivity(fit, data, biases, prior=junction_fit) for data, fit in pairs)
    visits = np.ones(biases.size)
    for wanted in ("damping_junction", "ohmic_frequency"):
        chosen = most_informative(by_segments, visits, segmented_fit, wanted)
        gradient = np.array([float(name == wanted) for name in by_even.names])
        variances = expected_variance(by_even.after_one_more(visits), gradient)
        assert variances[chosen] < 1.01 * variances.min()
    # The wings have nearly none of the information.
    line = by_even.names.index("damping_junction")
    totals = [float((np.abs(one.slopes[..., line]) ** 2).sum()) for one in (by_even, by_segments)]
    assert totals[1] == pytest.approx(totals[0], rel=0.1)


def test_the_level_of_the_background_is_that_of_the_band(even: ReflectionData, even_fit: FitResult) -> None:
    """Where most points are at the resonance, most amplitudes are smaller."""
    kept = np.zeros(801, bool)
    kept[::17] = kept[385:416] = True
    few = replace(even, frequency=even.frequency[kept], s11=even.s11[:, kept])
    biases = np.linspace(0, 2.4e-3, 31)
    levels = []
    for data in (even, few):
        sensitivity = reflection_sensitivity(even_fit, data, biases, prior=None)
        _, repeats = thinned(data.frequency)
        levels.append(float(np.abs(sensitivity.background[:, 0]).mean()) / np.sqrt(repeats))
    assert levels[1] == pytest.approx(levels[0], rel=0.02)


# --- one trace -------------------------------------------------------------------------------------------------------


def trace_at(frequency: NDArray[np.float64], truth: Truth, seed: int = 0) -> Measured:
    like = Measured.of(truth, seed)
    return replace(like, frequency=frequency, s11=switched_on(truth, seed).reflection(frequency, 1e-6, 100.0))


@pytest.mark.parametrize("offset", [-6e6, 0.0, 8e6])
@pytest.mark.parametrize("wing", [5, 20])
def test_one_trace_in_segments(wing: int, offset: float) -> None:
    """The cable turns the phase by up to four turns from one point of a wing to the next (45 ns, 40 MHz)."""
    frequency = segmented(CENTRE + offset, span=440e6, line=40e6, points=161, wing=wing)
    measured = trace_at(frequency, straight(), 1)
    found = measured.fit()
    pulled = measured.pulls(found)
    assert max(map(abs, pulled.values())) < 4, pulled
    assert found["delay"].value == pytest.approx(45e-9, abs=4 * found["delay"].sigma)
    assert not found.warnings


def test_a_narrow_resonance_that_only_the_dense_part_resolves() -> None:
    truth = straight(damping_line=4e5, damping_excess=2e5)
    frequency = segmented(Measured.of(truth).truth["resonance_frequency"], span=60e6, line=3e6, points=121, wing=15)
    found = fit_resonance(frequency, switched_on(truth, 2).reflection(frequency, 1e-6, 100.0))
    assert found["resonance_frequency"].value == pytest.approx(
        Measured.of(truth).truth["resonance_frequency"], abs=4 * found["resonance_frequency"].sigma
    )
    assert not [text for text in found.warnings if "apart" in text]
    # With the dense part elsewhere there is hardly a point in the line.
    beside = frequency + 10e6
    sparse = fit_resonance(beside, switched_on(truth, 2).reflection(beside, 1e-6, 1e-4), start=found)
    assert any("linewidths apart: measure more densely" in text for text in sparse.warnings)


@pytest.mark.parametrize("seed", [2, 5])
def test_points_at_random_and_on_a_logarithmic_scale(seed: int) -> None:
    steps = np.geomspace(1e5, 30e6, 80)
    draw = np.random.default_rng(seed)
    for offsets in (np.concatenate([-steps[::-1], steps]), np.sort(draw.uniform(-30e6, 30e6, 200))):
        measured = trace_at(CENTRE + 2e6 + offsets, straight(), seed)
        pulled = measured.pulls(measured.fit())
        assert max(map(abs, pulled.values())) < 4, pulled


# --- spacing ---------------------------------------------------------------------------------------------------------


def test_each_frequency_stands_for_its_part_of_the_band() -> None:
    frequency = segmented()
    part = represented(frequency)
    assert part[0] == part[5] == pytest.approx(8e6)
    assert part[100] == pytest.approx(0.5e6)
    assert part.sum() == pytest.approx(SPAN + 8e6)
    assert densest_part(frequency) == (CENTRE - LINE / 2, CENTRE + LINE / 2)
    evenly = np.linspace(1e9, 2e9, 11)
    assert densest_part(evenly) == (1e9, 2e9)


def test_the_median_over_the_band_is_the_usual_one_for_even_points() -> None:
    draw = np.random.default_rng(0)
    for size in (10, 11):
        values, frequency = draw.normal(size=(3, size)), np.linspace(1e9, 2e9, size)
        assert band_median(values, frequency) == np.median(values)
        nearly = frequency + draw.normal(scale=1e3, size=size)
        assert band_median(values, nearly) == pytest.approx(np.median(values), abs=0.05)
    outside = np.where(np.abs(segmented() - CENTRE) > LINE / 2, 1.0, 0.0)
    assert np.median(outside) == 0.0
    assert band_median(outside, segmented()) == 1.0
    outside[:5] = np.nan
    assert band_median(outside, segmented()) == 1.0


def test_the_turn_of_the_phase_follows_the_finest_steps() -> None:
    frequency = segmented(wing=10)
    t = (frequency - CENTRE) / SPAN
    for turns in (-30.0, 0.3, 21.0):
        for order in (frequency, np.sort(np.append(frequency, frequency[50:150]))):
            at = (order - CENTRE) / SPAN
            assert total_turn(at, np.exp(2j * np.pi * turns * at)) == pytest.approx(2 * np.pi * turns)
    assert total_turn(t, np.zeros(t.size, complex)) == 0.0
