"""What is known before a fit of emitted power: rates, junctions, and an assumption about photons of the baths."""

from dataclasses import replace

import numpy as np

from labnis.fit.junction._island import COMPONENTS, SLOWEST_DEPHASING
from labnis.fit.parameters import Parameter, joined
from labnis.fit.resonator._lines import EXCESS_PHOTONS, LINE_PHOTONS
from labnis.fit.resonator._tunnelling import RATE_NAMES, handed_on
from labnis.fit.result import FitResult, result_from_mapping

__all__ = ["PHOTONS_ASSUMED", "known_of", "parameters_of"]

# Photons beyond those of the fridge's temperature, and their standard uncertainty, where nothing is stated: in each
# mode of the line, where one is noise of 0.22 K at 4.7 GHz, and of the excess losses. They matter where the data do not
# tell them.
_PHOTONS = {LINE_PHOTONS: (0.0, 2.0), EXCESS_PHOTONS: (0.0, 5.0)}

#: What a result says of that.
PHOTONS_ASSUMED = {
    name: f"{value:g} ± {sigma:g} beyond those of the fridge's temperature, before the data"
    for name, (value, sigma) in _PHOTONS.items()
}

# Lower bounds of the parameters that have one.
_SMALLEST = {
    "damping_line": 1.0,
    "damping_excess": 0.0,
    "damping_junction": 1.0,
    "gap": 1e-6,
    "electron_temperature": 1e-3,
    "dynes": 0.0,
    "normal_resistance": 0.0,
    "dephasing_rate": SLOWEST_DEPHASING,
} | dict.fromkeys(COMPONENTS, 0.0)


def known_of(prior: FitResult) -> FitResult:
    """Rates, junctions and island of a reflection fit, joined by the assumption about the photons of the line."""
    rates = handed_on(prior, RATE_NAMES)
    return replace(joined(result_from_mapping("prior", _PHOTONS), rates), limits=rates.limits)


def parameters_of(known: FitResult) -> list[Parameter]:
    """Parameters that are `known`, started at its values and scaled by its uncertainties."""
    return [
        Parameter(
            name,
            unit,
            float(value),
            float(s) or 1.0,
            _SMALLEST.get(name, -np.inf),
            may_vanish=name in (*known.limits, "dephasing_rate"),
        )
        for name, unit, value, s in zip(known.names, known.units, known.values, known.sigma, strict=True)
    ]
