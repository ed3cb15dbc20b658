"""A process that writes a run until it is killed: prints the path, then index and time of every accepted row."""

import sys
import threading
import time
from datetime import datetime
from pathlib import Path

import numpy as np

from labnis.storage import Axis, Column, RunMetadata, RunWriter, collect_environment

if __name__ == "__main__":
    columns = [
        Column("bias", "V", "Bias"),
        Column("current", "A", "Current"),
        Column("s11", "1", "Reflection", axes=("frequency",), dtype=complex),
    ]
    about = RunMetadata("Sweep", {}, datetime.now().astimezone(), collect_environment(), simulated=True)
    axis = Axis("frequency", "Hz", "Frequency", np.arange(101.0))
    run = RunWriter(Path(sys.argv[1]), about, columns, axes=[axis])
    sys.stdout.write(f"{run.path}\n")
    sys.stdout.flush()
    slow_down = threading.Event()
    for index in range(1_000_000):
        run.append({"bias": float(index), "current": -float(index), "s11": np.full(101, index * (1 + 1j))})
        sys.stdout.write(f"{index} {time.monotonic()}\n")
        sys.stdout.flush()
        slow_down.wait(0.0005)
