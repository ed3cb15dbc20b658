"""How current and electron temperature of a cooler change with each of its parameters, by implicit differentiation.

In the steady state the heat balance B(V, T_e; p), the net heat out of the electrons, is 0. So dT_e/dp =
−(∂B/∂p)/(∂B/∂T_e) and dI/dp = ∂I/∂p + (∂I/∂T_e)·dT_e/dp. The functions below give the contribution of each
way in which current or heat flows to ∂I and ∂B, by parameter.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from labnis.fit.arrays import Real
from labnis.fit.junction._injection import Slopes, heat_back, with_injection
from labnis.physics import AndreevChannel, OperatingPoint, SINISCooler
from labnis.physics.junction import BOLTZMANN_EV

__all__ = ["SteadyStateSlopes", "steady_state_slopes"]

# ∂I/∂(parameter) and ∂B/∂(parameter) at constant electron temperature.
Shares = dict[str, tuple[Real, Real]]


class SteadyStateSlopes(NamedTuple):
    """∂/∂(parameter) of current (A), electron temperature (K), cooling power (W) and gap (eV).

    The shape is that of the points, with one axis more.
    """

    current: Real
    temperature: Real
    cooling_power: Real
    gap: Real


def steady_state_slopes(
    cooler: SINISCooler, point: OperatingPoint, names: Sequence[str], *, channel: AndreevChannel | None = None
) -> SteadyStateSlopes:
    """Slopes along the steady states `point` of `cooler`, one for each of the parameters `names`.

    Parameters
    ----------
    cooler, point
        The cooler, and its steady states.
    names
        Those of `fit_heat_balance`; injection (see `_injection`); bath_temperature (of bath and superconductors);
        1/electron_phonon and 1/kapitza; and the resistances per length (ohm/m) of an Andreev current, andreev_normal
        and andreev_superconductor.
    channel
        An Andreev channel without current, for slopes of a cooler without one.

    """
    tunnelling = _tunnelling(cooler, point)
    shares = [tunnelling, _leak(cooler, point), _phonons(cooler, point)]
    if (andreev := cooler.andreev or channel) is not None:
        shares.append(_andreev(cooler, andreev, point))
    none = (np.zeros_like(point.device_voltage), np.zeros_like(point.device_voltage))

    def explicit(name: str) -> tuple[Real, Real]:
        current, heat = zip(*(share.get(name, none) for share in shares), strict=True)
        return np.sum(current, axis=0), np.sum(heat, axis=0)

    current_by_temperature, balance_by_temperature = explicit("electron_temperature")
    injecting_by_temperature, cooling_by_temperature = tunnelling["electron_temperature"]

    def held(name: str) -> Slopes:
        (current, balance), (injecting, cooling) = explicit(name), tunnelling.get(name, none)
        temperature = -balance / balance_by_temperature
        return Slopes(
            current + current_by_temperature * temperature,
            injecting + injecting_by_temperature * temperature,
            temperature,
            cooling + cooling_by_temperature * temperature,
            np.full_like(temperature, name == "gap"),
        )

    by_heat = Slopes(
        current_by_temperature / balance_by_temperature,
        injecting_by_temperature / balance_by_temperature,
        1 / balance_by_temperature,
        cooling_by_temperature / balance_by_temperature - 1,
        none[0],
    )
    along = with_injection(cooler, point, held, by_heat)
    current, _, *others = (np.stack(slopes, axis=-1) for slopes in zip(*map(along, names), strict=True))
    return SteadyStateSlopes(current, *others)


def _tunnelling(cooler: SINISCooler, point: OperatingPoint) -> Shares:
    """The quasiparticle current and the heat that it carries."""
    junction, v, bath = cooler.junction, point.device_voltage / 2, point.bath_temperature
    t, current, heat = point.electron_temperature, point.quasiparticle_current, point.cooling_power
    heat = heat + heat_back(cooler, point)
    # Another gap is another unit of energy.
    gap, scale = point.gap, point.gap / junction.gap
    _, by_v, by_t = junction.complex_response_with_slopes(v / scale, t / scale)
    along, warming = by_v.real / junction.resistance, BOLTZMANN_EV * by_t.real / junction.resistance
    slopes = junction.cooling_power_slopes(v / scale, t / scale, bath / scale)
    heat_along, heat_warming, heat_by_bath, heat_by_dynes = (2 * scale * slope for slope in slopes)
    return {
        # A factor on V, T, T_bath and Δ is one on the current, and its square one on the heat.
        "gap": (
            (current - v * along - t * warming) / gap,
            (2 * heat - v * heat_along - t * heat_warming - bath * heat_by_bath) / gap,
        ),
        "normal_resistance": (-current / junction.resistance, -heat / junction.resistance),
        "electron_temperature": (warming, heat_warming),
        "bath_temperature": (np.zeros_like(v), heat_by_bath),
        # Of a change of the device's voltage each junction gets half.
        "voltage_offset": (along / 2, heat_along / 2),
        # ∂s/∂γ = i·∂s/∂v.
        "dynes": (-gap / junction.resistance * by_v.imag, scale * heat_by_dynes),
    }


def _andreev(cooler: SINISCooler, channel: AndreevChannel, point: OperatingPoint) -> Shares:
    """The Andreev current, whose work I_A·V_device heats."""
    bias, t = point.device_voltage, point.electron_temperature
    junction = cooler.junction
    slopes = channel.slopes(bias / 2, t, junction)
    at = slopes.at
    rate = channel.diffusion_constant / channel.coherence_length**2
    changes = {
        "gap": slopes.by_gap,
        "normal_resistance": -2 * at.current / junction.resistance,
        "electron_temperature": at.by_temperature,
        "voltage_offset": at.by_voltage / 2,
        "andreev_scale": (
            slopes.by_normal * channel.resistance_per_length
            + slopes.by_superconductor * channel.superconductor_resistance_per_length
        ),
        "andreev_normal": channel.scale * slopes.by_normal,
        "andreev_superconductor": channel.scale * slopes.by_superconductor,
        # L_φ falls as the root of the rate.
        "dephasing_rate": slopes.by_length / (-2 * rate),
    }
    shares = {name: (change, -bias * change) for name, change in changes.items()}
    along, heat = shares["voltage_offset"]
    return shares | {"voltage_offset": (along, heat - at.current)}


def _leak(cooler: SINISCooler, point: OperatingPoint) -> Shares:
    """The leak, with its heat; and the offset of the current's reading, which heats nothing."""
    bias = point.device_voltage
    conductance = np.full_like(bias, 0.0 if cooler.leakage_resistance is None else 1 / cooler.leakage_resistance)
    return {
        "leakage_conductance": (bias, -(bias**2)),
        "voltage_offset": (conductance, -2 * bias * conductance),
        "current_offset": (np.ones_like(bias), np.zeros_like(bias)),
    }


