"""The parameters that reflection and emitted power share, and the effect of the junctions on the resonator."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.constants import e, h, k

from labnis.fit.arrays import Complex, Real
from labnis.fit.estimate import number_text
from labnis.fit.junction._array import PAIR, JunctionArray
from labnis.fit.junction._island import SLOWEST_DEPHASING, components_of
from labnis.fit.junction._unequal_pair import ASYMMETRY
from labnis.fit.parameters import Parameter
from labnis.fit.resonator._electrons import ISLAND_NAMES, JUNCTION_NAMES, Electrons, Island, electrons_at
from labnis.fit.result import FitResult
from labnis.physics import NISJunction

__all__ = [
    "RATE_NAMES",
    "Tunnelling",
    "handed_on",
    "junction_parameters",
    "junctions_assumed",
    "temperature_assumed",
    "tunnelling",
    "tunnelling_slopes",
    "unequal_input",
    "unequal_warning",
    "with_stated_zero",
    "zero_assumed",
]

RATE_NAMES = ("damping_line", "damping_excess", "damping_junction", "ohmic_frequency")

# By how much the zero of the voltage drifts from one run to the next (V, standard uncertainty) where nothing is stated:
# with equal probability up to 1 µV; and its name among the inputs of a fit where something is.
_ZERO_DRIFT, _ZERO_STATED = 1e-6 / np.sqrt(3), "voltage_zero"

# A temperature of which only a limit is known is held beyond this relative uncertainty.
_FLAT = 0.3

# Of γ̄_T by which two unequal junctions and two equal ones differ next to the gap, per square of the asymmetry; and the
# part from which that matters: rates are known to a few parts in 10⁴.
_NEXT_TO_GAP, _LEAST = 3.3, 1e-4

# The shape of γ_T(V) does not contain the tunnelling resistance (it is absorbed in γ̄_T), so any value serves.
_ANY_RESISTANCE = 1.0
# One photon more, none, one less.
_SIDES = np.array([1.0, 0.0, -1.0])[:, None]


class Tunnelling(NamedTuple):
    """Effect of photon-assisted tunnelling on the resonator at n biases for γ̄_T = 1; all of it is proportional to γ̄_T.

    Attributes
    ----------
    damping
        γ_T(V), shape (n,).
    shift
        Lamb shift ω_r(V) − ω_r⁰ (rad/s), shape (n,).
    emission
        γ_T N_T, the rate at which the junctions emit photons, shape (n,).

    """

    damping: Real
    shift: Real
    emission: Real


def tunnelling(
    values: Mapping[str, float], device_voltage: Real, array: JunctionArray = PAIR, island: Island | None = None
) -> Tunnelling:
    """`Tunnelling` of the parameters in `values` at the measured voltages across the device (V), shape (n,).

    `island` is one that is solved close to these parameters and voltages; without it, it is solved at them.

    With F = Δ·s(eV/Δ, kT/Δ) and w = ħω_r: γ_T = Re[F(V+w) − F(V−w)]/2w, shift = Im[F(V+w) + F(V−w) − 2F(V)]/4w,
    γ_T N_T = [R(V−w) + R(−V−w)]/2w with R(E) = Re F(E)/(1 − e^{−E/kT}), so that R(−E) = R(E) − Re F(E).
    """
    values, pair_voltage = array.values_of_pair(values), array.voltage * device_voltage
    electrons = _electrons(values, pair_voltage, island)
    junction, energy, photon = _energies(values, pair_voltage)
    # Another gap is another unit of energy.
    scale = electrons.gap / values["gap"]
    response = electrons.gap * junction.complex_response(energy / scale, electrons.temperature / scale)
    return _divided(response, _occupation(energy, electrons.temperature) * response.real, photon)


def tunnelling_slopes(
    values: Mapping[str, float], device_voltage: Real, array: JunctionArray = PAIR, island: Island | None = None
) -> dict[str, Tunnelling]:
    """∂/∂(parameter) of `tunnelling` for each parameter on which it depends."""
    values, pair_voltage = array.values_of_pair(values), array.voltage * device_voltage
    electrons = _electrons(values, pair_voltage, island)
    gap, temperature, scale = electrons.gap, electrons.temperature, electrons.gap / values["gap"]
    junction, energy, photon = _energies(values, pair_voltage)
    reduced, by_v, by_t = junction.complex_response_with_slopes(energy / scale, temperature / scale)
    occupation = _occupation(energy, temperature)
    thermal = k / e * temperature
    # ∂R/∂(E/kT) at constant F.
    by_exponent = gap * reduced.real * occupation * (1 - occupation)
    by_photon_energy = _SIDES * h / e
    # Change of F, and of E/kT, by parameter.
    changes = {
        "gap": (reduced - (energy * by_v + thermal * by_t) / gap, 0.0),
        "electron_temperature": (k / e * by_t, -energy / thermal / temperature),
        "dynes": (1j * gap * by_v, 0.0),
        "voltage_offset": (by_v / 2, 0.5 / thermal),
        "ohmic_frequency": (by_v * by_photon_energy, by_photon_energy / thermal),
    }
    slopes = {
        name: _divided(change, occupation * change.real + by_exponent * exponent, photon)
        for name, (change, exponent) in changes.items()
    }
    # Everything is divided by the photon energy.
    response = gap * reduced
    unmoved = _divided(response, occupation * response.real, -photon * values["ohmic_frequency"])
    slopes["ohmic_frequency"] = Tunnelling(*map(np.add, slopes["ohmic_frequency"], unmoved))
    warming, widening = slopes.pop("electron_temperature"), slopes.pop("gap")
    nothing = Tunnelling(*np.zeros((3, *device_voltage.shape)))
    for name, (by_temperature, by_gap) in electrons.slopes.items():
        parts = zip(slopes.get(name, nothing), warming, widening, strict=True)
        slopes[name] = Tunnelling(*(at + t * by_temperature + g * by_gap for at, t, g in parts))
    of_pair = zip(slopes.items(), array.factors([*slopes]).tolist(), strict=True)
    return {name: Tunnelling(*(factor * part for part in slope)) for (name, slope), factor in of_pair}


def _electrons(values: Mapping[str, float], pair_voltage: Real, island: Island | None) -> Electrons:
    return electrons_at(values, pair_voltage) if island is None else island.electrons(values, pair_voltage)


def _energies(values: Mapping[str, float], device_voltage: Real) -> tuple[NISJunction, Real, float]:
    """The junction, V + w, V and V − w (eV), stacked, and w."""
    photon = h / e * values["ohmic_frequency"]
    energy = (device_voltage + values["voltage_offset"]) / 2 + photon * _SIDES
    # At 0 the rate R is a limit; use a neighbouring energy.
    energy = np.where(energy == 0, 1e-9 * k / e * values["electron_temperature"], energy)
    return NISJunction(values["gap"], _ANY_RESISTANCE, values["dynes"]), energy, photon


def _occupation(energy: Real, temperature: Real) -> Real:
    """1/(1 − e^{−E/kT})."""
    with np.errstate(over="ignore"):
        return np.asarray(-1 / np.expm1(-energy * e / k / temperature))


def _divided(response: Complex, rate: Real, photon: float) -> Tunnelling:
    """From F and R at V + w, V and V − w."""
    above, centre, below = response
    emission = rate[2] + rate[0] - above.real
    damping, shift = above.real - below.real, (above + below - 2 * centre).imag / 2
    return Tunnelling(damping / (2 * photon), shift / (2 * photon), emission / (2 * photon))


def with_stated_zero(fit: FitResult, sigma: float | None) -> FitResult:
    """An earlier run's fit, with what is stated of the drift of the voltage's zero since (V); None for nothing."""
    return fit if sigma is None else replace(fit, inputs={**fit.inputs, _ZERO_STATED: sigma})


def zero_assumed(prior: FitResult) -> str:
    """What a fit assumes about the zero of the voltage since an earlier run."""
    stated = prior.inputs.get(_ZERO_STATED)
    if stated is None:
        return "drifts by at most 1 µV between two runs"
    return f"drifts by {number_text(stated, 'V')} (standard uncertainty) between two runs, as stated"


def handed_on(fit: FitResult, names: Sequence[str] = ()) -> FitResult:
    """The junctions and the island of an earlier run's fit, and its parameters `names`, as a prior.

    The zero of the voltage has drifted since; one that was held fixed there stays exact.
    """
    heats = bool(components_of(fit))
    island = [name for name in fit.names if heats and name in ISLAND_NAMES and name not in JUNCTION_NAMES]
    prior = fit.select((*names, *JUNCTION_NAMES, *island))
    covariance = prior.covariance.copy()
    at = prior.names.index("voltage_offset")
    if covariance[at, at] > 0:
        covariance[at, at] += fit.inputs.get(_ZERO_STATED, _ZERO_DRIFT) ** 2
    temperature = prior["electron_temperature"]
    if "electron_temperature" in fit.limits and temperature.sigma > _FLAT * temperature.value:
        # Below its limit nothing depends on it: a straight line would lead to temperatures that the curve excludes.
        at = prior.names.index("electron_temperature")
        covariance[at], covariance[:, at] = 0.0, 0.0
    return replace(prior, covariance=covariance)


def junctions_assumed(array: JunctionArray) -> dict[str, str]:
    """What a fit assumes of the junctions of another device than a pair."""
    return {} if array == PAIR else {"junctions": f"{array.statement}; all couple alike to the resonator"}


def unequal_input(prior: FitResult | None) -> dict[str, float]:
    """The asymmetry of a pair that an earlier fit has found, as an input of the later ones; empty for equal ones."""
    if prior is None:
        return {}
    known = {**prior.inputs, **prior.by_name}
    return {ASYMMETRY: known[ASYMMETRY]} if ASYMMETRY in known else {}


def unequal_warning(inputs: Mapping[str, float], gain_sigma: float | None = None) -> tuple[str, ...]:
    """A warning where the model of a fit, with equal junctions, is too far from a pair of this asymmetry a.

    With equal couplings each junction has a part of γ̄_T in proportion to 1/R and of the voltage, at high bias, to R:
    their power is 1 − a² of that of equal ones, and the gain is too low by as much. It matters beyond a fifth of its
    `gain_sigma` (dB); without one the fit is that of the rates.
    """
    square = inputs.get(ASYMMETRY, 0.0) ** 2
    said = f"the junctions are unequal, with an asymmetry of {square**0.5:.2g}, and equal ones are assumed here"
    if gain_sigma is not None:
        missing = -10 * float(np.log10(1 - square))
        if missing <= 0.2 * gain_sigma:
            return ()
        return (f"{said}: gain is too low by about {missing:.2g} dB, and noise_temperature too high in proportion",)
    if _NEXT_TO_GAP * square < _LEAST:
        return ()
    return (
        f"{said}: γ_T next to the gap is another by up to {_NEXT_TO_GAP * square:.2g} of damping_junction, and the "
        "true uncertainties of the rates are larger",
    )


def temperature_assumed(prior: FitResult | None) -> dict[str, str]:
    """What a fit assumes about the electron temperature."""
    if prior is not None and components_of(prior):
        return {"electron_temperature": "that of the island that the I–V fit found, at every bias"}
    return {"electron_temperature": "the same at every bias"}


def junction_parameters(prior: FitResult | None, device_voltage: Real) -> list[Parameter]:
    """Gap, temperature, Dynes parameter and offset, started at the prior, or at values typical of aluminium."""
    start = {"gap": 205e-6, "electron_temperature": 0.12, "dynes": 1e-3, "voltage_offset": 0.0}
    if prior is not None:
        start |= {name: prior[name].value for name in JUNCTION_NAMES if name in prior.names}
    extent = float(np.ptp(device_voltage)) or 1.0
    limited = prior is not None and "electron_temperature" in prior.limits
    island = [] if prior is None else [name for name in handed_on(prior).names if name not in JUNCTION_NAMES]
    return [
        Parameter("gap", "eV", start["gap"], start["gap"], 0.3 * start["gap"], 3 * start["gap"]),
        Parameter("electron_temperature", "K", start["electron_temperature"], 0.1, 1e-3, 5.0, may_vanish=limited),
        Parameter("dynes", "1", start["dynes"], 1e-3, 0.0, 0.3),
        Parameter("voltage_offset", "V", start["voltage_offset"], 1e-2 * extent),
        *(
            Parameter(
                name,
                prior[name].unit,
                prior[name].value,
                prior[name].sigma or 1.0,
                SLOWEST_DEPHASING if name == "dephasing_rate" else 0.0,
                may_vanish=True,
            )
            for name in island
            if prior is not None
        ),
    ]
