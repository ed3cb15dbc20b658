"""One I–V curve of a cooler, at one temperature of its bath."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labnis.fit.arrays import Real, curve, evenly_spread, real_columns
from labnis.fit.junction._curve_data import check_units
from labnis.fit.result import FitError

__all__ = ["BATH_RANGE", "Isotherm", "bath_names"]

# Bath temperatures are searched within this many of their uncertainties.
BATH_RANGE = 5.0


@dataclass(frozen=True)
class Isotherm:
    """One I–V curve, at one temperature of bath and superconductors.

    Attributes
    ----------
    device_voltage, current
        Voltage across the pair (V), less current × series resistance, and current (A), shape (n,). Points that are not
        finite are left out.
    bath_temperature
        Of the bath (K), positive.
    bath_uncertainty
        Its standard uncertainty (K); 0 where it is taken as exact.
    conductance
        dI/dV of the device from a lock-in (S), shape (n,), NaN where there is none; None without.
    voltage_resolution
        Step in which the voltage is read (V): points of the same number in all isotherms have its error in common.

    """

    device_voltage: Real
    current: Real
    bath_temperature: float
    bath_uncertainty: float = 0.0
    conductance: Real | None = None
    voltage_resolution: float = 0.0

    def __post_init__(self) -> None:
        given = {name: getattr(self, name) for name in ("device_voltage", "current", "conductance")}
        columns: dict[str, Any] = {name: values for name, values in given.items() if values is not None}
        for name, values in zip(columns, real_columns(**columns), strict=True):
            object.__setattr__(self, name, values)
        finite = np.isfinite(self.device_voltage) & np.isfinite(self.current)
        check_units(self.device_voltage[finite], self.current[finite])
        if not (np.isfinite(self.bath_temperature) and self.bath_temperature > 0):
            raise FitError(f"bath_temperature is {self.bath_temperature}; it must be finite and positive (K)")
        if not 0 <= BATH_RANGE * self.bath_uncertainty < self.bath_temperature:
            raise FitError(
                f"bath_uncertainty is {self.bath_uncertainty} K; from 0 to 1/{BATH_RANGE:g} of the bath's "
                f"{self.bath_temperature} K is possible"
            )

    def finite(self) -> "Isotherm":
        """Only the points at which voltage and current are finite; FitError with fewer than 10 of them."""
        curve(f"the isotherm at {self.bath_temperature:g} K", device_voltage=self.device_voltage, current=self.current)
        return self._at(np.flatnonzero(np.isfinite(self.device_voltage) & np.isfinite(self.current)))

    def thinned(self, points: int) -> "Isotherm":
        """About `points` of them, evenly spread, for a coarse search."""
        return self._at(evenly_spread(self.current.size, points))

    def _at(self, some: NDArray[np.intp]) -> "Isotherm":
        conductance = None if self.conductance is None else self.conductance[some]
        return replace(
            self, device_voltage=self.device_voltage[some], current=self.current[some], conductance=conductance
        )


def bath_names(baths: Sequence[object]) -> list[str]:
    """Names of the temperatures of the `baths`, as parameters."""
    return [f"bath_temperature_{i + 1}" for i in range(len(baths))]
