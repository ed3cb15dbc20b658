"""Trigger model of the Keithley 2450: source lists, blocks, and the source steps of a running model.

A model runs on the World's clock, not in the message that starts it, so it continues when its client disconnects.
Only the blocks that a ramp and a sweep with readings need exist. The reference manual does not define two cases; here,
switching the output off while a model runs ends the model, and a missing block does nothing, as a `NOP` block.
"""

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from sim_instruments.panels.front_panel import command
from sim_instruments.panels.keithley_buffer import BufferPanel, ReadingBuffer, StoredReading
from sim_instruments.panels.scpi_values import Call, Number, ScpiError, Text

__all__ = ["TriggerPanel"]

LIST_NAME = "VoltCustomSweepList"
MOST_AT_ONCE, LONGEST_LIST, MOST_BLOCKS = 100, 2500, 255
# Time (s) that a block without a delay takes; a wait is at least SHORTEST_WAIT.
BLOCK_TIME, SHORTEST_WAIT = 1e-4, 1e-3

State = Literal["EMPTY", "BUILDING", "RUNNING", "IDLE", "ABORTED"]


@dataclass(frozen=True)
class _Block:
    """One block: `value` is an index of the list, a delay (s) or a count; `target` the block a counter goes back to.

    `buffer` is the name of that into which a reading goes.
    """

    kind: Literal["CONFIG_RECALL", "CONFIG_NEXT", "DELAY_CONSTANT", "BRANCH_COUNTER", "MEASURE", "NOP"]
    shown: str = ""
    value: float = 0.0
    target: int = 1
    buffer: str = ""


@dataclass
class _Run:
    """State of a running model: its block, the index last recalled, the count of each counter.

    `integrating` is whether the reading of its block has begun.
    """

    block: int = 1
    index: int = 0
    integrating: bool = False
    reached: dict[int, int] = field(default_factory=dict)


