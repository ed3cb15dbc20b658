"""The island between the junctions of a pair: its electron temperature at every bias, and the current that follows.

The island is described by lumped resistances to heat and by channels that carry current beside the quasiparticles;
each of these components may be absent:

    2P(V, T_e, T_0) + (T_e⁵ − T_ph⁵)/h = I_A·V_device + G_L·V_device²,   (T_e⁵ − T_ph⁵)/h = (T_ph⁴ − T_0⁴)/g,

with h = 1/ΣU of electrons and phonons, g = 1/KA of phonons and bath, an Andreev current I_A and a leak G_L. T_0 is the
electron temperature without bias, and that of phonons and superconductors there. It takes the place of the bath's
temperature and of a heat that does not depend on the bias: T_0⁵ = T_bath⁵ + h·P_0 (Rajauria et al., arXiv:0810.3980,
eqs. 4–6).
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.constants import e, k

from labnis.fit.arrays import Real
from labnis.fit.junction._injection import INJECTION, superconductor_of
from labnis.fit.junction._steady_state import steady_state_slopes
from labnis.fit.result import FitResult
from labnis.physics import (
    AndreevChannel,
    NISJunction,
    NoOperatingPointError,
    OperatingPoint,
    SINISCooler,
    critical_temperature,
    gap_at_zero_temperature,
)

__all__ = [
    "ANDREEV",
    "ANDREEV_AMPLITUDE",
    "COMPONENTS",
    "DEPHASING_RATE",
    "HEAT",
    "KAPITZA",
    "LOWER_BOUNDS",
    "OPTIONAL",
    "SLOWEST_DEPHASING",
    "IslandState",
    "components_of",
    "cooler_of",
    "island_state",
    "steady_state",
]

#: Names of both resistances to heat.
HEAT, KAPITZA = "electron_phonon_resistance", "kapitza_resistance"
#: Names and units of the components.
COMPONENTS = {
    HEAT: "K⁵/W",
    KAPITZA: "K⁴/W",
    "andreev_normal": "1",
    "andreev_superconductor": "1",
    "leakage_conductance": "S",
    INJECTION: "1/A",
}
#: What cannot be below a value, and is or has nothing there.
LOWER_BOUNDS = {"dynes": 0.0, **dict.fromkeys(COMPONENTS, 0.0)}
#: Rate 1/τ_φ at which electrons and holes lose their common phase (1/s), and its standard uncertainty: with an Andreev
#: current it is a parameter of this prior, for the curve hardly determines it.
DEPHASING_RATE = (5.6e9, 7e9)
#: A rate (1/s) below which the curve does not depend on it: in units of ħ it is far below kT.
SLOWEST_DEPHASING = 5.6e7
#: Names of the amplitudes of an Andreev current, in units of the wires of Rajauria et al., and what is expected of them
#: beforehand, with its standard uncertainty: wires are rarely six times as resistive per length.
ANDREEV = ("andreev_normal", "andreev_superconductor")
ANDREEV_AMPLITUDE = (0.0, 3.0)
#: Components that a device may be without, although a curve does not exclude them.
OPTIONAL = (ANDREEV, ("leakage_conductance",), (INJECTION,))
# Andreev current through the disorder of either metal, for amplitudes of 1: resistances per length (ohm/m) of the wires
# of Rajauria et al., their diffusion constant (m²/s).
_DIFFUSION = 80e-4
# Names of the same parameters in `steady_state_slopes`, and their size there.
_STEADY = {
    "electron_temperature": "bath_temperature",
    HEAT: "1/electron_phonon",
    KAPITZA: "1/kapitza",
}
_FACTORS = {"andreev_normal": 2e6, "andreev_superconductor": 0.4e6}
# An h (K⁵/W) with which the island does not heat.
_NO_HEATING = 1e-3
# Temperature up to which the superconductors have a gap, in units of the critical one; and that at which the island's
# solver starts at most, in units of the gap.
_WARMEST, _WARMEST_START = 0.999, 0.9


class IslandState(NamedTuple):
    """Current (A), electron temperature (K), cooling power of both junctions (W) and gap (eV) at n voltages.

    Their slopes by p parameters have the shape (n, p).
    """

    current: Real
    temperature: Real
    cooling_power: Real
    gap: Real
    current_slopes: Real
    temperature_slopes: Real
    cooling_power_slopes: Real
    gap_slopes: Real

    def near(self, change: Real, gap: float) -> tuple[Real, Real]:
        """Temperatures (K) and gaps (eV) to search from, after a `change` of the parameters, (p,), to this `gap` (eV).

        From where the slopes lead, the search takes a quarter of the time.
        """
        temperature = self.temperature + self.temperature_slopes @ change
        temperature = np.clip(temperature, self.temperature / 2, 2 * self.temperature)
        # Electrons as warm as the gap are refused.
        return (
            np.minimum(temperature, _WARMEST_START * gap * e / k),
            np.clip(self.gap + self.gap_slopes @ change, self.gap / 2, gap),
        )


def components_of(fit: FitResult) -> tuple[str, ...]:
    """Names of the components that a fit has taken in."""
    return tuple(name for name in fit.names if name in COMPONENTS)


def cooler_of(values: Mapping[str, float]) -> SINISCooler:
    """The island with the pair and the components in `values`; one below 0, as after a small step, is absent.

    `gap` is that without bias: with injection, that of the cooler's junction is the one at T = 0.
    """
    amplitudes = [max(values.get(name, 0.0), 0.0) for name in _FACTORS]
    andreev = _channel(values, amplitudes) if any(amplitudes) else None
    kapitza, leak = (max(values.get(name, 0.0), 0.0) for name in (KAPITZA, "leakage_conductance"))
    heat, injection = values.get(HEAT, 0.0), values.get(INJECTION, 0.0)
    injects = injection > 0 and heat > _NO_HEATING
    gap = gap_at_zero_temperature(values["gap"], values["electron_temperature"]).value if injects else values["gap"]
    return SINISCooler(
        NISJunction(gap, values["normal_resistance"], max(values["dynes"], 0.0)),
        volume=1.0,
        electron_phonon=1 / max(heat, _NO_HEATING),
        kapitza=1 / kapitza if kapitza else None,
        andreev=andreev,
        leakage_resistance=1 / leak if leak else None,
        superconductor=superconductor_of(gap, injection) if injects else None,
    )


def _channel(values: Mapping[str, float], amplitudes: Sequence[float]) -> AndreevChannel:
    """The Andreev current with these amplitudes, in the order of the components."""
    # A small step may lead below the slowest one.
    rate = max(values.get("dephasing_rate", DEPHASING_RATE[0]), SLOWEST_DEPHASING)
    normal, superconductor = (
        factor * amplitude for factor, amplitude in zip(_FACTORS.values(), amplitudes, strict=True)
    )
    length = float(np.sqrt(_DIFFUSION / rate))
    return AndreevChannel(_DIFFUSION, length, normal, superconductor_resistance_per_length=superconductor)


def steady_state(
    cooler: SINISCooler, voltage: Real, temperature: float, start: Real | None = None, near: Real | None = None
) -> OperatingPoint:
    """The steady states at voltages across the pair (V), of any shape, with `temperature` (K) at zero bias.

    `start` are electron temperatures (K) and `near` gaps (eV) close to the solution.
    """
    if cooler.electron_phonon * _NO_HEATING < 1:
        critical = float(critical_temperature(cooler.junction.gap))
        if temperature >= _WARMEST * critical:
            raise NoOperatingPointError(f"{temperature:.3g} K is above the critical temperature, {critical:.3g} K")
        if cooler.superconductor is not None and near is None:
            # Injection changes little of a solution without, which is soon found.
            with suppress(NoOperatingPointError):
                bare = replace(cooler, superconductor=None).operating_point(voltage, temperature, start=start)
                start, near = bare.electron_temperature, bare.gap
        return cooler.operating_point(voltage, temperature, start=start, near=near)
    # An island that does not heat is at this temperature whatever the heat.
    everywhere, zero = np.full_like(voltage, temperature), np.zeros_like(voltage)
    junction, channel, leak = cooler.junction, cooler.andreev, cooler.leakage_resistance
    andreev = zero if channel is None else channel.linearised(voltage / 2, everywhere, junction).current
    leakage = zero if leak is None else voltage / leak
    cooling = 2 * junction.cooling_power(voltage / 2, everywhere, everywhere)
    heating = andreev * voltage + leakage * voltage
    return OperatingPoint(
        device_voltage=voltage,
        bath_temperature=everywhere,
        electron_temperature=everywhere,
        phonon_temperature=everywhere,
        quasiparticle_current=junction.current(voltage / 2, everywhere),
        andreev_current=andreev,
        leakage_current=leakage,
        cooling_power=cooling,
        electron_phonon_power=heating - cooling,
        andreev_power=andreev * voltage,
        leakage_power=leakage * voltage,
        andreev_in_range=np.ones(voltage.shape, bool),
        gap=np.full_like(voltage, junction.gap),
        chemical_potential=zero,
    )


def island_state(
    values: Mapping[str, float],
    device_voltage: Real,
    names: Sequence[str],
    start: Real | None = None,
    near: Real | None = None,
) -> IslandState:
    """The steady state at measured voltages (V), shape (n,), with the slopes by the parameters `names`.

    `start` are electron temperatures (K) and `near` gaps (eV) close to the solution.

    Raises
    ------
    NoOperatingPointError
        Where the electrons would become as warm as the gap.

    """
    cooler = cooler_of(values)
    voltage = device_voltage + values["voltage_offset"]
    point = steady_state(cooler, voltage, values["electron_temperature"], start, near)
    channel = _channel(values, (0.0, 0.0))
    slopes = steady_state_slopes(cooler, point, [_STEADY.get(name, name) for name in (*names, "gap")], channel=channel)
    # What changes the gap at T = 0.
    by_gap, by_temperature = 1.0, 0.0
    if cooler.superconductor is not None:
        _, by_gap, by_temperature = gap_at_zero_temperature(values["gap"], values["electron_temperature"])
    factors = np.array([{"gap": by_gap, **_FACTORS}.get(name, 1.0) for name in names])
    through_gap = np.array([by_temperature * (name == "electron_temperature") for name in names])
    return IslandState(
        point.current,
        point.electron_temperature,
        point.cooling_power,
        point.gap,
        *(column[..., :-1] * factors + column[..., -1:] * through_gap for column in slopes),
    )
