"""What a trace shows of a resonator, by how it is connected: at the end of a line, beside it, or within it.

All three are B(f)·(constant + c/(γ_Σ + 2i(ω − ω_r))), with a background B and another meaning of c:

- reflection: −1 + (1 + φ*)γ_tr/…, for Γ = −1 + (1 + φ)γ_tr/… (Hyyppä et al., APL 114, 192603, eq. 11), conjugated.
- hanger, or notch, in transmission: 1 − (1 + iA)γ_c/…. The asymmetry A is that of an impedance mismatch; 1/Q_c is the
  real part of the complex coupling (Khalil et al., J. Appl. Phys. 111, 054510, the diameter correction), γ_c = ω_r/Q_c.
- transmission through the resonator: γ_Σ/… and a cross-talk that passes by it. Only the sum of all rates shows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from labnis.fit.arrays import Complex
from labnis.fit.result import FitError

__all__ = ["HANGER_ASSUMED", "PORTS", "REFLECTION_ASSUMED", "Port", "port_named"]

# −1 + d + (1 + φ)x, with a leakage d, is that of another 1 + φ.
REFLECTION_ASSUMED = (
    "reflection from the end of the line, and nothing passes by the device: a leakage (directivity) of −40 dB does "
    "what 0.02 of fano_real or fano_imag do; of a hanger the coupling rate is twice damping_line, and {} has "
    "damping_line in it"
)
HANGER_ASSUMED = (
    "transmission past a resonator beside the line: damping_line is the rate towards the measured end, half of the "
    "coupling rate, and {} has the other half in it; nothing passes by the device in another way"
)

Scales = dict[str, tuple[str, float]]
"""Parameter → its unit, and how much of it matters."""


class Port(Protocol):
    """How a resonator is connected."""

    @property
    def assumed(self) -> str:
        """What is assumed of the connection, in words."""

    def scales(self, width: float) -> Scales:
        """The parameters of the connection, for a full width γ_Σ (1/s)."""

    def start(self, constant: complex, pole: complex, width: float) -> dict[str, float]:
        """Start values, and the background's amplitude and phase, from B·constant and B·c of a trace."""

    def starts(self, guess: Mapping[str, float]) -> list[dict[str, float]]:
        """From which a search has to begin, for it to end at the best fit."""

    def width(self, values: Mapping[str, float]) -> float:
        """The full width γ_Σ (1/s)."""

    def shape(self, values: Mapping[str, float], response: Complex) -> Complex:
        """The trace without its background, by 1/(γ_Σ + 2i(ω − ω_r)), shape (n,)."""

    def slopes(self, values: Mapping[str, float], response: Complex) -> dict[str, Complex]:
        """Its derivatives by the parameters of the connection, and by the resonance frequency, shape (n,) each."""


@dataclass(frozen=True)
class Coupled:
    """A resonator at the end of a line, or beside it: `constant`·(1 − (factor + i·sign·imaginary)·γ/…).

    Attributes
    ----------
    constant
        Of the trace far from the resonance, in units of the background.
    factor, sign, imaginary
        Real part, and sign and name of the imaginary one, of the coupling over its rate.
    assumed
        What is assumed of the connection, in words.

    """

    constant: float
    factor: float
    sign: float
    imaginary: str
    assumed: str

    def scales(self, width: float) -> Scales:
        return {"damping_line": ("1/s", width), "damping_internal": ("1/s", width), self.imaginary: ("1", 1.0)}

    def start(self, constant: complex, pole: complex, width: float) -> dict[str, float]:
        coupling = -pole / constant
        line = max(coupling.real, 0.1 * abs(coupling)) / self.factor
        behind = constant / self.constant
        return {
            "damping_line": line,
            "damping_internal": width - line,
            self.imaginary: self.sign * coupling.imag / line,
            "background_amplitude": abs(behind),
            "background_phase": float(np.angle(behind)),
        }

    def starts(self, guess: Mapping[str, float]) -> list[dict[str, float]]:
        return [dict(guess)]

    def width(self, values: Mapping[str, float]) -> float:
        return values["damping_line"] + values["damping_internal"]

    def _pole(self, values: Mapping[str, float]) -> complex:
        return -self.constant * complex(self.factor, self.sign * values[self.imaginary]) * values["damping_line"]

    def shape(self, values: Mapping[str, float], response: Complex) -> Complex:
        return self.constant + self._pole(values) * response

    def slopes(self, values: Mapping[str, float], response: Complex) -> dict[str, Complex]:
        line, pole = values["damping_line"], self._pole(values)
        by_width = -pole * response**2
        return {
            "resonance_frequency": -4j * np.pi * by_width,
            "damping_line": by_width + pole / line * response,
            "damping_internal": by_width,
            self.imaginary: -1j * self.sign * self.constant * line * response,
        }


