"""Rows per second into a run's file, against a loop that keeps nothing and against QCoDeS's dataset."""

import contextlib
import io
import os
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np

from benchmarks.timing import Line, seconds
from labnis.storage import Axis, Column, RunMetadata, RunWriter, collect_environment

__all__ = ["storage"]

SCALARS = ("bias", "device_voltage", "current", "fridge_temperature", "excitation", "conductance")
ROWS, TRACES, POINTS = 5000, 300, 401


def _scalar_row(i: int) -> dict[str, float]:
    return {name: float(i) for name in SCALARS}


def _writing(folder: Path, kind: str) -> Callable[[], None]:
    """An action that writes one run of `kind` "scalars" or "traces", start to finish."""
    environment = collect_environment()
    axes = ("frequency",) if kind == "traces" else ()
    columns = [Column(name, "1", name) for name in SCALARS]
    columns += [Column("s11", "1", "S11", axes, complex)] if axes else []
    known = [Axis("frequency", "Hz", "Frequency", np.linspace(4.6e9, 4.7e9, POINTS))] if axes else []
    trace = np.ones(POINTS, dtype=complex)

    def write() -> None:
        metadata = RunMetadata("Benchmark", {}, datetime.now().astimezone(), environment, simulated=True)
        with RunWriter(folder, metadata, columns, coordinate="bias", axes=known) as writer:
            for i in range(TRACES if axes else ROWS):
                writer.append(_scalar_row(i) | ({"s11": trace} if axes else {}))

    return write


def _qcodes_writing(folder: Path) -> Callable[[], None]:
    # QCoDeS reads and writes the home directory when it is imported.
    os.environ["HOME"] = os.environ["USERPROFILE"] = str(folder)
    from qcodes.dataset import (  # noqa: PLC0415
        Measurement,
        initialise_or_create_database_at,
        load_or_create_experiment,
    )

    initialise_or_create_database_at(folder / "qcodes.db", journal_mode="WAL")
    experiment = load_or_create_experiment("benchmark", "sample")

    def write() -> None:
        measurement = Measurement(experiment)
        for name in SCALARS:
            measurement.register_custom_parameter(name, setpoints=() if name == "bias" else ("bias",))
        # It announces every run on standard output.
        with contextlib.redirect_stdout(io.StringIO()), measurement.run() as saver:
            for i in range(ROWS):
                saver.add_result(*_scalar_row(i).items())

    return write


def storage() -> list[Line]:
    """Rows per second, opening and finishing the file included."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        root = Path(folder)
        kept: list[dict[str, float]] = []
        bare, scalars, traces, qcodes = seconds(
            lambda: kept.extend(_scalar_row(i) for i in range(ROWS)),
            _writing(root, "scalars"),
            _writing(root, "traces"),
            _qcodes_writing(root),
            rounds=3,
        )
    return [
        Line(f"rows of {len(SCALARS)} numbers, list in memory", f"{ROWS / bare:,.0f} rows/s"),
        Line(f"rows of {len(SCALARS)} numbers, RunWriter", f"{ROWS / scalars:,.0f} rows/s", "on disk within 1 s each"),
        Line(f"rows of {len(SCALARS)} numbers, QCoDeS Measurement", f"{ROWS / qcodes:,.0f} rows/s"),
        Line(f"traces of {POINTS} complex points, RunWriter", f"{TRACES / traces:,.0f} rows/s"),
    ]
