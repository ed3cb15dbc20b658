"""No public name of the physics accepts a wrong value silently, and none returns NaN for right ones."""

import inspect
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

import labnis.physics
from labnis.physics import (
    AndreevChannel,
    InjectedSuperconductor,
    NISJunction,
    PowerExpansion,
    Resonator,
    SINISCooler,
    UnequalPair,
    asymptotic_damping_rate,
    bcs_gap,
    critical_density,
    critical_temperature,
    gain_from_slope,
    gap_at_zero_temperature,
    high_bias_damping_rate,
    high_bias_photon_number,
    high_bias_power,
    noise_temperature,
    nonequilibrium_state,
    reflection_coefficient,
    thermal_density,
    thermal_photon_number,
    wire_resistance_per_length,
)

GAP = 200e-6
JUNCTION = NISJunction(GAP, 1e3, 1e-4)
CHANNEL = AndreevChannel(8e-3, 1.5e-6, 2e6)
LEAD = InjectedSuperconductor(GAP, 1.72e28, 280e-18, 1e-17, 1e7)
COOLER = SINISCooler(JUNCTION, 6e-20, 2e9, 1e-10)
RESONATOR = Resonator(4.67e9, 1.6e7, 2.5e6, 4.5e7)
POWER = high_bias_power(RESONATOR, GAP)

# Arguments that hold one number and those that broadcast, with values that are right. What may be what:
POSITIVE = ("positive", [-1.0, 0.0, math.nan, math.inf])
NON_NEGATIVE = ("0 or more", [-1.0, math.nan, math.inf])
ANY = ("finite", [math.nan, math.inf])
GAP_LIKE = ("positive", [-1e-6, 0.0, math.nan, math.inf])


@dataclass(frozen=True)
class Public:
    """A public callable, right values of its scalar and of its array arguments, and which values those must have."""

    name: str
    call: Callable[..., Any]
    scalars: dict[str, tuple[float, tuple[str, list[float]]]]
    arrays: dict[str, tuple[float, tuple[str, list[float]]]]

    def right(self) -> dict[str, float]:
        return {name: value for name, (value, _) in (self.scalars | self.arrays).items()}


VT = {"voltage": (1e-4, ANY), "temperature": (0.1, NON_NEGATIVE)}
VTS = VT | {
    "superconductor_temperature": (0.1, NON_NEGATIVE),
    "chemical_potential": (1e-6, ("finite number or -inf", [math.nan, math.inf])),
}
CT = {"current": (1e-6, NON_NEGATIVE), "temperature": (0.1, NON_NEGATIVE)}
PHOTONS = {"line_photons": (0.1, NON_NEGATIVE), "excess_photons": (0.1, NON_NEGATIVE)}
GAP0 = {"zero_temperature_gap": (GAP, GAP_LIKE)}
T = {"temperature": (0.1, NON_NEGATIVE)}
OPTIONAL = {"kapitza": (1e-10, POSITIVE), "leakage_resistance": (1e8, POSITIVE)}


def with_junction(method: Callable[..., Any]) -> Callable[..., Any]:
    return lambda **given: method(junction=JUNCTION, **given)


