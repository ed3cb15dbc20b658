"""What storing costs: per row, against a loop that keeps nothing and against QCoDeS's Measurement; and MB/s of traces.

Everything is measured in one run in alternation, so a busy machine slows all equally. Files are in the working folder,
as a temporary one may lie in memory, and are removed afterwards.
"""

import contextlib
import io
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.timing import Line, promise
from labnis.storage import Axis, Column, RunMetadata, RunWriter, collect_environment

__all__ = ["storage"]

ROUNDS, ROWS = 5, 10_000
TRACES, POINTS = 500, 10_001

PROMISED_PER_ROW = 20e-6
"""Largest median time (s) that a stored row may take longer than one that is thrown away."""

PROMISED_RATE = 150e6
"""Smallest rate (bytes/s) of complex traces, until all is on disk and closed."""

SCALARS = (
    Column("bias", "V", "Bias"),
    Column("current", "A", "Current"),
    Column("temperature", "K", "Temperature"),
)

Take = Callable[[float, float, float], object]


def _times(take: Take) -> NDArray[np.float64]:
    """Time (s) of each row: what `take` does with bias (V), current (A) and temperature (K)."""
    clock, times = time.perf_counter, np.empty(ROWS)
    for index in range(ROWS):
        bias = index * 1e-9
        start = clock()
        take(bias, bias / 24e3, 0.1)
        times[index] = clock() - start
    return times


def _labnis_run(folder: Path, *more: Column) -> RunWriter:
    about = RunMetadata("Benchmark", {}, datetime.now().astimezone(), collect_environment(), simulated=True)
    return RunWriter(folder, about, [*SCALARS, *more])


def _bare(_folder: Path) -> NDArray[np.float64]:
    return _times(lambda bias, current, temperature: None)


def _labnis(folder: Path) -> NDArray[np.float64]:
    run = _labnis_run(folder)
    times = _times(
        lambda bias, current, temperature: run.append({"bias": bias, "current": current, "temperature": temperature})
    )
    run.finish("done")
    return times


def _qcodes(folder: Path) -> NDArray[np.float64]:
    # QCoDeS reads and writes the home directory when it is imported.
    os.environ["HOME"] = os.environ["USERPROFILE"] = str(folder)
    from qcodes.dataset import (  # noqa: PLC0415
        Measurement,
        initialise_or_create_database_at,
        load_or_create_experiment,
    )

    initialise_or_create_database_at(folder / "qcodes.db", journal_mode="WAL")
    measurement = Measurement(load_or_create_experiment("benchmark", "none"))
    measurement.register_custom_parameter("bias", unit="V")
    measurement.register_custom_parameter("current", unit="A", setpoints=("bias",))
    measurement.register_custom_parameter("temperature", unit="K", setpoints=("bias",))
    measurement.write_period = 0.2  # as often as labnis writes
    # It announces every run on standard output.
    with contextlib.redirect_stdout(io.StringIO()), measurement.run() as saver:
        return _times(
            lambda bias, current, temperature: saver.add_result(
                ("bias", bias), ("current", current), ("temperature", temperature)
            )
        )


def _trace_rate(folder: Path) -> float:
    """Bytes per second of complex traces, from the first `append` until everything is on disk and closed."""
    trace = np.exp(1j * np.linspace(0, 100, POINTS))
    run = _labnis_run(folder, Column("s11", "1", "Reflection", axes=("frequency",), dtype=complex))
    run.add_axis(Axis("frequency", "Hz", "Frequency", np.linspace(4e9, 8e9, POINTS)))
    start = time.perf_counter()
    for index in range(TRACES):
        run.append({"bias": float(index), "current": 0.0, "temperature": 0.1, "s11": trace})
    run.finish("done")
    return TRACES * trace.nbytes / (time.perf_counter() - start)


def storage() -> list[Line]:
    """Median time of a row and time of a whole run in each of the three ways, their ratios, and the rate of traces."""
    home = {name: os.environ.get(name) for name in ("HOME", "USERPROFILE")}
    ways = {"kept nowhere": _bare, "labnis": _labnis, "QCoDeS Measurement": _qcodes}
    times: dict[str, list[NDArray[np.float64]]] = {way: [] for way in ways}
    runs: dict[str, list[float]] = {way: [] for way in ways}
    rates = []
    try:
        with tempfile.TemporaryDirectory(prefix="benchmark-", dir=Path.cwd(), ignore_cleanup_errors=True) as name:
            for _ in range(ROUNDS):
                for way, measure in ways.items():
                    start = time.perf_counter()
                    times[way].append(measure(Path(name)))
                    runs[way].append(time.perf_counter() - start)
                rates.append(_trace_rate(Path(name)))
    finally:
        os.environ.update({name: value for name, value in home.items() if value is not None})
    rows = {way: float(np.median(np.concatenate(found))) for way, found in times.items()}
    whole = {way: float(np.median(found)) for way, found in runs.items()}
    rate = float(np.median(rates))
    remark = promise(f"at least {PROMISED_RATE / 1e6:.0f} MB/s", rate >= PROMISED_RATE)
    traces = Line(f"traces of {POINTS} complex points, labnis", f"{rate / 1e6:.0f} MB/s", remark)
    return [*_against_others(rows, whole), traces]


def _against_others(rows: dict[str, float], runs: dict[str, float]) -> Iterator[Line]:
    """Times (s) of one row, and of a run from before it is opened until it is closed, by way."""
    for way, row in rows.items():
        remark = f"{runs[way] * 1e3:.0f} ms for a run of {ROWS}, start to end"
        yield Line(f"row of {len(SCALARS)} numbers, {way}", f"{row * 1e6:.2f} µs", remark)
    bare, ours, theirs = rows.values()
    added = ours - bare
    remark = promise("at most 20 µs", added <= PROMISED_PER_ROW)
    yield Line("  labnis above the bare loop", f"{added * 1e6:.2f} µs", remark)
    _, our_run, their_run = runs.values()
    for what, ratio in (("row", theirs / ours), ("run", their_run / our_run)):
        yield Line(f"  QCoDeS / labnis, one {what}", f"{ratio:.1f}", promise("at least 1", ratio >= 1))
