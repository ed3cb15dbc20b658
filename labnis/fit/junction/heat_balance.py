"""I(V) of a SINIS pair that cools and heats itself, at one or several bath temperatures, fitted with its heat balance.

The electron temperature is no parameter: at every bias it is where the heat balance closes (Rajauria et al.,
arXiv:0810.3980, eqs. 4–6; `labnis.physics.SINISCooler`).
"""

from collections.abc import Mapping, Sequence
from functools import reduce

import numpy as np
from numpy.typing import ArrayLike

from labnis.fit.arrays import Real, real_array
from labnis.fit.derived import with_derived
from labnis.fit.estimate import Estimate
from labnis.fit.junction._cooler_parameters import (
    GAIN,
    INVERSE,
    UNITS,
    cooler_at,
    cooler_parameters,
    inverted,
    values_of,
)
from labnis.fit.junction._heated_pair import LINE
from labnis.fit.junction._isotherms import BATH_RANGE, Isotherm, Sweeps, bath_names
from labnis.fit.junction._steady_state import steady_state_slopes
from labnis.fit.parameters import Parameter, joined, restarted
from labnis.fit.result import FitError, FitResult, result_from_mapping
from labnis.fit.solver import solve
from labnis.physics import NoOperatingPointError, SINISCooler
from labnis.physics.superconductor import critical_temperature

__all__ = ["Isotherm", "cooler_of", "fit_heat_balance", "heat_balance_model", "temperature_curve"]

MODEL = "SINIS heat balance"
# Biases among which the lowest electron temperature is searched, and again between the neighbours of the best.
_BIASES = 101
# Points of each isotherm with which the fit begins, and the parameters it holds then: those that only details of the
# curve determine would diverge while the others are wrong.
_FEW = 51
_SUBTLEST = ("dephasing_rate",)
_SUBTLE = ("dynes", *_SUBTLEST)
_ADVICE = (
    "a parameter that `free` does not name keeps the cooler's value; electron_phonon and kapitza need biases beyond "
    "the gap or a warm isotherm (0.3 K), the dephasing rate a cold one"
)


def fit_heat_balance(
    isotherms: Sequence[Isotherm],
    *,
    cooler: SINISCooler,
    free: Sequence[str],
    series_resistance: float = 0.0,
    excitation: float = 0.0,
    prior: FitResult | None = None,
    gap_follows: bool = False,
) -> FitResult:
    """Fit I(V) of a cooler whose electron temperature follows from its heat balance, to all `isotherms` at once.

    Parameters
    ----------
    isotherms
        Curves of one device, read with the same noise, at one or more bath temperatures. Several, such as the published
        ones from 90 to 430 mK, separate electron–phonon coupling, Kapitza coupling and Andreev current.
    cooler
        The device: start values of the `free` parameters, and the values of all others. Without `superconductor`.
    free
        Names of the parameters to fit: gap (eV), normal_resistance (ohm, one junction), dynes, electron_phonon (Σ in
        W/m³/K⁵ at the cooler's volume; the data determine only their product), kapitza (W/K⁴), andreev_scale, or
        the resistances of its wires, andreev_normal and andreev_superconductor (ohm/m),
        dephasing_rate (1/τ_φ = D_N/L_φ² in 1/s, for the coherence length: in it the current is nearly linear),
        leakage_conductance (S), voltage_offset (V, at the device: the true voltage is `device_voltage` plus it),
        current_offset (A), and series_resistance_error (ohm), by which the line has more than `series_resistance`;
        give it a prior. Offsets that are not free are 0.
    series_resistance
        Of the bias line (ohm); it correlates the noise of voltage and current.
    excitation
        Lock-in excitation on the bias line while the current was read (V rms): the reading is its mean over a cycle,
        which the electron temperature follows instantly.
    prior
        Earlier fit whose parameters of the same names enter with their covariance.
    gap_follows
        Whether the gap is that of the BCS theory at each bath, and the fitted one that at zero temperature; otherwise
        it is the same at all baths.

    Returns
    -------
    FitResult
        The free parameters; bath_temperature_1, … (K) of the isotherms with an uncertainty, numbered by their place in
        `isotherms`; lowest_electron_temperature (K) within the biases measured at the coldest bath. `assumed` lists
        what was not free. See also `cooler_of` and `temperature_curve`; at zero bias T_e is that of the bath.

    Raises
    ------
    FitError
        For names that cannot be free, fewer than 10 usable points in a curve, a cooler without steady state at these
        biases, no convergence, or data that do not determine a parameter.

    """
    if not isotherms:
        raise FitError("there is no isotherm to fit; at least one is needed")
    usable = [isotherm.finite() for isotherm in isotherms]
    parameters = _parameters(cooler, usable, free)
    known, assumed = _known(prior, free, usable), _assumed(cooler, usable, free, excitation)
    if gap_follows:
        assumed["superconductors"] = "at the bath's temperature, with the gap of the BCS theory there"
    # A few points give start values, and the conductance: how much of a change of the line reaches the device.
    few = [isotherm.thinned(_FEW) for isotherm in usable]
    for data, held in ((few, _SUBTLE), (few, _SUBTLEST), (usable, ())):
        moved = [p for p in parameters if p.name not in held] or parameters
        sweeps = Sweeps.of(data, cooler, [p.name for p in moved], gap_follows=gap_follows)
        try:
            sweeps = sweeps.around(np.array([p.start for p in moved]), series_resistance, excitation)
        except NoOperatingPointError as error:
            raise FitError(f"the cooler cannot be biased like the data: {error}; is it about right?") from error
        try:
            result = solve(moved, sweeps, MODEL, assumed, prior=known)
        except FitError as error:
            raise FitError(f"{error}: {_ADVICE}") from error
        found = result.by_name
        parameters = restarted(parameters, [found.get(p.name, p.start) for p in parameters])
    result = inverted(result)
    _refuse_undetermined(result)
    return _with_lowest_temperature(result, cooler, usable)


