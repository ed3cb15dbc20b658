"""Front panel of an SRS SIM900 mainframe with isolated voltage sources SIM928 in its ports.

From the SIM928 manual (rev. 2.0), the drivers of qcodes_contrib_drivers, and those of others who had the hardware. The
mainframe's own manual was not available. Assumed: the mainframe ends answers with CR LF; a device clear does not end a
connection; a module answers 20 ms after its query; its output is off at 0 V after power-up.

Quirks that are simulated: messages go through buffers, whose old bytes come first; after `CONN p,"xyz"` everything goes
to the module until `xyz`, also from the next client; a module ends its answers with CR LF until `TERM LF`; levels have
steps of 1 mV; there is no current limit but that of the batteries.
"""

import re
from collections.abc import Callable
from typing import ClassVar

from sim_instruments.panels.front_panel import command
from sim_instruments.panels.scpi_values import Call, ScpiError, Text, parse_number
from sim_instruments.panels.word_panel import WordPanel
from sim_instruments.world.fridge import Clock

__all__ = ["SIM900Panel", "VoltageModule"]

PORTS = range(1, 10)
UNIT = re.compile(r"\s*(\*?[A-Za-z]{3,4})(\??)\s*(.*?)\s*", re.ASCII)
LARGEST, STEP = 20.0, 1e-3
# Current (A) that the batteries give into a short circuit.
SHORT_CIRCUIT = 15e-3
ANSWER_TIME = 0.02
COMMAND_ERROR, EXECUTION_ERROR = 32, 16
TERMINATORS = {"NONE": b"", "CR": b"\r", "LF": b"\n", "CRLF": b"\r\n", "LFCR": b"\n\r"}
ILLEGAL_VALUE, UNDEFINED_COMMAND, MISSING_PARAMETER, BAD_NUMBER = 1, 2, 5, 9


class VoltageModule:
    """A SIM928.

    Parameters
    ----------
    serial
        Its serial number.
    changed
        Called after a change of level or output.

    """

    def __init__(self, serial: str, changed: Callable[[], None]) -> None:
        self.identification = f"Stanford_Research_Systems,SIM928,{serial},ver2.2"
        self._changed = changed
        self.level, self.output = 0.0, False
        self.batteries = (1, 3, 0)
        self.overload = 0
        self.terminator = TERMINATORS["CRLF"]
        self._events, self._execution, self._command = 128, 0, 0

    def execute(self, message: str) -> bytes:
        """The answers to one line, with terminators."""
        answers = b""
        for unit in message.split(";"):
            match = UNIT.fullmatch(unit)
            if match is None:
                self._fail(UNDEFINED_COMMAND)
            elif (answer := self._unit(match[1].upper() + match[2], match[3])) is not None:
                answers += answer.encode() + self.terminator
        return answers

    def _fail(self, code: int) -> None:
        self._events, self._command = self._events | COMMAND_ERROR, code

    def _unit(self, word: str, argument: str) -> str | None:
        """Execute one command or query."""
        queries: dict[str, Callable[[], str]] = {
            "*IDN?": lambda: self.identification,
            "VOLT?": lambda: f"{self.level:+.3f}",
            "EXON?": lambda: f"{self.output:d}",
            "BATS?": lambda: ",".join(map(str, self.batteries)),
            "OVCR?": lambda: str(self.overload & 1),
            "OVSR?": self._read_overload,
            "*ESR?": self._read_events,
            "CESR?": lambda: "0",
            "LEXE?": self._read_execution,
            "LCME?": self._read_command,
        }
        actions: dict[str, Callable[[], None]] = {
            "OPON": lambda: self._switch(True),
            "OPOF": lambda: self._switch(False),
            "*CLS": lambda: None,
        }
        if word in queries:
            return queries[word]()
        if word in actions:
            actions[word]()
        elif word == "TERM" and argument.upper() in TERMINATORS:
            self.terminator = TERMINATORS[argument.upper()]
        elif word == "VOLT":
            self._set_level(argument)
        else:
            self._fail(UNDEFINED_COMMAND)
        return None

    def _set_level(self, argument: str) -> None:
        try:
            level = parse_number(argument)
        except ScpiError:
            self._fail(BAD_NUMBER if argument else MISSING_PARAMETER)
            return
        if abs(level) > LARGEST:
            self._events, self._execution = self._events | EXECUTION_ERROR, ILLEGAL_VALUE
            return
        self.level = round(level / STEP) * STEP
        self._changed()

    def _switch(self, on: bool) -> None:
        self.output = on
        self._changed()

    def _read_overload(self) -> str:
        found, self.overload = self.overload, self.overload & 1
        return str(found)

    def _read_events(self) -> str:
        found, self._events = self._events, 0
        return str(found)

    def _read_execution(self) -> str:
        found, self._execution = self._execution, 0
        return str(found)

    def _read_command(self) -> str:
        found, self._command = self._command, 0
        return str(found)


