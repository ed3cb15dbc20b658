"""Electron temperature and cooling power of a pair along its bias, from a fit of its current, and their extremes."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import xarray

from labnis.fit.arrays import Real
from labnis.fit.derived import with_quantity
from labnis.fit.junction._array import JunctionArray
from labnis.fit.junction._island import island_state
from labnis.fit.junction._unequal_pair import ASYMMETRY
from labnis.fit.result import FitResult

__all__ = [
    "EXTREMES",
    "Cooling",
    "cooling",
    "cooling_curves",
    "extremes_along",
    "parameters_of",
    "with_extremes",
    "with_lowest_as_limit",
]

_LOWEST = "lowest_electron_temperature"
#: Results derived from the curves, and their units.
EXTREMES: Mapping[str, str] = {_LOWEST: "K", "maximum_cooling_power": "W"}

# The quantile of a one-sided limit of 95 %.
_ONE_SIDED = 1.645

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
    return _at(fit, np.linspace(0, min(_GAPS * fit["gap"].value, largest), _BIASES))


def parameters_of(fit: FitResult) -> FitResult:
    """The fit without what is derived from the curves."""
    return fit.select([name for name in fit.names if name not in EXTREMES])


def with_extremes(fit: FitResult, largest: float) -> FitResult:
    """Append the lowest electron temperature and the largest cooling power up to the `largest` voltage (V)."""
    for (name, unit), (value, slopes) in zip(EXTREMES.items(), _extremes(fit, largest), strict=True):
        gradient = np.append(slopes, np.zeros(len(fit.names) - slopes.size))
        fit = with_quantity(fit, name, unit, value, gradient, own_variance=0.0)
    return with_lowest_as_limit(fit, largest)


def with_lowest_as_limit(fit: FitResult, largest: float) -> FitResult:
    """The fit, in which the lowest temperature is an upper limit (95 %) where that without bias is one.

    Electrons without bias may then be colder than those at every bias whose temperature is known.
    """
    if "electron_temperature" not in fit.limits:
        return fit
    curves = cooling_curves(fit, largest)
    highest = curves["electron_temperature"] + _ONE_SIDED * curves["electron_temperature_sigma"]
    return replace(fit, limits={**fit.limits, _LOWEST: float(highest.min())})


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
    covariance, budget = known.covariance, known.budget
    if budget is not None:
        covariance = covariance - budget.within + budget.columns @ budget.columns.T
    columns = {
        "electron_temperature": (found.temperature, found.temperature_slopes, "K"),
        "cooling_power": (found.power / array.islands, found.power_slopes / array.islands, "W"),
    }
    curves = {}
    for name, (values, slopes, unit) in columns.items():
        sigma = np.sqrt(np.maximum(np.einsum("ni,ij,nj->n", slopes, covariance, slopes), 0.0))
        curves[name] = ("device_voltage", values, {"units": unit})
        curves[f"{name}_sigma"] = ("device_voltage", sigma, {"units": unit})
    return xarray.Dataset(curves, {"device_voltage": ("device_voltage", found.voltage / array.voltage, {"units": "V"})})


def _extremes(fit: FitResult, largest: float) -> list[tuple[float, Real]]:
    """Value of each of the `EXTREMES`, and its slopes by the parameters."""
    curves = cooling(fit, largest)
    coldest = _extreme(fit, curves, lambda found: -found.temperature)
    strongest = _extreme(fit, curves, lambda found: found.power)
    # Along the bias an extreme is flat: its slopes are those at constant bias.
    return [
        (float(coldest.temperature[0]), coldest.temperature_slopes[0]),
        (float(strongest.power[0]), strongest.power_slopes[0]),
    ]


def _extreme(fit: FitResult, curves: Cooling, height: Callable[[Cooling], Real]) -> Cooling:
    """The point of the curves that is highest in `height`."""
    for _ in range(_ROUNDS):
        at, last = int(height(curves).argmax()), curves.voltage.size - 1
        low, high = curves.voltage[max(at - 1, 0)], curves.voltage[min(at + 1, last)]
        curves = _at(fit, np.linspace(low, high, _BETWEEN))
    at = int(height(curves).argmax())
    return Cooling(*(column[at : at + 1] for column in curves))


def _at(fit: FitResult, voltage: Real) -> Cooling:
    """The curves at true voltages across the pair (V)."""
    # Unequal junctions have one temperature, and hardly another cooling power.
    names = ["current_offset" if name == ASYMMETRY else name for name in fit.names]
    state = island_state(fit.by_name | {"voltage_offset": 0.0}, voltage, names)
    # Against the true voltage an offset of the reading changes nothing.
    counts = np.array([name not in ("voltage_offset", ASYMMETRY) for name in fit.names])
    return Cooling(
        voltage,
        state.temperature,
        state.cooling_power,
        state.temperature_slopes * counts,
        state.cooling_power_slopes * counts,
    )
