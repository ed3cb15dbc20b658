"""The minimum of a sum of squares within bounds, also at the end of a narrow valley."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear

from labnis.fit._minimum import minimum
from labnis.fit.arrays import Real
from labnis.fit.result import FitError

FREE = np.full(2, np.inf)


@settings(deadline=None)
@given(seed=st.integers(0, 10**6))
def test_straight_lines_within_bounds_have_the_exact_answer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    slopes = rng.standard_normal((40, 6)) * 10.0 ** rng.uniform(-2, 2, 6)
    measured = rng.standard_normal(40)
    lower, upper = rng.uniform(-1, 0, 6), rng.uniform(0.01, 1, 6)
    exact = lsq_linear(slopes, measured, bounds=(lower, upper), method="bvls", tol=1e-12)
    found = minimum(lambda x: slopes @ x - measured, lambda _: slopes.copy(), np.zeros(6), lower, upper, 1e-10, 1e-10)
    assert np.sum((slopes @ found - measured) ** 2) == pytest.approx(2 * exact.cost, rel=1e-6)


@pytest.mark.parametrize("narrow", [1e2, 1e3])
def test_a_bent_valley_is_followed_to_the_bound_where_it_ends(narrow: float) -> None:
    """Rosenbrock's, whose minimum (1, 1) is beyond a bound: with y ≥ 2 or x ≤ −0.5 the best is at the bound."""

    def residuals(x: Real) -> Real:
        return np.array([narrow * (x[1] - x[0] ** 2), 1 - x[0]])

    def jacobian(x: Real) -> Real:
        return np.array([[-2 * narrow * x[0], narrow], [-1.0, 0.0]])

    start = np.array([-1.2, 3.0])
    free = minimum(residuals, jacobian, start, -FREE, FREE, 1e-10, 1e-10)
    np.testing.assert_allclose(free, [1, 1], rtol=1e-4)
    left = minimum(residuals, jacobian, start, -FREE, np.array([-0.5, np.inf]), 1e-10, 1e-10)
    np.testing.assert_allclose(left, [-0.5, 0.25], atol=1e-4)


def test_what_one_datum_hardly_tells_is_found_at_the_end_of_many() -> None:
    """A prior of 1 ± 0.02 beside 500 times as precise data that tell a product of two parameters."""
    data = np.linspace(1, 2, 200)

    def residuals(x: Real) -> Real:
        return np.append(10 * (x[0] * x[1] * data - data), (x[1] - 1) / 0.02)

    def jacobian(x: Real) -> Real:
        rows = 10 * data[:, None] * np.array([x[1], x[0]])
        return np.vstack([rows, [0.0, 50.0]])

    found = minimum(residuals, jacobian, np.array([0.5, 2.3]), np.zeros(2), FREE, 1e-7, 1e-7)
    assert found[1] == pytest.approx(1, abs=1e-3)


def test_a_search_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labnis.fit._minimum._INSIDE", 2)
    monkeypatch.setattr("labnis.fit._minimum._ALONG", 2)
    with pytest.raises(FitError, match="did not converge within 4 evaluations"):
        minimum(lambda x: x**3 - 1, lambda x: np.diag(3 * x**2), np.array([9.0, 7.0]), -FREE, FREE, 1e-10, 1e-10)
