"""Segmented sweeps of Copper Mountain's programs: the table that `SENSe:SEGMent:DATA` sets and reads.

From the SCPI manual of the TR series and the help of the program TRVNA: 5, five flags (centre and span in place of
ends; whether IF bandwidth, power, delay and time follow the points of each segment), the number of segments, and their
values; programs of users of this maker's analyzers send the same. Assumed: that a list of another length is an error
and values out of range become the nearest one, as the S2VNA manual says of limit lines, and that the table after a
preset is one segment over the whole band.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sim_instruments.panels.front_panel import command
from sim_instruments.panels.scpi import ScpiPanel
from sim_instruments.panels.scpi_values import Call, Number, ScpiError

__all__ = ["CopperMountainSegments"]

BUFFER = 5
FLAGS = 5
#: IF bandwidth (Hz), power (dBm), delay (s) and time (s), which a flag adds to each segment.
EXTRA = ("bandwidth", "power", "delay", "time")
MOST_POINTS = 200_001


@dataclass
class Segment:
    """One segment: ends (Hz), points, and what it has of its own by name."""

    start: float
    stop: float
    points: int
    own: dict[str, float]


class CopperMountainSegments(ScpiPanel):
    """The part of the panel that has the table."""

    band: ClassVar[tuple[float, float]]
    power: ClassVar[Number]
    bandwidths: ClassVar[NDArray[np.float64]]

    def reset(self) -> None:
        """Return to the preset."""
        super().reset()
        self.table = [Segment(*self.band, 201, {})]
        self.flags = [0] * FLAGS

    def segmented(self) -> list[tuple[NDArray[np.float64], float, float | None, float]]:
        """Frequencies (Hz), IF bandwidth (Hz), power (dBm; None: that of the channel), delay (s) of each segment."""
        s = self.state
        return [
            (
                np.linspace(one.start, one.stop, one.points),
                one.own.get("bandwidth", s["bandwidth"]),
                one.own.get("power"),
                one.own.get("delay", s["point delay"]),
            )
            for one in self.table
        ]

    @command("[:SENSe<ch>]:SEGMent:DATA")
    def _set_table(self, call: Call) -> None:
        values = [call.number(at, -1e12, 1e12) for at in range(len(call.arguments))]
        if len(values) < FLAGS + 2 or values[0] != BUFFER or any(flag not in (0, 1) for flag in values[1 : FLAGS + 1]):
            raise ScpiError(-220, "Parameter error")
        flags = [int(flag) for flag in values[1 : FLAGS + 1]]
        names = [name for name, on in zip(EXTRA, flags[1:], strict=True) if on]
        count, columns = int(values[FLAGS + 1]), 3 + len(names)
        if count < 1 or len(values) != FLAGS + 2 + count * columns:
            raise ScpiError(-220, "Parameter error")
        rows = np.reshape(values[FLAGS + 2 :], (count, columns))
        self.table = [self._segment(row.tolist(), names, centred=flags[0] == 1) for row in rows]
        self.flags = flags
        self.setting_changed("segments")

    def _segment(self, row: Sequence[float], names: Sequence[str], *, centred: bool) -> Segment:
        """One row of a table, each value within its range."""
        first, second, points, *extra = row
        ends = (first - second / 2, first + second / 2) if centred else (first, second)
        start, stop = (float(np.clip(end, *self.band)) for end in ends)
        own = dict(zip(names, extra, strict=True))
        if "bandwidth" in own:
            within = np.clip(own["bandwidth"], self.bandwidths[0], self.bandwidths[-1])
            own["bandwidth"] = float(self.bandwidths[np.searchsorted(self.bandwidths, within * (1 - 1e-12))])
        if "power" in own:
            own["power"] = float(np.clip(own["power"], self.power.low, self.power.high))
        return Segment(start, max(start, stop), int(np.clip(points, 2, MOST_POINTS)), own)

    @command("[:SENSe<ch>]:SEGMent:DATA?")
    def _show_table(self, call: Call) -> str:
        call.expect(0)
        shown: list[Any] = [BUFFER, *self.flags, len(self.table)]
        for one in self.table:
            centred = ((one.start + one.stop) / 2, one.stop - one.start)
            shown += [*(centred if self.flags[0] else (one.start, one.stop)), one.points, *one.own.values()]
        return ",".join(self.show_number(float(value)) for value in shown)
