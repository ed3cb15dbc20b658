"""A resonator damped by a voltage-biased SINIS pair, a transmission line and excess losses.

Tunnelling electrons absorb and emit photons of the resonator, so the junction is a bath whose damping rate and photon
number the bias controls (Silveri et al., PRB 96, 094524; Hyyppä et al., APL 114, 192603, "H" below). Rates are energy
damping rates in 1/s, frequencies in Hz, `voltage` (V) is that across one junction, and the phase convention is that of
physics, e^{−iωt}: network analyzers show the complex conjugate.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.constants import e, h, k

from labnis.physics._checks import broadcast, finite, non_negative, positive, positive_scalar
from labnis.physics.junction import NISJunction

__all__ = ["Resonator", "asymptotic_damping_rate", "reflection_coefficient", "thermal_photon_number"]

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]


def thermal_photon_number(frequency: ArrayLike, temperature: ArrayLike) -> Real:
    """Bose occupation of a mode of `frequency` (Hz) at `temperature` (K); 0 at T = 0."""
    f, temp = broadcast(
        frequency=positive("frequency", frequency), temperature=non_negative("temperature", temperature)
    )
    with np.errstate(divide="ignore", over="ignore"):
        x = h * f / (k * temp)
        return np.asarray(1 / np.expm1(x))


def asymptotic_damping_rate(
    frequency: float, impedance: float, coupling_capacitance: float, other_capacitance: float, resistance: float
) -> float:
    """Damping rate γ̄_T (1/s) by both ohmic junctions, from the circuit (Silveri et al., PRB 96, 094524).

    γ̄_T = 2 (C_c/(C_c + C_Σ))² (Z_r/R_T) ω_r.

    Parameters
    ----------
    frequency
        Of the resonance (Hz).
    impedance
        Characteristic impedance Z_r = √(L_r/C_r) of the resonator (ohm).
    coupling_capacitance, other_capacitance
        C_c from the resonator to the island, and C_Σ from the island to everything else (F).
    resistance
        Tunnelling resistance R_T of one junction (ohm).

    """
    positive_scalar("frequency", frequency)
    positive_scalar("impedance", impedance)
    positive_scalar("coupling_capacitance", coupling_capacitance)
    positive_scalar("other_capacitance", other_capacitance, zero=True)
    positive_scalar("resistance", resistance)
    share = coupling_capacitance / (coupling_capacitance + other_capacitance)
    return float(2 * share**2 * impedance / resistance * 2 * np.pi * frequency)


def reflection_coefficient(
    detuning: ArrayLike, damping_line: ArrayLike, damping_internal: ArrayLike, fano: ArrayLike = 1.0
) -> Complex:
    """Voltage reflection coefficient of a one-port resonator (H eq. 11).

    Γ = [φγ_tr − γ_i + 2iδ] / [γ_tr + γ_i − 2iδ] = −1 + (1 + φ)γ_tr / (γ_tr + γ_i − 2iδ), with γ_i the sum of all
    internal rates.

    Parameters
    ----------
    detuning
        δ = ω − ω_r (rad/s).
    damping_line, damping_internal
        γ_tr and γ_i (1/s).
    fano
        Complex Fano factor φ; 1 without cross-talk between the baths.

    """
    phi = np.asarray(fano, dtype=np.complex128)
    if not np.isfinite(phi).all():
        raise ValueError(f"fano contains {phi[~np.isfinite(phi)].flat[0]}; finite numbers are needed")
    delta, line, internal, _ = broadcast(
        detuning=finite("detuning", detuning),
        damping_line=finite("damping_line", damping_line),
        damping_internal=finite("damping_internal", damping_internal),
        fano=phi.real,
    )
    response = line + internal - 2j * delta
    if (response == 0).any():
        raise ValueError("damping_line + damping_internal is 0 at a detuning of 0; it must not be 0 there")
    return np.asarray(-1 + (1 + phi) * line / response)


def _checked(name: str, frequency: ArrayLike, voltage: ArrayLike, temperature: ArrayLike) -> tuple[Real, Real, Real]:
    """All as arrays which broadcast; they are not, because there are many more frequencies than voltages."""
    f, v, temp = finite(name, frequency), finite("voltage", voltage), non_negative("temperature", temperature)
    broadcast(**{name: f, "voltage": v, "temperature": temp})
    return f, v, temp


@dataclass(frozen=True)
class Resonator:
    """One mode of a resonator coupled to a line, to excess losses and to a SINIS pair.

    Attributes
    ----------
    frequency
        Resonance frequency (Hz) with the junctions ohmic, that is far above the gap; `resonance_frequency` adds the
        Lamb shift.
    damping_line, damping_excess
        γ_tr to the transmission line and γ_x to everything else that does not depend on the bias (1/s).
    damping_junction
        Asymptotic damping rate γ̄_T of both junctions together, reached at high bias (1/s).
    fano
        Complex Fano factor φ of the reflection (H eq. 11).

    """

    frequency: float
    damping_line: float
    damping_excess: float
    damping_junction: float
    fano: complex = 1.0

    def __post_init__(self) -> None:
        positive_scalar("frequency", self.frequency)
        positive_scalar("damping_line", self.damping_line)
        positive_scalar("damping_excess", self.damping_excess, zero=True)
        positive_scalar("damping_junction", self.damping_junction, zero=True)
        if not np.isfinite(self.fano):
            raise ValueError(f"fano is {self.fano}; it must be finite")

    @property
    def photon_energy(self) -> float:
        """ħω_r in eV."""
        return float(h * self.frequency / e)

    def damping_rate(self, junction: NISJunction, voltage: ArrayLike, temperature: ArrayLike) -> Real:
        """Damping rate γ_T (1/s) by photon-assisted tunnelling (H eq. 1).

        In Tucker's form, γ_T = γ̄_T · eR_T [I(V + ħω_r/e) − I(V − ħω_r/e)] / (2ħω_r).
        """
        w = self.photon_energy
        v = finite("voltage", voltage)
        difference = junction.current(v + w, temperature) - junction.current(v - w, temperature)
        return self.damping_junction * junction.resistance * difference / (2 * w)

    def photon_number(self, junction: NISJunction, voltage: ArrayLike, temperature: ArrayLike) -> Real:
        """Photon number N_T of the bath that the junctions form (H eq. 2); 0 where they do not absorb at all."""
        w = self.photon_energy
        v = finite("voltage", voltage)
        emission = junction.tunnelling_rate(v - w, temperature) + junction.tunnelling_rate(-v - w, temperature)
        absorption = junction.tunnelling_rate(v + w, temperature) + junction.tunnelling_rate(-v + w, temperature)
        # Where no photon is absorbed, in a sharp gap at T = 0, none is emitted either.
        net = absorption - emission
        return np.where(absorption > 0, emission / np.where(absorption > 0, net, 1), 0.0)

    def lamb_shift(self, junction: NISJunction, voltage: ArrayLike, temperature: ArrayLike) -> Real:
        """Shift (Hz) of the resonance from its ohmic value: the Kramers–Kronig partner of `damping_rate`.

        ω_r(V) − ω_r⁰ = ½ γ̄_T [Im s(v + w) + Im s(v − w) − 2 Im s(v)] / (2w) (Silveri et al., Nat. Phys. 15, 533), with
        s the junction's complex response. Negative at zero bias, positive at the gap.
        """
        w = self.photon_energy
        v = finite("voltage", voltage)
        curvature = (
            junction.complex_response(v + w, temperature).imag
            + junction.complex_response(v - w, temperature).imag
            - 2 * junction.complex_response(v, temperature).imag
        )
        return self.damping_junction * curvature * junction.gap / (4 * w) / (2 * np.pi)

    def resonance_frequency(self, junction: NISJunction, voltage: ArrayLike, temperature: ArrayLike) -> Real:
        """Resonance frequency (Hz) at `voltage`."""
        return self.frequency + self.lamb_shift(junction, voltage, temperature)

    def reflection(
        self, probe_frequency: ArrayLike, junction: NISJunction, voltage: ArrayLike, temperature: ArrayLike
    ) -> Complex:
        """Reflection coefficient Γ (H eq. 11) at `probe_frequency` (Hz), broadcast against `voltage`."""
        probe, v, temp = _checked("probe_frequency", probe_frequency, voltage, temperature)
        detuning = 2 * np.pi * (probe - self.resonance_frequency(junction, v, temp))
        internal = self.damping_excess + self.damping_rate(junction, voltage, temperature)
        return reflection_coefficient(detuning, self.damping_line, internal, self.fano)

    def emitted_power(
        self,
        junction: NISJunction,
        voltage: ArrayLike,
        temperature: ArrayLike,
        line_photons: float = 0.0,
        excess_photons: float = 0.0,
    ) -> Real:
        """Net power (W) into the transmission line (H eqs. 6 and 7).

        P_tr = ħω_r γ_tr [γ_T(N_T − N_tr) + γ_x(N_x − N_tr)] / (γ_T + γ_tr + γ_x).
        """
        flow, total = self._photon_flow(junction, voltage, temperature, line_photons, excess_photons)
        return np.asarray(h * self.frequency * self.damping_line * flow / total)

    def emitted_spectrum(
        self,
        frequencies: ArrayLike,
        junction: NISJunction,
        voltage: ArrayLike,
        temperature: ArrayLike,
        line_photons: float = 0.0,
        excess_photons: float = 0.0,
    ) -> Real:
        """Spectral density (W/Hz) of `emitted_power` at `frequencies` (Hz): a Lorentzian of width γ_tr + γ_x + γ_T."""
        flow, total = self._photon_flow(junction, voltage, temperature, line_photons, excess_photons)
        wanted, v, temp = _checked("frequencies", frequencies, voltage, temperature)
        detuning = 2 * np.pi * (wanted - self.resonance_frequency(junction, v, temp))
        return np.asarray(h * self.frequency * self.damping_line * flow / (detuning**2 + total**2 / 4))

    def _photon_flow(
        self,
        junction: NISJunction,
        voltage: ArrayLike,
        temperature: ArrayLike,
        line_photons: float,
        excess_photons: float,
    ) -> tuple[Real, Real]:
        """Σ_k γ_k (N_k − N_tr) over the junction and excess baths, and the total damping rate (1/s)."""
        gamma = self.damping_rate(junction, voltage, temperature)
        photons = self.photon_number(junction, voltage, temperature)
        line, excess = non_negative("line_photons", line_photons), non_negative("excess_photons", excess_photons)
        flow = gamma * (photons - line) + self.damping_excess * (excess - line)
        return flow, gamma + self.damping_line + self.damping_excess
