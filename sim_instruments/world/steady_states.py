"""Steady states of a cooler at one bath, interpolated: an instrument reads hundreds of biases, a few at a time."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicHermiteSpline

from labnis.physics import NoOperatingPointError, SINISCooler

__all__ = ["SteadyState", "SteadyStates"]

Real = NDArray[np.float64]

# Width (V) of an interval that is computed at once; into how many parts it is divided at first, and how often each of
# these is halved at most, the fewer times where injection lowers the gap, which may jump.
_WIDTH, _FIRST, _HALVED, _JUMPS = 2.0**-11, 32, 11, 7
# The last halving is where current (A), electron temperature and gap (part of them) were already as exact as this; it
# makes the error sixteen times smaller.
_CURRENT, _PART = 1e-14, 1e-6


class SteadyState(NamedTuple):
    """Current (A), its slope (S), electron temperature (K) and gap (eV), of the shape of the biases."""

    current: Real
    conductance: Real
    electron_temperature: Real
    gap: Real


class _Divided(NamedTuple):
    """An interval: between its ends, and the numbers of the parts in which the gap jumps."""

    spline: CubicHermiteSpline
    jumps: NDArray[np.intp]


class SteadyStates:
    """Current, electron temperature and gap of a `cooler`, as functions of the voltage across it.

    Cubic in each part of an interval, with the exact slopes at its ends. A part is halved until the states in it are
    exact to 1 fA and 1e-7 of temperature and gap. Where the gap jumps, each state in the part is computed alone.

    Parameters
    ----------
    cooler, bath_temperature
        The cooler, and the temperature of bath and superconductors (K).

    """

    def __init__(self, cooler: SINISCooler, bath_temperature: float) -> None:
        self._cooler, self._bath = cooler, bath_temperature
        self._intervals: dict[int, _Divided | None] = {}

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
        if interval not in self._intervals:
            try:
                self._intervals[interval] = self._divided(interval)
            except NoOperatingPointError:  # somewhere in it, perhaps not where it is asked for
                self._intervals[interval] = None
        divided = self._intervals[interval]
        if divided is None:
            return self._each(voltage)
        spline, jumps = divided
        found: Real = np.insert(spline(voltage), 1, spline(voltage, 1)[:, 0], axis=1)
        alone = np.isin(np.searchsorted(spline.x, voltage, side="right") - 1, jumps)
        if alone.any():
            found[alone] = self._each(voltage[alone])
        return found

    def _each(self, voltage: Real) -> Real:
        values, slopes = self._exact(voltage)
        return np.insert(values, 1, slopes[:, 0], axis=1)

    def _divided(self, interval: int) -> "_Divided":
        """An interval in parts.

        Raises
        ------
        NoOperatingPointError
            Where a heat balance in it has no solution.

        """
        jumps = self._cooler.superconductor is not None
        voltage = _WIDTH * (interval + np.linspace(0, 1, _FIRST + 1))
        values, slopes = self._exact(voltage)
        left = np.arange(_FIRST)
        for _ in range(_JUMPS if jumps else _HALVED):
            spline, middle = CubicHermiteSpline(voltage, values, slopes), (voltage[left] + voltage[left + 1]) / 2
            between, slopes_between = self._exact(middle, spline(middle))
            error, least = np.abs(spline(middle) - between), between[:, 1:].min(axis=0)
            coarse = (error > [_CURRENT, *(_PART * least)]).any(axis=1)
            voltage = np.insert(voltage, left + 1, middle)
            values = np.insert(values, left + 1, between, axis=0)
            slopes = np.insert(slopes, left + 1, slopes_between, axis=0)
            halves = (left + np.arange(left.size))[coarse]
            left = np.sort(np.concatenate([halves, halves + 1]))
            if not left.size:
                break
        return _Divided(CubicHermiteSpline(voltage, values, slopes), left if jumps else left[:0])

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
