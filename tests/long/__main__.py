"""`python -m tests.long`: calibrate many random devices, and write how often the truth is within σ."""

import os
import platform
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from labnis import __version__
from tests.long.calibrating import Job, calibrate_all
from tests.long.truths import random_truth
from tests.run.bench import RESULTS

HEADING = "## The last campaign"
"""Everything below it in docs/calibration.md is written by `make coverage`."""

# Asked for, and how far 500 calibrations may be off by chance: 1σ in 68 ± 5 %, 2σ in 95 ± 3 %.
WITHIN_ONE, WITHIN_TWO, LARGEST_RMS = (0.63, 0.73), (0.92, 0.98), 1.15


def table(pulls: dict[str, NDArray[np.float64]], minutes: float) -> tuple[str, bool]:
    """Markdown from the heading on, and whether all is as it should be."""
    count = len(next(iter(pulls.values())))
    lines = [
        HEADING,
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, labnis {__version__}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, {minutes:.0f} minutes: dry runs of `labnis calibrate` on {count} devices.",
        "",
        "| result | within 1σ | within 2σ | RMS of error/σ | largest |",
        "|-|-|-|-|-|",
    ]
    holds = True
    for name, values in pulls.items():
        one, two = (float(np.mean(np.abs(values) < sigmas)) for sigmas in (1, 2))
        rms = float(np.sqrt(np.mean(values**2)))
        good = WITHIN_ONE[0] <= one <= WITHIN_ONE[1] and WITHIN_TWO[0] <= two <= WITHIN_TWO[1] and rms <= LARGEST_RMS
        holds &= good
        lines.append(
            f"| {name.replace('_', ' ')} | {one:.1%} | {two:.1%} | {rms:.2f} | {np.abs(values).max():.1f}σ |"
            + ("" if good else " ← not as it should be")
        )
    return "\n".join(lines) + "\n", holds


def main(
    count: Annotated[int, typer.Option(help="Devices.")] = 500,
    write: Annotated[Path | None, typer.Option(help="Document whose table is replaced.")] = None,
) -> None:
    """Calibrate random devices; exit code 1 if σ is not what it says."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HOME"] = os.environ["USERPROFILE"] = folder  # QCoDeS writes there
        found = calibrate_all([Job(random_truth(number), 1000 + number) for number in range(count)], Path(folder))
    pulls = {
        name: np.array([(r[name]["value"] - r[name]["truth"]) / r[name]["sigma"] for r in found]) for name in RESULTS
    }
    text, holds = table(pulls, (time.monotonic() - began) / 60)
    if write is not None:
        kept = write.read_text(encoding="utf-8").partition(HEADING)[0]
        write.write_text(kept + text, encoding="utf-8")
    sys.stdout.write(text)
    raise typer.Exit(0 if holds else 1)


if __name__ == "__main__":
    typer.run(main)
