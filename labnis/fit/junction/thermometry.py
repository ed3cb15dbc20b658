"""Electron temperature bias by bias: from the current of a known junction, or with the gap from current and dI/dV.

The current of an NIS junction depends on the temperature of its normal metal alone, so that a junction whose gap,
resistance and broadening are known is a thermometer (Rajauria et al., arXiv:0810.3980). A temperature is given only
where the data determine exactly one; elsewhere it is NaN, with a reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.constants import e, k

from labnis.fit.arrays import Bool, Real, check_numbers, real_columns
from labnis.fit.junction._array import JunctionArray, Junctions
from labnis.fit.junction._known_device import COLDEST, WARMEST, KnownDevice, electron_temperature
from labnis.fit.result import FitError, FitResult, result_from_mapping
from labnis.physics import AndreevChannel, NISJunction

__all__ = [
    "PHASE_ADVICE",
    "CoolingPower",
    "ElectronTemperature",
    "cooling_power",
    "finite_points",
    "isotherm_temperature",
]

# Parameters of the junctions that the thermometer needs, in the order of every slope below.
KNOWN = ("gap", "normal_resistance", "dynes", "voltage_offset", "current_offset")
UNITS = dict(zip(KNOWN, ("eV", "ohm", "1", "V", "A"), strict=True))

# A current determines a temperature where it exceeds that at T = 0 by this many of its standard deviations. Nearer,
# the error bar of a temperature, a logarithm of the current, is neither symmetric nor Gaussian.
_SIGNIFICANT = 5.0

# Advice to a user who passes complex lock-in data.
PHASE_ADVICE = "pass the part in phase with the excitation"

_MISSING = "the point is not finite"
_FAINT = "the current does not stand out from that at T = 0"
_AMBIGUOUS = "two temperatures give this current: beyond the gap, or below the Andreev current at T = 0"
_TOO_MUCH = "more current than electrons with kT = Δ carry"


class _TwoParts:
    """Values with independent uncertainties (n,) and common ones (n, directions)."""

    statistical: Real
    common: Real

    @property
    def sigma(self) -> Real:
        """Standard deviation of each value (in its unit), both parts together, shape (n,)."""
        return np.asarray(np.hypot(self.statistical, np.linalg.norm(self.common, axis=1)))

    @property
    def covariance(self) -> Real:
        """Of all values (in their unit squared), shape (n, n)."""
        return np.asarray(np.diag(self.statistical**2) + self.common @ self.common.T)


@dataclass(frozen=True)
class ElectronTemperature(_TwoParts):
    """Electron temperatures along an I–V curve; NaN where the current does not determine one.

    Attributes
    ----------
    device_voltage, electron_temperature
        As measured (V), and the temperature (K), both of shape (n,).
    statistical
        Standard deviation (K) from the noise of each point, shape (n,), independent from point to point.
    common
        Change of all temperatures (K) by one standard deviation of each independent direction of `known`, shape
        (n, 5).
    reason
        Why there is no temperature, shape (n,); empty where there is one.
    known
        Gap, normal-state resistance of one junction, Dynes parameter and both offsets, with their covariance.
    voltage_noise
        Decrease of |device_voltage| (V) by noise that raises a temperature by `statistical`.

    """

    device_voltage: Real
    electron_temperature: Real
    statistical: Real
    common: Real
    reason: NDArray[np.str_]
    known: FitResult
    voltage_noise: float

    @property
    def determined(self) -> Bool:
        """Where there is a temperature."""
        return np.isfinite(self.electron_temperature)


@dataclass(frozen=True)
class CoolingPower(_TwoParts):
    """Heat that tunnelling takes out of the island through both junctions (W), with its uncertainty.

    `statistical` (n,) is independent from point to point; `common` (n, 6) is the change of all powers by one standard
    deviation of each independent direction of the known parameters, and of the bath temperature.
    """

    device_voltage: Real
    power: Real
    statistical: Real
    common: Real


def isotherm_temperature(
    device_voltage: ArrayLike,
    current: ArrayLike,
    fit: FitResult | Mapping[str, Any],
    *,
    noise: float,
    series_resistance: float = 0.0,
    junctions: Junctions | None = None,
    andreev: AndreevChannel | None = None,
    leakage_resistance: float | None = None,
) -> ElectronTemperature:
    """Electron temperature at every point of an I–V curve, by inverting I(V, T_e).

    The current must be read without a lock-in's excitation. Over a cycle of it the temperature of a device that cools
    itself follows the bias, so that no one temperature belongs to the mean: 3 µV rms across the published cooler move
    T_e by up to 5 %, 10 µV by 40 %. `temperature_and_gap` takes the cycle into account.

    Parameters
    ----------
    device_voltage, current
        Voltage across the device (V) and current (A), shape (n,), as measured: the offsets of `fit` are applied here.
    fit
        Any fit with gap, normal_resistance, dynes, voltage_offset and current_offset. One of this very curve at one
        temperature is biased where the device cools itself: take the fit of a curve at a temperature that does not
        vary with bias (a warm bath, a probe junction of the same chip), or of the heat balance. Or the values
        themselves: name → pair (value, σ), or number of the `uncertainties` package; a σ of 0 is exact.
    noise
        Standard deviation of one current reading (A); the `noise` of a fit of the current that left no structure.
    series_resistance
        Of the bias line (ohm), whose drop was subtracted from the voltage, and the current's noise with it.
    junctions
        1 (probe, thermometer, STM), 2 (a pair in series), or (series, parallel) of an array; by default those of `fit`.
    andreev, leakage_resistance
        Andreev channel of each junction, and a resistance (ohm) in parallel to the device; taken as exact. If they
        exist and are left out, their current is taken for hot electrons deep in the gap.

    Returns
    -------
    ElectronTemperature
        With NaN and a reason where the current lies within 5σ of that at T = 0 (deep in the gap, at zero bias) or below
        it. There the electrons are cold or, beyond the gap, where dI/dT changes its sign, two temperatures give
        the same current. Andreev current, which may fall with the temperature, is treated alike.

    Raises
    ------
    FitError
        With data that are complex, empty, of different shapes or not finite, a fit that lacks a parameter, a noise or
        resistance out of range, or where not a single point determines a temperature.

    """
    applied, reading = real_columns(advice=PHASE_ADVICE, device_voltage=device_voltage, current=current)
    usable = finite_points(applied, reading)
    check_numbers(noise=noise, series_resistance=series_resistance)
    known = _known(fit)
    array = JunctionArray.of_fit(known) if junctions is None else JunctionArray.of(junctions)
    gap, resistance, dynes, voltage_offset, current_offset = map(float, known.values)
    bias = np.where(usable, applied + voltage_offset, 0.0)
    # Everything is odd in the voltage.
    side = np.where(bias < 0, -1.0, 1.0)
    measured = np.where(usable, side * (reading - current_offset), 0.0)
    device = KnownDevice(
        NISJunction(gap, resistance, dynes),
        andreev,
        0.0 if leakage_resistance is None else 1 / leakage_resistance,
        np.abs(bias) / array.series,
        array,
    )
    kelvin = gap * e / k
    frozen, hottest = (device.current(np.full(bias.shape, t * kelvin)) for t in (COLDEST, WARMEST))
    invertible = usable & (measured > frozen) & (measured < hottest)
    temperature = np.full(bias.shape, 0.05 * kelvin)
    temperature[invertible] = electron_temperature(device.at(invertible), measured[invertible])
    conductance = device.conductance(temperature)
    scatter = noise * (1 + series_resistance * conductance)
    by_known = np.stack([*device.junction_slopes(temperature), side * conductance, side], axis=-1)
    shared = -by_known @ _root(known.covariance)
    uncertainty = np.hypot(scatter, np.linalg.norm(shared, axis=1))
    excess = measured - frozen
    reason = np.select(
        [~usable, measured >= hottest, excess < -_SIGNIFICANT * uncertainty, excess < _SIGNIFICANT * uncertainty],
        [_MISSING, _TOO_MUCH, _AMBIGUOUS, _FAINT],
        "",
    )
    found = reason == ""
    # A current that is no more than that at T = 0 has no slope to divide by.
    slope = np.where(found, device.temperature_slope(temperature), np.nan)
    if not found.any():
        reasons, counts = np.unique(reason, return_counts=True)
        raise FitError(
            f"no point determines a temperature: {reasons[np.argmax(counts)]}; are voltage and current in volt and "
            "ampere, and does the fit belong to this device?"
        )
    return ElectronTemperature(
        applied,
        np.where(found, temperature, np.nan),
        scatter / slope,
        shared / slope[:, None],
        reason,
        replace(known, inputs=array.inputs),
        noise * series_resistance,
    )


def cooling_power(
    temperatures: ElectronTemperature, bath_temperature: float, *, bath_sigma: float = 0.0
) -> CoolingPower:
    """Cooling power of an island at the electron temperatures that the current gave.

    It is 2·P_NIS(V/2, T_e, T_S) of both junctions, or that of the one junction there is.

    Parameters
    ----------
    temperatures
        Of an isotherm inversion; points without a temperature have no power either (NaN).
    bath_temperature
        Of the superconductors (K), taken as being in equilibrium with the bath.
    bath_sigma
        Its standard deviation (K).

    Returns
    -------
    CoolingPower
        Positive where heat leaves the normal metal (Rajauria et al., eq. 4). The noise of a point acts through
        its temperature and its voltage, common uncertainties directly and through the temperatures.

    Raises
    ------
    FitError
        For a bath temperature that is not positive.

    """
    check_numbers(bath_temperature=bath_temperature, bath_sigma=bath_sigma)
    if bath_temperature == 0:
        raise FitError("bath_temperature is 0 K; it must be positive")
    gap, resistance, dynes, voltage_offset, _ = map(float, temperatures.known.values)
    junction, found = NISJunction(gap, resistance, dynes), temperatures.determined
    array = JunctionArray.of_fit(temperatures.known)
    # Junctions of an island.
    sides = 2 / array.islands
    bias = temperatures.device_voltage[found] + voltage_offset
    at = np.abs(bias) / array.series, temperatures.electron_temperature[found], bath_temperature
    by_temperature = sides * junction.cooling_power_derivative("temperature", *at)
    by_voltage = sides / array.series * junction.cooling_power_derivative("voltage", *at)  # of the device
    by_known = [sides * junction.cooling_power_derivative(name, *at) for name in ("gap", "resistance", "dynes")]
    by_known += [np.sign(bias) * by_voltage, np.zeros_like(bias)]
    # What the superconductors return does not depend on the bias; at V = 0 the two metals exchange their roles.
    by_bath = -sides * junction.cooling_power_derivative("temperature", 0.0, bath_temperature, bath_temperature)
    common = np.full((found.size, len(KNOWN) + 1), np.nan)
    through_known = np.stack(by_known, axis=-1) @ _root(temperatures.known.covariance)
    common[found, :-1] = through_known + by_temperature[:, None] * temperatures.common[found]
    common[found, -1] = by_bath * bath_sigma
    statistical, power = np.full(found.shape, np.nan), np.full(found.shape, np.nan)
    statistical[found] = np.abs(
        by_temperature * temperatures.statistical[found] - by_voltage * temperatures.voltage_noise
    )
    power[found] = sides * junction.cooling_power(*at)
    return CoolingPower(temperatures.device_voltage, power, statistical, common)


def finite_points(*columns: Real) -> Bool:
    """Where all columns are finite; FitError where that is nowhere."""
    usable = np.asarray(np.isfinite(columns).all(axis=0))
    if not usable.any():
        raise FitError(f"none of {usable.size} points is finite: there is nothing to evaluate")
    return usable


def _known(fit: FitResult | Mapping[str, Any]) -> FitResult:
    if not isinstance(fit, FitResult):
        fit = result_from_mapping("known values", fit, UNITS)
    missing = [name for name in KNOWN if name not in fit.names]
    if missing:
        raise FitError(f"the fit of {fit.model} has no {', '.join(missing)}; a fit of the current has")
    return fit.select(KNOWN)


def _root(covariance: Real) -> Real:
    """A with A·Aᵀ = `covariance`, which may be singular where a parameter is fixed."""
    sigma = np.sqrt(np.diag(covariance))
    unit = np.where(sigma > 0, sigma, 1.0)
    eigenvalues, vectors = np.linalg.eigh(covariance / np.outer(unit, unit))
    return np.asarray(unit[:, None] * vectors * np.sqrt(np.maximum(eigenvalues, 0)))