def cooler_of(result: FitResult, cooler: SINISCooler) -> SINISCooler:
    """Return the `cooler` that was given to `fit_heat_balance`, with the values found by the fit."""
    return cooler_at(result.by_name, cooler)


def temperature_curve(
    result: FitResult, cooler: SINISCooler, device_voltage: ArrayLike, bath_temperature: float
) -> tuple[Real, Real]:
    """Electron temperature of the fitted device (K) and its standard uncertainty (K), shape of `device_voltage`.

    Parameters
    ----------
    result, cooler
        Result of `fit_heat_balance`, and the cooler given to it.
    device_voltage
        As measured (V), shape (n,); a voltage_offset that was fitted is added.
    bath_temperature
        Of the bath (K), taken as exact.

    """
    voltage = real_array("device_voltage", device_voltage)
    names = [name for name in result.names if name in values_of(cooler)]
    fitted = cooler_of(result, cooler)
    point = fitted.operating_point(voltage + result.by_name.get("voltage_offset", 0.0), bath_temperature)
    gradient = steady_state_slopes(fitted, point, names).temperature
    variance = np.einsum("...i,ij,...j->...", gradient, result.select(names).covariance, gradient)
    return point.electron_temperature, np.sqrt(variance)


def heat_balance_model(
    result: FitResult,
    isotherms: Sequence[Isotherm],
    *,
    cooler: SINISCooler,
    series_resistance: float = 0.0,
    excitation: float = 0.0,
    prior: FitResult | None = None,
    gap_follows: bool = False,
) -> tuple[Sweeps, FitResult | None]:
    """Model of a `result` of `fit_heat_balance`, with the same arguments, and its prior; both with `inverted` names.

    Raises
    ------
    FitError
        As `fit_heat_balance`.

    """
    usable, values = [isotherm.finite() for isotherm in isotherms], values_of(cooler)
    names = [name for name in result.names if name in values or name in bath_names(isotherms)]
    at = inverted(result.select(names))
    sweeps = Sweeps.of(usable, cooler, at.names, gap_follows=gap_follows)
    known = _known(prior, [name for name in names if name in values], usable)
    return sweeps.around(at.values, series_resistance, excitation), known


