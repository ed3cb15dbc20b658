"""The junction as a bath of a resonator: damping, photons and emitted power against bias (Hyyppä et al., "H").

Gain, frequency, band and base temperature are those of the paper's experiment; junction, rates and noise temperature
are those of the simulated device, not of the paper's sample.
"""

from collections.abc import Iterator
from math import nan

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.constants import h, k

from labnis.physics import (
    NISJunction,
    Resonator,
    high_bias_damping_rate,
    high_bias_photon_number,
    high_bias_power,
    thermal_photon_number,
)
from labnis.reproduction.drawing import DATA, FIT, panels
from labnis.reproduction.published import Claim, PublishedFigure, Statement

__all__ = [
    "BAND",
    "BASE_TEMPERATURE",
    "ELECTRON_TEMPERATURE",
    "FREQUENCY",
    "GAIN",
    "GAIN_SIGMA",
    "JUNCTION",
    "NOISE_TEMPERATURE",
    "PAPER",
    "RESONATOR",
    "PhotonBath",
]

Real = NDArray[np.float64]

PAPER = "Hyyppä et al., APL 114, 192603"
FREQUENCY = 4.67e9  # Hz
BASE_TEMPERATURE = 0.010  # K
GAIN, GAIN_SIGMA = 51.84, 0.10  # dB
BAND = (4.60e9, 4.74e9)  # Hz; the lower end is the paper's, the upper one is chosen symmetric

JUNCTION = NISJunction(215e-6, 12e3, 1e-4)
ELECTRON_TEMPERATURE = 0.110  # K
RESONATOR = Resonator(FREQUENCY, 1.6e7, 2.5e6, 4.5e7, fano=0.99 + 0.10j)
NOISE_TEMPERATURE = 8.3  # K

# A high-bias approximation counts as good where it is off by less than this.
_GOOD = 0.01


def _temperature(photons: Real) -> Real:
    """Temperature (K) of a mode with so many photons."""
    return np.asarray(h * FREQUENCY / (k * np.log1p(1 / photons)))


def _good_from(exact: Real, approximate: Real, voltage: Real) -> float:
    """Voltage (V) from which on the approximation is good."""
    off = ~(np.abs(approximate / exact - 1) < _GOOD)
    return float(voltage[np.nonzero(off)[0][-1]])


class PhotonBath(PublishedFigure):
    """Damping rate (1/s), photon number and power into the line (W) against the voltage of one junction, shape (n,).

    The approximations are NaN up to the gap, where they mean nothing.
    """

    caption = (
        "Damping rate, photon number and emitted power of the junctions' bath, exact (blue) and by the high-bias "
        "expressions of the published calibration (dashed). Just below the gap the bath is colder than the electrons "
        "(dotted)."
    )

    def __init__(self) -> None:
        self.voltage = np.linspace(0, 5 * JUNCTION.gap, 1001)
        base = float(thermal_photon_number(FREQUENCY, BASE_TEMPERATURE))
        at = JUNCTION, self.voltage, ELECTRON_TEMPERATURE
        self.damping_rate = RESONATOR.damping_rate(*at)
        self.photon_number = RESONATOR.photon_number(*at)
        self.power = RESONATOR.emitted_power(*at, base, base)
        above = self.voltage > JUNCTION.gap + RESONATOR.photon_energy
        high = self.voltage[above]
        self.high_bias_damping_rate, self.high_bias_photon_number, self.high_bias_power = np.full((3, above.size), nan)
        self.high_bias_damping_rate[above] = high_bias_damping_rate(RESONATOR, JUNCTION.gap, high)
        self.high_bias_photon_number[above] = high_bias_photon_number(RESONATOR, JUNCTION.gap, high)
        self.high_bias_power[above] = high_bias_power(RESONATOR, JUNCTION.gap, base, base)(high)

    def draw(self) -> Figure:
        names = "damping rate", "photon number", "power into the line"
        figure, axes = panels(
            f"The junctions as a bath of the resonator, computed after {PAPER}, eqs. 1–7", *names, width=3.6
        )
        rate, photons, power = axes
        millivolt = self.voltage * 1e3
        saturated = RESONATOR.damping_junction
        rate.plot(millivolt, self.damping_rate / saturated, color=DATA)
        rate.plot(millivolt, self.high_bias_damping_rate / saturated, "--", color=FIT)
        rate.set(ylabel=r"$\gamma_T/\bar\gamma_T$")
        photons.semilogy(millivolt, self.photon_number, color=DATA)
        photons.semilogy(millivolt, self.high_bias_photon_number, "--", color=FIT)
        photons.axhline(
            float(thermal_photon_number(FREQUENCY, ELECTRON_TEMPERATURE)), color="k", lw=0.8, ls=":",
            label=f"electrons at {ELECTRON_TEMPERATURE * 1e3:.0f} mK",
        )  # fmt: skip
        photons.set(ylabel="$N_T$")
        photons.legend(frameon=False, fontsize=7, loc="lower right")
        power.plot(millivolt, self.power * 1e18, color=DATA, label="exact")
        power.plot(millivolt, self.high_bias_power * 1e18, "--", color=FIT, label="high-bias approximation")
        power.set(ylabel=r"$P_{tr}$ (aW)")
        power.legend(frameon=False, fontsize=7, loc="upper left")
        for axis in axes:
            axis.set_xlabel("voltage across one junction (mV)")
            axis.axvline(JUNCTION.gap * 1e3, color="0.7", lw=0.8, zorder=0)
        return figure

    def statements(self) -> Iterator[Statement]:
        suppressed = float(self.damping_rate[0] / RESONATOR.damping_junction)
        yield Claim("H text", "Tunnelling at vanishing bias", "suppressed by the gap").beside(
            f"γ_T is {suppressed:.1e} of its high-bias value", suppressed < 1e-2
        )
        mode = _temperature(self.photon_number[self.voltage < JUNCTION.gap])
        coldest = int(np.argmin(mode))
        yield Claim("H text", "Slightly below the gap", "photon absorption cools the mode").beside(
            f"its bath falls to {mode[coldest] * 1e3:.0f} mK at {self.voltage[coldest] / JUNCTION.gap:.2f} Δ/e, "
            f"electrons at {ELECTRON_TEMPERATURE * 1e3:.0f} mK",
            mode[coldest] < ELECTRON_TEMPERATURE and coldest > 0,
        )
        grows = (np.diff(self.power[self.voltage > JUNCTION.gap]) > 0).all()
        yield Claim("H fig. 3", "Emitted power above the gap", "grows monotonically").beside(
            "grows at every bias" if grows else "does not", grows
        )
        pairs = (
            (self.damping_rate, self.high_bias_damping_rate),
            (self.photon_number, self.high_bias_photon_number),
            (self.power, self.high_bias_power),
        )
        good = [_good_from(exact, approximate, self.voltage) / JUNCTION.gap for exact, approximate in pairs]
        yield Claim("H eqs. 4, 5, 7", "High-bias approximations of γ_T, N_T, P_tr", "eV ≫ Δ + ħω_r, kT").beside(
            f"within {100 * _GOOD:.0f} % from {good[0]:.1f} / {good[1]:.1f} / {good[2]:.1f} Δ/e on", max(good) < 5
        )
        quiet = float(self.power[0] / (k * NOISE_TEMPERATURE * (BAND[1] - BAND[0])))
        yield Claim("H eq. 10", "Emitted power at zero bias", "practically zero").beside(
            f"{quiet:.0e} of the chain's noise in the band", abs(quiet) < 1e-3
        )
