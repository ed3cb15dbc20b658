"""The parameters of a cooler that can be fitted: names, units, bounds, and the cooler with given values of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.constants import e, hbar

from labnis.fit.junction._line import GAIN, LINE
from labnis.fit.parameters import Parameter
from labnis.fit.result import FitResult
from labnis.physics import NISJunction, SINISCooler
from labnis.physics.superconductor import critical_temperature

__all__ = ["INVERSE", "UNITS", "cooler_at", "cooler_parameters", "inverted", "plain_name", "values_of"]

# Electrons, phonons and bath are thermal resistances in series, and the data determine their sum best: the solver
# converges faster in the resistances than in the couplings. Names, both ways.
INVERSE = {"electron_phonon": "1/electron_phonon", "kapitza": "1/kapitza"}
INVERSE |= {inverse: name for name, inverse in INVERSE.items()}
UNITS = {
    "gap": "eV",
    "normal_resistance": "ohm",
    "dynes": "1",
    "electron_phonon": "W/m³/K⁵",
    "1/electron_phonon": "m³ K⁵/W",
    "kapitza": "W/K⁴",
    "1/kapitza": "K⁴/W",
    "andreev_scale": "1",
    "andreev_normal": "ohm/m",
    "andreev_superconductor": "ohm/m",
    "dephasing_rate": "1/s",
    "leakage_conductance": "S",
    "voltage_offset": "V",
    "current_offset": "A",
    LINE: "ohm",
    GAIN: "1",
}
# Below this ħ/(τ_φ Δ) the accuracy of the Andreev integral is unknown.
_SMALLEST_DEPHASING = 2e-6


def values_of(cooler: SINISCooler) -> dict[str, float]:
    """Every parameter that can be free with this `cooler`, and its value; offsets and errors are 0."""
    junction, andreev, leak = cooler.junction, cooler.andreev, cooler.leakage_resistance
    values = {
        "gap": junction.gap,
        "normal_resistance": junction.resistance,
        "dynes": junction.dynes,
        "electron_phonon": cooler.electron_phonon,
        "leakage_conductance": 0.0 if leak is None else 1 / leak,
        "voltage_offset": 0.0,
        "current_offset": 0.0,
        LINE: 0.0,
        GAIN: 0.0,
    }
    if cooler.kapitza is not None:
        values["kapitza"] = cooler.kapitza
    if andreev is not None:
        values["andreev_scale"] = andreev.scale
        values["andreev_normal"] = andreev.resistance_per_length
        values["andreev_superconductor"] = andreev.superconductor_resistance_per_length
        values["dephasing_rate"] = andreev.diffusion_constant / andreev.coherence_length**2
    return values


def cooler_at(values: Mapping[str, float], cooler: SINISCooler) -> SINISCooler:
    """`cooler` with those of the `values` that are its parameters; the dephasing rate 1/τ_φ = D_N/L_φ² is for L_φ."""
    v = values_of(cooler) | dict(values)
    andreev, leak = cooler.andreev, v["leakage_conductance"]
    if andreev is not None:
        length = float(np.sqrt(andreev.diffusion_constant / v["dephasing_rate"]))
        andreev = replace(
            andreev,
            scale=v["andreev_scale"],
            coherence_length=length,
            resistance_per_length=v["andreev_normal"],
            superconductor_resistance_per_length=v["andreev_superconductor"],
        )
    return replace(
        cooler,
        junction=NISJunction(v["gap"], v["normal_resistance"], max(v["dynes"], 0.0)),
        electron_phonon=v["electron_phonon"],
        kapitza=v.get("kapitza"),
        andreev=andreev,
        leakage_resistance=1 / leak if leak > 0 else None,
    )


def cooler_parameters(cooler: SINISCooler, names: Sequence[str], warmest: float) -> list[Parameter]:
    """Solver parameters for `names`, from their values in `cooler`; `warmest` (K) is the hottest bath.

    A coupling is represented by its inverse.
    """
    v = values_of(cooler)
    gap, resistance, fastest = v["gap"], v["normal_resistance"], v["gap"] * e / hbar
    # The superconductors must be superconducting.
    least_gap = 1.01 * gap * warmest / float(critical_temperature(gap))
    # Scale and bounds.
    limits = {
        "gap": (gap, max(0.3 * gap, least_gap), 3 * gap),
        "normal_resistance": (resistance, 0.05 * resistance, 20 * resistance),
        "dynes": (max(v["dynes"], 1e-5), 0.0, 0.3),
        "andreev_scale": (1.0, 0.0, np.inf),
        "andreev_normal": (1e6, 0.0, np.inf),
        "andreev_superconductor": (1e5, 0.0, np.inf),
        "dephasing_rate": (1e-2 * fastest, _SMALLEST_DEPHASING * fastest, 10 * fastest),
        "leakage_conductance": (1e-3 / resistance, 0.0, 1 / resistance),
        "voltage_offset": (1e-5, -np.inf, np.inf),
        "current_offset": (1e-2 * gap / resistance, -np.inf, np.inf),
        LINE: (1e-3 * resistance, -np.inf, np.inf),
        GAIN: (1e-2, -0.9, np.inf),
    }
    parameters = []
    for name in names:
        if name in INVERSE:
            inverse, start = INVERSE[name], 1 / v[name]
            parameters.append(Parameter(inverse, UNITS[inverse], start, start, 1e-3 * start, 1e3 * start))
        else:
            parameters.append(Parameter(name, UNITS[name], v[name], *limits[name]))
    return parameters


def plain_name(name: str) -> str:
    """The coupling of an inverse, and every other name as it is."""
    return name.removeprefix("1/")


def inverted(fit: FitResult) -> FitResult:
    """Return `fit` with every coupling replaced by its inverse, or the reverse."""
    inverts = np.array([name in INVERSE for name in fit.names])
    inverse = 1 / np.where(inverts, fit.values, 1.0)
    change = np.where(inverts, -(inverse**2), 1.0)
    budget = fit.budget
    return replace(
        fit,
        budget=None if budget is None else replace(budget, columns=budget.columns * change[:, None]),
        names=tuple(INVERSE.get(name, name) for name in fit.names),
        units=tuple(
            UNITS[INVERSE[name]] if name in INVERSE else unit for name, unit in zip(fit.names, fit.units, strict=True)
        ),
        values=np.where(inverts, inverse, fit.values),
        covariance=fit.covariance * np.outer(change, change),
    )
