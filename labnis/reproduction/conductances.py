"""Differential conductance of probe and cooler (R fig. 1): the crossover from quasiparticles to Andreev current."""

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure
from scipy.constants import e, h, hbar, k
from scipy.optimize import brentq

from labnis.reproduction.drawing import COLD, HOT, WARM, label_curve, panels
from labnis.reproduction.micro_cooler import (
    DIFFUSION_CONSTANT,
    GAP,
    PAPER,
    PROBE_GAP,
    PROBE_RESISTANCE,
    PROBE_TEMPERATURE,
    RESISTANCE,
    cooler,
    probe_channel,
    probe_junction,
)
from labnis.reproduction.published import Claim, PublishedFigure, Statement

__all__ = ["Conductances"]


BATHS = (0.09, 0.14, 0.24)  # K, fig. 1 right
JUNCTION_AREA = 1.5e-6 * 0.3e-6  # m², sect. 2
COPPER_FERMI_WAVENUMBER = 1.36e10  # 1/m, Ashcroft & Mermin


def _lowest_zero_bias_conductance() -> float:
    """Bath temperature (K) at which the cooler conducts least at zero bias."""
    bath, device = np.linspace(0.1, 0.3, 201), cooler()
    return float(bath[np.argmin(device.conductance(device.operating_point(0.0, bath)))])


def _probe_isotherm() -> float:
    """Temperature (K) with which eq. 3 alone fits the probe's current best (least squares of its logarithm)."""
    junction = probe_junction()
    voltage = np.linspace(0.8, 0.95, 31) * PROBE_GAP
    andreev = probe_channel().linearised(voltage, PROBE_TEMPERATURE, junction).current
    measured = junction.current(voltage, PROBE_TEMPERATURE) + andreev

    def slope(temperature: float) -> float:
        current = junction.current(voltage, temperature)
        by_temperature = junction.current_derivative("temperature", voltage, temperature) / current
        return float((np.log(current / measured) * by_temperature).sum())

    return float(brentq(slope, 0.05, 0.2))


def _transparency() -> float:
    """(h/2e²)/(R_N × number of channels)."""
    channels = JUNCTION_AREA * COPPER_FERMI_WAVENUMBER**2 / (4 * np.pi)
    return float(h / (2 * e**2) / (RESISTANCE * channels))


