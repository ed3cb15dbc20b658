"""The isotherms of a run: its curves that are complete, by the temperature of the stage."""

from typing import Any, NamedTuple, Self

import numpy as np
import xarray
from numpy.typing import NDArray

from labnis.accuracy import Source
from labnis.fit._points import Points
from labnis.fit.arrays import Real
from labnis.fit.context import FitContext
from labnis.fit.junction._isotherm import Isotherm, bath_names
from labnis.fit.junction._resolution import resolution
from labnis.fit.result import FitError

__all__ = ["THERMOMETER", "MeasuredIsotherms", "thermometer"]

#: What a source of uncertainty of the thermometer acts on.
THERMOMETER = "fridge.temperature"
_NEEDED = ("device_voltage", "current", "fridge_temperature")


class MeasuredIsotherms(NamedTuple):
    """The curves of a run in the order of its temperatures.

    `numbers` are theirs along `stage`, `points` those of the flattened columns of each in the order of measurement;
    `excitation` is that on the line (V rms).
    """

    isotherms: tuple[Isotherm, ...]
    numbers: tuple[int, ...]
    points: tuple[NDArray[np.intp], ...]
    excitation: float

    @classmethod
    def of(cls, data: xarray.Dataset) -> Self:
        """The complete curves, as another one is not symmetric in the bias; FitError without any.

        The uncertainty of a bath is that by the scatter of the readings.
        """
        found, numbers, places, excitation = [], [], [], 0.0
        for number in _complete(data):
            points = Points(data.isel(stage=number))
            at = points.measured(*_NEEDED)
            bath = points["fridge_temperature"][at]
            conductance = points["conductance"][at] if "conductance" in points else None
            curve = (points["device_voltage"][at], points["current"][at])
            scatter = float(np.std(bath) / np.sqrt(at.size))
            step = resolution(points["bias_reading"][at]) if "bias_reading" in points else 0.0
            found.append(Isotherm(*curve, float(bath.mean()), scatter, conductance, step))
            numbers.append(number)
            places.append(at)
            excitation = max(excitation, float(np.nanmax(points["excitation"][at])) if "excitation" in points else 0.0)
        if not found:
            raise FitError("no temperature of the stage has a complete curve yet")
        return cls(tuple(found), tuple(numbers), tuple(places), excitation)

    @property
    def coldest(self) -> tuple[str, Isotherm]:
        """The coldest curve, and the name of its bath as a parameter."""
        named = zip(bath_names(self.isotherms), self.isotherms, strict=True)
        return min(named, key=lambda one: one[1].bath_temperature)

    @property
    def has_conductance(self) -> bool:
        """Whether there is a lock-in's dI/dV."""
        return any(one.conductance is not None for one in self.isotherms)

    def voltage(self) -> Real:
        """All voltages (V), one curve after the other."""
        return np.concatenate([one.device_voltage for one in self.isotherms])

    def current(self) -> Real:
        """All currents (A), likewise."""
        return np.concatenate([one.current for one in self.isotherms])

    def conductance(self) -> Real:
        """All conductances (S), likewise; NaN where there is none."""
        nothing = [np.full(one.current.size, np.nan) for one in self.isotherms]
        pairs = zip(self.isotherms, nothing, strict=True)
        return np.concatenate([none if one.conductance is None else one.conductance for one, none in pairs])

    def like(self, name: str, values: Real, data: xarray.Dataset) -> NDArray[Any]:
        """`values`, one curve after the other, in the shape of the column `name`; NaN elsewhere."""
        dims = data[name].transpose("stage", ...).dims
        whole, begin = np.full(data[name].transpose("stage", ...).shape, np.nan), 0
        for number, at in zip(self.numbers, self.points, strict=True):
            flat = np.full(whole[number].size, np.nan)
            flat[at] = values[begin : begin + at.size]
            whole[number] = Points(data.isel(stage=number)).like(name, flat)
            begin += at.size
        return np.asarray(xarray.DataArray(whole, dims=dims).transpose(*data[name].dims).values)


def thermometer(context: FitContext) -> Source | None:
    """What is stated of the thermometer's error, which all baths have in common; None if nothing is."""
    return next((source for source in context.sources or () if source.acts_on == THERMOMETER), None)


def _complete(data: xarray.Dataset) -> list[int]:
    columns = data[list(_NEEDED)].to_dataarray()
    done = columns.notnull().all([dim for dim in columns.dims if dim != "stage"])
    return [int(number) for number in np.flatnonzero(done.values)]
