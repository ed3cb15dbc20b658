"""Two junctions of unequal resistances: limits, symmetry, and slopes that are those of differences."""

import numpy as np
import pytest

from labnis.fit.junction._unequal_pair import unequal_slopes
from labnis.physics import NISJunction, UnequalPair

JUNCTION = NISJunction(215e-6, 12e3, 1e-5)
VOLTAGE = np.linspace(-1.2e-3, 1.2e-3, 97)


def test_equal_junctions_share_the_voltage() -> None:
    pair = UnequalPair(JUNCTION, 0.0)
    np.testing.assert_array_equal(pair.voltage(VOLTAGE, 0.1), VOLTAGE / 2)
    np.testing.assert_allclose(pair.conductance(VOLTAGE, 0.1), JUNCTION.conductance(VOLTAGE / 2, 0.1) / 2, rtol=1e-12)


@pytest.mark.parametrize("asymmetry", [0.01, 0.3, 0.9])
def test_both_junctions_carry_the_same_current(asymmetry: float) -> None:
    pair = UnequalPair(JUNCTION, asymmetry)
    first = pair.voltage(VOLTAGE, 0.1)
    smaller = JUNCTION.current(VOLTAGE - first, 0.1) / (1 - asymmetry)
    np.testing.assert_allclose(pair.current(VOLTAGE, 0.1), smaller, rtol=1e-8, atol=1e-20)
    np.testing.assert_allclose(pair.current(-VOLTAGE, 0.1), -pair.current(VOLTAGE, 0.1))
    step = 1e-9
    slope = (pair.current(VOLTAGE + step, 0.1) - pair.current(VOLTAGE - step, 0.1)) / (2 * step)
    np.testing.assert_allclose(pair.conductance(VOLTAGE, 0.1), slope, rtol=1e-5)


def test_limits() -> None:
    pair = UnequalPair(NISJunction(215e-6, 12e3, 0.0), 0.4)
    # Both in series far above the gap; a Boltzmann factor deep inside it.
    assert 1 / pair.conductance(0.1, 0.1) == pytest.approx(24e3, rel=1e-4)
    inside = pair.current(0.2e-3, 0.1) / pair.junction.current(0.1e-3, 0.1)
    assert inside == pytest.approx(1 / np.sqrt(1 - 0.4**2), rel=1e-3)
    assert pair.current(0.0, 0.1) == 0
    with pytest.raises(ValueError, match="asymmetry is 1; it must be from 0 to less than 1"):
        UnequalPair(JUNCTION, 1)


def test_slopes_are_those_of_differences() -> None:
    x, steps = np.array([215e-6, 12e3, 0.1, 1e-3, 0.0, 0.2]), np.array([1e-9, 0.1, 1e-5, 1e-6, 1e-9, 1e-5])

    def current(x: np.ndarray) -> np.ndarray:
        return UnequalPair(NISJunction(x[0], x[1], x[3]), x[5]).current(VOLTAGE + x[4], x[2])

    slopes = unequal_slopes(NISJunction(x[0], x[1], x[3]), x[5], VOLTAGE, x[2])
    for column, step in zip(slopes, np.diag(steps), strict=True):
        difference = (current(x + step) - current(x - step)) / (2 * step.max())
        np.testing.assert_allclose(column, difference, atol=2e-5 * np.abs(difference).max())
