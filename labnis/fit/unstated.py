"""What the σ of a fit does not contain, as notes of it, with its budget known."""

from dataclasses import replace

from labnis.fit.junction._gap_loss import losses_beyond_sigma
from labnis.fit.result import FitResult

__all__ = ["NOISE_ALONE", "missing_in_sigma", "with_unstated_told"]

NOISE_ALONE = (
    "σ is that of the noise, as if no instrument erred: what they may err by is not stated (labnis: uncertainty: in "
    "the station file; an import has none)"
)
# Beginnings of notes on what is not in σ.
_BUDGET, _SIGMA = "not in the budget: ", "not in σ: "


def with_unstated_told(fit: FitResult) -> FitResult:
    """The `fit` with notes on what is not in its budget, or in σ where it has none."""
    losses = losses_beyond_sigma(fit)
    if fit.budget is None:
        return replace(fit, notes=(*fit.notes, NOISE_ALONE, *(f"{_SIGMA}{text}" for text in losses)))
    budget = replace(fit.budget, absent=(*fit.budget.absent, *losses))
    told = (f"{_BUDGET}{text}" for text in budget.absent)
    return replace(fit, budget=budget, notes=(*fit.notes, *told))


def missing_in_sigma(fit: FitResult) -> tuple[str, ...]:
    """The notes of a `fit` on what its σ does not contain, for wherever σ is shown."""
    return tuple(text for text in fit.notes if text == NOISE_ALONE or text.startswith((_BUDGET, _SIGMA)))
