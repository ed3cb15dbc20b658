"""Reflection coefficient against bias and frequency (H eq. 11), with the points of critical coupling."""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.optimize import brentq

from labnis.reproduction.drawing import panels
from labnis.reproduction.microwave_source import ELECTRON_TEMPERATURE, JUNCTION, PAPER, RESONATOR
from labnis.reproduction.published import PublishedFigure, Statement

__all__ = ["REFLECTION", "ReflectionMap"]

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]


@dataclass(frozen=True)
class ReflectionMap:
    """Γ in the phase convention of physics.

    Attributes
    ----------
    voltage
        Across one junction (V), shape (n,).
    frequency
        Probe frequency (Hz), shape (m,).
    reflection
        Γ, shape (n, m).
    critical_voltage, critical_frequency
        Where Γ = 0 at positive bias (V, Hz).

    """

    voltage: Real
    frequency: Real
    reflection: Complex
    critical_voltage: float
    critical_frequency: float


def _compute() -> ReflectionMap:
    voltage = np.linspace(-1.75, 1.75, 281) * JUNCTION.gap
    frequency = RESONATOR.frequency + np.linspace(-15e6, 15e6, 241)
    reflection = RESONATOR.reflection(frequency, JUNCTION, voltage[:, None], ELECTRON_TEMPERATURE)
    critical = _critical_voltage()
    return ReflectionMap(voltage, frequency, reflection, critical, _critical_frequency(critical))


def _critical_voltage() -> float:
    """Voltage (V) where γ_T + γ_x = Re φ·γ_tr."""
    matched = RESONATOR.fano.real * RESONATOR.damping_line - RESONATOR.damping_excess

    def excess(voltage: float) -> float:
        return float(RESONATOR.damping_rate(JUNCTION, voltage, ELECTRON_TEMPERATURE)) - matched

    return float(brentq(excess, 0, JUNCTION.gap, xtol=1e-15))


def _critical_frequency(voltage: float) -> float:
    """Frequency (Hz) of the zero, 2(ω − ω_r) = −Im φ·γ_tr."""
    resonance = RESONATOR.resonance_frequency(JUNCTION, voltage, ELECTRON_TEMPERATURE)
    return float(resonance) - RESONATOR.fano.imag * RESONATOR.damping_line / 2 / (2 * np.pi)


def _draw(c: ReflectionMap) -> Figure:
    figure, axes = panels(f"Reflection coefficient, computed after {PAPER}, eq. 11", "magnitude", "phase", width=4.6)
    detuning = (c.frequency - RESONATOR.frequency) / 1e6
    maps = (
        (20 * np.log10(np.abs(c.reflection)), "viridis", (-30.0, 0.0), "|Γ| (dB)"),
        (np.angle(c.reflection), "twilight", (-np.pi, np.pi), "arg Γ (rad)"),
    )
    for axis, (values, colours, (low, high), label) in zip(axes, maps, strict=True):
        mesh = axis.pcolormesh(
            c.voltage * 1e3, detuning, values.T, cmap=colours, vmin=low, vmax=high, shading="nearest"
        )
        figure.colorbar(mesh, ax=axis, label=label)
        axis.grid(visible=False)
        critical = (c.critical_frequency - RESONATOR.frequency) / 1e6
        axis.plot(
            np.array([-1, 1]) * c.critical_voltage * 1e3, [critical, critical], "o", mfc="none", mec="#ff5a36", mew=1.5,
            ms=9, ls="none", label="critical coupling",
        )  # fmt: skip
        axis.legend(fontsize=7, loc="upper center")
        axis.set(xlabel="voltage across one junction (mV)", ylabel=f"frequency − {RESONATOR.frequency / 1e9} GHz (MHz)")
    return figure


def _compare(c: ReflectionMap) -> list[Statement]:
    zero = float(np.abs(RESONATOR.reflection(c.critical_frequency, JUNCTION, c.critical_voltage, ELECTRON_TEMPERATURE)))
    shifts = RESONATOR.lamb_shift(JUNCTION, np.linspace(0, 2, 801) * JUNCTION.gap, ELECTRON_TEMPERATURE)
    unmatched = np.abs(c.reflection[np.abs(c.voltage) > 1.5 * JUNCTION.gap]).min()
    return [
        Statement(
            "H eq. 11",
            "Critical coupling, γ_T + γ_x = Re φ·γ_tr",
            "at some bias Γ = 0",
            f"|Γ| < 1e-9 at {c.critical_voltage / JUNCTION.gap:.3f} Δ/e, {c.critical_frequency / 1e9:.4f} GHz; "
            f"{20 * np.log10(unmatched):.1f} dB or more from 1.5 Δ/e on"
            if zero < 1e-9
            else f"|Γ| = {zero:.1e}",
            zero < 1e-9,
        ),
        Statement(
            "H text",
            "Resonance against bias (Lamb shift)",
            "moves",
            f"by {shifts[0] / 1e6:+.2f} MHz at zero bias and {shifts.max() / 1e6:+.2f} MHz at the gap, from where it "
            "is at high bias",
            bool(shifts[0] < 0 < shifts.max()),
        ),
    ]


REFLECTION = PublishedFigure(
    "Magnitude and phase of the reflection against bias and frequency. Just below the gap the junctions' damping "
    "passes the critical coupling (circles), where Γ = 0 and its phase has a vortex.",
    _compute,
    _draw,
    _compare,
)
