"""Budgets of a run's results, as rows of a table."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from labnis.accuracy import Budget
from labnis.experiment.run import Run
from labnis.fit import Estimate, FitResult, number_text

__all__ = ["Budgeted", "budgeted"]

# Contributions below this part of σ are shown as 0.
_SMALLEST = 1e-3


class Budgeted(NamedTuple):
    """A fit with a budget: published name → parameter of the fit."""

    fit: FitResult
    budget: Budget
    names: Mapping[str, str]

    @property
    def estimates(self) -> dict[str, Estimate]:
        """Published name → estimate."""
        return {name: self.fit[parameter] for name, parameter in self.names.items()}

    @property
    def contributions(self) -> list[list[float]]:
        """For each source its contribution to each result, with its sign."""
        index = [self.fit.names.index(parameter) for parameter in self.names.values()]
        rows: list[list[float]] = self.budget.columns[index].T.tolist()
        return rows

    @property
    def headings(self) -> list[str]:
        """Source, its standard uncertainty u, and the results, with "?" in doubt; of a limit also what it is."""
        # σ and contributions are those of the likeliest value, from which the limit is made.
        limits = {name: f" {one}" if one.limit is not None else "" for name, one in self.estimates.items()}
        mark = " ?" * bool(self.fit.warnings)
        return ["source", "u", *(name.replace("_", " ") + mark + limit for name, limit in limits.items())]

    @property
    def rows(self) -> list[list[str]]:
        """Noise, sources that matter, systematic uncertainty and σ: what each changes, in words."""
        estimates = [*self.estimates.values()]

        def row(label: str, standard: str, values: Sequence[float], sign: str = "") -> list[str]:
            texts = [
                (sign if value > 0 else "") + number_text(value, estimate.unit)
                if abs(value) > _SMALLEST * estimate.sigma
                else "0"
                for value, estimate in zip(values, estimates, strict=True)
            ]
            return [label, standard, *texts]

        sources = [
            row(source.label, number_text(source.standard, source.unit), values, "+")
            for source, values in zip(self.budget.sources, self.contributions, strict=True)
            if any(abs(value) > _SMALLEST * estimate.sigma for value, estimate in zip(values, estimates, strict=True))
        ]
        return [
            row("noise", "", [estimate.statistical for estimate in estimates]),
            *sources,
            row("systematic", "", [estimate.systematic or 0.0 for estimate in estimates]),
            row("σ", "", [estimate.sigma for estimate in estimates]),
        ]


def budgeted(run: Run) -> dict[str, Budgeted]:
    """Analysis → its fit, of those that have a budget."""
    named = run.metadata["context"].get("results", {})
    return {
        analysis: Budgeted(
            fit, fit.budget, {shown: name for shown, (owner, name) in named.items() if owner == analysis}
        )
        for analysis, fit in run.fits.items()
        if fit.budget is not None
    }
