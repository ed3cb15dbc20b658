"""Measurements, as pymeasure Procedures that use instruments only through their roles.

`Measurement` is the base class: it declares set-points, columns, traces and analyses, iterates over the points of
its grid and records a row at each. It emits `"axis"` once with the axis values, `"point"` with the position in the grid
before each row, `"trace"` and then `"results"`, which completes the row. pymeasure's own Worker ignores
unknown topics, so the same class runs in a ManagedWindow of a session (`labnis.open_session`).
"""

from procedures.calibration import CALIBRATION
from procedures.emitted_power_vs_bias import EmittedPowerVsBias
from procedures.iv_sweep import IVSweep
from procedures.measurement import Measurement
from procedures.reflection_vs_bias import ReflectionVsBias
from procedures.sweep_parameter import SweepParameter

__all__ = [
    "CALIBRATION",
    "EmittedPowerVsBias",
    "IVSweep",
    "Measurement",
    "ReflectionVsBias",
    "SweepParameter",
]
