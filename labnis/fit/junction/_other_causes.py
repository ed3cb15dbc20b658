"""What else than heat makes a curve unlike that of a pair of one temperature: other junctions, line, or known values.

The components of a heat balance together describe much that is no heat. So where they are found, or do not suffice, a
few causes with one parameter each are tried, at one temperature.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

import numpy as np
from scipy.optimize import minimize_scalar

from labnis.fit._doubts import AS_WELL
from labnis.fit._held import with_wrong_held_told
from labnis.fit._residuals import told_alike
from labnis.fit.arrays import Bool, Real, evenly_spread
from labnis.fit.estimate import number_text
from labnis.fit.junction._array import PAIR
from labnis.fit.junction._heated_pair import Readings
from labnis.fit.junction._island import COMPONENTS
from labnis.fit.junction._offset_step import likeliest_step, text_of_step
from labnis.fit.junction._one_temperature import LARGEST_ASYMMETRY, Sweep, fit_pair
from labnis.fit.junction._unequal_pair import ASYMMETRY
from labnis.fit.result import FitError, FitResult

__all__ = ["other_cause", "wrong_held_values"]

# Points with which a cause is tried.
_FEW = 81
# How often the resistance of the line is improved, and to which part of that of a junction.
_ROUNDS, _ACCURACY = 8, 1e-4
# A cause lowers χ² by as much, and causes that differ by less are all possible.
_BETTER, _ALIKE = 10.0, 6.0
# An island describes so much better what no cause describes by one parameter.
_HOT = 15.0
# χ²/ν of n points scatters by so much over √n at most.
_SCATTER = 5.0
# A value contradicts what was known beyond so many of its standard uncertainties.
_CONTRADICTS = 2.5
# Largest excitation (rms), in units of the gap of a junction, and how often another one is tried.
_LARGEST_EXCITATION, _TRIES = 0.2, 12
_SOME = (0.06, 0.12, 0.25, 0.5)
# What cannot be the cause leaves more than this part of what squares have more than noise.
_LEAVES = 0.4
_OF_JUNCTIONS = ("gap", "normal_resistance", "electron_temperature", "dynes")
_AS_STATED = "an error of the line within what is stated of it"


def other_cause(
    result: FitResult, readings: Readings, fixed: Mapping[str, float], equal: FitResult | None
) -> tuple[str, ...]:
    """Warnings of the causes other than heat that describe the current as well as the `result` does.

    By Akaike's criterion: each further parameter of the result has to lower χ² by 2. And it describes it better than a
    pair of one temperature without any cause. `equal` is a fit of the pair at one temperature, if there is one, and
    `fixed` are the parameters that are held.
    """
    few = evenly_spread(readings.voltage.size, _FEW)
    some, counted = readings.at(few), result.mask[few]
    held = {name: value for name, value in fixed.items() if name not in COMPONENTS}
    found = []
    try:
        alike = bool(told_alike(result.warnings))
        start = fit_pair(some, held, equal, rounds=1)
        # Further rounds hardly change the noise.
        if alike or start.noise < 2 * _HOT * result.noise:
            start = fit_pair(some, held, start)
    except FitError:
        return ()
    if start.noise > _HOT * result.noise and not alike:
        return ()  # what is so large and described so well is heat
    for cause in (_unequal_junctions, _wrong_line, _excitation, _wrong_values, _step_of_offset):
        with suppress(FitError):
            found += cause(some, held, start)
    # A cause that leaves more than the noise between neighbours describes nothing.
    described = [(fit, text) for fit, text in found if fit.chi2 / fit.degrees_of_freedom < 1 + _SCATTER / np.sqrt(_FEW)]
    rated = [(_akaike(fit.residuals, fit, counted, result.noise), text) for fit, text in described]
    likeliest, _ = min(rated, default=(np.inf, ""))
    if any(what == _AS_STATED and akaike < likeliest + _BETTER for akaike, what in rated):
        return ()  # the budget has it
    of_result = _akaike(result.residuals[few], result, counted, result.noise)
    of_nothing = _akaike(start.residuals, start, counted, result.noise) - _BETTER
    if likeliest > min(of_result, of_nothing):
        return ()
    return tuple(text for akaike, text in rated if akaike < likeliest + _ALIKE)


def wrong_held_values(
    result: FitResult, fixed: Mapping[str, float], freed: Callable[[Mapping[str, float]], FitResult]
) -> FitResult:
    """The `result`, with a warning of each `fixed` value that the same curve contradicts, and without its consequences.

    `freed` fits the curve with other values fixed.
    """
    released = [n for n, value in fixed.items() if n in _OF_JUNCTIONS or (n in COMPONENTS and value > 0)]
    return with_wrong_held_told(result, fixed, released, freed, "curve")


def _akaike(residuals: Real, fit: FitResult, counted: Bool, noise: float) -> float:
    """χ² of the `residuals` that count, and 2 for each free parameter of the `fit`."""
    return float(residuals[counted] @ residuals[counted]) / noise**2 + 2 * len(fit.free)


def _excess(fit: FitResult) -> float:
    """What the squares of the residuals have more than noise between neighbours."""
    return fit.noise**2 * (fit.degrees_of_freedom - fit.degrees_of_freedom**2 / fit.chi2)


def _unequal_junctions(readings: Readings, held: Mapping[str, float], start: FitResult) -> list[tuple[FitResult, str]]:
    if readings.array != PAIR:
        return []
    fit = fit_pair(replace(readings, given={**readings.given, ASYMMETRY: (0.0, LARGEST_ASYMMETRY)}), held, start)
    text = (
        f"{AS_WELL} by two unequal junctions, with (R1 − R2)/(R1 + R2) of about {fit[ASYMMETRY].value:.2g} (different "
        "gaps look alike): if they are, give asymmetry as 0 ± 0.3"
    )
    return [(fit, text)]


def _wrong_line(readings: Readings, held: Mapping[str, float], start: FitResult) -> list[tuple[FitResult, str]]:
    error, fit = 0.0, start
    for _ in range(_ROUNDS):
        series, voltage = readings.series_resistance + error, readings.voltage - error * readings.current
        fit = fit_pair(replace(readings, voltage=voltage, series_resistance=series), held, fit)
        if error and _excess(fit) > _LEAVES * _excess(start):
            return []
        model = Sweep.of(fit.values, voltage, readings.current, readings.excitation, series, readings.array)
        change = model.by_voltage(fit.values) * readings.current
        slopes = model.jacobian(fit.values)[:, fit.sigma > 0]
        own = change - slopes @ np.linalg.lstsq(slopes, change, rcond=None)[0]
        step = float(own @ fit.residuals / (own @ own))
        error += step
        if abs(step) < _ACCURACY * fit["normal_resistance"].value:
            break
    if abs(error) <= _CONTRADICTS * readings.resistance_sigma:
        return [(fit, _AS_STATED)]
    of_pair = readings.array.resistance
    text = (
        f"{AS_WELL} with a series resistance of {(readings.series_resistance + error) / of_pair:.5g} ohm, which is "
        f"{abs(error) / of_pair:.4g} ohm off what was stated: measure it again"
    )
    return [(fit, text)]


def _excitation(readings: Readings, held: Mapping[str, float], start: FitResult) -> list[tuple[FitResult, str]]:
    def fitted(excitation: float) -> FitResult:
        return fit_pair(replace(readings, excitation=float(excitation)), held, start)

    def squares(excitation: float) -> float:
        return float((fitted(excitation).residuals ** 2).sum())

    largest = _LARGEST_EXCITATION * start["gap"].value
    if min(_excess(fitted(part * largest)) for part in _SOME) > _LEAVES * _excess(start):
        return []
    found = minimize_scalar(
        squares, bounds=(0.0, largest), method="bounded", options={"xatol": 1e-2 * largest, "maxiter": _TRIES}
    )
    size, told = (number_text(one / readings.array.voltage, "V") for one in (found.x, readings.excitation))
    text = (
        f"{AS_WELL} with an alternating voltage of {size} rms on the line, and the fit was told of {told}: an "
        "excitation, mains pickup, or noise?"
    )
    return [(fitted(found.x), text)]


def _wrong_values(readings: Readings, held: Mapping[str, float], start: FitResult) -> list[tuple[FitResult, str]]:
    known = {name: (value, 0.0) for name, value in held.items() if name in _OF_JUNCTIONS}
    known.update({name: number for name, number in readings.given.items() if name in _OF_JUNCTIONS})
    if not known:
        return []
    fit = fit_pair(replace(readings, given={}), {}, start)
    off = {
        name: abs(fit[name].value - value) / np.hypot(fit[name].sigma, sigma) for name, (value, sigma) in known.items()
    }
    name = max(off, key=lambda name: off[name])
    if off[name] <= _CONTRADICTS:
        return []
    known_as = number_text(known[name][0], fit[name].unit, fit[name].value)
    return [(fit, f"{AS_WELL} with {name} {fit[name]}, and {known_as} was given: fit it, or look it up again")]


def _step_of_offset(readings: Readings, held: Mapping[str, float], start: FitResult) -> list[tuple[FitResult, str]]:
    def slopes_of(fit: FitResult, current: Real) -> Real:
        model = Sweep.of(
            fit.values, readings.voltage, current, readings.excitation, readings.series_resistance, readings.array
        )
        return model.jacobian(fit.values)

    size, fit, behind = 0.0, start, np.zeros_like(readings.current)
    for _ in range(_ROUNDS):
        slopes, offset = slopes_of(fit, readings.current - size * behind), fit.names.index("current_offset")
        free, by_offset = slopes[:, fit.sigma > 0], slopes[:, offset]
        if not size:
            behind = likeliest_step(fit.residuals, free, by_offset)
        change = by_offset * behind
        own = change - free @ np.linalg.lstsq(free, change, rcond=None)[0]
        step = -float(own @ fit.residuals / (own @ own))
        size += step
        fit = fit_pair(replace(readings, current=readings.current - size * behind), held, fit)
        if abs(step) < _ACCURACY * abs(size):
            break
    text = text_of_step(behind, readings).format(abs(size) / readings.array.current)
    return [(fit, f"{AS_WELL} by {text}")]
