"""Uncertainty of what follows from fitted parameters."""

from collections.abc import Mapping

import numpy as np
import pytest

from labnis.fit import FitResult
from labnis.fit.derived import with_derived

FIT = FitResult(
    "two rates", ("a", "b"), ("1/s", "1/s"), np.array([3.0, 0.0]), np.array([[0.04, 0.01], [0.01, 0.09]]), 1.0, 1, 1.0
)


def difference(values: Mapping[str, float]) -> float:
    if values["b"] < 0:
        raise ValueError("b is a rate")
    return 2 * values["a"] - values["b"]


def test_uncertainties_propagate_with_their_correlation() -> None:
    fit = with_derived(FIT, "c", "1/s", difference)
    assert fit.names == ("a", "b", "c")
    assert (fit["c"].value, fit["c"].unit) == (6.0, "1/s")
    # 4·0.04 + 0.09 − 2·2·0.01
    assert fit["c"].sigma ** 2 == pytest.approx(0.21)
    np.testing.assert_allclose(fit.covariance[-1, :2], [2 * 0.04 - 0.01, 2 * 0.01 - 0.09])
    np.testing.assert_array_equal(fit.covariance[:2, :2], FIT.covariance)


def test_what_scatters_on_its_own_adds_to_it() -> None:
    assert with_derived(FIT, "c", "1/s", difference, own_variance=0.04)["c"].sigma ** 2 == pytest.approx(0.25)
