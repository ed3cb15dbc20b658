"""Fit of the current of a pair of junctions whose electrons have one temperature at every bias."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

import numpy as np

from labnis.fit.arrays import FEWER_POINTS, MANY_POINTS, Real, evenly_spread
from labnis.fit.junction._curve_start import curve_start
from labnis.fit.junction._excitation import phases
from labnis.fit.junction._heated_pair import Readings
from labnis.fit.junction._island import COMPONENTS
from labnis.fit.junction._line import GAIN
from labnis.fit.junction._pair import ASSUMED, PairModel, pair_parameters
from labnis.fit.junction._unequal_pair import ASYMMETRY
from labnis.fit.parameters import Parameter, hold, restarted
from labnis.fit.result import FitError, FitResult
from labnis.fit.solver import solve

__all__ = ["ISLAND", "LARGEST_ASYMMETRY", "MODEL", "Sweep", "fit_pair"]

MODEL = "SINIS I–V"
#: Parameters of an island that heats, and of the lock-in → unit: what a pair of one temperature does not have.
ISLAND = COMPONENTS | {"dephasing_rate": "1/s", GAIN: "1"}
# Phases that average a cycle: few are exact up to the seventh power of the excitation, which is enough within kT/e.
_FEW, _MANY = phases(4), phases(12)
# A change of weights and excitation by this fraction moves a result by as much of its σ.
_ROUNDS, _SETTLED = 4, 1e-3
# Start and largest value of the asymmetry of a pair.
_START, LARGEST_ASYMMETRY = 0.1, 0.9
_UNEQUAL = "two in series whose resistances differ by the asymmetry; normal_resistance is their mean"


def fit_pair(
    readings: Readings, fixed: Mapping[str, float], start: FitResult | None, rounds: int = _ROUNDS
) -> FitResult:
    """Fit a pair whose electrons have one temperature at every bias.

    In so many `rounds` at most in which weights and excitation follow the parameters.
    """
    fixed = {name: value for name, value in fixed.items() if name not in ISLAND}
    voltage, measured, array = readings.voltage, readings.current, readings.array
    if voltage.size > MANY_POINTS and start is None:
        with suppress(FitError):
            start = fit_pair(readings.at(evenly_spread(voltage.size, FEWER_POINTS)), fixed, None)
    excitation, series_resistance = readings.excitation, readings.series_resistance
    given = {name: value for name, value in readings.given.items() if name not in ISLAND}
    ordinary = _parameters(readings, start, {**fixed, **{name: value for name, (value, _) in given.items()}})
    if ASYMMETRY in {**fixed, **given}:
        ordinary.append(Parameter(ASYMMETRY, "1", _START, _START, 0.0, LARGEST_ASYMMETRY))
    parameters = hold(ordinary, fixed, given)
    if not np.sqrt(2) * excitation < 2 * parameters[0].start:
        told = excitation / array.voltage
        raise FitError(f"an excitation of {told:.3g} V rms is as wide as the whole gap; is it in volt?")
    # At 0 nothing changes with it.
    parameters = [
        replace(p, start=max(p.start, _START)) if p.name == ASYMMETRY and not p.fixed else p for p in parameters
    ]
    inputs = {"series_resistance": series_resistance, "excitation": excitation}
    # How much of a change of the line reaches the device depends on the curve, which the first rounds find.
    x = np.array([p.start for p in parameters])
    extra = tuple(p.name for p in parameters[Sweep.ordinary :])
    assumed = ASSUMED | ({"junctions": _UNEQUAL} if extra else {})
    sweep = Sweep.of(x, voltage, measured, excitation, series_resistance, array, extra)
    for _ in range(rounds):
        result, before = solve(parameters, sweep, MODEL, assumed, given=given, inputs=inputs), sweep
        sweep = Sweep.of(result.values, voltage, measured, excitation, series_resistance, array, extra)
        if _settled(sweep.weight, before.weight, 1.0) and _settled(sweep.waveform, before.waveform, excitation):
            break
        parameters = restarted(parameters, result.values)
    return result


def _settled(now: Real, before: Real, unit: float) -> bool:
    return now.shape == before.shape and bool(np.abs(now - before).max() <= _SETTLED * unit)


class Sweep(PairModel):
    """The mean current; a residual scatters (1 + G·R_s) times as much as the current alone."""

    scatter, ordinary = 1, 6

    @staticmethod
    def phases(amplitude: float) -> Real:
        return _FEW if amplitude < 1 else _MANY

    def reading(self, current: Real) -> Real:
        return np.asarray(current.mean(axis=-1))

    def model(self, x: Real) -> Real:
        return np.asarray(super().model(x) + x[5])

    def jacobian(self, x: Real) -> Real:
        slopes = super().jacobian(x)
        return np.concatenate([slopes[:, :5], -self.weight[:, None], slopes[:, 5:]], axis=1)


def _parameters(readings: Readings, start: FitResult | None, known: Mapping[str, float]) -> list[Parameter]:
    """Start values from an earlier fit, or from the curve and what is `known`."""
    guess = start.by_name if start is not None else {}
    if start is None:
        guess = curve_start(readings.voltage, readings.current, known, readings.array)
    pair = pair_parameters(guess, "current in ampere")
    scale = 1e-2 * guess["gap"] / guess["normal_resistance"]
    return [*pair, Parameter("current_offset", "A", guess.get("current_offset", 0.0), scale)]
