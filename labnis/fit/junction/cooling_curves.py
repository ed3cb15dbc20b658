"""Electron temperature and cooling power of a pair along its bias, from a fit of its current, and their extremes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import xarray

from labnis.fit.arrays import Real
from labnis.fit.derived import with_quantity
from labnis.fit.estimate import ONE_SIDED
from labnis.fit.junction._array import JunctionArray
from labnis.fit.junction._island import cooler_of, island_state, steady_state
from labnis.fit.junction._island_curve import interpolated
from labnis.fit.junction._unequal_pair import ASYMMETRY
from labnis.fit.result import FitResult
from labnis.physics import OperatingPoint, SINISCooler

__all__ = [
    "EXTREMES",
    "Cooling",
    "cooling",
    "cooling_curves",
    "extremes_along",
    "parameters_of",
    "with_extremes",
    "with_limits",
]

_WITHOUT_BIAS, _LOWEST, _STRONGEST = "electron_temperature", "lowest_electron_temperature", "maximum_cooling_power"
#: Results derived from the curves, and their units.
EXTREMES: Mapping[str, str] = {_LOWEST: "K", _STRONGEST: "W"}

# In units of Δ²/e²R: less than this is the rounding at zero bias.
_NO_POWER = 1e-9
# Biases of a curve, and up to how many gaps across the pair: the electrons are coldest a little below two.
_BIASES, _GAPS = 101, 2.2
# So many biases between the neighbours of an extreme, and so many times: electrons at 20 mK notice a microvolt.
_BETWEEN, _ROUNDS = 7, 3


class Cooling(NamedTuple):
    """Electron temperature (K) and cooling power of both junctions (W) at n true voltages across the pair (V).

    The slopes by the p parameters of the fit have the shape (n, p).
    """

    voltage: Real
    temperature: Real
    power: Real
    temperature_slopes: Real
    power_slopes: Real


def cooling(fit: FitResult, largest: float) -> Cooling:
    """The curves of a fit of the current, from 0 to a little above two gaps, at most to the `largest` voltage (V)."""
    return _at(fit.names, fit.by_name, np.linspace(0, _end(fit, largest), _BIASES))


def parameters_of(fit: FitResult) -> FitResult:
    """The fit without what is derived from the curves."""
    return fit.select([name for name in fit.names if name not in EXTREMES])


def with_extremes(fit: FitResult, largest: float) -> FitResult:
    """Append the lowest electron temperature and the largest cooling power up to the `largest` voltage (V)."""
    for (name, unit), (value, slopes) in zip(EXTREMES.items(), _extremes(fit, largest), strict=True):
        gradient = np.append(slopes, np.zeros(len(fit.names) - slopes.size))
        fit = with_quantity(fit, name, unit, value, gradient, own_variance=0.0)
    return with_limits(fit, largest)


def with_limits(fit: FitResult, largest: float) -> FitResult:
    """The fit, in which an extreme that the curve does not determine is an upper limit (95 %).

    That are the lowest temperature where that without bias is a limit, for such electrons may be colder than at every
    bias at which their temperature is known; and the largest cooling power where there is none at any bias. Both are
    taken from the curves at the limit of the temperature without bias: below it they would hardly depend on it.
    """
    limited = _WITHOUT_BIAS in fit.limits
    none = fit[_STRONGEST].value < _NO_POWER * fit["gap"].value ** 2 / fit["normal_resistance"].value
    if not (limited or none):
        return fit
    array = JunctionArray.of_fit(fit)
    known = parameters_of(array.of_pair(fit))
    at, values = known.names.index(_WITHOUT_BIAS), known.values.copy()
    values[at] = fit.limits.get(_WITHOUT_BIAS, values[at])
    warm, counts = cooling(replace(known, values=values), largest * array.voltage), np.ones(values.size)
    counts[at] = not limited
    limits = dict(fit.limits)
    if limited:
        highest = warm.temperature + ONE_SIDED * _sigma(known, warm.temperature_slopes * counts)
        limits[_LOWEST] = float(highest.min())
    if none:
        highest = warm.power + ONE_SIDED * _sigma(known, warm.power_slopes * counts)
        limits[_STRONGEST] = float(highest.max()) / array.islands
    return replace(fit, limits=limits)


def extremes_along(fit: FitResult, largest: float) -> Callable[[Real], Real]:
    """Function from the parameters of a fit with its extremes, near those it found, to all of its values."""
    known = parameters_of(fit)
    values, slopes = zip(*_extremes(known, largest), strict=True)

    def whole(x: Real) -> Real:
        return np.append(x, np.array(values) + np.array(slopes) @ (x - known.values))

    return whole


def cooling_curves(fit: FitResult, largest: float) -> xarray.Dataset:
    """The curves with their standard uncertainties, by noise and by what is stated, along `device_voltage` (V)."""
    array = JunctionArray.of_fit(fit)
    known = parameters_of(array.of_pair(fit))
    found = cooling(known, largest * array.voltage)
    columns = {
        "electron_temperature": (found.temperature, found.temperature_slopes, "K"),
        "cooling_power": (found.power / array.islands, found.power_slopes / array.islands, "W"),
    }
    curves = {}
    for name, (values, slopes, unit) in columns.items():
        sigma = _sigma(known, slopes)
        curves[name] = ("device_voltage", values, {"units": unit})
        curves[f"{name}_sigma"] = ("device_voltage", sigma, {"units": unit})
    return xarray.Dataset(curves, {"device_voltage": ("device_voltage", found.voltage / array.voltage, {"units": "V"})})


def _sigma(fit: FitResult, slopes: Real) -> Real:
    """Standard uncertainty, by noise and by what is stated, of n quantities with `slopes` (n, p) by the parameters."""
    covariance, budget = fit.covariance, fit.budget
    if budget is not None:
        covariance = covariance - budget.within + budget.columns @ budget.columns.T
    return np.asarray(np.sqrt(np.maximum(np.einsum("ni,ij,nj->n", slopes, covariance, slopes), 0.0)))


def _extremes(fit: FitResult, largest: float) -> list[tuple[float, Real]]:
    """Value of each of the `EXTREMES`, and its slopes by the parameters."""
    return _extremes_of(fit.names, tuple(fit.values.tolist()), _end(fit, largest))


def _end(fit: FitResult, largest: float) -> float:
    """Up to which voltage (V) the curves are."""
    return float(min(_GAPS * fit["gap"].value, largest))


@lru_cache(maxsize=4)  # a fit and its budget have the same
def _extremes_of(names: tuple[str, ...], values: tuple[float, ...], end: float) -> list[tuple[float, Real]]:
    """Those of parameters up to the voltage `end` (V)."""
    known = dict(zip(names, values, strict=True))
    cooler, temperature = cooler_of(known), known["electron_temperature"]
    curve = steady_state(cooler, np.linspace(0, end, _BIASES), temperature)
    coldest = _at(names, known, *_extreme(cooler, curve, lambda points: -points.electron_temperature))
    strongest = _at(names, known, *_extreme(cooler, curve, lambda points: points.cooling_power))
    # Along the bias an extreme is flat: its slopes are those at constant bias.
    return [
        (float(coldest.temperature[0]), coldest.temperature_slopes[0]),
        (float(strongest.power[0]), strongest.power_slopes[0]),
    ]


def _extreme(
    cooler: SINISCooler, points: OperatingPoint, height: Callable[[OperatingPoint], Real]
) -> tuple[Real, Real, Real]:
    """Voltage (V) where the points of a curve are highest in `height`, and temperature (K) and gap (eV) there, (1,)."""
    for _ in range(_ROUNDS):
        at, last = int(height(points).argmax()), points.device_voltage.size - 1
        low, high = points.device_voltage[max(at - 1, 0)], points.device_voltage[min(at + 1, last)]
        voltage = np.linspace(low, high, _BETWEEN)
        near = interpolated(voltage, points.device_voltage, points.electron_temperature, points.gap)
        points = steady_state(cooler, voltage, float(points.bath_temperature[0]), *near)
    at = int(height(points).argmax())
    return points.device_voltage[at : at + 1], points.electron_temperature[at : at + 1], points.gap[at : at + 1]


def _at(
    parameters: Sequence[str],
    values: Mapping[str, float],
    voltage: Real,
    start: Real | None = None,
    near: Real | None = None,
) -> Cooling:
    """The curves at true voltages across the pair (V), with slopes by the `parameters`.

    `start` are electron temperatures (K) and `near` gaps (eV) close to the solution.
    """
    # Unequal junctions have one temperature, and hardly another cooling power.
    names = ["current_offset" if name == ASYMMETRY else name for name in parameters]
    state = island_state({**values, "voltage_offset": 0.0}, voltage, names, start, near)
    # Against the true voltage an offset of the reading changes nothing.
    counts = np.array([name not in ("voltage_offset", ASYMMETRY) for name in parameters])
    return Cooling(
        voltage,
        state.temperature,
        state.cooling_power,
        state.temperature_slopes * counts,
        state.cooling_power_slopes * counts,
    )
