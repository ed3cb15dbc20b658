"""Current and lock-in conductance of a pair, fitted together: one set of parameters, and each reading counts once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from labnis.fit._bounds import with_bounds
from labnis.fit._residuals import noise_between_neighbours, robust_scale
from labnis.fit.arrays import Bool, Real
from labnis.fit.estimate import number_text
from labnis.fit.given import known_before
from labnis.fit.junction._heated_pair import HeatedPair, Readings, island_prior
from labnis.fit.junction._island import HEAT, LOWER_BOUNDS, OPTIONAL
from labnis.fit.junction._line import GAIN, LINE, Line
from labnis.fit.junction._temperature_limit import temperature_limit
from labnis.fit.models import Model
from labnis.fit.parameters import Parameter, restarted
from labnis.fit.result import FitError, FitResult
from labnis.fit.solver import solve, without_outliers
from labnis.physics import NoOperatingPointError

__all__ = ["KAPITZA_LIMIT", "CurrentAndConductance", "joint_model", "model_of_readings", "solve_readings"]

#: Name of the limit of a Kapitza resistance (K⁴/W) that is nothing but bounded, among the inputs of a fit of a pair.
KAPITZA_LIMIT = "kapitza_limit"
# Rounds at most in which weights and excitation follow the parameters, and the change of the expected current, in units
# of its noise, and of the weights that ends them.
_ROUNDS, _SETTLED = 5, 0.03
# As many more nodes are needed for a curve that bends more sharply.
_FINER = 1.3
# Relative change of χ² that ends a search, which costs much on an island: a parameter then moves by 0.01σ.
_ACCURACY = 1e-7
# χ²/ν beyond which nothing that a search would still find is worth its time, and the change that ends it then.
_HOPELESS, _ROUGH = 50.0, 1e-3
# Names of the noises among the inputs of a fit: that of the current over that of the conductance (V), and that of the
# voltage over that of the current (ohm).
_RATIO, _VOLTAGE_NOISE = "noise_ratio", "voltage_noise"
# Logarithms between which the noise of the voltage is sought, in units of the least that the largest slope shows, and
# by how much it must increase the logarithm of the likelihood.
_VOLTAGE_NOISES, _SHOWS = (-4.0, 5.0), 8.0


@dataclass(frozen=True)
class CurrentAndConductance(Model):
    """Residuals of the current (A) at each voltage, then those of the conductance times `ratio` (A).

    The `conductance` (S), shape (k,), at the `known` of the n voltages, was computed from the line's g as
    g/(1 − g·R_s) with the stated R_s. `weight` (k,) undoes that it scatters (1 + G·R_s)² times as much as g, and what
    noise of the voltage adds. `ratio` (V) is the noise of the current over that of g.
    """

    pair: HeatedPair
    known: NDArray[np.intp]
    conductance: Real
    weight: Real
    ratio: float

    @classmethod
    def of(cls, pair: HeatedPair, conductance: Real, ratio: float) -> Self:
        """Both readings of a `pair`; without the `conductance` (n,) where it is not finite."""
        known = np.flatnonzero(np.isfinite(conductance))
        mask = np.concatenate([pair.mask, np.ones(known.size, bool)])
        return cls(pair, known, conductance[known], pair.share[known] ** 2, ratio, mask=mask)

    def with_voltage_noise(self, x: Real, voltage_noise: float) -> Self:
        """The same model, weighted for a noise of the voltage over that of the current (ohm), at the parameters `x`."""
        by_voltage = self._slopes(x)[:, self.pair.names.index("voltage_offset")]
        share = self.pair.share[self.known] ** 2
        return replace(self, weight=share / np.sqrt(1 + (voltage_noise * self.ratio * by_voltage * share) ** 2))

    def residuals(self, x: Real) -> Real:
        current = self.pair.residuals(x)
        if not np.isfinite(current).all():  # no steady state
            return np.full(self.mask.shape, np.nan)
        rest = (self.conductance - self.expected_conductance(x)[self.known]) * self.weight
        return np.concatenate([current, self.ratio * rest])

    def expected_conductance(self, x: Real) -> Real:
        """Conductance (S) of the device as it is computed from the expected readings, shape (n,)."""
        true, _ = self.pair.lockin(x)
        return self._line(x).reading(true)

    def jacobian(self, x: Real) -> Real:
        return np.vstack([self.pair.jacobian(x), -self.ratio * self.weight[:, None] * self._slopes(x)])

    def _slopes(self, x: Real) -> Real:
        """∂(expected conductance)/∂(parameter), shape (k, p)."""
        true, slopes = self.pair.lockin(x)
        by_conductance, by_error, by_gain = self._line(x).slopes(true)
        by_parameter, names = by_conductance[:, None] * slopes, self.pair.names
        by_parameter[:, names.index(GAIN)] += by_gain
        if LINE in names:
            by_parameter[:, names.index(LINE)] += by_error
        return np.asarray(by_parameter[self.known])

    def _line(self, x: Real) -> Line:
        values = dict(zip(self.pair.names, map(float, x), strict=True))
        return Line(self.pair.readings.series_resistance, values.get(LINE, 0.0), values[GAIN])

    def rows(self) -> NDArray[np.intp]:
        """The currents by rising voltage, and then the conductances."""
        return np.concatenate(self.orders())[None]

    def orders(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Numbers of the currents and of the conductances by rising voltage, (n,) and (k,)."""
        voltage = self.pair.device_voltage
        return self.pair.rows()[0], voltage.size + np.argsort(voltage[self.known], kind="stable")

    def noise_shapes(self, x: Real) -> Mapping[str, Real]:
        """As those of the current, and of the conductance."""
        slopes = self.jacobian(x)[:, self.pair.names.index("voltage_offset")]
        conductance = self.ratio * self.weight * self.expected_conductance(x)[self.known]
        signal = np.concatenate([self.pair.signal(x), conductance])
        return {
            "a voltage that jitters from point to point": np.abs(slopes),
            "noise in proportion to the reading": np.abs(signal),
        }

    def place(self, datum: int) -> str:
        """The voltage of a datum, in words."""
        n = self.pair.device_voltage.size
        return self.pair.place(datum if datum < n else int(self.known[datum - n]))

    def with_readings(self, voltage: Real, current: Real, conductance: Real) -> Self:
        """The same model of other readings at voltages (V) that differ a little, each (n,)."""
        return replace(self, pair=self.pair.with_readings(voltage, current), conductance=conductance[self.known])


