"""Current–voltage points that cannot be fitted, and warnings derived from the residuals of a fit."""

import numpy as np
from numpy.typing import NDArray

from labnis.fit.result import FitError

__all__ = ["curve_warnings", "refuse_clipped"]

Real = NDArray[np.float64]

# Resistances (ohm) of common tunnel junctions.
_USUAL_RESISTANCES = (50.0, 2e6)
# This many equal extreme currents, over this part of the sweep, mean a clipped reading.
_STUCK, _STUCK_PART = 3, 0.01
# Voltages count as different in steps of this part of the largest; there are six parameters.
_BINS, _FEWEST_VOLTAGES = 500, 6
# Directions of a sweep differ beyond this many standard deviations, each computed from this many points.
_DIFFERENT, _FEWEST = 5.0, 10


def refuse_clipped(voltage: Real, current: Real) -> None:
    """Raise FitError for too few different voltages (V), or a clipped current (A)."""
    distinct = np.unique(np.rint(_BINS * voltage / max(np.abs(voltage).max(), np.finfo(float).tiny))).size
    if distinct < _FEWEST_VOLTAGES:
        raise FitError(
            f"{distinct} different voltages are too few for an I–V fit; at least {_FEWEST_VOLTAGES} are needed"
        )
    for end in (current.min(), current.max()):
        stuck = voltage[current == end]
        if stuck.size >= _STUCK and np.ptp(stuck) > _STUCK_PART * np.ptp(voltage) and np.ptp(current) > 0:
            raise FitError(
                f"{stuck.size} points from {stuck.min():.4g} to {stuck.max():.4g} V read the same extreme current "
                f"{end:.4g} A: the reading is clipped; raise its range or the compliance, or leave these points out"
            )


def curve_warnings(voltage: Real, residuals: Real, resistance: float) -> tuple[str, ...]:
    """Warnings from the `residuals` of a fit, in the order of measurement, and the `resistance` (ohm) it found."""
    found = []
    if not _USUAL_RESISTANCES[0] < resistance < _USUAL_RESISTANCES[1]:
        found.append(f"{resistance:.3g} ohm is unusual for a tunnel junction; is the current in ampere?")
    direction = np.sign(np.diff(voltage, prepend=voltage[0] - (voltage[1] - voltage[0])))
    up, down = residuals[direction > 0], residuals[direction < 0]
    if min(up.size, down.size) >= _FEWEST:
        apart = float(up.mean() - down.mean())
        sigma = float(np.sqrt(up.var(ddof=1) / up.size + down.var(ddof=1) / down.size))
        if abs(apart) > _DIFFERENT * sigma:
            found.append(
                f"the current depends on the direction of the sweep (by {apart:.2g} ± {sigma:.2g} A on average): the "
                "reading lags, or the device is hysteretic; wait longer at each point, or fit one direction alone"
            )
    return tuple(found)