class Conductances(PublishedFigure):
    """Conductances in units of the normal one, against eV/Δ of one junction, shape (n,).

    Attributes
    ----------
    voltage
        eV/Δ.
    probe, probe_quasiparticles
        Of the probe with its electrons at 105 mK: with Andreev current, and by eq. 3 alone.
    cooler
        Of the cooler at each of `BATHS`, shape (3, n).

    """

    caption = (
        "dI/dV of probe and cooler at 90 mK (left) and of the cooler at three temperatures (right). The peak at zero "
        "bias is the Andreev current; it shrinks with temperature while the quasiparticles' conductance grows. The "
        "cooler, whose electrons are the colder, conducts less than the probe at intermediate bias."
    )

    def __init__(self) -> None:
        self.voltage = np.linspace(-1.3, 1.3, 521)
        junction, device = probe_junction(), cooler()
        probe_voltage = self.voltage * PROBE_GAP
        andreev = probe_channel().linearised(probe_voltage, PROBE_TEMPERATURE, junction).by_voltage
        self.probe_quasiparticles = junction.conductance(probe_voltage, PROBE_TEMPERATURE) * PROBE_RESISTANCE
        self.probe = self.probe_quasiparticles + andreev * PROBE_RESISTANCE
        points = device.operating_point(2 * GAP * self.voltage, np.array(BATHS)[:, None])
        self.cooler = device.conductance(points) * 2 * RESISTANCE

    def draw(self) -> Figure:
        figure, (left, right) = panels(
            f"Differential conductance, computed after {PAPER}, fig. 1", "cryostat at 90 mK", "cooler"
        )
        left.semilogy(self.voltage, self.probe, color=HOT)
        left.semilogy(self.voltage, self.probe_quasiparticles, "k:", lw=1)
        left.semilogy(self.voltage, self.cooler[0], color=COLD)
        label_curve(left, self.voltage, self.probe, "probe, 105 mK", HOT, at=0.0, offset=(-26, 6))
        label_curve(left, self.voltage, self.cooler[0], "cooler", COLD, at=0.0, offset=(-13, -16))
        label_curve(
            left, self.voltage, self.probe_quasiparticles, "probe by eq. 3 alone", "k", at=-0.42, offset=(3, -10)
        )
        left.set(xlabel="eV/Δ (probe), eV/2Δ (cooler)", ylabel=r"$R_N\,dI/dV$", ylim=(3e-6, 50))
        for bath, curve, colour, offset in zip(
            BATHS, self.cooler, (COLD, WARM, HOT), ((-12, -22), (5, -7), (-40, 8)), strict=True
        ):
            millivolt = self.voltage * 2 * GAP * 1e3
            right.semilogy(millivolt, curve, color=colour)
            place = 0.0 if bath == BATHS[0] else 0.2 if bath == BATHS[1] else -0.2
            label_curve(right, millivolt, curve, f"{bath * 1e3:.0f} mK", colour, at=place, offset=offset)
        right.set(xlabel="voltage (mV)", ylabel=r"$2R_N\,dI/dV$", ylim=(3e-6, 50))
        return figure

    def statements(self) -> Iterator[Statement]:
        zero, gap_edge = np.argmin(np.abs(self.voltage)), np.argmin(np.abs(self.voltage - 0.8))
        probe_peak, cooler_peak = (float(g[zero] / g[zero : gap_edge + 1].min()) for g in (self.probe, self.cooler[0]))
        yield Claim("R fig. 1", "Conductance peak at zero bias, 90 mK", "probe and cooler").beside(
            f"{probe_peak:.1f} (probe) and {cooler_peak:.1f} times (cooler) the minimum",
            min(probe_peak, cooler_peak) > 1,
        )
        below = float(self.cooler[0, gap_edge] / self.probe[gap_edge])
        above = float(self.cooler[0].max() / self.probe.max())
        sharper = "less conductance at intermediate bias, more peaked at the gap"
        yield Claim("R fig. 1", "Cooler against probe at 90 mK", sharper).beside(
            f"{below:.2f} times the probe's at 0.8 Δ/e, {above:.1f} times its peak", below < 1 < above
        )
        rises = _lowest_zero_bias_conductance()
        yield Claim("R sect. 2", "Zero-bias conductance rises on cooling", "below about 200 mK").beside(
            f"below {rises * 1e3:.0f} mK", abs(rises / 0.2 - 1) < 0.15
        )
        isotherm = _probe_isotherm()
        yield Claim("R sect. 2", "Probe's electron temperature from eq. 3 alone, cryostat at 90 mK", "105 mK").beside(
            f"{isotherm * 1e3:.0f} mK",
            abs(isotherm - PROBE_TEMPERATURE) < 0.002,
            "from a curve computed at 105 mK, 0.8 to 0.95 Δ/e: the Andreev current that eq. 3 leaves out is taken "
            "for a higher temperature",
        )
        length = float(np.sqrt(hbar * DIFFUSION_CONSTANT / (2 * np.pi * k * 0.09)))
        yield Claim("R sect. 3", "Coherence length L_T at 90 mK", "0.33 µm").beside(
            f"{length * 1e6:.3f} µm", abs(length - 0.33e-6) < 0.005e-6
        )
        devices = cooler(), cooler(resistance=RESISTANCE / 2), cooler(dynes=1e-7), cooler(clean_superconductor=True)
        resistance, halved, sharp, clean = (float(1 / d.conductance(d.operating_point(0.0, 0.09))) for d in devices)
        yield Claim("R sect. 4", "Cooler's zero-bias resistance at 90 mK", "at least 20 MΩ").beside(
            f"{resistance / 1e6:.1f} MΩ",
            resistance >= 20e6,
            "the paper fitted M to the whole I–V curve, not to this point, and prints neither wire's resistance: "
            f"{sharp / 1e6:.1f} MΩ for a vanishing Dynes parameter, {clean / 1e6:.1f} MΩ without disorder in the "
            "superconductor",
        )
        yield Claim("R fig. 1", "The same if R_N = 1.9 kΩ is that of both junctions", "at least 20 MΩ").beside(
            f"{halved / 1e6:.1f} MΩ", halved >= 20e6, "farther off than with 1.9 kΩ each, which is therefore used"
        )
        transparency = _transparency()
        yield Claim("R sect. 5", "Transparency of the barrier", "about 1e-5").beside(
            f"{transparency:.0e}".replace("e-0", "e-"),
            0.3e-5 < transparency < 3e-5,
            "counts every Fermi-surface channel of 1.5 × 0.3 µm² of copper; the paper does not say how it counts, "
            "and suspects an inhomogeneous barrier, which would concentrate the current on fewer channels",
        )