def model_of_readings(fit: FitResult, readings: Readings) -> HeatedPair:
    """The model of the current in a `fit` by `solve_readings`, with the noise that it found."""
    return HeatedPair.of(readings, fit.names, fit.values, fit.inputs.get(_VOLTAGE_NOISE, 0.0))


def joint_model(fit: FitResult, readings: Readings, conductance: Real) -> CurrentAndConductance:
    """The model of a joint `fit` of current and `conductance` (S), shape (n,)."""
    model = CurrentAndConductance.of(model_of_readings(fit, readings), conductance, fit.inputs[_RATIO])
    return model.with_voltage_noise(fit.values, fit.inputs.get(_VOLTAGE_NOISE, 0.0))


def solve_readings(
    parameters: Sequence[Parameter],
    readings: Readings,
    name: str,
    assumed: Mapping[str, str],
    *,
    conductance: Real | None = None,
    earlier: FitResult | None = None,
) -> tuple[FitResult, HeatedPair]:
    """Fit the current, or current and lock-in `conductance` (S), shape (n,), together.

    In rounds: weights, excitation at the device and noise belong to the parameters that are found. With a conductance
    the gain of the lock-in is one of the parameters: what the current knows of the resistance is far more precise.

    Parameters
    ----------
    parameters
        Of the pair, its components and the line, started at a fit of the current.
    readings, conductance
        The data; NaN where there is no conductance.
    name, assumed
        As for `solve`.
    earlier
        A fit of the same data, at whose values the parameters start: the noise of its readings is taken over.

    Returns
    -------
    tuple
        The fit, whose residuals are those of the current and, behind them, those of the conductance; and its model of
        the current.

    Raises
    ------
    FitError
        As `solve`, or where the island has no steady state.

    """
    names, size = [p.name for p in parameters], readings.voltage.size
    prior = island_prior(names, readings.resistance_sigma, readings.kapitza_limit)
    inputs = {"series_resistance": readings.series_resistance, "excitation": readings.excitation}
    mask, ratio = np.ones(size, bool), 1.0
    noise, noises = (None, {}) if earlier is None else (earlier.noise, earlier.inputs)
    counted: Bool | None = None
    try:
        x = np.array([p.start for p in parameters])
        if earlier is None:
            x = _with_line_error(x, parameters, readings)
            parameters = restarted(parameters, x)
        pair = HeatedPair.of(readings, names, x)
        voltage_noise = _voltage_noise(pair, pair.residuals(x), x, mask)
        pair = HeatedPair.of(readings, names, x, voltage_noise) if voltage_noise else pair
        for _ in range(_ROUNDS):
            model: Model = pair.with_mask(mask)
            if conductance is not None:
                joint = CurrentAndConductance.of(pair.with_mask(mask), conductance, 1.0)
                ratio = noises[_RATIO] if _RATIO in noises and counted is None else _ratio_of_noises(joint, x)
                model = replace(joint, ratio=ratio).with_voltage_noise(x, voltage_noise)
            # Glitches that are known would lead the search astray, and back.
            if counted is not None:
                model = model.with_mask(counted)
            elif earlier is not None:
                model = without_outliers(model, x)
            hopeless = _misfit(pair, pair.residuals(x), mask) > _HOPELESS
            result = solve(
                parameters, model, name, assumed, prior=prior, given=readings.given, inputs=inputs,
                accuracy=_ROUGH if hopeless else _ACCURACY, noise=noise,
            )  # fmt: skip
            x, mask, noise, counted = result.values, result.mask[:size], result.noise, result.mask
            voltage_noise = _voltage_noise(pair, result.residuals[:size], x, mask)
            before, pair = pair, HeatedPair.of(readings, names, x, voltage_noise)
            if hopeless and _misfit(before, result.residuals[:size], mask) < _HOPELESS:
                parameters = restarted(parameters, x)
                continue
            if hopeless or _settled(pair, before, result.noise):
                break
            parameters = restarted(parameters, x)
        known = known_before(parameters, prior, readings.given).prior
        model = model.with_mask(result.mask)
        result = with_bounds(result, model, known, LOWER_BOUNDS, OPTIONAL)
        if HEAT in result.free:
            result = replace(result, limits=temperature_limit(result, model, known))
    except NoOperatingPointError as error:
        raise FitError(f"the island has no steady state: {error}") from error
    found = {_VOLTAGE_NOISE: voltage_noise} if voltage_noise else {}
    found |= {} if conductance is None else {_RATIO: ratio}
    found |= {KAPITZA_LIMIT: readings.kapitza_limit} if readings.kapitza_limit else {}
    scatter = voltage_noise * result.noise / readings.array.voltage
    told = (f"the voltage scatters by {number_text(scatter, 'V')}",) if voltage_noise else ()
    return replace(result, inputs={**result.inputs, **found}, notes=(*result.notes, *told)), before.with_mask(mask)


