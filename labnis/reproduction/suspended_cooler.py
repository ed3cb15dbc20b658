"""The suspended cooler of the KAKENHI report ("K"): 0.334 K → 0.093 K and 213 pW, and the limit of a thin barrier.

The report prints temperatures, junction area and power. Neither gap, barrier resistance nor the load is in it, nor how
quasiparticles recombine and leave; what is assumed stands below. Everything is per area of junction, so that it does
not matter whether the 40 × 7 µm² are those of one junction or of the whole device, as which the models take it.
"""

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.optimize import brentq

from labnis.physics import (
    ENERGY_CROSSING_DENSITY,
    InjectedSuperconductor,
    NISJunction,
    SINISCooler,
    critical_density,
    nonequilibrium_state,
)
from labnis.reproduction.drawing import DATA, FIT, WARM, panels
from labnis.reproduction.published import Claim, PublishedFigure, Statement

__all__ = ["SuspendedCooler"]

Real = NDArray[np.float64]

PAPER = "the KAKENHI report on suspended coolers"

# What the report prints.
BATH, COLDEST, SLIP = 0.334, 0.093, 0.0093  # K
POWER = 213e-12  # W
AREA = 40e-6 * 7e-6  # m²
VIA_BATH, VIA_COLDEST = 0.33, 0.31  # K, the earlier device with a via
AIM_BATH, AIM = 0.3, 0.1  # K

# What it does not print: aluminium, and copper as the load.
GAP = 200e-6  # eV
DYNES = 1e-4
ELECTRON_PHONON = 2e9  # W m⁻³ K⁻⁵
DENSITY_OF_STATES = 1.72e28  # 1/(eV m³), one spin
RECOMBINATION = 1e-17  # m³/s
OUTFLOW = 1e7  # 1/s

# Resistances times area of aluminium oxide barriers in coolers (ohm m²).
_USUAL = (50e-12, 2000e-12)
_MICRON = 1e-6


def _specific_power(temperature: float, bath: float) -> float:
    """Largest cooling power times specific resistance (W ohm) of a junction whose superconductor is in equilibrium."""
    return float(NISJunction(GAP, 1.0, DYNES).maximum_cooling_power(temperature, bath))


def _superconductor(volume: float) -> InjectedSuperconductor:
    return InjectedSuperconductor(GAP, DENSITY_OF_STATES, volume, RECOMBINATION, OUTFLOW)


def _largest_powers(thickness: float, barrier: Real, *, heat_returns: bool) -> tuple[Real, float, float, float]:
    """Largest power (W) at each barrier; the best barrier of all, with the gap (eV) and the power there.

    An injected current fixes density, gap and µ*; at each bias it then fixes the resistance that lets it through.
    """
    superconductor = _superconductor(AREA * thickness)
    current = np.geomspace(1e-7, 0.999, 240) * float(superconductor.critical_current(BATH))
    density = superconductor.quasiparticle_density(current, BATH) / superconductor.density_scale
    state = nonequilibrium_state(density, BATH, GAP)
    # In units of the gap every junction is the same.
    unit, gap = NISJunction(1.0, 1.0, DYNES), state.gap
    bias = np.linspace(0.75, 1.0, 101)[:, None]
    resistance = unit.current(bias, COLDEST / gap) * gap / current
    potential = state.chemical_potential / gap if heat_returns else 0.0
    power = unit.cooling_power(bias, COLDEST / gap, BATH / gap, chemical_potential=potential) * gap**2 / resistance
    specific = resistance * AREA
    each = [
        np.interp(barrier, r[::-1], p[::-1], left=-np.inf, right=-np.inf) for r, p in zip(specific, power, strict=True)
    ]
    at, when = np.unravel_index(np.argmax(power), power.shape)
    return np.max(each, axis=0), float(specific[at, when]), float(gap[when]), float(power[at, when])


def _cooler(barrier: float, load: float, superconductor: InjectedSuperconductor | None = None) -> SINISCooler:
    """The device with half the area in each junction and copper whose phonons stay at the bath's temperature."""
    junction = NISJunction(GAP, barrier / (AREA / 2), DYNES)
    return SINISCooler(junction, load, ELECTRON_PHONON, None, superconductor=superconductor)


def _square_microns(barrier: float) -> str:
    return f"{barrier * 1e12:.0f} Ω µm²"


def _coldest_possible() -> float:
    """Electron temperature (K) below which no barrier cools, however small the load, with the bath at 0.334 K."""
    return float(brentq(lambda t: _specific_power(t, BATH), SLIP, COLDEST))


