"""What Keysight's two analyzers have in common: how they send traces, and how they wait for a sweep."""

from collections.abc import Callable
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sim_instruments.panels.scpi import Call, Choice, ScpiError, ScpiPanel, Setting, command, encode_values
from sim_instruments.panels.scpi_values import mnemonic_matches
from sim_instruments.world.clock import SimulatedClock

__all__ = ["KeysightPanel", "with_aliases"]


def with_aliases(*settings: Setting) -> tuple[Setting, ...]:
    """`settings` with BANDwidth in their headers, and again with Keysight's second spelling BWIDth."""
    return settings + tuple(
        setting._replace(header=setting.header.replace("BANDwidth", "BWIDth")) for setting in settings
    )


class KeysightPanel(ScpiPanel):
    """A Keysight analyzer: trace format, byte order, overlapped sweeps."""

    settings: ClassVar[tuple[Setting, ...]] = (Setting(":FORMat:BORDer", "byte_order", Choice(("NORMal", "SWAPped"))),)
    ascii_name: ClassVar[str] = "ASC,8"

    def reset(self) -> None:
        """Return to the factory defaults."""
        super().reset()
        self.state["data_format"] = "ASC"

    @command(":FORMat[:TRACe][:DATA]")
    def _set_format(self, call: Call) -> None:
        call.expect(1, 2)
        name, *length = call.arguments
        if mnemonic_matches("ASCii", name):
            self.state["data_format"] = "ASC"
        elif mnemonic_matches("REAL", name) and (length or ["32"])[0] in ("32", "64"):
            self.state["data_format"] = "REAL," + (length or ["32"])[0]
        else:
            raise ScpiError(-224)

    @command(":FORMat[:TRACe][:DATA]?")
    def _show_format(self, call: Call) -> str:
        name: str = self.state["data_format"]
        return self.ascii_name if name == "ASC" else name

    def encode(self, values: NDArray[np.float64]) -> bytes:
        """`values` in the chosen format and byte order."""
        return encode_values(values, self.state["data_format"], swapped=self.state["byte_order"] == "SWAP")

    def poll_operation(self) -> bool:
        """Whether a sweep is still running, for a client that asks again and again.

        Simulated time passes only when somebody waits, and a client that polls does wait: its question lets the
        sweep finish. In real time the question costs nothing.
        """
        if isinstance(self.world.clock, SimulatedClock):
            self.wait_for_operation()
        return self.operation_pending()

    def restart_operation(self, duration: float, finish: Callable[[], None]) -> None:
        """Begin a running sweep anew, as a changed setting does; nothing happens where none is running."""
        if self.operation_pending():
            self.start_operation(duration, finish)
