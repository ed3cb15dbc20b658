"""What a fit hands on: one covariance, its assumptions, and a record that survives storage."""

import json
from dataclasses import replace

import numpy as np
import pytest

from labnis.fit import FitResult

RESULT = FitResult(
    model="straight line",
    names=("slope", "offset"),
    units=("S", "A"),
    values=np.array([2.0, 1e-9]),
    covariance=np.array([[4e-4, 1e-12], [1e-12, 1e-20]]),
    chi2=7.5,
    degrees_of_freedom=8,
    noise=3e-12,
    assumed={"temperature": "constant"},
    warnings=("offset is at its bound",),
)


def test_estimates_have_value_sigma_and_unit() -> None:
    slope = RESULT["slope"]
    assert (slope.value, slope.unit) == (2.0, "S")
    assert slope.sigma == pytest.approx(0.02)


def test_unknown_parameter_is_named_with_the_known_ones() -> None:
    with pytest.raises(KeyError, match="straight line has no parameter 'gain'; it has slope, offset"):
        RESULT["gain"]


def test_selection_keeps_order_and_covariance() -> None:
    swapped = RESULT.select(["offset", "slope"])
    assert swapped.names == ("offset", "slope")
    assert swapped.units == ("A", "S")
    np.testing.assert_array_equal(swapped.values, [1e-9, 2.0])
    np.testing.assert_array_equal(swapped.covariance, RESULT.covariance[::-1, ::-1])
    assert swapped.assumed == RESULT.assumed


def test_selecting_an_unknown_parameter_names_it() -> None:
    with pytest.raises(KeyError, match="straight line has no parameter 'gain'; it has slope, offset"):
        RESULT.select(["slope", "gain"])


def test_record_is_plain_and_comes_back_the_same() -> None:
    record = RESULT.as_record()
    text = json.dumps(record, default=lambda array: array.tolist())
    back = FitResult.from_record(json.loads(text))
    np.testing.assert_array_equal(back.values, RESULT.values)
    np.testing.assert_array_equal(back.covariance, RESULT.covariance)
    assert back.report() == RESULT.report()
    assert (back.names, back.units, back.noise) == (RESULT.names, RESULT.units, RESULT.noise)


def test_report_shows_values_assumptions_and_warnings() -> None:
    report = RESULT.report()
    assert (
        report
        == """[[Model]]
    straight line
[[Fit Statistics]]
    degrees of freedom    = 8
    χ²/ν                  = 0.9375
    noise of one datum    = 3e-12
[[Variables]]
    slope:  2 ± 0.02 S (1 %)
    offset: 1e-09 ± 1e-10 A (10 %)
[[Correlations (unreported are < 0.1)]]
    C(slope, offset) = +0.500
[[Assumed]]
    temperature: constant
[[Warnings]]
    offset is at its bound"""
    )


def test_report_of_a_plain_fit_has_no_empty_parts() -> None:
    plain = replace(RESULT, covariance=np.diag([4e-4, 0.0]), assumed={}, warnings=())
    assert "[[Correlations" not in plain.report()
    assert "[[Assumed]]" not in plain.report()
    assert "[[Warnings]]" not in plain.report()


def test_json_comes_back_the_same() -> None:
    back = FitResult.from_json(RESULT.as_json())
    assert back.report() == RESULT.report()
    np.testing.assert_array_equal(back.covariance, RESULT.covariance)


def test_uncertainties_keep_correlations() -> None:
    numbers = RESULT.as_uncertainties()
    assert numbers["slope"].nominal_value == 2.0
    assert numbers["slope"].std_dev == pytest.approx(0.02)
    product = numbers["slope"] * numbers["offset"]
    # (∂p/∂s)²σ² + (∂p/∂o)²σ² + 2·(∂p/∂s)(∂p/∂o)·C
    variance = 1e-18 * 4e-4 + 4 * 1e-20 + 2 * 1e-9 * 2 * 1e-12
    assert product.std_dev == pytest.approx(np.sqrt(variance))
    assert (numbers["offset"] - numbers["offset"]).std_dev == 0
