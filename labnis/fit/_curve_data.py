"""Current–voltage points, and what they say about themselves: what cannot be fitted, and what is suspect."""

import numpy as np
from numpy.typing import NDArray

from labnis.fit.result import FitError

__all__ = ["curve_warnings", "refuse_impossible", "usable_points"]

Real = NDArray[np.float64]

# Gaps (eV) that no superconductor of a tunnel junction leaves; a voltage in mV does. Resistances (ohm) likewise, and
# those between which nobody wonders.
_GAPS, _RESISTANCES, _USUAL_RESISTANCES = (1e-5, 1e-2), (0.1, 1e10), (50.0, 2e6)
# So many equal extreme currents, over this part of the sweep, are a reading that has stopped to follow.
_STUCK, _STUCK_PART = 3, 0.01
# Voltages are told apart in steps of this part of the largest; there are six parameters.
_BINS, _FEWEST_VOLTAGES = 500, 6
# Directions of a sweep differ beyond this many standard deviations, each known from so many points.
_DIFFERENT, _FEWEST = 5.0, 10


def usable_points(device_voltage: Real, current: Real) -> tuple[Real, Real]:
    """The finite points.

    Raises
    ------
    FitError
        Where there are fewer than 10, where the arrays do not belong together, or where the current is clipped.

    """
    for name, values in (("device_voltage", device_voltage), ("current", current)):
        if np.iscomplexobj(values):
            raise FitError(f"{name} is complex; a current–voltage curve is real. Are these lock-in data?")
    if current.shape != device_voltage.shape or current.ndim != 1:
        raise FitError(f"current has shape {current.shape}; {device_voltage.shape} is needed, one for each voltage")
    usable = np.isfinite(device_voltage) & np.isfinite(current)
    voltage, measured = device_voltage[usable], current[usable]
    if voltage.size < 10:
        raise FitError(f"{voltage.size} usable points are too few for an I–V fit; at least 10 are needed")
    distinct = np.unique(np.rint(_BINS * voltage / max(np.abs(voltage).max(), np.finfo(float).tiny))).size
    if distinct < _FEWEST_VOLTAGES:
        raise FitError(
            f"{distinct} different voltages are too few for an I–V fit; at least {_FEWEST_VOLTAGES} are needed"
        )
    for end in (measured.min(), measured.max()):
        stuck = voltage[measured == end]
        if stuck.size >= _STUCK and np.ptp(stuck) > _STUCK_PART * np.ptp(voltage) and np.ptp(measured) > 0:
            raise FitError(
                f"{stuck.size} points from {stuck.min():.4g} to {stuck.max():.4g} V read the same extreme current "
                f"{end:.4g} A: the reading is clipped; raise its range or the compliance, or leave these points out"
            )
    return voltage, measured


def refuse_impossible(gap: float, resistance: float, unit: str = "current in ampere") -> None:
    """Raise FitError for start values that only a wrong `unit` explains."""
    if not _GAPS[0] < gap < _GAPS[1]:
        raise FitError(f"the gap would be {gap:.3g} eV; give device_voltage in volt")
    if not _RESISTANCES[0] < resistance < _RESISTANCES[1]:
        raise FitError(f"the resistance of a junction would be {resistance:.3g} ohm; give {unit}")


def curve_warnings(voltage: Real, residuals: Real, resistance: float) -> tuple[str, ...]:
    """What makes a fit doubtful, from its `residuals` in the order of measurement and the `resistance` it found."""
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
