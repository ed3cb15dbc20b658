"""What the panels of Keithley's touch-screen instruments have in common besides readings: events, beeper, the mains."""

from datetime import UTC, datetime, timedelta
from typing import ClassVar

from sim_instruments.panels.front_panel import command
from sim_instruments.panels.scpi import ScpiPanel
from sim_instruments.panels.scpi_values import Call, ScpiError

__all__ = ["EventPanel", "moment"]

# The panel's calendar starts here at time zero of the twin, so that a dry run repeats to the byte.
SWITCHED_ON = datetime(2026, 1, 1, tzinfo=UTC)


def moment(time: float) -> datetime:
    """Date and time on the panel's calendar, `time` (s) after power-up."""
    return SWITCHED_ON + timedelta(seconds=time)


class EventPanel(ScpiPanel):
    """The part of the front panel with the event log."""

    handlers: ClassVar = {
        ":SYSTem:LFRequency?": lambda self, _: f"{self.world.wiring.line_frequency:.0f}",
        ":SYSTem:EVENtlog:COUNt?": lambda self, _: str(len(self.errors)),
    }

    def format_error(self, error: ScpiError) -> str:
        """One event in Keithley's format: severity and time follow the text."""
        if error.code == 0:
            return '0,"No error;0;0 0"'
        return f'{error.code},"{error.text};1;{moment(self.world.clock.time()):%Y/%m/%d %H:%M:%S.%f}"'

    @command(":SYSTem:CLEar", ":STATus:CLEar")
    def _clear_events(self, call: Call) -> None:
        self.errors.clear()
        self.event_status = 0

    @command(":SYSTem:BEEPer[:IMMediate]")
    def _beep(self, call: Call) -> None:
        call.number(0, 20, 8000)
        call.number(1, 0.001, 100)
