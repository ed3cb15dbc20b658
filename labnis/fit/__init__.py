"""Estimators: data in, value ± σ out."""

from labnis.fit.conductance import fit_conductance
from labnis.fit.current_voltage import fit_current_voltage
from labnis.fit.emitted_power import EmissionData, fit_emitted_power
from labnis.fit.heat_balance import Isotherm, cooler_of, fit_heat_balance, temperature_curve
from labnis.fit.high_bias import HIGH_BIAS, fit_high_bias, gain_uncertainty
from labnis.fit.information import Sensitivity, most_informative
from labnis.fit.reflection import ReflectionData, fit_reflection
from labnis.fit.resonance import fit_resonance
from labnis.fit.result import Estimate, FitError, FitResult
from labnis.fit.sensitivities import (
    current_voltage_sensitivity,
    emission_sensitivity,
    reflection_sensitivity,
)
from labnis.fit.temperature_and_gap import TemperatureAndGap, temperature_and_gap
from labnis.fit.thermometry import CoolingPower, ElectronTemperature, cooling_power, isotherm_temperature

__all__ = [
    "HIGH_BIAS",
    "CoolingPower",
    "ElectronTemperature",
    "EmissionData",
    "Estimate",
    "FitError",
    "FitResult",
    "Isotherm",
    "ReflectionData",
    "Sensitivity",
    "TemperatureAndGap",
    "cooler_of",
    "cooling_power",
    "current_voltage_sensitivity",
    "emission_sensitivity",
    "fit_conductance",
    "fit_current_voltage",
    "fit_emitted_power",
    "fit_heat_balance",
    "fit_high_bias",
    "fit_reflection",
    "fit_resonance",
    "gain_uncertainty",
    "isotherm_temperature",
    "most_informative",
    "reflection_sensitivity",
    "temperature_and_gap",
    "temperature_curve",
]