def _parameters(cooler: SINISCooler, isotherms: Sequence[Isotherm], free: Sequence[str]) -> list[Parameter]:
    """The free parameters, and the baths that are not exact."""
    if cooler.superconductor is not None:
        raise FitError("the cooler has a superconductor; this fit needs a gap that does not change with the bias")
    known = values_of(cooler)
    if not free or len(set(free)) < len(free) or not set(free) <= known.keys():
        raise FitError(
            f"free is {', '.join(free) or 'empty'}; name some of {', '.join(known)}, each once (kapitza and the "
            "Andreev parameters only if the cooler has them)"
        )
    margins = [BATH_RANGE * i.bath_uncertainty for i in isotherms]
    warmest = max(i.bath_temperature + margin for i, margin in zip(isotherms, margins, strict=True))
    critical = float(critical_temperature(cooler.junction.gap))
    if 1.01 * warmest >= critical:
        raise FitError(f"a bath of {warmest:.4g} K is too warm for the cooler's gap, whose T_c is {critical:.4g} K")
    baths = [
        Parameter(name, "K", i.bath_temperature, margin, i.bath_temperature - margin, i.bath_temperature + margin)
        for name, i, margin in zip(bath_names(isotherms), isotherms, margins, strict=True)
        if margin
    ]
    return cooler_parameters(cooler, free, warmest) + baths


def _known(prior: FitResult | None, free: Sequence[str], isotherms: Sequence[Isotherm]) -> FitResult | None:
    """The `prior` of the free parameters, joined by the thermometer of the baths."""
    known = []
    if prior is not None:
        named = [name for name in prior.names if name in free]
        if not named:
            raise FitError(f"the prior contains {', '.join(prior.names)}, none of which is free")
        known.append(inverted(prior.select(named)))
    baths = {
        name: Estimate(i.bath_temperature, i.bath_uncertainty, "K")
        for name, i in zip(bath_names(isotherms), isotherms, strict=True)
        if i.bath_uncertainty
    }
    if baths:
        known.append(result_from_mapping("thermometer", baths))
    return reduce(joined, known) if known else None


def _assumed(
    cooler: SINISCooler, isotherms: Sequence[Isotherm], free: Sequence[str], excitation: float
) -> dict[str, str]:
    assumed = {
        name: f"{value:g} {UNITS[name]}, not fitted"
        for name, value in values_of(cooler).items()
        if name not in free and name not in (LINE, GAIN)
    }
    exact = [f"{i.bath_temperature:g} K" for i in isotherms if not i.bath_uncertainty]
    if exact:
        assumed["bath_temperature"] = f"{', '.join(exact)}, exactly"
    if cooler.kapitza is None:
        assumed["kapitza"] = "none: phonons are at the bath's temperature"
    if cooler.andreev is None:
        assumed["andreev_scale"] = "no Andreev current"
    if excitation:
        assumed["excitation"] = "the electron temperature follows it instantly"
    return assumed | {
        "junctions": "both junctions of the pair are identical",
        "volume": f"{cooler.volume:g} m³; the data determine only electron_phonon × volume",
        "superconductors": "at the bath's temperature, with one gap at every bias and bath",
    }


def _refuse_undetermined(result: FitResult) -> None:
    """Raise FitError where the uncertainty of a coupling exceeds its value."""
    unknown = [
        f"{name} ({result[name].value:.3g} ± {result[name].sigma:.3g} {result[name].unit})"
        for name in result.names
        if name in INVERSE and not result[name].sigma < result[name].value
    ]
    if unknown:
        raise FitError(f"the data do not determine {', '.join(unknown)}: {_ADVICE}")


def _with_lowest_temperature(result: FitResult, cooler: SINISCooler, isotherms: Sequence[Isotherm]) -> FitResult:
    """Append the lowest electron temperature (K) within the biases of the coldest isotherm."""
    name, coldest = min(zip(bath_names(isotherms), isotherms, strict=True), key=lambda i: i[1].bath_temperature)

    def electrons(values: Mapping[str, float], device_voltage: Real | float) -> Real:
        bath = values.get(name, coldest.bath_temperature)
        return cooler_at(values, cooler).operating_point(device_voltage, bath).electron_temperature

    best = result.by_name
    low, high = 0.0, float(np.abs(coldest.device_voltage).max())
    for _ in range(3):
        biases = np.linspace(low, high, _BIASES)
        lowest = int(np.argmin(electrons(best, biases)))
        low, high = biases[max(lowest - 1, 0)], biases[min(lowest + 1, _BIASES - 1)]
    # At the minimum the bias does not matter: its change with the parameters is not needed.
    return with_derived(
        result, "lowest_electron_temperature", "K", lambda values: float(electrons(values, biases[lowest]))
    )
