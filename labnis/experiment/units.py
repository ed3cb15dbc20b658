"""Units of the columns of a run, and columns of other programs converted to them; nothing is guessed."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from labnis.errors import RequestError

__all__ = ["UNITS", "Column", "converted", "headed", "listed"]

Numbers = NDArray[Any]

_UNIT = re.compile(r"^(?P<name>.*?)\s*[\(\[](?P<unit>[^\)\]]*)[\)\]]\s*$")
# Nanonis has what else is to say of a column behind its unit.
_BEHIND = re.compile(r"^(?P<name>.*?)\s*\((?P<unit>[^)]*)\)\s*(?P<behind>(\[[^\]]*\]\s*)+)$")

#: Column of a run → its unit.
UNITS = {
    "device_voltage": "V",
    "bias": "V",
    "voltage_range": "V",
    "current": "A",
    "current_range": "A",
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
    "s21_re": "1",
    "s21_im": "1",
    "s21_mag": "1",
    "s21_db": "dB",
    "s21_rad": "rad",
    "s21_deg": "deg",
}
_PREFIXES = {
    "f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6,
    "G": 1e9, "T": 1e12,
}  # fmt: skip
_UNITLESS = ("dB", "rad", "deg")
# As network analyzers write them.
_SPELLED = {"DB": "dB", "DEG": "deg", "Deg": "deg", "°": "deg", "RAD": "rad", "HZ": "Hz", "KHZ": "kHz", "MHZ": "MHz",
            "GHZ": "GHz", "DBM": "dBm", "dbm": "dBm", "DBM/HZ": "dBm/Hz"}  # fmt: skip
# Of a power, which is converted to W.
_DECIBEL = "dBm"
_DENSITY, _PER_HERTZ = "W/Hz", "/Hz"


class Column(NamedTuple):
    """Numbers, and their unit; empty where their source does not say it."""

    values: NDArray[Any]
    unit: str = ""


def headed(headers: Sequence[str]) -> list[tuple[str, str]]:
    """Name and unit of each of the headers, such as "Voltage (mV)", "Voltage [mV]", or "Voltage (mV) [filtered]".

    Of several columns of one name each has its whole header as its name.
    """
    parts = [_named(header.strip().strip('"')) for header in headers]
    names = [name for name, _ in parts]
    return [
        (header.strip().strip('"') if unit and names.count(name) > 1 else name, unit)
        for header, (name, unit) in zip(headers, parts, strict=True)
    ]


def _named(text: str) -> tuple[str, str]:
    if match := _BEHIND.match(text):
        return f"{match['name']} {match['behind']}".strip(), match["unit"].strip()
    match = _UNIT.match(text)
    return (match["name"].strip(), match["unit"].strip()) if match else (text, "")


def listed(read: Mapping[str, Column]) -> str:
    """The columns that there are, with their units."""
    return ", ".join(f"{name} ({column.unit})" if column.unit else name for name, column in read.items()) or "none"


def converted(
    name: str, text: str, read: Mapping[str, Column], where: str, bandwidth: Numbers | None = None
) -> Numbers:
    """One column in the unit of a run, by the `text` that names it, and powers in dBm as W.

    A `spectrum` that is a power (W, dBm) in the noise `bandwidth` (Hz) is divided by it.

    Raises
    ------
    RequestError
        There is no such column, it has no numbers, or its unit is not known or cannot be converted.

    """
    source, unit = text, ""
    if text not in read:
        source, bracket, rest = (part.strip() for part in text.rpartition("("))
        if not (bracket and rest.endswith(")")) or source not in read:
            raise RequestError(f"{where}: no column {text!r}; there are {listed(read)}")
        unit = rest[:-1].strip()
    column, wanted = read[source], UNITS[name]
    unit = _SPELLED.get(unit or column.unit, unit or column.unit)
    try:
        values = np.asarray(column.values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise RequestError(f"{where}: {source!r} has no numbers: {error}") from error
    if not values.size:
        raise RequestError(f"{where}: {source!r} is empty")
    if not unit and wanted != "1":
        raise RequestError(f"{where}: the unit of {source!r} is not known; write it like {name}={source} ({wanted})")
    if wanted in _UNITLESS:
        if unit != wanted:
            raise RequestError(f"{where}: {source!r} is in {unit}; as {name} it has to be in {wanted}")
        return values
    if wanted == _DENSITY and not unit.endswith(_PER_HERTZ):
        if bandwidth is None:
            raise RequestError(
                f"{where}: {source!r} is in {unit}; as {name} it has to be per hertz, such as W/Hz or dBm/Hz, or a "
                "power beside a column noise_bandwidth (Hz)"
            )
        per = bandwidth.reshape(*bandwidth.shape, *(1,) * (values.ndim - bandwidth.ndim))
        return _in_unit(values, unit, "W", f"{where}: {source}") / per
    if wanted == _DENSITY:
        unit, wanted = unit.removesuffix(_PER_HERTZ), "W"
    return _in_unit(values, unit, wanted, f"{where}: {source}")


def _in_unit(values: Numbers, unit: str, wanted: str, where: str) -> Numbers:
    if wanted == "W" and unit == _DECIBEL:
        return np.asarray(1e-3 * 10 ** (values / 10))
    return values * _factor(where, unit, wanted)


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
