"""Electron temperature of the cooler against bias at three cryostat temperatures (R fig. 6, right)."""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from labnis.physics import SINISCooler
from labnis.reproduction.drawing import COLD, HOT, WARM, label_curve, panels
from labnis.reproduction.micro_cooler import BATHS, PAPER, RESISTANCE, cooler
from labnis.reproduction.published import PublishedFigure, Statement

__all__ = ["TEMPERATURES", "Temperatures"]

Real = NDArray[np.float64]

# Within this voltage the electrons either warm up first or do not.
_BEFORE_COOLING = 350e-6


@dataclass(frozen=True)
class Temperatures:
    """Electron temperature (K) at each of `BATHS`, shape (3, n), against the device's voltage (V), shape (n,)."""

    voltage: Real
    electrons: Real


def _compute() -> Temperatures:
    voltage = np.linspace(0, 500e-6, 501)
    points = cooler().operating_point(voltage, np.array(BATHS)[:, None])
    return Temperatures(voltage, points.electron_temperature)


def _draw(c: Temperatures) -> Figure:
    figure, (axis,) = panels(f"Electron temperature, computed after {PAPER}, fig. 6", "island of the cooler", width=6.0)
    millivolt = c.voltage * 1e3
    for bath, electrons, colour in zip(BATHS, c.electrons, (COLD, WARM, HOT), strict=True):
        axis.plot(millivolt, electrons * 1e3, color=colour)
        label_curve(axis, millivolt, electrons * 1e3, f"bath at {bath * 1e3:.0f} mK", colour, at=0.005, offset=(0, -12))
    axis.set(xlabel="voltage across the cooler (mV)", ylabel="electron temperature (mK)", ylim=(0, 300))
    return figure


def _warmest(device: SINISCooler, bath: float) -> tuple[float, float]:
    """(voltage, electron temperature) where the electrons are the warmest before they cool."""
    voltage = np.linspace(0, _BEFORE_COOLING, 351)
    electrons = device.operating_point(voltage, bath).electron_temperature
    return float(voltage[np.argmax(electrons)]), float(electrons.max())


def _compare(c: Temperatures) -> list[Statement]:
    cold, _, warm = c.electrons
    coldest = int(np.argmin(cold))
    at, peak = _warmest(cooler(), BATHS[0])
    halved_at, halved_peak = _warmest(cooler(resistance=RESISTANCE / 2), BATHS[0])
    clean = cooler(clean_superconductor=True).operating_point(c.voltage, BATHS[0]).electron_temperature.min()
    sharper = cooler(andreev=False).operating_point(c.voltage, BATHS[0]).electron_temperature.min()
    warm_end = int(np.argmin(warm))
    only_falls = bool((np.diff(warm[: warm_end + 1]) < 0).all())
    from_300 = cooler().operating_point(c.voltage, 0.3).electron_temperature.min()
    without = cooler(andreev=False).operating_point(c.voltage, 0.3).electron_temperature.min()
    return [
        Statement(
            "R fig. 6",
            "Electron temperature at 90 mK",
            "first rises with bias, falls near the gap",
            f"rises to {peak * 1e3:.0f} mK at {at * 1e6:.0f} µV, falls to {cold[coldest] * 1e3:.0f} mK at "
            f"{c.voltage[coldest] * 1e6:.0f} µV",
            peak > BATHS[0] > cold[coldest] and at < c.voltage[coldest],
            "the minimum depends on the Dynes parameter, which the paper does not print, and on disorder in the "
            f"superconductor: {clean * 1e3:.1f} mK without that, {sharper * 1e3:.1f} mK without Andreev heat",
        ),
        Statement(
            "R fig. 6",
            "The same if R_N = 1.9 kΩ is that of both junctions",
            "first rises with bias",
            f"rises to {halved_peak * 1e3:.0f} mK at {halved_at * 1e6:.0f} µV",
            halved_peak > BATHS[0],
            "a reading that the probe's specific resistance speaks for; the zero-bias resistance speaks against it",
        ),
        Statement(
            "R fig. 6",
            "Electron temperature at 230 mK",
            "only falls up to the gap",
            f"only falls, to {warm[warm_end] * 1e3:.0f} mK at {c.voltage[warm_end] * 1e6:.0f} µV",
            only_falls,
        ),
        Statement(
            "R sect. 1",
            "Electrons of an aluminium cooler, bath at 300 mK",
            "below 100 mK",
            f"{from_300 * 1e3:.0f} mK",
            bool(from_300 < 0.1),
            "said of other devices (its refs. 1, 2); this one's island is small but its junctions resistive; "
            f"without Andreev heat would reach {without * 1e3:.0f} mK",
        ),
    ]


TEMPERATURES = PublishedFigure(
    "Electron temperature against bias. At 90 mK the work of the Andreev current first warms the electrons; near "
    "the gap quasiparticles cool them. At 230 mK cooling prevails at every bias below the gap.",
    _compute,
    _draw,
    _compare,
)
