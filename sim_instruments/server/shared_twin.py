"""The twin that several programs share: one World, its front panels, messages from many clients, faults and a log.

Instruments work at the same time: while the network analyzer sweeps, the source still ramps. One
instrument executes one message at a time. The World itself is locked except while an instrument waits.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sim_instruments.instruments import PLAIN, SimulatedInstrument
from sim_instruments.panels import front_panels
from sim_instruments.server.command_log import CommandLog
from sim_instruments.server.faults import Fault, FaultScript
from sim_instruments.world import DisturbedWorld, SharedClock, Truth

__all__ = ["Disconnected", "Preset", "Reply", "Setup", "SharedTwin"]

# Client number of events that no message caused.
TWIN = 0


@dataclass(frozen=True)
class Preset:
    """The state of the twin when it starts.

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
class Setup:
    """Configuration of a shared twin.

    Attributes
    ----------
    seed
        Seed of its noise and of its faults; the truth's own if None.
    log
        File for the command log.
    faults
        Armed from the start.
    preset
        Its state when it starts.
    speed
        Time of the instruments per real time. Above 1, sweeps need less real time; trigger models still
        take real time.
    wiring
        The bias line as a station describes it (keys of `LineWiring`); the truth file takes precedence.
    instruments
        Of the station; those without a panel cannot be served.

    """

    seed: int | None = None
    log: Path | None = None
    faults: Sequence[Fault] = ()
    preset: Preset = field(default_factory=Preset)
    speed: float = 1.0
    wiring: Mapping[str, Any] = field(default_factory=dict)
    instruments: Mapping[str, SimulatedInstrument] = field(default_factory=lambda: PLAIN)


@dataclass(frozen=True)
class Reply:
    """Result of a message: the answer, sent after `delay` (s), and the answer as it was before the faults."""

    answer: bytes
    delay: float
    unspoiled: bytes


class Disconnected(Exception):  # noqa: N818  # a simulated event, not an error of the twin
    """A fault broke the instrument's connections; the message was not executed."""


class SharedTwin:
    """The instruments of the server: their truth and their configuration."""

    def __init__(self, truth: Truth, setup: Setup) -> None:
        seed = truth.noise.seed if setup.seed is None else setup.seed
        self.log = CommandLog(setup.log)
        self._source = next((name for name, one in setup.instruments.items() if one.plays("bias")), "bias")
        self._speed = setup.speed
        self._turn = threading.Lock()
        self._clock = SharedClock(self._turn, setup.speed)
        self.world = DisturbedWorld(truth, self._clock, self._note_source)
        self.world.wiring = truth.true_wiring(setup.wiring)
        self.world.reset(seed)
        self.panels = front_panels(self.world, setup.instruments)
        self._at_work = {name: threading.Lock() for name in self.panels}
        self.faults = FaultScript((), seed)
        for fault in setup.faults:
            self.arm(fault)
        self.schedule_temperatures(setup.preset.temperatures)
        if setup.preset.source_level is not None:
            self.leave_source(setup.preset.source_level, output=True)

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
        text = message.decode("latin-1").strip()
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
                    panel.receive(text.encode("latin-1"))
                answer = panel.drain()
                if name == self._source:
                    self._note_source(*self.world.source)
        struck = self._noted(self.faults.after(name, message.decode("latin-1").strip()), client) if answer else []
        delay = sum(fault.seconds for fault in struck if fault.kind == "delay")
        return Reply(self.faults.spoil(struck, answer, previous), delay, answer)

    def _noted(self, struck: list[Fault], client: int) -> list[Fault]:
        for fault in struck:
            self.log.write(fault.instrument, client, "event", f"fault: {fault.kind}")
        return struck

    def _note_source(self, level: float, output: bool) -> None:  # called back by position
        self.log.write(self._source, TWIN, "event", "source", source=(level, output))

    # --- changes by a test while the twin runs --------------------------------------------------------------------

    def request(self, do: str, **details: Any) -> dict[str, Any]:
        """Execute a request of the control socket, see `sim_instruments.server.control`.

        Raises
        ------
        ValueError, TypeError
            It cannot be executed.

        """
        match do:
            case "fault":
                self.arm(Fault(**details))
            case "faults":
                return {"struck": self.faults.struck()}
            case "clear":
                self.faults.clear()
            case "source":
                with self._turn:
                    return dict(zip(("level", "output"), self.world.source, strict=True))
            case "leave":
                self.leave_source(**details)
            case "temperatures":
                self.schedule_temperatures([(float(seconds), kelvin) for seconds, kelvin in details["schedule"]])
            case _:
                allowed = "fault, faults, clear, source, leave, temperatures, shutdown"
                raise ValueError(f"{do!r} is not a request; allowed are {allowed}")
        return {}

    def arm(self, fault: Fault) -> None:
        """Add a fault, which counts messages from now on.

        Raises
        ------
        ValueError
            The instrument does not exist or cannot have this fault; the message lists the allowed ones.

        """
        able = [name for name, panel in self.panels.items() if fault.is_possible(panel.conditions)]
        if fault.instrument not in able:
            raise ValueError(
                f"a fault {fault.kind!r} cannot strike {fault.instrument!r}; allowed are {', '.join(able)}"
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
        if left[1] != output or not abs(left[0] - level) <= 1e-3 * abs(level) + 1e-6:
            raise ValueError(f"the source cannot be left at {level!r} V; it is at {left[0]!r} V")

    def schedule_temperatures(self, schedule: Sequence[tuple[float, float | None]]) -> None:
        """Begin a new schedule of the mixing chamber now; see `Preset`."""
        with self._turn:
            self.world.started = self._clock.time()
            self.world.schedule = [(seconds * self._speed, kelvin) for seconds, kelvin in schedule]
