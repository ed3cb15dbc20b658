"""Cooling power and Andreev dissipation of one junction at 100 mK (R fig. 4), and where each of them wins."""

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.constants import e, k
from scipy.optimize import brentq

from labnis.reproduction.drawing import DATA, FIT, label_curve, panels
from labnis.reproduction.micro_cooler import DYNES, GAP, PAPER, RESISTANCE, andreev_channel, cooler
from labnis.reproduction.published import Claim, PublishedFigure, Statement

__all__ = ["Powers"]

Real = NDArray[np.float64]

TEMPERATURE = 0.1  # K, of everything
# Closest to zero bias where both powers, which fall with V², are looked at.
_NEAR_ZERO = 5e-6


def _powers(voltage: Real, temperature: float) -> tuple[Real, Real]:
    """Cooling power and Andreev dissipation (W) of one junction, electrons and superconductor at `temperature` (K)."""
    junction = cooler().junction
    andreev = andreev_channel().linearised(voltage, temperature, junction).current
    return junction.cooling_power(voltage, temperature, temperature), andreev * voltage


def _advantage_of_heating(bath: float, dynes: float) -> float:
    """P_A − P_cool of the cooler close to zero bias, in units of P_A."""
    point = cooler(dynes=dynes).operating_point(_NEAR_ZERO, bath)
    return float(1 - point.cooling_power / point.andreev_power)


def _heating_wins_anywhere(bath: float) -> bool:
    point = cooler().operating_point(np.linspace(_NEAR_ZERO, 420e-6, 84), bath)
    return bool((point.andreev_power > point.cooling_power).any())


def _best_resistance(temperature: float) -> float:
    """Resistance (ohm) of one junction at which the best bias gives the largest net cooling power.

    P_cool goes as 1/R, P_A as 1/R²: at each bias p/R − a/R² is largest, p²/4a, at R = 2a/p.
    """
    cooling, dissipation = _powers(np.linspace(0.5, 1, 501) * GAP, temperature)
    best = np.argmax(np.where(cooling > 0, cooling**2 / dissipation, 0))
    return float(2 * dissipation[best] / cooling[best] * RESISTANCE)


class Powers(PublishedFigure):
    """Of one junction with electrons and superconductor at 100 mK, against its voltage (V), shape (n,); in watt."""

    caption = (
        "Cooling power and Andreev dissipation of one junction at 100 mK. On the scale of the cooling the dissipation "
        "cannot be seen (left); enlarged (right), it exceeds the cooling over most of the bias range below the gap."
    )

    def __init__(self) -> None:
        self.voltage = np.linspace(0, 1.05 * GAP, 421)
        self.cooling, self.dissipation = _powers(self.voltage, TEMPERATURE)

    def draw(self) -> Figure:
        figure, (whole, small) = panels(
            f"Powers of one junction at 100 mK, computed after {PAPER}, fig. 4", "up to the gap", "enlarged"
        )
        millivolt, gap = self.voltage * 1e3, GAP * 1e3
        for axis, scale, unit in ((whole, 1e12, "pW"), (small, 1e15, "fW")):
            axis.plot(millivolt, self.cooling * scale, color=FIT)
            axis.plot(millivolt, self.dissipation * scale, color=DATA)
            axis.set(xlabel="voltage across the junction (mV)", ylabel=f"power ({unit})")
        reach = float(self.cooling.max() * 1.15e12)
        whole.set(ylim=(-0.05 * reach, reach))
        label_curve(whole, millivolt, self.cooling * 1e12, "$P_{cool}$", FIT, at=0.91 * gap, offset=(-34, 0))
        label_curve(whole, millivolt, self.dissipation * 1e12, "$P_A$", DATA, at=0.5 * gap, offset=(0, 5))
        small.set(xlim=(0, 0.85 * gap), ylim=(-0.1, 5))
        label_curve(small, millivolt, self.cooling * 1e15, "$P_{cool}$", FIT, at=0.75 * gap, offset=(-34, 0))
        label_curve(small, millivolt, self.dissipation * 1e15, "$P_A$", DATA, at=0.4 * gap, offset=(-6, 7))
        return figure

    def statements(self) -> Iterator[Statement]:
        inside = (self.voltage > 0) & (self.voltage < GAP)
        cools = self.cooling[inside] > self.dissipation[inside]
        wins = float(self.voltage[inside][np.argmax(cools)])
        once = np.count_nonzero(np.diff(cools)) == 1
        junction = cooler().junction
        optimum = float(junction.optimal_bias(TEMPERATURE))
        which = "Dissipation exceeds cooling near zero bias, cooling wins near the gap (100 mK)"
        yield Claim("R fig. 4", which, "yes").beside(
            f"cooling wins from {wins / GAP:.2f} Δ/e on, largest at {optimum / GAP:.2f} Δ/e", once
        )
        crossover, broad = (brentq(_advantage_of_heating, 0.15, 0.25, args=(dynes,)) for dynes in (DYNES, 1e-3))
        yield Claim("R sect. 5", "Andreev dissipation relevant", "below 200 mK only").beside(
            f"near zero bias up to {crossover * 1e3:.0f} mK, at no bias at 230 mK",
            abs(crossover / 0.2 - 1) < 0.05 and not _heating_wins_anywhere(0.23),
            f"up to {broad * 1e3:.0f} mK with a Dynes parameter of 1e-3, which the paper does not print",
        )
        work = junction.current(optimum, TEMPERATURE) * optimum
        efficiency = float(junction.cooling_power(optimum, TEMPERATURE, TEMPERATURE) / work)
        thermal = k * TEMPERATURE / (e * GAP)
        yield Claim("R sect. 5", "Efficiency P_cool/IV at 100 mK", "of the order T_e/Δ, about 5 %").beside(
            f"{100 * efficiency:.1f} % at the optimal bias; kT_e/Δ = {100 * thermal:.1f} %",
            abs(efficiency - 0.05) < 0.005,
        )
        warm, cold = (_best_resistance(t) for t in (0.2, 0.1))
        yield Claim("R sect. 6", "Resistance that cools best at given temperature", "rises on cooling").beside(
            f"{warm:.0f} Ω at 200 mK, {cold:.0f} Ω at 100 mK",
            cold > warm,
            "largest P_cool − P_A over bias and resistance, electrons and superconductor alike; so close to the gap "
            "the Andreev current depends on its broadening",
        )
