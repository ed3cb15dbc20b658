"""Front panel of a Keithley 2400 source-meter; `sim_instruments.panels.keithley_24xx` has what it shares."""

from typing import Any, ClassVar

from sim_instruments.panels.front_panel import Setting
from sim_instruments.panels.keithley_24xx import Keithley24xxPanel
from sim_instruments.panels.keithley_24xx_settings import settings_of
from sim_instruments.panels.scpi_values import Choice

__all__ = ["Keithley2400Panel"]

VOLTAGE_RANGES = (0.2, 2.0, 20.0, 200.0)
CURRENT_RANGES = tuple(10.0**decade for decade in range(-6, 1))


class Keithley2400Panel(Keithley24xxPanel):
    """A Keithley 2400 across the bias line."""

    identification = "KEITHLEY INSTRUMENTS INC.,MODEL 2400,TWIN0010,C30   Mar 17 2006 09:29:29/A02  /K/J"
    resource = "GPIB{}::24::INSTR"
    voltage_ranges = VOLTAGE_RANGES
    current_ranges = CURRENT_RANGES
    weakest = 0.105
    settings: ClassVar[tuple[Any, ...]] = (
        *settings_of(VOLTAGE_RANGES, CURRENT_RANGES, 1e-9),
        Setting(":ROUTe:TERMinals", "terminals", Choice("FRONt", "REAR")),
        Setting("[:SENSe<n>]:AVERage:TCONtrol", "filter type", Choice("REPeat", "MOVing")),
    )
