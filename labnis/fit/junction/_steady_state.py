"""How current and electron temperature of a cooler change with each of its parameters, by implicit differentiation.

In the steady state the heat balance B(V, T_e; p), the net heat out of the electrons, is 0. So dT_e/dp =
−(∂B/∂p)/(∂B/∂T_e) and dI/dp = ∂I/∂p + (∂I/∂T_e)·dT_e/dp. The functions below give the contribution of each
way in which current or heat flows to ∂I and ∂B, by parameter.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from labnis.fit.arrays import Real
from labnis.fit.junction._cooler_parameters import values_of
from labnis.physics import OperatingPoint, SINISCooler

__all__ = ["SteadyStateSlopes", "steady_state_slopes"]

# ∂I/∂(parameter) and ∂B/∂(parameter) at constant electron temperature.
Shares = dict[str, tuple[Real, Real]]

# Half step of ln p in a difference of Andreev currents, which are smooth in their parameters down to rounding.
_DIFFERENCE = 1e-4


class SteadyStateSlopes(NamedTuple):
    """∂/∂(parameter) of current (A) and electron temperature (K), each of the points' shape and one more axis."""

    current: Real
    temperature: Real


def steady_state_slopes(cooler: SINISCooler, point: OperatingPoint, names: Sequence[str]) -> SteadyStateSlopes:
    """Slopes along the steady states `point` of `cooler`, one for each of the parameters `names`.

    The names are those of `fit_heat_balance`, and bath_temperature (of bath and superconductors).
    """
    wanted = ["electron_temperature", *names]
    shares = [of(cooler, point, wanted) for of in (_tunnelling, _andreev, _leak, _phonons)]
    none = (np.zeros_like(point.device_voltage), np.zeros_like(point.device_voltage))

    def explicit(name: str) -> tuple[Real, Real]:
        current, heat = zip(*(share.get(name, none) for share in shares), strict=True)
        return np.sum(current, axis=0), np.sum(heat, axis=0)

    current_by_temperature, balance_by_temperature = explicit("electron_temperature")
    currents, temperatures = [], []
    for name in names:
        current, balance = explicit(name)
        temperature = -balance / balance_by_temperature
        currents.append(current + current_by_temperature * temperature)
        temperatures.append(temperature)
    return SteadyStateSlopes(np.stack(currents, axis=-1), np.stack(temperatures, axis=-1))


def _tunnelling(cooler: SINISCooler, point: OperatingPoint, names: Sequence[str]) -> Shares:
    """The quasiparticle current and the heat that it carries."""
    junction, v = cooler.junction, point.device_voltage / 2
    at = v, point.electron_temperature, point.bath_temperature
    current, heat = point.quasiparticle_current, point.cooling_power
    by_voltage = junction.conductance(*at[:2]), 2 * junction.cooling_power_derivative("voltage", *at)
    by_temperature = (
        junction.current_derivative("temperature", *at[:2]),
        2 * junction.cooling_power_derivative("temperature", *at),
    )
    # The superconductors return the heat of electrons at their own temperature, at V = 0.
    by_bath = -2 * junction.cooling_power_derivative("temperature", 0.0, at[2], at[2])
    shares = {
        # A factor on V, T, T_bath and Δ is one on the current, and its square one on the heat.
        "gap": (
            (current - v * by_voltage[0] - at[1] * by_temperature[0]) / junction.gap,
            (2 * heat - v * by_voltage[1] - at[1] * by_temperature[1] - at[2] * by_bath) / junction.gap,
        ),
        "normal_resistance": (-current / junction.resistance, -heat / junction.resistance),
        "electron_temperature": by_temperature,
        "bath_temperature": (np.zeros_like(v), by_bath),
        # Of a change of the device's voltage each junction gets half.
        "voltage_offset": (by_voltage[0] / 2, by_voltage[1] / 2),
    }
    if "dynes" in names:
        by_dynes = junction.current_derivative("dynes", *at[:2])
        shares["dynes"] = by_dynes, 2 * junction.cooling_power_derivative("dynes", *at)
    return shares