PUBLIC = [
    Public("NISJunction", NISJunction,
           {"gap": (GAP, GAP_LIKE), "resistance": (1e3, POSITIVE), "dynes": (1e-4, NON_NEGATIVE)}, {}),
    *(Public(f"NISJunction.{n}", getattr(JUNCTION, n), {}, VT)
      for n in ("current", "complex_response", "complex_response_with_slopes", "conductance")),
    *(Public("NISJunction.current_derivative", lambda p=p, **g: JUNCTION.current_derivative(p, **g), {}, VT)
      for p in ("voltage", "temperature", "gap", "dynes", "resistance")),
    Public("NISJunction.cooling_power", JUNCTION.cooling_power, {}, VTS),
    *(Public("NISJunction.cooling_power_derivative",
             lambda p=p, **g: JUNCTION.cooling_power_derivative(p, **g), {}, VTS)
      for p in ("voltage", "temperature", "gap", "dynes", "resistance")),
    Public("NISJunction.cooling_power_slopes", JUNCTION.cooling_power_slopes, {},
           {n: v for n, v in VTS.items() if n != "chemical_potential"}),
    Public("UnequalPair", lambda asymmetry: UnequalPair(JUNCTION, asymmetry),
           {"asymmetry": (0.1, ("from 0 to less than 1", [-0.1, 1.0, math.nan]))}, {}),
    *(Public(f"UnequalPair.{n}", getattr(UnequalPair(JUNCTION, 0.1), n), {}, {"device_voltage": (1e-4, ANY), **T})
      for n in ("voltage", "current", "conductance")),
    Public("NISJunction.optimal_bias", JUNCTION.optimal_bias, {}, T),
    Public("NISJunction.maximum_cooling_power", JUNCTION.maximum_cooling_power, {},
           {n: v for n, v in VTS.items() if n != "voltage"}),
    Public("NISJunction.tunnelling_rate", JUNCTION.tunnelling_rate, {}, {"energy": (1e-4, ANY), **T}),
    Public("AndreevChannel", AndreevChannel,
           {"diffusion_constant": (8e-3, POSITIVE), "coherence_length": (1e-6, POSITIVE),
            "resistance_per_length": (1e6, NON_NEGATIVE), "scale": (1.0, NON_NEGATIVE),
            "superconductor_resistance_per_length": (1e5, NON_NEGATIVE),
            "superconductor_diffusion_constant": (8e-3, POSITIVE)}, {}),
    *(Public(f"AndreevChannel.{n}", with_junction(getattr(CHANNEL, n)), {}, VT)
      for n in ("current", "conductance", "in_range")),
    Public("AndreevChannel.linearised", with_junction(CHANNEL.linearised), {}, {"gap": (GAP, GAP_LIKE), **VT}),
    Public("AndreevChannel.slopes", with_junction(CHANNEL.slopes), {}, {"gap": (GAP, GAP_LIKE), **VT}),
    Public("wire_resistance_per_length", wire_resistance_per_length,
           dict.fromkeys(("diffusion_constant", "density_of_states", "area"), (1.0, POSITIVE)), {}),
    Public("SINISCooler", lambda **g: SINISCooler(JUNCTION, **g),
           {"volume": (6e-20, POSITIVE), "electron_phonon": (2e9, POSITIVE), **OPTIONAL}, {}),
    Public("SINISCooler.operating_point", COOLER.operating_point, {},
           {"device_voltage": (1e-4, ANY), "bath_temperature": (0.1, ("above 0", [-1.0, 0.0, math.nan, math.inf, 9.0])),
            "start": (0.1, ("above 0", [-1.0, 0.0, math.nan, math.inf, 9.0])), "near": (GAP, GAP_LIKE)}),
    Public("critical_temperature", critical_temperature, GAP0, {}),
    Public("bcs_gap", bcs_gap, GAP0, T),
    Public("gap_at_zero_temperature", gap_at_zero_temperature,
           {"gap": (GAP, POSITIVE), "temperature": (0.1, NON_NEGATIVE)}, {}),
    Public("thermal_density", thermal_density, GAP0, T),
    Public("critical_density", critical_density, GAP0, {"temperature": (0.1, ("most", [1.4]))}),
    Public("critical_density", critical_density, GAP0, T),
    Public("nonequilibrium_state", nonequilibrium_state, GAP0, {"density": (0.01, NON_NEGATIVE), **T}),
    Public("nonequilibrium_state", nonequilibrium_state, GAP0, {"density": (0.01, ("above", [0.3])), **T}),
    Public("InjectedSuperconductor", InjectedSuperconductor,
           {**GAP0, "density_of_states": (1e28, POSITIVE), "volume": (1e-18, POSITIVE),
            "recombination": (1e-17, NON_NEGATIVE), "outflow": (1e7, NON_NEGATIVE)}, {}),
    *(Public(f"InjectedSuperconductor.{n}", getattr(LEAD, n), {}, CT)
      for n in ("quasiparticle_density", "gap", "gap_derivative", "chemical_potential")),
    Public("InjectedSuperconductor.critical_current", LEAD.critical_current, {}, T),
    Public("Resonator", Resonator,
           {"frequency": (5e9, POSITIVE), "damping_line": (1e7, POSITIVE), "damping_excess": (1e6, NON_NEGATIVE),
            "damping_junction": (1e7, NON_NEGATIVE), "fano": (1.0, ANY)}, {}),
    *(Public(f"Resonator.{n}", with_junction(getattr(RESONATOR, n)), {}, VT)
      for n in ("damping_rate", "photon_number", "lamb_shift", "resonance_frequency")),
    Public("Resonator.reflection", with_junction(RESONATOR.reflection), {}, {"probe_frequency": (5e9, ANY), **VT}),
    Public("Resonator.emitted_power", with_junction(RESONATOR.emitted_power), PHOTONS, VT),
    Public("Resonator.emitted_spectrum", with_junction(RESONATOR.emitted_spectrum), PHOTONS,
           {"frequencies": (5e9, ANY), **VT}),
    Public("thermal_photon_number", thermal_photon_number, {}, {"frequency": (5e9, POSITIVE), **T}),
    Public("reflection_coefficient", reflection_coefficient, {},
           {"detuning": (1e6, ANY), "damping_line": (1e7, ANY), "damping_internal": (1e6, ANY), "fano": (1.0, ANY)}),
    Public("asymptotic_damping_rate", asymptotic_damping_rate,
           {"frequency": (5e9, POSITIVE), "impedance": (50.0, POSITIVE), "coupling_capacitance": (1e-12, POSITIVE),
            "other_capacitance": (1e-13, NON_NEGATIVE), "resistance": (1e4, POSITIVE)}, {}),
    *(Public(f.__name__, lambda f=f, **g: f(RESONATOR, **g), {"gap": (GAP, GAP_LIKE)}, {"voltage": (1e-3, POSITIVE)})
      for f in (high_bias_damping_rate, high_bias_photon_number)),
    Public("high_bias_power", lambda **g: high_bias_power(RESONATOR, **g), {"gap": (GAP, GAP_LIKE), **PHOTONS}, {}),
    Public("PowerExpansion", POWER, {}, {"voltage": (1e-3, POSITIVE)}),
    Public("PowerExpansion", lambda **g: PowerExpansion(**g)(1e-3),
           dict.fromkeys(("slope", "constant", "inverse"), (1.0, ANY)), {}),
    Public("gain_from_slope", lambda slope: gain_from_slope(slope, RESONATOR), {"slope": (1e-9, POSITIVE)}, {}),
    Public("noise_temperature", noise_temperature,
           {"power": (1e-12, POSITIVE), "gain": (1e5, POSITIVE), "bandwidth": (1e8, POSITIVE),
            "emitted": (0.0, NON_NEGATIVE)}, {}),
]  # fmt: skip

