"""Copper Mountain M5065 network analyzer as a vector network analyzer of one complex parameter."""

from qcodes.instrument_drivers.CopperMountain import CopperMountainM5065 as QCoDeSCopperMountainM5065

from drivers.copper_mountain import CopperMountain

__all__ = ["CopperMountainM5065"]


class CopperMountainM5065(CopperMountain, QCoDeSCopperMountainM5065):
    """The QCoDeS driver, filling the role `VectorNetworkAnalyzer`; parameters as of `NetworkAnalyzer`.

    300 kHz to 6.5 GHz, two ports. Raises ValueError if `parameter` is none of theirs; every method may raise
    CommunicationError.
    """

    MODELS = ("M5065",)
