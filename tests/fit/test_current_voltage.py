"""Gap, resistance and temperature from I(V): right within their σ, and refused where the data do not determine them."""

from typing import Any

import numpy as np
import pytest
from scipy.interpolate import CubicSpline
from scipy.stats import siegelslopes

from labnis.fit import FitError, fit_current_voltage, number_text
from labnis.fit.junction._curve_start import repeated_median_slope
from labnis.fit.junction._excitation import phases
from labnis.fit.junction._one_temperature import Sweep
from labnis.physics import NISJunction
from sim_instruments import Truth
from tests.fit.measuring import SERIES_RESISTANCE, assert_jacobian, current_voltage, device, pulls

DEVICES: dict[str, dict[str, dict[str, Any]]] = {
    "shipped": {},
    "cold, transparent": {"island": {"temperature": 0.05}, "junction": {"resistance": 3e3}},
    "warm, opaque": {"island": {"temperature": 0.25}, "junction": {"resistance": 50e3, "gap": 180e-6}},
    "broadened": {"junction": {"dynes": 0.02}},
    "large offsets": {"noise": {"voltage_offset": 3e-5, "current_offset": -1e-10}},
}


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("changes", DEVICES.values(), ids=DEVICES)
def test_truth_lies_within_four_sigma(changes: dict[str, dict[str, Any]], seed: int) -> None:
    truth = device(**changes)
    fit = fit_current_voltage(*current_voltage(truth, seed), series_resistance=SERIES_RESISTANCE)
    found = pulls(fit, truth)
    assert set(found) == set(fit.names)
    assert max(map(abs, found.values())) < 4, found


@pytest.mark.long
def test_sigma_is_the_scatter_of_repeated_measurements(shipped: Truth) -> None:
    fits = [
        fit_current_voltage(*current_voltage(shipped, seed, points=81), series_resistance=SERIES_RESISTANCE)
        for seed in range(30)
    ]
    for name in ("gap", "normal_resistance", "electron_temperature", "voltage_offset", "current_offset"):
        scatter = np.std([fit[name].value for fit in fits], ddof=1)
        # 30 repeats know their standard deviation to 13 %.
        assert 0.6 < scatter / np.median([fit[name].sigma for fit in fits]) < 1.5, name


@pytest.mark.parametrize("sine", [0.01, 0.15, pytest.param(0.3, marks=pytest.mark.long)])
def test_excitation_is_averaged_over_not_ignored(sine: float) -> None:
    truth = device(junction={"resistance": 3e3})
    voltage, current = current_voltage(truth, 3, excitation=sine)
    excitation = sine / 1e4
    aware = fit_current_voltage(voltage, current, series_resistance=SERIES_RESISTANCE, excitation=excitation)
    assert max(map(abs, pulls(aware, truth).values())) < 4
    assert not aware.warnings
    if sine > 0.1:
        ignorant = fit_current_voltage(voltage, current, series_resistance=SERIES_RESISTANCE)
        assert pulls(ignorant, truth)["electron_temperature"] > 10, "the smearing by the excitation passes for heat"


def test_jacobian_equals_finite_differences(shipped: Truth) -> None:
    voltage, current = current_voltage(shipped, points=41)
    share = np.linspace(0.7, 0.9, voltage.size)
    sweep = Sweep(voltage, current, share, share[:, None] * 7e-6 * phases(4), mask=np.ones(voltage.size, bool))
    x = np.array([214e-6, 12.1e3, 0.12, 1e-3, 1e-6, 1e-11])
    assert_jacobian(sweep, x, np.array([1e-10, 1.0, 1e-6, 1e-7, 1e-10, 1e-12]))


@pytest.mark.parametrize("where", [0, 63, 100, 140])
def test_glitching_point_moves_nothing_by_more_than_its_uncertainty(where: int, shipped: Truth) -> None:
    voltage, current = current_voltage(shipped, 6)
    clean = fit_current_voltage(voltage, current, series_resistance=SERIES_RESISTANCE)
    spoilt = current.copy()
    spoilt[where] = 1e-9
    found = fit_current_voltage(voltage, spoilt, series_resistance=SERIES_RESISTANCE)
    for name in clean.names:
        assert found[name].value == pytest.approx(clean[name].value, abs=clean[name].sigma), name
    (note,) = found.notes
    assert note.startswith("1 of 201 data lie more than 6σ off and were left out; at ")
    assert note.endswith(number_text(voltage[where], "V"))
    assert not found.warnings


