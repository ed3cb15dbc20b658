"""Electron temperature and gap of a cooler together, at every bias, from its current and its lock-in conductance.

Warmer electrons and a smaller gap change the current alike, but not the slope of the curve: along the steady states

    dI/dV = ∂I/∂V + (∂I/∂T_e)(dT_e/dV) + (∂I/∂Δ)(dΔ/dV),

and dT_e/dV follows from the heat balance (the joint solution of conductance and heat transport in the KAKENHI report on
suspended coolers). I and dI/dV are then two equations for T_e and Δ.

dΔ/dV must be given. Differences of the gaps found at neighbouring points cannot supply it: I(V) and dI/dV are one
curve, so that the second equation then only requires that T_e(V) has the slope given by the balance, which a family of
T_e(V) and Δ(V) fulfils. dΔ/dV is that of the cooler's superconductor, and 0 without one; the gaps that are found show
whether this was right.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.constants import e, k

from labnis.fit.arrays import Bool, Real, check_numbers, real_array, real_columns
from labnis.fit.junction._excitation import device_cycle, first_harmonic, phases
from labnis.fit.junction.thermometry import PHASE_ADVICE, finite_points
from labnis.fit.result import FitError
from labnis.physics import NISJunction, NoOperatingPointError, OperatingPoint, SINISCooler

__all__ = ["TemperatureAndGap", "temperature_and_gap"]

# Relative steps in T_e and Δ (and in eV/Δ) of the differences that make the Jacobian.
_STEP_T, _STEP_GAP = 1e-4, 1e-5
# Newton's method: largest relative steps in T_e and Δ, number of steps, and tolerance.
_STRIDE, _STEPS, _CONVERGED = np.array([0.2, 0.02]), 25, 1e-8
# Largest gap of a solution, as a part of that at which the search begins: quasiparticles only lower it.
_LARGEST_GAP = 1.3
# Step (V) of a difference along the curve.
_SHIFT = 1e-8
# Current and conductance must exceed this many of their standard deviations.
_SIGNIFICANT = 5.0
# Largest relative standard deviation of T_e and Δ that are determined.
_SMALL = 0.1

_MISSING = "the point is not finite"
_FAINT = "current or conductance does not stand out from its noise"
_NONE = "no temperature and gap give this current and conductance"
_UNDETERMINED = "within the noise, current and conductance do not separate temperature from gap"


@dataclass(frozen=True)
class TemperatureAndGap:
    """Electron temperature (K) and gap (eV) along an I–V curve; NaN where the data do not determine the pair.

    Attributes
    ----------
    device_voltage, electron_temperature, gap
        Shape (n,).
    covariance
        Of (T_e, Δ) at each point from the noise of current and conductance, shape (n, 2, 2), in K², K·eV and eV²; the
        points are independent of each other. Junctions and heat balance are taken as exact.
    reason
        Why there is no pair, shape (n,); empty where there is one.
    warnings
        Reasons for doubt.

    """

    device_voltage: Real
    electron_temperature: Real
    gap: Real
    covariance: Real
    reason: NDArray[np.str_]
    warnings: tuple[str, ...]

    @property
    def temperature_sigma(self) -> Real:
        """Standard deviation (K) of each temperature."""
        return np.sqrt(self.covariance[:, 0, 0])

    @property
    def gap_sigma(self) -> Real:
        """Standard deviation (eV) of each gap."""
        return np.sqrt(self.covariance[:, 1, 1])

    @property
    def determined(self) -> Bool:
        """Where there is a pair."""
        return np.isfinite(self.gap)


def temperature_and_gap(
    device_voltage: ArrayLike,
    current: ArrayLike,
    conductance: ArrayLike,
    cooler: SINISCooler,
    bath_temperature: float,
    *,
    current_noise: ArrayLike,
    conductance_noise: ArrayLike,
    series_resistance: float = 0.0,
    excitation: float = 0.0,
) -> TemperatureAndGap:
    """Solve for (T_e, Δ) at every bias from the current and the conductance of a SINIS cooler.

    Parameters
    ----------
    device_voltage, current, conductance
        Voltage across the pair (V), current (A) and dI/dV (S) of the device, shape (n,), without their offsets and
        without the drop over the bias line.
    cooler
        Its heat balance; resistance and broadening of its junctions. Its gap is the start of the search. With
        a superconductor that supplies dΔ/dV, else dΔ/dV = 0.
    bath_temperature
        Of bath and superconductors (K).
    current_noise, conductance_noise
        Standard deviations of one reading (A) and (S), each one number or one for each point: the noise of
        G = g/(1 − g·R_s) grows with (1 + G·R_s)², and one of the voltage is one of the current in proportion to G.
    series_resistance
        Of the bias line (ohm): it correlates the noise of current and voltage and reduces the excitation at the device.
    excitation
        Lock-in excitation on the bias line (V rms). Mean current and first harmonic over a cycle differ from I and
        dI/dV by the factor that the cooler's own steady states show, and so does dI/dV by the moving gap.

    Returns
    -------
    TemperatureAndGap
        With a warning where the gaps found do not follow those that the cooler predicts, up to a common shift.

    Raises
    ------
    FitError
        With data that are complex, empty, of different shapes or not finite, noise that is not positive, a cooler
        without a steady state at one of the biases, or where not a single point determines the pair.

    """
    bias, *readings = real_columns(
        advice=PHASE_ADVICE, device_voltage=device_voltage, current=current, conductance=conductance
    )
    usable = finite_points(bias, *readings)
    check_numbers(series_resistance=series_resistance, excitation=excitation)
    scatter = [
        _noise_of("current_noise", current_noise, usable), _noise_of("conductance_noise", conductance_noise, usable)
    ]  # fmt: skip
    voltage, count = bias[usable], int(usable.sum())
    measured = np.stack(readings)[:, usable]
    noise = np.stack(scatter)
    # Every point, and beside it another for the derivative by the voltage.
    predicted = _predicted(cooler, np.concatenate([voltage, voltage + _SHIFT]), bath_temperature)
    factor, beside = np.split(_idealising(cooler, predicted, excitation, series_resistance), 2, axis=1)
    curve = _Curve(replace(cooler, superconductor=None), predicted).of(np.arange(count))
    bright = (np.abs(measured) > _SIGNIFICANT * noise).all(axis=0)
    pair, converged = _solved(curve, np.where(bright, measured * factor, np.nan))
    # Noise of the current lowers the device voltage by R_s times as much.
    by_voltage = series_resistance * (curve.voltage_slope(pair) - measured * (beside - factor) / _SHIFT)
    spread = _spread(curve.jacobian(pair), noise, factor, by_voltage)
    clear = _is_determined(curve, pair, spread)
    reason = np.full(usable.shape, _MISSING, dtype=f"<U{max(map(len, (_FAINT, _NONE, _UNDETERMINED)))}")
    reason[usable] = np.select([~bright, ~converged, ~clear], [_FAINT, _NONE, _UNDETERMINED], "")
    found = reason == ""
    if not found.any():
        reasons, counts = np.unique(reason, return_counts=True)
        raise FitError(f"no point determines temperature and gap: {reasons[np.argmax(counts)]}")
    values, covariance = np.full((2, found.size), np.nan), np.full((found.size, 2, 2), np.nan)
    values[:, usable] = pair
    # From relative deviations to K and eV.
    absolute = np.moveaxis(spread * pair[:, None], -1, 0)
    covariance[usable] = absolute @ np.swapaxes(absolute, 1, 2)
    values[:, ~found], covariance[~found] = np.nan, np.nan
    gap_sigma = np.sqrt(covariance[usable, 1, 1])
    warnings = _gap_warnings(values[1, usable] - curve.point.gap, gap_sigma)
    return TemperatureAndGap(bias, values[0], values[1], covariance, reason, warnings)


def _noise_of(name: str, noise: ArrayLike, usable: Bool) -> Real:
    """The `noise` of the points that are `usable`; FitError where it is not positive."""
    given = real_array(name, noise)
    if given.shape not in {(), usable.shape}:
        raise FitError(f"{name} has shape {given.shape}; one number or {usable.shape} is needed")
    found = np.broadcast_to(given, usable.shape)[usable]
    if not ((found > 0) & np.isfinite(found)).all():
        raise FitError(f"{name} must be finite and positive; take it from repeated readings")
    return np.asarray(found)


def _predicted(cooler: SINISCooler, device_voltage: Real, bath_temperature: float) -> OperatingPoint:
    try:
        return cooler.operating_point(device_voltage, bath_temperature)
    except NoOperatingPointError as error:
        raise FitError(f"the cooler has no steady state there, leave this bias out: {error}") from error


@dataclass(frozen=True)
class _Curve:
    """Current and dI/dV along the steady states of `cooler`, whose gap does not move, about a predicted `point`."""

    cooler: SINISCooler
    point: OperatingPoint

    def at(self, pair: Real, shift: float = 0.0) -> Real:
        """I (A) and dI/dV (S), shape (2, n), for a `pair` of T_e and Δ (2, n), the voltage shifted by `shift` (V)."""
        temperature, gap = pair
        voltage = self.point.device_voltage + shift
        point = replace(self.point, device_voltage=voltage, electron_temperature=temperature, gap=gap)
        return np.stack([self._current(point), self.cooler.conductance(point)])

    def of(self, points: NDArray[np.intp]) -> "_Curve":
        return _Curve(self.cooler, OperatingPoint(**{name: array[points] for name, array in vars(self.point).items()}))

    def _current(self, point: OperatingPoint) -> Real:
        junction, gap, voltage = self.cooler.junction, point.gap, point.device_voltage / 2
        # In units of the gap all junctions are alike.
        unit = NISJunction(1.0, 1.0, junction.dynes)
        current = gap / junction.resistance * unit.current(voltage / gap, point.electron_temperature / gap)
        if self.cooler.andreev is not None:
            andreev = self.cooler.andreev.linearised(voltage, point.electron_temperature, junction, gap=gap)
            current = current + andreev.current
        if self.cooler.leakage_resistance is not None:
            current = current + 2 * voltage / self.cooler.leakage_resistance
        return np.asarray(current)

    def jacobian(self, pair: Real) -> Real:
        """∂(I, dI/dV)/∂(ln T_e, ln Δ), shape (2, 2, n)."""
        steps = np.diag([_STEP_T, _STEP_GAP])
        columns = [
            (self.at(pair * (1 + step[:, None])) - self.at(pair * (1 - step[:, None]))) / (2 * step.max())
            for step in steps
        ]
        return np.stack(columns, axis=1)

    def voltage_slope(self, pair: Real) -> Real:
        """∂(I, dI/dV)/∂V_device at constant T_e and Δ, shape (2, n)."""
        step = _STEP_GAP * self.cooler.junction.gap
        return (self.at(pair, step) - self.at(pair, -step)) / (2 * step)


def _idealising(cooler: SINISCooler, point: OperatingPoint, excitation: float, series_resistance: float) -> Real:
    """Factors that convert mean current and first harmonic to I and dI/dV at constant gap, shape (2, n)."""
    conductance, fixed_gap = cooler.conductance(point), replace(cooler, superconductor=None).conductance(point)
    if excitation == 0:
        return np.stack([np.ones_like(conductance), fixed_gap / conductance])
    bath, limit = float(point.bath_temperature[0]), 2 * k / e * point.electron_temperature

    def states(voltage: Real, _points: object) -> tuple[Real, Real]:
        states = _predicted(cooler, voltage, bath)
        return states.current, cooler.conductance(states)

    line = np.sqrt(2) * excitation * phases(8)
    voltage = device_cycle(states, point.device_voltage, line, series_resistance, limit)
    current = _predicted(cooler, voltage, bath).current
    harmonic = first_harmonic(current) / first_harmonic(voltage)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.stack([point.current / current.mean(axis=-1), fixed_gap / harmonic])


def _solved(curve: _Curve, wanted: Real) -> tuple[Real, Bool]:
    """The pairs (2, n) that give `wanted`, by Newton's method for their logarithms, and where it converged."""
    pair = np.stack([curve.point.electron_temperature, curve.point.gap])
    converged = np.zeros(pair.shape[1], bool)
    active = np.flatnonzero(np.isfinite(wanted).all(axis=0))
    for _ in range(_STEPS):
        here, now, aim = curve.of(active), pair[:, active], wanted[:, active]
        with np.errstate(divide="ignore", invalid="ignore"):
            value = here.at(now)
            error = np.log(aim / value)
            step = _quotient(here.jacobian(now) / value[:, None], error)
        done, lost = (np.abs(error) < _CONVERGED).all(axis=0), ~np.isfinite(step).all(axis=0)
        converged[active[done]] = True
        step = np.where(done | lost, 0, np.clip(step, -_STRIDE[:, None], _STRIDE[:, None]))
        pair[:, active] = now * np.exp(step)
        active = active[~(done | lost)]
        if not active.size:
            break
    # Another pair may give the same current and conductance, far inside a gap that no such superconductor has.
    return pair, converged & (pair[1] <= _LARGEST_GAP * curve.point.gap)


