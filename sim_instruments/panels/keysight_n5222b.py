"""Front panel of the Keysight N5222B (PNA) network analyzer; see `keysight_pna`.

Options: attenuators (419), frequency offset (080).
"""

from typing import Any, ClassVar

from sim_instruments.panels.keysight_pna import KeysightPNAPanel, band_settings
from sim_instruments.panels.scpi_values import Number

__all__ = ["KeysightN5222BPanel"]


class KeysightN5222BPanel(KeysightPNAPanel):
    """The analyzer as its VISA session sees it."""

    identification = "Keysight Technologies,N5222B,TWIN0004,A.17.20.06"
    resource = "TCPIP{}::n5222b.sim::inst0::INSTR"
    options = '"419,080,093"'
    band = (10e6, 26.5e9)
    power = Number(0.0, -95.0, 13.0, "DBM")
    settings: ClassVar[tuple[Any, ...]] = band_settings(*band)
