"""A fit of some components of an island to few points of a curve, and what it says of those that are not there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
from scipy.optimize import least_squares

from labnis.fit._residuals import noise_between_neighbours
from labnis.fit.arrays import Real
from labnis.fit.estimate import ONE_SIDED
from labnis.fit.given import known_before
from labnis.fit.junction._gap_loss import LOSSES, RESULTS, gap_loss_columns
from labnis.fit.junction._heated_pair import HeatedPair, Readings, island_prior
from labnis.fit.junction._injection import INJECTION, small_loss
from labnis.fit.junction._island import (
    ANDREEV,
    COMPONENTS,
    DEPHASING_RATE,
    HEAT,
    KAPITZA,
    LOWER_BOUNDS,
    SLOWEST_DEPHASING,
    IslandState,
)
from labnis.fit.parameters import Parameter, prior_rows
from labnis.physics import NoOperatingPointError

__all__ = [
    "ADMITTED",
    "LIMIT_ACCURACY",
    "MATTERS",
    "STEPS",
    "Score",
    "Trial",
    "island_parameters",
    "with_kapitza",
    "without_small_kapitza",
]

#: Steps at most.
STEPS = 30
#: By how much χ² falls for a component that is taken in.
ADMITTED = 10.0
#: A component matters if the variance of a result is so many times as large with it.
MATTERS = 1.2
# Relative accuracy.
_ACCURACY = 1e-5
#: Relative accuracy of a limit.
LIMIT_ACCURACY = 0.05
# Steps at most towards it.
_LIMIT_STEPS = 10
# Results on which a component may have an effect.
# A parameter whose value changes the residuals by less than this part of their noise is at its bound.
_SHOWS = 0.1
# Upper limit of both resistances to heat (K⁵/W, K⁴/W), and bounds of the temperature without bias (K).
_LARGEST, _COLDEST, _WARMEST = 1e13, 4e-3, 1.0
# A search begins at this temperature (K) and Dynes parameter at least: below, the current hardly depends on them.
_WARM, _BROAD = 0.05, 1e-5


@dataclass(frozen=True)
class Trial:
    """A fit of the components among the names of its model: `values`, and χ² in units of the noise given to it."""

    model: HeatedPair
    values: dict[str, float]
    residuals: Real

    @classmethod
    def of(cls, readings: Readings, parameters: Sequence[Parameter], noise: float, steps: int = STEPS) -> Self:
        """Minimise from the start values of the `parameters`, with the dephasing rate's prior, in so many `steps`."""
        names = [p.name for p in parameters]
        start = np.array([p.start for p in parameters])
        free = np.array([not p.fixed for p in parameters])
        scale = np.array([p.scale for p in parameters])[free]
        bounds = [np.array([getattr(p, side) for p in parameters])[free] / scale for side in ("lower", "upper")]
        model = HeatedPair.of(readings, names, start)
        matrix, target = prior_rows(names, known_before(parameters, island_prior(names), readings.given).prior)

        def whole(u: Real) -> Real:
            x = start.copy()
            x[free] = u * scale
            return x

        def rows(u: Real) -> Real:
            x = whole(u)
            return np.concatenate([model.apart_from_line(model.residuals(x)) / noise, matrix @ x - target])

        def slopes(u: Real) -> Real:
            rows = model.apart_from_line(model.jacobian(whole(u))) / noise
            return np.asarray(np.vstack([rows, matrix])[:, free] * scale)

        inside = np.clip(start[free] / scale, bounds[0] + 1e-12, bounds[1] - 1e-12)
        found = least_squares(
            rows, inside, slopes, bounds, x_scale="jac", xtol=_ACCURACY, ftol=_ACCURACY, max_nfev=steps
        )
        x = whole(found.x)
        return cls(model, dict(zip(names, map(float, x), strict=True)), model.apart_from_line(model.residuals(x)))

    @property
    def noise(self) -> float:
        return noise_between_neighbours(self.residuals, np.ones(self.residuals.shape, bool))

    def chi2(self, noise: float) -> float:
        return float(self.residuals @ self.residuals) / noise**2

    def scores(self, noise: float) -> "dict[str, Score]":
        """What is known of each component that is not there."""
        return _scores(self.model, self.values, self.residuals, noise)

    def kapitza_limit(self, noise: float, near: float | None = None) -> tuple[float, float]:
        """Upper limit (95 %, K⁴/W) of a Kapitza resistance that is not there, and the growth as in a `Score`.

        Both are NaN without a steady state.

        A small one does what more electron–phonon resistance does, h + 5T_0·g/4, and beyond that what its square does:
        so the slopes are those at half the limit. It is searched from `near`, if that is known.
        """
        limit, growth, rest = near or self.values[HEAT], np.nan, self.residuals / noise
        for _ in range(_LIMIT_STEPS):
            values = with_kapitza(self.values, limit / 2)
            there = {name: values[name] for name in self.values}
            try:
                state = self.model.state_of(values, [*values])
            except NoOperatingPointError:
                return np.nan, np.nan
            columns = -self.model.apart_from_line(self.model.slopes(state.current_slopes)) / noise
            score = _known(columns, [*values], there, rest, _of_extremes(state)).get(KAPITZA)
            if score is None:
                return np.nan, np.nan
            # Where the square counts, σ is in inverse proportion to the limit.
            before = limit
            limit = min(float(np.sqrt(limit * (max(score.estimate, 0.0) + ONE_SIDED * score.sigma))), _LARGEST)
            growth = score.growth
            if abs(limit / before - 1) < LIMIT_ACCURACY:
                break
        return limit, growth


