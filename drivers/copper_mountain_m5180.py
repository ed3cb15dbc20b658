"""Copper Mountain M5180 network analyzer as a vector network analyzer of one complex parameter."""

from qcodes.instrument_drivers.CopperMountain import CopperMountainM5180 as QCoDeSCopperMountainM5180

from drivers.copper_mountain import CopperMountain

__all__ = ["CopperMountainM5180"]


class CopperMountainM5180(CopperMountain, QCoDeSCopperMountainM5180):
    """The QCoDeS driver, filling the role `VectorNetworkAnalyzer`; parameters as of `NetworkAnalyzer`.

    300 kHz to 18 GHz, two ports. Raises ValueError if `parameter` is none of theirs; every method may raise
    CommunicationError.
    """

    MODELS = ("M5180",)