def _andreev(cooler: SINISCooler, point: OperatingPoint, names: Sequence[str]) -> Shares:
    """The Andreev current, whose work I_A·V_device heats."""
    if cooler.andreev is None:
        return {}
    channel, junction = cooler.andreev, cooler.junction
    v, t = point.device_voltage / 2, point.electron_temperature
    # At M = 1, as M may be 0.
    unit = replace(channel, scale=1.0).linearised(v, t, junction, by_gap=True)
    current, by_voltage, by_temperature, by_gap = (channel.scale * values for values in unit)
    slopes = {
        "gap": by_gap,
        "normal_resistance": -2 * current / junction.resistance,
        "electron_temperature": by_temperature,
        "voltage_offset": by_voltage / 2,
        "andreev_scale": unit[0],
    }
    if "dynes" in names:
        by_logarithm = _logarithmic_slope(
            lambda factor: channel.linearised(v, t, replace(junction, dynes=junction.dynes * factor))[0]
        )
        slopes["dynes"] = by_logarithm / junction.dynes
    if "dephasing_rate" in names:
        length, rate = channel.coherence_length, values_of(cooler)["dephasing_rate"]
        by_logarithm = _logarithmic_slope(
            lambda factor: replace(channel, coherence_length=length * factor).linearised(v, t, junction)[0]
        )
        # L_φ falls as the root of the rate.
        slopes["dephasing_rate"] = by_logarithm / (-2 * rate)
    shares = {name: (slope, -point.device_voltage * slope) for name, slope in slopes.items()}
    along, heat = shares["voltage_offset"]
    return shares | {"voltage_offset": (along, heat - current)}


def _logarithmic_slope(current: Callable[[float], Real]) -> Real:
    """∂I/∂(ln p) of a current given by the factor on p: a central difference, where there is no formula."""
    return (current(1 + _DIFFERENCE) - current(1 - _DIFFERENCE)) / (2 * _DIFFERENCE)


def _leak(cooler: SINISCooler, point: OperatingPoint, _names: Sequence[str]) -> Shares:
    """The leak, with its heat; and the offset of the current's reading, which heats nothing."""
    bias = point.device_voltage
    conductance = np.full_like(bias, values_of(cooler)["leakage_conductance"])
    return {
        "leakage_conductance": (bias, -(bias**2)),
        "voltage_offset": (conductance, -2 * bias * conductance),
        "current_offset": (np.ones_like(bias), np.zeros_like(bias)),
    }


def _phonons(cooler: SINISCooler, point: OperatingPoint, _names: Sequence[str]) -> Shares:
    """ΣU(T_e⁵ − T_ph⁵) = KA(T_ph⁴ − T_bath⁴), differentiated with the phonons that follow."""
    coupling, bath = cooler.electron_phonon * cooler.volume, point.bath_temperature
    electrons, power = 5 * coupling * point.electron_temperature**4, point.electron_phonon_power
    no_current = np.zeros_like(power)
    if cooler.kapitza is None:
        return {
            "electron_temperature": (no_current, electrons),
            "electron_phonon": (no_current, power / cooler.electron_phonon),
            "bath_temperature": (no_current, -5 * coupling * bath**4),
        }
    to_bath = 4 * cooler.kapitza * point.phonon_temperature**3
    # Of the two resistances in series, the share that the electron–phonon coupling has.
    share = to_bath / (to_bath + 5 * coupling * point.phonon_temperature**4)
    return {
        "electron_temperature": (no_current, share * electrons),
        "electron_phonon": (no_current, share * power / cooler.electron_phonon),
        "kapitza": (no_current, (1 - share) * power / cooler.kapitza),
        "bath_temperature": (no_current, -(1 - share) * 4 * cooler.kapitza * bath**3),
    }
