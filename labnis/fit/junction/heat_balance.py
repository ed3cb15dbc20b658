"""I(V) of a SINIS pair that cools and heats itself, at one or several bath temperatures, fitted with its heat balance.

The electron temperature is no parameter: at every bias it is where the heat balance closes (Rajauria et al.,
arXiv:0810.3980, eqs. 4–6; `labnis.physics.SINISCooler`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from labnis.fit.arrays import Real, real_array
from labnis.fit.derived import with_derived
from labnis.fit.junction._array import PAIR
from labnis.fit.junction._cooler_parameters import (
    INVERSE,
    UNITS,
    cooler_at,
    inverted,
    values_of,
)
from labnis.fit.junction._isotherm import Isotherm, bath_names
from labnis.fit.junction._isotherm_parameters import isotherm_parameters, joined_prior
from labnis.fit.junction._isotherms import Sweeps
from labnis.fit.junction._line import GAIN, LINE
from labnis.fit.junction._steady_state import steady_state_slopes
from labnis.fit.junction.cooling import coldest_bias
from labnis.fit.parameters import Parameter, restarted
from labnis.fit.result import FitError, FitResult
from labnis.fit.solver import solve
from labnis.physics import NoOperatingPointError, SINISCooler

__all__ = ["Isotherm", "cooler_of", "fit_heat_balance", "heat_balance_model", "temperature_curve"]

MODEL = "SINIS heat balance"
# Points of each isotherm with which the fit begins, and the parameters it holds then: those that only details of the
# curve determine would diverge while the others are wrong.
_FEW = 51
_SUBTLEST = ("dephasing_rate",)
# Rounds at most in which weights and excitation follow the parameters, and the change of the expected current, in units
# of its noise, and of the weights that ends them. Relative change of χ² that ends a search.
_ROUNDS, _SETTLED, _ACCURACY = 3, 0.03, 1e-8
_SUBTLE = ("dynes", *_SUBTLEST)
_ADVICE = (
    "electron_phonon and kapitza need biases beyond the gap or a warm isotherm (0.3 K), the dephasing rate a cold one; "
    "a parameter that is held (`free` does not name it) keeps its value"
)


def fit_heat_balance(
    isotherms: Sequence[Isotherm],
    *,
    cooler: SINISCooler,
    free: Sequence[str],
    series_resistance: float = 0.0,
    excitation: float = 0.0,
    prior: FitResult | None = None,
    bath_error: float = 0.0,
    gap_follows: bool = False,
    start: Mapping[str, float] | None = None,
) -> FitResult:
    """Fit I(V) of a cooler whose electron temperature follows from its heat balance, to all `isotherms` at once.

    Parameters
    ----------
    isotherms
        Curves of one device, with their dI/dV where there is a lock-in, read with the same noise, at one or more bath
        temperatures. Several, such as the published ones from 90 to 430 mK, separate electron–phonon coupling, Kapitza
        coupling and Andreev current.
    cooler
        The device: start values of the `free` parameters, and the values of all others. Without `superconductor`.
    free
        Names of the parameters to fit: gap (eV), normal_resistance (ohm, one junction), dynes, electron_phonon (Σ in
        W/m³/K⁵ at the cooler's volume; the data determine only their product), kapitza (W/K⁴), andreev_scale, or
        the resistances of its wires, andreev_normal and andreev_superconductor (ohm/m),
        dephasing_rate (1/τ_φ = D_N/L_φ² in 1/s, for the coherence length: in it the current is nearly linear),
        leakage_conductance (S), voltage_offset (V, at the device: the true voltage is `device_voltage` plus it),
        current_offset (A), and series_resistance_error (ohm), by which the line has more than `series_resistance`;
        give it a prior; with conductances also conductance_gain_error, by which part the lock-in reads too much.
        Offsets and errors that are not free are 0.
    series_resistance
        Of the bias line (ohm); it correlates the noise of voltage and current.
    excitation
        Lock-in excitation on the bias line while the current was read (V rms): the reading is its mean over a cycle,
        which the electron temperature follows instantly.
    prior
        Earlier fit whose parameters of the same names enter with their covariance.
    bath_error
        Standard uncertainty of the thermometer that all baths have in common (K).
    gap_follows
        Whether the gap is that of the BCS theory at each bath, and the fitted one that at zero temperature; otherwise
        it is the same at all baths.
    start
        Values from an earlier search, also of what is no parameter of the cooler: the fit begins there, at once with
        all points and parameters.

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
    parameters = isotherm_parameters(cooler, usable, free, start, bath_error)
    known, assumed = (
        joined_prior(prior, free, usable, bath_error),
        _assumed(cooler, usable, free, excitation, bath_error),
    )
    if gap_follows:
        assumed["superconductors"] = "at the bath's temperature, with the gap of the BCS theory there"
    # A few points give start values, and the conductance: how much of a change of the line reaches the device.
    few = [replace(isotherm.thinned(_FEW), conductance=None) for isotherm in usable]
    coarse = [] if start is not None else [(few, _SUBTLE), (few, _SUBTLEST)]
    for data, held in (*coarse, (usable, ())):
        moved = [p for p in parameters if p.name not in held] or parameters
        sweeps = Sweeps.of(data, cooler, [p.name for p in moved], gap_follows=gap_follows)
        try:
            result = _solved(moved, sweeps, assumed, known, (series_resistance, excitation))
        except NoOperatingPointError as error:
            raise FitError(f"the cooler cannot be biased like the data: {error}; is it about right?") from error
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
    bath_error: float = 0.0,
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
    known = joined_prior(prior, [name for name in names if name in values], usable, bath_error)
    return _around(sweeps, at.values, series_resistance, excitation), known


def _around(sweeps: Sweeps, x: Real, series_resistance: float, excitation: float) -> Sweeps:
    """The model with weights, excitation and common errors of a device with the parameters `x`."""
    return sweeps.around(x, series_resistance, excitation).balanced(x).rounded(x)


def _solved(
    parameters: Sequence[Parameter],
    sweeps: Sweeps,
    assumed: Mapping[str, str],
    prior: FitResult | None,
    conditions: tuple[float, float],
) -> FitResult:
    """Fit in rounds: weights and excitation belong to the parameters that are found.

    `conditions` are series resistance (ohm) and excitation (V rms).
    """
    x = np.array([p.start for p in parameters])
    sweeps = _around(sweeps, x, *conditions)
    for _ in range(_ROUNDS):
        result = solve(parameters, sweeps, MODEL, assumed, prior=prior, accuracy=_ACCURACY)
        before, sweeps = sweeps, _around(sweeps, result.values, *conditions)
        if sweeps.is_like(before, _SETTLED * result.noise, _SETTLED):
            break
        parameters = restarted(parameters, result.values)
    return result


def _assumed(
    cooler: SINISCooler, isotherms: Sequence[Isotherm], free: Sequence[str], excitation: float, bath_error: float
) -> dict[str, str]:
    assumed = {
        name: f"{value:g} {UNITS[name]}, not fitted"
        for name, value in values_of(cooler).items()
        if name not in free and name not in (LINE, GAIN)
    }
    exact = [f"{i.bath_temperature:g} K" for i in isotherms if not i.bath_uncertainty and not bath_error]
    if exact:
        assumed["bath_temperature"] = f"{', '.join(exact)}, exactly"
    if cooler.kapitza is None:
        assumed["kapitza"] = "none: phonons are at the bath's temperature"
    if cooler.andreev is None:
        assumed["andreev_scale"] = "no Andreev current"
    if excitation:
        assumed["excitation"] = "the electron temperature follows it instantly"
    return assumed | {
        "junctions": PAIR.statement,
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

    best, reach = result.by_name, float(np.abs(coldest.device_voltage).max())
    bias = coldest_bias(cooler_at(best, cooler), best.get(name, coldest.bath_temperature), reach)
    # At the minimum the bias does not matter: its change with the parameters is not needed.
    return with_derived(result, "lowest_electron_temperature", "K", lambda values: float(electrons(values, bias)))
