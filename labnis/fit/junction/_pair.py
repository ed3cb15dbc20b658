"""Current of two equal junctions in series, for the fits whose parameters begin with those of the pair.

These are, in the order of every vector `x` here: gap (eV), normal_resistance (ohm, one junction), electron_temperature
(K), dynes and voltage_offset (V, at the device). Further parameters are ignored.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.constants import e, k

from labnis.fit.arrays import Real
from labnis.fit.junction._excitation import device_cycle
from labnis.fit.parameters import Parameter
from labnis.fit.result import FitError
from labnis.fit.solver import Model
from labnis.physics import NISJunction

__all__ = [
    "ASSUMED",
    "PairModel",
    "current_slopes",
    "device_share",
    "device_waveform",
    "junction_of",
    "junction_voltage",
    "pair_parameters",
    "thermal_reach",
]


ASSUMED = {
    "junctions": "both junctions of the pair are identical",
    "electron_temperature": "the same at every bias",
}
# Gaps (eV) and resistances (ohm) outside these ranges mean data in other units.
_GAPS, _RESISTANCES = (1e-5, 1e-2), (0.1, 1e10)


def pair_parameters(guess: Mapping[str, float], unit: str) -> list[Parameter]:
    """Return the five parameters of the pair, started at `guess`; FitError for values that mean a wrong `unit`."""
    gap, resistance = float(guess["gap"]), float(guess["normal_resistance"])
    if not _GAPS[0] < gap < _GAPS[1]:
        raise FitError(f"the gap would be {gap:.3g} eV; give device_voltage in volt")
    if not _RESISTANCES[0] < resistance < _RESISTANCES[1]:
        raise FitError(f"the resistance of a junction would be {resistance:.3g} ohm; give {unit}")
    return [
        Parameter("gap", "eV", gap, gap, 0.2 * gap, 5 * gap),
        Parameter("normal_resistance", "ohm", resistance, resistance, 0.05 * resistance, 20 * resistance),
        Parameter("electron_temperature", "K", float(guess.get("electron_temperature", 0.15)), 0.1, 1e-3, 5.0),
        Parameter("dynes", "1", float(guess.get("dynes", 1e-3)), 1e-3, 0.0, 0.3),
        Parameter("voltage_offset", "V", float(guess.get("voltage_offset", 0.0)), 1e-5),
    ]


@dataclass(frozen=True)
class PairModel(Model):
    """Readings at each mean device voltage, taken over a cycle of the excitation, as a function of `x`.

    The device voltage carries −R_s times the noise of the current, so that a reading scatters more than its instrument:
    `weight` (n,) undoes that. `waveform` (n, phases) is the excitation at the device (V).
    """

    voltage: Real
    measured: Real
    weight: Real
    waveform: Real

    @abstractmethod
    def reading(self, current: Real) -> Real:
        """What the instrument reads of a `current`, or its derivative, along the cycle; shape (n, phases) → (n,)."""

    def model(self, x: Real) -> Real:
        """Expected readings, shape (n,)."""
        return self.reading(junction_of(x).current(self._junction_voltage(x), x[2]))

    def residuals(self, x: Real) -> Real:
        return (self.measured - self.model(x)) * self.weight

    def jacobian(self, x: Real) -> Real:
        slopes = current_slopes(x, self._junction_voltage(x))
        return np.stack([-self.reading(slope) * self.weight for slope in slopes], axis=-1)

    def _junction_voltage(self, x: Real) -> Real:
        return junction_voltage(x, self.voltage[:, None] + self.waveform)


def junction_of(x: Real) -> NISJunction:
    """Return one of the two junctions."""
    return NISJunction(gap=x[0], resistance=x[1], dynes=x[3])


def junction_voltage(x: Real, device_voltage: Real) -> Real:
    """Voltage across one junction (V) from `device_voltage`, which is measured across the pair."""
    return np.asarray((device_voltage + x[4]) / 2)


def thermal_reach(x: Real) -> float:
    """Voltage across the pair (V) over which thermal smearing bends its curve, 2kT/e."""
    return float(2 * k / e * x[2])


def device_share(x: Real, device_voltage: Real, series_resistance: float) -> Real:
    """Part of a small change of the line voltage that the device gets: 1 / (1 + G·R_s), shape of `device_voltage`."""
    conductance = junction_of(x).conductance(junction_voltage(x, device_voltage), x[2]) / 2
    return np.asarray(1 / (1 + series_resistance * conductance))


def device_waveform(x: Real, device_voltage: Real, line: Real, series_resistance: float) -> Real:
    """What a waveform of the `line` (V, at each phase) adds to the mean `device_voltage` (n,), shape (n, phases)."""

    def characteristic(voltage: Real) -> tuple[Real, Real]:
        at = junction_voltage(x, voltage)
        return junction_of(x).current(at, x[2]), junction_of(x).conductance(at, x[2]) / 2

    reach = np.full(device_voltage.shape, thermal_reach(x))
    cycle = device_cycle(characteristic, device_voltage, line, series_resistance, reach)
    return np.asarray(cycle - device_voltage[:, None])


def current_slopes(x: Real, at: Real) -> list[Real]:
    """∂I/∂x of the five parameters, each of the shape of the junction voltages `at`.

    I = (Δ/R)·Re s(V/Δ, kT/Δ, γ), and ∂s/∂γ = i·∂s/∂v.
    """
    junction, v, t = junction_of(x), at / x[0], k / e * x[2] / x[0]
    s = junction.complex_response(at, x[2])
    s_v, s_t = junction.complex_response_slopes(at, x[2])
    return [
        (s - v * s_v - t * s_t).real / x[1],
        -x[0] * s.real / x[1] ** 2,
        k / e * s_t.real / x[1],
        -x[0] * s_v.imag / x[1],
        s_v.real / x[1] / 2,
    ]
