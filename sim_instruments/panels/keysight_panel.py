"""Common parts of Keysight's two analyzers: frequency axis, trace formats and data, waiting for a sweep."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sim_instruments.panels.front_panel import Setting, command
from sim_instruments.panels.scpi import ScpiPanel
from sim_instruments.panels.scpi_values import Call, Choice, Number, ScpiError, encode_values, mnemonic_matches

__all__ = ["FORMATS", "KeysightPanel", "display", "frequency_settings", "in_unit", "with_aliases"]

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


def with_aliases(*settings: Setting) -> tuple[Setting, ...]:
    """`settings` with BANDwidth in their headers, and again with Keysight's second spelling BWIDth."""
    return settings + tuple(
        setting._replace(header=setting.header.replace("BANDwidth", "BWIDth")) for setting in settings
    )


def frequency_settings(sense: str, frequency: Number, span: Number) -> tuple[Setting, ...]:
    """Start, stop, center and span below the node `sense`."""
    named = {"STARt": frequency, "STOP": frequency, "CENTer": frequency, "SPAN": span}
    return tuple(Setting(f"{sense}:FREQuency:{node}", node.lower(), kind) for node, kind in named.items())


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


def in_unit(power: NDArray[np.float64], unit: str, impedance: float = 50.0) -> NDArray[np.float64]:
    """`power` (W, into `impedance` ohm) as the Y axis shows it in `unit`, a short form of UNIT:POWer."""
    amplitude = {"W": power, "V": np.sqrt(impedance * power), "A": np.sqrt(power / impedance)}
    if unit in amplitude:
        return amplitude[unit]
    if unit == "DBM":
        return np.asarray(10 * np.log10(power / 1e-3))
    reference = {"M": 1e-3, "U": 1e-6}[unit[2]]
    return np.asarray(20 * np.log10(amplitude[unit[3]] / reference))


class KeysightPanel(ScpiPanel):
    """A Keysight analyzer: trace format, byte order, overlapped sweeps."""

    settings: ClassVar[tuple[Any, ...]] = (Setting(":FORMat:BORDer", "byte_order", Choice("NORMal", "SWAPped")),)
    ascii_name: ClassVar[str] = "ASC,8"

    handlers: ClassVar = {
        ":SYSTem:PRESet": lambda self, _: self.reset(),
    }

    def reset(self) -> None:
        """Return to the factory defaults."""
        super().reset()
        self.state["data_format"] = "ASC"

    @command(":FORMat[:TRACe][:DATA]")
    def _set_format(self, call: Call) -> None:
        call.expect(1, 2)
        name, *length = call.arguments
        if mnemonic_matches("ASCii", name):
            self.state["data_format"] = "ASC"
        elif mnemonic_matches("REAL", name) and (length or ["32"])[0] in ("32", "64"):
            self.state["data_format"] = "REAL," + (length or ["32"])[0]
        else:
            raise ScpiError(-224)

    @command(":FORMat[:TRACe][:DATA]?")
    def _show_format(self, call: Call) -> str:
        name: str = self.state["data_format"]
        return self.ascii_name if name == "ASC" else name

    def encode(self, values: NDArray[np.float64]) -> bytes:
        """`values` in the chosen format and byte order."""
        return encode_values(values, self.state["data_format"], swapped=self.state["byte_order"] == "SWAP")
