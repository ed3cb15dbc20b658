"""The current of a pair whose island heats and cools itself, as a function of the parameters of a fit."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.constants import e, k

from labnis.fit.arrays import Real, real_columns
from labnis.fit.junction._excitation import device_cycle, phases
from labnis.fit.junction._island import IslandState, cooler_of, island_state
from labnis.fit.parameters import Parameter, restarted
from labnis.fit.result import FitError, FitResult
from labnis.fit.solver import Model, solve
from labnis.physics import NoOperatingPointError

__all__ = ["HeatedPair", "Readings", "expected_current", "solve_heated"]

# Rounds at most in which weights and excitation follow the parameters, and the change of the expected current, in units
# of its noise, that ends them.
_ROUNDS, _SETTLED = 5, 0.03
# Phases over which a cycle of the excitation is averaged: exact to 1e-4 for amplitudes up to 10 kT/e on a junction.
_PHASES = phases(12)


@dataclass(frozen=True)
class Readings:
    """Voltage across the pair (V) and current (A), shape (n,), with what lies between the device and its meters.

    `excitation` is on the line (V rms), `series_resistance` that of the line (ohm).
    """

    voltage: Real
    current: Real
    series_resistance: float = 0.0
    excitation: float = 0.0

    def at(self, points: NDArray[np.intp]) -> "Readings":
        """Return some of the points."""
        return replace(self, voltage=self.voltage[points], current=self.current[points])


@dataclass(frozen=True)
class HeatedPair(Model):
    """Current at each measured voltage as a function of the parameters `names`.

    `weight` (n,) undoes that a reading scatters (1 + G·R_s) times as much as its current. `correction` (A) is what a
    cycle of the excitation adds to the current at its centre. `state` solves the island at given parameters.
    """

    readings: Readings
    names: tuple[str, ...]
    weight: Real
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
        cooler, voltage = cooler_of(values), readings.voltage + values["voltage_offset"]
        point = cooler.operating_point(voltage, values["electron_temperature"])
        electrons = [np.array(x, dtype=np.float64), point.electron_temperature, np.zeros((voltage.size, len(names)))]
        share = 1 / (1 + readings.series_resistance * cooler.conductance(point))
        correction = np.zeros_like(voltage)
        if readings.excitation:

            def characteristic(voltage: Real) -> tuple[Real, Real]:
                at = cooler.operating_point(voltage, values["electron_temperature"])
                return at.current, cooler.conductance(at)

            line, reach = np.sqrt(2) * readings.excitation * _PHASES, 2 * k / e * point.electron_temperature
            cycle = device_cycle(characteristic, voltage, line, readings.series_resistance, reach)
            correction = characteristic(cycle)[0].mean(axis=-1) - point.current

        @lru_cache(maxsize=1)
        def state(x: tuple[float, ...]) -> IslandState:
            # From where the slopes lead, it is solved in half the time.
            before, temperature, slopes = electrons
            start = np.clip(temperature + slopes @ (np.array(x) - before), temperature / 2, 2 * temperature)
            found = island_state(dict(zip(names, x, strict=True)), readings.voltage, names, start)
            electrons[:] = np.array(x), found.temperature, found.temperature_slopes
            return found

        return cls(readings, tuple(names), share, correction, state, mask=np.ones(voltage.shape, bool))

    def expected(self, x: Real) -> Real:
        """Expected readings of the current (A), shape (n,)."""
        offset = x[self.names.index("current_offset")]
        return np.asarray(self._state(x).current + self.correction + offset)

    def residuals(self, x: Real) -> Real:
        try:
            return np.asarray((self.readings.current - self.expected(x)) * self.weight)
        except NoOperatingPointError:
            # Not finite: the solver takes a shorter step.
            return np.full(self.weight.shape, np.nan)

    def jacobian(self, x: Real) -> Real:
        return np.asarray(-self._state(x).current_slopes * self.weight[:, None])

    def _state(self, x: Real) -> IslandState:
        return self.state(tuple(map(float, x)))


def solve_heated(
    parameters: Sequence[Parameter],
    readings: Readings,
    name: str,
    assumed: Mapping[str, str],
    *,
    prior: FitResult | None,
    outliers: bool = True,
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
            result = solve(parameters, model, name, assumed, prior=prior, inputs=inputs, outliers=outliers)
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
    readings = Readings(voltage, voltage, resistance, excitation)
    return HeatedPair.of(readings, fit.names, fit.values).expected(fit.values)
