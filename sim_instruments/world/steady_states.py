"""Steady states of a cooler at one bath, interpolated: an instrument reads hundreds of biases, a few at a time."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicHermiteSpline

from labnis.physics import NoOperatingPointError, SINISCooler

__all__ = ["SteadyState", "SteadyStates"]

Real = NDArray[np.float64]

# Width (V) of an interval that is computed at once; into how many parts it is divided at first, at most, and at most
# where injection lowers the gap, which may jump.
_WIDTH, _FIRST, _MOST, _JUMPS = 2.0**-13, 32, 2**14, 2**10
# The last halving is where current (A), electron temperature and gap (part of them) were already as exact as this; it
# makes the error sixteen times smaller.
_CURRENT, _PART = 1e-14, 1e-6


class SteadyState(NamedTuple):
    """Current (A), its slope (S), electron temperature (K) and gap (eV), of the shape of the biases."""

    current: Real
    conductance: Real
    electron_temperature: Real
    gap: Real


class SteadyStates:
    """Current, electron temperature and gap of a `cooler`, as functions of the voltage across it.

    Cubic in each part of an interval, with the exact slopes at its ends. The parts are halved until the states between
    them are exact to 1 fA and 1e-7 of temperature and gap. Where the gap jumps, each state is computed alone.

    Parameters
    ----------
    cooler, bath_temperature
        The cooler, and the temperature of bath and superconductors (K).

    """

    def __init__(self, cooler: SINISCooler, bath_temperature: float) -> None:
        self._cooler, self._bath = cooler, bath_temperature
        self._splines: dict[int, CubicHermiteSpline | None] = {}

    def __call__(self, device_voltage: Real) -> SteadyState:
        """The steady states at `device_voltage` (V), of any shape.

        Raises
        ------
        NoOperatingPointError
            Where the heat balance has no solution.

        """
        flat = device_voltage.ravel()
        found = np.empty((flat.size, 4))
        intervals = np.floor(flat / _WIDTH).astype(int)
        for interval in np.unique(intervals):
            at = intervals == interval
            found[at] = self._inside(int(interval), flat[at])
        return SteadyState(*(column.reshape(device_voltage.shape) for column in found.T))

    def _inside(self, interval: int, voltage: Real) -> Real:
        """The four quantities, shape (n, 4), at voltages (V) in one interval."""
        if interval not in self._splines:
            try:
                self._splines[interval] = self._spline(interval)
            except NoOperatingPointError:  # somewhere in it, perhaps not where it is asked for
                self._splines[interval] = None
        spline = self._splines[interval]
        if spline is None:
            values, slopes = self._exact(voltage)
            return np.insert(values, 1, slopes[:, 0], axis=1)
        return np.insert(spline(voltage), 1, spline(voltage, 1)[:, 0], axis=1)

    def _spline(self, interval: int) -> CubicHermiteSpline | None:
        """Of an interval; None where the gap jumps.

        Raises
        ------
        NoOperatingPointError
            Where a heat balance in it has no solution.

        """
        jumps = self._cooler.superconductor is not None
        voltage = _WIDTH * (interval + np.linspace(0, 1, _FIRST + 1))
        values, slopes = self._exact(voltage)
        while True:
            spline = CubicHermiteSpline(voltage, values, slopes)
            middle = (voltage[1:] + voltage[:-1]) / 2
            between, slopes_between = self._exact(middle, spline(middle))
            order = np.argsort(np.concatenate([voltage, middle]), kind="stable")
            error = np.abs(spline(middle) - between)
            voltage = np.concatenate([voltage, middle])[order]
            values, slopes = (
                np.concatenate([known, new])[order] for known, new in ((values, between), (slopes, slopes_between))
            )
            if (error <= [_CURRENT, *(_PART * between[:, 1:].min(axis=0))]).all() or voltage.size > _MOST:
                return CubicHermiteSpline(voltage, values, slopes)
            if jumps and voltage.size > _JUMPS:
                return None

    def _exact(self, voltage: Real, close: Real | None = None) -> tuple[Real, Real]:
        """Current (A), electron temperature (K) and gap (eV), and their slopes by the voltage, of shape (n, 3).

        The search begins at values that are `close` to them.
        """
        near = (
            {} if close is None or self._cooler.superconductor is None else {"start": close[:, 1], "near": close[:, 2]}
        )
        point = self._cooler.operating_point(voltage, self._bath, **near)
        values = [point.current, point.electron_temperature, point.gap]
        slopes = self._cooler.voltage_slopes(point)
        return np.stack(values, axis=1), np.stack([slopes.current, slopes.temperature, slopes.gap], axis=1)
