"""Sweeps and lists of the Keithley 2400 series and of the 6430.

From the Series 2400 user's manual (2400S-900-01, Rev. K), pages 10-13 and 18-82 to 18-92: `:STEP` and `:POINts` depend
on each other, a list has up to 100 levels, the range is the best fixed one, that of each level, or the present one,
which clips what is beyond it. Assumed: that a sweep begins again where the triggers count beyond its points, that its
end leaves the output at the last level and the programmed one as it was, -221 for a step or a logarithmic sweep that
does not lead from start to stop, one level of 0 in a list after a reset, and that both aborts end after the reading.
Not simulated: sweeps of the source memory (`:SOURce:FUNCtion MEMory`, `:SOURce:MEMory`).
"""

import math
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Any, ClassVar

import numpy as np

from sim_instruments.panels.front_panel import Handler, Setting
from sim_instruments.panels.keithley_24xx_settings import FUNCTIONS, HEADROOM, MOST_READINGS, enclosing
from sim_instruments.panels.keithley_24xx_source import Keithley24xxSource
from sim_instruments.panels.scpi_values import Call, Choice, Integer, ScpiError

__all__ = ["Keithley24xxSweeps"]

LONGEST_LIST = 100
BOTH = {header.removesuffix("[:DC]"): short for header, short in FUNCTIONS.items() if short != "RES"}


def _of_quantity(word: str, short: str) -> dict[str, Handler]:
    """Commands of sweeps and lists of voltage or current."""
    source, levels = f":SOURce<n>:{word}", f":SOURce<n>:LIST:{word}"
    return {
        f"{source}:STEP": lambda self, call: self.set_step(short, call.number(0)),
        f"{source}:STEP?": lambda self, _: self.show_number(self.step(short)),
        f"{source}:CENTer": lambda self, call: self.set_span(short, center=call.number(0)),
        f"{source}:CENTer?": lambda self, _: self.show_number(sum(self.ends(short)) / 2),
        f"{source}:SPAN": lambda self, call: self.set_span(short, span=call.number(0)),
        f"{source}:SPAN?": lambda self, _: self.show_number(self.ends(short)[1] - self.ends(short)[0]),
        levels: lambda self, call: self.set_list(short, call, []),
        f"{levels}:APPend": lambda self, call: self.set_list(short, call, self.lists[short]),
        f"{levels}?": lambda self, _: ",".join([self.show_number(one) for one in self.lists[short]]),
        f"{levels}:POINts?": lambda self, _: str(len(self.lists[short])),
    }


class Keithley24xxSweeps(Keithley24xxSource):
    """A source that can go through levels, one at each trigger."""

    settings: ClassVar[tuple[Any, ...]] = (
        Setting(":SOURce<n>:SWEep:SPACing", "spacing", Choice("LINear", "LOGarithmic")),
        Setting(":SOURce<n>:SWEep:DIRection", "direction", Choice("UP", "DOWN")),
        Setting(":SOURce<n>:SWEep:RANGing", "ranging", Choice("BEST", "AUTO", "FIXed")),
        Setting(":SOURce<n>:SWEep:CABort", "abort", Choice("NEVer", "EARLy", "LATE")),
        Setting(":SOURce<n>:SWEep:POINts", "points", Integer(MOST_READINGS, 1, MOST_READINGS)),
        *(
            Setting(f":SOURce<n>:LIST:{header}:STARt", f"{short} list start", Integer(1, 1, LONGEST_LIST))
            for header, short in BOTH.items()
        ),
    )
    handlers: ClassVar[dict[str, str | Handler]] = {
        header: handler for word, short in BOTH.items() for header, handler in _of_quantity(word, short).items()
    }

    def reset(self) -> None:
        """Return to the defaults."""
        self.lists = {short: [0.0] for short in BOTH.values()}
        super().reset()

    # --- settings ---------------------------------------------------------------------------------------

    def ends(self, short: str) -> tuple[float, float]:
        """Start and stop (V or A)."""
        return self.state[f"{short} start"], self.state[f"{short} stop"]

    def step(self, short: str) -> float:
        """Step (V or A) of a linear sweep."""
        (start, stop), points = self.ends(short), int(self.state["points"])
        return (stop - start) / max(points - 1, 1)

    def set_step(self, short: str, step: float) -> None:
        """Choose the number of points that have this `step` (V or A)."""
        start, stop = self.ends(short)
        points = round((stop - start) / step) + 1 if step and math.isfinite(step) else 0
        if not 1 < points <= MOST_READINGS:
            raise ScpiError(-221)
        self.state["points"] = points

    def set_span(self, short: str, center: float | None = None, span: float | None = None) -> None:
        """Choose start and stop by their middle or by their distance (V or A)."""
        start, stop = self.ends(short)
        middle = (start + stop) / 2 if center is None else center
        half = (stop - start if span is None else span) / 2
        if max(abs(middle - half), abs(middle + half)) > self._ranges(short)[-1] * HEADROOM:
            raise ScpiError(-222)
        self.state |= {f"{short} start": middle - half, f"{short} stop": middle + half}

    def set_list(self, short: str, call: Call, before: list[float]) -> None:
        """Levels (V or A) of a list, behind those `before` them."""
        most = self._ranges(short)[-1] * HEADROOM
        call.expect(1, LONGEST_LIST - len(before))
        self.lists[short] = [*before, *(call.number(index, -most, most) for index in range(len(call.arguments)))]

    # --- levels -----------------------------------------------------------------------------------------

    def _levels(self) -> list[float]:
        """The levels (V or A) of one sweep or list."""
        short = self.sourced
        if self.state[f"{short} mode"] == "LIST":
            levels = self.lists[short][self.state[f"{short} list start"] - 1 :]
        else:
            start, stop = self.ends(short)
            if self.state["spacing"] == "LOG" and not start * stop > 0:
                raise ScpiError(-221)
            spaced = np.geomspace if self.state["spacing"] == "LOG" else np.linspace
            levels = [float(one) for one in spaced(start, stop, self.state["points"])]
            levels = levels[:: 1 if self.state["direction"] == "UP" else -1]
        if not levels:
            raise ScpiError(-221)
        return levels

    def steps(self, count: int) -> Iterator[None]:
        """Go to the level of each of `count` triggers; a fixed source goes to its triggered level."""
        short = self.sourced
        if self.state[f"{short} mode"] == "FIX":
            self.state[f"{short} level"] = self.state[f"{short} triggered"]
            self.drive()
            yield from [None] * count
            return
        levels, ranges = self._levels(), self._ranges(short)
        if self.state["ranging"] == "BEST":
            self.state[f"{short} source range"] = max(enclosing(ranges, one) for one in levels)
        for level in islice(cycle(levels), count):
            if self.state["ranging"] == "AUTO":
                self.state[f"{short} source range"] = enclosing(ranges, level)
            end = self.state[f"{short} source range"] * HEADROOM
            self.stepped = self.in_steps(short, max(-end, min(end, level)))
            self.drive()
            yield
