"""Which components the heat balance of a cooler has, found from the currents of its isotherms together.

As for a single curve (`labnis.fit.junction._components`): the search begins with electrons that are coupled to phonons
of the bath's temperature, and takes in one component at a time, as long as χ² falls by more than 10 for each of its
parameters. It never drops one again. On top come components that the curves neither show nor exclude where a result
depends on them. What is left out has a limit.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares

from labnis.fit.arrays import Real
from labnis.fit.estimate import ONE_SIDED
from labnis.fit.junction._cooler_parameters import INVERSE, plain_name
from labnis.fit.junction._heated_pair import component_prior
from labnis.fit.junction._isotherm import Isotherm
from labnis.fit.junction._isotherm_parameters import isotherm_parameters, joined_prior
from labnis.fit.junction._isotherms import Sweeps, point_to_point
from labnis.fit.junction._line import LINE
from labnis.fit.parameters import prior_rows
from labnis.fit.result import FitError
from labnis.physics import AndreevChannel, NoOperatingPointError, SINISCooler

__all__ = ["ABSENT", "Found", "Limit", "find_components", "limits_of", "names_of"]

#: Units of what may be absent, as it is searched: with the inverse of the Kapitza coupling.
ABSENT = {
    "1/kapitza": "K⁴/W",
    "andreev_normal": "ohm/m",
    "andreev_superconductor": "ohm/m",
    "leakage_conductance": "S",
}
# Components, and the parameters in which the search finds them.
_GROUPS = (("1/kapitza",), ("andreev_normal", "andreev_superconductor"), ("leakage_conductance",))
# Parameters that every cooler has, those of an Andreev current, and that of the line.
_ALWAYS = ("gap", "normal_resistance", "dynes", "electron_phonon", "voltage_offset", "current_offset")
_ANDREEV = ("andreev_normal", "andreev_superconductor", "dephasing_rate")
# An Andreev current of the order of that of Rajauria et al.: diffusion constant (m²/s), coherence length (m),
# resistances per length of both wires (ohm/m).
_CHANNEL = AndreevChannel(80e-4, 1.2e-6, 2e5, superconductor_resistance_per_length=4e4)
# Couplings of electrons and phonons (W m⁻³ K⁻⁵) at which the search begins.
_COUPLINGS = (2e8, 2e9, 2e10)
# Points of a curve, evaluations of a first look and of a trial, and the latter's relative accuracy.
_FEW, _FIRST_STEPS, _STEPS, _ACCURACY = 31, 5, 25, 1e-4
# Decrease of χ² for each parameter that is taken in.
_ADMITTED = 10.0
# A component matters if the variance of one of these results is so many times as large with it.
_MATTERS = 1.2
_RESULTS = ("gap", "normal_resistance", "1/electron_phonon", "1/kapitza", "andreev_normal", "andreev_superconductor")


class Found(NamedTuple):
    """The cooler with the components it has, and the values of all parameters by `inverted` names."""

    cooler: SINISCooler
    values: dict[str, float]


class Limit(NamedTuple):
    """What is known of a component that is absent: linear estimate, σ, upper limit; factor on a result's variance."""

    estimate: float
    sigma: float
    upper: float
    growth: float


@dataclass(frozen=True)
class _Search:
    """The data of a search, and what is known besides them."""

    isotherms: tuple[Isotherm, ...]
    series_resistance: float
    resistance_sigma: float
    excitation: float
    bath_error: float
    held: Mapping[str, float]

    def trial(self, start: Found, noise: float | None = None, steps: int = _STEPS) -> "_Trial":
        """Minimise from `start`, with the excitation at the device there; χ² is in units of `noise` (A)."""
        names = [name for name in names_of(start, line=self.resistance_sigma > 0) if name not in self.held]
        parameters = isotherm_parameters(start.cooler, self.isotherms, names, start.values, self.bath_error)
        scale = np.array([p.scale for p in parameters])
        lower, upper = (np.array([getattr(p, side) for p in parameters]) / scale for side in ("lower", "upper"))
        x = np.array([p.start for p in parameters])
        sweeps = Sweeps.of(self.isotherms, start.cooler, [p.name for p in parameters], gap_follows=True)
        prior = joined_prior(component_prior(names, self.resistance_sigma), names, self.isotherms, self.bath_error)
        matrix, target = prior_rows(sweeps.names, prior)
        sweeps = sweeps.around(x, self.series_resistance, self.excitation)
        size = point_to_point(sweeps.residuals(x)) if noise is None else noise
        found = least_squares(
            lambda u: np.concatenate([sweeps.residuals(u * scale) / size, matrix @ (u * scale) - target]),
            np.clip(x / scale, lower + 1e-12, upper - 1e-12),
            lambda u: np.vstack([sweeps.jacobian(u * scale) / size, matrix]) * scale,
            bounds=(lower, upper),
            x_scale="jac",
            xtol=_ACCURACY,
            ftol=_ACCURACY,
            max_nfev=steps,
        )  # fmt: skip
        x = found.x * scale
        sweeps = sweeps.around(x, self.series_resistance, self.excitation)
        return _Trial(sweeps, x, sweeps.residuals(x), matrix)


