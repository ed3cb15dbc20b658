"""What is measured, as pymeasure Procedures that know instruments only by their roles.

A procedure declares its scalar columns in `DATA_COLUMNS` and its traces in `TRACES` (column → axis and type),
named "Name (unit)". It emits `"axis"` once with the axis values, and per bias point `"trace"` followed by `"results"`,
which completes the row. pymeasure's own Worker ignores the topics it does not know, so the same class runs in a
ManagedWindow after `IVSweep.roles = ...`.
"""

from procedures.calibration import CALIBRATION
from procedures.emitted_power_vs_bias import EmittedPowerVsBias
from procedures.iv_sweep import IVSweep
from procedures.reflection_vs_bias import ReflectionVsBias

__all__ = ["CALIBRATION", "EmittedPowerVsBias", "IVSweep", "ReflectionVsBias"]
