"""Front panel of the Keysight E5080B (ENA) network analyzer; see `keysight_pna`.

Limits are those of qcodes_contrib_drivers; firmware and options are assumed.
"""

from typing import Any, ClassVar

from sim_instruments.panels.keysight_pna import KeysightPNAPanel, band_settings
from sim_instruments.panels.scpi_values import Number

__all__ = ["KeysightE5080BPanel"]


class KeysightE5080BPanel(KeysightPNAPanel):
    """The analyzer as its VISA session sees it."""

    identification = "Keysight Technologies,E5080B,TWIN0043,A.16.20.05"
    resource = "TCPIP{}::e5080b.sim::inst0::INSTR"
    options = '"4N0"'
    band = (100e3, 53e9)
    power = Number(0.0, -100.0, 20.0, "DBM")
    settings: ClassVar[tuple[Any, ...]] = band_settings(*band)
