"""Units of the columns of a run, and columns of other programs converted to them; nothing is guessed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labnis.errors import RequestError
from labnis.exchange.reading import Column

__all__ = ["UNITS", "converted", "listed"]

Numbers = NDArray[Any]

#: Column of a run → its unit.
UNITS = {
    "device_voltage": "V",
    "current": "A",
    "conductance": "S",
    "excitation": "V",
    "frequency": "Hz",
    "spectrum": "W/Hz",
    "band_power": "W",
    "center": "Hz",
    "bandwidth": "Hz",
    "fridge_temperature": "K",
    "noise_bandwidth": "Hz",
    "time": "s",
    "s11_re": "1",
    "s11_im": "1",
    "s11_mag": "1",
    "s11_db": "dB",
    "s11_rad": "rad",
    "s11_deg": "deg",
}
_PREFIXES = {
    "f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6,
    "G": 1e9, "T": 1e12,
}  # fmt: skip
_UNITLESS = ("dB", "rad", "deg", "W/Hz")
# As network analyzers write them.
_SPELLED = {"DB": "dB", "DEG": "deg", "Deg": "deg", "°": "deg", "RAD": "rad", "HZ": "Hz", "KHZ": "kHz", "MHZ": "MHz",
            "GHZ": "GHz", "DBM": "dBm", "dbm": "dBm"}  # fmt: skip
# Of a power, which is converted to W.
_DECIBEL = "dBm"


def listed(read: Mapping[str, Column]) -> str:
    """The columns that there are, with their units."""
    return ", ".join(f"{name} ({column.unit})" if column.unit else name for name, column in read.items()) or "none"


def converted(name: str, text: str, read: Mapping[str, Column], where: str) -> Numbers:
    """One column in the unit of a run, by the `text` that names it, and powers in dBm as W.

    Raises
    ------
    RequestError
        There is no such column, or its unit is not known or cannot be converted.

    """
    source, unit = text, ""
    if text not in read:
        source, bracket, rest = (part.strip() for part in text.rpartition("("))
        if not (bracket and rest.endswith(")")) or source not in read:
            raise RequestError(f"{where}: no column {text!r}; there are {listed(read)}")
        unit = rest[:-1].strip()
    column, wanted = read[source], UNITS[name]
    unit = _SPELLED.get(unit or column.unit, unit or column.unit)
    if not unit and wanted != "1":
        raise RequestError(f"{where}: the unit of {source!r} is not known; write it like {name}={source} ({wanted})")
    if wanted in _UNITLESS and unit != wanted:
        raise RequestError(f"{where}: {source!r} is in {unit}; as {name} it has to be in {wanted}")
    if wanted == "W" and unit == _DECIBEL:
        return np.asarray(1e-3 * 10 ** (np.asarray(column.values, dtype=np.float64) / 10))
    factor = 1.0 if wanted in _UNITLESS else _factor(f"{where}: {source}", unit, wanted)
    return np.asarray(column.values, dtype=np.float64) * factor


def _factor(where: str, unit: str, wanted: str) -> float:
    """Of a unit with a prefix; nothing else is meant by a column of numbers."""
    base, prefix = (wanted, unit.removesuffix(wanted)) if unit.endswith(wanted) else ("", unit)
    if wanted == "1" and unit in ("", "1", "%"):
        return 0.01 if unit == "%" else 1.0
    if not base or prefix not in _PREFIXES:
        raise RequestError(
            f"{where}: {unit!r} cannot be expressed in {wanted}; give it in {wanted}, with a prefix or not"
        )
    return _PREFIXES[prefix]
