"""A run of a million rows and ten hours of the experiment's time: memory and cost per row must be constant."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import psutil  # type: ignore[import-untyped]
from pymeasure.experiment import FloatParameter, IntegerParameter, Procedure

from drivers.roles import Roles
from labnis.storage import open_run
from tests.run.bench import Watcher, dry_session, write_station

__all__ = ["Block", "LongRun", "long_run"]


@dataclass(frozen=True)
class Block:
    """A stretch of the run: median time (µs) per row, and the process's memory (bytes) at its end."""

    rows: int
    microseconds: float
    memory: int


class LongRun(Procedure):  # type: ignore[misc]  # pymeasure has no type information
    """Rows that cost nothing to measure; the interlocks look at the fridge once a second of the experiment's time."""

    DATA_COLUMNS: ClassVar[list[str]] = ["Number", "Twice (V)", "Half (A)"]

    rows = IntegerParameter("Rows", default=1_000_000)
    duration = FloatParameter("Time of the experiment", units="s", default=36_000.0)
    blocks = IntegerParameter("Blocks", default=20)

    roles: Roles
    found: tuple[Block, ...] = ()

    def execute(self) -> None:
        """Emit all rows, block by block."""
        process = psutil.Process(os.getpid())
        size = self.rows // self.blocks
        for block in range(self.blocks):
            spent = np.empty(size)
            for index in range(size):
                number = block * size + index
                began = time.perf_counter()
                if self.should_stop():
                    return
                self.emit("results", {"Number": number, "Twice (V)": 2.0 * number, "Half (A)": 0.5 * number})
                spent[index] = time.perf_counter() - began
                self.roles.clock.sleep(self.duration / self.rows)
            self.found += (Block((block + 1) * size, float(np.median(spent)) * 1e6, process.memory_info().rss),)


def long_run(folder: Path, rows: int) -> tuple[Block, ...]:
    """Run it on the twin in this process, check every row in the file, and return what each block took."""
    procedure = LongRun()
    procedure.rows = rows
    _station(folder)
    with dry_session(folder, Watcher()) as session:
        outcome = session.run(procedure)
    found = open_run(outcome.path)
    numbers = np.arange(rows)
    if outcome.status != "done" or not np.array_equal(found["number"], numbers):
        raise AssertionError(f"{outcome.path}: {outcome.status}, not every row is in its place")
    np.testing.assert_array_equal(found["half"], 0.5 * numbers)
    return procedure.found


def _station(folder: Path) -> None:
    station = write_station(folder)
    text = station.read_text(encoding="utf-8")
    station.write_text(text.replace("# fridge_pause:", "fridge_pause:"), encoding="utf-8")
