"""The current of a pair whose island heats and cools itself, as a function of the parameters of a fit."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.constants import e, k

from labnis.fit.arrays import Real, real_columns
from labnis.fit.estimate import number_text
from labnis.fit.junction._array import PAIR, JunctionArray
from labnis.fit.junction._excitation import device_cycle, first_harmonic, phases
from labnis.fit.junction._island import (
    ANDREEV,
    ANDREEV_AMPLITUDE,
    DEPHASING_RATE,
    KAPITZA,
    IslandState,
    island_state,
)
from labnis.fit.junction._island_curve import (
    IslandCurve,
    interpolated,
    interpolated_state,
    parities,
    spline_of_both_signs,
)
from labnis.fit.junction._line import LINE
from labnis.fit.parameters import Given, joined
from labnis.fit.result import FitResult, result_from_mapping
from labnis.fit.solver import CurveModel
from labnis.physics import NoOperatingPointError

__all__ = ["HeatedPair", "Readings", "component_prior", "expected_current", "island_prior"]

# Phases over which a cycle of the excitation is averaged: exact to 1e-4 for amplitudes up to 10 kT/e on a junction.
_PHASES = phases(12)
# A common change of all voltages (V) within which the curve is straight.
_STRAIGHT = 1e-10
# Phases at which the island is solved in every step: exact up to the third power of the excitation.
_FEW = phases(2)


@dataclass(frozen=True)
class Readings:
    """Voltage across the pair (V) and current (A), shape (n,), with what lies between the device and its meters.

    `excitation` is on the line (V rms), `series_resistance` that of the line (ohm), `resistance_sigma` its standard
    uncertainty, 0 if none is stated. `given` are parameters that are known beforehand. `array` is
    the device of which this is a pair. `kapitza_limit` (K⁴/W) is the upper limit of a Kapitza resistance that is
    nothing but bounded; 0 if it is free, or absent.
    """

    voltage: Real
    current: Real
    series_resistance: float = 0.0
    excitation: float = 0.0
    resistance_sigma: float = 0.0
    given: Given = field(default_factory=dict)
    array: JunctionArray = PAIR
    kapitza_limit: float = 0.0

    def at(self, points: NDArray[np.intp]) -> "Readings":
        """Return some of the points."""
        return replace(self, voltage=self.voltage[points], current=self.current[points])


@dataclass(frozen=True)
class HeatedPair(CurveModel):
    """Current at each measured voltage as a function of the parameters `names`.

    Among them may be `series_resistance_error` (ohm), the true resistance of the line less the stated one, by which the
    drop over the line is larger than what has been subtracted.

    `share` (n,) is the part of a change of the line's voltage that the device gets, 1/(1 + G·R_s): a reading scatters
    1/share times as much as its current. `weight` (n,) undoes that, and what the voltage's own noise adds.

    `current` is that at the measured `voltage` (V), shape (n, phases), in a few phases of the excitation's
    cycle; `correction` (A) is what the mean over the whole cycle has beyond theirs. `harmonic` (V) is the first
    harmonic of the excitation at the device, 0 without any, and `harmonic_correction` (A) what that of the current has
    beyond those few phases. `solved` are the readings at whose voltages that is; `readings` may differ a little.
    Where they are fewer, the island is solved at the `nodes` (V), true voltages from 0 up, shape (m,), between which it
    is interpolated; else there are none. `electrons` (K) and `gap` (eV) are close to the solution there.
    """

    readings: Readings
    solved: Readings
    names: tuple[str, ...]
    share: Real
    weight: Real
    voltage: Real
    correction: Real
    harmonic: Real
    harmonic_correction: Real
    nodes: Real
    electrons: Real
    gap: Real
    current: Callable[[tuple[float, ...]], "_Current"]

    @classmethod
    def of(cls, readings: Readings, names: Sequence[str], x: Real, voltage_noise: float = 0.0) -> Self:
        """With weights and excitation of a device that has the parameters `x`.

        `voltage_noise` is that of a voltage reading over that of a current reading (ohm).

        Raises
        ------
        NoOperatingPointError
            Where the electrons would become as warm as the gap.

        """
        values = dict(zip(names, map(float, x), strict=True))
        voltage = readings.voltage - values.get(LINE, 0.0) * readings.current + values["voltage_offset"]
        line = np.sqrt(2) * readings.excitation
        curve = IslandCurve.of(values, voltage, line)
        share = 1 / (1 + readings.series_resistance * curve.conductance)
        weight = share / np.sqrt(1 + (voltage_noise * curve.conductance * share) ** 2)
        amplitude = np.zeros((voltage.size, 1))
        correction, harmonic, harmonic_correction = np.zeros((3, *voltage.shape))
        if readings.excitation:
            cycle = device_cycle(
                curve.around, voltage, line * _PHASES, readings.series_resistance, 2 * k / e * curve.electrons
            )
            # At a few phases of a cosine with the cycle's own first harmonic.
            harmonic = first_harmonic(cycle)
            amplitude = harmonic[:, None] * _FEW
            every = np.arange(voltage.size)
            along, few = (curve.around(at, every)[0] for at in (cycle, voltage[:, None] + amplitude))
            correction = along.mean(axis=-1) - few.mean(axis=-1)
            harmonic_correction = first_harmonic(along) - first_harmonic(few)
        at = readings.voltage[:, None] + amplitude
        nodes = curve.nodes
        where = nodes if nodes.size else voltage[:, None] + amplitude
        electrons, gap = interpolated(np.abs(where), np.abs(voltage), curve.electrons, curve.gap)
        return cls(
            readings,
            readings,
            tuple(names),
            share,
            weight,
            at,
            correction,
            harmonic,
            harmonic_correction,
            nodes,
            electrons,
            gap,
            _currents(names, at, readings.current, nodes, electrons, gap),
            mask=np.ones(voltage.shape, bool),
        )

    @property
    def device_voltage(self) -> Real:
        return self.readings.voltage

    def by_voltage(self, x: Real) -> Real:
        return np.asarray(self.jacobian(x)[:, self.names.index("voltage_offset")])

    def signal(self, x: Real) -> Real:
        return self.expected(x) * self.weight

    def with_readings(self, voltage: Real, measured: Real) -> Self:
        """Return the same model of other readings; the curve is straight between their voltages, but for an offset."""
        return replace(self, readings=replace(self.readings, voltage=voltage, current=measured))

    def place(self, datum: int) -> str:
        return number_text(float(self.readings.voltage[datum]) / self.readings.array.voltage, "V")

    def expected(self, x: Real) -> Real:
        """Expected readings of the current (A), shape (n,)."""
        state, away = self._near(x)
        by_voltage = state.current_slopes[..., self.names.index("voltage_offset")].mean(axis=1)
        offset = x[self.names.index("current_offset")]
        return np.asarray(state.current.mean(axis=1) + self.correction + offset + by_voltage * away)

    def lockin(self, x: Real) -> tuple[Real, Real]:
        """Conductance (S) that the excitation sees, its first harmonic, shape (n,), and its slopes, shape (n, p)."""
        state, away = self._near(x)
        current = first_harmonic(state.current) + self.harmonic_correction
        slopes = first_harmonic(np.moveaxis(state.current_slopes, 1, -1))
        current = current + slopes[:, self.names.index("voltage_offset")] * away
        return current / self.harmonic, slopes / self.harmonic[:, None]

    def _near(self, x: Real) -> tuple["_Current", Real]:
        """The current near the true voltages of the readings, and by how much these (V) differ from it, shape (n,).

        An offset of all of them is that of the parameters, which may take it over exactly: where the electrons are
        coldest the curve is not straight over a thousandth of what an offset may be.
        """
        line = float(x[self.names.index(LINE)]) if LINE in self.names else 0.0
        more = self.readings.current - self.solved.current
        away = self.readings.voltage - self.solved.voltage - line * more
        common, at = float(away.mean()), np.array(x, dtype=np.float64)
        common = common if abs(common) > _STRAIGHT else 0.0
        at[self.names.index("voltage_offset")] += common
        return self.current(tuple(map(float, at))), away - common

    def residuals(self, x: Real) -> Real:
        try:
            return np.asarray((self.readings.current - self.expected(x)) * self.weight)
        except NoOperatingPointError:
            # Not finite: the solver takes a shorter step.
            return np.full(self.weight.shape, np.nan)

    def jacobian(self, x: Real) -> Real:
        return self.slopes(self.current(tuple(map(float, x))).current_slopes)

    def slopes(self, current_slopes: Real) -> Real:
        """∂(residuals)/∂(parameter), shape (n, p), from slopes of the current at the voltages of this model."""
        return np.asarray(-current_slopes.mean(axis=1) * self.weight[:, None])

    def apart_from_line(self, rows: Real) -> Real:
        """`rows`, shape (n, …), without the part that a wrong series resistance would change in the residuals."""
        # Proportional to G·I, weighted.
        change = (1 - self.share) * self.weight / self.share * self.readings.current
        size = max(float(change @ change), np.finfo(float).tiny)
        return np.asarray(rows - np.multiply.outer(change, change @ rows) / size)

    def state_of(self, values: Mapping[str, float], names: Sequence[str]) -> IslandState:
        """The island at the voltages of this model, with slopes by other parameters."""
        if not self.nodes.size:
            return island_state(values, self.voltage, names, self.electrons, self.gap)
        offset = values["voltage_offset"]
        state = island_state(values, self.nodes - offset, names, self.electrons, self.gap)
        return interpolated_state(state, self.nodes, self.voltage + offset, names)


class _Current(NamedTuple):
    """The current (A), and its slopes by p parameters, of one axis more."""

    current: Real
    current_slopes: Real


def _currents(
    names: Sequence[str], voltage: Real, current: Real, nodes: Real, electrons: Real, gap: Real
) -> Callable[[tuple[float, ...]], _Current]:
    """Current at measured voltages (V), shape (n, phases), as a function of the parameters; it remembers the last ones.

    `current` (A), shape (n,), is what flows over the line.
    `electrons` are temperatures (K) and `gap` gaps (eV) near the first solution, at the `nodes` (V) if there are any.
    """
    last: tuple[Real, IslandState] | None = None
    drop, offset = current[:, None], names.index("voltage_offset")
    odd = np.append(True, parities(names)[0])

    @lru_cache(maxsize=1)
    def found(x: tuple[float, ...]) -> _Current:
        nonlocal last
        values, start, near = dict(zip(names, x, strict=True)), electrons, gap
        if last is not None:
            change = np.array(x) - last[0]
            if nodes.size:  # which stay where they are
                change[offset] = 0.0
            start, near = last[1].near(change, values["gap"])
        true, shift = voltage - values.get(LINE, 0.0) * drop, values["voltage_offset"]
        solved = island_state(values, nodes - shift if nodes.size else true, names, start, near)
        last = np.array(x), solved
        found = _Current(solved.current, solved.current_slopes)
        if nodes.size:
            columns = spline_of_both_signs(nodes, np.column_stack(found), odd)(true + shift)
            found = _Current(columns[..., 0], columns[..., 1:])
        if LINE in values:
            line = names.index(LINE)
            found.current_slopes[..., line] = -found.current_slopes[..., offset] * drop
            if not nodes.size:
                solved.temperature_slopes[..., line] = -solved.temperature_slopes[..., offset] * drop
        return found

    return found


def expected_current(fit: FitResult, device_voltage: ArrayLike) -> Real:
    """Current (A) that a fit with components expects at each measured `device_voltage` (V), shape (n,)."""
    (voltage,) = real_columns(device_voltage=device_voltage)
    resistance, excitation = (fit.inputs.get(name, 0.0) for name in ("series_resistance", "excitation"))
    current = np.zeros_like(voltage)
    # A wrong resistance of the line shifts the voltage in proportion to the current that is sought.
    for _ in range(3 if LINE in fit.names else 1):
        readings = Readings(voltage, current, resistance, excitation)
        current = HeatedPair.of(readings, fit.names, fit.values).expected(fit.values)
    return current


def component_prior(names: Sequence[str], resistance_sigma: float = 0.0) -> FitResult | None:
    """What is known of the dephasing rate, and of the resistance of the line (ohm), among the parameters `names`."""
    known = {"dephasing_rate": DEPHASING_RATE, LINE: (0.0, resistance_sigma)}
    used = {name: known[name] for name in names if name in known}
    return result_from_mapping("prior", used) if used else None


def island_prior(names: Sequence[str], resistance_sigma: float = 0.0, kapitza_limit: float = 0.0) -> FitResult | None:
    """As `component_prior`, and what is known of the amplitudes of an Andreev current among the parameters `names`.

    They are in units of published wires. A curve on which such a current hardly shows, at high resistances, would
    otherwise allow amplitudes of hundreds, and with them temperatures that no wire explains. A Kapitza resistance up to
    a limit (K⁴/W) is equally likely everywhere below it.
    """
    expected = {name: ANDREEV_AMPLITUDE for name in names if name in ANDREEV}
    if kapitza_limit:
        expected[KAPITZA] = kapitza_limit / 2, kapitza_limit / np.sqrt(12)
    known = component_prior(names, resistance_sigma)
    if not expected:
        return known
    limits = {KAPITZA: kapitza_limit} if kapitza_limit else {}
    prior = replace(result_from_mapping("prior", expected), limits=limits)
    return prior if known is None else joined(prior, known)
