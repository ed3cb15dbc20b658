"""Front panel of the Agilent N5230C (PNA-L) network analyzer; see `keysight_pna`.

Two ports. Limits are those of QCoDeS; its firmware (A.09.42.22, QCoDeS users) does not have all states: see below.
"""

from typing import Any, ClassVar

from sim_instruments.panels.keysight_pna import KeysightPNAPanel, band_settings
from sim_instruments.panels.scpi_values import Number, ScpiError

__all__ = ["KeysightN5230CPanel"]

NEWER = ("CALC:MEAS", ":SDEL", "SWE:SPE", "IF:FILT", "CLAS:NAME")


class KeysightN5230CPanel(KeysightPNAPanel):
    """The analyzer as its VISA session sees it."""

    identification = "Agilent Technologies,N5230C,TWIN0042,A.09.42.22"
    resource = "TCPIP{}::n5230c.sim::inst0::INSTR"
    options = '"125"'
    band = (300e3, 13.5e9)
    ports = 2
    power = Number(0.0, -90.0, 13.0, "DBM")
    settings: ClassVar[tuple[Any, ...]] = band_settings(*band)

    def execute_unit(self, unit: str) -> str | bytes | None:
        """Execute one unit; headers of newer firmware are unknown (assumed which)."""
        if any(header in unit.upper() for header in NEWER):
            raise ScpiError(-113)
        return super().execute_unit(unit)
