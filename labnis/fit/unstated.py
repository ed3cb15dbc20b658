"""What the σ of a fit does not contain, as notes of it, with its budget known."""

from dataclasses import replace

from labnis.fit.junction._gap_loss import losses_beyond_sigma
from labnis.fit.result import FitResult

__all__ = ["with_unstated_told"]

_NOISE_ALONE = (
    "σ is that of the noise, as if no instrument erred: what they may err by is not stated (labnis: uncertainty: in "
    "the station file; an import has none)"
)


def with_unstated_told(fit: FitResult) -> FitResult:
    """The `fit` with notes on what is not in its budget, or in σ where it has none."""
    losses = losses_beyond_sigma(fit)
    if fit.budget is None:
        return replace(fit, notes=(*fit.notes, _NOISE_ALONE, *(f"not in σ: {text}" for text in losses)))
    budget = replace(fit.budget, absent=(*fit.budget.absent, *losses))
    told = (f"not in the budget: {text}" for text in budget.absent)
    return replace(fit, budget=budget, notes=(*fit.notes, *told))
