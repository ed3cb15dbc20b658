"""The result of a fit: one covariance, assumptions, texts, and a record that is stored and read back."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from uncertainties import correlated_values, ufloat

from labnis.fit import Estimate, FitError, FitResult, result_from_mapping

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
    notes=("1 of 20 data was left out",),
)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"values": [np.nan, 1.0]}, "slope has the value nan and the variance 0.0004"),
        (
            {"covariance": np.diag([1.0, -1.0])},
            "offset has the value 1e-09 and the variance -1; .*0 or more",
        ),
        ({"covariance": np.full((2, 2), np.inf)}, "slope has the value 2 and the variance inf"),
        ({"covariance": np.eye(3)}, r"must have the shapes \(2,\) and \(2, 2\), not \(2,\) and \(3, 3\)"),
        ({"values": ["a", "b"]}, "values of a FitResult cannot be"),
        ({"chi2": None}, "chi2 of a FitResult cannot be None"),
        ({"units": (None, "A")}, r"units of a FitResult cannot be \(None, 'A'\): a text is needed"),
        ({"names": ("slope", "slope")}, "must differ"),
        ({"names": "slope"}, "several texts are needed"),
        ({"warnings": "odd"}, "warnings of a FitResult cannot be 'odd'"),
        ({"inputs": {"x": np.ones(2)}}, "inputs of a FitResult cannot be"),
        ({"model": ""}, "model of a FitResult cannot be ''"),
    ],
)
def test_a_part_that_cannot_be_right_is_named(part: dict[str, Any], message: str) -> None:
    with pytest.raises(FitError, match=message):
        replace(RESULT, **part)


def test_lists_and_empty_units_become_plain_parts() -> None:
    result = FitResult("m", ["a"], [""], [1], [[4]], assumed={"b": 1})  # type: ignore[arg-type]  # as a lab may write it
    assert str(result["a"]) == "1.0 ± 2.0"
    assert result.units == ("1",)
    assert FitResult.from_json(result.as_json()).report() == result.report()


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


def test_record_of_an_earlier_version_has_no_notes() -> None:
    record = RESULT.as_record()
    del record["notes"]
    assert FitResult.from_record(record).notes == ()


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
    slope:  2.000 ± 0.020 S (1 %)
    offset: 1.00 ± 0.10 nA (10 %)
[[Correlations (unreported are < 0.1)]]
    C(slope, offset) = +0.500
[[Assumed]]
    temperature: constant
[[Warnings]]
    offset is at its bound
[[Notes]]
    1 of 20 data was left out"""
    )


def test_report_of_a_plain_fit_has_no_empty_parts() -> None:
    plain = replace(RESULT, covariance=np.diag([4e-4, 0.0]), assumed={}, warnings=(), notes=())
    assert "[[Correlations" not in plain.report()
    assert "[[Assumed]]" not in plain.report()
    assert "[[Warnings]]" not in plain.report()
    assert "[[Notes]]" not in plain.report()


def test_a_value_below_its_sigma_has_no_relative_uncertainty() -> None:
    vague = replace(RESULT, values=np.array([1e-19, 1e-9]))
    assert vague.report().count(" %)") == 1


def test_an_estimate_is_formatted_as_uncertainties_does() -> None:
    gain = Estimate(51.8497, 0.0441, "dB")
    assert f"{gain}" == str(gain)
    assert f"{gain:.3f}" == f"{ufloat(51.8497, 0.0441):.3f} dB"
    assert f"{Estimate(0.25, 0.0, '1'):.2f}" == "0.25+/-0"


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


@pytest.mark.parametrize(
    ("value", "sigma", "unit", "text"),
    [
        (215.03e-6, 0.12e-6, "eV", "215.03 ± 0.12 µeV"),
        (8123.4, 39, "ohm", "8.123 ± 0.039 kΩ"),
        (2e7, 1.6e5, "1/s", "20.00 ± 0.16 1/µs"),
        (52.0, 0.0996, "dB", "52.00 ± 0.10 dB"),
        (1e-4, 1e-6, "1", "0.0001000 ± 0.0000010"),
        (5e-6, 1e-6, "1", "(5.0 ± 1.0)e-06"),
        (1e-12, 2e-9, "V", "0.0 ± 2.0 nV"),
        (2e-9, 1e-10, "1/Hz", "(2.00 ± 0.10)e-09 1/Hz"),
        (1.2e-9, 3e-10, "m³ K⁵/W", "(1.20 ± 0.30)e-09 m³ K⁵/W"),
        (2e9, 1e8, "W/m³/K⁵", "2.00 ± 0.10 GW/m³/K⁵"),
        (215e-6, 0.0, "eV", "215 µeV"),
        (float("nan"), 1.0, "K", "nan K"),
        (1.0, float("inf"), "K", "1 ± ? K"),
    ],
)
def test_estimate_is_printed_with_the_digits_that_it_has(value: float, sigma: float, unit: str, text: str) -> None:
    estimate = Estimate(value, sigma, unit)
    assert (str(estimate), repr(estimate), estimate._repr_html_()) == (text, text, text)


def test_notebook_shows_values_and_escapes_texts() -> None:
    page = replace(RESULT, warnings=("<script>",))._repr_html_()
    assert "2.000 ± 0.020 S" in page
    assert "&lt;script&gt;" in page
    assert "<script>" not in page
    assert repr(RESULT) == "<straight line: slope = 2.000 ± 0.020 S, offset = 1.00 ± 0.10 nA>"
    assert str(RESULT) == RESULT.report()


def test_mapping_becomes_a_result_with_its_correlations() -> None:
    first, second = correlated_values([1.0, 2.0], [[0.04, 0.01], [0.01, 0.09]])
    result = result_from_mapping(
        "thresholds",
        {"a": first, "b": first + second, "c": (3, 0.5), "d": Estimate(4e-3, 0.0, "V")},
        {"a": "V", "d": "mV"},
    )
    assert result.units == ("V", "1", "1", "V")
    assert result.by_name == pytest.approx({"a": 1, "b": 3, "c": 3, "d": 4e-3})
    np.testing.assert_allclose(result.covariance[:2, :2], [[0.04, 0.05], [0.05, 0.15]])
    assert (result["c"].sigma, result["d"].sigma) == pytest.approx((0.5, 0.0))
    assert "c: 3.00 ± 0.50" in result.report()
    assert FitResult.from_json(result.as_json()).report() == result.report()


@pytest.mark.parametrize(
    "value", [3.0, "text", "12", ("1", "2"), (1.0, 2.0, 3.0, 4.0), (np.nan, 1.0), (1.0, -1.0), ufloat(np.inf, 1), None]
)
def test_mapping_with_another_value_is_refused(value: object) -> None:
    with pytest.raises(FitError, match=r"thresholds returned .* for a"):
        result_from_mapping("thresholds", {"a": value})


@pytest.mark.parametrize("results", [{}, None, [(1.0, 0.1)]])
def test_mapping_without_results_is_refused(results: Any) -> None:
    with pytest.raises(FitError, match=r"thresholds returned no results but .*; return a mapping such as"):
        result_from_mapping("thresholds", results)
