"""Quasiparticles in the superconductors: what their gap loses along the curve, found or bounded after a fit.

Every electron that tunnels leaves a quasiparticle near the junction, and most of the power of the bias heats the
superconductors. Both raise the density of quasiparticles, which lowers the gap and carries heat back to the island.
Injection does so in proportion to the current, if the quasiparticles flow out; warming in proportion to the power, for
the quasiparticles that carry this heat away (Owen & Scalapino, PRL 28, 1559; Rajauria et al., PRB 85, 020505). The fit
has the first one where it improves the fit, and not the second one. To first order in the part of the gap that is lost
at the end of the sweep, x, the gap changes by −Δ·x, and the heat from the superconductors by 2Δ²/(e²R)·x·(1 + K₂/K₀)/2
with the Bessel functions of Δ/kT.
"""

from collections.abc import Mapping

import numpy as np
from scipy.constants import e, k
from scipy.special import kve

from labnis.fit.arrays import Real
from labnis.fit.estimate import Estimate, number_text
from labnis.fit.junction._heated_pair import HeatedPair
from labnis.fit.junction._injection import INJECTION
from labnis.fit.junction._pair import PairModel
from labnis.fit.models import CurveModel, Suspect
from labnis.fit.result import FitResult

__all__ = [
    "LOSSES",
    "RESULTS",
    "changes_by_limit",
    "gap_loss_columns",
    "gap_loss_suspects",
    "losses_beyond_sigma",
    "text_of_limit",
]

#: What may lower the gap along the curve, and in words; the second one is never fitted.
LOSSES = {
    INJECTION: "quasiparticles injected into the superconductors",
    "superconductor_warming": "superconductors that the bias warms",
}
#: Results that a loss changes, in the order in which the change of each is known.
RESULTS = ("gap", "normal_resistance", "electron_temperature")
# The linear change is that of a small loss.
_PLAUSIBLE = (0.0, 0.5)
# A limit of more than this part of a result bounds nothing.
_USELESS = 0.1


def gap_loss_columns(model: CurveModel, values: Mapping[str, float]) -> Real:
    """∂(residuals)/∂(part of the gap that is lost at the end of the sweep), shape (n, k).

    `values` are the parameters of the `model`, in its order; the columns those of the `LOSSES` that are not among them.

    Raises
    ------
    NoOperatingPointError
        Where the electrons would become as warm as the gap.

    """
    gap, temperature = values["gap"], values["electron_temperature"]
    if isinstance(model, PairModel):
        by_gap = model.jacobian(np.array([*values.values()]))[:, :1]
        return -gap * by_gap * _shapes(model.measured, model.voltage + values["voltage_offset"])
    assert isinstance(model, HeatedPair)  # noqa: S101  # for mypy
    state = model.state_of(values, ("gap", "leakage_conductance"))
    bias = model.voltage + values["voltage_offset"]
    by_gap, by_leak = np.moveaxis(state.current_slopes, -1, 0)
    # A leak G carries G·V and heats by G·V²; without what it carries, this is the change by heat.
    by_heat = (by_leak - bias) / np.maximum(bias**2, np.finfo(float).tiny)
    ratio = gap * e / k / temperature
    heat = gap**2 / values["normal_resistance"] * (1 + kve(2, ratio) / kve(0, ratio))
    change = (-gap * by_gap + heat * by_heat)[..., None] * _shapes(state.current, bias)
    absent = [name not in values for name in LOSSES]
    return np.asarray(-model.weight[:, None] * change.mean(axis=1))[:, absent]


def _shapes(current: Real, bias: Real) -> Real:
    """Loss of gap along the curve, 1 at its end, by the current and by the power, in a further axis."""
    losses = np.abs(np.stack([current, current * bias], axis=-1))
    return np.asarray(losses / losses.reshape(-1, 2).max(axis=0))


def gap_loss_suspects(model: CurveModel, values: Mapping[str, float]) -> list[Suspect]:
    """What lowers the gap along the curve, as something that residuals lack; its size is the part lost at the end."""
    columns, absent = gap_loss_columns(model, values), [text for name, text in LOSSES.items() if name not in values]
    return [
        Suspect(
            f"it looks like {cause}: the gap would be smaller by {{:.2g}} of itself at the end of the sweep, and the "
            "model keeps it constant; sweep less far, to where the results do not change",
            column[:, None],
            _PLAUSIBLE,
            positive=True,
        )
        for cause, column in zip(absent, columns.T, strict=True)
    ]


def text_of_limit(limit: float, gap_shift: float, resistance_shift: float) -> str:
    """What is assumed where the gap loses less than `limit` (95 %), with which gap (eV) and resistance (ohm) change."""
    moved = (
        f"gap by {number_text(abs(gap_shift), 'eV')}, normal_resistance by {number_text(abs(resistance_shift), 'ohm')}"
    )
    return f"none; the gap loses below {limit:.2g} of itself at the end of the sweep (95 %), which would change {moved}"


def changes_by_limit(loss: str, limit: float, moved: Real) -> dict[str, float]:
    """By how much each of the `RESULTS` changes where the gap loses `limit`, as inputs of a fit."""
    return {_input(loss, result): abs(limit * change) for result, change in zip(RESULTS, moved.tolist(), strict=True)}


def losses_beyond_sigma(fit: FitResult) -> tuple[str, ...]:
    """Losses that are not in the σ of a `fit`, and may change one of its results by more than that."""
    found = []
    for loss, cause in LOSSES.items():
        changes = {name: fit.inputs.get(_input(loss, name), 0.0) for name in RESULTS if name in fit.free}
        large = [
            f"{name} by {_up_to(change, fit[name])}" for name, change in changes.items() if change > fit[name].sigma
        ]
        if large:
            found.append(f"{cause}, which may change {' and '.join(large)} (95 %), more than σ")
    return tuple(found)


def _up_to(change: float, result: Estimate) -> str:
    if change > _USELESS * abs(result.value):
        return "more than a tenth of itself, for all that so few points tell"
    return f"up to {number_text(change, result.unit)}"


def _input(loss: str, result: str) -> str:
    return f"{loss}_on_{result}"
