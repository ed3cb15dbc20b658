"""Traces of a run, as the fits of the resonator take them."""

import numpy as np
from numpy.typing import NDArray

from labnis.fit._points import Points
from labnis.fit.arrays import Real
from labnis.fit.context import FitContext
from labnis.fit.junction._array import JunctionArray, Junctions
from labnis.fit.resonator.band_power import BandPowerData
from labnis.fit.resonator.emitted_power import EmissionData
from labnis.fit.resonator.reflection import ReflectionData
from labnis.fit.result import FitError, FitResult

__all__ = ["Selection", "band_powers_of", "junctions_of", "spectra_of", "stage_temperature", "traces_of"]

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


def band_powers_of(points: Points, at: Selection, fridge_temperature: float, junctions: Junctions) -> BandPowerData:
    """Powers (W) in one band at the points `at`, as `spectra_of`; the band is the same at all of them."""
    return BandPowerData(
        points["device_voltage"][at],
        points["band_power"][at],
        _constant(points, "center"),
        _constant(points, "bandwidth"),
        fridge_temperature,
        time=_time(points, at),
        junctions=junctions,
    )


def _constant(points: Points, name: str) -> float:
    """The value (Hz) that a column has at all points; FitError where there are others."""
    values = np.asarray(points[name], dtype=np.float64)
    known = values[np.isfinite(values)]
    if not known.size or np.ptp(known) > 0:
        found = f"from {known.min():.6g} to {known.max():.6g} Hz" if known.size else "not known"
        raise FitError(f"{name} is {found}: the power of a run is fitted in one band, with the same at all biases")
    return float(known[0])


def _time(points: Points, at: Selection) -> Real | None:
    """When the points were measured (s); None where the run does not say."""
    return np.asarray(points["time"][at], dtype=np.float64) if "time" in points else None


def stage_temperature(points: Points, context: FitContext) -> float:
    """Temperature (K) of the baths: as measured in the run, else that of the context."""
    if "fridge_temperature" in points:
        return float(np.nanmedian(points["fridge_temperature"]))
    # Without a thermometer the baths are at 0 K: at 4.7 GHz that is exact below 40 mK.
    return context.fridge_temperature if np.isfinite(context.fridge_temperature) else 0.0
