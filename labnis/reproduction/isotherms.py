"""I–V curves of the cooler at four cryostat temperatures (R fig. 6, left), and the effect of the phonons on them."""

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure

from labnis.reproduction.drawing import COLD, HOT, WARM, label_curve, panels
from labnis.reproduction.micro_cooler import DYNES, KAPITZA, PAPER, andreev_channel, cooler
from labnis.reproduction.published import Claim, PublishedFigure, Statement

__all__ = ["Isotherms"]


BATHS = (0.09, 0.23, 0.33, 0.43)  # K
# What counts as a negligible share of the current.
_NEGLIGIBLE = 0.05
# Below the gap, and from where a bias is no longer zero.
_BELOW_GAP = np.linspace(5e-6, 420e-6, 84)


def _phonon_effect(bath: float, dynes: float = DYNES) -> tuple[float, float]:
    """(largest relative change of the current with ideal phonons, voltage where it is)."""
    real, ideal = (
        cooler(kapitza=kapitza, dynes=dynes).operating_point(_BELOW_GAP, bath).current for kapitza in (KAPITZA, None)
    )
    change = np.abs(ideal / real - 1)
    return float(change.max()), float(_BELOW_GAP[np.argmax(change)])


def _share_of_warm_electrons(device_voltage: float, temperature: float) -> float:
    """Andreev share of the current of electrons that stay at `temperature` (K)."""
    junction, voltage = cooler().junction, device_voltage / 2
    andreev = andreev_channel().linearised(voltage, temperature, junction).current
    return float(andreev / (andreev + junction.current(voltage, temperature)))


def _phonons(bath: float, kapitza: float) -> float:
    """Lowest phonon temperature (K) below the gap."""
    return float(cooler(kapitza=kapitza).operating_point(_BELOW_GAP, bath).phonon_temperature.min())


class Isotherms(PublishedFigure):
    """Currents (A) at each of `BATHS`, shape (4, n), against the device's voltage (V), shape (n,).

    Attributes
    ----------
    voltage
        Across the device.
    current, quasiparticles
        In total, and without the Andreev current's share.

    """

    caption = (
        "I–V curves of the cooler with the full heat balance, and the quasiparticles' share of them (dotted). Only at "
        "the lowest temperature the Andreev current dominates below the gap."
    )

    def __init__(self) -> None:
        self.voltage = np.linspace(2e-6, 480e-6, 240)
        points = cooler().operating_point(self.voltage, np.array(BATHS)[:, None])
        self.current, self.quasiparticles = points.current, points.quasiparticle_current

    def draw(self) -> Figure:
        figure, (axis,) = panels(
            f"Current of the cooler, computed after {PAPER}, fig. 6", "full heat balance", width=6.0
        )
        millivolt = self.voltage * 1e3
        for bath, current, share, colour, (place, above) in zip(
            BATHS,
            self.current,
            self.quasiparticles,
            (COLD, WARM, "#c98b2b", HOT),
            ((0.15, -12), (0.15, 6), (0.1, 4), (0.1, 6)),
            strict=True,
        ):
            axis.semilogy(millivolt, current, color=colour)
            axis.semilogy(millivolt, share, ":", color=colour, lw=1)
            label_curve(axis, millivolt, current, f"{bath * 1e3:.0f} mK", colour, at=place, offset=(-16, above))
        axis.plot([], [], "k:", lw=1, label="quasiparticles' share")
        axis.legend(frameon=False, fontsize=7, loc="lower right")
        axis.set(xlabel="voltage across the cooler (mV)", ylabel="current (A)", ylim=(1e-14, 1e-6))
        return figure

    def statements(self) -> Iterator[Statement]:
        share = 1 - self.quasiparticles / self.current
        high_bias = (self.voltage > 298e-6) & (self.voltage < 420e-6)
        largest = share[1:, high_bias].max()
        warm_share = _share_of_warm_electrons(0.3e-3, 0.23)
        yield Claim("R sect. 5", "Andreev share of the current above 200 mK", "negligible").beside(
            f"at zero bias {100 * share[1, 0]:.0f} % (230 mK), {100 * share[2, 0]:.1f} % (330 mK), "
            f"{100 * share[3, 0]:.1f} % (430 mK); {100 * largest:.1f} % at most from 300 µV on",
            share[1:].max() < _NEGLIGIBLE,
            "holds away from zero bias; the zero-bias conductance is least just below 200 mK, so that both parts "
            f"must be alike there; with electrons held at 230 mK the share at 300 µV would be {100 * warm_share:.1f} %",
        )
        cold, at = _phonon_effect(0.09)
        broad, _ = _phonon_effect(0.09, dynes=1e-4)
        yield Claim("R sect. 5", "Change of the current by ideal phonons, 90 mK", "less than 2 %").beside(
            f"{100 * cold:.1f} % at {at * 1e6:.0f} µV",
            cold < 0.02,
            f"{100 * broad:.1f} % with a Dynes parameter of 1e-4 instead of {DYNES:.0e}, which is not printed",
        )
        warm, _ = _phonon_effect(0.33)
        cooled, as_printed = (_phonons(0.33, kapitza) for kapitza in (KAPITZA, KAPITZA * 1e12))
        yield Claim("R sect. 4", "Kapitza resistance, and with it phonon cooling", "significant above 300 mK").beside(
            f"phonons down to {cooled * 1e3:.0f} mK at 330 mK, current changed by {100 * warm:.0f} %", warm > 5 * cold
        )
        yield Claim("R fig. 2", "Kapitza coupling KA", "144 W K⁻⁴").beside(
            f"phonons at 330 mK cool by {max((0.33 - as_printed) * 1e3, 0):.3f} mK with this, by "
            f"{(0.33 - cooled) * 1e3:.0f} mK with 144 pW K⁻⁴",
            as_printed < 0.329,
            "a slip of the unit: with watt there would be no phonon cooling, which the paper reports; picowatt is used",
        )
