"""The solver under every estimator: exact where paper knows the answer, a clear refusal where there is none."""

import numpy as np
import pytest

from labnis.fit import FitError, FitResult
from labnis.fit._least_squares import Parameter, solve

X = np.linspace(0, 1, 50)
Y = 2.0 + 3.0 * X + 0.1 * np.random.default_rng(0).standard_normal(X.size)
LINE = [Parameter("offset", "1", 0.0, 1.0), Parameter("slope", "1", 0.0, 1.0)]


def residuals(x: np.ndarray) -> np.ndarray:
    return Y - x[0] - x[1] * X


def prior(offset: float, sigma: float) -> FitResult:
    return FitResult("prior", ("offset",), ("1",), np.array([offset]), np.array([[sigma**2]]), 0.0, 0, 0.0)


def test_straight_line_is_that_of_linear_regression() -> None:
    solution = solve(LINE, residuals)
    (slope, offset), covariance = np.polyfit(X, Y, 1, cov=True)
    np.testing.assert_allclose(solution.values, [offset, slope], rtol=1e-6)
    np.testing.assert_allclose(solution.covariance, covariance[::-1, ::-1], rtol=1e-4)
    assert solution.degrees_of_freedom == 48
    assert solution.noise == pytest.approx(0.1, rel=0.3)


def test_prior_and_data_are_weighed_by_their_variances() -> None:
    alone = solve(LINE[:1], lambda x: Y - x[0] - 3.0 * X)
    sigma = float(np.sqrt(alone.covariance[0, 0]))
    both = solve(LINE[:1], lambda x: Y - x[0] - 3.0 * X, prior=prior(alone.values[0] + 2 * sigma, sigma))
    assert both.values[0] == pytest.approx(alone.values[0] + sigma, abs=0.05 * sigma)
    assert both.covariance[0, 0] == pytest.approx(sigma**2 / 2, rel=0.1)


def test_what_the_data_do_not_see_is_named() -> None:
    with pytest.raises(FitError, match="do not determine slope"):
        solve(LINE, lambda x: Y - x[0] + 0 * x[1])


def test_more_parameters_than_data() -> None:
    with pytest.raises(FitError, match="50 data cannot determine 52 parameters"):
        solve(LINE, residuals, absorbed=50)


def test_bound_is_kept_and_flagged() -> None:
    bounded = [LINE[0], Parameter("slope", "1/m", 0.0, 1.0, -1.0, 1.0)]
    solution = solve(bounded, residuals)
    assert solution.values[1] == pytest.approx(1.0)
    assert solution.warnings == ("slope is at its bound 1 1/m: its uncertainty is one-sided",)


def test_prior_that_is_not_finite() -> None:
    with pytest.raises(FitError, match="prior of this fit is not finite"):
        solve(LINE, residuals, prior=prior(np.nan, 1.0))
