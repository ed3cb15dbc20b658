"""Values that are held in a fit, and that the same data contradict."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from labnis.fit._doubts import HELD
from labnis.fit._residuals import told_alike
from labnis.fit.estimate import number_text
from labnis.fit.result import FitError, FitResult

__all__ = ["with_wrong_held_told", "wrong_held_values"]

# A free fit lowers χ² by as much, and a value contradicts it beyond so many standard uncertainties.
_BETTER, _CONTRADICTS = 10.0, 2.5


Freed = Callable[[Mapping[str, float]], FitResult]


def wrong_held_values(fixed: Mapping[str, float], freed: Freed, data: str) -> list[str]:
    """Texts of the `fixed` values that the `data`, in words, contradict; `freed` fits them with other values fixed."""
    if not fixed:
        return []
    try:
        return _texts(fixed, freed({}), data)
    except FitError:
        return []


def with_wrong_held_told(
    result: FitResult,
    fixed: Mapping[str, float],
    released: Collection[str],
    freed: Freed,
    data: str,
) -> FitResult:
    """The `result`, with a warning of each value that the same data contradict, and without its consequences.

    Of the values `fixed` those `released` may be wrong; `freed` fits the data with other values fixed: also where
    nothing is odd, as other parameters, such as those of an island, may take the place of a wrong value.
    """
    if not released:
        return result
    try:
        free = freed({name: value for name, value in fixed.items() if name not in released})
    except FitError:
        return result
    gained = float(result.residuals @ result.residuals - free.residuals @ free.residuals) / free.noise**2
    texts = _texts({name: fixed[name] for name in released}, free, data)
    if not texts or gained < _BETTER:
        return result
    kept = [text for text in result.warnings if text in (*told_alike(result.warnings), *free.warnings)]
    return replace(result, warnings=(*kept, *texts))


def _texts(fixed: Mapping[str, float], free: FitResult, data: str) -> list[str]:
    return [
        f"{HELD} {name}, {number_text(value, free[name].unit, free[name].value)}: the {data} alone has {free[name]}; "
        "fit it, or give it with its σ"
        for name, value in fixed.items()
        if name in free.names and abs(free[name].value - value) > _CONTRADICTS * free[name].sigma
    ]
