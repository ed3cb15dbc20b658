"""What every front panel has, whatever its language: input, output, status registers and time.

A panel takes program messages and leaves response messages in its output buffer. The World is what it measures; the
clock passes only while the panel works or its bus carries a message, so nobody ever sleeps in simulated time.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import ClassVar

from pyvisa_sim.devices import Device

from sim_instruments.world.fridge import World

__all__ = ["FrontPanel"]

INTERFACES = ("USB INSTR", "GPIB INSTR", "TCPIP INSTR", "TCPIP SOCKET")


class FrontPanel(Device, ABC):  # type: ignore[misc]  # pyvisa-sim publishes no types
    """A simulated instrument as its bus sees it.

    Parameters
    ----------
    world
        The physics this instrument drives and reads.

    Attributes
    ----------
    answer_delay
        Time (s) the last message took, for a session that has to time out.

    """

    identification: ClassVar[str]
    terminator: ClassVar[bytes] = b"\n"
    bus_latency: ClassVar[float] = 1e-3

    # Standard event status register (IEEE 488.2, 11.5.1).
    POWER_ON: ClassVar[int] = 128
    COMMAND_ERROR: ClassVar[int] = 32
    EXECUTION_ERROR: ClassVar[int] = 16
    DEVICE_ERROR: ClassVar[int] = 8
    QUERY_ERROR: ClassVar[int] = 4
    OPERATION_COMPLETE: ClassVar[int] = 1

    MESSAGE_AVAILABLE: ClassVar[int] = 16
    EVENT_SUMMARY: ClassVar[int] = 32
    MASTER_SUMMARY: ClassVar[int] = 64

    def __init__(self, world: World) -> None:
        super().__init__(self.identification, b"")
        for interface in INTERFACES:
            self.add_eom(interface, "\n", self.terminator.decode())
        self.world = world
        self.switch_on()

    def switch_on(self) -> None:
        """Start as after power-up: defaults, empty buffers, power-on bit set."""
        self._input = bytearray()
        self._output: deque[bytes] = deque()
        self._busy_until = self.world.clock.time()
        self._finish: Callable[[], None] | None = None
        self._announce_completion = False
        self.answer_delay = 0.0
        self.event_status = self.POWER_ON
        self.event_enable = 0
        self.service_enable = 0
        self.reset()

    @abstractmethod
    def reset(self) -> None:
        """Return to the factory defaults, as `*RST` does."""

    @abstractmethod
    def execute(self, message: str) -> list[bytes]:
        """Carry out one program message and return its response messages, without terminator."""

    # --- input and output -------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Take bytes from a stream (a socket), where a line feed ends each message."""
        self._input.extend(data)
        while (end := self._input.find(b"\n")) >= 0:
            message = bytes(self._input[:end])
            del self._input[: end + 1]
            self.receive(message)

    def receive(self, message: bytes) -> None:
        """Take one whole message, as a bus with an END line delivers it."""
        started = self.world.clock.time()
        self.world.clock.sleep(self.bus_latency)
        self.complete_due_operation()
        for line in message.decode("latin-1").splitlines():
            if self._output and line.strip():
                self.interrupted()
            self._output.extend([response + self.terminator for response in self.execute(line)])
        self.answer_delay = self.world.clock.time() - started

    def read(self) -> tuple[bytes, bool]:
        """Return the next output byte and whether it is the last of its message."""
        return self.take(1)

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
        """Empty both buffers; settings, status and error queue stay."""
        self._input.clear()
        self._output.clear()
        self.answer_delay = 0.0

    def interrupted(self) -> None:
        """A message arrives while an answer is unread. Instruments without IEEE 488.2 exchange control keep both."""

    def unterminated(self) -> None:
        """The controller reads while there is nothing to say."""

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

    def read_event_status(self) -> int:
        """Read and clear the standard event status register."""
        self.complete_due_operation()
        value, self.event_status = self.event_status, 0
        return value

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
        """Let the time pass that the pending operation still needs (`*WAI`, `*OPC?`)."""
        self.world.clock.sleep(max(0.0, self._busy_until - self.world.clock.time()))
        self.complete_due_operation()

    def announce_completion(self) -> None:
        """Set the operation-complete bit once nothing is pending any more (`*OPC`)."""
        self._announce_completion = True
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

    def forget_completion(self) -> None:
        """Forget a pending `*OPC` (`*CLS`, `*RST`)."""
        self._announce_completion = False
