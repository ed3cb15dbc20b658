"""The source papers' figures, and their statements beside the computed values.

Every figure computes its curves, draws them, and compares the paper's statements with them.
"""

from collections.abc import Mapping

from labnis.reproduction.alternatives import Alternatives
from labnis.reproduction.conductances import Conductances
from labnis.reproduction.gain import GainCalibrations
from labnis.reproduction.isotherms import Isotherms
from labnis.reproduction.microwave_source import PhotonBath
from labnis.reproduction.powers import Powers
from labnis.reproduction.published import PublishedFigure, Statement, markdown_table
from labnis.reproduction.reflection_map import ReflectionMap
from labnis.reproduction.suspended_cooler import SuspendedCooler
from labnis.reproduction.temperatures import Temperatures

__all__ = ["FIGURES", "PublishedFigure", "Statement", "markdown_table"]

#: The figures by name, in the order of the papers.
FIGURES: Mapping[str, type[PublishedFigure]] = {
    "conductance": Conductances,
    "alternatives": Alternatives,
    "powers": Powers,
    "temperature": Temperatures,
    "isotherms": Isotherms,
    "suspended-cooler": SuspendedCooler,
    "photon-bath": PhotonBath,
    "reflection": ReflectionMap,
    "gain": GainCalibrations,
}
