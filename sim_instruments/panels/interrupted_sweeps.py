"""Sweeps that wait for a trigger, or for an alignment of the spectrum analyzer, and its operation register."""

from typing import ClassVar

import numpy as np

from sim_instruments.panels.front_panel import command
from sim_instruments.panels.scpi import ScpiPanel
from sim_instruments.panels.scpi_values import Call

__all__ = ["NEVER", "InterruptedSweepsPanel"]

#: Time (s) that a sweep takes which waits for a trigger in vain.
NEVER = 1e5
# Bits of the operation register, which Keysight and Rohde & Schwarz share.
ALIGNING, SWEEPING, MEASURING, WAITING = 1, 8, 16, 32


class InterruptedSweepsPanel(ScpiPanel):
    """A panel with the settings "trigger" (IMM is the only source that triggers) and "gated"."""

    handlers: ClassVar = {
        ":STATus:OPERation:CONDition?": lambda self, _: str(self.operation_condition()),
    }

    def switch_on(self) -> None:
        """Start as after power-up."""
        self._aligned_at, self._aligned = -np.inf, False
        super().switch_on()

    def waits_for_trigger(self) -> bool:
        """Whether no sweep begins."""
        return bool(self.state["gated"] or self.state["trigger"] != "IMM")

    def align(self, duration: float) -> None:
        """Align itself for `duration` (s), as it does by itself from time to time; a sweep waits meanwhile."""
        now = self.world.clock.time()
        self._aligned_at, self._aligned = now + duration, True
        if self.operation_pending():
            self.start_operation(self._busy_until - now + duration, self._finish)

    def operation_condition(self) -> int:
        """The operation register: aligning, sweeping, measuring, waiting for a trigger."""
        bits = ALIGNING if self.world.clock.time() < self._aligned_at else 0
        if self.operation_pending():
            bits |= WAITING if self.waits_for_trigger() else SWEEPING | MEASURING
        return bits

    @command(":STATus:OPERation[:EVENt]?")
    def _operation_event(self, call: Call) -> str:
        """What is latched; of the bits only that of an alignment is."""
        call.expect(0)
        aligned, self._aligned = self._aligned, False
        return str(ALIGNING if aligned else 0)
