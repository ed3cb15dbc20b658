"""Steps of the current's offset in the course of a sweep, as by a switching charge or a range that changes."""

import numpy as np

from labnis.fit.arrays import Real
from labnis.fit.estimate import number_text
from labnis.fit.junction._heated_pair import Readings

__all__ = ["likeliest_step", "text_of_step"]

# A step has at least so many points on both sides.
_FEWEST = 3


def likeliest_step(rest: Real, slopes: Real, by_offset: Real) -> Real:
    """Which points, in the order of measurement, are behind the step that explains most: 0 or 1, shape (n,).

    `rest` (n,) are residuals, which change with the parameters by `slopes` (n, p), and with the offset by `by_offset`
    (n,). The parameters follow.
    """
    basis, _ = np.linalg.qr(slopes / np.maximum(np.linalg.norm(slopes, axis=0), np.finfo(float).tiny))
    apart = rest - basis @ (basis.T @ rest)

    def behind(rows: Real) -> Real:
        return np.asarray(np.cumsum(rows[::-1], axis=0)[::-1])

    seen, size = behind(by_offset * apart), behind(by_offset**2)
    own = size - (behind(by_offset[:, None] * basis) ** 2).sum(axis=1)
    inner = slice(_FEWEST, rest.size - _FEWEST)
    gained = np.where(own > 1e-9 * size, seen**2 / np.where(own > 0, own, 1.0), 0.0)[inner]
    return (np.arange(rest.size) >= _FEWEST + int(np.argmax(gained))).astype(np.float64)


def text_of_step(behind: Real, readings: Readings) -> str:
    """A step between the first of the points `behind` it and the one before, in words, in which {} is its size (A)."""
    first = int(np.argmax(behind))
    place = " and ".join(number_text(float(v) / readings.array.voltage, "V") for v in readings.voltage[first - 1 :][:2])
    return (
        f"a step of about {{:.2g}} A of the current's offset between {place}, as by a range or a charge that switches: "
        "repeat the sweep, at a fixed range"
    )
