"""What the front panels of Stanford Research Systems' lock-in amplifiers have in common: the signal path, and status.

The sine output is the excitation on the bias line, the input is the current amplifier's output, and so is auxiliary
input 1, unless the station defines others. A second lock-in is locked to the reference of the first.
"""

import cmath
import math
from abc import abstractmethod
from typing import ClassVar

from sim_instruments.panels.front_panel import command
from sim_instruments.panels.scpi_values import Call
from sim_instruments.panels.word_panel import WordPanel
from sim_instruments.world.lockin_filter import Demodulator

__all__ = ["StanfordLockInPanel"]

UNLOCKED = 8
LOCKIN_SUMMARY = 8
# Corner (Hz) of the high-pass of AC coupling.
AC_CORNER = 0.16


class StanfordLockInPanel(WordPanel):
    """A demodulator behind an input, with a status word of its own (`LIAS?`)."""

    #: Range (V) and step (V) of the auxiliary inputs: 16 bit over ±10.5 V, 1/3 mV (specifications, "Aux. inputs").
    AUXILIARY_LIMIT: ClassVar[float] = 10.5
    AUXILIARY_STEP: ClassVar[float] = 1 / 3000
    #: Names of the settings that the input depends on.
    input_settings: ClassVar[tuple[str, ...]]

    handlers: ClassVar = {"ERRS?": lambda self, call: self.show_register(0, call)[0]}

    def switch_on(self) -> None:
        """Start as after power-up, with a settled filter."""
        self._demodulator = Demodulator(self.world, self.wires)
        super().switch_on()
        self._demodulator.settle_at_once()

    def reset(self) -> None:
        """Return to the standard settings."""
        super().reset()
        self.lockin_status = 0
        self._excite()
        self._input_changed()

    def setting_changed(self, name: str) -> None:
        """Set the excitation, and update the input."""
        if name == "SLVL":
            self._settle(self.world.clock.time())
        if name in ("SLVL", "FREQ"):
            self._excite()
        if name == "PHAS":
            self.state[name] = (self.state[name] + 180) % 360 - 180
        if name == "SLVL" or name in self.input_settings:
            self._input_changed()

    def complete_due_operation(self) -> None:
        """Let the filter settle until now."""
        super().complete_due_operation()
        self._settle(self.world.clock.time())

    def _excite(self) -> None:
        if self.wires.excites:
            self.world.set_excitation(self.state["SLVL"], self.state["FREQ"])

    # --- signal path ------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def sensitivity(self) -> float:
        """Full scale (V rms)."""

    @property
    @abstractmethod
    def time_constant(self) -> float:
        """Time constant of each filter stage (s)."""

    @property
    @abstractmethod
    def _locked(self) -> bool:
        """Whether the reference is locked."""

    @abstractmethod
    def _connected(self) -> bool:
        """Whether the signal is at the input that is selected."""

    @abstractmethod
    def _convert(self, value: float) -> float:
        """X or Y (V rms) as the converter shows it; sets the overload bit of the output."""

    @abstractmethod
    def _check_input(self) -> None:
        """Set the overload bit of the input if it is overloaded."""

    def _front_end(self) -> complex:
        """Transmission of input coupling and filters at the reference frequency."""
        frequency: float = self.state["FREQ"]
        return 1.0 if self.state["ICPL"] else frequency / (frequency - 1j * AC_CORNER)

    @property
    def _stages(self) -> int:
        """Number of filter stages."""
        return int(self.state["OFSL"]) + 1

    def _input_changed(self) -> None:
        """Update the input: only the selected input has the signal, and only at the reference's first harmonic."""
        seen = self._locked and self.state["HARM"] == 1 and self._connected()
        self._demodulator.input_changed(connected=seen)

    def _settle(self, time: float) -> None:
        self._demodulator.settle(time, self.time_constant)

    def signal(self, time: float) -> complex:
        """X + iY at `time` (s) after filter, noise, phase shift and converter (V rms)."""
        self._settle(time)
        return self._converted(self._demodulator.draw_noise(time, self.time_constant, self._stages))

    def _converted(self, noise: complex) -> complex:
        """The filter's present output with `noise`, after phase shift and converter (V rms); sets overload bits."""
        value = self._front_end() * (self._demodulator.output(self._stages) + noise)
        value *= cmath.exp(-1j * math.radians(self.state["PHAS"]))
        if not self._locked:
            self.lockin_status |= UNLOCKED
        self._check_input()
        return complex(self._convert(value.real), self._convert(value.imag))

    def _auxiliary_input(self, channel: int) -> float:
        voltage = max(-self.AUXILIARY_LIMIT, min(self.AUXILIARY_LIMIT, self._demodulator.auxiliary(channel)))
        return round(voltage / self.AUXILIARY_STEP) * self.AUXILIARY_STEP

    # --- auto phase and status --------------------------------------------------------------------------

    @command("APHS")
    def _auto_phase(self, call: Call) -> None:
        signal = self.signal(self.world.clock.time())
        shifted = self.state["PHAS"] + math.degrees(cmath.phase(signal))
        self.state["PHAS"] = round((shifted + 180) % 360 - 180, 2)

    def summary_bits(self) -> int:
        """Lock-in status byte."""
        return LOCKIN_SUMMARY if self.lockin_status & self.state["LIAE"] else 0

    @command("LIAS?")
    def _read_lockin_status(self, call: Call) -> str:
        self._converted(self._demodulator.noise)
        answer, cleared = self.show_register(self.lockin_status, call)
        self.lockin_status &= ~cleared
        return answer

    def clear_status(self) -> None:
        """Clear the event registers."""
        super().clear_status()
        self.lockin_status = 0
