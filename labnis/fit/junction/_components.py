"""Which components an island has, found from the current of its pair.

The fit begins with an island that never changes its temperature, and takes in one component at a time, the one that
improves it most, as long as χ² falls by more than 10. It never drops one again: a component that later gains little
still takes part in the uncertainty of all others. On an island that heats, a component that the curve neither shows nor
excludes is taken in as well where a result depends on it: left out, a leak of a tenth of a nanoampere per millivolt
makes electrons of 30 mK look like 64 ± 1 mK. What is left out is stated with its 95 % limit. The resistance of the bias
line is free in this search: what a wrong one explains is no component.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from labnis.fit._residuals import local_variances, sticking_out, told_alike, uneven
from labnis.fit.arrays import FEWER_POINTS, Real, evenly_spread
from labnis.fit.junction._component_fit import completed, of_island, solved, with_left_out, without_kapitza
from labnis.fit.junction._heated_pair import Readings
from labnis.fit.junction._injection import INJECTION
from labnis.fit.junction._island import ANDREEV, COMPONENTS, HEAT, KAPITZA
from labnis.fit.junction._island_trial import ADMITTED, STEPS, Trial, island_parameters
from labnis.fit.parameters import Parameter
from labnis.fit.result import FitError, FitResult
from labnis.physics import NoOperatingPointError

__all__ = ["with_components"]

# Fewer points than these show no component; and fewer inside so many gaps show none where they show no heat.
_FEWEST, _FEWEST_INSIDE, _INSIDE = 16, 9, 1.3
# A glitch is so many median deviations from its neighbours (6σ).
_GLITCH = 9.0
# Points with which components are tried, and steps of each of several trials at first.
_FEW, _FIRST_STEPS = 81, 5
# How often a trial goes on at most, and what it has to gain by that.
_FURTHER, _LITTLE = 5, 1.0
# h (K⁵/W) at which a trial starts, g in units of h, and one that is none.
_STARTS, _SOME_KAPITZA, _NO_KAPITZA = (1e5, 1e7, 1e9, 1e10), 0.3, 1e-2
# Part of the gap that is lost at the end of the sweep, at which a trial with injection starts.
_LOSSES = (1e-3, 1e-2, 0.1)
# Start of both Andreev amplitudes.
_ANDREEV = 0.05


def with_components(
    pair: FitResult,
    readings: Readings,
    fixed: Mapping[str, float],
    name: str,
    assumed: Mapping[str, str],
    conductance: Real | None = None,
) -> FitResult:
    """Fit the components of the island, beginning with a fit `pair` of the same curve at one temperature.

    They are found from the current alone; in the end it is fitted together with the lock-in's `conductance` (S), shape
    (n,), if there is one.

    Returns
    -------
    FitResult
        `pair` itself where no component improves it and there is no conductance; with the limits of the components
        that are left out in `assumed`.

    """
    known = dict(fixed) | {name: value for name, (value, _) in readings.given.items()}
    held = [name for name, value in known.items() if name in COMPONENTS and value > 0]
    if readings.voltage.size < _FEWEST and not held:
        few = f"fewer than {_FEWEST} points do not show whether the island heats or cools: take more"
        return replace(pair, warnings=(*pair.warnings, few))
    few_inside = _few_inside(readings, pair)
    try:
        values = pair.by_name | {name: known[name] for name in held}
        trial = _found(pair, values, readings, _FEW, fixed)
    except NoOperatingPointError as error:
        raise FitError(f"the island has no steady state: {error}") from error
    trial = trial if held else _shown(trial, pair, readings, fixed)
    names = [name for name in trial.values if name in COMPONENTS]
    if INJECTION in names and HEAT not in names:
        raise FitError("injection is given, and the curve shows no island that heats: it needs one; leave it out")
    if not names and conductance is None:
        result = with_left_out(pair, trial, trial.scores(trial.noise))
        return replace(result, warnings=(*result.warnings, *few_inside))
    try:
        start = trial.values if names else pair.by_name
        result, model = solved(start, readings, fixed, name, assumed, conductance)
        if HEAT in names and told_alike(result.warnings):
            # What some points do not show, more of them may.
            trial = _found(result, of_island(result), readings, FEWER_POINTS, fixed)
            if trial.values.keys() - result.by_name.keys():
                result, model = solved(trial.values, readings, fixed, name, assumed, conductance)
        result, _ = completed(result, model, readings, fixed, name, assumed, conductance)
    except FitError as error:
        better = f"an island with {', '.join(names)} describes the curve better, but" if names else "the conductance"
        return replace(pair, warnings=(*pair.warnings, f"{better} cannot be fitted: {error}"))
    return result if names else replace(result, warnings=(*result.warnings, *few_inside))


def _few_inside(readings: Readings, pair: FitResult) -> tuple[str, ...]:
    """A warning where too few points are where tunnelling cools an island, and a temperature shows."""
    inside = int((np.abs(readings.voltage) < _INSIDE * 2 * pair["gap"].value).sum())
    if inside >= _FEWEST_INSIDE:
        return ()
    return (f"{inside} points up to {_INSIDE} gaps do not show whether the island heats or cools: take more there",)


def _found(
    fit: FitResult, values: Mapping[str, float], readings: Readings, points: int, fixed: Mapping[str, float]
) -> Trial:
    """The components that improve a `fit` on some of the points, with those among the `values` to begin with."""
    few = readings.at(evenly_spread(readings.voltage.size, points))
    components = [name for name in values if name in COMPONENTS]
    # The noise between so few points has the misfit in it, which then does not show.
    alike = bool(told_alike(fit.warnings)) or readings.voltage.size <= _FEW
    trial, few = _grown(Trial.of(few, island_parameters(values, components, fixed), fit.noise), few, fixed, alike)
    trial = _with_or_without_kapitza(_completed(trial, few, fixed), few, fixed)
    injected = _injected(trial, few, fixed)
    # Injection takes the place of what else had described it: the Kapitza resistance is looked at again.
    return injected if injected is trial else _with_or_without_kapitza(injected, few, fixed)


def _shown(trial: Trial, pair: FitResult, readings: Readings, fixed: Mapping[str, float]) -> Trial:
    """The trial, or one without components where all points do not show those that some of them show.

    Where the noise is larger, chance looks like heat more often than where it is the same everywhere. A misfit of the
    `pair` shows what a component describes already.
    """
    if not COMPONENTS.keys() & trial.values.keys() or told_alike(pair.warnings):
        return trial
    counted = readings.at(np.flatnonzero(pair.mask))
    without = Trial.of(counted, island_parameters(pair.by_name, [], fixed), pair.noise, _FIRST_STEPS)
    try:
        whole = Trial.of(counted, _with(trial, {}, fixed), pair.noise, _FIRST_STEPS)
    except NoOperatingPointError:
        return without
    noise, change = min(without.noise, whole.noise), without.residuals - whole.residuals
    rows, counts = np.argsort(counted.voltage, kind="stable")[None], np.ones(change.shape, bool)
    variances, total = local_variances(whole.residuals, rows, counts), change @ change * noise**2
    by_chance = uneven(variances, change[:, None], np.array([total]), noise) ** 2
    return trial if without.chi2(noise) - whole.chi2(noise) > ADMITTED * by_chance else without


def _grown(trial: Trial, readings: Readings, fixed: Mapping[str, float], alike: bool) -> tuple[Trial, Readings]:
    """The trial with all components that improve it, and the readings without glitches.

    `alike` is whether neighbours among all points are alike: the noise between some of them has the misfit in it.
    """
    while True:
        order = np.argsort(readings.voltage, kind="stable")
        # What a component leaves in the residuals is wider.
        glitches = sticking_out(trial.residuals, order[None], _GLITCH)
        if glitches.any():  # the better the model, the more of them show
            readings = readings.at(np.flatnonzero(~glitches))
            trial = Trial.of(readings, _with(trial, {}, fixed), trial.noise)
        noise, better = trial.noise, None
        for starts in _candidates(trial, noise, alike, fixed.keys()):
            attempt = _best(trial, readings, starts, fixed, noise)
            if attempt is not None and (better is None or attempt.chi2(noise) < better.chi2(noise)):
                better = attempt
        if better is None:
            return trial, readings
        noise = min(noise, better.noise)
        added = len(better.values.keys() - trial.values.keys() - {"dephasing_rate"})
        if not trial.chi2(noise) - better.chi2(noise) > ADMITTED * added:
            return trial, readings
        trial = better


def _injected(trial: Trial, readings: Readings, fixed: Mapping[str, float]) -> Trial:
    """The trial of an island that heats, with quasiparticles that lower the gap where these improve it or matter.

    They come last: much of what they do other components do as well.
    """
    if HEAT not in trial.values or INJECTION in {**trial.values, **fixed}:
        return trial
    # What further steps alone improve is no sign of injection.
    trial = _converged(trial, readings, fixed)
    freedom, noise = trial.residuals.size - len(trial.values), trial.noise
    score = trial.scores(noise).get(INJECTION)
    matters = score is not None and score.matters
    if trial.chi2(noise) - freedom < ADMITTED and not matters:
        return trial
    largest = float(np.abs(readings.current).max())
    starts = [loss / largest for loss in _LOSSES]
    if score is not None and matters:
        starts = [max(score.estimate, score.sigma) / largest]
    attempt = _best(trial, readings, [{INJECTION: start} for start in starts], fixed, noise)
    if attempt is None or not (matters or trial.chi2(noise) - attempt.chi2(noise) > ADMITTED):
        return trial
    return attempt


def _with_or_without_kapitza(trial: Trial, readings: Readings, fixed: Mapping[str, float]) -> Trial:
    """The trial of an island that heats, with a Kapitza resistance only where that improves it at all.

    A small one does the same as more electron–phonon resistance: a fit with both hardly ends, and shows nothing more.
    One that was taken in before other components may be none now, and one that hardly shows moves the temperature.
    """
    if HEAT not in trial.values or KAPITZA in {**fixed, **readings.given}:
        return trial
    heat, noise = trial.values[HEAT], trial.noise
    if KAPITZA not in trial.values:
        attempt = _best(trial, readings, [{KAPITZA: _SOME_KAPITZA * heat}], fixed, noise)
        shows = attempt is not None and trial.chi2(noise) - attempt.chi2(noise) > _LITTLE
        return attempt if attempt is not None and shows else trial
    if trial.values[KAPITZA] > _NO_KAPITZA * heat:
        return trial
    rest = without_kapitza(trial.values)
    components = [name for name in rest if name in COMPONENTS]
    return Trial.of(readings, island_parameters(rest, components, fixed), noise)


def _converged(trial: Trial, readings: Readings, fixed: Mapping[str, float]) -> Trial:
    """The trial after so many further steps that more of them would not matter."""
    noise = trial.noise
    for _ in range(_FURTHER):
        before, trial = trial, Trial.of(readings, _with(trial, {}, fixed), noise)
        if before.chi2(noise) - trial.chi2(noise) < _LITTLE:
            break
    return trial


def _completed(trial: Trial, readings: Readings, fixed: Mapping[str, float]) -> Trial:
    """The trial of an island that heats, with the components on which its results depend."""
    if HEAT not in trial.values:
        return trial
    matter = {name: s for name, s in trial.scores(trial.noise).items() if s.matters and name not in fixed}
    start: dict[str, float] = {}
    if matter.keys() & set(ANDREEV):
        start |= {name: _ANDREEV for name in ANDREEV if name not in trial.values}
    if "leakage_conductance" in matter:
        estimate, sigma, *_ = matter["leakage_conductance"]
        start["leakage_conductance"] = max(estimate, sigma)
    attempt = _best(trial, readings, [start], fixed, trial.noise) if start else None
    # A search that ends in a worse place has not found them.
    return attempt if attempt is not None and attempt.chi2(trial.noise) < trial.chi2(trial.noise) + _LITTLE else trial


def _best(
    trial: Trial, readings: Readings, starts: Sequence[Mapping[str, float]], fixed: Mapping[str, float], noise: float
) -> Trial | None:
    """The trial with further components, from the best of some start values; None without a steady state."""
    attempts = []
    for start in starts:
        with suppress(NoOperatingPointError):
            few = _FIRST_STEPS if len(starts) > 1 else STEPS
            attempts.append(Trial.of(readings, _with(trial, start, fixed), noise, few))
    if not attempts:
        return None
    best = min(attempts, key=lambda attempt: attempt.chi2(noise))
    if len(starts) > 1:
        best = Trial.of(readings, _with(best, {}, fixed), noise)
    return best


def _with(trial: Trial, start: Mapping[str, float], fixed: Mapping[str, float]) -> list[Parameter]:
    """Parameters of the trial with further components."""
    components = [name for name in (*trial.values, *start) if name in COMPONENTS]
    return island_parameters(trial.values | dict(start), components, fixed)


def _candidates(trial: Trial, noise: float, alike: bool, held: Collection[str]) -> list[list[dict[str, float]]]:
    """Components that may improve the trial, and are not `held` at 0: start values to choose from, for each."""
    freedom = trial.residuals.size - len(trial.values)
    misfit = alike or trial.chi2(noise) / freedom > 1 + 5 / np.sqrt(freedom)
    promising = {name: score.estimate for name, score in trial.scores(noise).items() if score.shows}
    found: list[list[dict[str, float]]] = []
    if HEAT not in trial.values:
        if misfit or HEAT in promising:
            # What the isothermal fit found for temperature and broadening describes the misfit.
            cold = {"electron_temperature": 0.1, "dynes": 1e-4}
            found.append([cold | {HEAT: h} for h in _STARTS])
    elif KAPITZA not in trial.values:
        # With little heat only the sum of both resistances shows; and a small one does not show at cold phonons.
        found.append([{KAPITZA: _SOME_KAPITZA * trial.values[HEAT]}])
    if promising.keys() & set(ANDREEV):
        # Both metals are disordered.
        found.append([dict.fromkeys(ANDREEV, _ANDREEV)])
    if "leakage_conductance" in promising:
        found.append([{"leakage_conductance": promising["leakage_conductance"]}])
    return [starts for starts in found if not starts[0].keys() & COMPONENTS.keys() & set(held)]
