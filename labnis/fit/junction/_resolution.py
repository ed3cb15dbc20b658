"""The resolution of a voltmeter: an error that all readings at one set-point have in common.

A voltmeter without noise rounds the same set-point in the same way at every temperature, and evenly spaced ones with a
slow sawtooth: 10 nV across 4 kΩ are 2.5 pA, and look like structure. With σ the noise of a residual and c the change of
the residuals at a set-point by one standard deviation of the rounding error, in units of σ, their covariance is
σ²(1 + ccᵀ); multiplied by its inverse root they are independent again.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from labnis.fit.arrays import Real

__all__ = ["CommonError", "resolution"]

# Exponents of ten of a resolution (V or A), steps of a last digit, and the part of it by which a reading may be off.
_LARGEST, _SMALLEST, _STEPS, _ROUNDING = -4, -15, (5.0, 2.0, 1.0), 1e-3


@dataclass(frozen=True)
class CommonError:
    """Errors that residuals have in common: `place` (n,) are the numbers of their set-points, `columns` (n,) are c."""

    place: NDArray[np.intp]
    columns: Real
    weight: Real

    @classmethod
    def of(cls, place: NDArray[np.intp], columns: Real) -> Self:
        """With what the columns of each set-point make of its residuals."""
        size = np.bincount(place, columns**2)
        safe = np.maximum(size, np.finfo(float).tiny)
        return cls(place, columns, np.where(size > 1e-12, (1 - 1 / np.sqrt(1 + size)) / safe, 0.5))

    def removed(self, rows: Real) -> Real:
        """`rows`, shape (n,) or (n, p), as independent residuals."""
        wide = rows.reshape(self.place.size, -1)
        there = np.stack([np.bincount(self.place, self.columns * column) for column in wide.T], axis=-1)
        return np.asarray(
            (wide - self.columns[:, None] * (self.weight[:, None] * there)[self.place]).reshape(rows.shape)
        )


def resolution(readings: Real) -> float:
    """The largest 1, 2 or 5 times a power of ten of which all `readings` (V or A) are multiples; 0 if there is none.

    They differ by it: those that a large offset makes all but equal show no last digit.
    """
    decades = (10.0**exponent for exponent in range(_LARGEST, _SMALLEST - 1, -1))
    for step in (digit * decade for decade in decades for digit in _STEPS):
        steps = readings / step
        if steps.size and np.ptp(np.rint(steps)) >= 1 and (np.abs(steps - np.rint(steps)) < _ROUNDING).all():
            return float(step)
    return 0.0
