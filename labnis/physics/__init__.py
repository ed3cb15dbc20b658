"""The physics of NIS junctions and of the resonator they damp: equations only, NumPy in, NumPy out."""

from labnis.physics.andreev import AndreevChannel, ModelRangeWarning, wire_resistance_per_length
from labnis.physics.cooler import NoOperatingPointError, OperatingPoint, SINISCooler
from labnis.physics.high_bias import (
    PowerExpansion,
    gain_from_slope,
    high_bias_damping_rate,
    high_bias_photon_number,
    high_bias_power,
    noise_temperature,
)
from labnis.physics.junction import JunctionParameter, NISJunction
from labnis.physics.resonator import (
    Resonator,
    asymptotic_damping_rate,
    reflection_coefficient,
    thermal_photon_number,
)
from labnis.physics.superconductor import (
    ENERGY_CROSSING_DENSITY,
    InjectedSuperconductor,
    NonequilibriumState,
    bcs_gap,
    critical_density,
    critical_temperature,
    gap_at_zero_temperature,
    nonequilibrium_state,
    thermal_density,
)
from labnis.physics.unequal_pair import UnequalPair

__all__ = [
    "ENERGY_CROSSING_DENSITY",
    "AndreevChannel",
    "InjectedSuperconductor",
    "JunctionParameter",
    "ModelRangeWarning",
    "NISJunction",
    "NoOperatingPointError",
    "NonequilibriumState",
    "OperatingPoint",
    "PowerExpansion",
    "Resonator",
    "SINISCooler",
    "UnequalPair",
    "asymptotic_damping_rate",
    "bcs_gap",
    "critical_density",
    "critical_temperature",
    "gain_from_slope",
    "gap_at_zero_temperature",
    "high_bias_damping_rate",
    "high_bias_photon_number",
    "high_bias_power",
    "noise_temperature",
    "nonequilibrium_state",
    "reflection_coefficient",
    "thermal_density",
    "thermal_photon_number",
    "wire_resistance_per_length",
]
