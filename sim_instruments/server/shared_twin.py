"""The twin that several programs share: one World, its front panels, messages from many clients, faults and a log.

Instruments work at the same time: while the network analyzer sweeps, the source still ramps. One
instrument executes one message at a time. The World itself is locked except while an instrument waits.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim_instruments.instruments import Setup
from sim_instruments.panels import front_panels
from sim_instruments.panels.block_data import as_bytes, as_text
from sim_instruments.server.command_log import CommandLog
from sim_instruments.server.faults import CONDITIONS, Fault, FaultScript
from sim_instruments.server.fridge_web import web_server_of
from sim_instruments.server.requests import LeaveSource, PlainRequest, Request, Temperatures
from sim_instruments.world import DisturbedWorld, SharedClock, Truth

__all__ = ["Disconnected", "SharedTwin"]

# Client number of events that no message caused.
TWIN = 0


@dataclass(frozen=True)
class Reply:
    """Result of a message: the answer, sent after `delay` (s), and the answer as it was before the faults."""

    answer: bytes
    delay: float
    unspoiled: bytes


class Disconnected(Exception):  # noqa: N818  # a simulated event, not an error of the twin
    """A fault broke the instrument's connections; the message was not executed."""


class SharedTwin:
    """The instruments of the server.

    Parameters
    ----------
    truth
        Their truth.
    seed
        Seed of their noise and of the faults; the truth's own if None.
    log
        File for the command log.
    speed
        Time of the instruments per real time. Above 1, sweeps need less real time; trigger models still
        take real time.
    setup
        Instruments and wiring, by default those of plain `@labnis`.

    """

    def __init__(
        self,
        truth: Truth,
        *,
        seed: int | None = None,
        log: Path | None = None,
        speed: float = 1.0,
        setup: Setup = Setup(),  # noqa: B008  # frozen
    ) -> None:
        seed = truth.noise.seed if seed is None else seed
        self.log = CommandLog(log)
        self._instruments = setup.instruments
        self._source = next((name for name, one in setup.instruments.items() if one.plays("bias")), "")
        self._speed = speed
        self._turn = threading.Lock()
        self._clock = SharedClock(self._turn, speed)
        self.world = DisturbedWorld(truth, self._clock, self._note_source)
        self.world.stated = setup.stated
        self.world.wiring = truth.true_wiring(setup.wiring)
        self.world.reset(seed)
        self.panels = front_panels(self.world, setup.instruments)
        kinds = {name: web_server_of(one) for name, one in setup.instruments.items()}
        self.web_servers = {name: kind(self.world) for name, kind in kinds.items() if kind is not None}
        for server in self.web_servers.values():
            server.turn = self._turn
        self._at_work = {name: threading.Lock() for name in self.panels}
        self.faults = FaultScript(seed)

    def stop(self) -> None:
        """Stop the source, end all waiting and close the log."""
        with self._turn:
            for panel in self.panels.values():
                panel.abort_operation()
        self._clock.stop()
        self.log.close()

    # --- messages -----------------------------------------------------------------------------------------------

    def carry_out(self, name: str, client: int, message: bytes, previous: bytes) -> Reply:
        """Execute one message of `client`, with the faults that affect it.

        Parameters
        ----------
        name, client
            Instrument, and number of the client's connection.
        message
            Without its terminator.
        previous
            Answer to the client's previous query, for the fault "swap".

        Raises
        ------
        Disconnected
            A fault breaks the connection first.

        """
        whole = text = as_text(message).strip()
        panel = self.panels[name]
        with self._at_work[name]:
            self.log.write(name, client, "in", message)
            before = self._noted(self.faults.before(name, text), client)
            kinds = [fault.kind for fault in before]
            for fault in before:
                text = fault.rest_of(text) if fault.kind == "ignore" else text
            if "disconnect" in kinds:
                raise Disconnected
            with self._turn:
                if "reset" in kinds:
                    panel.switch_on()
                panel.overloaded = self.faults.holds(name, "overload")
                if name == self._source:
                    self.world.trip_limit(tripped=self.faults.holds(name, "compliance"))
                if text:
                    panel.receive(as_bytes(text))
                answer = panel.drain()
                if name == self._source:
                    self._note_source(self.world.source.level, self.world.source.output)
        struck = self._noted(self.faults.after(name, whole), client) if answer else []
        delay = sum(fault.seconds for fault in struck if fault.kind == "delay")
        return Reply(self.faults.spoil(struck, answer, previous), delay, answer)

    def _noted(self, struck: list[Fault], client: int) -> list[Fault]:
        for fault in struck:
            self.log.write(fault.instrument, client, "event", f"fault: {fault.kind}")
        return struck

    def _note_source(self, level: float, output: bool) -> None:  # called back by position
        self.log.write(self._source, TWIN, "event", "source", source=(level, output))

    # --- changes by a test while the twin runs --------------------------------------------------------------------

    def request(self, request: Request) -> dict[str, Any]:
        """Execute a request of the control socket, see `sim_instruments.server.control`.

        Raises
        ------
        ValueError
            It cannot be executed.

        """
        match request:
            case Fault():
                self.arm(request)
            case LeaveSource():
                self.leave_source(request.level, output=request.output)
            case Temperatures():
                self.schedule_temperatures(request.schedule)
            case PlainRequest("faults"):
                return {"struck": self.faults.struck()}
            case PlainRequest("clear"):
                self.faults.clear()
            case PlainRequest("source"):
                with self._turn:
                    return {"level": self.world.source.level, "output": self.world.source.output}
        return {}

    def arm(self, fault: Fault) -> None:
        """Add a fault, which counts messages from now on.

        Raises
        ------
        ValueError
            The instrument does not exist or cannot have this fault; the message lists the allowed ones.

        """
        kinds = CONDITIONS.get(fault.kind)
        able = [
            name for name in self.panels if kinds is None or any(self._instruments[name].plays(kind) for kind in kinds)
        ]
        if fault.instrument not in able:
            raise ValueError(
                f"a fault {fault.kind!r} cannot be injected into {fault.instrument!r}; allowed are {', '.join(able)}"
            )
        self.faults.arm(fault)

    def leave_source(self, level: float, *, output: bool) -> None:
        """Set the source to `level` (V) without a ramp, like one that an earlier run left on.

        Raises
        ------
        ValueError
            The source does not accept it.

        """
        with self._at_work[self._source], self._turn:
            self.panels[self._source].receive(f":SOUR:VOLT:RANG:AUTO ON;:SOUR:VOLT {level!r};:OUTP {output:d}".encode())
            left = self.world.source
        if left.output != output or not abs(left.level - level) <= 1e-3 * abs(level) + 1e-6:
            raise ValueError(f"the source cannot be left at {level!r} V; it is at {left.level!r} V")

    def schedule_temperatures(self, schedule: Sequence[tuple[float, float | None]]) -> None:
        """Begin a new schedule of the mixing chamber now; see `DisturbedWorld`."""
        with self._turn:
            self.world.started = self._clock.time()
            self.world.schedule = [(seconds * self._speed, kelvin) for seconds, kelvin in schedule]
