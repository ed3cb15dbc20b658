"""What is measured, as pymeasure Procedures that know instruments only by their roles.

`Measurement` is the base of them all: it declares set-points, columns, traces and analyses, goes through the points of
its grid and records a row at each. It emits `"axis"` once with the axis values, `"point"` with the position in the grid
before each row, `"trace"` and then `"results"`, which completes the row. pymeasure's own Worker ignores the topics it
does not know, so the same class runs in a ManagedWindow of a session (`labnis.open_session`).
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
