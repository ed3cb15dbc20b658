"""The physics of NIS junctions and of the resonator they damp: equations only, NumPy in, NumPy out."""

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

__all__ = [
    "JunctionParameter",
    "NISJunction",
    "PowerExpansion",
    "Resonator",
    "asymptotic_damping_rate",
    "gain_from_slope",
    "high_bias_damping_rate",
    "high_bias_photon_number",
    "high_bias_power",
    "noise_temperature",
    "reflection_coefficient",
    "thermal_photon_number",
]
