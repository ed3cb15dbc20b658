"""Values that are known before a fit: given with a standard uncertainty, they enter its prior."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from labnis.fit.arrays import Real
from labnis.fit.estimate import Estimate, number_text
from labnis.fit.junction._island import SLOWEST_DEPHASING
from labnis.fit.parameters import Given, Parameter, joined
from labnis.fit.result import FitError, FitResult, result_from_mapping

__all__ = [
    "PHYSICAL",
    "Known",
    "known_alike",
    "known_before",
    "refuse_unphysical",
    "stated",
    "text_of_given",
    "text_of_held",
]

#: Quantity → smallest and largest value that is physical, in the units of the shipped fits.
PHYSICAL = {
    "gap": (1e-5, 1e-2),
    "normal_resistance": (0.1, 1e13),
    "electron_temperature": (1e-3, 5.0),
    "dynes": (0.0, 0.3),
    "asymmetry": (0.0, 0.9),
    "voltage_offset": (-0.1, 0.1),
    "current_offset": (-1e-3, 1e-3),
    "damping_line": (1.0, 1e12),
    "damping_excess": (0.0, 1e12),
    "damping_junction": (1.0, 1e12),
    "ohmic_frequency": (1e6, 1e12),
    "gain": (-200.0, 200.0),
    "dephasing_rate": (SLOWEST_DEPHASING, 1e14),
}

# Ends of what is said of known values.
_GIVEN, _HELD = ", given", ", held fixed"
# Two statements contradict each other beyond so many standard deviations.
_CONTRADICTS = 4.0


class Known(NamedTuple):
    """The prior with all that is given, what that is (for `assumed`), and warnings where it contradicts the prior."""

    prior: FitResult | None
    assumed: dict[str, str]
    warnings: tuple[str, ...]


def refuse_unphysical(fixed: Mapping[str, float] | None, given: Given | None) -> None:
    """Raise FitError for known values that no device has, as in other units."""
    for name, value in {**(fixed or {}), **{name: value for name, (value, _) in (given or {}).items()}}.items():
        low, high = PHYSICAL.get(name, (-np.inf, np.inf))
        if not low <= value <= high:
            how = "held" if name in (fixed or {}) else "given"
            raise FitError(f"{name} cannot be {how} at {value:g}; it is from {low:g} to {high:g}, in SI units or eV")


def text_of_given(value: float, sigma: float, unit: str) -> str:
    """What a result says of a given value."""
    return f"{Estimate(value, sigma, unit)}{_GIVEN}"


def text_of_held(value: float, unit: str) -> str:
    """What a result says of a value that is held."""
    return f"{value:.8g} {unit}{_HELD}".replace(" 1,", ",")


def known_alike(fit: FitResult, fixed: Mapping[str, float], given: Given) -> bool:
    """Whether an earlier `fit` held, and was given, the same values, by what it says of them."""
    units = dict(zip(fit.names, fit.units, strict=True))
    told = {name: text_of_given(*known, units.get(name, "1")) for name, known in given.items()}
    told |= {name: text_of_held(value, units.get(name, "1")) for name, value in fixed.items()}
    before = {name: text for name, text in fit.assumed.items() if text.endswith((_GIVEN, _HELD))}
    return before.keys() == told.keys() and all(before[name].endswith(text) for name, text in told.items())


def stated(
    factors: Callable[[Sequence[str]], Real], fit: FitResult, fixed: Mapping[str, float], given: Given
) -> dict[str, str]:
    """What `fit` assumes, with values of the device where its own are those of a pair, which differ by `factors`."""
    said = dict(fit.assumed)
    for name, factor in zip(fit.names, factors(fit.names), strict=True):
        if factor == 1 or name not in {**fixed, **given}:
            continue
        unit = fit[name].unit
        said[name] = text_of_held(fixed[name], unit) if name in fixed else text_of_given(*given[name], unit)
    return said


def known_before(parameters: Sequence[Parameter], prior: FitResult | None, given: Given | None) -> Known:
    """Combine the `prior` of the free `parameters` with what is `given` of them.

    Both are independent. A statement that has entered an earlier fit, from which the prior is made, does not enter
    again: `assumed` of the prior has it.
    """
    assumed, warnings = {}, []
    units = {p.name: p.unit for p in parameters}
    held = {p.name: p.start for p in parameters if p.fixed}
    for name in held.keys() & set(() if prior is None else prior.free):
        warnings += _contradiction(prior, name, held[name], 0.0)
    for name, (value, sigma) in (given or {}).items():
        if name not in units or name in held:
            continue
        told = text_of_given(value, sigma, units[name])
        assumed[name] = told
        if prior is not None and told in prior.assumed.get(name, ""):
            continue
        if prior is not None and name in prior.names:
            warnings += _contradiction(prior, name, value, sigma)
            prior = _updated(prior, name, value, sigma)
            continue
        alone = result_from_mapping("given", {name: Estimate(value, sigma, units[name])})
        prior = alone if prior is None else joined(alone, prior)
    return Known(prior, assumed, tuple(warnings))


def _updated(prior: FitResult, name: str, value: float, sigma: float) -> FitResult:
    """The `prior` with one more independent statement about a parameter; one that is known exactly stays."""
    at = prior.names.index(name)
    weight = prior.covariance[:, at] / (prior.covariance[at, at] + sigma**2)
    budget = prior.budget
    if budget is not None:
        budget = replace(budget, columns=budget.columns - np.outer(weight, budget.columns[at]))
    return replace(
        prior,
        values=prior.values + weight * (value - prior.values[at]),
        covariance=prior.covariance - np.outer(weight, prior.covariance[at]),
        budget=budget,
    )


def _contradiction(prior: FitResult | None, name: str, value: float, sigma: float) -> list[str]:
    """A warning where a given value is far from what the prior says."""
    if prior is None:
        return []
    before = prior[name]
    pull = abs(value - before.value) / max(float(np.hypot(before.sigma, sigma)), np.finfo(float).tiny)
    if pull < _CONTRADICTS:
        return []
    told = Estimate(value, sigma, before.unit) if sigma else number_text(value, before.unit, before.value)
    return [
        f"{name} is {'given as' if sigma else 'held at'} {told}, and {before} was known, {pull:.3g}σ away; is it "
        "the same device, in the same state, and is the unit right?"
    ]
