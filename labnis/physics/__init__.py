"""The physics of NIS junctions and of the resonator they damp: equations only, NumPy in, NumPy out."""

from labnis.physics.junction import JunctionParameter, NISJunction
from labnis.physics.resonator import Resonator, reflection_coefficient, thermal_photon_number

__all__ = ["JunctionParameter", "NISJunction", "Resonator", "reflection_coefficient", "thermal_photon_number"]
