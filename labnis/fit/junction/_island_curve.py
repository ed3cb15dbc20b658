"""The current of an island at any voltage, interpolated between voltages where its heat balance is solved."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, Self

import numpy as np
from scipy.constants import e, k
from scipy.integrate import cumulative_trapezoid
from scipy.interpolate import BSpline, make_interp_spline
from scipy.ndimage import minimum_filter1d

from labnis.fit.arrays import Bool, Real
from labnis.fit.junction._island import IslandState, cooler_of, steady_state
from labnis.physics import OperatingPoint, SINISCooler

__all__ = ["IslandCurve", "interpolated", "interpolated_state", "parities", "spline_of_both_signs"]

# Computed voltages in the reach of a curve: with so many, or more, a polynomial of seventh order between them is
# exact to this part of the current at the gap; how far they are needed beyond the excitation, and beyond the sweep (V).
_PER_REACH, _ORDER, _OFF, _MARGIN, _BEYOND = (5, 7, 10), 7, 2e-6, 1.2, 5e-6
# Voltages at which the temperature is looked at first, in units of the gap of both junctions: it falls next to it. And
# how far around each the nodes are as close.
_PROFILE = (np.linspace(0.0, 0.8, 13)[:-1], np.linspace(0.8, 1.2, 81)[:-1], np.linspace(1.2, 2.0, 9))
_AROUND = 0.005
# Least distance of voltages at which the reach is known, as a part of the largest.
_FINEST = 1e-6
# Up to so many points without an excitation are solved each; and with more nodes than this part of the points.
_FEW_POINTS, _FEWER = 150, 0.7
_ODD = np.array([True])


class _Nodes(NamedTuple):
    """True voltages (V) from 0 up, shape (m,), the steady states there, and whether the current between is exact."""

    voltage: Real
    states: OperatingPoint
    exact: bool

    @classmethod
    @lru_cache(maxsize=4)  # a fit, what is told of it and its budget are of the same curve
    def of(cls, cooler: SINISCooler, temperature: float, end: float, margin: float, most: float) -> Self | None:
        """Between which a polynomial follows the current up to `end` (V); None where more than `most` are needed.

        They are closest where the curve bends over the least voltage, 2kT_e/e, and within a `margin` (V) of it. Whether
        they are close enough is seen in the middle between them.
        """
        edge = 2 * cooler.junction.gap
        rough = np.concatenate([edge * part for part in _PROFILE])
        rough = np.append(rough, np.geomspace(rough[-1], max(end, 1.1 * rough[-1]), 30)[1:])
        rough = np.append(rough[rough < end], end)
        known = steady_state(cooler, rough, temperature)
        least = max(float(known.electron_temperature.min()) * k / e, _FINEST * end)
        grid = np.arange(0.0, end + least, least)
        wide = 2 * int((margin + _AROUND * edge) / least) + 3
        reach = minimum_filter1d(2 * k / e * np.interp(grid, rough, known.electron_temperature), wide)
        for per_reach in _PER_REACH:
            number = cumulative_trapezoid(per_reach / reach, grid, initial=0.0)
            nodes = np.interp(np.linspace(0, number[-1], int(number[-1]) + 1 + _ORDER), number, grid)
            middle = (nodes[1:] + nodes[:-1]) / 2
            if nodes.size > most:
                return None
            states, halfway = (
                steady_state(cooler, at, temperature, *interpolated(at, rough, known.electron_temperature, known.gap))
                for at in (nodes, middle)
            )
            off = np.abs(spline_of_both_signs(nodes, states.current[:, None], _ODD)(middle)[:, 0] - halfway.current)
            typical = float(np.interp(edge, nodes, states.current))
            if (off <= _OFF * np.maximum(halfway.current, typical)).all():
                return cls(nodes, states, exact=True)
        return cls(nodes, states, exact=False)


def spline_of_both_signs(nodes: Real, columns: Real, odd: Bool) -> BSpline:
    """Between `nodes` (V) from 0 up and their negatives, of `columns` (m, k) that are `odd` or even, shape (k,)."""
    mirrored = np.where(odd, -1.0, 1.0) * columns[:0:-1]
    return make_interp_spline(np.append(-nodes[:0:-1], nodes), np.vstack([mirrored, columns]), k=_ORDER)


class IslandCurve(NamedTuple):
    """Conductance (S), electron temperature (K) and gap (eV) at n true voltages, and the current around them.

    The `current` (A) is interpolated between nodes (V), which there are with an excitation or with many points; the
    island may be solved at the `nodes` instead of at the points, if there are any.
    """

    conductance: Real
    electrons: Real
    gap: Real
    nodes: Real
    current: BSpline | None

    @classmethod
    def of(cls, values: Mapping[str, float], voltage: Real, line: float) -> Self:
        """Of the device with the parameters in `values`, within an excitation of `line` (V)."""
        cooler, temperature = cooler_of(values), values["electron_temperature"]
        few, margin, none = _FEWER * voltage.size, _MARGIN * line, np.zeros(0)
        end = float(np.abs(voltage).max()) + margin + _BEYOND
        found = None
        if line or voltage.size > _FEW_POINTS:
            found = _Nodes.of(cooler, temperature, end, margin, np.inf if line else few)
        if found is None or not (line or found.exact):
            point = steady_state(cooler, voltage, temperature)
            return cls(cooler.conductance(point), point.electron_temperature, point.gap, none, None)
        nodes, states, exact = found
        current = spline_of_both_signs(nodes, states.current[:, None], _ODD)
        electrons, gap = interpolated(np.abs(voltage), nodes, states.electron_temperature, states.gap)
        fewer = exact and nodes.size < (2 * few if line else few)  # with an excitation there are two phases of each
        return cls(current(voltage, 1)[:, 0], electrons, gap, nodes if fewer else none, current)

    def around(self, voltage: Real, _points: object) -> tuple[Real, Real]:
        """Current (A) and conductance (S) at voltages (V) within the excitation."""
        assert self.current is not None  # noqa: S101  # for mypy
        return self.current(voltage)[..., 0], self.current(voltage, 1)[..., 0]


def interpolated(where: Real, voltage: Real, *columns: Real) -> list[Real]:
    """Columns at voltages (V) in any order, at others."""
    order = np.argsort(voltage)
    return [np.interp(where, voltage[order], column[order]) for column in columns]


def parities(names: Sequence[str]) -> tuple[Bool, Bool]:
    """Whether slopes of the current, and of what the bias does not reverse, by these parameters are odd in the bias.

    As is the current itself. An offset of the voltage turns it round, and one of the current adds to all alike.
    """
    along = np.array([name == "voltage_offset" for name in names])
    return ~along & (np.array(names) != "current_offset"), along


def interpolated_state(state: IslandState, nodes: Real, voltage: Real, names: Sequence[str]) -> IslandState:
    """A state of the island at the `nodes` (V), from 0 up, at true voltages (V) of any shape."""
    of_current, of_others = parities(names)
    odd = (_ODD, *[~_ODD] * 3, of_current, *[of_others] * 3)
    columns = (
        spline_of_both_signs(nodes, column.reshape(nodes.size, -1), parity)(voltage)
        for column, parity in zip(state, odd, strict=True)
    )
    return IslandState(*(c.reshape(*voltage.shape, *one.shape[1:]) for c, one in zip(columns, state, strict=True)))