class TriggerPanel(BufferPanel):
    """The part of the front panel that stores source lists and runs trigger models."""

    _run: _Run | None = None
    _list: tuple[dict[str, Any], ...] = ()

    handlers: ClassVar = {
        ":TRIGger:STATe?": lambda self, _: f"{self._state};{self._state};{self._last_block}",
    }

    def reset(self) -> None:
        """Stop a running model; delete it and the list."""
        super().reset()
        self._list = ()
        self._last_block = 0
        self.clear_model()

    @property
    def running(self) -> bool:
        """Whether a model is running."""
        return self._run is not None

    def require_stopped(self) -> None:
        """Raise ScpiError, settings conflict, while a model is running."""
        if self.running:
            raise ScpiError(-221)

    @abstractmethod
    def source_settings(self) -> dict[str, Any]:
        """The voltage source's settings now, as a configuration list stores them."""

    @abstractmethod
    def recall_source(self, settings: dict[str, Any]) -> None:
        """Apply stored settings, including the level."""

    @abstractmethod
    def integration_time(self) -> float:
        """Time of one reading (s)."""

    @abstractmethod
    def store_reading(self, buffer: ReadingBuffer) -> StoredReading:
        """Store the reading whose integration ends now."""

    @abstractmethod
    def run_sweep(self) -> None:
        """Run the predefined sweep that was set up last."""

    def clear_model(self) -> None:
        """Delete all blocks."""
        self._blocks: dict[int, _Block] = {}
        self._state: State = "EMPTY"

    # --- source list ------------------------------------------------------------------------------------

    @command(":SOURce<n>:LIST:VOLTage")
    def _set_list(self, call: Call) -> None:
        self._list = self._levels(call)

    @command(":SOURce<n>:LIST:VOLTage:APPend")
    def _append_list(self, call: Call) -> None:
        longer = self._list + self._levels(call)
        if len(longer) > LONGEST_LIST:
            raise ScpiError(-222)
        self._list = longer

    def _levels(self, call: Call) -> tuple[dict[str, Any], ...]:
        """Settings for each level of the message: those of now, which a later recall restores, and the level."""
        self.require_stopped()
        call.expect(1, MOST_AT_ONCE)
        levels = [call.parse(index, Number(0.0, -210.0, 210.0)) for index in range(len(call.arguments))]
        for level in levels:
            self.check_setting("VOLT level", level)
        return tuple([self.source_settings() | {"VOLT level": level} for level in levels])

    @command(":SOURce<n>:LIST:VOLTage?")
    def _show_list(self, call: Call) -> str:
        if not self._list:
            raise ScpiError(-230)
        return ",".join([self.show_number(entry["VOLT level"]) for entry in self._list])

    # --- blocks -----------------------------------------------------------------------------------------

    @command(":TRIGger:LOAD")
    def _load(self, call: Call) -> None:
        self.require_stopped()
        if call.parse(0, Text()).upper() != "EMPTY":
            raise ScpiError(-224)
        call.expect(1)
        self.clear_model()

    def _define(self, call: Call, block: _Block) -> None:
        self.require_stopped()
        self._blocks[int(call.number(0, 1, MOST_BLOCKS))] = block
        self._state = "BUILDING"

    def _list_named(self, call: Call) -> str:
        """Name of the list in the message. Raises ScpiError if there is no such list."""
        name: str = call.parse(1, Text())
        if name != LIST_NAME or not self._list:
            raise ScpiError(-224)
        return name

    @command(":TRIGger:BLOCk:CONFig:RECall")
    def _define_recall(self, call: Call) -> None:
        call.expect(2, 3)
        name = self._list_named(call)
        index = int(call.number(2, 1, len(self._list))) if len(call.arguments) > 2 else 1
        self._define(call, _Block("CONFIG_RECALL", f"CONFIG_LIST: {name} INDEX: {index}", index))

    @command(":TRIGger:BLOCk:CONFig:NEXT")
    def _define_next(self, call: Call) -> None:
        call.expect(2)
        self._define(call, _Block("CONFIG_NEXT", f"CONFIG_LIST: {self._list_named(call)}"))

    @command(":TRIGger:BLOCk:DELay:CONStant")
    def _define_delay(self, call: Call) -> None:
        call.expect(2)
        delay = call.number(1, 0.0, 1e4)
        if 0 < delay < 167e-9:
            raise ScpiError(-222)
        self._define(call, _Block("DELAY_CONSTANT", f"DELAY: {delay:.9f}", delay))

    @command(":TRIGger:BLOCk:MEASure")
    def _define_measure(self, call: Call) -> None:
        call.expect(1, 2)
        name = self.buffer_name(call, 1)
        self._define(call, _Block("MEASURE", f"BUFFER: {name}", buffer=name))

    @command(":TRIGger:BLOCk:BRANch:COUNter")
    def _define_counter(self, call: Call) -> None:
        call.expect(3)
        count, target = int(call.number(1, 1, 268_435_455)), int(call.number(2, 1, MOST_BLOCKS))
        self._define(call, _Block("BRANCH_COUNTER", f"VALUE: {count} BRANCH_BLOCK: {target}", count, target))

    @command(":TRIGger:BLOCk:NOP")
    def _define_nop(self, call: Call) -> None:
        call.expect(1)
        self._define(call, _Block("NOP"))

    @command(":TRIGger:BLOCk:LIST?")
    def _show_blocks(self, call: Call) -> str:
        """One line for each block, as in the manual's example."""
        numbers = range(1, max(self._blocks, default=0) + 1)
        lines = [(number, self._blocks.get(number, _Block("NOP"))) for number in numbers]
        return "\n".join([f"{number}) {block.kind} {block.shown}".strip() for number, block in lines]) or "Empty"

    # --- running ----------------------------------------------------------------------------------------

    @command(":INITiate[:IMMediate]")
    def _initiate(self, call: Call) -> None:
        if self.running:
            raise ScpiError(-213)
        if not self._blocks:
            self.run_sweep()
            self._state = "IDLE"
            return
        if any(block.target > max(self._blocks) for block in self._blocks.values()):
            raise ScpiError(-221)
        self._run, self._state = _Run(), "RUNNING"
        self._proceed(self._run)

    def _proceed(self, run: _Run) -> None:
        """Execute blocks until one takes time, and continue after that time."""
        if run is not self._run:
            return  # stopped since, and perhaps another has begun
        wait = 0.0
        while wait < SHORTEST_WAIT:
            self._last_block = min(run.block, max(self._blocks))
            if run.block > max(self._blocks):
                self._run, self._state = None, "IDLE"
                self.complete_due_operation()
                return
            wait += self._carry_out(run)
        self.world.clock.later(wait, lambda: self._proceed(run))

    def _carry_out(self, run: _Run) -> float:
        """Carry out one block; returns the time it takes (s). One that measures is carried out twice: begin, store."""
        number, block = run.block, self._blocks.get(run.block, _Block("NOP"))
        if block.kind == "MEASURE":
            run.integrating = not run.integrating
            if run.integrating:
                return self.integration_time()
            self.store_reading(self.buffers[block.buffer])
        run.block += 1
        if block.kind in ("CONFIG_RECALL", "CONFIG_NEXT"):
            # After the last index comes the first again.
            run.index = int(block.value) if block.kind == "CONFIG_RECALL" else run.index % len(self._list) + 1
            self.recall_source(self._list[run.index - 1])
        elif block.kind == "DELAY_CONSTANT":
            return block.value
        elif block.kind == "BRANCH_COUNTER":
            run.reached[number] = run.reached.get(number, 0) + 1
            if run.reached[number] < block.value:
                run.block = block.target
        return BLOCK_TIME

    def abort_operation(self) -> None:
        """Stop a running model where it is."""
        if self.running:
            self._run, self._state = None, "ABORTED"
        super().abort_operation()

    def operation_pending(self) -> bool:
        """Whether a model is running."""
        return self.running or super().operation_pending()

    def wait_for_operation(self) -> None:
        """Let the time pass that a running model still needs."""
        while self.running:
            self.world.clock.sleep(SHORTEST_WAIT)
        super().wait_for_operation()

    def complete_due_operation(self) -> None:
        """Nothing is complete while a model runs."""
        if not self.running:
            super().complete_due_operation()
