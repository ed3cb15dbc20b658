from .context import FitContext
from .estimate import Estimate, number_text, scaled_unit
from .information import Sensitivity, most_informative
from .junction._array import JunctionArray
from .junction.conductance import conductance_model, fit_conductance
from .junction.current_voltage import current_voltage_model, fit_current_voltage
from .junction.heat_balance import Isotherm, cooler_of, fit_heat_balance, temperature_curve
from .junction.temperature_and_gap import TemperatureAndGap, temperature_and_gap
from .junction.thermometry import CoolingPower, ElectronTemperature, cooling_power, isotherm_temperature
from .resonator.band_power import BandPowerData, band_power_model, fit_band_power
from .resonator.emitted_power import EmissionData, emission_model, fit_emitted_power
from .resonator.high_bias import HIGH_BIAS, fit_high_bias, gain_uncertainty
from .resonator.reflection import FANO_REAL, ReflectionData, fit_reflection, reflection_model
from .resonator.resonance import fit_resonance
from .result import FitError, FitResult, NotApplicableError, result_from_mapping

__all__ = [
    "FANO_REAL",
    "HIGH_BIAS",
    "BandPowerData",
    "CoolingPower",
    "ElectronTemperature",
    "EmissionData",
    "Estimate",
    "FitContext",
    "FitError",
    "FitResult",
    "Isotherm",
    "JunctionArray",
    "NotApplicableError",
    "ReflectionData",
    "Sensitivity",
    "TemperatureAndGap",
    "band_power_model",
    "conductance_model",
    "cooler_of",
    "cooling_power",
    "current_voltage_model",
    "emission_model",
    "fit_band_power",
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