def test_residuals_and_chi_square_are_those_of_noise(shipped: Truth) -> None:
    voltage, current = current_voltage(shipped, 8)
    found = fit_current_voltage(voltage, current, series_resistance=SERIES_RESISTANCE)
    assert found.residuals.shape == current.shape
    assert found.chi2 / found.degrees_of_freedom == pytest.approx(1, abs=0.3)
    assert not found.warnings


def test_current_outside_the_model_is_reported(shipped: Truth) -> None:
    voltage, current = current_voltage(shipped, 8, points=101)
    wavy = current + 3e-10 * np.sin(voltage * 2e4)
    found = fit_current_voltage(voltage, wavy, series_resistance=SERIES_RESISTANCE, fixed={"injection": 0.0})
    assert any("neighbouring residuals are alike" in warning for warning in found.warnings)


@pytest.mark.parametrize("bump", [0.0, 2e-12])
def test_last_digits_of_quiet_meters_are_no_doubt_and_hide_none(bump: float) -> None:
    # 10 nV across 3 kΩ and 2 kΩ of line are 2 pA; voltages 6.001 µV apart are rounded with a slow sawtooth.
    junction = NISJunction(210e-6, 1.5e3, 1e-4)
    line, fine = 6.001e-6 * np.arange(-200, 201), np.linspace(-1.1e-3, 1.1e-3, 100_001)
    true = CubicSpline(fine + SERIES_RESISTANCE * junction.current(fine / 2, 0.1), fine)(line)
    current = junction.current(true / 2, 0.1) + 1e-13 * np.random.default_rng(0).normal(size=401)
    reading = np.round(line, 8)
    current = np.round(current + bump * np.sin(true * 3e4), 12)
    voltage = reading - SERIES_RESISTANCE * current
    fit = fit_current_voltage(voltage, current, series_resistance=SERIES_RESISTANCE)
    told = [note for note in fit.notes if "last digits of voltage and current, 10 nV and 1 pA" in note]
    assert bool(told) == (not bump)
    assert any("neighbouring residuals are alike" in warning for warning in fit.warnings) == bool(bump)
    if not bump:
        assert fit["gap"].value == pytest.approx(210e-6, abs=4 * fit["gap"].sigma)
        assert fit["normal_resistance"].value == pytest.approx(1.5e3, abs=4 * fit["normal_resistance"].sigma)


def test_a_coarse_last_digit_counts_in_sigma() -> None:
    # 0.1 µV across 24 kΩ are 4 pA, and as source and meter differ by some 10⁻⁴, no number of points averages them out.
    junction, off, sizes = NISJunction(215e-6, 12e3, 1e-4), [], []
    for seed in range(6):
        random = np.random.default_rng(seed)
        level = 6e-6 * np.arange(-200, 201)
        true = level * (1 + random.choice([-1, 1]) * random.uniform(5e-5, 3e-4)) + random.uniform(-1e-6, 1e-6)
        current = junction.current(true / 2, 0.11) + 7e-13 * random.normal(size=level.size)
        fit = fit_current_voltage(np.round(true, 7), current, fixed={"injection": 0.0})
        assert not fit.warnings and any("the last digits of voltage, 100 nV, " in note for note in fit.notes)
        off += [
            (fit[name].value - truth) / fit[name].sigma
            for name, truth in (("gap", 215e-6), ("normal_resistance", 12e3))
        ]
        sizes.append(fit["gap"].sigma)
    assert 0.5 < np.sqrt(np.mean(np.square(off))) < 1.6
    # Set-points as they were commanded have no digits that are read.
    exact = fit_current_voltage(level, junction.current(level / 2, 0.11) + current - junction.current(true / 2, 0.11))
    assert not any("last digits" in note for note in exact.notes) and exact["gap"].sigma < min(sizes)


