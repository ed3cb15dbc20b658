"""Current of two equal junctions in series, for the fits whose parameters begin with those of the pair.

These are, in the order of every vector `x` here: gap (eV), normal_resistance (ohm, one junction), electron_temperature
(K), dynes and voltage_offset (V, at the device); what follows them does not count.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.constants import e, k

from labnis.fit._excitation import device_cycle
from labnis.physics import NISJunction

__all__ = ["current_slopes", "device_share", "device_swing", "junction_of", "junction_voltage", "thermal_reach"]

Real = NDArray[np.float64]


def junction_of(x: Real) -> NISJunction:
    """One of the two junctions."""
    return NISJunction(gap=x[0], resistance=x[1], dynes=x[3])


def junction_voltage(x: Real, device_voltage: Real) -> Real:
    """Across one junction (V), where `device_voltage` is measured across the pair."""
    return np.asarray((device_voltage + x[4]) / 2)


def thermal_reach(x: Real) -> float:
    """Voltage across the pair (V) over which thermal smearing bends its curve, 2kT/e."""
    return float(2 * k / e * x[2])


def device_share(x: Real, device_voltage: Real, series_resistance: float) -> Real:
    """Part of a small change of the line voltage that the device gets: 1 / (1 + G·R_s), shape of `device_voltage`."""
    conductance = junction_of(x).conductance(junction_voltage(x, device_voltage), x[2]) / 2
    return np.asarray(1 / (1 + series_resistance * conductance))


def device_swing(x: Real, device_voltage: Real, line: Real, series_resistance: float) -> Real:
    """What a swing of the `line` (V, at each phase) adds to the mean `device_voltage` (n,), shape (n, phases)."""

    def curve(voltage: Real) -> tuple[Real, Real]:
        at = junction_voltage(x, voltage)
        return junction_of(x).current(at, x[2]), junction_of(x).conductance(at, x[2]) / 2

    reach = np.full(device_voltage.shape, thermal_reach(x))
    return np.asarray(device_cycle(curve, device_voltage, line, series_resistance, reach) - device_voltage[:, None])


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
