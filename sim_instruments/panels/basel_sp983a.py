"""Remote control Basel SP983a of a current amplifier: `GET G`, `SET G 1E7`, `GET F`, `GET O`.

Commands are those of QCoDeS's driver. Assumed, as no manual is at hand: the spelling of numbers, the answer of GET O,
and that what is not understood is answered with ERROR.

It reports the gain of the amplifier in the simulated fridge. A gain that is set by remote control is reported, but
does not change the signal.
"""

import re

from sim_instruments.panels.front_panel import FrontPanel

__all__ = ["BaselSP983aPanel"]

GAINS = tuple(10.0**n for n in range(5, 10))
FILTERS = {"30": "30Hz", "100": "100Hz", "300": "300Hz", "1K": "1kHz", "3K": "3kHz", "10K": "10kHz", "30K": "30kHz",
           "100K": "100kHz", "FULL": "FULL"}  # fmt: skip


class BaselSP983aPanel(FrontPanel):
    """An SP983a at the current amplifier."""

    identification = ""
    resource = "ASRL{}::INSTR"
    terminator = b"\r\n"
    number_format = "g"

    def switch_on(self) -> None:
        """Start with the gain of the amplifier and the full bandwidth."""
        super().switch_on()
        signal = self.wires.signal
        self.gain = abs(self.world.wiring.gain() if signal is None else signal.gain)
        self.bandwidth = "FULL"

    def execute_unit(self, unit: str) -> str:
        """Answer one command."""
        words = unit.upper().split()
        if words == ["GET", "G"]:
            return f"Gain: 1E{round(len(str(round(self.gain))) - 1)}"
        if words == ["GET", "F"]:
            return f"Filter: {self.bandwidth}"
        if words == ["GET", "O"]:
            return f"Overload: {self.overloaded:d}"
        if words[:2] == ["SET", "G"] and len(words) == 3 and re.fullmatch(r"1E[5-9]", words[2]):
            self.gain = float(words[2])
            return "OK"
        if words[:2] == ["SET", "F"] and len(words) == 3 and words[2] in FILTERS:
            self.bandwidth = FILTERS[words[2]]
            return "OK"
        return "ERROR"
