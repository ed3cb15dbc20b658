"""The source papers' figures, and their statements beside the computed values.

Every figure computes its curves, draws them, and compares the paper's statements with them.
"""

from collections.abc import Mapping

from labnis.reproduction.alternatives import ALTERNATIVES
from labnis.reproduction.conductances import CONDUCTANCES
from labnis.reproduction.gain import GAIN_CALIBRATION
from labnis.reproduction.isotherms import ISOTHERMS
from labnis.reproduction.microwave_source import PHOTON_BATH
from labnis.reproduction.powers import POWERS
from labnis.reproduction.published import AnyFigure, PublishedFigure, Statement, markdown_table
from labnis.reproduction.reflection_map import REFLECTION
from labnis.reproduction.suspended_cooler import SUSPENDED_COOLER
from labnis.reproduction.temperatures import TEMPERATURES

__all__ = ["FIGURES", "PublishedFigure", "Statement", "markdown_table"]

#: The figures by name, in the order of the papers.
FIGURES: Mapping[str, AnyFigure] = {
    "conductance": CONDUCTANCES,
    "alternatives": ALTERNATIVES,
    "powers": POWERS,
    "temperature": TEMPERATURES,
    "isotherms": ISOTHERMS,
    "suspended-cooler": SUSPENDED_COOLER,
    "photon-bath": PHOTON_BATH,
    "reflection": REFLECTION,
    "gain": GAIN_CALIBRATION,
}
