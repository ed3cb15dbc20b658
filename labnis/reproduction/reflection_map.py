"""Reflection coefficient against bias and frequency (H eq. 11), with the points of critical coupling."""

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import brentq

from labnis.reproduction.drawing import panels
from labnis.reproduction.microwave_source import ELECTRON_TEMPERATURE, JUNCTION, PAPER, RESONATOR
from labnis.reproduction.published import Claim, PublishedFigure, Statement

__all__ = ["ReflectionMap"]


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


class ReflectionMap(PublishedFigure):
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

    caption = (
        "Magnitude and phase of the reflection against bias and frequency. Just below the gap the junctions' damping "
        "passes the critical coupling (circles), where Γ = 0 and its phase has a vortex."
    )

    def __init__(self) -> None:
        self.voltage = np.linspace(-1.75, 1.75, 281) * JUNCTION.gap
        self.frequency = RESONATOR.frequency + np.linspace(-15e6, 15e6, 241)
        self.reflection = RESONATOR.reflection(self.frequency, JUNCTION, self.voltage[:, None], ELECTRON_TEMPERATURE)
        self.critical_voltage = _critical_voltage()
        self.critical_frequency = _critical_frequency(self.critical_voltage)

    def draw(self) -> Figure:
        figure, axes = panels(
            f"Reflection coefficient, computed after {PAPER}, eq. 11", "magnitude", "phase", width=4.6
        )
        detuning = (self.frequency - RESONATOR.frequency) / 1e6
        maps = (
            (20 * np.log10(np.abs(self.reflection)), "viridis", (-30.0, 0.0), "|Γ| (dB)"),
            (np.angle(self.reflection), "twilight", (-np.pi, np.pi), "arg Γ (rad)"),
        )
        for axis, (values, colours, (low, high), label) in zip(axes, maps, strict=True):
            mesh = axis.pcolormesh(
                self.voltage * 1e3, detuning, values.T, cmap=colours, vmin=low, vmax=high, shading="nearest"
            )
            figure.colorbar(mesh, ax=axis, label=label)
            axis.grid(visible=False)
            critical = (self.critical_frequency - RESONATOR.frequency) / 1e6
            both = np.array([-1, 1]) * self.critical_voltage * 1e3
            axis.plot(
                both, [critical, critical], "o", mfc="none", mec="#ff5a36", mew=1.5, ms=9, label="critical coupling"
            )
            axis.legend(fontsize=7, loc="upper center")
            axis.set(
                xlabel="voltage across one junction (mV)", ylabel=f"frequency − {RESONATOR.frequency / 1e9} GHz (MHz)"
            )
        return figure

    def statements(self) -> Iterator[Statement]:
        critical = self.critical_frequency, JUNCTION, self.critical_voltage
        zero = float(np.abs(RESONATOR.reflection(*critical, ELECTRON_TEMPERATURE)))
        unmatched = np.abs(self.reflection[np.abs(self.voltage) > 1.5 * JUNCTION.gap]).min()
        yield Claim("H eq. 11", "Critical coupling, γ_T + γ_x = Re φ·γ_tr", "at some bias Γ = 0").beside(
            f"|Γ| < 1e-9 at {self.critical_voltage / JUNCTION.gap:.3f} Δ/e, {self.critical_frequency / 1e9:.4f} GHz; "
            f"{20 * np.log10(unmatched):.1f} dB or more from 1.5 Δ/e on"
            if zero < 1e-9
            else f"|Γ| = {zero:.1e}",
            zero < 1e-9,
        )
        shifts = RESONATOR.lamb_shift(JUNCTION, np.linspace(0, 2, 801) * JUNCTION.gap, ELECTRON_TEMPERATURE)
        yield Claim("H text", "Resonance against bias (Lamb shift)", "moves").beside(
            f"by {shifts[0] / 1e6:+.2f} MHz at zero bias and {shifts.max() / 1e6:+.2f} MHz at the gap, from where it "
            "is at high bias",
            shifts[0] < 0 < shifts.max(),
        )
