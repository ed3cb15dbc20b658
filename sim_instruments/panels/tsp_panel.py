"""Base class of the panels of Keithley's TSP instruments: messages are Lua chunks, answers are what they print.

A script runs to its end before the next message is read. One that takes longer than `FOREGROUND` continues on the
agenda of the clock: messages that come meanwhile wait in the input buffer, and a read waits for its answer. The message
`abort` and a device clear end it; outputs stay as they are then. Where time is real, only a later message fetches the
answer of a script that takes longer than `REAL_FOREGROUND`.

Sources: 2600B reference manual 2600BS-901-01 (sections "Error queue", "Effects of errors on scripts",
localnode.prompts); -286 with "User Abort" after a device clear is reported by users. Unknown, and assumed: the time of
a statement, the length of the error queue, what an assignment to an attribute that does not exist reports, the numbers
behind the constants of `format`, and whether commands that wait in the input buffer survive `abort` (here they do, and
not a device clear).
"""

import math
import re
import struct
from collections import deque
from collections.abc import Iterator, Sequence
from typing import ClassVar

from sim_instruments.panels.front_panel import FrontPanel, split_arguments
from sim_instruments.panels.scpi_values import Call, ScpiError
from sim_instruments.panels.tsp_library import library
from sim_instruments.panels.tsp_parts import Attribute, Part, ReadingBuffer, rejection
from sim_instruments.panels.tsp_script import Script
from sim_instruments.panels.tsp_syntax import TspSyntaxError, parse
from sim_instruments.panels.tsp_values import Steps, Table, TspRuntimeError, Value, instant, shown
from sim_instruments.world.clock import SimulatedClock
from sim_instruments.world.fridge import World
from sim_instruments.world.wires import Wires

__all__ = ["TspPanel"]

RECOVERABLE, NO_SEVERITY = 20.0, 0.0
QUEUE_LENGTH, MOST_LINES, LONGEST_CHUNK, MOST_CALLS = 100, 1000, 1 << 16, 5
# Time (s) that a message may take before its script continues on the agenda of the clock; the largest part of it in one
# step there, where statements add up; the shortest `delay` or integration, which passes by itself; the longest `delay`.
FOREGROUND, REAL_FOREGROUND, SLICE, SHORTEST_WAIT, LONGEST_DELAY = 0.5, 20.0, 10e-3, 0.2e-3, 1e5
COMMON = re.compile(r"(\*[A-Za-z]+\??)\s*(.*)", re.ASCII | re.DOTALL)
LOAD = re.compile(r"load(andrun)?script(?:\s+([A-Za-z_]\w*))?", re.ASCII)
ASCII, REAL32, REAL64 = 1.0, 2.0, 3.0


