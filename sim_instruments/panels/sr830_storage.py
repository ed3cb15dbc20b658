"""Data buffers of the SR830: values of its two channel displays, stored at a fixed rate or on triggers."""

import math
import struct
from abc import abstractmethod
from typing import Any, ClassVar

from sim_instruments.panels.front_panel import command
from sim_instruments.panels.scpi_values import Call, Integer
from sim_instruments.panels.word_panel import WordPanel, word_settings

__all__ = ["StoragePanel"]

RATES = [2.0**exponent for exponent in range(-4, 10)]  # Hz
TRIGGERED = 14
BUFFER_SIZE = 16383


class StoragePanel(WordPanel):
    """The part of the front panel that stores samples of both channel displays."""

    settings: ClassVar[tuple[Any, ...]] = word_settings(
        SRAT=Integer(4, 0, TRIGGERED), SEND=Integer(1, 0, 1), TSTR=Integer(0, 0, 1), FAST=Integer(0, 0, 2)
    )

    handlers: ClassVar = {
        "REST": lambda self, _: self.empty_buffer(),
        "SPTS?": lambda self, _: str(len(self._samples)),
        "TRCA?": lambda self, call: "".join([format(value, ".6g") + "," for value in self._stored(call)]),
    }

    @abstractmethod
    def signal(self, time: float) -> complex:
        """X + iY at `time` (s), V rms."""

    @abstractmethod
    def display(self, channel: int, signal: complex) -> float:
        """Value of channel display 1 or 2 for that `signal`."""

    def empty_buffer(self) -> None:
        """Delete all samples and stop storing."""
        self._samples: list[tuple[float, float]] = []
        self._storing_since: float | None = None

    def _store(self, time: float) -> None:
        signal = self.signal(time)
        self._samples.append((self.display(1, signal), self.display(2, signal)))
        if len(self._samples) > BUFFER_SIZE:
            del self._samples[0]

    def store_due_samples(self) -> None:
        """Store the samples whose time has come since the last message."""
        if self._storing_since is None or self.state["SRAT"] == TRIGGERED:
            return
        interval = 1 / RATES[self.state["SRAT"]]
        # Samples that would be overwritten at once are not computed.
        overdue = int((self.world.clock.time() - self._storing_since) / interval) - BUFFER_SIZE
        if overdue > 0 and self.state["SEND"] == 1:
            self._storing_since += overdue * interval
        while self._storing_since + interval <= self.world.clock.time():
            if len(self._samples) == BUFFER_SIZE and self.state["SEND"] == 0:
                self._storing_since = None
                return
            self._storing_since += interval
            self._store(self._storing_since)

    @command("STRT", "STRD")
    def _start_storing(self, call: Call) -> None:
        if self._storing_since is None:
            self._storing_since = self.world.clock.time()

    @command("PAUS")
    def _pause_storing(self, call: Call) -> None:
        self._storing_since = None

    @command("TRIG")
    def _trigger(self, call: Call) -> None:
        if self.state["TSTR"] and self._storing_since is None:
            self._storing_since = self.world.clock.time()
        elif self.state["SRAT"] == TRIGGERED and self._storing_since is not None:
            self._store(self.world.clock.time())

    def _stored(self, call: Call) -> list[float]:
        """Samples of TRCA?, TRCB? and TRCL?: channel, first (from 0), number."""
        call.expect(3)
        channel = round(call.number(0, 1, 2))
        first = round(call.number(1, 0, len(self._samples) - 1))
        count = round(call.number(2, 1, len(self._samples) - first))
        return [sample[channel - 1] for sample in self._samples[first : first + count]]

    @command("TRCB?")
    def _stored_floats(self, call: Call) -> bytes:
        values = self._stored(call)
        return struct.pack(f"<{len(values)}f", *values)

    @command("TRCL?")
    def _stored_words(self, call: Call) -> bytes:
        """Mantissa and exponent, two 16-bit words: value = m · 2^(exp − 124)."""
        words = []
        for value in self._stored(call):
            exponent = max(0, math.frexp(value)[1] - 15 + 124)
            words += [round(value / 2.0 ** (exponent - 124)) if abs(value) > 0 else 0, exponent]
        return struct.pack(f"<{len(words)}h", *[min(word, 32767) for word in words])