# Results of others, exceptions, and slopes of an OperatingPoint, which only `operating_point` makes.
NOT_CALLED = {
    "ENERGY_CROSSING_DENSITY", "JunctionParameter", "ModelRangeWarning", "NoOperatingPointError",
    "NonequilibriumState", "OperatingPoint", "SINISCooler.conductance", "SINISCooler.gap_slope",
    "SINISCooler.injection_response", "SINISCooler.voltage_slopes",
    "SINISCooler.temperature_slope", "InjectedSuperconductor.reduced_density",
}  # fmt: skip


def test_every_public_name_is_tested_here() -> None:
    names = set()
    for name in labnis.physics.__all__:
        thing = getattr(labnis.physics, name)
        names.add(name)
        if inspect.isclass(thing) and not issubclass(thing, Exception) and name not in NOT_CALLED:
            methods = inspect.getmembers(thing, inspect.isfunction)
            names |= {f"{name}.{m}" for m, _ in methods if not m.startswith("_") and not hasattr(tuple, m)}
    assert names - NOT_CALLED == {public.name for public in PUBLIC}


def refusal(public: Public, arguments: dict[str, Any]) -> str:
    """What the error says; empty if there is none."""
    try:
        public.call(**arguments)
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("public", PUBLIC, ids=lambda p: p.name)
def test_a_wrong_value_is_an_error_with_name_value_and_range(public: Public) -> None:
    right, offenders = public.right(), []
    for name, (_, (allowed, values)) in (public.scalars | public.arrays).items():
        for value in values:
            said = refusal(public, right | {name: [right[name], value] if name in public.arrays else value})
            expected = (allowed, "finite", "0 or more", "above 0") if not math.isfinite(value) else (allowed,)
            named = re.search(rf"{name} (is|contains) \(?{re.escape(str(value))}", said)
            if not named or not any(word in said for word in expected):
                offenders.append(f"{name} = {value}: {said or 'accepted'}")
    assert not offenders, "\n".join(offenders)


