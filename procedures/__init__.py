"""Measurements, as pymeasure Procedures that use instruments only through their roles.

`Measurement` is the base class: it declares set-points, columns, traces and analyses, iterates over the points of
its grid and records a row at each. It emits `"axis"` once with the axis values, `"point"` with the position in the grid
before each row, `"trace"` and then `"results"`, which completes the row. pymeasure's own Worker ignores
unknown topics, so the same class runs in a ManagedWindow of a session (`labnis.open_session`).
"""

from procedures.bias_sweep import BiasSweep
from procedures.emitted_power_vs_bias import EmittedPowerVsBias
from procedures.isotherm_sweep import IsothermSweep
from procedures.iv_sweep import IVSweep
from procedures.measurement import Measurement
from procedures.reflection_vs_bias import ReflectionVsBias
from procedures.sweep_parameter import SweepParameter

__all__ = [
    "CALIBRATION",
    "EmittedPowerVsBias",
    "IVSweep",
    "IsothermSweep",
    "Measurement",
    "ReflectionVsBias",
    "SweepParameter",
]

CALIBRATION: tuple[type[BiasSweep], ...] = (IVSweep, ReflectionVsBias, EmittedPowerVsBias)
"""The full calibration of a device: its measurements in their order.

The I–V curve gives gap, resistance and electron temperature; with these the reflection gives the damping rates; with
those the emitted power gives the gain and the noise temperature of the amplifier chain. Each is a run with a separate
file, and the bias returns to zero in between.
"""
