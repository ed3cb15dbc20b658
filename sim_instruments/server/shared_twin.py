"""The twin that several programs share: one World, five front panels, messages from many clients, faults and a log.

Instruments work at the same time, as they do on a bench: while the network analyzer sweeps, the source still ramps. One
instrument takes one message at a time. The World itself is locked except while an instrument waits.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sim_instruments.instruments import ADDRESSES
from sim_instruments.panels import front_panels
from sim_instruments.panels.front_panel import FrontPanel
from sim_instruments.panels.keysight_n5222b import KeysightN5222BPanel
from sim_instruments.panels.keysight_n9030b import KeysightN9030BPanel
from sim_instruments.panels.sr830 import INPUT_OVERLOAD, SR830Panel
from sim_instruments.server.command_log import CommandLog
from sim_instruments.server.faults import Fault, FaultScript
from sim_instruments.world.clock import SharedClock
from sim_instruments.world.disturbed import DisturbedWorld
from sim_instruments.world.truth import LineWiring, Truth

__all__ = ["Disconnected", "Preset", "Reply", "SharedTwin"]

# Client number of what the twin does by itself.
TWIN = 0


@dataclass(frozen=True)
class Preset:
    """What the twin is found like when it starts.

    Attributes
    ----------
    source_level
        The source was left on at this level (V at the source); None: off, at 0.
    temperatures
        Schedule of the mixing chamber: (seconds since the start, kelvin) in order of time, each valid until the next.
        NaN is a reading that fails, None a thermometer that keeps showing its last reading.

    """

    source_level: float | None = None
    temperatures: Sequence[tuple[float, float | None]] = ()


@dataclass(frozen=True)
class Reply:
    """What a message leads to: the answer, as it will be sent after `delay` (s), and as it was before the faults."""

    answer: bytes
    delay: float
    unspoiled: bytes


class Disconnected(Exception):  # noqa: N818  # it is what happens, not an error
    """A fault broke the instrument's connections; the message was not carried out."""


class SharedTwin:
    """The instruments of the server.

    Parameters
    ----------
    truth
        What is true of the simulated fridge.
    seed
        Of its noise and of its faults; the truth's own if None.
    log
        File for the command log.
    faults
        Armed from the start.
    preset
        What it is found like.
    speed
        Time of the instruments per real time. Above 1, sweeps need less real time; the steps of a trigger model take
        real time nevertheless.
    wiring
        The bias line, where the truth has none of its own.

    """

    def __init__(
        self,
        truth: Truth,
        *,
        seed: int | None = None,
        log: Path | None = None,
        faults: Sequence[Fault] = (),
        preset: Preset | None = None,
        speed: float = 1.0,
        wiring: LineWiring | None = None,
    ) -> None:
        preset = preset or Preset()
        seed = truth.noise.seed if seed is None else seed
        self.log = CommandLog(log)
        self.faults = FaultScript(faults, seed)
        self._speed = speed
        self._turn = threading.Lock()
        self._clock = SharedClock(self._turn, speed)
        self._at_work = {role: threading.Lock() for role in ADDRESSES}
        self.world = DisturbedWorld(truth, self._clock, self._note_source)
        self.world.wiring = truth.wiring or wiring or LineWiring()
        self.world.reset(seed)
        self.panels = front_panels(self.world)
        self.schedule_temperatures(preset.temperatures)
        if preset.source_level is not None:
            self.leave_source(preset.source_level, output=True)

    def stop(self) -> None:
        """Stop the source, end all waiting and close the log."""
        with self._turn:
            self.panels["bias"].abort_operation()
        self._clock.stop()
        self.log.close()

    # --- messages -----------------------------------------------------------------------------------------------

    def carry_out(self, role: str, client: int, message: bytes, previous: bytes) -> Reply:
        """Carry out one message of `client`, with the faults that strike it.

        Parameters
        ----------
        role, client
            Instrument, and number of the client's connection.
        message
            Without its terminator.
        previous
            Answer to the client's query before, for answers in disorder.

        Raises
        ------
        Disconnected
            Where a fault breaks the connection first.

        """
        text = message.decode("latin-1").strip()
        panel = self.panels[role]
        with self._at_work[role]:
            self.log.write(role, client, "in", message)
            before = self._noted(self.faults.before(role, text), client)
            kinds = [fault.kind for fault in before]
            left = text
            for fault in before:
                left = fault.rest_of(left) if fault.kind == "ignore" else left
            if "disconnect" in kinds:
                raise Disconnected
            with self._turn:
                if "reset" in kinds:
                    panel.switch_on()
                self._disturb(role, panel)
                if left:
                    panel.receive(left.encode("latin-1"))
                answer = panel.drain()
                if role == "bias":
                    self._note_source(*self.world.source)
        struck = self._noted(self.faults.after(role, text), client) if answer else []
        delay = sum(fault.seconds for fault in struck if fault.kind == "delay")
        return Reply(self.faults.spoil(struck, answer, previous), delay, answer)

    def _noted(self, struck: list[Fault], client: int) -> list[Fault]:
        for fault in struck:
            self.log.write(fault.role, client, "event", f"fault: {fault.kind}")
        return struck

    def _disturb(self, role: str, panel: FrontPanel) -> None:
        """Bring the conditions that faults ask for into effect."""
        if role == "bias":
            self.world.trip_limit(tripped=self.faults.holds("bias", "compliance"))
        elif isinstance(panel, KeysightN9030BPanel | KeysightN5222BPanel):
            panel.overloaded = self.faults.holds(role, "overload")
        elif isinstance(panel, SR830Panel) and self.faults.holds(role, "overload"):
            panel.lockin_status |= INPUT_OVERLOAD

    def _note_source(self, level: float, output: bool) -> None:  # called back by position
        self.log.write("bias", TWIN, "event", "source", source=(level, output))

    # --- what a test changes while the twin runs ------------------------------------------------------------------

    def leave_source(self, level: float, *, output: bool) -> None:
        """Leave the source at `level` (V) as a former run might have, without a ramp.

        Raises
        ------
        ValueError
            Where the source does not take it.

        """
        with self._at_work["bias"], self._turn:
            self.panels["bias"].receive(f":SOUR:VOLT:RANG:AUTO ON;:SOUR:VOLT {level!r};:OUTP {output:d}".encode())
            left = self.world.source
        if left[1] != output or not abs(left[0] - level) <= 1e-3 * abs(level) + 1e-6:
            raise ValueError(f"the source cannot be left at {level!r} V; it is at {left[0]!r} V")

    def source_state(self) -> tuple[float, bool]:
        """Level (V at the source) and output, as the instrument holds them."""
        with self._turn:
            return self.world.source

    def schedule_temperatures(self, schedule: Sequence[tuple[float, float | None]]) -> None:
        """Begin a new schedule of the mixing chamber now; see `Preset`."""
        with self._turn:
            self.world.started = self._clock.time()
            self.world.schedule = [(seconds * self._speed, kelvin) for seconds, kelvin in schedule]
