"""Electron temperature and cooling power of a cooler along its bias, at each bath, from a fit of its isotherms."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import xarray

from labnis.fit.arrays import Real
from labnis.fit.junction._cooler_parameters import values_of
from labnis.fit.junction._isotherm import Isotherm, bath_names
from labnis.fit.junction._steady_state import steady_state_slopes
from labnis.fit.result import FitResult
from labnis.physics import SINISCooler
from labnis.physics.superconductor import bcs_gap

__all__ = ["isotherm_curves", "total_covariance"]

# Biases of a curve, and up to how many gaps across the pair: the electrons are coldest a little below two.
_BIASES, _GAPS = 121, 2.2
# What does not change a curve against the true voltage.
_OF_READINGS = ("voltage_offset", "current_offset")


def isotherm_curves(fit: FitResult, cooler: SINISCooler, isotherms: Sequence[Isotherm]) -> xarray.Dataset:
    """The curves of a fit of `isotherms`, with standard uncertainties by noise and by what is stated.

    Parameters
    ----------
    fit, cooler
        Result of `fit_heat_balance` whose gap follows the bath, and the cooler with its values.
    isotherms
        Those that were fitted.

    Returns
    -------
    xarray.Dataset
        electron_temperature (K) and cooling_power, 2P of both junctions (W), each with its σ, of the dimensions
        `stage` and `point`; their coordinates are device_voltage (V), of the same two, and the thermometer's
        fridge_temperature (K) of `stage`.

    """
    reach = max(float(np.abs(one.device_voltage).max()) for one in isotherms)
    voltage = np.linspace(0.0, min(_GAPS * cooler.junction.gap, reach), _BIASES)
    columns: dict[str, list[Real]] = {}
    for bath, isotherm in zip(bath_names(isotherms), isotherms, strict=True):
        temperature = fit.by_name.get(bath, isotherm.bath_temperature)
        share = float(bcs_gap(isotherm.bath_temperature, cooler.junction.gap)) / cooler.junction.gap
        here = replace(cooler, junction=replace(cooler.junction, gap=share * cooler.junction.gap))
        point = here.operating_point(voltage, temperature)
        names = [name for name in fit.names if (name in values_of(cooler) and name not in _OF_READINGS) or name == bath]
        same = ["bath_temperature" if name == bath else name for name in names]
        slopes, covariance = steady_state_slopes(here, point, same), total_covariance(fit.select(names))
        factors = np.array([share if name == "gap" else 1.0 for name in names])
        for name, values, by_name in (
            ("electron_temperature", point.electron_temperature, slopes.temperature * factors),
            ("cooling_power", point.cooling_power, slopes.cooling_power * factors),
        ):
            variance = np.einsum("ni,ij,nj->n", by_name, covariance, by_name)
            columns.setdefault(name, []).append(values)
            columns.setdefault(f"{name}_sigma", []).append(np.sqrt(np.maximum(variance, 0.0)))
    units = {name: "W" if name.startswith("cooling") else "K" for name in columns}
    both = ("stage", "point")
    return xarray.Dataset(
        {name: (both, np.array(curves), {"units": units[name]}) for name, curves in columns.items()},
        {
            "device_voltage": (both, np.tile(voltage, (len(isotherms), 1)), {"units": "V"}),
            "fridge_temperature": ("stage", [one.bath_temperature for one in isotherms], {"units": "K"}),
        },
    )


def total_covariance(fit: FitResult) -> Real:
    """Covariance of a fit by its noise and by what is stated, (p, p)."""
    if fit.budget is None:
        return fit.covariance
    return fit.covariance - fit.budget.within + fit.budget.columns @ fit.budget.columns.T
