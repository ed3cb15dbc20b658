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
    Sensitivity,
    current_voltage_sensitivity,
    emission_sensitivity,
    fit_current_voltage,
    fit_emitted_power,
    fit_reflection,
    reflection_sensitivity,
)

__all__ = ["ESTIMATORS", "RESULTS", "RESULT_UNITS", "Columns", "Estimator", "estimator_for"]

Columns = Mapping[str, NDArray[Any]]
Real = NDArray[np.float64]


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
    sensitivity
        Function of (columns, wiring, prior, fit of these columns, biases): what one more visit to each bias would tell.

    """

    name: str
    prior: str | None
    results: tuple[str, ...]
    fit: Callable[[Columns, Wiring, FitResult | None, FitResult | None], FitResult]
    sensitivity: Callable[[Columns, Wiring, FitResult | None, FitResult, Real], Sensitivity]


def _current_voltage(data: Columns, wiring: Wiring, _prior: FitResult | None, start: FitResult | None) -> FitResult:
    return fit_current_voltage(
        data["device_voltage"],
        data["current"],
        series_resistance=wiring.series_resistance,
        excitation=float(np.max(data["excitation"])),
        start=start,
    )


def _reflection(data: Columns, _wiring: Wiring, prior: FitResult | None, start: FitResult | None) -> FitResult:
    return fit_reflection(_traces(data), prior=prior, start=start)


def _traces(data: Columns) -> ReflectionData:
    return ReflectionData(data["device_voltage"], data["frequency"], data["s11"])


def _emitted_power(data: Columns, _wiring: Wiring, prior: FitResult | None, start: FitResult | None) -> FitResult:
    return fit_emitted_power(_spectra(data), prior=_with_rates(prior), start=start)


def _with_rates(prior: FitResult | None) -> FitResult:
    if prior is None:
        raise FitError("the gain needs the damping rates: run ReflectionVsBias in this cooldown first")
    return prior


def _spectra(data: Columns) -> EmissionData:
    fridge = data["fridge_temperature"]
    measured = fridge[np.isfinite(fridge)]
    # Without a thermometer the baths count as cold: at 4.7 GHz that is exact below 40 mK.
    temperature = float(np.median(measured)) if measured.size else 0.0
    return EmissionData(data["device_voltage"], data["frequency"], data["spectrum"], temperature)


def _current_sensitivity(
    data: Columns, wiring: Wiring, _prior: FitResult | None, fit: FitResult, biases: Real
) -> Sensitivity:
    return current_voltage_sensitivity(fit, _device_voltages(data, biases), series_resistance=wiring.series_resistance)


def _reflection_sensitivity(
    data: Columns, _wiring: Wiring, prior: FitResult | None, fit: FitResult, biases: Real
) -> Sensitivity:
    return reflection_sensitivity(fit, _traces(data), _device_voltages(data, biases), prior=prior)


def _emission_sensitivity(
    data: Columns, _wiring: Wiring, prior: FitResult | None, fit: FitResult, biases: Real
) -> Sensitivity:
    return emission_sensitivity(fit, _spectra(data), _device_voltages(data, biases), prior=_with_rates(prior))


def _device_voltages(data: Columns, biases: Real) -> Real:
    """Voltages across the device (V) to be expected at `biases`, from those measured."""
    usable = np.isfinite(data["device_voltage"])
    measured, first = np.unique(data["bias"][usable], return_index=True)
    return np.interp(biases, measured, data["device_voltage"][usable][first])


ESTIMATORS: dict[str, Estimator] = {
    "IVSweep": Estimator(
        "current_voltage",
        None,
        ("gap", "normal_resistance", "electron_temperature"),
        _current_voltage,
        _current_sensitivity,
    ),
    "ReflectionVsBias": Estimator(
        "reflection",
        "current_voltage",
        ("damping_line", "damping_excess", "damping_junction", "resonance_frequency"),
        _reflection,
        _reflection_sensitivity,
    ),
    "EmittedPowerVsBias": Estimator(
        "emitted_power", "reflection", ("gain", "noise_temperature"), _emitted_power, _emission_sensitivity
    ),
}

RESULTS: tuple[str, ...] = tuple(name for estimator in ESTIMATORS.values() for name in estimator.results)
"""The results of a full calibration, in the order in which they are obtained."""

RESULT_UNITS: dict[str, str] = {
    "gap": "eV",
    "normal_resistance": "ohm",
    "electron_temperature": "K",
    "damping_line": "1/s",
    "damping_excess": "1/s",
    "damping_junction": "1/s",
    "resonance_frequency": "Hz",
    "gain": "dB",
    "noise_temperature": "K",
}
"""Result → unit in which its value and σ are given."""


def estimator_for(procedure: str) -> Estimator | None:
    """The estimator of a procedure by its class name; None where there is none."""
    return ESTIMATORS.get(procedure)