@dataclass(frozen=True)
class _Trial:
    """A fit of the components that its cooler has; `matrix` are the rows of the prior."""

    sweeps: Sweeps
    x: Real
    residuals: Real
    matrix: Real

    @property
    def found(self) -> Found:
        return Found(self.sweeps.cooler_at(self.x), dict(zip(self.sweeps.names, map(float, self.x), strict=True)))

    @property
    def noise(self) -> float:
        return point_to_point(self.residuals)

    def chi2(self, noise: float) -> float:
        return float(self.residuals @ self.residuals) / noise**2

    def limits(self, noise: float) -> dict[str, Limit]:
        return limits_of(self.sweeps, self.x, self.matrix, noise)


def find_components(
    isotherms: Sequence[Isotherm],
    start: Found,
    *,
    series_resistance: float,
    resistance_sigma: float,
    excitation: float,
    bath_error: float,
    held: Mapping[str, float],
    search_coupling: bool,
) -> Found:
    """The components of the cooler, from those of `start` on, whose couplings may be wrong by some decades.

    Parameters
    ----------
    isotherms
        Complete curves; only the currents of some of the points are used.
    start
        A cooler, and values of parameters that are none of its own.
    series_resistance, resistance_sigma
        Of the line (ohm), and its standard uncertainty.
    excitation
        On the line (V rms).
    bath_error
        Standard uncertainty that all baths have in common (K).
    held
        Parameters that are held: name → value; a component at 0 stays absent.
    search_coupling
        Whether to begin at several electron–phonon couplings.

    Raises
    ------
    FitError
        Where no cooler has a steady state at these biases.

    """
    few = tuple(replace(one.finite().thinned(_FEW), conductance=None) for one in isotherms)
    search = _Search(few, series_resistance, resistance_sigma, excitation, bath_error, held)
    trial = _first(search, start, search_coupling and "electron_phonon" not in held)
    while (better := _improved(search, trial)) is not None:
        trial = better
    return _completed(search, trial).found


def names_of(found: Found, *, line: bool) -> tuple[str, ...]:
    """Parameters that a fit of a cooler has; with that of the `line`'s resistance."""
    names: tuple[str, ...] = _ALWAYS
    if found.cooler.kapitza is not None:
        names += ("kapitza",)
    if found.cooler.andreev is not None:
        names += _ANDREEV
    if found.cooler.leakage_resistance is not None or "leakage_conductance" in found.values:
        names += ("leakage_conductance",)
    return (*names, LINE) if line else names


def limits_of(sweeps: Sweeps, x: Real, prior: Real, noise: float) -> dict[str, Limit]:
    """What is known of each component that is absent in `sweeps`, while all parameters `x` follow.

    `prior` are the rows of the prior, `noise` is that of a residual (A).
    """
    there = {*sweeps.names}
    absent = [name for name in ABSENT if name not in there]
    if not absent:
        return {}
    channel = replace(_CHANNEL, resistance_per_length=0.0, superconductor_resistance_per_length=0.0)
    columns = -np.vstack([sweeps.jacobian(x) / noise, prior])
    others = -sweeps.slopes(x, absent, channel)[sweeps.mask] / noise
    columns, residuals = columns[np.append(sweeps.mask, np.ones(len(prior), bool))], sweeps.residuals(x)[sweeps.mask]
    rest = np.append(residuals / noise, np.zeros(len(prior)))
    others = np.vstack([others, np.zeros((len(prior), len(absent)))])
    basis, triangle = np.linalg.qr(columns / np.maximum(np.linalg.norm(columns, axis=0), np.finfo(float).tiny))
    results = np.linalg.pinv(triangle)[[sweeps.names.index(name) for name in _RESULTS if name in there]]
    found = {}
    for name, column in zip(absent, others.T, strict=True):
        own = column - basis @ (basis.T @ column)
        own = own - basis @ (basis.T @ own)
        information = float(own @ own)
        # Nothing is known of what does not show at all.
        if information > 1e-20 * float(column @ column):
            follows = results @ (basis.T @ column)
            growth = 1 + float((follows**2 / (results**2).sum(axis=1)).max(initial=0.0)) / information
            estimate, sigma = float(own @ rest) / information, information**-0.5
            found[name] = Limit(estimate, sigma, max(estimate, 0.0) + ONE_SIDED * sigma, growth)
    return found


