"""What the panels of Lake Shore's AC resistance bridges (370, 372) share: sixteen inputs, a scanner, the sample heater.

Inputs 1 to 4 are the mixing chamber, the still, the 4 K and the 50 K stage unless the station defines others; the other
inputs are disabled. The sample heater warms the mixing chamber, in open loop by MOUT percent of its range's current, in
closed loop if the input is the mixing chamber's. While it scans, each enabled input has a new reading at any time, as
from an infinitely fast scanner; without autoscan only the input at which the scanner stands has one, and the others
keep their last.
"""

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from sim_instruments.panels.front_panel import command
from sim_instruments.panels.scpi_values import Call, Integer, Kind
from sim_instruments.panels.word_panel import Table, WordPanel, word_settings
from sim_instruments.world.fridge import Stage

__all__ = ["CURRENTS", "FLAG", "INPUTS", "NAMES", "PERIOD", "LakeShoreBridgePanel", "resistance", "table"]

NAMES: dict[Stage, str] = {
    "mixing_chamber": "Mixing chamber",
    "still": "Still",
    "four_kelvin": "4 K",
    "fifty_kelvin": "50 K",
}
INPUTS = range(1, 17)
PERIOD = 0.1
"""Time (s) between two readings of an input; a query answers with the latest at once."""
FLAG = Integer(0, 0, 1)
# RDGST?: 16 = resistance over range, as for an open input.
OVER_RANGE = 16
#: Full-scale current (A) of the sample heater in its ranges 1 to 8, and the heater (ohm).
CURRENTS = (0.0, 31.6e-6, 100e-6, 316e-6, 1e-3, 3.16e-3, 10e-3, 31.6e-3, 100e-3)
HEATER = 100.0


def resistance(temperature: float) -> float:
    """Resistance (ohm) of the sensor at `temperature` (K): a ruthenium oxide chip of 1 kΩ at room temperature.

    R = 1000 Ω · exp((0.5 K / T)^{1/4}), the variable-range hopping law such chips follow below 4 K.
    """
    return float(1000.0 * 2.718281828459045 ** ((0.5 / temperature) ** 0.25))


def table(name: str, channels: range, *kinds: Kind) -> Table:
    """A table whose real numbers have four decimals."""
    return Table(name, channels, *kinds, real="+.4f")


class LakeShoreBridgePanel(WordPanel):
    """A bridge on the fridge's thermometers."""

    resource = "GPIB{}::12::INSTR"
    terminator = b"\r\n"
    number_format = "+.5E"
    settings: ClassVar[tuple[Any, ...]] = (
        *word_settings(BRIGT=Integer(0, 0, 3), LOCK=Integer(0, 0, 2)),
        # enabled, dwell (s), pause (s), curve, temperature coefficient
        table("INSET", INPUTS, FLAG, Integer(10, 1, 200), Integer(3, 3, 200), Integer(0, 0, 59), Integer(1, 1, 2)),
        # on, settle time (s), window (%)
        table("FILTER", INPUTS, FLAG, Integer(10, 1, 200), Integer(10, 1, 80)),
    )
    handlers: ClassVar = {
        "RDGR?": lambda self, call: self.reading(call, resistance),
        "RDGST?": lambda self, call: "000" if self.enabled(call.channel(INPUTS)) else f"{OVER_RANGE:03d}",
        "SCAN?": lambda self, _: f"{self.scanned:02d},{self.autoscan}",
        "HTR?": lambda self, _: self.show_number(0.0),
    }

    _heating: tuple[float, ...] = ()
    """Settings of the sample heater that are in effect."""

    def execute_unit(self, unit: str) -> str | bytes | None:
        """Execute one command; the heater follows its settings at once."""
        answer = super().execute_unit(unit)
        self._heat()
        return answer

    @abstractmethod
    def heater(self) -> tuple[int, float, float, bool, bool, int]:
        """Range, set-point (K), percent, whether the loop is closed, whether it is open, and its input."""

    def _heat(self) -> None:
        """The sample heater as it is set; each change of a setting changes it."""
        code, target, percent, closed, opened, channel = self.heater()
        full = CURRENTS[code] ** 2 * HEATER
        heating = full, target, percent, closed, opened, self.wires.stages.get(channel) == "mixing_chamber"
        if heating == self._heating:
            return
        self._heating = heating
        if closed and heating[-1]:
            self.world.heat_stage(full, target)
        else:
            self.world.heat_stage(full * (max(percent, 0.0) / 100) ** 2 if opened else 0.0)

    def reset(self) -> None:
        """Return to the defaults."""
        super().reset()
        self._heating = ()
        for channel in self.wires.stages:
            self.state["INSET"][channel] = (1, 10, 3, 21, 1)
        self.scanned = 1
        self.autoscan = 1
        self._last: dict[int, tuple[float, float]] = {}

    def reading(self, call: Call, shown: Callable[[float], float] = lambda kelvin: kelvin) -> str:
        """The latest reading of an input, of which there are ten per second; 0 where the input is not enabled."""
        channel = call.channel(INPUTS)
        if not self.enabled(channel):
            return self.show_number(0.0)
        if self.autoscan or channel == self.scanned or channel not in self._last:
            now, (measured, _) = self.world.clock.time(), self._last.get(channel, (-math.inf, 0.0))
            if now - measured >= PERIOD:
                self._last[channel] = now, self.world.temperature(self.wires.stages[channel])
        return self.show_number(shown(self._last[channel][1]))

    def enabled(self, channel: int) -> bool:
        """Whether there is a sensor at the input `channel`, and it is enabled."""
        return channel in self.wires.stages and self.state["INSET"][channel][0] == 1

    @command("SCAN")
    def _set_scan(self, call: Call) -> None:
        call.expect(2)
        channel, autoscan = round(call.number(0, 1, 16)), round(call.number(1, 0, 1))
        for known in self.wires.stages:  # what is not measured any more keeps the value that it has now
            if self.enabled(known):
                self._last[known] = self.world.clock.time(), self.world.temperature(self.wires.stages[known])
        self.scanned, self.autoscan = channel, autoscan
