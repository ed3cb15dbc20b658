"""Front panel of the Rohde & Schwarz FSW (user manual 1173.9411.02), with its preamplifier (B24)."""

from typing import ClassVar

from sim_instruments.panels.front_panel import command
from sim_instruments.panels.rohde_schwarz_spectrum import TOO_FAST, RohdeSchwarzSpectrumPanel
from sim_instruments.panels.scpi_values import Call

__all__ = ["RohdeSchwarzFSWPanel"]


class RohdeSchwarzFSWPanel(RohdeSchwarzSpectrumPanel):
    """The FSW as its VISA session sees it: more points, a protected input, a register for the sweep time."""

    identification = "Rohde&Schwarz,FSW-26,TWIN0082/026,4.90"
    resource = "TCPIP{}::fsw.sim::inst0::INSTR"
    options = "B4,B24"
    most_points: ClassVar[int] = 100_001
    protects_input: ClassVar[bool] = True
    handlers: ClassVar = {
        ":INSTrument:LIST?": "'SANALYZER','Spectrum'",
        ":STATus:QUEStionable:TIMe:CONDition?": lambda self, _: str(TOO_FAST if self.too_fast() else 0),
    }

    @command(":INPut:ATTenuation:PROTection:RESet")
    def _connect_input(self, call: Call) -> None:
        """Connect the input again."""
        call.expect(0)
        self._disconnected = False
        self._overload = 0
