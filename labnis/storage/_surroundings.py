"""What may happen around a run: the wall clock is moved, its journal is lost, its folder lies on a network."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labnis.storage._space import network_filesystem

__all__ = ["Notice", "Surroundings"]

# A time server slews by less than 0.5 ms per second; a leap second, 1 s, is worth an event.
STEP_SECONDS = 0.5


@dataclass(frozen=True)
class Notice:
    """Something to be kept as an event; a warning is also shown."""

    kind: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)


class Surroundings:
    """Watches for what the run at `path` should say in its events."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._clocks = time.time() - time.monotonic()
        self._rescue: Path | None = None

    def at_start(self) -> list[Notice]:
        """What is worth knowing of the place where the run begins."""
        kind = network_filesystem(self._path)
        if not kind:
            return []
        message = (
            f"the data folder lies on a network file system ({kind}): whether rows are safe within a second, also from "
            "a power cut, depends on its server; a local data folder is safer"
        )
        return [Notice("warning", message, {"filesystem": kind})]

    def changes(self, rescue: Path | None) -> list[Notice]:
        """What changed since the last call; `rescue` is where a rescue copy took over, if one did."""
        found = []
        # No setting of the time moves the monotonic clock.
        clocks = time.time() - time.monotonic()
        step, self._clocks = clocks - self._clocks, clocks
        if abs(step) >= STEP_SECONDS:
            message = (
                f"the wall clock moved by {step:+.1f} s against the monotonic one: it was set, or the machine slept"
            )
            found.append(Notice("clock-step", message, {"seconds": step}))
        if rescue is not None and self._rescue is None:
            self._rescue = rescue
            found.append(Notice("warning", f"the run's journal was lost; a copy in {rescue} took over"))
        return found
