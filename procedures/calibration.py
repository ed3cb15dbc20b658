"""The full calibration of a device: its measurements in their order.

The I–V curve gives gap, resistance and electron temperature; with these the reflection gives the damping rates; with
those the emitted power gives the gain and the noise temperature of the amplifier chain. Each is a run with a separate
file, and the bias returns to zero in between.
"""

from procedures.bias_sweep import BiasSweep
from procedures.emitted_power_vs_bias import EmittedPowerVsBias
from procedures.iv_sweep import IVSweep
from procedures.reflection_vs_bias import ReflectionVsBias

__all__ = ["CALIBRATION"]

CALIBRATION: tuple[type[BiasSweep], ...] = (IVSweep, ReflectionVsBias, EmittedPowerVsBias)
