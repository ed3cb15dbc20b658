"""What the last digits of the meters do to a current–voltage curve.

A meter without noise rounds evenly spaced values with a sawtooth, as slow as their spacing is close to a whole number
of digits: not once in a sweep, or hundreds of times. Neighbouring residuals are alike then, and no number of points
averages it out.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from labnis.fit._residuals import noise_between_neighbours, told_alike
from labnis.fit.arrays import Real
from labnis.fit.estimate import number_text
from labnis.fit.junction._heated_pair import Readings
from labnis.fit.junction._resolution import resolution
from labnis.fit.models import CurveModel
from labnis.fit.result import FitResult

__all__ = ["Rounding"]

# Residuals that are alike have at most so many times the variance that rounding gives them.
_EXPLAINED = 1.5
# A digit of at least so small a part of the spacing of readings shows in it; beyond this part of the noise it counts.
_FINEST_GRID, _COUNTS = 5, 0.5
# Periods of the sawtooth in a sweep, and phases of it, over which its effect is averaged.
_PERIODS, _PHASES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0), 8


class Rounding(NamedTuple):
    """Last digits of voltage (V) and current (A) of the device, 0 where none shows; by both, changes of residuals.

    The changes, shape (n,), are those of the residuals of a model by one digit.
    """

    volt: float
    ampere: float
    by_volt: Real
    by_ampere: Real

    @classmethod
    def of(cls, result: FitResult, readings: Readings, model: CurveModel) -> "Rounding":
        """In the readings of a fit of the current, whose model is that of its `result`."""
        array, slopes = readings.array, model.jacobian(result.values)
        reading = (readings.voltage + readings.series_resistance * readings.current) / array.voltage
        volt, ampere = _last_digit(reading), resolution(readings.current / array.current)
        by_voltage, by_current = (slopes[:, result.names.index(f"{name}_offset")] for name in ("voltage", "current"))
        return cls(volt, ampere, volt * array.voltage * by_voltage, ampere * array.current * by_current)

    def counts(self, result: FitResult) -> bool:
        """Whether rounding is not small against the noise of the `result`."""
        both = np.mean(self.by_volt**2 + self.by_ampere**2) / 12
        return bool(both > (_COUNTS * result.noise) ** 2)

    def told(self, result: FitResult, readings: Readings, model: CurveModel) -> FitResult:
        """The `result`, in whose σ rounding counts, and that names it instead of structure that it explains."""
        told, counts = told_alike(result.warnings), model.mask
        rest = result.residuals[: counts.size][counts]
        alike = float(np.mean(rest**2)) - noise_between_neighbours(rest, np.ones(rest.size, bool)) ** 2
        explained = told and alike <= _EXPLAINED * float(np.mean((self.by_volt**2 + self.by_ampere**2)[counts])) / 12
        if not explained and not self.counts(result):
            return result
        digits = {"voltage": (self.volt, "V"), "current": (self.ampere, "A")}
        seen = {name: number_text(*digit) for name, digit in digits.items() if digit[0]}
        effect = "make neighbouring residuals alike, and count" if explained else "count"
        note = f"the last digits of {' and '.join(seen)}, {' and '.join(seen.values())}, {effect} in σ"
        return replace(
            result,
            covariance=result.covariance + self._covariance(result, readings, model),
            warnings=tuple(text for text in result.warnings if not explained or text not in told),
            notes=(*result.notes, note),
        )

    def _covariance(self, result: FitResult, readings: Readings, model: CurveModel) -> Real:
        """Of the parameters, (p, p), by sawteeth of any phase over the sweep."""
        position = np.interp(readings.voltage, np.sort(readings.voltage)[[0, -1]], (0.0, 1.0))
        phases = np.arange(_PHASES) / _PHASES
        turns = np.multiply.outer(_PERIODS, position)[:, None] + phases[:, None]
        sawtooth = (turns % 1.0 - 0.5).reshape(-1, position.size)
        slopes = np.where(model.mask[:, None], model.jacobian(result.values), 0.0)
        gain = result.covariance @ slopes.T / result.noise**2
        moved = [gain @ (sawtooth * by).T for by in (self.by_volt, self.by_ampere)]
        return np.asarray(sum(one @ one.T / len(sawtooth) for one in moved))


def _last_digit(reading: Real) -> float:
    """That of a voltmeter (V); 0 for set-points that are evenly spaced, as they were commanded.

    Rounding shows where spacings differ by one digit.
    """
    digit = resolution(reading)
    if not digit:
        return 0.0
    spacing = np.rint(np.diff(np.unique(np.rint(reading / digit))))
    beside = (np.abs(np.diff(spacing)) == 1) & (spacing[1:] >= _FINEST_GRID)
    return digit if beside.any() else 0.0
