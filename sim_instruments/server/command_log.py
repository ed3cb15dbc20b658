"""The twin's log: every message in and out and every change of the source, one JSON line each.

Times are the machine's monotonic clock, which all processes share, so the log shows the order of messages and the
end of a killed client. In tests of killed clients it is the only reliable source.
"""

import json
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

__all__ = ["CommandLog", "LogEntry", "SourcePoint", "bias_trajectory", "largest_rate", "read_log"]

Direction = Literal["in", "out", "event"]

LONGEST_TEXT = 200


@dataclass(frozen=True)
class LogEntry:
    """One line of the log.

    Attributes
    ----------
    time, wall
        Monotonic time (s) and wall-clock time (ISO 8601, UTC).
    instrument, client
        Its name and the number of the connection; 0 is the twin itself.
    direction
        "in" when executed, "out" when sent, "event" for changes of the instrument.
    text
        The message; binary data and long texts are summarised.
    level, output
        Events of the source only: its level (V at the source) and whether its output is on.

    """

    time: float
    wall: str
    instrument: str
    client: int
    direction: Direction
    text: str
    level: float | None = None
    output: bool | None = None


class SourcePoint(NamedTuple):
    """The source from `time` (s, monotonic) on: `level` (V at the source), and whether its output is on."""

    time: float
    level: float
    output: bool

    @property
    def voltage(self) -> float:
        """Voltage on the bias line (V at the source)."""
        return self.level if self.output else 0.0


class CommandLog:
    """Writes the log line by line, each passed to the operating system at once; for use by several threads.

    Parameters
    ----------
    path
        File to append to; None for no log.

    """

    def __init__(self, path: Path | None) -> None:
        self._file = None if path is None else path.open("a", encoding="utf-8")
        self._lock = threading.Lock()

    def write(
        self,
        instrument: str,
        client: int,
        direction: Direction,
        text: str | bytes,
        *,
        source: tuple[float, bool] | None = None,
    ) -> None:
        """Append one entry; `source` is level and output."""
        if self._file is None:
            return
        level, output = source or (None, None)
        with self._lock:
            if self._file.closed:
                return  # a client's thread may end shortly after the twin
            wall = datetime.now(UTC).isoformat()
            entry = LogEntry(time.monotonic(), wall, instrument, client, direction, _shown(text), level, output)
            known = {key: value for key, value in asdict(entry).items() if value is not None}
            self._file.write(json.dumps(known) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            with self._lock:
                self._file.close()


def _shown(text: str | bytes) -> str:
    """`text` if it is short and printable, otherwise a description in one line."""
    if isinstance(text, bytes):
        data = text.rstrip(b"\r\n")
        text = data.decode("latin-1")
        if not (text.isascii() and text.isprintable()):
            return f"<{len(data)} bytes {data[:12]!r}…>"
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}… <{len(text)} characters>"


def read_log(path: Path) -> list[LogEntry]:
    """Read a log, of a running twin too: a line that is not yet complete is omitted."""
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [LogEntry(**json.loads(line)) for line in lines]


def bias_trajectory(entries: Iterable[LogEntry]) -> list[SourcePoint]:
    """Every change of the source, in order, with consecutive equal states merged."""
    points: list[SourcePoint] = []
    for entry in entries:
        if entry.level is None or entry.output is None:
            continue
        if not points or points[-1][1:] != (entry.level, entry.output):
            points.append(SourcePoint(entry.time, entry.level, entry.output))
    return points


def largest_rate(trajectory: Sequence[SourcePoint], window: float = 0.1) -> float:
    """Largest mean |dV/dt| (V/s at the source) over any `window` (s): all steps within it, up and down, add up.

    Switching the output on or off at a level is a step as well.
    """
    if len(trajectory) < 2:
        return 0.0
    times = np.array([point.time for point in trajectory[1:]])
    moved = np.concatenate([[0.0], np.cumsum(np.abs(np.diff([point.voltage for point in trajectory])))])
    ends = np.searchsorted(times, times + window, side="right")
    return float(np.max(moved[ends] - moved[: len(times)]) / window)
