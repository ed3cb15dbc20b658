"""What a source of systematic uncertainty does to the data of a run, and to what is stated of its wiring.

Each effect is that of an error η: reading minus truth, or stated value minus true value. Data are changed as if the
error were larger by a small amount, so that the change of a result divided by that amount is the sensitivity ∂y/∂η.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray

from labnis.accuracy import Source
from labnis.fit.context import FitContext

__all__ = ["changed_by", "known_effects"]

Changes = Mapping[str, xarray.DataArray]


def changed_by(source: Source, size: float, data: xarray.Dataset, context: FitContext) -> xarray.Dataset | None:
    """Return `data` with an additional error of `size` (in the unit of the source); None if that changes nothing.

    Raises
    ------
    KeyError
        The kind of effect is not known; see `known_effects`.

    """
    changes = _EFFECTS[source.acts_on](data, source, size, context)
    known = {name: values for name, values in changes.items() if name in data.variables}
    if all(bool((values == data[name]).all()) for name, values in known.items()):
        return None
    return data.assign_coords(known)


def known_effects() -> tuple[str, ...]:
    """Kinds of effects that can be computed."""
    return tuple(_EFFECTS)


def _line(data: xarray.Dataset, context: FitContext) -> Any:
    """Voltage (V) of the bias line: device and series resistance."""
    current = data["current"] if "current" in data.variables else 0.0
    return data["device_voltage"] + current * context.series_resistance


def _where(data: xarray.Dataset, source: Source, column: str, reading: Any) -> Any:
    """1 at points in the range of `source`, by the `column` of ranges or else by the largest `reading`; 0 elsewhere."""
    if not np.isfinite(source.largest):
        return 1.0
    by_reading = float(source.holds(np.asarray(np.abs(reading).max())))
    if column not in data.variables:
        return by_reading
    found = data[column]
    same = found.copy(data=source.holds(found.values).astype(float))
    return same.where(found.notnull(), by_reading)


def _voltage_gain(data: xarray.Dataset, source: Source, size: float, context: FitContext) -> Changes:
    line = _line(data, context)
    there = _where(data, source, "voltage_range", context.divider * line)
    return {"device_voltage": data["device_voltage"] + size * line * there}


def _voltage_offset(data: xarray.Dataset, source: Source, size: float, context: FitContext) -> Changes:
    there = _where(data, source, "voltage_range", context.divider * _line(data, context))
    return {"device_voltage": data["device_voltage"] + size / context.divider * there}


def _divider(data: xarray.Dataset, _source: Source, size: float, context: FitContext) -> Changes:
    return {"device_voltage": data["device_voltage"] - size * _line(data, context)}


def _current_gain(data: xarray.Dataset, source: Source, size: float, context: FitContext) -> Changes:
    return _more_current(data, size * data["current"] * _where(data, source, "current_range", data["current"]), context)


def _current_offset(data: xarray.Dataset, source: Source, size: float, context: FitContext) -> Changes:
    return _more_current(data, size * _where(data, source, "current_range", data["current"]), context)


def _more_current(data: xarray.Dataset, more: Any, context: FitContext) -> Changes:
    return {
        "current": data["current"] + more,
        "device_voltage": data["device_voltage"] - more * context.series_resistance,
    }


def _series_resistance(data: xarray.Dataset, _source: Source, size: float, _context: FitContext) -> Changes:
    return {"device_voltage": data["device_voltage"] - size * data["current"]}


def _scaled(column: str) -> Callable[..., Changes]:
    """The effect of a relative error of a column."""

    def effect(data: xarray.Dataset, _source: Source, size: float, _context: FitContext) -> Changes:
        return {column: data[column] * (1 + size)} if column in data.variables else {}

    return effect


def _fridge(data: xarray.Dataset, _source: Source, size: float, _context: FitContext) -> Changes:
    return {"fridge_temperature": data["fridge_temperature"] + size} if "fridge_temperature" in data.variables else {}


def _part_of_run(data: xarray.Dataset) -> Any:
    """From −½ to ½ in the course of the run."""
    if "time" not in data.variables:
        first = data["device_voltage"]
        return xarray.DataArray(np.linspace(-0.5, 0.5, first.size).reshape(first.shape), dims=first.dims)
    time = data["time"]
    return (time - time.min()) / (time.max() - time.min()) - 0.5


def _magnitude_drift(data: xarray.Dataset, _source: Source, size: float, _context: FitContext) -> Changes:
    return {"s11": data["s11"] * 10 ** (size * _part_of_run(data) / 20)} if "s11" in data.variables else {}


def _phase_drift(data: xarray.Dataset, _source: Source, size: float, _context: FitContext) -> Changes:
    return {"s11": data["s11"] * np.exp(1j * np.deg2rad(size) * _part_of_run(data))} if "s11" in data.variables else {}


def _power(data: xarray.Dataset, _source: Source, size: float, _context: FitContext) -> Changes:
    return {"spectrum": data["spectrum"] * 10 ** (size / 10)} if "spectrum" in data.variables else {}


def _linearity(data: xarray.Dataset, _source: Source, size: float, _context: FitContext) -> Changes:
    """`size` dB for each dB above the median level."""
    if "spectrum" not in data.variables:
        return {}
    return {"spectrum": data["spectrum"] * (data["spectrum"] / data["spectrum"].median()) ** size}


_EFFECTS: Mapping[str, Callable[[xarray.Dataset, Source, float, FitContext], Changes]] = {
    "voltage.gain": _voltage_gain,
    "voltage.offset": _voltage_offset,
    "current.gain": _current_gain,
    "current.offset": _current_offset,
    "divider": _divider,
    "series_resistance": _series_resistance,
    "conductance.gain": _scaled("conductance"),
    "frequency": _scaled("frequency"),
    "fridge.temperature": _fridge,
    "vna.magnitude_drift": _magnitude_drift,
    "vna.phase_drift": _phase_drift,
    "analyzer.amplitude": _power,
    "analyzer.linearity": _linearity,
}
