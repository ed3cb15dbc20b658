"""Estimators: data in, value ± σ out."""

from labnis.fit.current_voltage import fit_current_voltage
from labnis.fit.emitted_power import EmissionData, fit_emitted_power
from labnis.fit.reflection import ReflectionData, fit_reflection
from labnis.fit.result import Estimate, FitError, FitResult

__all__ = [
    "EmissionData",
    "Estimate",
    "FitError",
    "FitResult",
    "ReflectionData",
    "fit_current_voltage",
    "fit_emitted_power",
    "fit_reflection",
]
