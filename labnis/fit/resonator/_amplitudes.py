"""Traces whose amplitude is in other units: they are no resonance, and become one when they are converted."""

from collections.abc import Callable, Mapping
from contextlib import suppress

import numpy as np

from labnis.fit._residuals import unlike_noise
from labnis.fit.arrays import Complex
from labnis.fit.result import FitError, FitResult

__all__ = ["amplitude_warning", "is_random"]


def _phases(s11: Complex) -> Complex:
    return np.asarray(s11 / np.where(s11 == 0, 1.0, np.abs(s11)))


# χ²/ν beyond which another amplitude is tried.
_STRUCTURE = 2.0
# Of the excess of χ²/ν hardly anything remains with the right amplitude.
_REMAINS = 0.1
# What the amplitude may be → the complex trace in that case. Decibels of a passive device are negative.
_CONVERTED: Mapping[str, Callable[[Complex], Complex]] = {
    "decibels": lambda s11: np.asarray(-(10 ** (-np.abs(s11) / 20)) * _phases(s11)),
    "a power": lambda s11: np.asarray(np.sqrt(np.abs(s11)) * _phases(s11)),
}


def is_random(fit: FitResult) -> bool:
    """Whether the residuals of a `fit` are like noise."""
    return not unlike_noise(fit.chi2, fit.degrees_of_freedom, fit.residuals[fit.mask])


def _excess(fit: FitResult) -> float:
    """By how much χ²/ν is more than 1."""
    return fit.chi2 / fit.degrees_of_freedom - 1


def amplitude_warning(fit: FitResult, s11: Complex, fitted: Callable[[Complex], FitResult]) -> tuple[str, ...]:
    """A warning where a `fit` of traces `s11` leaves structure, and `fitted` does not with another amplitude."""
    if fit.chi2 <= _STRUCTURE * fit.degrees_of_freedom or is_random(fit):
        return ()
    for unit, converted in _CONVERTED.items():
        with suppress(FitError), np.errstate(over="ignore", invalid="ignore"):
            found = fitted(converted(s11))
            if is_random(found) and _excess(found) < _REMAINS * _excess(fit):
                return (
                    f"it looks as if the amplitude of s11 were {unit}: give the complex amplitude itself, |S|·exp(iφ) "
                    "with φ in radian",
                )
    return ()
