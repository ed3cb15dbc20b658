"""Reading buffers of the Keithley 2450: stored readings, and the format of their elements."""

import statistics
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from sim_instruments.panels.front_panel import Setting, command
from sim_instruments.panels.scpi import ScpiPanel
from sim_instruments.panels.scpi_values import Call, Choice, Integer, ScpiError, Text, encode_values, find_mnemonic

__all__ = ["BufferPanel", "ReadingBuffer", "StoredReading", "element_names", "moment"]

# The panel's calendar starts here at time zero of the twin, so that a dry run repeats to the byte.
SWITCHED_ON = datetime(2026, 1, 1, tzinfo=UTC)

SOURCE_UNIT = "Volt DC"


@dataclass(frozen=True)
class StoredReading:
    """One reading: time since power-up (s), source value (V or A), measured value, status words, unit."""

    time: float
    source: float
    value: float
    status: int
    source_status: int
    unit: str


@dataclass
class ReadingBuffer:
    """A buffer of at most `size` readings that overwrites its oldest ones."""

    size: int = 100_000
    readings: list[StoredReading] = field(default_factory=list)

    def store(self, reading: StoredReading) -> None:
        """Append `reading`."""
        if len(self.readings) >= self.size:
            del self.readings[0]
        self.readings.append(reading)


def moment(time: float) -> datetime:
    """Date and time on the panel's calendar, `time` (s) after power-up."""
    return SWITCHED_ON + timedelta(seconds=time)


def _number(value: float) -> str:
    return format(value, ".6E")


# Element in SCPI notation (2450 reference manual, :TRACe:DATA?) and its text; the first reading of the answer is the
# origin of relative time.
ELEMENTS: dict[str, Callable[[StoredReading, StoredReading], str]] = {
    "DATE": lambda r, _: moment(r.time).strftime("%m/%d/%Y"),
    "FORMatted": lambda r, _: f"{r.value:+.6e} {r.unit}",
    "FRACtional": lambda r, _: _number(r.time % 1),
    "READing": lambda r, _: _number(r.value),
    "RELative": lambda r, first: _number(r.time - first.time),
    "SEConds": lambda r, _: str(int(moment(r.time).timestamp())),
    "SOURce": lambda r, _: _number(r.source),
    "SOURFORMatted": lambda r, _: f"{r.source:+.6e} {SOURCE_UNIT}",
    "SOURSTATus": lambda r, _: str(r.source_status),
    "SOURUNIT": lambda _, __: SOURCE_UNIT,
    "STATus": lambda r, _: str(r.status),
    "TIME": lambda r, _: moment(r.time).strftime("%H:%M:%S"),
    "TSTamp": lambda r, _: moment(r.time).strftime("%m/%d/%Y %H:%M:%S.%f"),
    "UNIT": lambda r, _: r.unit,
}


NUMERIC = {"FRACtional", "READing", "RELative", "SEConds", "SOURce", "SOURSTATus", "STATus"}


def element_names(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Resolve element parameters (long or short form) to keys of ELEMENTS; READing if there are none."""
    return tuple([find_mnemonic(ELEMENTS, text) for text in texts or ("READing",)])


class BufferPanel(ScpiPanel):
    """The part of the front panel that stores readings: FORMat and TRACe."""

    settings: ClassVar[tuple[Any, ...]] = (
        Setting("[:SENSe<n>]:COUNt", "count", Integer(1, 1, 300_000)),
        Setting(":FORMat[:DATA]", "format", Choice("ASCii", "REAL", "SREal")),
        Setting(":FORMat:BORDer", "byte order", Choice("SWAPped", "NORMal")),
        Setting(":FORMat:ASCii:PRECision", "precision", Integer(0, 0, 16)),
    )

    handlers: ClassVar = {
        ":TRACe:CLEar": lambda self, call: self.buffer(call, 0).readings.clear(),
        ":TRACe:POINts?": lambda self, call: str(self.buffer(call, 0).size),
        ":TRACe:ACTual?": lambda self, call: str(len(self.buffer(call, 0).readings)),
        ":TRACe:STATistics:AVERage?": lambda self, call: self._statistic(call, statistics.fmean),
        ":TRACe:STATistics:STDDev?": lambda self, call: self._statistic(call, statistics.stdev),
        ":TRACe:STATistics:MAXimum?": lambda self, call: self._statistic(call, max),
        ":TRACe:STATistics:MINimum?": lambda self, call: self._statistic(call, min),
    }

    def reset(self) -> None:
        """Empty and restore the default buffers."""
        super().reset()
        self.buffers = {"defbuffer1": ReadingBuffer(), "defbuffer2": ReadingBuffer()}

    @abstractmethod
    def measure(self, buffer: ReadingBuffer) -> StoredReading:
        """Take one reading into `buffer`."""

    def answer(self, readings: list[StoredReading], names: tuple[str, ...]) -> str | bytes:
        """Answer the elements `names` of every reading in the chosen format."""
        texts = [ELEMENTS[name](reading, readings[0]) for reading in readings for name in names]
        if self.state["format"] == "ASC":
            return ",".join(texts)
        if not set(names) <= NUMERIC:
            raise ScpiError(-221)
        width = "REAL,64" if self.state["format"] == "REAL" else "REAL,32"
        return encode_values([float(text) for text in texts], width, swapped=self.state["byte order"] == "SWAP")

    def buffer(self, call: Call, index: int) -> ReadingBuffer:
        """The buffer named by an optional string parameter."""
        return self.buffers[self.buffer_name(call, index)]

    def buffer_name(self, call: Call, index: int) -> str:
        """The name of an existing buffer in an optional string parameter."""
        name: str = call.optional(index, Text("defbuffer1"))
        if name not in self.buffers:
            raise ScpiError(-224)
        return name

    @command(":TRACe:MAKE")
    def _make_buffer(self, call: Call) -> None:
        call.expect(2, 3)
        name, size = call.parse(0, Text()), int(call.number(1, 10, 6_875_000))
        if name in self.buffers:
            raise ScpiError(-221)
        self.buffers[name] = ReadingBuffer(size)

    @command(":TRACe:DELete")
    def _delete_buffer(self, call: Call) -> None:
        name = self.buffer_name(call, 0)
        call.parse(0, Text())  # it may not be omitted here
        if name.startswith("defbuffer"):
            raise ScpiError(-221)
        del self.buffers[name]

    @command(":TRACe:POINts")
    def _resize_buffer(self, call: Call) -> None:
        size, buffer = int(call.number(0, 10, 6_875_000)), self.buffer(call, 1)
        buffer.size = size
        buffer.readings.clear()

    @command(":TRACe:TRIGger")
    def _trigger_buffer(self, call: Call) -> None:
        buffer = self.buffer(call, 0)
        buffer.readings.clear()
        for _ in range(self.state["count"]):
            self.measure(buffer)

    @command(":TRACe:DATA?")
    def _buffer_data(self, call: Call) -> str | bytes:
        buffer = self.buffer(call, 2)
        if not buffer.readings:
            raise ScpiError(-230)
        first = int(call.number(0, 1, len(buffer.readings)))
        last = int(call.number(1, first, len(buffer.readings)))
        return self.answer(buffer.readings[first - 1 : last], element_names(call.arguments[3:]))

    def _statistic(self, call: Call, function: Any) -> str:
        values = [reading.value for reading in self.buffer(call, 0).readings]
        return self.show_number(function(values)) if len(values) > 1 else self.show_number(0.0)
