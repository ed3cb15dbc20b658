"""The device over one cycle of a lock-in's excitation, behind the resistance of the bias line.

The line voltage is a cosine. The device voltage is not, where the conductance changes within the cycle: the device gets
most of the excitation where it conducts least.
"""

from collections.abc import Callable

import numpy as np

from labnis.fit.arrays import Real
from labnis.fit.result import FitError

__all__ = ["device_cycle", "first_harmonic", "phases"]

# Newton steps in which the bias line is solved, and to what voltage (V).
_STEPS, _ACCURACY = 60, 1e-12


def phases(count: int) -> Real:
    """Cosine of `count` phases of half a cycle: their mean is that over the cycle up to its power 2·count − 1."""
    return np.asarray(np.cos(np.pi * (np.arange(count) + 0.5) / count))


def first_harmonic(values: Real) -> Real:
    """2⟨values·cos θ⟩ over the phases, the last axis."""
    return np.asarray(2 * (values * phases(values.shape[-1])).mean(axis=-1))


def device_cycle(
    characteristic: Callable[[Real], tuple[Real, Real]],
    mean: Real,
    line: Real,
    series_resistance: float,
    reach: Real,
) -> Real:
    """Device voltages (V) along the cycle, shape (n, phases), that are `mean` (n,) on average.

    Parameters
    ----------
    characteristic
        Function that returns current (A) and conductance (S) of the device at voltages (V), of their shape.
    mean
        Mean of the device voltage (V), as it was measured.
    line
        Excitation of the line (V), shape (phases,).
    series_resistance
        Of the line (ohm).
    reach
        Voltage (V) over which the characteristic bends, shape (n,); no step is larger.

    Raises
    ------
    FitError
        Where the line cannot be solved.

    """
    voltage = mean[:, None] + np.broadcast_to(line, (mean.size, line.size))
    if series_resistance == 0:
        return np.asarray(voltage)
    voltage, active = np.array(voltage), np.arange(mean.size)
    for step in range(_STEPS):
        current, conductance = characteristic(voltage[active])
        if step == 0:
            # Around the bias the device gets its small-signal share.
            centre = conductance.mean(axis=-1, keepdims=True)
            voltage = mean[:, None] + line / (1 + series_resistance * centre)
            continue
        source = mean[active] + series_resistance * current.mean(axis=-1)
        excess = voltage[active] + series_resistance * current - source[:, None] - line
        # Newton's method; through the mean current every phase moves the source voltage of all.
        drop = series_resistance * conductance
        share = 1 / (1 + drop)
        common = (drop * share * excess).mean(axis=-1) / share.mean(axis=-1)
        limit = reach[active, None]
        voltage[active] -= np.clip(share * (excess + common[:, None]), -limit, limit)
        active = active[(np.abs(excess) > _ACCURACY).any(axis=-1)]
        if not active.size:
            return voltage
    raise FitError(
        f"the device voltage over the excitation's cycle did not converge at {mean[active[0]]:.4g} V; use a smaller one"
    )
