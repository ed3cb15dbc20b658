"""The current of a pair whose island heats and cools itself, as a function of the parameters of a fit."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.constants import e, k

from labnis.fit.arrays import Real, real_columns
from labnis.fit.estimate import number_text
from labnis.fit.junction._array import LINE, PAIR, JunctionArray
from labnis.fit.junction._excitation import Curves, device_cycle, first_harmonic, phases
from labnis.fit.junction._island import IslandState, cooler_of, island_state, steady_state
from labnis.fit.parameters import Given, Parameter, restarted
from labnis.fit.result import FitError, FitResult
from labnis.fit.solver import CurveModel, solve
from labnis.physics import NoOperatingPointError, OperatingPoint

__all__ = ["LINE", "HeatedPair", "Readings", "expected_current", "solve_heated"]

# Rounds at most in which weights and excitation follow the parameters, and the change of the expected current, in units
# of its noise, that ends them.
_ROUNDS, _SETTLED = 5, 0.03
# Relative change of χ² that ends a search, which costs much on an island: a parameter then moves by less than 0.01σ.
_ACCURACY = 1e-8
# Phases over which a cycle of the excitation is averaged: exact to 1e-4 for amplitudes up to 10 kT/e on a junction.
_PHASES = phases(12)
# Phases at which the island is solved in every step: exact up to the third power of the excitation.
_FEW = phases(2)
# Temperature at which the island's solver starts at most, in units of the gap.
_WARMEST = 0.9


@dataclass(frozen=True)
class Readings:
    """Voltage across the pair (V) and current (A), shape (n,), with what lies between the device and its meters.

    `excitation` is on the line (V rms), `series_resistance` that of the line (ohm), `resistance_sigma` its standard
    uncertainty, 0 if none is stated. `given` are parameters that are known beforehand. `array` is
    the device of which this is a pair.
    """

    voltage: Real
    current: Real
    series_resistance: float = 0.0
    excitation: float = 0.0
    resistance_sigma: float = 0.0
    given: Given = field(default_factory=dict)
    array: JunctionArray = PAIR

    def at(self, points: NDArray[np.intp]) -> "Readings":
        """Return some of the points."""
        return replace(self, voltage=self.voltage[points], current=self.current[points])


@dataclass(frozen=True)
class HeatedPair(CurveModel):
    """Current at each measured voltage as a function of the parameters `names`.

    Among them may be `series_resistance_error` (ohm), the true resistance of the line less the stated one, by which the
    drop over the line is larger than what has been subtracted.

    `weight` (n,) undoes that a reading scatters (1 + G·R_s) times as much as its current. `state` solves the
    island at the measured `voltage` (V), shape (n, phases), in a few phases of the excitation's cycle; `correction` (A)
    is what the mean over the whole cycle has beyond theirs.
    """

    readings: Readings
    names: tuple[str, ...]
    weight: Real
    voltage: Real
    correction: Real
    state: Callable[[tuple[float, ...]], IslandState]

    @classmethod
    def of(cls, readings: Readings, names: Sequence[str], x: Real) -> Self:
        """With weights and excitation of a device that has the parameters `x`.

        Raises
        ------
        NoOperatingPointError
            Where the electrons would become as warm as the gap.

        """
        values = dict(zip(names, map(float, x), strict=True))
        measured = readings.voltage - values.get(LINE, 0.0) * readings.current
        cooler, voltage = cooler_of(values), measured + values["voltage_offset"]
        point = steady_state(cooler, voltage, values["electron_temperature"])
        share = 1 / (1 + readings.series_resistance * cooler.conductance(point))
        at, electrons, correction = (
            readings.voltage[:, None],
            point.electron_temperature[:, None],
            np.zeros_like(voltage),
        )
        if readings.excitation:

            def state(voltage: Real) -> OperatingPoint:
                return steady_state(cooler, voltage, values["electron_temperature"])

            def exact(voltage: Real, _points: object) -> tuple[Real, Real]:
                found = state(voltage)
                return found.current, cooler.conductance(found)

            line, reach = np.sqrt(2) * readings.excitation, 2 * k / e * point.electron_temperature
            small = line <= reach.min()
            curves = Curves(lambda voltage: state(voltage).current, voltage, line) if small else exact
            cycle = device_cycle(curves, voltage, line * _PHASES, readings.series_resistance, reach)
            # At a few phases of a cosine with the cycle's own first harmonic.
            amplitude = first_harmonic(cycle)[:, None] * _FEW
            few = steady_state(cooler, voltage[:, None] + amplitude, values["electron_temperature"])
            at, electrons = readings.voltage[:, None] + amplitude, few.electron_temperature
            every = np.arange(voltage.size)
            correction = curves(cycle, every)[0].mean(axis=-1) - few.current.mean(axis=-1)
        return cls(
            readings,
            tuple(names),
            share,
            at,
            correction,
            _states(names, at, electrons, readings.current),
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
        """Return the same model, with the same excitation at the device, of other readings."""
        at = self.voltage + (voltage - self.readings.voltage)[:, None]
        readings = replace(self.readings, voltage=voltage, current=measured)
        return replace(self, readings=readings, voltage=at, state=_states(self.names, at, None, measured))

    def place(self, datum: int) -> str:
        return number_text(float(self.readings.voltage[datum]) / self.readings.array.voltage, "V")

    def expected(self, x: Real) -> Real:
        """Expected readings of the current (A), shape (n,)."""
        offset = x[self.names.index("current_offset")]
        return np.asarray(self._state(x).current.mean(axis=1) + self.correction + offset)

    def residuals(self, x: Real) -> Real:
        try:
            return np.asarray((self.readings.current - self.expected(x)) * self.weight)
        except NoOperatingPointError:
            # Not finite: the solver takes a shorter step.
            return np.full(self.weight.shape, np.nan)

    def jacobian(self, x: Real) -> Real:
        return self.slopes(self._state(x))

    def slopes(self, state: IslandState) -> Real:
        """∂(residuals)/∂(parameter), shape (n, p), of a `state` at the voltages of this model."""
        return np.asarray(-state.current_slopes.mean(axis=1) * self.weight[:, None])

    def apart_from_line(self, rows: Real) -> Real:
        """`rows`, shape (n, …), without the part that a wrong series resistance would change in the residuals."""
        # Proportional to G·R_s/(1 + G·R_s)·I.
        change = (1 - self.weight) * self.readings.current
        size = max(float(change @ change), np.finfo(float).tiny)
        return np.asarray(rows - np.multiply.outer(change, change @ rows) / size)

    def state_of(self, values: Mapping[str, float], names: Sequence[str]) -> IslandState:
        """The island at the voltages of this model, with slopes by other parameters."""
        return island_state(values, self.voltage, names)

    def _state(self, x: Real) -> IslandState:
        return self.state(tuple(map(float, x)))


def _states(
    names: Sequence[str], voltage: Real, electrons: Real | None, current: Real
) -> Callable[[tuple[float, ...]], IslandState]:
    """Solver of the island at measured voltages (V), shape (n, phases), that remembers the last parameters.

    `current` (A), shape (n,), is what flows over the line.
    `electrons` are temperatures (K) near the first solution, if any are known; from where the slopes lead, the next
    takes half the time.
    """
    last: list[Any] = [np.full(len(names), np.nan), electrons, np.zeros((*voltage.shape, len(names)))]

    drop = current[:, None]

    @lru_cache(maxsize=1)
    def state(x: tuple[float, ...]) -> IslandState:
        before, temperature, slopes = last
        values = dict(zip(names, x, strict=True))
        start = None
        if temperature is not None:
            ahead = temperature + slopes @ np.nan_to_num(np.array(x) - before)
            # Electrons as warm as the gap are refused.
            warmest = _WARMEST * values["gap"] * e / k
            start = np.minimum(np.clip(ahead, temperature / 2, 2 * temperature), warmest)
        found = island_state(values, voltage - values.get(LINE, 0.0) * drop, names, start)
        if LINE in values:
            line, offset = names.index(LINE), names.index("voltage_offset")
            for slopes in (found.current_slopes, found.temperature_slopes):
                slopes[..., line] = -slopes[..., offset] * drop
        last[:] = np.array(x), found.temperature, found.temperature_slopes
        return found

    return state


def solve_heated(
    parameters: Sequence[Parameter],
    readings: Readings,
    name: str,
    assumed: Mapping[str, str],
    *,
    prior: FitResult | None,
) -> tuple[FitResult, HeatedPair]:
    """Fit the current, in rounds: weights and excitation belong to the parameters that are found.

    Raises
    ------
    FitError
        As `solve`, or where the island has no steady state.

    """
    names, x = [p.name for p in parameters], np.array([p.start for p in parameters])
    inputs = {"series_resistance": readings.series_resistance, "excitation": readings.excitation}
    try:
        model = HeatedPair.of(readings, names, x)
        for _ in range(_ROUNDS):
            result = solve(
                parameters, model, name, assumed, prior=prior, given=readings.given, inputs=inputs, accuracy=_ACCURACY
            )
            before, model = model, HeatedPair.of(readings, names, result.values)
            model = model.with_mask(result.mask)
            moved = np.abs(model.correction - before.correction).max()
            if moved <= _SETTLED * result.noise and np.abs(model.weight / before.weight - 1).max() < _SETTLED:
                break
            parameters = restarted(parameters, result.values)
    except NoOperatingPointError as error:
        raise FitError(f"the island has no steady state: {error}") from error
    return result, model


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
