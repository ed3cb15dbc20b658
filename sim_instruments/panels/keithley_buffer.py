"""Reading buffers of the Keithley 2450 and DMM6500: stored readings, and the format of their elements."""

import statistics
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from sim_instruments.panels.front_panel import Setting, command
from sim_instruments.panels.keithley_events import EventPanel, moment
from sim_instruments.panels.scpi_values import Call, Choice, Integer, ScpiError, Text, encode_values, find_mnemonic

__all__ = ["BufferPanel", "ReadingBuffer", "StoredReading"]

SOURCE_UNIT = "Volt DC"
CAPACITY = 6_875_000
"""Standard readings that all buffers of an instrument hold together.

Assumed: the size of the largest single buffer (2461 reference manual 2461-901-01, and pymeasure's for the 2450);
the manual of the 2470 says that less is left for one where there are others. The manual of the 2450 of 2013 (Rev. B,
section 7) has 32 MB for them, at 30 bytes a reading, which are 1.1 million. The error is that of SCPI.
"""

# Significant digits of a number in text where the precision is 0.
AUTOMATIC_DIGITS = 7


FILL_MODE = Choice("CONTinuous", "ONCE")


@dataclass(frozen=True)
class StoredReading:
    """One reading: time since power-up (s), source value (V or A), measured value, status words, unit."""

    time: float
    source: float
    value: float
    status: int
    source_status: int
    unit: str
    source_unit: str = SOURCE_UNIT


@dataclass
class ReadingBuffer:
    """A buffer of at most `size` readings that overwrites its oldest ones, or accepts no more (`once`)."""

    size: int = 100_000
    once: bool = False
    readings: list[StoredReading] = field(default_factory=list)

    def store(self, reading: StoredReading) -> None:
        """Append `reading`. Raises ScpiError 4915 if the buffer is full."""
        if len(self.readings) >= self.size:
            if self.once:
                raise ScpiError(4915, "Attempting to store past capacity of reading buffer")
            del self.readings[0]
        self.readings.append(reading)


# Element in SCPI notation (2450 reference manual, :TRACe:DATA?) and its text; the first reading of the answer is the
# origin of relative time.
ELEMENTS: dict[str, Callable[[StoredReading, StoredReading], str | float]] = {
    "DATE": lambda r, _: moment(r.time).strftime("%m/%d/%Y"),
    "FORMatted": lambda r, _: f"{r.value:+.6e} {r.unit}",
    "FRACtional": lambda r, _: r.time % 1,
    "READing": lambda r, _: r.value,
    "RELative": lambda r, first: r.time - first.time,
    "SEConds": lambda r, _: str(int(moment(r.time).timestamp())),
    "SOURce": lambda r, _: r.source,
    "SOURFORMatted": lambda r, _: f"{r.source:+.6e} {r.source_unit}",
    "SOURSTATus": lambda r, _: str(r.source_status),
    "SOURUNIT": lambda r, _: r.source_unit,
    "STATus": lambda r, _: str(r.status),
    "TIME": lambda r, _: moment(r.time).strftime("%H:%M:%S"),
    "TSTamp": lambda r, _: moment(r.time).strftime("%m/%d/%Y %H:%M:%S.%f"),
    "UNIT": lambda r, _: r.unit,
}


NUMERIC = {"FRACtional", "READing", "RELative", "SEConds", "SOURce", "SOURSTATus", "STATus"}


def element_names(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Resolve element parameters (long or short form) to keys of ELEMENTS; READing if there are none."""
    return tuple([find_mnemonic(ELEMENTS, text) for text in texts or ("READing",)])


class BufferPanel(EventPanel):
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
        digits = self.state["precision"] or AUTOMATIC_DIGITS
        found = [ELEMENTS[name](reading, readings[0]) for reading in readings for name in names]
        texts = [one if isinstance(one, str) else format(one, f".{digits - 1}E") for one in found]
        if self.state["format"] == "ASC":
            return ",".join(texts)
        if not set(names) <= NUMERIC:
            raise ScpiError(-221)
        width = "REAL,64" if self.state["format"] == "REAL" else "REAL,32"
        return encode_values([float(text) for text in texts], width, swapped=self.state["byte order"] == "SWAP")

    def take_readings(self, call: Call) -> str | bytes:
        """Take as many readings as the count, into the buffer that `call` names; answer the last one."""
        buffer, names = self.buffer(call, 0), element_names(call.arguments[1:])
        readings = [self.measure(buffer) for _ in range(self.state["count"])]
        return self.answer(readings[-1:], names)

    @command(":FETCh?")
    def _fetch(self, call: Call) -> str | bytes:
        readings, names = self.buffer(call, 0).readings, element_names(call.arguments[1:])
        if not readings:
            raise ScpiError(-230)
        return self.answer(readings[-1:], names)

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
        name, size = call.parse(0, Text()), int(call.number(1, 10, CAPACITY))
        if name in self.buffers:
            raise ScpiError(1115, "Parameter error: TRACe:MAKE cannot take an existing reading buffer name")
        self._require_memory(size)
        self.buffers[name] = ReadingBuffer(size, once=True)

    def _require_memory(self, more: int) -> None:
        if sum(buffer.size for buffer in self.buffers.values()) + more > CAPACITY:
            raise ScpiError(-225, "Out of memory")

    @command(":TRACe:FILL:MODE")
    def _set_fill_mode(self, call: Call) -> None:
        once = call.parse(0, FILL_MODE) == "ONCE"
        self.buffer(call, 1).once = once

    @command(":TRACe:FILL:MODE?")
    def _show_fill_mode(self, call: Call) -> str:
        return "ONCE" if self.buffer(call, 0).once else "CONT"

    @command(":TRACe:DELete")
    def _delete_buffer(self, call: Call) -> None:
        name = self.buffer_name(call, 0)
        call.parse(0, Text())  # it may not be omitted here
        if name.startswith("defbuffer"):
            raise ScpiError(-221)
        del self.buffers[name]

    @command(":TRACe:POINts")
    def _resize_buffer(self, call: Call) -> None:
        size, buffer = int(call.number(0, 10, CAPACITY)), self.buffer(call, 1)
        self._require_memory(size - buffer.size)
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