def _determinant(matrix: Real) -> Real:
    return np.asarray(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0])


def _quotient(matrix: Real, vector: Real) -> Real:
    """matrix⁻¹·vector for a matrix (2, 2, n) and one or more vectors (2, ..., n)."""
    (a, b), (c, d) = matrix
    x, y = vector
    return np.stack([d * x - b * y, a * y - c * x]) / _determinant(matrix)


def _spread(jacobian: Real, noise: Real, factor: Real, by_voltage: Real) -> Real:
    """Change of (ln T_e, ln Δ) by one standard deviation of the current's and of the conductance's noise, (2, 2, n).

    Noise of the current acts by itself and, `by_voltage`, through that of the device.
    """
    errors = np.stack([[factor[0] + by_voltage[0], np.zeros_like(factor[0])], [by_voltage[1], factor[1]]]) * noise
    with np.errstate(divide="ignore", invalid="ignore"):
        return _quotient(jacobian, errors)


def _is_determined(curve: _Curve, pair: Real, spread: Real) -> Bool:
    """Whether the error bar is small, and the Jacobian much the same within three of it.

    Where its determinant changes sign, two solutions meet, and noise leads from one to the other.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        small = np.isfinite(spread).all(axis=(0, 1)) & (np.abs(spread) < _SMALL).all(axis=(0, 1))
        here = _determinant(curve.jacobian(pair) / curve.at(pair)[:, None])
        for direction in (*np.moveaxis(spread, 1, 0), *np.moveaxis(-spread, 1, 0)):
            aside = pair * np.exp(3 * np.where(small, direction, 0))
            there = _determinant(curve.jacobian(aside) / curve.at(aside)[:, None])
            small &= np.abs(there / here - 1) < 0.5
    return np.asarray(small)


def _gap_warnings(deviation: Real, sigma: Real) -> tuple[str, ...]:
    """Whether the gaps deviate from the predicted ones by more than a common shift and their noise."""
    found = np.isfinite(sigma)
    deviation, weight, freedom = deviation[found], sigma[found] ** -2, int(found.sum()) - 1
    chi2 = float((weight * (deviation - (weight * deviation).sum() / weight.sum()) ** 2).sum())
    # χ²/ν of random deviations scatters by √(2/ν).
    if chi2 <= freedom + 5 * np.sqrt(2 * freedom):
        return ()
    return (
        f"the gaps found do not move with the bias as assumed (χ²/ν = {chi2:.3g}/{freedom}): their dΔ/dV was wrong, "
        "and with it temperatures and gaps; give the cooler a superconductor, or other rates or heat balance",
    )
