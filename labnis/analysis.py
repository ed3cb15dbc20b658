"""Which estimator belongs to which procedure, and which numbers of it are results.

The fits of a calibration build on each other: the I–V fit is the prior of the reflection fit, and that one the prior of
the emitted-power fit, each with its whole covariance.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.wiring import Wiring
from labnis.fit import (
    EmissionData,
    FitError,
    FitResult,
    ReflectionData,
    fit_current_voltage,
    fit_emitted_power,
    fit_reflection,
)

__all__ = ["ESTIMATORS", "RESULTS", "Columns", "Estimator", "estimator_for"]

Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Estimator:
    """One fit of one procedure's data.

    Attributes
    ----------
    name
        Of the fit, as the run's file stores it.
    prior
        Name of the estimator whose result it starts from, if any.
    results
        Parameters of the fit that are results of the calibration.
    fit
        Function of (columns, wiring, prior, earlier fit of the same kind).

    """

    name: str
    prior: str | None
    results: tuple[str, ...]
    fit: Callable[[Columns, Wiring, FitResult | None, FitResult | None], FitResult]


def _current_voltage(data: Columns, wiring: Wiring, _prior: FitResult | None, start: FitResult | None) -> FitResult:
    return fit_current_voltage(
        data["device_voltage"],
        data["current"],
        series_resistance=wiring.series_resistance,
        excitation=float(np.max(data["excitation"])),
        start=start,
    )


def _reflection(data: Columns, _wiring: Wiring, prior: FitResult | None, start: FitResult | None) -> FitResult:
    traces = ReflectionData(data["device_voltage"], data["frequency"], data["s11"])
    return fit_reflection(traces, prior=prior, start=start)


def _emitted_power(data: Columns, _wiring: Wiring, prior: FitResult | None, _start: FitResult | None) -> FitResult:
    if prior is None:
        raise FitError("the gain needs the damping rates: run ReflectionVsBias in this cooldown first")
    fridge = data["fridge_temperature"]
    measured = fridge[np.isfinite(fridge)]
    # Without a thermometer the baths count as cold: at 4.7 GHz that is exact below 40 mK.
    temperature = float(np.median(measured)) if measured.size else 0.0
    return fit_emitted_power(
        EmissionData(data["device_voltage"], data["frequency"], data["spectrum"], temperature), prior=prior
    )


ESTIMATORS: dict[str, Estimator] = {
    "IVSweep": Estimator(
        "current_voltage", None, ("gap", "normal_resistance", "electron_temperature"), _current_voltage
    ),
    "ReflectionVsBias": Estimator(
        "reflection",
        "current_voltage",
        ("damping_line", "damping_excess", "damping_junction", "resonance_frequency"),
        _reflection,
    ),
    "EmittedPowerVsBias": Estimator("emitted_power", "reflection", ("gain", "noise_temperature"), _emitted_power),
}

RESULTS: tuple[str, ...] = tuple(name for estimator in ESTIMATORS.values() for name in estimator.results)
"""The results of a full calibration, in the order in which they are obtained."""


def estimator_for(procedure: str) -> Estimator | None:
    """The estimator of a procedure by its class name; None where there is none."""
    return ESTIMATORS.get(procedure)