class _Port:
    """Buffer of what a module has sent."""

    def __init__(self, module: VoltageModule, clock: Clock) -> None:
        self.module = module
        self._clock = clock
        self._waiting: list[tuple[float, bytes]] = []
        self._buffer = b""

    def send(self, message: str) -> None:
        """Send a line to the module, whose answer is in the buffer later."""
        if answer := self.module.execute(message):
            self._waiting.append((self._clock.time() + ANSWER_TIME, answer))

    def buffer(self) -> bytes:
        """What has arrived."""
        now = self._clock.time()
        self._buffer += b"".join([answer for due, answer in self._waiting if due <= now])
        self._waiting = [(due, answer) for due, answer in self._waiting if due > now]
        return self._buffer

    def take(self, count: int) -> bytes:
        """Remove up to `count` bytes."""
        found = self.buffer()[:count]
        self._buffer = self._buffer[len(found) :]
        return found

    def flush(self) -> None:
        """Discard everything."""
        self._buffer, self._waiting = b"", []


class SIM900Panel(WordPanel):
    """A SIM900 with SIM928 in some ports, of which one is across the bias line.

    Attributes
    ----------
    modules
        Port → module.
    connected
        Port and escape string of a connection; None if there is none.

    """

    identification = "Stanford_Research_Systems,SIM900,s/nTWIN0008,ver3.6"
    resource = "GPIB{}::2::INSTR"
    terminator = b"\r\n"
    handlers: ClassVar = {
        "*DCL": lambda self, call: call.expect(0),
        "BAUD": lambda self, call: call.expect(2),
        "CTCR?": lambda self, _: str(sum(1 << port for port in self.modules)),
        "NINP?": lambda self, call: str(len(self.port(call).buffer())),
    }

    def switch_on(self) -> None:
        """Start as after power-up."""
        self._terminals = self.wires.terminals(self.world)
        self.connected: tuple[int, str] | None = None
        ports = sorted({1, 3, 5, self.wires.output})
        self.modules = {port: VoltageModule(f"s/n0{port}1234", self._drive) for port in ports}
        self._ports = {port: _Port(module, self.world.clock) for port, module in self.modules.items()}
        super().switch_on()
        self._drive()

    def _drive(self) -> None:
        module = self.modules[self.wires.output]
        self._terminals.set_source(level=module.level, output=module.output, current_limit=SHORT_CIRCUIT)

    def port(self, call: Call) -> _Port:
        """The port that the first parameter names. Raises ScpiError."""
        return self._ports[call.channel(self._ports)]

    def execute(self, message: str) -> list[bytes]:
        """Execute a line, or pass it to the module that is connected."""
        if self.connected is None:
            return super().execute(message)
        port, escape = self.connected
        if escape in message:
            self.connected = None
            return []
        self._ports[port].send(message)
        self.world.clock.sleep(ANSWER_TIME)
        answer = self._ports[port].take(1 << 10)
        return [answer.removesuffix(self.terminator).removesuffix(b"\n")] if answer else []

    @command("SNDT")
    def _send(self, call: Call) -> None:
        call.expect(2)
        self.port(call).send(call.parse(1, Text()))

    @command("GETN?")
    def _get(self, call: Call) -> bytes:
        call.expect(2)
        found = self.port(call).take(round(call.number(1, 1, 999)))
        return b"#3" + f"{len(found):03}".encode() + found

    @command("FLSH", "SRST")
    def _flush(self, call: Call) -> None:
        call.expect(0, 1)
        for port in [self.port(call)] if call.arguments else self._ports.values():
            port.flush()

    @command("CONN")
    def _connect(self, call: Call) -> None:
        call.expect(2)
        self.port(call)
        self.connected = call.channel(self._ports), call.parse(1, Text())