def _owen_scalapino() -> Iterator[Statement]:
    """The µ* model at T = 0, by which the report explains its gap."""
    density = float(critical_density(0.0, GAP))
    gap = float(nonequilibrium_state(density, 0.0, GAP).gap) / GAP
    crossing = float(nonequilibrium_state(ENERGY_CROSSING_DENSITY, 0.0, GAP).gap) / GAP
    source = "Owen & Scalapino"
    yield Claim(source, "Largest density of quasiparticles at T = 0, in 4N(0)Δ₀", "1/(3√3) = 0.19245").beside(
        f"{density:.5f}", abs(density - 1 / (3 * np.sqrt(3))) < 1e-9
    )
    yield Claim(source, "Gap there", "Δ₀/3").beside(f"{gap:.4f} Δ₀", abs(gap - 1 / 3) < 1e-5)
    yield Claim(source, "Gap where superconductor and normal metal have equal energy", "Δ₀/2").beside(
        f"{crossing:.4f} Δ₀", abs(crossing - 0.5) < 1e-9
    )


class SuspendedCooler(PublishedFigure):
    """Largest cooling powers (W) of the device at 0.093 K against its barrier, and its temperature against bias.

    Attributes
    ----------
    barrier
        Specific resistance (ohm m²), shape (n,).
    equilibrium, suppressed, injected
        Largest cooling power over bias: without injection; with the gap that injection leaves; with the heat, too, that
        the injected quasiparticles bring back.
    thickness
        Of superconductor under the junction (m) with which the best of `injected` is the published power.
    best_barrier, best_gap
        Specific resistance where it is, and the gap there (eV).
    simple_barrier
        Specific resistance that gives the published power without injection.
    via_barrier
        Specific resistance with which the earlier device cools the same load from 0.33 K to 0.31 K.
    load
        Volume of copper (m³) that the published power keeps at 0.093 K.
    voltage
        Of the device (V), shape (m,).
    electrons
        Temperature (K): without injection at `simple_barrier`; with it at `best_barrier`, and at a third of that; of
        the earlier device; one of shape (m,) each.

    """

    caption = (
        "Left: largest cooling power at 0.093 K against the barrier. In equilibrium a thinner barrier always helps; "
        "with the quasiparticles that the current injects there is a best one, because they bring heat back long "
        "before they close the gap. Right: electron temperature against bias for the load that 213 pW balance."
    )

    def __init__(self) -> None:
        self.barrier = np.geomspace(10e-12, 3000e-12, 200)
        self.equilibrium = _specific_power(COLDEST, BATH) * AREA / self.barrier
        # At given rates current, power and conductance are proportional to the volume of superconductor.
        *_, per_micron = _largest_powers(_MICRON, self.barrier, heat_returns=True)
        self.thickness = _MICRON * POWER / per_micron
        self.injected, best, self.best_gap, _ = _largest_powers(self.thickness, self.barrier, heat_returns=True)
        self.suppressed, *_ = _largest_powers(self.thickness, self.barrier, heat_returns=False)
        self.best_barrier, self.simple_barrier = best, _specific_power(COLDEST, BATH) * AREA / POWER
        self.load = POWER / (ELECTRON_PHONON * (BATH**5 - COLDEST**5))
        via_power = self.load * ELECTRON_PHONON * (VIA_BATH**5 - VIA_COLDEST**5)
        self.via_barrier = _specific_power(VIA_COLDEST, VIA_BATH) * AREA / via_power
        self.voltage = np.linspace(0, 2.05 * GAP, 206)
        half = _superconductor(AREA / 2 * self.thickness)
        devices = (
            (_cooler(self.simple_barrier, self.load), BATH),
            (_cooler(best, self.load, half), BATH),
            (_cooler(best / 3, self.load, half), BATH),
            (_cooler(self.via_barrier, self.load), VIA_BATH),
        )
        self.electrons = [device.operating_point(self.voltage, bath).electron_temperature for device, bath in devices]

    def draw(self) -> Figure:
        names = "electrons at 0.093 K", "bath at 0.334 K"
        figure, (power, temperature) = panels(f"Suspended cooler, computed after {PAPER}", *names, width=4.8)
        barrier = self.barrier * 1e12
        power.loglog(barrier, self.equilibrium * 1e12, "k:", lw=1.2, label="superconductor in equilibrium")
        power.loglog(barrier, self.suppressed * 1e12, "--", color=DATA, label="gap lowered by injection")
        power.loglog(barrier, self.injected * 1e12, color=FIT, label="and heat brought back")
        power.axhline(POWER * 1e12, color="0.5", lw=0.8)
        power.text(barrier[-1], POWER * 1e12 * 1.1, "213 pW", ha="right", fontsize=8, color="0.3")
        power.set(
            xlabel="specific resistance of the barrier (Ω µm²)", ylabel="largest cooling power (pW)", ylim=(5, 6000)
        )
        millivolt = self.voltage * 1e3
        curves = (
            (":", "k", f"equilibrium, {_square_microns(self.simple_barrier)}"),
            ("-", FIT, f"injection, {_square_microns(self.best_barrier)}"),
            ("--", FIT, f"injection, {_square_microns(self.best_barrier / 3)}"),
            ("-.", WARM, f"earlier device (bath 0.33 K), {_square_microns(self.via_barrier)}"),
        )
        for electrons, (style, colour, label) in zip(self.electrons, curves, strict=True):
            temperature.plot(millivolt, electrons, style, color=colour, lw=1.3, label=label)
        for published in (COLDEST, VIA_COLDEST):
            temperature.axhline(published, color="0.5", lw=0.8)
            temperature.text(0.002, published + 0.004, f"{published} K", fontsize=8, color="0.3")
        temperature.set(xlabel="voltage across the device (mV)", ylabel="electron temperature (K)", ylim=(0, 0.36))
        power.legend(frameon=False, fontsize=7, loc="upper right")
        temperature.legend(frameon=False, fontsize=7, loc="lower left", bbox_to_anchor=(0, 0.3))
        return figure

    def statements(self) -> Iterator[Statement]:
        equilibrium, injected, thin, via = np.min(self.electrons, axis=1)
        at_rest = _specific_power(BATH, BATH) * AREA / POWER
        yield Claim("K abstract", "Cooling power 213 pW of 40 × 7 µm²", "213 pW").beside(
            f"needs a barrier of {_square_microns(self.simple_barrier)} at 0.093 K",
            _USUAL[0] < self.simple_barrier < _USUAL[1],
            f"follows with a gap of {GAP * 1e6:.0f} µeV (assumed) and is a usual barrier; if the power were that at "
            f"0.334 K, {_square_microns(at_rest)}",
        )
        yield Claim("K sect. 3", "Electron temperature, bath at 0.334 K", "0.093 K").beside(
            f"{equilibrium:.3f} K without, {injected:.3f} K with injection",
            max(abs(equilibrium - COLDEST), abs(injected - COLDEST)) < 0.002,
            f"the report prints no load: this is with what 213 pW balance, {self.load * 1e18:.0f} µm³ of copper, a "
            f"film of {self.load / AREA * 1e9:.0f} nm over the junctions",
        )
        yield Claim("K abstract", "The same in the Japanese abstract and results", "0.0093 K").beside(
            f"no cooling below {_coldest_possible() * 1e3:.0f} mK with any load",
            _specific_power(SLIP, BATH) > 0,
            "a slip: at a bath of 0.334 K the superconductor returns more heat than electrons at 0.0093 K give; "
            "method and English abstract have 0.093 K",
        )
        yield Claim("K sect. 3", "A better conducting barrier no longer helps", "yes").beside(
            f"best at {_square_microns(self.best_barrier)}; with a third of it {thin:.3f} K instead of "
            f"{injected:.3f} K",
            thin > injected,
            f"assumed: recombination {RECOMBINATION:.0e} m³/s, outflow {OUTFLOW:.0e} /s, and "
            f"{self.thickness * 1e6:.0f} µm of aluminium, so that the best power is 213 pW; the power is proportional "
            "to that thickness",
        )
        best = int(np.argmax(self.injected))
        by_gap = float((self.equilibrium - self.suppressed)[best] / (self.equilibrium - self.injected)[best])
        yield Claim("K abstract", "What limits it", "pair breaking by the quasiparticles").beside(
            f"gap lower by {100 * (1 - self.best_gap / GAP):.1f} % at the best barrier; of the lost power "
            f"{100 * by_gap:.0f} % by the gap, the rest by heat that the quasiparticles bring back",
            by_gap > 0.5,
            "with nearly any rates, if the quasiparticles stay at the bath's temperature next to the barrier: "
            "before they close the gap, their heat limits; the report does not print its calculation; either way "
            "what helps is to remove them",
        )
        simple = _cooler(self.simple_barrier, self.load)
        aimed = simple.operating_point(self.voltage, AIM_BATH).electron_temperature.min()
        yield Claim("K sect. 2", "Aim", "0.1 K from 0.3 K").beside(
            f"{aimed:.3f} K from 0.3 K", aimed < AIM, "the same device and load, superconductor in equilibrium"
        )
        yield Claim("K sect. 3", "Earlier device with a via", "0.33 K → 0.31 K").beside(
            f"{via:.2f} K with a barrier of {self.via_barrier * 1e12 / 1e3:.1f} kΩ µm²",
            abs(via - VIA_COLDEST) < 0.005,
            f"for the same load: {self.via_barrier / self.simple_barrier:.0f} times the barrier of the suspended "
            "device, as the report says that the via limited the barrier",
        )
        yield from _owen_scalapino()
