"""The solver of every fit: exact where the answer is known, a clear error where there is none."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from labnis.fit import FitError, FitResult
from labnis.fit._residuals import glitches
from labnis.fit.parameters import Parameter, hold
from labnis.fit.solver import Model, solve

X = np.linspace(0, 1, 50)
Y = 2.0 + 3.0 * X + 0.1 * np.random.default_rng(0).standard_normal(X.size)
LINE = [Parameter("offset", "1", 0.0, 1.0), Parameter("slope", "1", 0.0, 1.0)]


@dataclass(frozen=True)
class Polynomial(Model):
    """Data `y` at `x`, and the powers of x whose coefficients are fitted."""

    y: NDArray[np.float64]
    powers: tuple[int, ...]
    x: NDArray[np.float64]

    def residuals(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.y + self.jacobian(x) @ x

    def jacobian(self, _x: NDArray[np.float64]) -> NDArray[np.float64]:
        return -np.stack([self.x**power for power in self.powers], axis=-1)


def line(y: NDArray[np.float64] = Y, x: NDArray[np.float64] = X, powers: tuple[int, ...] = (0, 1)) -> Polynomial:
    return Polynomial(y, powers, x, mask=np.ones(y.size, bool))


def fitted(parameters: Sequence[Parameter], model: Polynomial, **options: Any) -> FitResult:
    return solve(parameters, model, "line", {}, **options)


def prior(offset: float, sigma: float) -> FitResult:
    return FitResult("prior", ("offset",), ("1",), np.array([offset]), np.array([[sigma**2]]), 0.0, 0, 0.0)


def test_straight_line_is_that_of_linear_regression() -> None:
    solution = fitted(LINE, line())
    (slope, offset), covariance = np.polyfit(X, Y, 1, cov=True)
    np.testing.assert_allclose(solution.values, [offset, slope], rtol=1e-6)
    np.testing.assert_allclose(solution.covariance, covariance[::-1, ::-1], rtol=1e-4)
    np.testing.assert_allclose(solution.residuals, Y - offset - slope * X, atol=1e-8)
    assert solution.degrees_of_freedom == 48
    assert solution.noise == pytest.approx(0.1, rel=0.3)


def test_prior_and_data_are_weighed_by_their_variances() -> None:
    constant = line(Y - 3.0 * X, powers=(0,))
    alone = fitted(LINE[:1], constant)
    sigma = float(np.sqrt(alone.covariance[0, 0]))
    both = fitted(LINE[:1], constant, prior=prior(alone.values[0] + 2 * sigma, sigma))
    assert both.values[0] == pytest.approx(alone.values[0] + sigma, abs=0.05 * sigma)
    assert both.covariance[0, 0] == pytest.approx(sigma**2 / 2, rel=0.1)


def test_what_the_data_do_not_see_is_named() -> None:
    with pytest.raises(FitError, match="do not determine slope"):
        fitted(LINE, line(x=np.zeros(50)))


def test_more_parameters_than_data() -> None:
    with pytest.raises(FitError, match="50 data cannot determine 52 parameters"):
        fitted(LINE, line(), absorbed=50)


def test_bound_is_kept_and_flagged() -> None:
    bounded = [LINE[0], Parameter("slope", "1/m", 0.0, 1.0, -1.0, 1.0)]
    solution = fitted(bounded, line())
    assert solution.values[1] == pytest.approx(1.0)
    assert "slope is at a limit of its range, 1 1/m: its uncertainty is one-sided" in solution.warnings


def test_at_a_bound_of_zero_the_others_are_not_in_doubt() -> None:
    bounded = [LINE[0], Parameter("slope", "1/m", 0.0, 1.0, 0.0, 1.0)]
    solution = fitted(bounded, line(2 - Y))
    assert solution.values[1] == pytest.approx(0.0, abs=1e-9)
    assert "slope is at a limit of its range, 0 1/m: its uncertainty is one-sided" in solution.notes
    assert not any("limit" in text for text in solution.warnings)
    level = replace(LINE[0], lower=0.0)
    both = fitted([level, bounded[1]], line(-1 - Y))
    assert both.notes == ("offset (0), slope (0 1/m) are at limits of their ranges: their uncertainties are one-sided",)


@pytest.mark.parametrize("size", [2.0, 1e3, 1e9])
@pytest.mark.parametrize("where", [0, 24, 49])
def test_glitch_moves_the_answer_by_less_than_its_uncertainty(size: float, where: int) -> None:
    spoilt = Y.copy()
    spoilt[where] += size
    clean, found = fitted(LINE, line()), fitted(LINE, line(spoilt))
    assert (np.abs(found.values - clean.values) < np.sqrt(np.diag(clean.covariance))).all()
    assert found.notes == (f"1 of 50 data lie more than 6σ off and were left out; at no. {where}",)
    assert not found.warnings
    assert found.degrees_of_freedom == 47
    assert found.residuals[where] == pytest.approx(size, rel=0.2), "what was left out can still be looked at"


def test_many_outliers_are_a_doubt() -> None:
    spoilt = Y.copy()
    spoilt[[5, 15, 25, 35]] += 10.0
    found = fitted(LINE, line(spoilt))
    told = "4 of 50 data lie more than 6σ off and were left out: too many for glitches, so the model may be wrong"
    assert any(text.startswith(told) and text.endswith("at no. 5, no. 15, no. 25, no. 35") for text in found.warnings)
    assert not found.notes


@pytest.mark.parametrize("where", [[20, 21, 22], [30, 31, 32, 33, 34]])
def test_outliers_side_by_side_are_structure_and_count(where: list[int]) -> None:
    spoilt = Y.copy()
    spoilt[where] += 10.0
    found = fitted(LINE, line(spoilt))
    assert found.mask.all()
    assert any("neighbouring residuals are alike" in text for text in found.warnings), found.warnings


def test_outliers_closer_together_than_chance_allows_count() -> None:
    x = np.linspace(0, 1, 1000)
    clean = 2 + 3 * x + 0.1 * np.random.default_rng(3).standard_normal(x.size)
    scattered, clustered = clean.copy(), clean.copy()
    scattered[[100, 400, 800]] += 3.0
    clustered[[500, 505, 510]] += 3.0
    found = fitted(LINE, line(scattered, x))
    assert np.flatnonzero(~found.mask).tolist() == [100, 400, 800]
    assert not found.warnings
    assert fitted(LINE, line(clustered, x)).mask.all()


def test_very_many_points_far_off_are_no_overflow() -> None:
    """As residuals of a simulation without noise."""
    residuals = 1e-9 * np.random.default_rng(1).standard_normal(10_001)
    residuals[3::8] = 1.0
    found = glitches(residuals, np.arange(residuals.size)[None])
    assert np.flatnonzero(found).tolist() == [*range(3, residuals.size, 8)], "and none is in a cluster"


def test_two_sweeps_in_one_array_alternate() -> None:
    draw = np.random.default_rng(1)
    x = np.repeat(np.linspace(0, 1, 200), 2)
    up_and_down = np.tile([0.3, -0.3], 200)
    found = fitted(LINE, line(2 + 3 * x + up_and_down + 0.1 * draw.standard_normal(x.size), x))
    assert any("neighbouring residuals alternate" in text for text in found.warnings)


def test_gaussian_data_are_all_kept() -> None:
    draw = np.random.default_rng(1)
    x = np.linspace(0, 1, 20_000)
    solution = fitted(LINE, line(2 + 3 * x + draw.standard_normal(x.size), x))
    assert solution.degrees_of_freedom == 19_998
    assert solution.chi2 / 19_998 == pytest.approx(1, abs=5 / np.sqrt(19_998))
    assert not solution.warnings


def test_structure_in_the_residuals_increases_chi_square() -> None:
    curved = fitted(LINE, line(Y + 2 * X**2))
    assert curved.chi2 / curved.degrees_of_freedom > 2
    assert any("neighbouring residuals are alike" in warning for warning in curved.warnings)
    assert not fitted([*LINE, Parameter("bend", "1", 0.0, 1.0)], line(Y + 2 * X**2, powers=(0, 1, 2))).warnings


def test_fixed_parameter_is_exact_and_moves_the_others_as_the_prior_says() -> None:
    solution = fitted(hold(LINE, {"slope": 3.5}), line())
    assert solution.values[1] == 3.5
    assert solution.values[0] == pytest.approx(np.mean(Y - 3.5 * X))
    np.testing.assert_array_equal(solution.covariance[1], 0)
    assert solution.degrees_of_freedom == 49
    assert solution.assumed == {"slope": "3.5, held fixed"}
    assert solution.free == ("offset",)
    # A correlated prior of both says more of the offset once the slope is known.
    both = FitResult("prior", ("offset", "slope"), ("1", "1"), np.zeros(2), np.array([[1, 0.9], [0.9, 1]]), 0, 0, 0)
    flat = line(np.zeros(50))
    known = fitted(hold(LINE, {"slope": 1.0}), flat, prior=replace(both, covariance=1e-8 * both.covariance))
    assert known.values[0] == pytest.approx(0.9, abs=1e-3)
    assert np.sqrt(known.covariance[0, 0]) == pytest.approx(1e-4 * np.sqrt(1 - 0.81), rel=0.01)


def test_parameter_that_is_exact_in_the_prior_is_held() -> None:
    solution = fitted(LINE, line(), prior=prior(2.5, 0.0))
    assert solution.values[0] == 2.5
    assert solution.covariance[0, 0] == 0


def test_fixing_what_there_is_not_names_what_there_is() -> None:
    with pytest.raises(FitError, match="'bend' cannot be held fixed; the parameters are offset, slope"):
        hold(LINE, {"bend": 0.0})
    with pytest.raises(FitError, match=r"slope cannot be held at 9 1/m; it is from -1 to 1 1/m"):
        hold([Parameter("slope", "1/m", 0.0, 1.0, -1.0, 1.0)], {"slope": 9})
    with pytest.raises(FitError, match="nothing to fit"):
        fitted(hold(LINE, {"slope": 1, "offset": 0}), line())
