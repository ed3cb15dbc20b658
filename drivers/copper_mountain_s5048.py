"""Copper Mountain S5048 network analyzer as a vector network analyzer of one complex parameter.

Its base is QCoDeS's class of the M5065, whose program it has, too, with the S5048's band. The class CMTS5048 of
qcodes_contrib_drivers sends commands of an older maker's analyzers, which are not in the program's manual.
"""

from typing import Any

from qcodes.instrument_drivers.CopperMountain import CopperMountainM5065
from qcodes.validators import Numbers

from drivers.copper_mountain import CopperMountain

__all__ = ["CopperMountainS5048"]

LOWEST, HIGHEST = 20e3, 4.8e9


class CopperMountainS5048(CopperMountain, CopperMountainM5065):
    """QCoDeS's driver of the M5065, filling the role `VectorNetworkAnalyzer`; parameters as of `NetworkAnalyzer`.

    20 kHz to 4.8 GHz, two ports. Raises ValueError if `parameter` is none of theirs; every method may raise
    CommunicationError.
    """

    MODELS = ("S5048",)

    def __init__(self, name: str, address: str, parameter: str = "S11", **options: Any) -> None:
        super().__init__(name, address, parameter, **options)
        self.min_freq, self.max_freq = LOWEST, HIGHEST
        for parameter_name in ("stop", "center"):
            self.parameters[parameter_name].vals = Numbers(LOWEST, HIGHEST)
