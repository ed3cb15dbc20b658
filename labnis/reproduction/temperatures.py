"""Electron temperature of the cooler against bias at three cryostat temperatures (R fig. 6, right)."""

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure

from labnis.physics import SINISCooler
from labnis.reproduction.drawing import COLD, HOT, WARM, label_curve, panels
from labnis.reproduction.micro_cooler import BATHS, PAPER, RESISTANCE, cooler
from labnis.reproduction.published import Claim, PublishedFigure, Statement

__all__ = ["Temperatures"]


# Within this voltage the electrons either warm up first or do not.
_BEFORE_COOLING = 350e-6
_VOLTAGE = np.linspace(0, 500e-6, 501)


def _coldest(device: SINISCooler, bath: float) -> float:
    """Lowest electron temperature (K)."""
    return float(device.operating_point(_VOLTAGE, bath).electron_temperature.min())


def _warmest(device: SINISCooler) -> tuple[float, float]:
    """(voltage, electron temperature) where the electrons are the warmest before they cool, at the lowest bath."""
    voltage = np.linspace(0, _BEFORE_COOLING, 351)
    electrons = device.operating_point(voltage, BATHS[0]).electron_temperature
    return float(voltage[np.argmax(electrons)]), float(electrons.max())


class Temperatures(PublishedFigure):
    """Electron temperature (K) at each of `BATHS`, shape (3, n), against the device's voltage (V), shape (n,)."""

    caption = (
        "Electron temperature against bias. At 90 mK the work of the Andreev current first warms the electrons; near "
        "the gap quasiparticles cool them. At 230 mK cooling prevails at every bias below the gap."
    )

    def __init__(self) -> None:
        self.voltage = _VOLTAGE
        self.electrons = cooler().operating_point(self.voltage, np.array(BATHS)[:, None]).electron_temperature

    def draw(self) -> Figure:
        figure, (axis,) = panels(
            f"Electron temperature, computed after {PAPER}, fig. 6", "island of the cooler", width=6.0
        )
        millivolt = self.voltage * 1e3
        for bath, electrons, colour in zip(BATHS, self.electrons, (COLD, WARM, HOT), strict=True):
            axis.plot(millivolt, electrons * 1e3, color=colour)
            label_curve(
                axis, millivolt, electrons * 1e3, f"bath at {bath * 1e3:.0f} mK", colour, at=0.005, offset=(0, -12)
            )
        axis.set(xlabel="voltage across the cooler (mV)", ylabel="electron temperature (mK)", ylim=(0, 300))
        return figure

    def statements(self) -> Iterator[Statement]:
        cold, _, warm = self.electrons
        coldest = int(np.argmin(cold))
        at, peak = _warmest(cooler())
        clean = _coldest(cooler(clean_superconductor=True), BATHS[0])
        without = _coldest(cooler(andreev=False), BATHS[0])
        yield Claim("R fig. 6", "Electron temperature at 90 mK", "first rises with bias, falls near the gap").beside(
            f"rises to {peak * 1e3:.0f} mK at {at * 1e6:.0f} µV, falls to {cold[coldest] * 1e3:.0f} mK at "
            f"{self.voltage[coldest] * 1e6:.0f} µV",
            peak > BATHS[0] > cold[coldest] and at < self.voltage[coldest],
            "the minimum depends on the Dynes parameter, which the paper does not print, and on disorder in the "
            f"superconductor: {clean * 1e3:.1f} mK without that, {without * 1e3:.1f} mK without Andreev heat",
        )
        at, peak = _warmest(cooler(resistance=RESISTANCE / 2))
        yield Claim("R fig. 6", "The same if R_N = 1.9 kΩ is that of both junctions", "first rises with bias").beside(
            f"rises to {peak * 1e3:.0f} mK at {at * 1e6:.0f} µV",
            peak > BATHS[0],
            "the probe's specific resistance supports this reading, the zero-bias resistance contradicts it",
        )
        end = int(np.argmin(warm))
        yield Claim("R fig. 6", "Electron temperature at 230 mK", "only falls up to the gap").beside(
            f"only falls, to {warm[end] * 1e3:.0f} mK at {self.voltage[end] * 1e6:.0f} µV",
            (np.diff(warm[: end + 1]) < 0).all(),
        )
        from_300, without = (_coldest(device, 0.3) for device in (cooler(), cooler(andreev=False)))
        yield Claim("R sect. 1", "Electrons of an aluminium cooler, bath at 300 mK", "below 100 mK").beside(
            f"{from_300 * 1e3:.0f} mK",
            from_300 < 0.1,
            "said of other devices (its refs. 1, 2); this one's island is small but its junctions resistive; "
            f"without Andreev heat would reach {without * 1e3:.0f} mK",
        )
