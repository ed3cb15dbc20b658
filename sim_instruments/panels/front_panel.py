"""Base class of all front panels: commands, input, output, status registers (IEEE 488.2) and time.

A panel takes program messages and leaves response messages in its output buffer. It measures the World. The clock
advances only while the panel works or its bus carries a message, so no process waits in simulated time.

A handler that raises ScpiError rejects its command; it must do so before it changes anything.
"""

import re
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, ClassVar, NamedTuple, TypeVar

from sim_instruments.panels.block_data import as_text
from sim_instruments.panels.scpi_values import Call, Kind, ScpiError
from sim_instruments.world.fridge import World
from sim_instruments.world.wires import Wires

__all__ = ["FrontPanel", "Handler", "Setting", "command", "split_arguments", "split_outside"]

# Quoted strings and parenthesised lists hide the separators inside them.
PROTECTED = r"'[^']*'|\"[^\"]*\"|\([^)]*\)"

Handler = Callable[[Any, Call], "str | bytes | None"]
Method = TypeVar("Method", bound=Handler)


def command(*headers: str) -> Callable[[Method], Method]:
    """Register a method of a panel for `headers`; a query's header ends with `?`."""

    def register(method: Method) -> Method:
        method.__dict__["headers"] = headers
        return method

    return register


def split_outside(text: str, separator: str) -> list[str]:
    """Split `text` at `separator`, except inside quotes and parentheses."""
    if not any(character in text for character in "'\"("):
        return text.split(separator)
    parts = [""]
    for piece in re.findall(rf"(?:{PROTECTED}|[^{separator}])+|{separator}", text):
        if piece == separator:
            parts.append("")
        else:
            parts[-1] += piece
    return parts


def split_arguments(text: str) -> tuple[str, ...]:
    """The parameters in `text`, which commas separate."""
    return tuple([part.strip() for part in split_outside(text, ",")]) if text else ()


class Setting(NamedTuple):
    """A value that can be set and queried: header, name in the panel's `state`, kind of value."""

    header: str
    name: str
    kind: Kind

    @property
    def default(self) -> Any:
        """Value after `*RST`."""
        return self.kind.default

    def commands(self) -> Iterator[tuple[str, Handler]]:
        """The command and the query."""
        yield self.header, lambda panel, call: panel.change_setting(self, call)
        yield self.header + "?", lambda panel, call: panel.show_setting(self, call)


