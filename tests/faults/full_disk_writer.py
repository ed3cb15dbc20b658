"""A program that measures until its disk is full, as labnis would: told by `append`, it finishes and leaves with 6.

Arguments: data folder, largest length of a file (bytes; 0 for no limit). Prints the path and the accepted rows.
"""

import resource
import sys
from datetime import datetime
from pathlib import Path

import numpy as np

from labnis.storage import Axis, Column, RunMetadata, RunWriter, StorageError, collect_environment

COLUMNS = [
    Column("bias", "V", "Bias"),
    Column("current", "A", "Current"),
    Column("s11", "1", "Reflection", axes=("frequency",), dtype=complex),
]


def tell(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    limit = int(sys.argv[2])
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    about = RunMetadata("Sweep", {}, datetime.now().astimezone(), collect_environment(), simulated=True)
    axis = Axis("frequency", "Hz", "Frequency", np.arange(101.0))
    run = RunWriter(Path(sys.argv[1]), about, COLUMNS, axes=[axis], flush_interval=0.02)
    tell(run.path)
    accepted = 0
    try:
        for index in range(1_000_000):
            run.append({"bias": float(index), "current": -float(index), "s11": np.full(101, index * (1 + 1j))})
            accepted = index + 1
            if index % 10 == 9:
                run.flush()
    except StorageError as error:
        tell(f"{accepted} {error}")
        try:
            run.finish("failed", f"the disk: {error}")
        except StorageError as second:
            tell(second)
    sys.exit(6)