def _phonons(cooler: SINISCooler, point: OperatingPoint) -> Shares:
    """ΣU(T_e⁵ − T_ph⁵) = KA(T_ph⁴ − T_bath⁴), differentiated with the phonons that follow."""
    coupling, bath, phonons = cooler.electron_phonon * cooler.volume, point.bath_temperature, point.phonon_temperature
    electrons, power = 5 * coupling * point.electron_temperature**4, point.electron_phonon_power
    # Of the two resistances in series, the share that the electron–phonon coupling has; and KA times the other share.
    share, to_bath = np.ones_like(power), 1.25 * coupling * phonons
    if cooler.kapitza is not None:
        stiff = 4 * cooler.kapitza * phonons**3
        share = stiff / (stiff + 5 * coupling * phonons**4)
        to_bath = (1 - share) * cooler.kapitza
    by_bath = -5 * coupling * bath**4 if cooler.kapitza is None else -to_bath * 4 * bath**3
    heats = {
        "electron_temperature": share * electrons,
        "electron_phonon": share * power / cooler.electron_phonon,
        "1/electron_phonon": -share * power * cooler.electron_phonon,
        "1/kapitza": -to_bath * power,
        "bath_temperature": by_bath,
    }
    if cooler.kapitza is not None:
        heats["kapitza"] = to_bath * power / cooler.kapitza**2
    return {name: (np.zeros_like(power), heat) for name, heat in heats.items()}
