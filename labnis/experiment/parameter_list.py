"""The parameters of a procedure as a list: name, unit, default, limits, meaning."""

import inspect
import math
from dataclasses import dataclass
from typing import Any

from pymeasure.experiment import BooleanParameter, Procedure
from pymeasure.experiment.parameters import Parameter

from labnis.fit import number_text

__all__ = ["DescribedParameter", "DescribedProcedure", "described"]

MOST_SHOWN = 5
"""Points of a default that are listed one by one."""


@dataclass(frozen=True)
class DescribedParameter:
    """One parameter; what it does not declare is None or empty.

    Attributes
    ----------
    name
        As for `--set`.
    default, minimum, maximum
        In `unit`.
    choices
        The only values allowed.
    meaning
        In words.

    """

    name: str
    unit: str
    default: Any
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]
    meaning: str

    @property
    def default_text(self) -> str:
        """The default with its unit; "required" where there is none."""
        if self.default is None:
            return "required"
        if isinstance(self.default, tuple):
            return _points_text(self.default, self.unit)
        return _text(self.default, self.unit)

    @property
    def allowed(self) -> str:
        """The values that are allowed."""
        if self.choices:
            return ", ".join(self.choices)
        low = "" if self.minimum is None else f"from {_text(self.minimum, self.unit)}"
        high = "" if self.maximum is None else f"to {_text(self.maximum, self.unit)}"
        return f"{low} {high}".strip()


@dataclass(frozen=True)
class DescribedProcedure:
    """One procedure: name, first sentence of its documentation, parameters in the order in which it declares them."""

    name: str
    summary: str
    parameters: tuple[DescribedParameter, ...]


def described(kind: type[Procedure]) -> DescribedProcedure:
    """List the parameters of the class `kind`."""
    summary = (inspect.getdoc(kind) or "").partition("\n")[0]
    objects: dict[str, Parameter] = kind().parameter_objects()
    return DescribedProcedure(kind.__name__, summary, tuple(_described(name, one) for name, one in objects.items()))


def _described(name: str, parameter: Parameter) -> DescribedParameter:
    choices = getattr(parameter, "choices", None) or ()
    return DescribedParameter(
        name=name,
        unit=getattr(parameter, "units", None) or "",
        default=parameter.value if parameter.is_set() else None,
        minimum=_limit(parameter, "minimum"),
        maximum=_limit(parameter, "maximum"),
        choices=("true", "false") if isinstance(parameter, BooleanParameter) else tuple(map(str, choices)),
        meaning=str(parameter.name),
    )


def _limit(parameter: Parameter, name: str) -> float | None:
    value = getattr(parameter, name, None)
    return None if value is None or not math.isfinite(value) else float(value)


def _text(value: Any, unit: str) -> str:
    if isinstance(value, float) and unit:
        return number_text(value, unit)
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _points_text(points: tuple[float, ...], unit: str) -> str:
    """The points of a sweep; of many, number, smallest and largest."""
    if len(points) > MOST_SHOWN:
        return f"{len(points)} points, {_text(min(points), unit)} to {_text(max(points), unit)}"
    return ", ".join(_text(point, unit) for point in points) or "none"
