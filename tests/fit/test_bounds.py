"""Lower bounds as normal statements: exact for one, and close to the distribution that is cut off for several."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import truncnorm

from labnis.fit._bounds import equivalent_statements, with_bounds
from labnis.fit.models import Model
from labnis.fit.parameters import Parameter
from labnis.fit.solver import solve


def conditioned(mean, covariance, statements):
    """Mean and covariance of a normal distribution with independent statements about some of its parameters."""
    for i, (value, sigma) in statements.items():
        weight = covariance[:, i] / (covariance[i, i] + sigma**2)
        mean, covariance = mean + weight * (value - mean[i]), covariance - np.outer(weight, covariance[i])
    return mean, covariance


@pytest.mark.parametrize("z", [-30.0, -4.0, -1.0, 0.0, 0.5, 2.0])
def test_one_bound_is_exact(z):
    """The distribution above one bound is the truncated normal, and what is correlated with it follows."""
    mean, covariance = np.array([z, 0.0]), np.array([[1.0, 0.8], [0.8, 1.0]])
    m, c = conditioned(mean, covariance, equivalent_statements(mean, covariance, {0: 0.0}))
    cut = truncnorm(-z, np.inf, loc=z)
    assert m[0] == pytest.approx(cut.mean(), rel=1e-5)
    assert c[0, 0] == pytest.approx(cut.var(), rel=1e-4)
    assert m[1] == pytest.approx(0.8 * (cut.mean() - z), rel=1e-4, abs=1e-6)
    assert c[1, 1] == pytest.approx(1 - 0.8**2 * (1 - cut.var()), rel=1e-4)


def test_a_bound_that_is_far_away_says_nothing():
    """Ten standard deviations below the value."""
    assert not equivalent_statements(np.array([10.0]), np.eye(1), {0: 0.0})


@pytest.mark.parametrize("seed", range(5))
def test_several_bounds_agree_with_samples(seed):
    """Of four correlated parameters, three cannot be negative; the fourth depends on all of them."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(4, 4))
    covariance = root @ root.T
    mean = np.sqrt(np.diag(covariance)) * rng.uniform(-1, 1, 4)
    samples = rng.multivariate_normal(mean, covariance, 400_000)
    samples = samples[(samples[:, :3] > 0).all(axis=1)]
    m, c = conditioned(mean, covariance, equivalent_statements(mean, covariance, dict.fromkeys(range(3), 0.0)))
    assert samples.shape[0] > 5000
    sigma = samples.std(axis=0)
    assert np.abs(m - samples.mean(axis=0)) == pytest.approx(np.zeros(4), abs=0.1 * sigma.max())
    assert np.sqrt(np.diag(c)) == pytest.approx(sigma, rel=0.1)


@given(st.lists(st.floats(-20, 20), min_size=3, max_size=3), st.floats(-0.99, 0.99), st.floats(-0.99, 0.99))
def test_a_bound_never_makes_anything_less_certain(mean, first, second):
    """Every statement has a positive variance, so that no variance grows."""
    covariance = np.eye(3)
    covariance[0, 1] = covariance[1, 0] = first
    covariance[1, 2] = covariance[2, 1] = second * np.sqrt(1 - first**2)
    found = equivalent_statements(np.array(mean), covariance, {0: 0.0, 1: 0.0})
    _, c = conditioned(np.array(mean), covariance, found)
    assert all(sigma > 0 for _, sigma in found.values())
    assert (np.diag(c) <= 1 + 1e-9).all()


@dataclass(frozen=True)
class Straight(Model):
    """Residuals that are linear in the parameters, of unit noise."""

    slopes: np.ndarray
    data: np.ndarray

    def residuals(self, x):
        return self.data - self.slopes @ x

    def jacobian(self, x):
        return -self.slopes


def errors_of_many(rng, count):
    """Errors of a parameter, in σ with bounds and without, on random devices of which half have none of a component.

    Two components cannot be negative, and look much alike one another and that parameter.
    """
    voltage = np.linspace(-1, 1, 60)
    slopes = np.stack([np.ones(60), voltage**2, voltage**2 + voltage**4, np.abs(voltage)], axis=1)
    names = ("offset", "temperature", "leak", "wire")
    found = []
    for _ in range(count):
        there = rng.random(2) < 0.5
        truth = np.array([0.0, 1.0, *(there * np.exp(rng.uniform(-2, 3, 2)))])
        model = Straight(slopes, slopes @ truth + rng.normal(size=60), mask=np.ones(60, bool))
        lower = (-np.inf, -np.inf, 0.0, 0.0)
        parameters = [Parameter(name, "1", 1.0, 1.0, low) for name, low in zip(names, lower, strict=True)]
        plain = solve(parameters, model, "straight", {})
        bounded = with_bounds(plain, model, None, {"leak": 0.0, "wire": 0.0}, [("leak",), ("wire",)])
        error = plain.values[1] - truth[1]
        found.append((error / bounded.sigma[1], error / plain.sigma[1]))
    return np.array(found)


def test_errors_are_as_large_as_the_uncertainty_says():
    """As large as in the campaign of docs/calibration.md; without the bounds σ is larger than it must be."""
    with_them, without = np.sqrt((errors_of_many(np.random.default_rng(1), 400) ** 2).mean(axis=0))
    assert 0.75 < with_them < 1.15
    assert without < 0.95 * with_them


def test_a_parameter_that_is_held_stays_without_uncertainty():
    """Also next to parameters at their bounds."""
    model = Straight(
        np.stack([np.ones(20), np.arange(20.0)], axis=1),
        np.random.default_rng(0).normal(-0.3, 1, 20),
        mask=np.ones(20, bool),
    )
    parameters = [Parameter("offset", "1", 0.0, 1.0, 0.0), Parameter("slope", "1", 0.0, 1.0, fixed=True)]
    fit = with_bounds(solve(parameters, model, "straight", {}), model, None, {"offset": 0.0})
    assert fit.sigma[1] == 0
    assert fit.sigma[0] > 0


@pytest.mark.parametrize("seed", range(6))
def test_components_that_do_the_same_are_no_failure(seed):
    """As a leak and a wire whose columns differ by rounding: the variance of their difference may round below 0."""
    voltage, random = np.linspace(-1, 1, 60), np.random.default_rng(seed)
    columns = [voltage**2 * (1 + 1e-8 * part) for part in (0.0, np.cos(40 * voltage), np.sin(30 * voltage))]
    model = Straight(np.stack([np.ones(60), *columns], axis=1), random.normal(size=60), mask=np.ones(60, bool))
    parameters = [Parameter(name, "1", 1.0, 1.0, 0.0 if name != "offset" else -np.inf) for name in ("offset", *"abc")]
    plain = solve(parameters, model, "straight", {})
    bounded = with_bounds(plain, model, None, dict.fromkeys("abc", 0.0), [("a",), ("b",), ("c",)])
    assert np.isfinite(bounded.sigma).all()
    assert 0.1 < bounded.sigma[0] < 1
