"""Rohde & Schwarz FSV, FSVA, FSVR and FSV3000 as a spectrum analyzer that measures noise power density."""

from typing import ClassVar

from drivers.rohde_schwarz_spectrum import RohdeSchwarzSpectrum

__all__ = ["RohdeSchwarzFSV"]


class RohdeSchwarzFSV(RohdeSchwarzSpectrum):
    """An FSV; see `drivers.rohde_schwarz_spectrum`. It has up to 32001 points and 32767 sweeps."""

    MOST_POINTS: ClassVar[int] = 32_001
    MOST_SWEEPS: ClassVar[int] = 32_767
