"""Sweeps and lists of a Keysight B2912A (SCPI command reference B2910-90030, edition 2, 4-94 to 4-110).

Points, step and span depend on each other; a list has up to 2500 levels. Assumed: that a sweep begins again where the
triggers count beyond its points, that its end leaves the output at the last level and the programmed one as it was,
-221 for a step or a logarithmic sweep that does not lead from start to stop, that a best range is one for all levels.
Not simulated: pulses (their settings are refused, but for the shape, which has no effect), arbitrary waveforms.
"""

import math
from typing import Any, ClassVar

import numpy as np

from sim_instruments.panels.channel_settings import channels_of
from sim_instruments.panels.front_panel import Handler
from sim_instruments.panels.keysight_b29xx_settings import (
    CHANNELS,
    HEADROOM,
    LARGEST,
    MOST_POINTS,
    RANGES,
    STEP,
    WORDS,
    each,
)
from sim_instruments.panels.scpi import ScpiPanel
from sim_instruments.panels.scpi_values import Call, Choice, Integer, Number, ScpiError

__all__ = ["KeysightB29xxSweeps", "enclosing"]


def enclosing(short: str, value: float) -> float:
    """The lowest range (V or A) that includes `value`, or the highest."""
    ranges = RANGES[short]
    return next((one for one in ranges if abs(value) <= one * HEADROOM[short] * (1 + 1e-9)), ranges[-1])


def _of_quantity(short: str) -> dict[str, Handler]:
    """Commands of sweeps and lists of voltage or current."""
    source, levels = f"[:SOURce<n>]:{WORDS[short]}", f"[:SOURce<n>]:LIST:{WORDS[short]}"
    return {
        f"{source}:STEP": lambda self, call: self.set_step(short, call),
        f"{source}:STEP?": lambda self, call: self.show_step(short, call),
        levels: lambda self, call: self.set_list(short, call, appends=False),
        f"{levels}:APPend": lambda self, call: self.set_list(short, call, appends=True),
        f"{levels}?": lambda self, call: ",".join([self.show_number(one) for one in self.list_of(short, call)]),
        f"{levels}:POINts?": lambda self, call: str(len(self.list_of(short, call))),
    }


class KeysightB29xxSweeps(ScpiPanel):
    """A source whose channels go through levels.

    Attributes
    ----------
    stepped
        Level (V or A) at which a sweep or a list has the output of a channel, in place of the programmed one.
    lists
        Levels of the lists by quantity and channel.

    """

    settings: ClassVar[tuple[Any, ...]] = (
        each("[:SOURce<n>]:SWEep:SPACing", "spacing", Choice("LINear", "LOGarithmic")),
        each("[:SOURce<n>]:SWEep:DIRection", "direction", Choice("UP", "DOWN")),
        each("[:SOURce<n>]:SWEep:RANGing", "ranging", Choice("BEST", "AUTO", "FIXed")),
        each("[:SOURce<n>]:SWEep:STAir", "stair", Choice("SINGle", "DOUBle")),
        each("[:SOURce<n>]:SWEep:POINts", "points", Integer(1, 1, MOST_POINTS)),
    )
    handlers: ClassVar[dict[str, str | Handler]] = {**_of_quantity("VOLT"), **_of_quantity("CURR")}

    def reset(self) -> None:
        """Return to the defaults."""
        self.stepped: dict[int, float] = {}
        self.lists = {(short, channel): [0.0] for short in WORDS for channel in CHANNELS}
        super().reset()

    # --- settings ---------------------------------------------------------------------------------------

    def set_step(self, short: str, call: Call) -> None:
        """Choose the number of points that have a step (V or A)."""
        channels, arguments = channels_of(call, CHANNELS)
        step = Call((), arguments).number(0)
        for channel in channels:
            span = self.state[f"{short} stop"][channel] - self.state[f"{short} start"][channel]
            points = math.floor(span / step + 1e-9) + 1 if step and math.isfinite(step) else 0
            if not 1 <= points <= MOST_POINTS:
                raise ScpiError(-221)
            self.state["points"][channel] = points

    def show_step(self, short: str, call: Call) -> str:
        """The step (V or A) of a linear sweep."""
        (channel,), _ = channels_of(call, CHANNELS)
        span = self.state[f"{short} stop"][channel] - self.state[f"{short} start"][channel]
        return self.show_number(span / max(self.state["points"][channel] - 1, 1))

    def list_of(self, short: str, call: Call) -> list[float]:
        """Levels (V or A) of a list."""
        (channel,), _ = channels_of(call, CHANNELS)
        return self.lists[short, channel]

    def set_list(self, short: str, call: Call, *, appends: bool) -> None:
        """Levels (V or A) of a list, or more of them."""
        (channel,), arguments = channels_of(call, CHANNELS)
        before = self.lists[short, channel] if appends else []
        given, kind = Call((), arguments), Number(0.0, -LARGEST[short], LARGEST[short])
        given.expect(1, MOST_POINTS - len(before))
        self.lists[short, channel] = [*before, *(given.parse(index, kind) for index in range(len(arguments)))]

    # --- levels -----------------------------------------------------------------------------------------

    def levels(self, channel: int) -> list[float]:
        """Levels (V or A) of a sweep or list of a channel; none of a fixed source."""
        short: str = self.state["function"][channel]
        mode = self.state[f"{short} mode"][channel]
        if mode == "FIX":
            return []
        levels = list(self.lists[short, channel])
        if mode == "SWE":
            start, stop = self.state[f"{short} start"][channel], self.state[f"{short} stop"][channel]
            logarithmic = self.state["spacing"][channel] == "LOG"
            if logarithmic and not start * stop > 0:
                raise ScpiError(-221)
            spaced = np.geomspace if logarithmic else np.linspace
            levels = [float(one) for one in spaced(start, stop, self.state["points"][channel])]
            levels = levels[:: 1 if self.state["direction"][channel] == "UP" else -1]
            levels += levels[::-1] if self.state["stair"][channel] == "DOUB" else []
        if self.state["ranging"][channel] == "BEST":
            self.state[f"{short} range"][channel] = max(enclosing(short, one) for one in levels)
        return levels

    def step_to(self, channel: int, level: float) -> None:
        """Put the output of a channel at a level (V or A), in the steps of its range."""
        short: str = self.state["function"][channel]
        if self.state["ranging"][channel] == "AUTO":
            self.state[f"{short} range"][channel] = enclosing(short, level)
        full = self.state[f"{short} range"][channel]
        end = full * HEADROOM[short]
        self.stepped[channel] = round(max(-end, min(end, level)) / (STEP * full)) * STEP * full