class FrontPanel:
    """A simulated instrument as its bus sees it.

    Parameters
    ----------
    world
        The physics this instrument drives and reads.
    wires
        Its connections; by default those of the only instrument of its kind.
    number
        Number among the instruments of this kind, from 0.

    Attributes
    ----------
    overloaded
        Set it to overload the input, if there is one, for any signal.
    address
        Its VISA resource name.
    answer_delay
        Time (s) the last message took, for a session that has to time out.
    state
        Value of each setting by name.

    """

    identification: ClassVar[str]
    #: VISA resource name, with the number of the bus left open: each instrument of a kind has a separate bus.
    resource: ClassVar[str]
    terminator: ClassVar[bytes] = b"\n"
    bus_latency: ClassVar[float] = 1e-3
    #: Format of real numbers in answers.
    number_format: ClassVar[str]
    #: Set by pyvisa-sim.
    resource_name: str | None = None
    #: Settings, or what else has `name`, `default` and `commands`.
    settings: ClassVar[tuple[Any, ...]] = ()
    #: Headers with a constant answer, or with one expression of panel and call.
    handlers: ClassVar[dict[str, "str | Handler"]] = {
        "*TST?": "0",
        "*IDN?": lambda self, _: self.identification.replace("TWIN00", f"TWIN{self.number:02d}"),
        "*RST": lambda self, _: self.reset(),
        "*CLS": lambda self, _: self.clear_status(),
        "*WAI": lambda self, _: self.wait_for_operation(),
        "*STB?": lambda self, call: self.show_register(self.status_byte(), call)[0],
        "*ESE?": lambda self, _: str(self.event_enable),
        "*SRE?": lambda self, _: str(self.service_enable),
    }

    # Bits of the standard event status register (IEEE 488.2, 11.5.1) and of the status byte.
    POWER_ON: ClassVar[int] = 128
    OPERATION_COMPLETE: ClassVar[int] = 1
    MESSAGE_AVAILABLE: ClassVar[int] = 16
    EVENT_SUMMARY: ClassVar[int] = 32
    MASTER_SUMMARY: ClassVar[int] = 64

    @classmethod
    @cache
    def commands(cls) -> dict[str, Handler]:
        """Handler of each header; those of the class itself replace those of its parents."""
        return {header: handler for parent in reversed(cls.__mro__) for header, handler in _own_commands(vars(parent))}

    def __init__(self, world: World, wires: Wires | None = None, number: int = 0) -> None:
        self.world = world
        self.wires = wires or Wires()
        self.number = number
        self.address = self.resource.format(number)
        self.switch_on()

    def switch_on(self) -> None:
        """Start as after power-up: defaults, empty buffers, power-on bit set."""
        self._output: deque[bytes] = deque()
        self._busy_until = self.world.clock.time()
        self._finish: Callable[[], None] | None = None
        self._announce_completion = False
        self.overloaded = False
        self.answer_delay = 0.0
        self.event_status = self.POWER_ON
        self.event_enable = 0
        self.service_enable = 0
        self.reset()

    def reset(self) -> None:
        """Return to the factory defaults, as `*RST` does."""
        self.state: dict[str, Any] = {
            setting.name: setting.default
            for parent in reversed(type(self).__mro__)
            for setting in vars(parent).get("settings", ())
        }

    @abstractmethod
    def execute_unit(self, unit: str) -> str | bytes | None:
        """Execute one command or query and return its answer. Raises ScpiError if it is rejected."""

    def rejected(self, error: ScpiError) -> bool:
        """Report a rejected unit; whether the rest of the message is discarded."""
        self.event_status |= error.event_bit
        return False

    def execute(self, message: str) -> list[bytes]:
        """Execute the units of one program message; return its response messages, without terminator."""
        answers: list[bytes] = []
        for unit in split_outside(message, ";"):
            if not unit.strip():
                continue
            try:
                answer = self.execute_unit(unit)
            except ScpiError as error:
                if self.rejected(error):
                    break
                continue
            if answer is not None:
                answers.append(answer.encode() if isinstance(answer, str) else answer)
        return answers

    # --- settings ---------------------------------------------------------------------------------------

    def change_setting(self, setting: Setting, call: Call) -> None:
        """Execute the command of `setting`."""
        call.expect(1)
        value = call.parse(0, setting.kind)
        self.check_setting(setting.name, value)
        self.state[setting.name] = value
        self.setting_changed(setting.name)

    def show_setting(self, setting: Setting, call: Call) -> str:
        """Answer the query of `setting`."""
        call.expect(0)
        return setting.kind.show(self.state[setting.name], self.number_format)

    def check_setting(self, name: str, value: Any) -> None:
        """Raise ScpiError if `value` contradicts the other settings; called before the setting changes."""

    def setting_changed(self, name: str) -> None:
        """Act on a setting that was just written (even with the same value)."""

    def show_number(self, value: float) -> str:
        """Format a number as this instrument does."""
        return format(value, self.number_format)

    # --- input and output -------------------------------------------------------------------------------

    def receive(self, message: bytes) -> None:
        """Take one whole message, as a bus with an END line delivers it."""
        started = self.world.clock.time()
        self.world.clock.sleep(self.bus_latency)
        self.complete_due_operation()
        for line in as_text(message).splitlines():
            if self._output and line.strip():
                self.interrupted()
            self._output.extend([response + self.terminator for response in self.execute(line)])
        self.answer_delay = self.world.clock.time() - started

    def take(self, count: int, stop: bytes | None = None) -> tuple[bytes, bool]:
        """Return up to `count` output bytes, at most through `stop`, and whether they end a message."""
        if not self._output:
            return b"", False
        head = self._output[0]
        length = min(count, len(head))
        if stop is not None and (found := head.find(stop, 0, length)) >= 0:
            length = found + 1
        if length == len(head):
            return self._output.popleft(), True
        self._output[0] = head[length:]
        return head[:length], False

    def drain(self) -> bytes:
        """Return all output at once, as a stream (a socket) sends it without being asked."""
        answer = b"".join(self._output)
        self._output.clear()
        return answer

    def device_clear(self) -> None:
        """Empty the buffers; settings, status and error queue stay."""
        self._output.clear()
        self.answer_delay = 0.0

    def await_answer(self, timeout: float) -> float:
        """Let up to `timeout` (s) pass while an answer is being made; return the time that it took."""
        return 0.0

    def interrupted(self) -> None:
        """A message arrives while an answer is unread. Instruments without IEEE 488.2 exchange control keep both."""

    def unterminated(self) -> None:
        """The controller reads while there is no answer."""

    # --- status -----------------------------------------------------------------------------------------

    def status_byte(self) -> int:
        """The status byte with the summary bit; reading it changes nothing."""
        self.complete_due_operation()
        byte = self.summary_bits()
        if self._output:
            byte |= self.MESSAGE_AVAILABLE
        if self.event_status & self.event_enable:
            byte |= self.EVENT_SUMMARY
        if byte & self.service_enable & ~self.MASTER_SUMMARY:
            byte |= self.MASTER_SUMMARY
        return byte

    def summary_bits(self) -> int:
        """Status bits particular to the instrument (error queue, measurement events)."""
        return 0

    def clear_status(self) -> None:
        """Clear the event registers and cancel a pending `*OPC` (`*CLS`)."""
        self.event_status = 0
        self._announce_completion = False

    def show_register(self, value: int, call: Call) -> tuple[str, int]:
        """Answer to the query of a status register, and the bits that reading it clears."""
        return str(value), value

    # --- IEEE 488.2 common commands ---------------------------------------------------------------------

    @command("*OPC")
    def _operation_complete(self, call: Call) -> None:
        """Set the operation-complete bit once nothing is pending any more."""
        self._announce_completion = True
        self.complete_due_operation()

    @command("*OPC?")
    def _operation_complete_query(self, call: Call) -> str:
        self.wait_for_operation()
        return "1"

    @command("*ESR?")
    def _read_event_status(self, call: Call) -> str:
        self.complete_due_operation()
        answer, cleared = self.show_register(self.event_status, call)
        self.event_status &= ~cleared
        return answer

    @command("*ESE")
    def _enable_events(self, call: Call) -> None:
        self.event_enable = int(call.number(0, 0, 255))

    @command("*SRE")
    def _enable_service(self, call: Call) -> None:
        self.service_enable = int(call.number(0, 0, 255)) & ~self.MASTER_SUMMARY

    # --- operations that take time ----------------------------------------------------------------------

    def start_operation(self, duration: float, finish: Callable[[], None] | None = None) -> None:
        """Begin an overlapped operation of `duration` (s); `finish` runs as soon as that time has passed."""
        self._busy_until = self.world.clock.time() + duration
        self._finish = finish

    def abort_operation(self) -> None:
        """Stop the pending operation; it never finishes."""
        self._busy_until = self.world.clock.time()
        self._finish = None

    def operation_pending(self) -> bool:
        """Whether an overlapped operation is still running."""
        self.complete_due_operation()
        return self.world.clock.time() < self._busy_until

    def wait_for_operation(self) -> None:
        """Wait until the pending operation is complete (`*WAI`, `*OPC?`)."""
        self.world.clock.sleep(max(0.0, self._busy_until - self.world.clock.time()))
        self.complete_due_operation()

    def complete_due_operation(self) -> None:
        """Finish the pending operation if its time has come."""
        if self.world.clock.time() < self._busy_until:
            return
        finish, self._finish = self._finish, None
        if finish is not None:
            finish()
        if self._announce_completion:
            self._announce_completion = False
            self.event_status |= self.OPERATION_COMPLETE


def _constant(answer: str) -> Handler:
    return lambda _panel, _call: answer


def _own_commands(members: Mapping[str, Any]) -> Iterator[tuple[str, Handler]]:
    """Headers and handlers that a class with these `members` adds to those of its parents."""
    for header, handler in members.get("handlers", {}).items():
        yield header, _constant(handler) if isinstance(handler, str) else handler
    for member in members.values():
        for header in getattr(member, "headers", ()):
            yield header, member
    for setting in members.get("settings", ()):
        yield from setting.commands()
