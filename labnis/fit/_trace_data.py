"""Traces of a run, as the fits of the resonator take them."""

import numpy as np
from numpy.typing import NDArray

from labnis.fit._points import Points
from labnis.fit.arrays import Real
from labnis.fit.context import FitContext
from labnis.fit.junction._array import JunctionArray, Junctions
from labnis.fit.resonator.emitted_power import EmissionData
from labnis.fit.resonator.reflection import ReflectionData
from labnis.fit.result import FitResult

__all__ = ["Selection", "junctions_of", "spectra_of", "stage_temperature", "traces_of"]

Selection = NDArray[np.intp] | slice


def traces_of(points: Points, at: Selection, junctions: Junctions) -> ReflectionData:
    """Reflection traces (`s11`) at the points `at` of a device with these `junctions`."""
    columns = points["device_voltage"][at], points.frequency, points["s11"][at]
    return ReflectionData(*columns, time=_time(points, at), junctions=junctions)


def junctions_of(fit: FitResult) -> Junctions:
    """Those of the device of a `fit`."""
    array = JunctionArray.of_fit(fit)
    return (array.series, array.parallel)


def spectra_of(points: Points, at: Selection, fridge_temperature: float, junctions: Junctions) -> EmissionData:
    """Spectra (W/Hz) at the points `at` of a device with these `junctions`, and baths at `fridge_temperature` (K)."""
    return EmissionData(
        points["device_voltage"][at],
        points.frequency,
        points["spectrum"][at],
        fridge_temperature,
        time=_time(points, at),
        junctions=junctions,
        noise_bandwidth=float(np.nanmedian(points["noise_bandwidth"])) if "noise_bandwidth" in points else 0.0,
    )


def _time(points: Points, at: Selection) -> Real | None:
    """When the points were measured (s); None where the run does not say."""
    return np.asarray(points["time"][at], dtype=np.float64) if "time" in points else None


def stage_temperature(points: Points, context: FitContext) -> float:
    """Temperature (K) of the baths: as measured in the run, else that of the context."""
    if "fridge_temperature" in points:
        return float(np.nanmedian(points["fridge_temperature"]))
    # Without a thermometer the baths are at 0 K: at 4.7 GHz that is exact below 40 mK.
    return context.fridge_temperature if np.isfinite(context.fridge_temperature) else 0.0