def with_kapitza(values: Mapping[str, float], kapitza: float) -> dict[str, float]:
    """The `values` with this Kapitza resistance (K⁴/W), and as much less of h as leaves all as it is to first order."""
    less = values[HEAT] - 1.25 * values["electron_temperature"] * kapitza
    return {**values, HEAT: max(less, 0.1 * values[HEAT]), KAPITZA: kapitza}


def without_small_kapitza(values: Mapping[str, float]) -> dict[str, float]:
    """The `values` without their Kapitza resistance, with as much more of h: inverse of `with_kapitza`."""
    more = values[HEAT] + 1.25 * values["electron_temperature"] * values[KAPITZA]
    return {name: value for name, value in {**values, HEAT: more}.items() if name != KAPITZA}


class Score(NamedTuple):
    """Linear estimate of a component and its σ; by which factor it increases the variance of a result at most.

    `moved` are gap (eV), resistance (ohm) and temperature (K) that a fit without a component of 1 has too large.
    """

    estimate: float
    sigma: float
    growth: float
    moved: Real

    @property
    def shows(self) -> bool:
        """Whether a fit with the component would be better by enough to take it in, as far as slopes tell."""
        return self.estimate > 0 and (self.estimate / self.sigma) ** 2 > ADMITTED

    @property
    def matters(self) -> bool:
        """Whether a result depends on it."""
        return self.growth > MATTERS


def _scores(model: HeatedPair, values: Mapping[str, float], residuals: Real, noise: float) -> dict[str, Score]:
    """What is known of each component and loss of gap that is not among the `values`, while all others follow."""
    names = [*values, *(name for name in COMPONENTS if name not in (*values, INJECTION))]
    losses = [name for name in LOSSES if name not in values]
    try:
        state = model.state_of(values, [*names, INJECTION])
        columns = np.hstack([model.slopes(state.current_slopes)[:, :-1], gap_loss_columns(model, values)])
    except NoOperatingPointError:
        return {}
    extremes, by_injection = np.split(_of_extremes(state), [-1], axis=1)
    # By the part of the gap that is lost at the end of the sweep; what warming does to them is not known.
    whole = small_loss(values["gap"], values["electron_temperature"]) * np.abs(state.current).max()
    by_loss = [by_injection / whole if name == INJECTION else np.zeros((2, 1)) for name in losses]
    rows = -model.apart_from_line(columns) / noise
    return _known(rows, [*names, *losses], values, residuals / noise, np.hstack([extremes, *by_loss]))


def _of_extremes(state: IslandState) -> Real:
    """Slopes of the lowest electron temperature and of the largest cooling power by the p parameters, shape (2, p)."""
    at = state.temperature.argmin(), state.cooling_power.argmax()
    slopes = state.temperature_slopes, state.cooling_power_slopes
    return np.stack([slope.reshape(-1, slope.shape[-1])[i] for i, slope in zip(at, slopes, strict=True)])


