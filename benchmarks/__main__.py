"""Run all benchmarks and print their results."""

import os
import platform

from rich.console import Console
from rich.table import Table

from benchmarks.commands import commands
from benchmarks.cooler import cooler
from benchmarks.current import current
from benchmarks.fits import fits
from benchmarks.live import live
from benchmarks.monitor import monitor
from benchmarks.resonators import resonators
from benchmarks.storage import storage

__all__ = ["main"]


def main() -> None:
    """Print the machine and a table of all results."""
    console = Console(width=110)
    console.print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}", highlight=False)
    table = Table("what", "result", "remark")
    for part in (current, cooler, storage, fits, live, monitor, resonators, commands):
        for line in part():
            table.add_row(line.subject, line.figure, line.remark)
    console.print(table)


if __name__ == "__main__":
    main()