def _with_line_error(x: Real, parameters: Sequence[Parameter], readings: Readings) -> Real:
    """Start values with the error of the line that suits the others, without which they were found."""
    names = [p.name for p in parameters]
    if LINE not in names or parameters[names.index(LINE)].fixed:
        return x
    pair, line = HeatedPair.of(readings, names, x), names.index(LINE)
    slope, found = pair.jacobian(x)[:, line], x.copy()
    found[line] -= slope @ pair.residuals(x) / max(float(slope @ slope), np.finfo(float).tiny)
    return found


def _settled(now: HeatedPair, before: HeatedPair, noise: float) -> bool:
    """Whether another round would change the expected current by less than a small part of its noise."""
    moved = np.abs(now.correction - before.correction).max()
    if before.nodes.size and not 0 < now.nodes.size <= _FINER * before.nodes.size:
        return False  # the curve bends more sharply than was thought
    return bool(moved <= _SETTLED * noise and np.abs(now.weight / before.weight - 1).max() < _SETTLED)


def _misfit(pair: HeatedPair, residuals: Real, counts: Bool) -> float:
    """χ²/ν of the `residuals` of the current, in units of the noise between neighbours by voltage."""
    order = pair.rows()[0]
    noise = noise_between_neighbours(residuals[order], counts[order])
    return float(np.mean(residuals[counts] ** 2)) / noise**2


def _ratio_of_noises(joint: CurrentAndConductance, x: Real) -> float:
    """Noise of the current over that of the line's conductance (V), between most neighbours, at the parameters `x`."""
    rest = joint.residuals(x)
    current, conductance = (robust_scale(np.diff(rest[order[joint.mask[order]]])) for order in joint.orders())
    return current / conductance


def _voltage_noise(pair: HeatedPair, residuals: Real, x: Real, counts: Bool) -> float:
    """Noise of a voltage reading over that of a current reading (ohm); 0 unless the `residuals` show it.

    The likeliest, for differences of neighbours by voltage that are normal, with variance 1 + (q·G)² at the conductance
    G that the line leaves of the device. It takes the place of the noise with which the `pair` was weighted.
    """
    order = pair.rows()[0]
    both = counts[order][1:] & counts[order][:-1]
    plain = residuals * pair.share / pair.weight
    steps = np.diff(plain[order])[both] ** 2 / 2
    slopes = np.abs(pair.by_voltage(x)) * pair.share / pair.weight
    squares = ((slopes[order][1:] ** 2 + slopes[order][:-1] ** 2) / 2)[both]

    def unlikely(ratio: float) -> float:
        variance = 1 + ratio**2 * squares
        return float(steps.size * np.log((steps / variance).mean()) + np.log(variance).sum()) / 2

    typical = 1 / np.sqrt(squares.max())
    found = minimize_scalar(lambda log: unlikely(np.exp(log) * typical), bounds=_VOLTAGE_NOISES, method="bounded")
    ratio = float(np.exp(found.x) * typical)
    return ratio if unlikely(0.0) - found.fun > _SHOWS else 0.0
