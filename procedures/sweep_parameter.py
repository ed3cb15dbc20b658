"""A list of points as one parameter of a measurement."""

import math
from collections.abc import Iterable
from decimal import InvalidOperation
from typing import Any

import numpy as np
from pymeasure.experiment.parameters import Parameter

from procedures.parameter_values import number_in

__all__ = ["SweepParameter"]

MOST_POINTS = 2_000_000


class SweepParameter(Parameter):  # type: ignore[misc]  # pymeasure has no type information
    """Points of a sweep, given as text or as any sequence of numbers.

    In text, segments `start:stop:points` (both ends included) and single numbers are separated by commas:
    `-1:1:41`, `0,0.1,0.5`, `-1:-0.1:10,-0.05:0.05:101,0.1:1:10`. A unit may follow each number: `-1mV:1mV:41`. The
    value is a tuple of floats.

    Parameters
    ----------
    name, default, **options
        As for every pymeasure parameter.
    units
        Unit of the points.
    minimum, maximum
        Limits of the points.

    """

    def __init__(
        self, name: str, *, units: str = "", minimum: float = -math.inf, maximum: float = math.inf, **options: Any
    ) -> None:
        self.units = units
        self.minimum = minimum
        self.maximum = maximum
        super().__init__(name, **options)

    def convert(self, value: Any) -> tuple[float, ...]:
        """Points of `value`.

        Raises
        ------
        ValueError
            It is not a list of points, has too many, or one that is not allowed.

        """
        try:
            points = _parsed(value, self.units) if isinstance(value, str) else tuple(float(point) for point in value)
        except TypeError as error:
            raise ValueError("a text start:stop:points or a sequence of numbers is needed") from error
        if len(points) > MOST_POINTS:
            raise ValueError(f"{len(points)} points are more than {MOST_POINTS}")
        for point in points:
            if not math.isfinite(point):
                raise ValueError(f"every point must be a finite number, not {point}")
            if not self.minimum <= point <= self.maximum:
                raise ValueError(f"{point:g} is not from {self.minimum:g} to {self.maximum:g} {self.units}".rstrip())
        return points

    def __str__(self) -> str:
        """Text for a GUI or a file header; `convert` accepts it."""
        return ",".join(f"{point!r}" for point in self.value) if self.is_set() else ""


def _parsed(text: str, unit: str) -> tuple[float, ...]:
    points: list[float] = []
    for segment in text.split(",") if text.strip() else ():
        points += _segment(segment, unit)
    return tuple(points)


def _segment(text: str, unit: str) -> Iterable[float]:
    parts = text.split(":")
    if len(parts) == 1:
        return [_number(parts[0], unit)]
    if len(parts) != 3:
        raise ValueError(f"{text!r} is neither a segment start:stop:points nor a number")
    try:
        count = int(number_in(parts[2].replace("_", "?"), ""))
    except (InvalidOperation, ValueError, OverflowError):
        raise ValueError(f"{text!r}: the number of points is a whole number, not {parts[2]!r}") from None
    if not 2 <= count <= MOST_POINTS:
        raise ValueError(f"{text!r}: a segment has from 2 to {MOST_POINTS} points")
    start, stop = _number(parts[0], unit), _number(parts[1], unit)
    if not math.isfinite(start) or not math.isfinite(stop):
        raise ValueError(f"{text!r}: both ends of a segment are finite numbers")
    values: list[float] = np.linspace(start, stop, count).tolist()
    return values


def _number(text: str, unit: str) -> float:
    try:
        return float(number_in(text.replace("_", "?"), unit))  # Python would read 1_0 as 10
    except InvalidOperation:
        raise ValueError(f"{text!r} is not a number") from None