def _first(search: _Search, start: Found, search_coupling: bool) -> _Trial:
    """The trial with the components of `start`."""
    if not search_coupling:
        return search.trial(start)
    attempts: list[_Trial] = []
    problem: NoOperatingPointError | None = None
    for coupling in _COUPLINGS:
        try:
            attempts.append(search.trial(_changed(start, "electron_phonon", coupling), steps=_FIRST_STEPS))
        except NoOperatingPointError as error:
            problem = error
    if not attempts:
        raise FitError(f"no cooler can be biased like the data: {problem}") from problem
    noise = min(one.noise for one in attempts)
    return search.trial(min(attempts, key=lambda one: one.chi2(noise)).found)


def _improved(search: _Search, trial: _Trial) -> _Trial | None:
    """The trial with the likeliest component that improves it; None if none does."""
    for group, start in _candidates(search, trial):
        with suppress(NoOperatingPointError):
            attempt = search.trial(start, trial.noise)
            noise = min(trial.noise, attempt.noise)
            if trial.chi2(noise) - attempt.chi2(noise) > _ADMITTED * len(group):
                return attempt
    return None


def _candidates(search: _Search, trial: _Trial) -> Iterator[tuple[tuple[str, ...], Found]]:
    """Components that may improve the trial, and the cooler with each."""
    noise = trial.noise
    limits, freedom = trial.limits(noise), trial.residuals.size - trial.x.size
    misfit = trial.chi2(noise) / freedom > 1 + 5 / np.sqrt(freedom)

    def gain(group: tuple[str, ...]) -> float:
        found = [limits[name] for name in group if name in limits]
        return max(((one.estimate / one.sigma) ** 2 for one in found if one.estimate > 0), default=0.0)

    absent = [group for group in _GROUPS if not {*group} & {*trial.sweeps.names} and not _is_held(group, search.held)]
    # The leak comes last: it resembles the others where these are missing.
    for group in sorted(absent, key=lambda group: (group == _GROUPS[-1], -gain(group))):
        if misfit or gain(group) > _ADMITTED:
            yield group, _with(trial.found, group, limits)


def _completed(search: _Search, trial: _Trial) -> _Trial:
    """The trial with the Andreev current and the leak, where results depend on them."""
    limits, found = trial.limits(trial.noise), trial.found
    for group in _GROUPS[1:]:
        matters = any(limits[name].growth > _MATTERS for name in group if name in limits)
        if matters and not _is_held(group, search.held):
            found = _with(found, group, limits)
    if found == trial.found:
        return trial
    with suppress(NoOperatingPointError):
        return search.trial(found, trial.noise)
    return trial


def _is_held(group: Collection[str], held: Mapping[str, float]) -> bool:
    return bool({plain_name(name) for name in group} & held.keys())


def _with(found: Found, group: Collection[str], limits: Mapping[str, Limit]) -> Found:
    """The cooler with one more component, at a start value."""
    if "1/kapitza" in group:
        # With little heat only the sum of both resistances to it shows.
        usual = 0.3 / (found.cooler.electron_phonon * found.cooler.volume)
        limit = limits.get("1/kapitza")
        resistance = usual if limit is None else float(np.clip(limit.estimate, usual / 10, usual * 10))
        return _changed(found, "kapitza", 1 / resistance)
    if "leakage_conductance" in group:
        limit = limits.get("leakage_conductance")
        smallest = 1e-6 / found.cooler.junction.resistance
        leak = smallest if limit is None else max(limit.estimate, limit.sigma, smallest)
        return Found(found.cooler, found.values | {"leakage_conductance": leak})
    return Found(replace(found.cooler, andreev=_CHANNEL), found.values)


def _changed(found: Found, name: str, value: float) -> Found:
    cooler = replace(found.cooler, electron_phonon=value) if name == "electron_phonon" else found.cooler
    cooler = replace(cooler, kapitza=value) if name == "kapitza" else cooler
    without = {key: known for key, known in found.values.items() if key not in (name, INVERSE[name])}
    return Found(cooler, without)