class TspPanel(FrontPanel):
    """A front panel that runs TSP.

    Attributes
    ----------
    errors
        Error queue, oldest first.

    """

    number_format = ".5e"
    #: Model, as `localnode.model` gives it.
    model: ClassVar[str]

    def __init__(self, world: World, wires: Wires | None = None, number: int = 0) -> None:
        self.errors: deque[ScpiError] = deque()
        super().__init__(world, wires, number)

    def switch_on(self) -> None:
        """Start as after power-up: no script runs, no variables, no prompts."""
        self.errors = deque()
        self._lines: deque[str] = deque()
        self._loading: tuple[str, bool, list[str]] | None = None
        self._task: Iterator[float] | None = None
        self._in_background = False
        self._script: Script | None = None
        self._depth = 0
        self._answers: list[bytes] = []
        self.prompts = self.show_errors = 0.0
        super().switch_on()
        self.variables = Table(self.instrument())

    def reset(self) -> None:
        """Return to the defaults; variables, prompts and the error queue stay."""
        self.precision, self.data_format, self.swapped = 6, ASCII, 1.0
        super().reset()

    def instrument(self) -> dict[str, Value]:
        """All global variables after power-up."""
        switch = (0.0, 1.0)
        return library() | {
            "print": instant(self._print),
            "printnumber": instant(lambda *numbers: self._send(numbers)),
            "printbuffer": instant(self._print_buffer),
            "delay": self._delay,
            "opc": instant(lambda: None),
            "reset": instant(self.reset),
            "exit": self._exit,
            "errorqueue": Part(
                next=instant(self._next_error),
                clear=instant(self.errors.clear),
                count=Attribute(lambda: float(len(self.errors))),
            ),
            "localnode": Part(
                model=Attribute(lambda: self.model),
                serialno=Attribute(self.identification.split(",")[2].strip),
                revision=Attribute(self.identification.split(",")[3].strip),
                linefreq=Attribute(lambda: float(round(self.world.wiring.line_frequency)), lambda _: None),
                prompts=self.field("prompts", switch),
                showerrors=self.field("show_errors", switch),
                reset=instant(self.reset),
            ),
            "format": Part(
                ASCII=ASCII, REAL32=REAL32, SREAL=REAL32, REAL64=REAL64, REAL=REAL64, DREAL=REAL64,
                NORMAL=0.0, NETWORK=0.0, BIGENDIAN=0.0, SWAPPED=1.0, LITTLEENDIAN=1.0,
                asciiprecision=Attribute(lambda: float(self.precision), self._set_precision),
                data=self.field("data_format", (ASCII, REAL32, REAL64), 1406),
                byteorder=self.field("swapped", switch, 1404),
            ),
            "display": Part(
                SMUA=0.0, SMUB=1.0, SMUA_SMUB=2.0, USER=3.0,
                screen=self.field("screen", (0.0, 1.0, 2.0, 3.0)),
                clear=instant(lambda: None),
                settext=instant(lambda text: None),
                sendkey=instant(lambda key: None),
            ),
            "beeper": Part(enable=self.field("beeper", switch), beep=instant(lambda duration, frequency: None)),
        }  # fmt: skip

    screen, beeper = 2.0, 1.0

    def field(self, name: str, choices: Sequence[float], error: int = -224) -> Attribute:
        """An attribute that is the panel's own field `name`, one of `choices`."""

        def write(value: Value) -> None:
            if value not in choices:
                raise rejection(error)
            setattr(self, name, float(value))

        return Attribute(lambda: getattr(self, name), write)

    def _set_precision(self, value: Value) -> None:
        if not isinstance(value, float) or not 1 <= value <= 16:
            raise rejection(1405)
        self.precision = int(value)

    # --- messages -------------------------------------------------------------------------------------------------

    def execute(self, message: str) -> list[bytes]:
        """Take one line; return what it prints, or nothing if a script that runs has to end first."""
        if message.strip() == "abort":
            self._abort()
            return []
        self._lines.append(message)
        if len(self._lines) > MOST_LINES:
            self._lines.clear()
            self.report(rejection(-363))
        if self._in_background:
            return []
        self._answers = []
        self._work_in_foreground()
        return self._answers

    def execute_unit(self, unit: str) -> str | bytes | None:
        """Execute one common command. Raises ScpiError if there is none of this name."""
        match = COMMON.fullmatch(unit.strip())
        handler = self.commands().get(match[1].upper()) if match else None
        if match is None or handler is None:
            raise ScpiError(-285, "TSP Syntax error at line 1: unexpected symbol near `*'")
        return handler(self, Call((), split_arguments(match[2])))

    def _work_in_foreground(self) -> None:
        simulated = isinstance(self.world.clock, SimulatedClock)
        until = self.world.clock.time() + (FOREGROUND if simulated else REAL_FOREGROUND)
        task, owed = self._work(), 0.0
        self._task = task
        for pause in task:
            owed += pause
            if self.world.clock.time() + owed > until:
                self._in_background = True
                self.world.clock.later(owed, lambda: self._work_in_background(task))
                return
            if owed > 10 * SLICE or pause > SHORTEST_WAIT:
                self.world.clock.sleep(owed)
                owed = 0.0
        self._task = None
        self.world.clock.sleep(owed)

    def _work_in_background(self, task: Iterator[float]) -> None:
        if task is not self._task:
            return
        owed = 0.0
        for pause in task:
            owed += pause
            if owed > SLICE or pause > SHORTEST_WAIT:
                self.world.clock.later(owed, lambda: self._work_in_background(task))
                return
        self._task, self._in_background = None, False

    def _work(self) -> Iterator[float]:
        """Execute the lines of the input buffer; each step is a time (s) to wait."""
        while self._lines:
            line = self._lines.popleft()
            if not line.strip() and self._loading is None:
                continue
            try:
                yield from self._line(line)
            except ScpiError as error:
                self.report(error)
            self._script = None
            if self.prompts:
                self._emit(b">>>>" if self._loading else b"TSP?" if self.errors else b"TSP>")

    def _line(self, line: str) -> Iterator[float]:
        if self._loading is not None:
            yield from self._loaded(line, *self._loading)
        elif (match := LOAD.fullmatch(line.strip())) is not None:
            self._loading = (match[2] or "", bool(match[1]), [])
        elif line.strip().startswith("*"):
            answer = self.execute_unit(line)
            if answer is not None:
                self._emit(answer.encode() if isinstance(answer, str) else answer)
        else:
            yield from self._run(line)

    def _loaded(self, line: str, name: str, at_once: bool, lines: list[str]) -> Iterator[float]:
        """Take one line of a script that is being loaded; it runs with the last one."""
        if line.strip() != "endscript":
            lines.append(line)
            if sum(map(len, lines)) > LONGEST_CHUNK:
                self._loading = None
                raise rejection(-363)
            return
        self._loading = None
        text = "\n".join(lines)
        if name:
            self.variables.set(name, lambda _arguments: self._called(text))
        if at_once:
            yield from self._run(text)

    def _called(self, text: str) -> Steps:
        yield from self._run(text)
        return ()

    def _run(self, text: str) -> Iterator[float]:
        """Run a chunk; its errors go into the queue."""
        self._depth += 1
        try:
            yield from self._run_within_limits(text)
        finally:
            self._depth -= 1

    def _run_within_limits(self, text: str) -> Iterator[float]:
        if self._depth > MOST_CALLS:
            raise TspRuntimeError("stack overflow")
        try:
            self._script = script = Script(parse(text), self.variables, self.report)
        except TspSyntaxError as error:
            raise ScpiError(-285, str(error)) from None
        try:
            yield from script.steps()
        except TspRuntimeError as error:
            raise ScpiError(-286, f"TSP Runtime error at line {script.line}: {error}") from None

    # --- end of a script --------------------------------------------------------------------------------------------

    def _abort(self) -> None:
        """End a script that runs; what it has set stays, and the input buffer is read on."""
        if not self._in_background:
            return
        line = self._script.line if self._script else 1
        self._task, self._in_background = None, False
        self.report(ScpiError(-286, f"TSP Runtime error at line {line}: User Abort"))
        self._answers = []
        self._work_in_foreground()
        self._output.extend(answer + self.terminator for answer in self._answers)

    def device_clear(self) -> None:
        """Empty the buffers and end a script that runs; settings, status and error queue stay."""
        self._lines.clear()
        self._loading = None
        self._abort()
        super().device_clear()

    def await_answer(self, timeout: float) -> float:
        """Let up to `timeout` (s) pass until a script that runs has printed something; return the time that it took."""
        started = now = self.world.clock.time()
        while self._in_background and not self._output and now < started + timeout:
            self.world.clock.sleep(min(SLICE, started + timeout - now))
            now = self.world.clock.time()
        return now - started

    def unterminated(self) -> None:
        """Note a read without an answer; one that waits for a script is none."""
        if not self._in_background:
            self.report(rejection(-420))

    # --- answers ----------------------------------------------------------------------------------------------------

    def _emit(self, answer: bytes) -> None:
        if self._in_background:
            self._output.append(answer + self.terminator)
        else:
            self._answers.append(answer)

    def _print(self, *values: Value) -> None:
        self._emit("\t".join([shown(value, self.precision) for value in values]).encode("latin-1", "replace"))

    def _send(self, numbers: Sequence[float]) -> None:
        """What `printnumber` and `printbuffer` send: text, or binary numbers after `#0`."""
        if self.data_format == ASCII:
            self._emit(", ".join([shown(float(number), self.precision) for number in numbers]).encode())
            return
        code = ("<" if self.swapped else ">") + ("f" if self.data_format == REAL32 else "d")
        self._emit(b"#0" + b"".join([struct.pack(code, _single(number, code)) for number in numbers]))

    def _print_buffer(self, start: float, end: float, *buffers: Value) -> None:
        listed = [buffer.get("readings") if isinstance(buffer, ReadingBuffer) else buffer for buffer in buffers]
        columns = [table.listed() for table in listed]
        first, last = int(start), min(int(end), *map(len, columns))
        if not 1 <= first <= last:
            raise rejection(4900)
        self._send([column[row] for row in range(first - 1, last) for column in columns])

    def _delay(self, arguments: Sequence[Value]) -> Steps:
        (seconds,) = arguments or (None,)
        if not isinstance(seconds, float) or not 0 <= seconds <= LONGEST_DELAY:
            raise rejection(1401)
        yield seconds
        return ()

    def _exit(self, arguments: Sequence[Value]) -> Steps:
        raise TspRuntimeError("exit")
        yield 0.0

    # --- errors and status ------------------------------------------------------------------------------------------

    def report(self, error: ScpiError) -> None:
        """Put an entry into the error queue and set its event status bit."""
        self.event_status |= error.event_bit
        if len(self.errors) < QUEUE_LENGTH:
            self.errors.append(error)
        else:
            self.errors[-1] = rejection(-350)
        if self.show_errors:
            self._emit(f"{error.code}, {error.text}".encode("latin-1", "replace"))

    def _next_error(self) -> tuple[Value, ...]:
        if not self.errors:
            return 0.0, "Queue Is Empty", NO_SEVERITY, 1.0
        error = self.errors.popleft()
        return float(error.code), error.text, RECOVERABLE, 1.0

    def clear_status(self) -> None:
        """Clear the event registers, the error queue and the output queue."""
        super().clear_status()
        self.errors.clear()
        self._output.clear()

    def summary_bits(self) -> int:
        """Error queue not empty."""
        return 4 if self.errors else 0


def _single(number: float, code: str) -> float:
    """The number, infinite where a single-precision one cannot hold it."""
    return math.copysign(math.inf, number) if code.endswith("f") and 3.4e38 < abs(number) < math.inf else float(number)
