"""What a source of systematic uncertainty does to the data of a run, and to what is stated of its wiring.

Each effect is that of an error η: reading minus truth, or stated value minus true value. Data are changed as if the
error were larger by a small amount, so that the change of a result divided by that amount is the sensitivity ∂y/∂η.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray

from labnis.accuracy import Source
from labnis.fit.context import FitContext

__all__ = ["changed_by", "known_effects", "unstated_ranges", "with_line"]

Changes = Mapping[str, xarray.DataArray]


def changed_by(source: Source, size: float, data: xarray.Dataset, context: FitContext) -> xarray.Dataset | None:
    """Return `data` with an additional error of `size` (in the unit of the source); None if that changes nothing.

    Raises
    ------
    KeyError
        The kind of effect is not known; see `known_effects`.

    """
    effect = _EFFECTS[source.acts_on]
    if not {*_NEEDED.get(effect, ())} <= {*map(str, data.variables)}:
        return None
    changes = effect(data, source, size, context)
    known = {name: values for name, values in changes.items() if name in data.variables}
    if all(bool((values == data[name]).all()) for name, values in known.items()):
        return None
    return data.assign_coords(known)


def with_line(data: xarray.Dataset, context: FitContext, series_resistance: float, divider: float) -> xarray.Dataset:
    """Return `data` as they are if the line has this resistance (ohm) and divider, and not those of the `context`."""
    if "device_voltage" not in data.variables:
        return data
    more = series_resistance - context.series_resistance
    current = data["current"] if "current" in data.variables else 0.0
    line = _line(data, context) * (context.divider / divider)
    changes = {"device_voltage": (line - current * series_resistance).assign_attrs(data["device_voltage"].attrs)}
    if "conductance" in data.variables:
        own = data["conductance"]
        changes["conductance"] = (own / (1 - more * own)).assign_attrs(own.attrs)
    return data.assign_coords(changes)


def unstated_ranges(sources: Sequence[Source], data: xarray.Dataset, context: FitContext) -> tuple[str, ...]:
    """Statements of readings in `data` that are in no range of the table of their meter, which gave the `sources`."""
    found = []
    for kind, (ranges, column, unit) in _RANGED.items():
        own = [one for one in sources if one.acts_on.partition(".")[0] == kind and np.isfinite(one.largest)]
        if not own or column not in data.variables:
            continue
        reading = data[column] if kind != "voltage" else context.divider * _line(data, context)
        largest = float(np.abs(reading).max())
        sizes = np.append(data[ranges].values.ravel(), largest) if ranges in data.variables else np.array([largest])
        in_use = sizes[:-1][np.isfinite(sizes[:-1])] if np.isfinite(sizes[:-1]).any() else sizes[-1:]
        outside = in_use[~np.any([one.holds(in_use) for one in own], axis=0)]
        if outside.size:
            quantity, model = column.removeprefix("device_"), own[0].label.partition(",")[0]
            found.append(
                f"the accuracy of the {quantity} in the range of {np.abs(outside).max():g} {unit}, which the accuracy "
                f"table of {model} does not have"
            )
    return tuple(found)


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


def _of_ammeter(data: xarray.Dataset, source: Source, size: float, context: FitContext) -> Changes:
    """A meter that is not the source has one range all over a run, that of the largest reading."""
    there = _where(data, source, "", data["current"])
    return _more_current(data, size * there * (data["current"] if source.unit == "1" else 1.0), context)


def _of_voltmeter(data: xarray.Dataset, source: Source, size: float, _context: FitContext) -> Changes:
    """As `_of_ammeter`, across the device."""
    voltage = data["device_voltage"]
    there = _where(data, source, "", voltage)
    return {"device_voltage": voltage + size * there * (voltage if source.unit == "1" else 1.0)}


def _more_current(data: xarray.Dataset, more: Any, context: FitContext) -> Changes:
    found = {"current": data["current"] + more}
    if "device_voltage" in data.variables:
        found["device_voltage"] = data["device_voltage"] - more * context.series_resistance
    return found


def _series_resistance(data: xarray.Dataset, _source: Source, size: float, _context: FitContext) -> Changes:
    changes = {"device_voltage": data["device_voltage"] - size * data["current"]}
    if "conductance" in data.variables:
        changes["conductance"] = data["conductance"] / (1 - size * data["conductance"])
    return changes


def _conductance_gain(data: xarray.Dataset, _source: Source, size: float, context: FitContext) -> Changes:
    """The lock-in reads the conductance of device and line; that of the device is what is left without the line."""
    if "conductance" not in data.variables:
        return {}
    line, device = context.series_resistance, data["conductance"]
    whole = (1 + size) * device / (1 + line * device)
    return {"conductance": whole / (1 - line * whole)}


def _scaled(*columns: str) -> Callable[..., Changes]:
    """The effect of a relative error of columns."""

    def effect(data: xarray.Dataset, _source: Source, size: float, _context: FitContext) -> Changes:
        return {column: data[column] * (1 + size) for column in columns if column in data.variables}

    return effect


def _fridge(data: xarray.Dataset, _source: Source, size: float, _context: FitContext) -> Changes:
    return {"fridge_temperature": data["fridge_temperature"] + size} if "fridge_temperature" in data.variables else {}


def _drifting(*columns: str, factor: Callable[[Any], Any]) -> Callable[..., Changes]:
    """The effect of a drift per hour on `columns`: a `factor` of the amount since the middle of the run."""

    def effect(data: xarray.Dataset, _source: Source, size: float, _context: FitContext) -> Changes:
        # Without times a rate says nothing; every run has them.
        if "time" not in data.variables:
            return {}
        return {name: data[name] * factor(size * _hours(data)) for name in columns if name in data.variables}

    return effect


def _current_drift(data: xarray.Dataset, _source: Source, size: float, context: FitContext) -> Changes:
    """The zero of the current moves by `size` (A per hour); in the middle of the run it is the fitted offset."""
    return _more_current(data, size * _hours(data), context)


def _hours(data: xarray.Dataset) -> xarray.DataArray:
    """Time (h) since the middle of the run."""
    return (data["time"] - data["time"].mean()) / 3600


def _power(data: xarray.Dataset, _source: Source, size: float, _context: FitContext) -> Changes:
    return {name: data[name] * 10 ** (size / 10) for name in _POWERS if name in data.variables}


def _linearity(data: xarray.Dataset, _source: Source, size: float, _context: FitContext) -> Changes:
    """`size` dB for each dB above the noise of the chain: the level at most frequencies of the lowest spectrum.

    Of a power in a band it is the lowest one.
    """
    powers = {name: data[name] for name in _POWERS if name in data.variables}
    noise = {name: (one.median("frequency") if "frequency" in one.dims else one).min() for name, one in powers.items()}
    return {name: one * (one / noise[name]) ** size for name, one in powers.items()}


# Columns of what is read of the emitted power.
_POWERS = ("spectrum", "band_power")

_EFFECTS: Mapping[str, Callable[[xarray.Dataset, Source, float, FitContext], Changes]] = {
    "voltage.gain": _voltage_gain,
    "voltage.offset": _voltage_offset,
    "current.gain": _current_gain,
    "current.offset": _current_offset,
    **dict.fromkeys(("ammeter.gain", "ammeter.offset"), _of_ammeter),
    **dict.fromkeys(("voltmeter.gain", "voltmeter.offset"), _of_voltmeter),
    "current.drift": _current_drift,
    "voltage.zero": lambda *_: {},  # a drift between two runs: it widens what one hands to the next
    "divider": _divider,
    "series_resistance": _series_resistance,
    "conductance.gain": _conductance_gain,
    "frequency": _scaled("frequency", "center", "bandwidth"),
    "fridge.temperature": _fridge,
    "vna.magnitude_drift": _drifting("s11", factor=lambda decibel: 10 ** (decibel / 20)),
    "vna.phase_drift": _drifting("s11", factor=lambda degrees: np.exp(1j * np.deg2rad(degrees))),
    "analyzer.gain_drift": _drifting(*_POWERS, factor=lambda decibel: 10 ** (decibel / 10)),
    "analyzer.amplitude": _power,
    "analyzer.linearity": _linearity,
}

# Kind of a meter → the column of its ranges, what it reads, and the unit.
_RANGED = {
    "voltage": ("voltage_range", "device_voltage", "V"),
    "current": ("current_range", "current", "A"),
    "voltmeter": ("", "device_voltage", "V"),
    "ammeter": ("", "current", "A"),
}

# Columns without which an effect changes nothing.
_NEEDED: Mapping[Callable[..., Changes], tuple[str, ...]] = {
    **dict.fromkeys((_voltage_gain, _voltage_offset, _divider, _of_voltmeter), ("device_voltage",)),
    **dict.fromkeys((_current_gain, _current_offset, _of_ammeter), ("current",)),
    _current_drift: ("current", "time"),
    _series_resistance: ("device_voltage", "current"),
}
