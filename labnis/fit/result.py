"""What every fit returns: values with one covariance, how good the fit was, and what it took for granted."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from uncertainties import UFloat, correlated_values_norm  # type: ignore[import-untyped]

__all__ = ["Estimate", "FitError", "FitResult"]

Real = NDArray[np.float64]

_ARRAYS = ("values", "sigma", "covariance")
# The report leaves out correlations below this.
_TOLD = 0.1


class FitError(Exception):
    """Data that cannot be fitted, or a fit that did not converge; says which and what to do."""


@dataclass(frozen=True)
class Estimate:
    """One value with its standard uncertainty (1σ) and unit."""

    value: float
    sigma: float
    unit: str


@dataclass(frozen=True)
class FitResult:
    """The outcome of one fit.

    Attributes
    ----------
    model
        Name of the model, as the ledger records it.
    names, units
        Of the parameters, in the order of `values` and `covariance`.
    values
        Best values, shape (n,).
    covariance
        Their covariance, shape (n, n); parameters with a prior carry it.
    chi2, degrees_of_freedom
        Of the data alone, in units of the noise that neighbouring residuals show between them: χ²/ν is 1 within
        1/√ν for random residuals, and larger where the model leaves structure.
    noise
        Standard deviation of one datum (unit of the data, or relative where the model says so), from all residuals.
    assumed
        What was assumed rather than measured: name → statement.
    warnings
        What the user should know before trusting the numbers.
    residuals
        Data less model, in the order of the data, in units in which they scatter alike; not part of the record.

    """

    model: str
    names: tuple[str, ...]
    units: tuple[str, ...]
    values: Real
    covariance: Real
    chi2: float
    degrees_of_freedom: int
    noise: float
    assumed: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    residuals: Real = field(default_factory=lambda: np.zeros(0), repr=False, compare=False)

    def __getitem__(self, name: str) -> Estimate:
        """The estimate of one parameter; KeyError naming the known ones otherwise."""
        i = self._index(name)
        return Estimate(float(self.values[i]), float(np.sqrt(self.covariance[i, i])), self.units[i])

    @property
    def free(self) -> tuple[str, ...]:
        """Names of the parameters that are not known exactly (σ > 0)."""
        return tuple(name for name, variance in zip(self.names, np.diag(self.covariance), strict=True) if variance > 0)

    @property
    def by_name(self) -> dict[str, float]:
        """Parameter → value."""
        return dict(zip(self.names, map(float, self.values), strict=True))

    def select(self, names: Sequence[str]) -> Self:
        """The same fit, seen through some of its parameters (for use as a prior)."""
        index = [self._index(name) for name in names]
        return type(self)(
            self.model,
            tuple(names),
            tuple(self.units[i] for i in index),
            self.values[index],
            self.covariance[np.ix_(index, index)],
            self.chi2,
            self.degrees_of_freedom,
            self.noise,
            self.assumed,
            self.warnings,
            self.residuals,
        )

    def _index(self, name: str) -> int:
        if name not in self.names:
            raise KeyError(f"{self.model} has no parameter {name!r}; it has {', '.join(self.names)}")
        return self.names.index(name)

    def as_record(self) -> dict[str, Any]:
        """Plain types, for storage and JSON."""
        return {
            "model": self.model,
            "parameters": list(self.names),
            "units": list(self.units),
            "values": self.values,
            "sigma": np.sqrt(np.diag(self.covariance)),
            "covariance": self.covariance,
            "chi2": self.chi2,
            "dof": self.degrees_of_freedom,
            "noise": self.noise,
            "assumed": dict(self.assumed),
            "warnings": list(self.warnings),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """The inverse of `as_record`."""
        return cls(
            str(record["model"]),
            tuple(record["parameters"]),
            tuple(record["units"]),
            np.asarray(record["values"], dtype=np.float64),
            np.asarray(record["covariance"], dtype=np.float64),
            float(record["chi2"]),
            int(record["dof"]),
            float(record["noise"]),
            dict(record["assumed"]),
            tuple(record["warnings"]),
        )

    def as_json(self) -> str:
        """The record as JSON; `from_json` reads it back."""
        return json.dumps({key: np.asarray(v).tolist() if key in _ARRAYS else v for key, v in self.as_record().items()})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of `as_json`."""
        return cls.from_record(json.loads(text))

    def as_uncertainties(self) -> dict[str, UFloat]:
        """The parameters as numbers of the `uncertainties` package, which keep their correlations in what follows."""
        sigma = np.sqrt(np.diag(self.covariance))
        pairs = list(zip(self.values.tolist(), sigma.tolist(), strict=True))
        return dict(zip(self.names, correlated_values_norm(pairs, self.correlation), strict=True))

    @property
    def correlation(self) -> Real:
        """Correlation matrix, shape (n, n); a parameter without uncertainty correlates with none."""
        sigma = np.sqrt(np.diag(self.covariance))
        known = np.where(sigma > 0, sigma, 1.0)
        return np.where(np.eye(sigma.size, dtype=bool), 1.0, self.covariance / np.outer(known, known))

    def report(self) -> str:
        """A readable report in the manner of lmfit: parameters, correlations, what was assumed and what to look at."""
        width = max(map(len, self.names)) + 1
        lines = ["[[Model]]", f"    {self.model}", "[[Fit Statistics]]"]
        lines += [
            f"    degrees of freedom    = {self.degrees_of_freedom}",
            f"    χ²/ν                  = {self.chi2 / max(self.degrees_of_freedom, 1):.5g}",
            f"    noise of one datum    = {self.noise:.4g}",
            "[[Variables]]",
        ]
        for name in self.names:
            estimate = self[name]
            part = f" ({abs(100 * estimate.sigma / estimate.value):.2g} %)" if estimate.value else ""
            lines.append(f"    {name + ':':<{width}} {estimate.value:.8g} ± {estimate.sigma:.2g} {estimate.unit}{part}")
        lines += self._correlations()
        lines += _section("Assumed", [f"{name}: {statement}" for name, statement in self.assumed.items()])
        lines += _section("Warnings", self.warnings)
        return "\n".join(lines)

    def _correlations(self) -> list[str]:
        first, second = np.triu_indices(len(self.names), 1)
        found = self.correlation[first, second]
        strong = sorted(zip(np.abs(found), found, first, second, strict=True), reverse=True)
        told = [f"C({self.names[i]}, {self.names[j]}) = {c:+.3f}" for size, c, i, j in strong if size >= _TOLD]
        return _section(f"Correlations (unreported are < {_TOLD})", told)


def _section(title: str, lines: Sequence[str]) -> list[str]:
    """A headed part of the report; nothing where there is nothing to say."""
    return [f"[[{title}]]", *(f"    {line}" for line in lines)] if lines else []