def test_start_saves_time_but_is_no_prior(shipped: Truth) -> None:
    voltage, current = current_voltage(shipped, 4)
    plain = fit_current_voltage(voltage, current, series_resistance=SERIES_RESISTANCE)
    elsewhere = device(junction={"gap": 190e-6, "resistance": 15e3}, island={"temperature": 0.2})
    start = fit_current_voltage(*current_voltage(elsewhere, 5), series_resistance=SERIES_RESISTANCE)
    started = fit_current_voltage(voltage, current, series_resistance=SERIES_RESISTANCE, start=start)
    for name in plain.names:
        assert started[name].value == pytest.approx(plain[name].value, abs=0.01 * plain[name].sigma)
        assert started[name].sigma == pytest.approx(plain[name].sigma, rel=0.01)


def test_rows_that_are_not_finite_are_left_out(shipped: Truth) -> None:
    voltage, current = current_voltage(shipped, 6)
    spoilt = current.copy()
    spoilt[[20, 130]] = np.nan, np.inf
    with_gaps = fit_current_voltage(voltage, spoilt, series_resistance=SERIES_RESISTANCE)
    keep = np.isfinite(spoilt)
    without = fit_current_voltage(voltage[keep], current[keep], series_resistance=SERIES_RESISTANCE)
    np.testing.assert_array_equal(with_gaps.values, without.values)


def test_order_of_the_points_does_not_matter(shipped: Truth) -> None:
    voltage, current = current_voltage(shipped, 7)
    shuffled = np.random.default_rng(0).permutation(voltage.size)
    plain = fit_current_voltage(voltage, current)
    mixed = fit_current_voltage(voltage[shuffled], current[shuffled])
    assert (np.abs(mixed.values - plain.values) < 0.01 * np.sqrt(np.diag(plain.covariance))).all()


@pytest.mark.parametrize("reached", [150, 200, 260, 340])
@pytest.mark.parametrize("side", [1, -1])
def test_sweep_under_way_is_fitted_from_the_side_that_it_has_seen(reached: int, side: int, shipped: Truth) -> None:
    voltage, current = current_voltage(shipped, 7)
    seen = slice(None, reached) if side > 0 else slice(-reached, None)
    fit = fit_current_voltage(voltage[seen], current[seen], series_resistance=SERIES_RESISTANCE)
    assert max(map(abs, pulls(fit, shipped).values())) < 4


def test_dynes_at_zero_is_said_to_be_one_sided() -> None:
    truth = device(junction={"dynes": 0.0})
    fits = [
        fit_current_voltage(*current_voltage(truth, seed), series_resistance=SERIES_RESISTANCE) for seed in range(4)
    ]
    at_bound = [fit for fit in fits if fit["dynes"].value < 1e-9]
    assert at_bound, "about half of all noise draws put the best value at the bound"
    for fit in at_bound:
        assert any(text.startswith("dynes is at a limit of its range, 0") for text in fit.notes)


def test_too_few_points() -> None:
    with pytest.raises(FitError, match="9 usable points are too few"):
        fit_current_voltage(np.linspace(-1e-3, 1e-3, 9), np.linspace(-1e-7, 1e-7, 9))


def test_nothing_but_nan() -> None:
    with pytest.raises(FitError, match="0 usable points"):
        fit_current_voltage(np.linspace(-1e-3, 1e-3, 50), np.full(50, np.nan))


def test_shapes_have_to_agree() -> None:
    with pytest.raises(FitError, match=r"device_voltage has shape \(50,\), current has shape \(49,\)"):
        fit_current_voltage(np.linspace(-1e-3, 1e-3, 50), np.zeros(49))


def test_sweep_that_stays_inside_the_gap(shipped: Truth) -> None:
    with pytest.raises(FitError, match="no superconducting gap"):
        fit_current_voltage(*current_voltage(shipped, maximum=0.3e-3))


def test_normal_conductor_has_no_gap() -> None:
    voltage = np.linspace(-1e-3, 1e-3, 101)
    with pytest.raises(FitError, match="no superconducting gap"):
        fit_current_voltage(voltage, voltage / 24e3)


@pytest.mark.parametrize("maximum", [1e-3, 1.2e-3])
def test_ten_points_show_the_gap(maximum: float, shipped: Truth) -> None:
    fit = fit_current_voltage(
        *current_voltage(shipped, points=10, maximum=maximum), series_resistance=SERIES_RESISTANCE
    )
    assert abs(fit["gap"].value - 215e-6) < 1e-6


