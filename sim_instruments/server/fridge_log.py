"""The log folder of a simulated Bluefors fridge: a file for each channel and day, in local time."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sim_instruments.world import Stage, World

__all__ = ["FridgeLog"]

CHANNELS: Mapping[int, Stage] = {1: "fifty_kelvin", 2: "four_kelvin", 5: "still", 6: "mixing_chamber"}


@dataclass
class FridgeLog:
    """Logs the four stages.

    Attributes
    ----------
    world
        The fridge.
    folder
        Where the folders of the days are.
    epoch
        Time (s since 1970) at which the world's clock is zero.
    old
        Whether it writes a blank before the date, as older software does.

    """

    world: World
    folder: Path
    epoch: float = 1.8e9
    old: bool = False

    @property
    def now(self) -> float:
        """Time (s since 1970) at the fridge."""
        return self.epoch + self.world.clock.time()

    def file(self, channel: int) -> Path:
        """Today's file of a `channel`."""
        day = time.strftime("%y-%m-%d", time.localtime(self.now))
        return self.folder / day / f"CH{channel} T {day}.log"

    def append(self, channel: int, value: str, end: str = "\n") -> None:
        """Write one line, now."""
        path = self.file(channel)
        path.parent.mkdir(exist_ok=True)
        stamp = time.strftime("%d-%m-%y,%H:%M:%S", time.localtime(self.now))
        with path.open("a", encoding="ascii", newline="") as file:
            file.write(f"{' ' if self.old else ''}{stamp},{value}{end}")

    def write(self) -> None:
        """Log every stage, now."""
        for channel, stage in CHANNELS.items():
            self.append(channel, f"{self.world.temperature(stage):.6e}")
