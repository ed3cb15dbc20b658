"""What a cooler achieves: its largest cooling power, the bias where it has it, and its efficiency there."""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from labnis.fit.derived import with_derived
from labnis.fit.junction._cooler_parameters import cooler_at
from labnis.fit.result import FitResult
from labnis.physics import SINISCooler

__all__ = ["COOLING", "BestCooling", "best_cooling", "coldest_bias", "with_cooling"]

#: Names and units of the quantities that `with_cooling` appends.
COOLING = {"maximum_cooling_power": "W", "optimal_bias": "V", "efficiency": "1"}
# Biases among which the largest power is searched, and again between the neighbours of the best; and those for the
# lowest temperature: electrons at 20 mK notice a part of a microvolt.
_BIASES, _COLDEST_BIASES = 61, 101
# Distance of the points of a parabola about the best one, as a part of 2Δ.
_STEP = 2e-3


class BestCooling(NamedTuple):
    """The largest power (W) that tunnelling takes out of the island, 2P; the bias across the device (V); 2P/(I·V)."""

    power: float
    bias: float
    efficiency: float


def best_cooling(cooler: SINISCooler, bath_temperature: float, near: float | None = None) -> BestCooling:
    """The bias of the largest cooling power of `cooler`, within its gap, at a bath temperature (K).

    The cooling power is that of Rajauria et al., arXiv:0810.3980, eq. 4, for both junctions in their steady state; the
    efficiency is its ratio to the electrical power.

    Parameters
    ----------
    cooler, bath_temperature
        The device, and the temperature (K) of its bath.
    near
        A bias (V) near the best one, where the power is taken; searched without it.

    """
    edge = 2 * cooler.junction.gap
    if near is None:
        low, high = 0.0, 1.1 * edge
        for _ in range(2):
            biases = np.linspace(low, high, _BIASES)
            best = int(np.argmax(cooler.operating_point(biases, bath_temperature).cooling_power))
            low, high = biases[max(best - 1, 0)], biases[min(best + 1, _BIASES - 1)]
        near = float(biases[best])
    # The vertex of a parabola follows the parameters without steps.
    step = _STEP * edge
    power = cooler.operating_point(near + step * np.array([-1.0, 0.0, 1.0]), bath_temperature).cooling_power
    bend = power[0] - 2 * power[1] + power[2]
    bias = float(near + step * (power[0] - power[2]) / (2 * bend)) if bend < 0 else near
    at = cooler.operating_point(bias, bath_temperature)
    # At its maximum the power does not change with the bias, which is hardly known where the top is flat.
    return BestCooling(float(power[1]), bias, float(at.cooling_power) / (float(at.current) * bias))


def coldest_bias(cooler: SINISCooler, bath_temperature: float, reach: float) -> float:
    """The bias (V), from 0 to `reach` (V), at which the electrons are coldest at a bath temperature (K)."""
    low, high = 0.0, reach
    for _ in range(3):
        biases = np.linspace(low, high, _COLDEST_BIASES)
        lowest = int(np.argmin(cooler.operating_point(biases, bath_temperature).electron_temperature))
        low, high = biases[max(lowest - 1, 0)], biases[min(lowest + 1, _COLDEST_BIASES - 1)]
    return float(biases[lowest])


def with_cooling(result: FitResult, cooler: SINISCooler, bath: str, bath_temperature: float) -> FitResult:
    """Append `COOLING` to a result of `fit_heat_balance`, to which `cooler` was given.

    Parameters
    ----------
    result, cooler
        The fit, and what it began from.
    bath, bath_temperature
        Name of the parameter of the bath, and its temperature (K) where the fit has none of this name.

    """

    def best(values: Mapping[str, float], near: float | None = None) -> BestCooling:
        return best_cooling(cooler_at(values, cooler), values.get(bath, bath_temperature), near)

    def quantity(number: int, values: Mapping[str, float]) -> float:
        return best(values, found.bias)[number]

    found = best(result.by_name)
    for number, (name, unit) in enumerate(COOLING.items()):
        result = with_derived(result, name, unit, partial(quantity, number))
    return result