@pytest.mark.parametrize("conductance", [0.0, -1e-4])
def test_current_that_does_not_rise(conductance: float) -> None:
    voltage = np.linspace(-1e-3, 1e-3, 101)
    with pytest.raises(FitError, match="does not rise"):
        fit_current_voltage(voltage, conductance * voltage)


def test_complex_data(shipped: Truth) -> None:
    voltage, current = current_voltage(shipped, points=41)
    with pytest.raises(FitError, match="current is complex"):
        fit_current_voltage(voltage, current.astype(complex))


def test_no_data_at_all() -> None:
    with pytest.raises(FitError, match="0 usable points"):
        fit_current_voltage(np.zeros(0), np.zeros(0))


def test_one_voltage_again_and_again() -> None:
    with pytest.raises(FitError, match="1 different voltages are too few"):
        fit_current_voltage(np.zeros(50), np.full(50, 1e-9))


def test_clipped_current(shipped: Truth) -> None:
    voltage, current = current_voltage(shipped)
    with pytest.raises(FitError, match=r"same extreme current .*clipped"):
        fit_current_voltage(voltage, np.clip(current, -np.inf, 0.9 * current.max()))


@pytest.mark.parametrize("last", [0.0, 0.1e-3, 0.29e-3])
def test_the_last_digit_inside_the_gap_is_no_clipped_reading_of_a_one_sided_sweep(last: float, shipped: Truth) -> None:
    voltage, current = current_voltage(shipped)
    one_sided, digit = voltage <= last, 2e-10
    rounded = digit * np.rint(current[one_sided] / digit)
    fit = fit_current_voltage(voltage[one_sided], rounded, series_resistance=SERIES_RESISTANCE)
    assert fit["gap"].value == pytest.approx(215e-6, rel=0.02)


def test_a_meter_of_one_polarity_is_clipped(shipped: Truth) -> None:
    voltage, current = current_voltage(shipped)
    with pytest.raises(FitError, match="the reading is clipped"):
        fit_current_voltage(voltage, np.maximum(current, 0.0))


@pytest.mark.parametrize(("volts", "told"), [(1e3, "device_voltage in volt"), (1e-3, "device_voltage in volt")])
def test_voltage_of_a_wrong_unit(volts: float, told: str, shipped: Truth) -> None:
    voltage, current = current_voltage(shipped)
    with pytest.raises(FitError, match=told):
        fit_current_voltage(voltage * volts, current)


@pytest.mark.parametrize("amperes", [1e3, 1e-3])
def test_current_of_a_wrong_unit_is_reported(amperes: float, shipped: Truth) -> None:
    voltage, current = current_voltage(shipped)
    fit = fit_current_voltage(voltage, current * amperes)
    assert any("is the current in ampere" in warning for warning in fit.warnings)


def test_a_sweep_there_and_back_is_one_curve(shipped: Truth) -> None:
    there, back = current_voltage(shipped, 1), current_voltage(shipped, 2)
    voltage, current = (np.concatenate([a, b[::-1]]) for a, b in zip(there, back, strict=True))
    fit = fit_current_voltage(voltage, current, series_resistance=SERIES_RESISTANCE)
    assert max(map(abs, pulls(fit, shipped).values())) < 4
    assert not fit.warnings


def test_a_reading_that_lags_is_reported(shipped: Truth) -> None:
    there, back = current_voltage(shipped, 1), current_voltage(shipped, 2)
    lag = 2e-7  # V
    voltage = np.concatenate([there[0] + lag, back[0][::-1] - lag])
    fit = fit_current_voltage(voltage, np.concatenate([there[1], back[1][::-1]]), series_resistance=SERIES_RESISTANCE)
    assert any("2 sweeps, and no. 1 and 2 differ" in text and "in opposite directions" in text for text in fit.warnings)


def test_the_start_slope_is_that_of_scipy() -> None:
    x = np.linspace(-1.0, 2.0, 12)
    y = 3.0 * x + np.random.default_rng(4).normal(0.0, 0.1, x.size)
    y[[0, 5, 11]] = 40.0
    assert repeated_median_slope(x, y) == pytest.approx(siegelslopes(y, x).slope, rel=1e-12)
