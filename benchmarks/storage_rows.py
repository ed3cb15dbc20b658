"""What storing a row costs: against a bare loop, and against QCoDeS's Measurement context, in the same run.

Writes to a folder in the current directory, as a temporary folder may lie in memory, and removes it afterwards.
"""

import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import numpy as np

from labnis.storage import Axis, Column, RunMetadata, RunWriter, collect_environment

ROWS = 100_000
TRACES = 2_000
POINTS = 10_001
LONG_RUN = 1_000_000
QCODES_ROWS = 20_000

SCALARS = (
    Column("bias", "V", "Bias"),
    Column("current", "A", "Current"),
    Column("temperature", "K", "Temperature"),
)

Take = Callable[[float, float, float], None]


@contextmanager
def labnis_run(folder: Path, *columns: Column) -> Iterator[RunWriter]:
    about = RunMetadata("Benchmark", {}, datetime.now().astimezone(), collect_environment(), simulated=True)
    with RunWriter(folder, about, [*SCALARS, *columns], coordinate="bias") as run:
        yield run


def times_of_rows(take: Take, rows: int) -> np.ndarray:
    """Time (s) of each call that takes one row of a dummy instrument's three numbers."""
    clock = time.perf_counter
    times = np.empty(rows)
    for index in range(rows):
        reading = index * 1e-9
        start = clock()
        take(reading, 2 * reading, 0.1)
        times[index] = clock() - start
    return times


def bare(folder: Path, rows: int) -> np.ndarray:
    del folder
    return times_of_rows(lambda bias, current, temperature: None, rows)


def labnis(folder: Path, rows: int) -> np.ndarray:
    with labnis_run(folder) as run:
        return times_of_rows(
            lambda bias, current, temperature: run.append(
                {"bias": bias, "current": current, "temperature": temperature}
            ),
            rows,
        )


def qcodes(folder: Path, rows: int) -> np.ndarray:
    from qcodes.dataset import (  # noqa: PLC0415  # QCoDeS looks for its configuration when it is imported
        Measurement,
        initialise_or_create_database_at,
        load_or_create_experiment,
    )

    initialise_or_create_database_at(folder / "qcodes.db")
    measurement = Measurement(exp=load_or_create_experiment("benchmark", "none"))
    measurement.register_custom_parameter("bias", unit="V")
    measurement.register_custom_parameter("current", unit="A", setpoints=("bias",))
    measurement.register_custom_parameter("temperature", unit="K", setpoints=("bias",))
    measurement.write_period = 0.2  # as often as labnis
    with measurement.run() as saver:
        return times_of_rows(
            lambda bias, current, temperature: saver.add_result(
                ("bias", bias), ("current", current), ("temperature", temperature)
            ),
            rows,
        )


def trace_rate(folder: Path, traces: int) -> float:
    """Bytes per second of complex traces, from the first `append` until everything is on disk and closed."""
    trace = np.exp(1j * np.linspace(0, 100, POINTS))
    column = Column("s11", "1", "Reflection", axes=("frequency",), dtype=complex)
    with labnis_run(folder, column) as run:
        run.add_axis(Axis("frequency", "Hz", "Frequency", np.linspace(4e9, 8e9, POINTS)))
        start = time.perf_counter()
        for index in range(traces):
            run.append({"bias": float(index), "current": 0.0, "temperature": 0.1, "s11": trace})
        run.finish("done")
    return traces * trace.nbytes / (time.perf_counter() - start)


def long_run(folder: Path, rows: int) -> tuple[list[float], list[float]]:
    """Median time per row (s) and memory in use (bytes) in each tenth of a long run."""
    medians, memory = [], []
    with labnis_run(folder) as run:
        for tenth in range(10):
            first = tenth * rows // 10
            times = times_of_rows(
                lambda bias, current, temperature: run.append(
                    {"bias": bias, "current": current, "temperature": temperature}
                ),
                rows // 10,
            )
            run.flush()
            assert run.rows == first + rows // 10
            medians.append(float(np.median(times)))
            memory.append(float(tracemalloc.get_traced_memory()[0]) if tracemalloc.is_tracing() else resident())
    return medians, memory


def resident() -> float:
    """Resident memory of this process (bytes)."""
    import psutil  # noqa: PLC0415  # only here

    return float(psutil.Process().memory_info().rss)


def main() -> None:
    quick = "--quick" in sys.argv
    share = 20 if quick else 1
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=Path.cwd()) as name:
        folder = Path(name)
        print(f"{'one row of three numbers':32s} {'median':>9s} {'mean':>9s} {'p99':>9s}   (µs, without reading)")
        medians = {}
        for title, measure, rows in (
            ("bare loop", bare, ROWS),
            ("labnis RunWriter", labnis, ROWS),
            ("QCoDeS Measurement", qcodes, QCODES_ROWS),
        ):
            times = measure(folder, rows // share) * 1e6
            medians[title] = float(np.median(times))
            print(f"{title:32s} {np.median(times):9.2f} {times.mean():9.2f} {np.percentile(times, 99):9.2f}")
        over = medians["labnis RunWriter"] - medians["bare loop"]
        print(f"labnis above the bare loop: {over:.2f} µs per row (median); promised: 20")
        rate = trace_rate(folder, TRACES // share)
        print(f"complex traces of {POINTS} points: {rate / 1e6:.0f} MB/s until closed on disk; promised: 150")
        costs, memory = long_run(folder, LONG_RUN // share)
        print(f"{LONG_RUN // share} rows, by tenths: median µs {' '.join(f'{cost * 1e6:.1f}' for cost in costs)}")
        print(f"{'':25s} memory MB {' '.join(f'{used / 1e6:.0f}' for used in memory)}")
        print(f"last half against first: {statistics.mean(costs[5:]) / statistics.mean(costs[:5]):.2f}")


if __name__ == "__main__":
    main()