def _known(
    columns: Real, names: Sequence[str], values: Mapping[str, float], residuals: Real, extremes: Real
) -> dict[str, Score]:
    """What is known of each parameter behind the first ones, whose `values` there are; columns and residuals per noise.

    Nothing, and no score, of one that does only what those that are there do as well. `extremes` are slopes of further
    results by all of the parameters, shape (2, p).
    """
    count, x = len(values), np.array([*values.values()])
    matrix, target = prior_rows([*values], island_prior([*values]))
    before = np.hstack([matrix, np.zeros((matrix.shape[0], len(names) - count))])
    columns, residuals = np.vstack([columns, before]), np.concatenate([residuals, target - matrix @ x])
    size = np.maximum(np.linalg.norm(columns, axis=0), np.finfo(float).tiny)
    basis, _ = np.linalg.qr(columns[:, :count] / size[:count])
    at = [names.index(name) for name in RESULTS]
    results = np.vstack([np.eye(len(names))[at], extremes])
    # With what is at its bound, and can only grow, the results would seem to be known worse than they are.
    absent = np.array([name in LOWER_BOUNDS for name in values]) & (np.abs(x) * size[:count] < _SHOWS)
    few, triangle = np.linalg.qr(columns[:, :count][:, ~absent] / size[:count][~absent])
    by_data = results[:, :count][:, ~absent] / size[:count][~absent] @ np.linalg.pinv(triangle)
    variance = np.maximum((by_data**2).sum(axis=1), np.finfo(float).tiny)
    found = {}
    for k in range(count, len(names)):
        column = columns[:, k]
        own, alone = (_apart(column, known) for known in (basis, few))
        information = float(own @ own)
        if information > 1e-20 * float(column @ column):
            follows = by_data @ (few.T @ column) - results[:, k]
            growth = 1 + float((follows**2 / variance).max()) / float(alone @ alone)
            estimate = float(own @ residuals) / information
            found[names[k]] = Score(estimate, information**-0.5, growth, follows[: len(at)])
    return found


def _apart(column: Real, basis: Real) -> Real:
    """The part of a column (n,) outside the space of an orthonormal `basis` (n, p); in two steps, for accuracy."""
    for _ in range(2):
        column = column - basis @ (basis.T @ column)
    return column


def island_parameters(
    values: Mapping[str, float], components: Sequence[str], fixed: Mapping[str, float]
) -> list[Parameter]:
    """The parameters of the pair and of the `components`, started at `values`."""
    v = dict(values)
    gap, resistance = v["gap"], v["normal_resistance"]
    warm, broad = max(v["electron_temperature"], _WARM), max(v["dynes"], _BROAD)
    parameters = [
        Parameter("gap", "eV", gap, gap, 0.2 * gap, 5 * gap),
        Parameter("normal_resistance", "ohm", resistance, resistance, 0.05 * resistance, 20 * resistance),
        Parameter("electron_temperature", "K", warm, 0.1, _COLDEST, _WARMEST, may_vanish=True, least_start=_WARM),
        Parameter("dynes", "1", broad, 1e-4, 0.0, 0.3, may_vanish=True, least_start=_BROAD),
        Parameter("voltage_offset", "V", v["voltage_offset"], 1e-5),
        Parameter("current_offset", "A", v["current_offset"], 1e-2 * gap / resistance),
    ]
    largest = {
        HEAT: _LARGEST,
        KAPITZA: _LARGEST,
        "leakage_conductance": 1 / resistance,
    }
    # Values that matter: both resistances to heat are alike at 1 K, and the gap over the resistance is a current.
    heat = v.get(HEAT, _LARGEST)
    sizes = {HEAT: heat, KAPITZA: heat, "leakage_conductance": 1 / resistance}
    sizes |= {INJECTION: resistance / gap} | dict.fromkeys(ANDREEV, 1.0)
    for name in components:
        scale = max(abs(v[name]), 1e-3 * sizes[name])
        parameters.append(Parameter(name, COMPONENTS[name], v[name], scale, 0.0, largest.get(name, np.inf)))
    if set(components) & set(ANDREEV):
        rate = v.get("dephasing_rate", DEPHASING_RATE[0])
        size, slowest = DEPHASING_RATE[0], SLOWEST_DEPHASING
        parameters.append(Parameter("dephasing_rate", "1/s", rate, size, slowest, may_vanish=True))
    return [replace(p, start=fixed[p.name], fixed=True) if p.name in fixed else p for p in parameters]
