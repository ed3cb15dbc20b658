"""I–V curve of probe and cooler at 90 mK (R figs. 2 and 3): which current it is, and that no linear leak mimics it."""

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from labnis.reproduction.drawing import DATA, FIT, panels
from labnis.reproduction.micro_cooler import (
    GAP,
    PAPER,
    PROBE_GAP,
    PROBE_TEMPERATURE,
    andreev_channel,
    cooler,
    probe_channel,
    probe_junction,
)
from labnis.reproduction.published import Claim, PublishedFigure, Statement

__all__ = ["Alternatives"]

Real = NDArray[np.float64]

BATH = 0.09
LEAKS = (6e6, 10e6, 100e6)  # ohm, fig. 3
_LEAK_STYLES = ("-.", "--", ":")
# Where curves are compared: below the gap, above the smallest bias that fig. 2 shows.
_COMPARED = np.linspace(10e-6, 340e-6, 67)
# A description is good where it stays within this ratio (rms).
_GOOD = 1.1


def _full(voltage: Real) -> Real:
    return cooler().operating_point(voltage, BATH).current


def _leaking(voltage: Real, resistance: float) -> Real:
    """Current (A) with a leak instead of the Andreev current; it heats the island, too."""
    return cooler(andreev=False, leakage_resistance=resistance).operating_point(voltage, BATH).current


def _charge_only(voltage: Real, leakage_resistance: float | None = None) -> Real:
    """Current (A) with the Andreev current, which dissipates nothing, as the paper first assumes."""
    device = cooler(andreev=False, leakage_resistance=leakage_resistance)
    point = device.operating_point(voltage, BATH)
    andreev = andreev_channel().linearised(voltage / 2, point.electron_temperature, device.junction)
    return point.current + andreev.current


def _distance(current: Real, reference: Real) -> float:
    """By which factor the currents differ, rms of its logarithm."""
    return float(np.exp(np.sqrt(np.mean(np.log(current / reference) ** 2))))


