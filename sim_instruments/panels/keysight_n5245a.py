"""Front panel of the Keysight N5245A (PNA-X) network analyzer; see `keysight_pna`.

Options: attenuators (419), frequency offset (080). Limits are those of QCoDeS.
"""

from typing import Any, ClassVar

from sim_instruments.panels.keysight_pna import KeysightPNAPanel, band_settings
from sim_instruments.panels.scpi_values import Number

__all__ = ["KeysightN5245APanel"]


class KeysightN5245APanel(KeysightPNAPanel):
    """The analyzer as its VISA session sees it."""

    identification = "Agilent Technologies,N5245A,TWIN0041,A.09.90.02"
    resource = "TCPIP{}::n5245a.sim::inst0::INSTR"
    options = '"419,080"'
    band = (10e6, 50e9)
    power = Number(0.0, -90.0, 13.0, "DBM")
    settings: ClassVar[tuple[Any, ...]] = band_settings(*band)
