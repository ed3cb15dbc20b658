"""Parameters and prior of a fit of isotherms: those of the cooler, and the temperatures of the baths."""

import math
from collections.abc import Mapping, Sequence
from functools import reduce

import numpy as np

from labnis.fit.junction._cooler_parameters import cooler_parameters, inverted, values_of
from labnis.fit.junction._isotherm import BATH_RANGE, Isotherm, bath_names
from labnis.fit.parameters import Parameter, joined, restarted
from labnis.fit.result import FitError, FitResult
from labnis.physics import SINISCooler
from labnis.physics.superconductor import critical_temperature

__all__ = ["isotherm_parameters", "joined_prior"]

# Least scatter of a bath's readings, in units of the error that all baths have in common.
_LEAST_SCATTER = 1e-3


def isotherm_parameters(
    cooler: SINISCooler,
    isotherms: Sequence[Isotherm],
    free: Sequence[str],
    start: Mapping[str, float] | None = None,
    bath_error: float = 0.0,
) -> list[Parameter]:
    """The free parameters, and the baths that are not exact; `start` are values of some of them, by `inverted` names.

    `bath_error` is the standard uncertainty that all baths have in common (K).

    Raises
    ------
    FitError
        For names that cannot be free, a cooler with a superconductor, or a bath above its critical temperature.

    """
    if cooler.superconductor is not None:
        raise FitError("the cooler has a superconductor; this fit needs a gap that does not change with the bias")
    known = values_of(cooler)
    if not free or len(set(free)) < len(free) or not set(free) <= known.keys():
        raise FitError(
            f"free is {', '.join(free) or 'empty'}; name some of {', '.join(known)}, each once (kapitza and the "
            "Andreev parameters only if the cooler has them)"
        )
    margins = [BATH_RANGE * math.hypot(i.bath_uncertainty, bath_error) for i in isotherms]
    if too_much := [i for i, margin in zip(isotherms, margins, strict=True) if margin >= i.bath_temperature]:
        raise FitError(
            f"the uncertainty of the bath's {too_much[0].bath_temperature:.3g} K, {bath_error:.3g} K of it by the "
            f"thermometer, is more than 1/{BATH_RANGE:g} of it; a curve there is not one at a known temperature"
        )
    warmest = max(i.bath_temperature + margin for i, margin in zip(isotherms, margins, strict=True))
    critical = float(critical_temperature(cooler.junction.gap))
    if 1.01 * warmest >= critical:
        raise FitError(f"a bath of {warmest:.4g} K is too warm for the cooler's gap, whose T_c is {critical:.4g} K")
    baths = [
        Parameter(name, "K", i.bath_temperature, margin, i.bath_temperature - margin, i.bath_temperature + margin)
        for name, i, margin in zip(bath_names(isotherms), isotherms, margins, strict=True)
        if margin
    ]
    found = cooler_parameters(cooler, free, warmest) + baths
    return restarted(found, [(start or {}).get(p.name, p.start) for p in found])


def joined_prior(
    prior: FitResult | None, free: Sequence[str], isotherms: Sequence[Isotherm], bath_error: float = 0.0
) -> FitResult | None:
    """The `prior` of the free parameters, joined by the thermometer of the baths.

    Its readings have a `bath_error` (K, standard uncertainty) in common.
    """
    known = []
    if prior is not None:
        named = [name for name in prior.names if name in free]
        if not named:
            raise FitError(f"the prior contains {', '.join(prior.names)}, none of which is free")
        known.append(inverted(prior.select(named)))
    scatter = np.array([i.bath_uncertainty for i in isotherms])
    at = np.flatnonzero((scatter > 0) | (bath_error > 0))
    if at.size:
        names, values = bath_names(isotherms), np.array([i.bath_temperature for i in isotherms])
        # Readings that are all the same have no scatter, and two baths an error of exactly the same size.
        own = np.maximum(scatter, _LEAST_SCATTER * bath_error)
        covariance = (np.diag(own**2) + bath_error**2)[np.ix_(at, at)]
        known.append(FitResult("thermometer", tuple(names[i] for i in at), ("K",) * at.size, values[at], covariance))
    return reduce(joined, known) if known else None