@dataclass(frozen=True)
class Through:
    """Transmission through a resonator: γ_Σ/… and a cross-talk, in units of the background."""

    assumed: str

    def scales(self, width: float) -> Scales:
        return {"damping_total": ("1/s", width), "crosstalk_real": ("1", 1.0), "crosstalk_imag": ("1", 1.0)}

    def start(self, constant: complex, pole: complex, width: float) -> dict[str, float]:
        behind = pole / width
        crosstalk = constant / behind
        return {
            "damping_total": width,
            "crosstalk_real": crosstalk.real,
            "crosstalk_imag": crosstalk.imag,
            "background_amplitude": abs(behind),
            "background_phase": float(np.angle(behind)),
        }

    def starts(self, guess: Mapping[str, float]) -> list[dict[str, float]]:
        """Without a slope of the amplitude, and with the delay of either sign of the cross-talk.

        A slope of the background, times γ_Σ/(γ_Σ + 2i(ω − ω_r)), is a cross-talk to first order: there are two minima.
        """
        flat = _exchanged(guess, -guess["background_slope"])
        return [flat, _exchanged(flat, 8j * np.pi * flat["crosstalk_real"] / flat["damping_total"])]

    def width(self, values: Mapping[str, float]) -> float:
        return values["damping_total"]

    def shape(self, values: Mapping[str, float], response: Complex) -> Complex:
        return values["damping_total"] * response + complex(values["crosstalk_real"], values["crosstalk_imag"])

    def slopes(self, values: Mapping[str, float], response: Complex) -> dict[str, Complex]:
        width, one = values["damping_total"], np.ones_like(response)
        return {
            "resonance_frequency": 4j * np.pi * width * response**2,
            "damping_total": response - width * response**2,
            "crosstalk_real": one,
            "crosstalk_imag": 1j * one,
        }


def _exchanged(values: Mapping[str, float], growth: complex) -> dict[str, float]:
    """The `values` with this much more of the background's slope (1/Hz), and as much less of a cross-talk."""
    crosstalk = complex(values["crosstalk_real"], values["crosstalk_imag"])
    crosstalk -= growth * values["damping_total"] / (4j * np.pi)
    return {
        **values,
        "crosstalk_real": crosstalk.real,
        "crosstalk_imag": crosstalk.imag,
        "background_slope": values["background_slope"] + growth.real,
        "delay": values["delay"] - growth.imag / (2 * np.pi),
    }


PORTS: Mapping[str, Port] = {
    "reflection": Coupled(
        -1.0,
        2.0,
        -1.0,
        "fano_imag",
        REFLECTION_ASSUMED.format("damping_internal"),
    ),
    "hanger": Coupled(
        1.0,
        1.0,
        1.0,
        "asymmetry",
        "transmission past a resonator beside the line: the coupling rate is the real part of the coupling (diameter "
        "correction), and a mismatch makes asymmetry and no damping; what passes by the device in another way does",
    ),
    "transmission": Through(
        "transmission through the resonator: only the sum of its rates shows, and background_amplitude is that at the "
        "resonance, of the whole line; a small cross-talk is like a slope or a delay of the background"
    ),
}
"""Name → how a resonator is connected."""


def port_named(name: str) -> Port:
    """That of the name; FitError if there is none."""
    if name not in PORTS:
        raise FitError(f"{name!r} is no way to connect a resonator; they are {', '.join(PORTS)}")
    return PORTS[name]
