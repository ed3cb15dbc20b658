"""Front panel of a Lake Shore 336 temperature controller: four inputs A to D, four outputs.

Inputs A to D are the mixing chamber, the still, the 4 K and the 50 K stage unless the station defines others. Output 1
warms the mixing chamber in closed loop if the input is the mixing chamber's, in open loop by MOUT percent of its
range's current. The other outputs can be set and read back, but have no effect. Facts as in `drivers.lakeshore_336`;
the sensors are those of the bridges, ohms included.
"""

import math
import re
from typing import Any, ClassVar

from sim_instruments.panels.front_panel import command
from sim_instruments.panels.lakeshore_bridge import FLAG, NAMES, PERIOD, resistance, table
from sim_instruments.panels.scpi_values import Call, Integer, Number, Text
from sim_instruments.panels.word_panel import WordPanel, word_settings

__all__ = ["LakeShore336Panel"]

INPUTS, OUTPUTS = range(1, 5), range(1, 5)
# An input's letter is its number for the tables.
LETTER = re.compile(
    r"\s*(KRDG|SRDG|CRDG|RDGST|INTYPE|INNAME|TLIMIT|INCRV|FILTER)\s*(\??)\s*([A-Da-d])\b(.*)", re.DOTALL
)
INVALID = 1
CURRENTS = {1: 0.707, 2: 1.0, 3: 1.141, 4: 1.414}
FRACTIONS = {0: 0.0, 1: 0.01, 2: 0.1, 3: 1.0}
HEATERS = {1: 25.0, 2: 50.0}
CLOSED_LOOP, OPEN_LOOP = 1, 3


class LakeShore336Panel(WordPanel):
    """A Lake Shore 336 on the fridge's thermometers."""

    identification = "LSCI,MODEL336,TWIN0062,2.9"
    resource = "GPIB{}::14::INSTR"
    terminator = b"\r\n"
    number_format = "+.5f"
    settings: ClassVar[tuple[Any, ...]] = (
        *word_settings(LOCK=FLAG),
        # type (0: disabled), autorange, range, compensation, units
        table("INTYPE", INPUTS, Integer(3, 0, 4), FLAG, Integer(6, 0, 8), FLAG, Integer(1, 1, 3)),
        table("INNAME", INPUTS, Text()),
        table("INCRV", INPUTS, Integer(21, 0, 59)),
        table("TLIMIT", INPUTS, Number(0.0, 0, 999)),
        table("FILTER", INPUTS, FLAG, Integer(8, 2, 64), Integer(10, 1, 10)),
        # mode, input, on at power-up
        table("OUTMODE", OUTPUTS, Integer(0, 0, 5), Integer(1, 0, 8), FLAG),
        # resistance, largest current, user's largest current (A), display
        table("HTRSET", range(1, 3), Integer(2, 1, 2), Integer(2, 0, 4), Number(0.1, 0.1, 2), Integer(1, 1, 2)),
        table("RANGE", OUTPUTS, Integer(0, 0, 3)),
        table("SETP", OUTPUTS, Number(0.0, 0, 1e6)),
        table("RAMP", OUTPUTS, FLAG, Number(0.1, 0, 100)),
        table("PID", OUTPUTS, Number(50.0, 0, 1000), Number(20.0, 0, 1000), Number(0.0, 0, 200)),
        table("MOUT", OUTPUTS, Number(0.0, -100, 100)),
    )
    handlers: ClassVar = {
        "CRVHDR?": "RX-102A-AA,TWIN,4,+420.000,1",
        "HTR?": lambda self, call: self.show_number(self.state["MOUT"][call.channel(OUTPUTS)][0]),
    }

    _heating: tuple[float, ...] = ()

    def reset(self) -> None:
        """Return to the defaults."""
        super().reset()
        self._latest: dict[int, tuple[float, float]] = {}
        self._heating = ()
        for channel in INPUTS:
            stage = self.wires.stages.get(channel)
            self.state["INNAME"][channel] = (NAMES[stage] if stage else "",)

    def execute_unit(self, unit: str) -> str | bytes | None:
        """Execute one command; the heater follows its settings at once."""
        found = LETTER.fullmatch(unit)
        if found is not None:
            number = "ABCD".index(found[3].upper()) + 1
            unit = f"{found[1]}{found[2]} {number}{found[4]}"
        answer = super().execute_unit(unit)
        self._heat()
        return answer

    def _heat(self) -> None:
        """Output 1 as it is set; each change of a setting changes it."""
        mode, channel, _ = self.state["OUTMODE"][1]
        ohms, limit, user, _ = self.state["HTRSET"][1]
        (code,), (target,), (percent,) = (self.state[name][1] for name in ("RANGE", "SETP", "MOUT"))
        full = FRACTIONS[code] * (CURRENTS.get(limit, user)) ** 2 * HEATERS[ohms]
        heating = full, target, percent, mode, self.wires.stages.get(channel) == "mixing_chamber"
        if heating == self._heating:
            return
        self._heating = heating
        if mode == CLOSED_LOOP and heating[-1]:
            self.world.heat_stage(full, target)
        else:
            self.world.heat_stage(full * (max(percent, 0.0) / 100) ** 2 if mode == OPEN_LOOP else 0.0)

    def _kelvin(self, channel: int) -> float:
        """The latest temperature (K) at an input, of which there are ten per second."""
        now = self.world.clock.time()
        if now - self._latest.get(channel, (-math.inf, 0.0))[0] >= PERIOD:
            self._latest[channel] = now, self.world.temperature(self.wires.stages[channel])
        return self._latest[channel][1]

    def _enabled(self, channel: int) -> bool:
        return channel in self.wires.stages and self.state["INTYPE"][channel][0] != 0

    @command("KRDG?")
    def _read_kelvin(self, call: Call) -> str:
        channel = call.channel(INPUTS)
        return self.show_number(self._kelvin(channel) if self._enabled(channel) else 0.0)

    @command("CRDG?")
    def _read_celsius(self, call: Call) -> str:
        channel = call.channel(INPUTS)
        return self.show_number(self._kelvin(channel) - 273.15 if self._enabled(channel) else 0.0)

    @command("SRDG?")
    def _read_sensor(self, call: Call) -> str:
        channel = call.channel(INPUTS)
        return self.show_number(resistance(self._kelvin(channel)) if self._enabled(channel) else 0.0)

    @command("RDGST?")
    def _reading_status(self, call: Call) -> str:
        return "000" if self._enabled(call.channel(INPUTS)) else f"{INVALID:03d}"

    @command("RAMPST?", "HTRST?")
    def _output_status(self, call: Call) -> str:
        call.channel(OUTPUTS)
        return "0"
