"""Front panel of a Lake Shore 372 AC resistance bridge (manual, chapter 6): sixteen inputs, three outputs.

Inputs, scanner and sample heater (output 0) are those of `sim_instruments.panels.lakeshore_bridge`. The other outputs
can be set and read back, but have no effect.
"""

from typing import Any, ClassVar

from sim_instruments.panels.front_panel import command
from sim_instruments.panels.lakeshore_bridge import FLAG, INPUTS, NAMES, LakeShoreBridgePanel, resistance, table
from sim_instruments.panels.scpi_values import Call, Integer, Number, Text

__all__ = ["LakeShore372Panel"]

OUTPUTS = range(3)
OPEN_LOOP, CLOSED_LOOP = 2, 5


class LakeShore372Panel(LakeShoreBridgePanel):
    """A Lake Shore 372 on the fridge's thermometers."""

    identification = "LSCI,MODEL372,TWIN0005,1.3"
    settings: ClassVar[tuple[Any, ...]] = (
        # excitation mode, excitation range, autorange, range, shunted, units
        table("INTYPE", INPUTS, FLAG, Integer(2, 1, 22), Integer(1, 0, 2), Integer(14, 1, 22), FLAG, Integer(1, 1, 2)),
        table("INNAME", INPUTS, Text()),
        table("TLIMIT", INPUTS, Number(0.0, 0, 999)),
        # mode, input, on at power-up, polarity, filter, delay (s)
        table("OUTMODE", OUTPUTS, Integer(0, 0, 6), Integer(1, 1, 16), FLAG, FLAG, FLAG, Integer(5, 0, 255)),
        # type, resistance, largest current, user's largest current (A), display
        table("HTRSET", OUTPUTS, FLAG, Integer(1, 1, 2), Integer(1, 0, 4), Number(0.0, 0, 2), Integer(1, 1, 2)),
        table("RANGE", OUTPUTS, Integer(0, 0, 8)),
        table("SETP", OUTPUTS, Number(0.0, 0, 1e6)),
        table("RAMP", OUTPUTS, FLAG, Number(0.1, 0, 100)),
        table("PID", OUTPUTS, Number(10.0, 0, 1000), Number(20.0, 0, 10000), Number(0.0, 0, 2500)),
        table("MOUT", OUTPUTS, Number(0.0, -100, 100)),
    )
    handlers: ClassVar = {
        "KRDG?": lambda self, call: self.reading(call),
        "SRDG?": lambda self, call: self.reading(call, resistance),
    }

    def heater(self) -> tuple[int, float, float, bool, bool, int]:
        """Output 0, in the modes open and closed loop."""
        mode, channel, *_ = self.state["OUTMODE"][0]
        (code,), (target,), (percent,) = (self.state[name][0] for name in ("RANGE", "SETP", "MOUT"))
        return code, target, percent, mode == CLOSED_LOOP, mode == OPEN_LOOP, channel

    def reset(self) -> None:
        """Return to the defaults."""
        super().reset()
        for channel, stage in self.wires.stages.items():
            self.state["INNAME"][channel] = (NAMES[stage],)

    @command("RAMPST?", "HTRST?")
    def _output_status(self, call: Call) -> str:
        call.channel(OUTPUTS)
        return "0"
