"""How the analyzers show a trace: complex ones as `CALC:FORM` names it, powers as `UNIT:POW` does."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["FORMATS", "display", "in_unit"]

Trace = NDArray[np.complex128]
Floats = NDArray[np.float64]


def _group_delay(trace: Trace, frequencies: Floats) -> Floats:
    """−dφ/dω (s); zero where the frequency does not change (CW sweeps), as the instrument shows it."""
    if len(trace) < 2 or frequencies[0] == frequencies[-1]:
        return np.zeros(len(trace))
    phase = np.unwrap(np.angle(trace))
    return np.asarray(-np.gradient(phase, frequencies) / (2 * np.pi))


def _interleaved(trace: Trace, _frequencies: Floats) -> Floats:
    return np.ascontiguousarray(trace).view(np.float64)


def _standing_wave_ratio(trace: Trace, _frequencies: Floats) -> Floats:
    magnitude = np.abs(trace)
    return np.asarray((1 + magnitude) / np.abs(1 - magnitude))


FORMATS: dict[str, Callable[[Trace, Floats], Floats]] = {
    "MLOG": lambda trace, _: 20 * np.log10(np.abs(trace)),
    "MLIN": lambda trace, _: np.abs(trace),
    "PHAS": lambda trace, _: np.degrees(np.angle(trace)),
    "UPH": lambda trace, _: np.degrees(np.unwrap(np.angle(trace))),
    "REAL": lambda trace, _: np.asarray(trace.real),
    "IMAG": lambda trace, _: np.asarray(trace.imag),
    "POL": _interleaved,
    "SMIT": _interleaved,
    "GDEL": _group_delay,
    "SWR": _standing_wave_ratio,
}


def display(trace: Trace, frequencies: Floats, name: str, electrical_delay: float) -> Floats:
    """Numbers that `CALC:DATA? FDATA` returns.

    Parameters
    ----------
    trace
        Complex parameter, shape (points,).
    frequencies
        Frequency of each point (Hz), shape (points,).
    name
        One of `FORMATS`.
    electrical_delay
        Delay (s) taken out of the trace before it is shown.

    Returns
    -------
    Shape (points,), or (2·points,) with real and imaginary parts in turn for POL and SMIT. Units: dB, ratio,
    degrees or s.

    """
    flattened = trace * np.exp(2j * np.pi * frequencies * electrical_delay)
    return FORMATS[name](np.asarray(flattened), frequencies)


def in_unit(power: NDArray[np.float64], unit: str) -> NDArray[np.float64]:
    """`power` (W, into 50 ohm) as the Y axis shows it in `unit`, a short form of UNIT:POWer."""
    amplitude = {"W": power, "V": np.sqrt(50 * power), "A": np.sqrt(power / 50)}
    if unit in amplitude:
        return amplitude[unit]
    if unit == "DBM":
        return np.asarray(10 * np.log10(power / 1e-3))
    reference = {"M": 1e-3, "U": 1e-6}[unit[2]]
    return np.asarray(20 * np.log10(amplitude[unit[3]] / reference))