@pytest.mark.parametrize("public", [p for p in PUBLIC if len(p.arrays) > 1], ids=lambda p: p.name)
def test_shapes_that_do_not_fit_are_an_error_with_names_and_shapes(public: Public) -> None:
    right = public.right()
    first, *others = public.arrays
    for other in others:
        bad = {first: np.full(2, right[first]), other: np.full(3, right[other])}
        with pytest.raises(ValueError, match=r"has shape \(") as caught:
            public.call(**(right | bad))
        assert "(2,)" in str(caught.value)
        assert f"{other} has shape (3,)" in str(caught.value)


def numbers(result: Any) -> Iterator[np.ndarray]:
    if isinstance(result, tuple):
        for part in result:
            yield from numbers(part)
    elif hasattr(result, "__dataclass_fields__"):
        for part in vars(result).values():
            yield from numbers(part)
    else:
        yield np.asarray(result)


# Zeros, gap edges, numbers that are next to nothing, and ordinary ones.
SPECIAL = {
    "voltage": [0.0, -GAP, GAP, 1e-300, 0.3 * GAP, 3e-3],
    "energy": [0.0, -GAP, GAP, 1e-300, -1e-4, 3e-3],
    "temperature": [0.0, 1e-300, 1e-9, 5e-3, 0.4, 1.0],
    "superconductor_temperature": [0.0, 1e-300, 0.1, 1.0],
    "chemical_potential": [0.0, -np.inf, GAP, 0.6 * GAP, 1.2 * GAP, -1e-4],
    "current": [0.0, 1e-300, 1e-9, 1e-5],
    "density": [0.0, 1e-300, 1e-4, 0.19],
    "device_voltage": [0.0, -2 * GAP, 1e-300, 3e-4, 6e-4],
    "bath_temperature": [2e-3, 0.1, 1.0],
}


@pytest.mark.filterwarnings("ignore::labnis.physics.ModelRangeWarning")
@pytest.mark.parametrize("public", [p for p in PUBLIC if p.arrays], ids=lambda p: p.name)
def test_right_values_never_give_nan(public: Public) -> None:
    values = {n: np.array(SPECIAL.get(n, [value])) for n, value in public.right().items() if n in public.arrays}
    if public.arrays.get("voltage", (0, ANY))[1] is POSITIVE:
        values["voltage"] = np.abs(values["voltage"]) + 1e-4
    grid = dict(zip(values, np.meshgrid(*values.values(), indexing="ij"), strict=True))
    scalars = {name: value for name, (value, _) in public.scalars.items()}
    for result in numbers(public.call(**scalars, **grid)):
        assert not np.isnan(result).any()


@pytest.mark.parametrize("method", ["current", "conductance", "cooling_power", "tunnelling_rate", "optimal_bias"])
def test_a_sharp_gap_never_gives_nan(method: str) -> None:
    (public,) = (p for p in PUBLIC if p.name == f"NISJunction.{method}")
    grid = dict(zip(public.arrays, np.meshgrid(*(SPECIAL[n] for n in public.arrays), indexing="ij"), strict=True))
    result = getattr(replace(JUNCTION, dynes=0.0), method)(**grid)
    assert not np.isnan(result).any()
    assert np.isfinite(result).all() or method == "conductance"


@pytest.mark.parametrize("parameter", ["voltage", "temperature", "gap", "dynes", "resistance"])
def test_slopes_at_a_sharp_gap_never_give_nan(parameter: str) -> None:
    junction = replace(JUNCTION, dynes=0.0)
    for slope, arguments in ((junction.current_derivative, VT), (junction.cooling_power_derivative, VTS)):
        grid = np.meshgrid(*(SPECIAL[n] for n in arguments), indexing="ij")
        assert not np.isnan(slope(parameter, **dict(zip(arguments, grid, strict=True)))).any()