class Alternatives(PublishedFigure):
    """Currents (A) at positive bias; the cooler's against the voltage of the device, the probe's against its own.

    Attributes
    ----------
    probe_voltage, probe, probe_quasiparticles
        Of the probe, shape (n,).
    voltage, full, charge_only, quasiparticles
        Of the cooler, shape (m,): with Andreev current and its heat; with the current but not the heat; with neither.
    leaks
        With a leakage resistance in place of the Andreev current, one of shape (m,) for each of `LEAKS`.
    best_leak, best_leak_resistance
        With the resistance (ohm) that comes closest to `full`.

    """

    caption = (
        "Current at 90 mK on a logarithmic scale. Left and middle: quasiparticles alone carry too little below the "
        "gap, and the cooler's Andreev current has to heat as well. Right: a linear leak of any "
        "size has another shape."
    )

    def __init__(self) -> None:
        self.probe_voltage = np.linspace(2e-6, 1.1 * PROBE_GAP, 250)
        junction = probe_junction()
        self.probe_quasiparticles = junction.current(self.probe_voltage, PROBE_TEMPERATURE)
        andreev = probe_channel().linearised(self.probe_voltage, PROBE_TEMPERATURE, junction)
        self.probe = self.probe_quasiparticles + andreev.current
        self.voltage = np.linspace(2e-6, 2.2 * GAP, 475)
        self.full = _full(self.voltage)
        self.charge_only = _charge_only(self.voltage)
        self.quasiparticles = cooler(andreev=False).operating_point(self.voltage, BATH).current
        self.leaks = [_leaking(self.voltage, resistance) for resistance in LEAKS]
        reference = _full(_COMPARED)
        best = minimize_scalar(
            lambda exponent: _distance(_leaking(_COMPARED, 10**exponent), reference), bounds=(6, 9), method="bounded"
        )
        self.best_leak_resistance = float(10**best.x)
        self.best_leak = _leaking(self.voltage, self.best_leak_resistance)

    def draw(self) -> Figure:
        names = "probe, electrons at 105 mK", "cooler", "cooler, leak instead of Andreev current"
        figure, (probe, carriers, leaks) = panels(
            f"Current at 90 mK, computed after {PAPER}, figs. 2 and 3", *names, width=3.5
        )
        probe.semilogy(self.probe_voltage * 1e3, self.probe, color=FIT, label="with Andreev current")
        probe.semilogy(self.probe_voltage * 1e3, self.probe_quasiparticles, "k--", lw=1, label="quasiparticles only")
        probe.set(xlabel="voltage (mV)", ylabel="current (A)", ylim=(1e-14, 1e-7))
        millivolt = self.voltage * 1e3
        carriers.semilogy(millivolt, self.full, color=FIT, label="Andreev current and its heat")
        carriers.semilogy(millivolt, self.charge_only, "k:", lw=1.2, label="Andreev current without heat")
        carriers.semilogy(millivolt, self.quasiparticles, "k--", lw=1, label="quasiparticles only")
        carriers.set(xlabel="voltage (mV)", ylim=(1e-14, 1e-7))
        leaks.semilogy(millivolt, self.full, color=FIT, label="Andreev current and its heat")
        for resistance, style, current in zip(LEAKS, _LEAK_STYLES, self.leaks, strict=True):
            leaks.semilogy(millivolt, current, f"k{style}", lw=1, label=f"leak of {resistance / 1e6:.0f} MΩ")
        leaks.semilogy(
            millivolt, self.best_leak, color=DATA, lw=1, label=f"closest leak, {self.best_leak_resistance / 1e6:.0f} MΩ"
        )
        leaks.set(xlabel="voltage (mV)", ylim=(1e-13, 1e-7))
        for axis in (probe, carriers, leaks):
            axis.legend(frameon=False, fontsize=7, loc="upper left")
        return figure

    def statements(self) -> Iterator[Statement]:
        reference = _full(_COMPARED)
        probe = _distance(self.probe_quasiparticles, self.probe)
        alone = _distance(np.interp(_COMPARED, self.voltage, self.quasiparticles), reference)
        yield Claim("R fig. 2", "Quasiparticles alone (eq. 3) at 90 mK", "no description below the gap").beside(
            f"off by a factor {probe:.0f} (probe) and {alone:.0f} (cooler), rms", min(probe, alone) > _GOOD
        )
        low, intermediate = self.voltage < 50e-6, (self.voltage > 150e-6) & (self.voltage < 380e-6)
        missing = self.full / self.charge_only
        partly = "fits at low bias, too little current at intermediate bias"
        yield Claim("R fig. 2", "Andreev current without its heat", partly).beside(
            f"right within {100 * np.abs(missing[low] - 1).max():.1f} % below 50 µV, too little by a factor up to "
            f"{missing[intermediate].max():.1f} between 150 and 380 µV",
            missing[low].max() < _GOOD < missing[intermediate].max(),
            'against the full model, which represents the measured curve ("very good" agreement, R fig. 6)',
        )
        instead, beside = (
            [_distance(current(_COMPARED, resistance), reference) for resistance in LEAKS]
            for current in (_leaking, _charge_only)
        )
        each = " / ".join(f"{resistance / 1e6:.0f}" for resistance in LEAKS)
        bad = "no good description"
        yield Claim("R fig. 3", f"Linear leak of {each} MΩ instead of the Andreev current", bad).beside(
            "off by a factor " + " / ".join(f"{d:.1f}" for d in instead) + ", rms, 10–340 µV",
            min(instead) > _GOOD,
            "against the full model, as all the following",
        )
        yield Claim("R fig. 3", f"Leak of {each} MΩ beside an Andreev current without heat", bad).beside(
            "off by a factor " + " / ".join(f"{d:.1f}" for d in beside) + ", rms, 10–340 µV",
            min(beside) > _GOOD,
            "the paper does not say whether the leak comes in place of the Andreev current or beside it; the "
            "largest one beside it comes close",
        )
        best = _distance(_leaking(_COMPARED, self.best_leak_resistance), reference)
        yield Claim("R fig. 3", "Any linear leak instead of the Andreev current", bad).beside(
            f"the closest, {self.best_leak_resistance / 1e6:.0f} MΩ, is off by a factor {best:.1f}, rms",
            best > _GOOD,
            "in the I–V curve alone it comes close; the conductance, which peaks at zero bias with the Andreev "
            "current and not with a leak, tells them apart",
        )
