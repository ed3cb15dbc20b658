"""Front panel of a Keithley 6430 sub-femtoamp source-meter with its remote preamplifier.

`sim_instruments.panels.keithley_24xx` has what it shares with the 2400 series. From the 6430 reference manual: ranges,
compliance (17-59), filters (17-61), status word (17-47 to 17-49), and an identity that a user has logged. It has no
terminals at its front. Assumed: that the automatic filter is on after a reset and has no effect on a reading, that the
filter bit of the status is for any filter, a smallest compliance of 0.1 % of the lowest range, and that `:NPLC` is
accepted without a function, as the driver of qcodes_contrib_drivers sends it.
"""

from typing import Any, ClassVar

from sim_instruments.panels.front_panel import Setting
from sim_instruments.panels.keithley_24xx import Keithley24xxPanel
from sim_instruments.panels.keithley_24xx_settings import settings_of
from sim_instruments.panels.scpi_values import Integer, Number, Switch

__all__ = ["Keithley6430Panel"]

VOLTAGE_RANGES = (0.2, 2.0, 20.0, 200.0)
CURRENT_RANGES = tuple(10.0**decade for decade in range(-12, 0))


class Keithley6430Panel(Keithley24xxPanel):
    """A Keithley 6430 across the bias line."""

    identification = "KEITHLEY INSTRUMENTS INC.,MODEL 6430,TWIN0014,C27   Jul 12 2004 15:47:33/A02  /D/B"
    resource = "GPIB{}::26::INSTR"
    voltage_ranges = VOLTAGE_RANGES
    current_ranges = CURRENT_RANGES
    weakest = 0.0105
    settings: ClassVar[tuple[Any, ...]] = (
        *settings_of(VOLTAGE_RANGES, CURRENT_RANGES, 1e-15),
        Setting("[:SENSe<n>]:NPLCycles", "nplc", Number(1.0, 0.01, 10.0)),
        Setting("[:SENSe<n>]:AVERage:AUTO", "automatic filter", Switch(True)),
        Setting("[:SENSe<n>]:AVERage:REPeat[:STATe]", "repeating filter", Switch(False)),
        Setting("[:SENSe<n>]:AVERage:REPeat:COUNt", "repeats", Integer(1, 1, 100)),
        Setting("[:SENSe<n>]:MEDian[:STATe]", "median filter", Switch(False)),
        Setting("[:SENSe<n>]:MEDian:RANK", "rank", Integer(0, 0, 5)),
    )

    def filtered(self) -> bool:
        """Whether one of the filters is on."""
        return any(self.state[name] for name in ("filter", "automatic filter", "repeating filter", "median filter"))

    def averages(self) -> int:
        """Number of conversions that a reading needs: the stages follow each other."""
        repeats: int = self.state["repeats"] if self.state["repeating filter"] else 1
        medians: int = 2 * self.state["rank"] + 1 if self.state["median filter"] else 1
        return repeats * medians * super().averages()
