"""The capture buffer of the SR860 and its relatives: X, Y, R and θ at an even rate, read in blocks.

The highest rate depends on the time constant (measured by others on an SR860; the steps between are the manual's). Only
a capture that fills the buffer once and starts at once (`CAPTURESTART ONE,IMM`) stores samples.
"""

import cmath
import math
import struct
from abc import abstractmethod
from typing import Any, ClassVar

from sim_instruments.panels.front_panel import command
from sim_instruments.panels.scpi_values import Call, Integer, ScpiError, definite_block
from sim_instruments.panels.word_panel import WordPanel, word_settings

__all__ = ["CapturePanel"]

# Highest rate (Hz) for time constants up to the first number (s).
RATES = (
    (10e-6, 1.25e6), (30e-6, 625e3), (100e-6, 312.5e3), (300e-6, 156250.0), (1e-3, 78125.0), (10e-3, 39062.5),
    (30e-3, 9765.625), (100e-3, 2441.40625), (300e-3, 1220.703125), (1.0, 305.17578125), (math.inf, 152.587890625),
)  # fmt: skip
CONFIGURATIONS = ("X", "XY", "RT", "XYRT")
SAMPLE, KILOBYTE, LARGEST_BLOCK = 4, 1024, 64


class CapturePanel(WordPanel):
    """The part of the front panel that captures samples."""

    settings: ClassVar[tuple[Any, ...]] = word_settings(CAPTURERATE=Integer(0, 0, 20))
    handlers: ClassVar = {
        "CAPTURERATEMAX?": lambda self, _: self.show_number(self._highest_rate()),
        "CAPTURERATE?": lambda self, _: self.show_number(self._rate()),
        "CAPTURECFG?": lambda self, _: str(self._quantities),
        "CAPTURELEN?": lambda self, _: str(self._length),
        "CAPTURESTAT?": lambda self, _: str(int(self._started is not None)),
        "CAPTUREBYTES?": lambda self, _: str(self._count()),
        "CAPTURESTOP": lambda self, _: self._stop(),
    }

    @property
    @abstractmethod
    def time_constant(self) -> float:
        """Time constant of each filter stage (s)."""

    @abstractmethod
    def signal(self, time: float) -> complex:
        """X + iY at `time` (s), V rms."""

    def empty_buffer(self) -> None:
        """Return to the defaults: nothing is captured."""
        self._length, self._quantities = 2, 0
        self._started: float | None = None
        self._stopped_with = 0

    def _highest_rate(self) -> float:
        return next(rate for longest, rate in RATES if self.time_constant <= 1.001 * longest)

    def _rate(self) -> float:
        divider: int = self.state["CAPTURERATE"]
        return self._highest_rate() / 2.0**divider

    def _width(self) -> int:
        """Bytes of one sample."""
        return SAMPLE * len(CONFIGURATIONS[self._quantities])

    def _count(self) -> int:
        """Bytes that are captured."""
        if self._started is None:
            return self._stopped_with
        samples = int((self.world.clock.time() - self._started) * self._rate())
        return min(samples * self._width(), self._length * KILOBYTE)

    def _stop(self) -> None:
        self._stopped_with, self._started = self._count(), None

    @command("CAPTURELEN")
    def _set_length(self, call: Call) -> None:
        self._length = 2 * math.ceil(call.number(0, 1, 4096) / 2)

    @command("CAPTURECFG")
    def _set_quantities(self, call: Call) -> None:
        text = call.arguments[0] if call.arguments else ""
        found = CONFIGURATIONS.index(text.upper()) if text.upper() in CONFIGURATIONS else round(call.number(0, 0, 3))
        self._quantities = found

    @command("CAPTURESTART")
    def _start(self, call: Call) -> None:
        call.expect(2)
        if not {*call.arguments} <= {"ONE", "CONT", "IMM", "TRIG", "SAMP"}:
            raise ScpiError(-224)
        self._stopped_with = 0
        self._started = self.world.clock.time() if call.arguments[1] == "IMM" else None

    @command("CAPTUREPROG?")
    def _progress(self, call: Call) -> str:
        if self._started is not None:
            raise ScpiError(-200)
        return str(2 * math.ceil(self._count() / KILOBYTE / 2))

    @command("CAPTUREGET?")
    def _captured(self, call: Call) -> bytes:
        """Kilobytes of the buffer: offset, length; each sample is drawn anew."""
        call.expect(2)
        call.number(0, 0, self._length)
        length = round(call.number(1, 1, LARGEST_BLOCK))
        samples: list[float] = []
        while len(samples) < length * KILOBYTE // SAMPLE:
            samples += self._sample(self.world.clock.time())
        samples = samples[: length * KILOBYTE // SAMPLE]
        return definite_block(struct.pack(f"<{len(samples)}f", *samples))

    def _sample(self, time: float) -> list[float]:
        signal = self.signal(time)
        quantities = {
            "X": signal.real, "Y": signal.imag, "R": abs(signal), "T": math.degrees(cmath.phase(signal))
        }  # fmt: skip
        return [quantities[one] for one in CONFIGURATIONS[self._quantities]]
