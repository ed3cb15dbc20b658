"""Front panel of the Rohde & Schwarz FSV (manual 1176.7510.02; legacy *IDN?, p. 609), with its preamplifier (B22)."""

from typing import ClassVar

from sim_instruments.panels.rohde_schwarz_spectrum import RohdeSchwarzSpectrumPanel

__all__ = ["RohdeSchwarzFSVPanel"]


class RohdeSchwarzFSVPanel(RohdeSchwarzSpectrumPanel):
    """The FSV as its VISA session sees it."""

    identification = "Rohde&Schwarz,FSV-30,TWIN0081/030,3.60"
    resource = "TCPIP{}::fsv.sim::inst0::INSTR"
    options = "B4,B22"
    most_points: ClassVar[int] = 32_001
