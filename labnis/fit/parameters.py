"""Fit parameters: start values, bounds, which of them are held fixed, and priors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import block_diag

from labnis.fit.arrays import Real
from labnis.fit.result import FitError, FitResult

__all__ = ["Given", "Parameter", "conditioned", "hold", "joined", "parameters_at", "prior_rows", "restarted"]

#: Parameter → value and standard uncertainty that are known before a fit.
Given = Mapping[str, tuple[float, float]]

# By which factor below its least start a parameter is too far.
_BLIND = 3.0


@dataclass(frozen=True)
class Parameter:
    """A fit parameter: start value, the scale on which the model changes, physical bounds, whether it is held fixed.

    At a lower bound of 0 it is absent, which is no doubt; `may_vanish` says the same of another lower bound, below
    which the data do not depend on it. A search does not begin far below `least_start`: where the model hardly depends
    on the parameter, it would stay.
    """

    name: str
    unit: str
    start: float
    scale: float
    lower: float = -np.inf
    upper: float = np.inf
    fixed: bool = False
    may_vanish: bool = False
    least_start: float = -np.inf


def hold(
    parameters: Sequence[Parameter], fixed: Mapping[str, float] | None, given: Given | None = None
) -> list[Parameter]:
    """Return `parameters` with those in `fixed` held at the values there, and those `given` started at theirs.

    Raises
    ------
    FitError
        For an unknown name, a value outside the physical bounds, a σ that is not positive, or a name in both.

    """
    values = {name: float(value) for name, value in (fixed or {}).items()}
    known = {p.name: p for p in parameters}
    for name, value in values.items():
        if name not in known:
            raise FitError(f"{name!r} cannot be held fixed; the parameters are {', '.join(known)}")
        if not known[name].lower <= value <= known[name].upper or not np.isfinite(value):
            p = known[name]
            raise FitError(
                f"{name} cannot be held at {value:g} {p.unit}; it is from {p.lower:g} to {p.upper:g} {p.unit}"
            )
    starts = _starts(parameters, values, given or {})
    return [
        replace(p, start=starts.get(p.name, values.get(p.name, p.start)), fixed=p.fixed or p.name in values)
        for p in parameters
    ]


def _starts(parameters: Sequence[Parameter], held: Mapping[str, float], given: Given) -> dict[str, float]:
    """Values of the `given` parameters; FitError where they cannot be given like that."""
    known = {p.name: p for p in parameters}
    for name, (value, sigma) in given.items():
        if name not in known:
            raise FitError(f"{name!r} cannot be given; the parameters are {', '.join(known)}")
        p = known[name]
        if name in held:
            raise FitError(f"{name} is held at {held[name]:g} {p.unit} and given as {value:g} {p.unit}; choose one")
        if not (p.lower <= value <= p.upper and np.isfinite(value)):
            raise FitError(f"{name} cannot be {value:g} {p.unit}; it is from {p.lower:g} to {p.upper:g} {p.unit}")
        if not 0 < sigma < np.inf:
            raise FitError(f"{name} is given with σ = {sigma:g} {p.unit}; give a positive one, or hold the parameter")
    return {name: value for name, (value, _) in given.items()}


def parameters_at(fit: FitResult) -> list[Parameter]:
    """The parameters of a `fit` at its values; those that it knows exactly are held."""
    known = zip(fit.names, fit.units, fit.values.tolist(), fit.sigma.tolist(), strict=True)
    return [Parameter(name, unit, value, sigma or 1.0, fixed=not sigma) for name, unit, value, sigma in known]


def restarted(parameters: Sequence[Parameter], values: Sequence[float] | Real) -> list[Parameter]:
    """Return `parameters` with other start values, given in their order; those that are held get these values."""

    def start(p: Parameter, value: float) -> float:
        blind = not p.fixed and value < p.least_start / _BLIND
        return float(p.least_start if blind else value)

    return [replace(p, start=start(p, value)) for p, value in zip(parameters, values, strict=True)]


def prior_rows(names: Sequence[str], prior: FitResult | None) -> tuple[Real, Real]:
    """Matrix A and vector b such that |A·θ − b|² is the prior's χ² for the parameters `names`."""
    if prior is None:
        return np.zeros((0, len(names))), np.zeros(0)
    known = [name for name in prior.names if name in names]
    selected = prior.select(known)
    correlation = selected.covariance / np.outer(selected.sigma, selected.sigma)
    whitener = np.linalg.inv(np.linalg.cholesky(correlation)) / selected.sigma
    matrix = np.zeros((len(known), len(names)))
    matrix[:, [names.index(name) for name in known]] = whitener
    return matrix, whitener @ selected.values


def joined(first: FitResult, second: FitResult) -> FitResult:
    """Return one prior made of two independent ones, the first of which has no budget."""
    budget = second.budget
    if budget is not None:
        budget = replace(budget, columns=np.vstack([np.zeros((len(first.names), len(budget.sources))), budget.columns]))
    return replace(
        first,
        assumed={**second.assumed, **first.assumed},
        limits={**second.limits, **first.limits},
        names=first.names + second.names,
        units=first.units + second.units,
        values=np.concatenate([first.values, second.values]),
        covariance=block_diag(first.covariance, second.covariance),
        budget=budget,
    )


def conditioned(parameters: Sequence[Parameter], prior: FitResult | None) -> tuple[list[Parameter], FitResult | None]:
    """Hold parameters with a σ of 0 in the prior, and return the prior of the free ones given those that are held."""
    if prior is None:
        return list(parameters), None
    exact = {name: prior[name].value for name in prior.names if name not in prior.free}
    held = [replace(p, start=exact[p.name], fixed=True) if p.name in exact and not p.fixed else p for p in parameters]
    fixed = {p.name: p.start for p in held if p.fixed and p.name in prior.free}
    free = [p.name for p in held if not p.fixed and p.name in prior.names]
    if not free:
        return held, None
    selected, rest = prior.select(free), prior.select([*free, *fixed])
    if fixed:
        n, scale, correlation = len(free), rest.sigma, rest.correlation
        weight = np.linalg.solve(correlation[n:, n:], correlation[n:, :n]).T
        shift = weight @ ((np.array([*fixed.values()]) - rest.values[n:]) / scale[n:]) * scale[:n]
        narrowed = (correlation[:n, :n] - weight @ correlation[n:, :n]) * np.outer(scale[:n], scale[:n])
        selected = replace(selected, values=selected.values + shift, covariance=narrowed)
    return held, selected
