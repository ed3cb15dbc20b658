"""Estimators: data in, value ± σ out."""

from labnis.fit.context import FitContext
from labnis.fit.estimate import Estimate, number_text, scaled_unit
from labnis.fit.information import Sensitivity, most_informative
from labnis.fit.junction.conductance import conductance_model, fit_conductance
from labnis.fit.junction.current_voltage import current_voltage_model, fit_current_voltage
from labnis.fit.junction.heat_balance import Isotherm, cooler_of, fit_heat_balance, temperature_curve
from labnis.fit.junction.temperature_and_gap import TemperatureAndGap, temperature_and_gap
from labnis.fit.junction.thermometry import CoolingPower, ElectronTemperature, cooling_power, isotherm_temperature
from labnis.fit.resonator.emitted_power import EmissionData, emission_model, fit_emitted_power
from labnis.fit.resonator.high_bias import HIGH_BIAS, fit_high_bias, gain_uncertainty
from labnis.fit.resonator.reflection import FANO_REAL, ReflectionData, fit_reflection, reflection_model
from labnis.fit.resonator.resonance import fit_resonance
from labnis.fit.result import FitError, FitResult, NotApplicableError, result_from_mapping

__all__ = [
    "FANO_REAL",
    "HIGH_BIAS",
    "CoolingPower",
    "ElectronTemperature",
    "EmissionData",
    "Estimate",
    "FitContext",
    "FitError",
    "FitResult",
    "Isotherm",
    "NotApplicableError",
    "ReflectionData",
    "Sensitivity",
    "TemperatureAndGap",
    "conductance_model",
    "cooler_of",
    "cooling_power",
    "current_voltage_model",
    "emission_model",
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
    "number_text",
    "reflection_model",
    "result_from_mapping",
    "scaled_unit",
    "temperature_and_gap",
    "temperature_curve",
]
